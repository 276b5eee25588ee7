"""Pascal VOC: one XML file per image under `Annotations/`, images under `JPEGImages/`, lists under `ImageSets/Main/`.

VOC pixels are 1-based and inclusive, so a box covers [xmin - 1, xmax] x [ymin - 1, ymax] of the image. A box of one
pixel has equal corners, as the stray clicks have that labelling tools leave behind: training drops these
(data/cleaning.py), so the writer puts the xmin of such a box a little lower. A polygon in place of a box gives the one
around it. Left out: parts of objects, segmentation, poses, the per-class lists; what the format has no place for
(sidecar.py).
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np

from yolo.arrays import Float32
from yolo.errors import DataError, printable, shown
from yolo.formats.issues import ReadReport
from yolo.formats.objects import RawObject, RawSource, RecordFiles, StringArray, object_columns, sizes_array
from yolo.formats.paths import (
    LARGEST_LABEL_FILE,
    NO_LABEL_FILE,
    ImageSizes,
    canonical_split,
    find_files,
    find_images,
    is_file,
    is_folder,
    is_image_name,
    read_lines,
)
from yolo.formats.values import float32, is_set, number, number_text, shortest, shortest_float32, side
from yolo.formats.xml_root import xml_root
from yolo.structures import GroundTruth

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


_SIDES = ("xmin", "ymin", "xmax", "ymax")
_AXES = (re.compile(r"x\d*"), re.compile(r"y\d*"))  # of the corners of a polygon: <x1>, or <x> in each <pt>


def parse_annotation(path: Path) -> Element:
    """The root of an annotation file, or a DataError that begins with its path."""
    root = xml_root(path, limit=LARGEST_LABEL_FILE)
    if root.tag != "annotation":
        raise DataError(f"{printable(path)}: is not a VOC annotation, its root is <{root.tag[:60]}>")
    return root


def sides_of(item: Element) -> tuple[list[float], list[str]]:
    """xmin, ymin, xmax, ymax as written, and the names of those that are not numbers, which are not among them.

    An object with a polygon in place of the box has the one around it.
    """
    found = {key: number(text_of(item, f"bndbox/{key}")) for key in _SIDES}
    polygon = item.find("polygon")
    if polygon is not None and item.find("bndbox") is None:
        xs, ys = ([number(one.text or "") for one in polygon.iter() if axis.fullmatch(one.tag)] for axis in _AXES)
        if None not in xs and None not in ys and len(xs) == len(ys) > 1:
            known_x, known_y = [x for x in xs if x is not None], [y for y in ys if y is not None]
            found = {"xmin": min(known_x), "ymin": min(known_y), "xmax": max(known_x), "ymax": max(known_y)}
    return [value for value in found.values() if value is not None], [key for key in _SIDES if found[key] is None]


def stated_size(annotation: Element) -> tuple[Any, Any]:
    """Height and width as `<size>` has them."""
    return side(text_of(annotation, "size/height")), side(text_of(annotation, "size/width"))


def name_of(item: Element) -> str:
    """The class of an object, empty where there is none."""
    return printable(text_of(item, "name"))


def text_of(element: Element, path: str) -> str:
    """The text at a path below an element without surrounding spaces, empty where there is none."""
    return (element.findtext(path) or "").strip()


_ANNOTATION_FOLDERS = ("Annotations", "annotations", "labels", "xmls", "xml")  # the first ones that have XML files
_IMAGE_FOLDERS = ("JPEGImages", "images", "data", "Images", "imgs")
_LOOKED_AT = 5  # XML files of a folder that may be of another program
VOC_LISTS = ("train", "val", "trainval", "test")


@dataclass(frozen=True, slots=True)
class VocFolder:
    """A VOC tree: where its parts are and which images it has."""

    annotations: Path
    images: Path
    image_of: Mapping[str, Path]  # by its path below `images` without suffix, in Unicode form NFC
    by_name: Mapping[str, Path]  # those in further folders by their name alone, where no other has it
    other_of: Mapping[str, Path]  # a second image file of the same name with another suffix, which is not read


@dataclass(frozen=True, slots=True)
class VocEntry:
    """One image of a VOC tree; its XML file need not exist."""

    image_id: str
    stem: str  # as listed; differs from the id only where the name is no Unicode
    xml: Path
    folder: VocFolder

    @property
    def image(self) -> str:
        """The image file of that name; not the file that the annotation names where there is no such."""
        return os.fspath(_image_of(self, None))


def has_voc_annotations(folder: Path) -> bool:
    """Whether a folder has XML annotations, in `Annotations/` or beside its images."""
    return _annotation_folder(folder) is not None


def list_voc(source: Path, image_dir: Path | None = None) -> list[VocEntry]:
    """The images a source stands for.

    Args:
        source: a list such as `ImageSets/Main/train.txt`, or the root of a tree for every annotation in it.
        image_dir: the folder of the images; None for the one in the tree.

    Raises:
        DataError: there is no VOC tree around the source.
    """
    root = source if source.is_dir() else _root_of_list(source)
    annotations = _annotation_folder(root)
    if annotations is None:
        raise DataError(f"{printable(root)}: has no folder Annotations with XML files")
    images = image_dir or next((root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()), root)
    folder = _tree(annotations, images)
    if source.is_dir():
        return _entries_of_all(folder)
    lines = read_lines(source, means=lambda line: is_file(annotations / f"{_listed_stem(line, annotations)}.xml"))
    stems = [_listed_stem(line, annotations) for line in lines]
    return [VocEntry(printable(stem), stem, annotations / f"{stem}.xml", folder) for stem in stems]


def list_annotations(folder: Path, *, split: str, images: Path | None) -> list[VocEntry] | None:
    """The images of a VOC tree or of a bare folder of XML files, for an evaluation, which needs no image files.

    Args:
        folder: with `Annotations` in it, or itself full of XML files.
        split: the list in `ImageSets/Main`; a tree without lists is taken whole.
        images: where the images are; None for `JPEGImages` or `images` in or beside the folder, or itself.

    Returns:
        None if it is neither.

    Raises:
        DataError: there are lists, but not this one.
    """
    annotations = _with_xml(folder) or folder
    if annotations == folder and not any(map(_may_be_voc, sorted(folder.glob("*.xml"))[:_LOOKED_AT])):
        return None
    lists = folder / "ImageSets" / "Main"
    names = [name for name in VOC_LISTS if is_file(lists / f"{name}.txt")]
    if names and annotations != folder:
        wanted = lists / f"{canonical_split(split)}.txt"
        if not is_file(wanted):
            raise DataError(
                f"{printable(lists)}: there is no list {wanted.name} for the split {split!r}; "
                f"there are: {', '.join(names)}"
            )
        return list_voc(wanted, images)
    bases = (annotations.parent, annotations)
    likely = next((base / name for base in bases for name in _IMAGE_FOLDERS if is_folder(base / name)), annotations)
    return _entries_of_all(_tree(annotations, images or likely))


def _tree(annotations: Path, images: Path) -> VocFolder:
    image_of: dict[str, Path] = {}
    other_of: dict[str, Path] = {}
    for path in find_images(images):
        key = _key(path.relative_to(images).with_suffix("").as_posix())
        if image_of.setdefault(key, path) != path:
            other_of[key] = path
    counts = Counter(key.rpartition("/")[2] for key in image_of)
    by_name = {name: path for key, path in image_of.items() if counts[name := key.rpartition("/")[2]] == 1}
    return VocFolder(annotations, images, image_of, by_name, other_of)


def _entries_of_all(folder: VocFolder) -> list[VocEntry]:
    files = find_files(folder.annotations, lambda name: name.lower().endswith(".xml") and not name.startswith("."))
    stems = [path.relative_to(folder.annotations).as_posix()[: -len(path.suffix)] for path in files]
    return [VocEntry(printable(stem), stem, folder.annotations / f"{stem}.xml", folder) for stem in stems]


def names_in_voc(entries: Iterable[VocEntry]) -> tuple[str, ...]:
    """The distinct class names of the annotations, sorted; files that cannot be read are skipped."""
    names: set[str] = set()
    for entry in entries:
        try:
            names.update(name_of(item) for item in parse_annotation(entry.xml).iterfind("object"))
        except DataError:
            continue  # reading the images reports it
    names.discard("")
    return tuple(sorted(names))


def names_in_trees(entries: Iterable[VocEntry]) -> tuple[str, ...]:
    """Like `names_in_voc`, of all annotations of the trees that the images are from."""
    folders = {entry.folder.annotations: entry.folder for entry in entries}
    return names_in_voc(entry for folder in folders.values() for entry in _entries_of_all(folder))


def read_voc(entries: Sequence[VocEntry], *, sizes: ImageSizes) -> RawSource:
    """What is annotated on some images, each given once; `sizes` has the report.

    An image whose XML is malformed is left out: what is on it is not known, it must not pass for background.
    """
    report, labels = sizes.report, dict[str, int]()
    rows: list[RawObject] = []
    kept: list[tuple[VocEntry, str]] = []
    found: list[tuple[int, int]] = []
    for entry in entries:
        try:
            annotation = parse_annotation(entry.xml) if is_file(entry.xml) else None
        except DataError as error:
            message = str(error).removeprefix(f"{printable(entry.xml)}: ")
            report.drop_image(entry.xml, "annotation_unreadable", message, image=entry.image)
            continue
        items = [] if annotation is None else list(annotation.iterfind("object"))
        for name in filter(None, map(name_of, items)):
            labels.setdefault(name, len(labels))  # the classes are those of all files, with an image or without
        stated = (None, None) if annotation is None else stated_size(annotation)
        place = sizes.find(os.fspath(_image_of(entry, annotation)), stated)
        if place is None:
            continue
        image, size_hw = place
        if annotation is None:
            report.add_issue(entry.xml, "", "label_file_missing", NO_LABEL_FILE, image=image)
        sizes.compare(size_hw, stated, path=entry.xml, where="", image=image)
        if (other := entry.folder.other_of.get(_key(entry.stem))) is not None:
            message = f"belongs to {Path(image).name} and to {other.name}; the second is not read"
            report.add_issue(entry.xml, "", "shared_label_file", message, image=other)
        rows += _objects(items, labels, entry.xml, image=(len(kept), image), report=report)
        kept.append((entry, image))
        found.append(size_hw)
    return _source(kept, found, rows, labels)


def _objects(
    items: Sequence[Element], labels: Mapping[str, int], xml: Path, *, image: tuple[int, str], report: ReadReport
) -> Iterator[RawObject]:
    """The objects of a file that have a name and a box; the others are counted."""
    index, path = image
    for place, item in enumerate(items, start=1):
        where, name, (sides, lacking) = f"object {place}", name_of(item), sides_of(item)
        twice = next((tag for tag in ("name", "bndbox") if len(item.findall(tag)) > 1), None)
        if twice is not None:
            kind = "missing_name" if twice == "name" else "missing_box"
            message = f"the object has more than one <{twice}>; split it into objects or remove what is wrong"
            report.drop_object(xml, where, kind, message, image=path)
        elif not name:
            report.drop_object(xml, where, "missing_name", "the object has no <name>; name its class", image=path)
        elif lacking:
            message = f"<bndbox> has no number for {', '.join(lacking)}; correct or remove the object"
            report.drop_object(xml, where, "missing_box", message, image=path)
        else:
            xmin, ymin, xmax, ymax = sides
            flag = is_set(text_of(item, "difficult"))
            if flag is None:
                message = f"difficult is {shown(text_of(item, 'difficult'))}"
                report.add_issue(xml, where, "unclear_flag", message, image=path)
            yield RawObject(xmin - 1, ymin - 1, xmax, ymax, labels[name], index, place, bool(flag))


def _source(
    kept: list[tuple[VocEntry, str]], sizes: list[tuple[int, int]], rows: list[RawObject], labels: Mapping[str, int]
) -> RawSource:
    """Everything, with the class names sorted."""
    names = tuple(sorted(labels))
    objects, numbers = object_columns(rows)
    rank = {name: place for place, name in enumerate(names)}
    order = np.asarray([rank[name] for name in labels], np.int64)
    return RawSource(
        image_ids=[entry.image_id for entry, _ in kept],
        paths=[image for _, image in kept],
        sizes_hw=sizes_array(sizes),
        objects=replace(objects, labels=order[objects.labels]),
        numbers=numbers,
        class_names=names,
        place=lambda image, place: (os.fspath(kept[image][0].xml), f"object {place}"),
        file_names=[image or entry.image_id for entry, image in kept],
        inclusive=1.0,
        files=RecordFiles("voc", StringArray(os.fspath(entry.xml) for entry, _ in kept)),
        image_numbers=np.arange(len(kept)),
    )


def _annotation_folder(folder: Path) -> Path | None:
    return _with_xml(folder) or (folder if _is_flat(folder) else None)


def _with_xml(folder: Path) -> Path | None:
    """The folder of annotations in a tree; CVAT has further folders in that."""
    for place in (folder / name for name in _ANNOTATION_FOLDERS):
        if is_folder(place) and (any(place.glob("*.xml")) or any(place.glob("*/*.xml"))):
            return place
    return None


def _may_be_voc(path: Path) -> bool:
    """Whether an XML file is a VOC annotation; True also for a damaged one, so that reading it says what is wrong."""
    try:
        return xml_root(path, limit=LARGEST_LABEL_FILE).tag == "annotation"
    except DataError:
        return True


def _is_flat(folder: Path) -> bool:
    """Whether XML files lie beside images of the same name; a lone XML file can be anything."""
    stems = {path.stem for path in folder.glob("*.xml")}
    return bool(stems) and any(path.stem in stems for path in folder.iterdir() if is_image_name(path.name))


def _root_of_list(source: Path) -> Path:
    """The nearest folder above a list that has annotations."""
    for parent in source.parents:
        if any((parent / name).is_dir() for name in _ANNOTATION_FOLDERS[:2]) or _with_xml(parent) is not None:
            return parent
    raise DataError(f"{printable(source)}: no folder above this list has a folder Annotations")


def _listed_stem(line: str, annotations: Path) -> str:
    """What an image of a list is called, its folders as they are written here."""
    stem = _without_image_suffix(line)
    return stem if "\\" not in stem or is_file(annotations / f"{stem}.xml") else stem.replace("\\", "/")


def _without_image_suffix(line: str) -> str:
    return line.rpartition(".")[0] if is_image_name(line) else line


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)  # macOS stores file names decomposed


def _image_of(entry: VocEntry, annotation: Element | None) -> Path:
    """The image with the name of the entry; `<filename>`, which is often wrong, only if there is none."""
    image = entry.folder.image_of.get(_key(entry.stem))
    named = "" if annotation is None else text_of(annotation, "filename")
    if image is None and named:
        name = named.replace("\\", "/").rpartition("/")[2]
        image = entry.folder.image_of.get(_key(_without_image_suffix(name)))
    if image is None:
        image = entry.folder.by_name.get(_key(entry.stem.rpartition("/")[2]))
    return image or entry.folder.images / f"{entry.stem}.jpg"


# Readers cut what reaches over the border, so the first pixel may begin a little before it.
_A_LITTLE = 1e-6
_LOST_FROM_ONE = 1e-7


def annotation_text(
    file_name: str,
    size_hw: tuple[int, int],
    truth: GroundTruth,
    *,
    class_names: Sequence[str],
    scores: Sequence[float] | None = None,
) -> str:
    """The annotation of one image.

    Corners are whole numbers where the box is in whole pixels, else as short as brings back the float32 exactly.

    Args:
        file_name: of the image, without folder.
        size_hw: height and width of the image in pixels.
        truth: boxes in pixels within the image, as `voc_boxes` makes them.
        class_names: what the labels mean.
        scores: float32 of each object, where these are detections; an element `score`, which VOC does not have.
    """
    height, width = size_hw
    lines = [
        "<annotation>",
        "\t<folder>JPEGImages</folder>",
        f"\t<filename>{_escaped(file_name)}</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
    ]
    for row, (x1, y1, x2, y2) in enumerate(truth.boxes.tolist()):
        (xmin, xmax), (ymin, ymax) = _one_based(x1, x2), _one_based(y1, y2)
        corners = {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}
        lines += [
            "\t<object>",
            f"\t\t<name>{_escaped(class_names[int(truth.labels[row])])}</name>",
            f"\t\t<difficult>{int(truth.difficult[row])}</difficult>",
            *([] if scores is None else [f"\t\t<score>{number_text(shortest_float32(scores[row]))}</score>"]),
            f"\t\t<bndbox>{''.join(f'<{key}>{number_text(value)}</{key}>' for key, value in corners.items())}</bndbox>",
            "\t</object>",
        ]
    return "\n".join([*lines, "</annotation>\n"])


def voc_boxes(truth: GroundTruth, size_hw: tuple[int, int]) -> tuple[Float32, int]:
    """The boxes as VOC can hold them, and how many that changes.

    Corners are the first and the last pixel inside, so no box is less than a pixel wide or high: smaller ones become
    the pixel that their middle is in. Counting from 1 loses distances of less than 1e-7 pixels from the border: these
    become 0.

    Args:
        truth: boxes in pixels within the image.
        size_hw: height and width of the image in pixels.

    Returns:
        (M, 4) float32 xyxy pixels, and a number of boxes.
    """
    old = truth.boxes
    low, high = old[:, :2].astype(np.float64), old[:, 2:].astype(np.float64)
    size_wh = np.array(size_hw[::-1], np.float64)
    middle = np.clip((low + high) / 2, 0.5, np.maximum(size_wh - 0.5, 0.5))
    small = high - low < 1
    low, high = np.where(small, np.floor(middle), low), np.where(small, np.floor(middle) + 1, high)
    low = np.where(low < _LOST_FROM_ONE, 0.0, low)
    boxes = np.concatenate([low, high], axis=1).astype(np.float32)
    return boxes, int((boxes != old).any(axis=1).sum())


def _one_based(first: float, last: float) -> tuple[float, float]:
    """The first and the last pixel, from 1; never equal."""
    start, end = shortest(first + 1, lambda value: float32(value - 1) == first), shortest_float32(last)
    if start < end:
        return start, end
    # one pixel: begins a little earlier, but by less than float32 shows
    smaller = (first + 1 - 10.0**-decimals for decimals in range(1, 16))
    good = (value for value in smaller if float32(max(value - 1, 0.0)) == first and value - 1 > -_A_LITTLE)
    return next(good, start), max(end, last)


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})
