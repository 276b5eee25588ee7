"""Ground truth for `report` and `compare`, from files of any format.

The readers are those of training; the policy is another one. An evaluation has to give the number that pycocotools or
the VOC devkit give for the same files: everything stays as it stands, in float64, neither clipped nor put in order,
and image files need not be there. Records that no evaluation can use, such as a box without four numbers, are left
out and counted. What is odd becomes a warning. Left out: the formats (yolo.formats),
detections (detection_files.py), and what looks like another format (format_check.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from yolo.arrays import Bool, Float64
from yolo.data.classes import ClassRules, category_ids_of, relabel
from yolo.data.data_file import find_data_file
from yolo.data.descriptor import DatasetDescriptor, split_called
from yolo.data.entries import OpenFiles, once, unique_ids
from yolo.data.find import YAML_SUFFIXES, annotation_source, find_dataset, stated_class_names
from yolo.data.read import RawSplit, read_raw
from yolo.detection_sets import ImageTable, TruthSet
from yolo.engine.format_check import check_truth_boxes
from yolo.errors import DataError, printable
from yolo.formats.issues import KINDS, InputWarning, ReadReport
from yolo.formats.objects import RawSource
from yolo.formats.paths import ImageSizes, canonical_split, is_file, is_folder, is_text_name
from yolo.formats.voc import list_annotations, names_in_trees, read_voc
from yolo.formats.yolo import is_image_list, list_labels, nameless_classes, read_yolo

# far beyond any image, and its square far from the end of the floats
_LARGEST_COORDINATE = 1e100
_LOOKED_AT = 20  # text files of a folder that may be lists of images
# formats whose annotations lie beside their images
_OF_FOLDERS = frozenset({"voc", "yolo"})
# left out on purpose, or because other classes were asked for
_CHOSEN = frozenset({"unwanted_class", "unknown_class"})


@dataclass(frozen=True)
class GroundTruthFiles:
    """Ground truth as its files have it."""

    images: ImageTable  # those under evaluation, in the order that decides between equal scores
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] | None  # COCO's id of each class; None where there is none
    truths: TruthSet  # by image
    warnings: tuple[InputWarning, ...]  # what was left out or looks odd
    format: str  # `coco`, `voc`, `yolo`, `csv` or that of a tool; several are joined by `+`
    source: str  # the path as given
    file_names: Sequence[str]  # for each image the name in the files, by which detections may know it
    # names, with suffix and without, of the images that are left out -> the file that is to blame
    left_out: Mapping[str, str] = field(default_factory=dict)


def read_ground_truth(
    path: Path, *, split: str = "val", images: Path | None = None, class_names: Sequence[str] | None = None
) -> GroundTruthFiles:
    """Read ground truth.

    Args:
        path: an annotation file, such as COCO's json, of which all images are taken; a Pascal VOC root or a folder of
            XML files; a folder of YOLO label files; or a dataset YAML or root, of any format that training takes.
        split: which images, where the dataset is divided.
        images: folder of the images, where they are not in one of the usual places. Only YOLO's labels need them.
        class_names: what the class numbers of label files mean, where nothing beside them says so; elsewhere the
            classes under evaluation, in this order: objects of others are left out and counted.

    Raises:
        DataError: nothing there, nothing that is known, or nothing in it that can be evaluated; the message
            names the file, the place in it and what to do.
    """
    report = ReadReport(split)
    given, path = str(path), Path(path).expanduser()
    images = None if images is None else Path(images).expanduser()
    if images is not None and not is_folder(images):
        raise DataError(f"{printable(images)}: there is no such folder of images")
    if not (is_file(path) or is_folder(path)):
        raise DataError(f"{printable(path)}: there is no such file or folder of ground truth")
    names = None if class_names is None else tuple(class_names)
    read, form = _read(path, split=split, images=images, names=names, report=report)
    truth = _as_it_stands(read, report, source=given, form=form)
    check_truth_boxes(truth.truths, truth.images, report)
    return replace(truth, warnings=report.warnings(), left_out=_left_out(report))


def _read(
    path: Path, *, split: str, images: Path | None, names: tuple[str, ...] | None, report: ReadReport
) -> tuple[RawSplit, str]:
    """Everything as its format has it, and the format."""
    sizes = ImageSizes(report, needed=False)
    if is_file(path) and (whole := annotation_source(path)) is not None:
        # measured as a whole, whatever split it is called by
        splits = {canonical_split(split): (replace(whole, image_dir=images),)}
        return _read_dataset(DatasetDescriptor(path.parent, splits), split=split, names=names, sizes=sizes)
    if is_file(path) and path.suffix.lower() not in (*YAML_SUFFIXES, ".data", ".txt"):
        raise DataError(
            f"{printable(path)}: is not a known kind of ground truth; expected an annotation file (.json, .csv, .xml), "
            "a folder of VOC XML files, a folder of YOLO label files, a list of images (.txt), or a dataset YAML"
        )
    if is_folder(path) and not any(child.suffix.lower() in YAML_SUFFIXES for child in path.iterdir()):
        listed = list_annotations(path, split=split, images=images)
        if listed is not None:
            (entries,) = once([listed], report)
            source = read_voc(entries, sizes=sizes)
            own = tuple(sorted({*source.class_names, *names_in_trees(entries)}))
            return _single(source, names or own, path), "voc"
        if _is_label_folder(path):
            return _read_labels(path, split=split, images=images, names=names, sizes=sizes), "yolo"
    descriptor = find_dataset(path)
    if images is not None:
        sources = [
            replace(one, image_dir=images) if one.format not in _OF_FOLDERS else one
            for one in descriptor.sources(split)
        ]
        descriptor = replace(descriptor, splits={**descriptor.splits, canonical_split(split): tuple(sources)})
    return _read_dataset(descriptor, split=split, names=names, sizes=sizes)


def _read_dataset(
    descriptor: DatasetDescriptor, *, split: str, names: tuple[str, ...] | None, sizes: ImageSizes
) -> tuple[RawSplit, str]:
    """A split of a dataset as training knows it."""
    form = "+".join(dict.fromkeys(source.format for source in descriptor.sources(split)))
    files = OpenFiles(descriptor.root, images_needed=False)
    return read_raw(descriptor, split, class_names=names, files=files, sizes=sizes), form


def _read_labels(
    path: Path, *, split: str, images: Path | None, names: tuple[str, ...] | None, sizes: ImageSizes
) -> RawSplit:
    """A folder of YOLO label files."""
    own = path / canonical_split(split)
    folder = own if path.name == "labels" and is_folder(own) else path
    entries = list_labels(folder, images=images, report=sizes.report)
    found = names or stated_class_names(folder)
    if not found:
        found = nameless_classes(entries)
        if not found:
            raise DataError(
                "the label files have no object and nothing names the classes; put a data.yaml with 'names', a "
                "classes.txt or an obj.names beside them, or name the classes"
            )
        text = "class names are not stated (no data.yaml, classes.txt or obj.names): classes are called by their number"
        sizes.report.warn("nameless_classes", text, count=len(found))
    return _single(read_yolo(entries, class_names=found, sizes=sizes), found, path)


def _single(source: RawSource, names: tuple[str, ...], root: Path) -> RawSplit:
    category_ids = category_ids_of(ClassRules(), None, names, [source])
    return RawSplit([source], names, category_ids, ClassRules(), root)


def _is_label_folder(path: Path) -> bool:
    """Whether a folder holds label files rather than a dataset: it is called so, or has text files and no images."""
    if "labels" in path.absolute().parts[-2:]:
        return True
    children = [child.name.lower() for child in path.iterdir()]
    if {"images", "labels"} & set(children) or find_data_file(path) is not None:
        return False
    texts = [child for child in path.iterdir() if is_text_name(child.name) and split_called(child.stem) is None]
    return any(not is_image_list(text) for text in texts[:_LOOKED_AT])


def _as_it_stands(read: RawSplit, report: ReadReport, *, source: str, form: str) -> GroundTruthFiles:
    """Everything that can be evaluated, and what is to be said of every kind of ground truth.

    Raises:
        DataError: no image or no object is left, or two images have one id.
    """
    parts = [_usable(relabel(own, read.class_names, read.rules, report), report) for own in read.sources]
    if unwanted := report.objects_dropped["unwanted_class"]:
        report.warn("unwanted_class", KINDS["unwanted_class"], count=unwanted)
    image_ids = [one for own in parts for one in own.image_ids]
    paths = [one for own in parts for one in own.paths]
    if len(parts) > 1 or form == "yolo":  # a.jpg and a.png have one stem
        image_ids = unique_ids(image_ids, paths, read.root)
    starts = np.cumsum([0, *(len(own.image_ids) for own in parts)])
    columns = [
        replace(own.objects, image_index=own.objects.image_index + start)
        for own, start in zip(parts, starts[:-1].tolist(), strict=True)
    ]
    names = [one.name for one in fields(TruthSet)]
    truths = TruthSet(*(np.concatenate([getattr(one, name) for one in columns]) for name in names))
    _check_something_left(image_ids, truths, report, source)
    if missing := [one for one, path in zip(image_ids, paths, strict=True) if not path]:
        text = "the image file is not there: the numbers do not need it, pictures of this image are left out"
        report.warn("picture_missing", text, *(f"image {one}" for one in missing[:5]), count=len(missing))
    return GroundTruthFiles(
        ImageTable(tuple(image_ids), tuple(paths), np.concatenate([own.sizes_hw for own in parts])),
        read.class_names,
        read.category_ids,
        truths,
        (),
        form,
        source,
        tuple(name for own in parts for name in own.file_names or own.paths),
    )


def _left_out(report: ReadReport) -> dict[str, str]:
    """The images that an unreadable file costs."""
    found: dict[str, str] = {}
    for issue in report.issues:
        if issue.kind in ("annotation_unreadable", "image_unreadable"):
            names = [Path(one) for one in (issue.path, issue.image) if one]
            found.update({key: issue.path for name in names for key in (name.name, name.stem)})
    return found


def _usable(source: RawSource, report: ReadReport) -> RawSource:
    """The objects with finite boxes, whose area is that of the box where none is stated."""
    usable = is_usable(source.objects.boxes)
    report.drop_objects(
        "not_finite",
        np.flatnonzero(~usable).tolist(),
        lambda row: source.issue(row, "not_finite", "the box is not finite"),
    )
    if not usable.all():
        source = source.with_objects(usable)
    objects = source.objects
    report.warn_rows(
        "empty_truth_box",
        "an annotated box has no width or no height, or a negative one: it is kept, counts as an object to be found, "
        "and nothing can find it",
        (objects.sizes_wh <= 0).any(axis=1),
        lambda row: source.issue(row, "empty_truth_box", ""),
    )
    own = objects.sizes_wh[:, 0] * objects.sizes_wh[:, 1]
    return replace(source, objects=replace(objects, area=np.where(np.isnan(objects.area), own, objects.area)))


def is_usable(boxes: Float64) -> Bool:
    """(K,) whether four numbers are finite, and so small that areas are finite too."""
    usable: Bool = np.logical_and.reduce(np.abs(boxes) <= _LARGEST_COORDINATE, axis=1)  # False for NaN
    return usable


def _check_something_left(image_ids: Sequence[str], truths: TruthSet, report: ReadReport, source: str) -> None:
    examples = "".join(f"\n  {issue}" for issue in report.issues[:3])
    if not image_ids:
        raise DataError(
            f"{printable(source)}: lists no images that can be used, so there is nothing to evaluate on{examples}"
        )
    twice = next((one for one, number in Counter(image_ids).items() if number > 1), None)
    if twice is not None:
        raise DataError(f"{printable(source)}: the image id {twice!r} stands for two images; rename one")
    if report.label_files_missing == len(image_ids):
        raise DataError(f"{printable(source)}: not one of its {len(image_ids)} images has an annotation{examples}")
    if not len(truths):
        lost = sum(count for kind, count in report.objects_dropped.items() if kind not in _CHOSEN)
        if lost:
            raise DataError(f"{printable(source)}: not one of its {lost} objects can be used{examples}")
        report.warn(
            "no_objects",
            "the ground truth has no object at all: no average precision is defined, every detection is false",
        )
