"""Writing a dataset into a new folder as Pascal VOC, COCO, YOLO or CSV, so that reading it gives the same again.

    dataset.yaml      names, splits, COCO's category ids          extra.csv    what VOC and YOLO have no place for
    VOC:   Annotations/ JPEGImages/ ImageSets/Main/SPLIT.txt      YOLO:  images/SPLIT/ labels/SPLIT/
    COCO:  annotations/instances_SPLIT.json images/SPLIT/         CSV:   SPLIT.csv images/SPLIT/

`convert` is `gridyolo data convert`; `require_outside` keeps every command from writing into the dataset that it reads.
Left out: the text of the formats (formats/), image files (image_files.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import yaml
from rich.console import Console

from yolo.config import DataConvertConfig, DatasetFormat
from yolo.console import say
from yolo.curate.image_files import ImageMode, place_images
from yolo.data.classes import unknown_class_message
from yolo.data.read import DatasetDescriptor, Split, SplitSource, find_dataset, read_split
from yolo.data.trees import recognise
from yolo.errors import PERCENT, ConfigError, DataError, printable
from yolo.files import atomic_folder, require_free
from yolo.formats.coco_copy import copied_content, fields_beyond_boxes, json_bytes
from yolo.formats.coco_write import numbered_image_ids
from yolo.formats.csv import COLUMNS, csv_rows, csv_text
from yolo.formats.objects import AnnotatedImages, StringArray
from yolo.formats.paths import canonical_split
from yolo.formats.sidecar import EXTRA_COLUMNS, extra_rows
from yolo.formats.voc import annotation_text, voc_boxes
from yolo.formats.voc_copy import VocOriginals, copied_annotation, elements_beyond_boxes
from yolo.formats.yolo import label_file_of, label_text

WRITTEN_SPLITS = ("train", "val", "test")
_EXTRA = "extra.csv"
_SHOWN_FIELDS = 10


class WrittenDataset(NamedTuple):
    """What was written."""

    yaml: Path  # the `dataset.yaml`, by which the dataset is read
    images: Mapping[str, int]  # number by split
    objects: Mapping[str, int]  # number by split
    notes: tuple[str, ...]  # new names, new ids, what could not be kept


def convert(config: DataConvertConfig, console: Console) -> WrittenDataset:
    """Write a dataset, or a split of it, in another format; the original is only read.

    Raises:
        ConfigError: a class or a combination of options that makes no sense, or an output inside the dataset.
        DataError: the dataset cannot be read, or the output is in use or cannot be written.
    """
    output = Path(config.output).expanduser()
    require_free(output)
    descriptor = find_dataset(Path(config.data))
    notes: list[str] = []
    splits: dict[str, Split] = {}
    for source, name in _split_names(descriptor, config.split, notes).items():
        split = read_split(descriptor, source, box_policy=config.box_policy)
        say(console, *split.report.summary_lines())
        splits[name] = split
    require_outside(output, Path(config.data), descriptor, splits.values(), option="--output")
    if config.classes:
        wanted = tuple(name.strip() for name in config.classes.split(","))
        splits = {name: keep_classes(split, wanted) for name, split in splits.items()}
    written = write_dataset(splits, output, format=config.format, images=config.images)
    say(console, *(f"note: {note}" for note in (*notes, *written.notes)))
    for name, count in written.images.items():
        say(console, f"{name}: {count} images, {written.objects[name]} objects written as {config.format}")
    return written


def keep_classes(split: Split, names: Sequence[str]) -> Split:
    """The split with the objects of some classes alone, labels in the order of `names`; all images stay.

    Raises:
        ConfigError: a name is given twice, or is not a class of the split.
    """
    unknown = [name for name in names if name not in split.class_names]
    if unknown:
        shown = ", ".join(split.class_names[:10]) + (", ..." if len(split.class_names) > 10 else "")
        raise ConfigError(f"--classes: {unknown_class_message(unknown[0], split.class_names)}; there are {shown}")
    if len(set(names)) != len(names):
        raise ConfigError(f"--classes names a class twice: {', '.join(names)}")
    old = [split.class_names.index(name) for name in names]
    label_of = np.full(len(split.class_names), -1, np.int64)
    label_of[old] = np.arange(len(old))
    images = split.images
    labels = label_of[images.objects.labels]
    kept = labels >= 0
    counts = np.bincount(images.image_index[kept], minlength=len(images))
    chosen = AnnotatedImages(
        image_ids=images.image_ids,
        paths=images.paths,
        sizes_hw=images.sizes_hw,
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]),
        objects=replace(images.objects[kept], labels=labels[kept]),
        records=None if images.records is None else images.records.take(slice(None), kept),
    )
    category_ids = None if split.category_ids is None else tuple(split.category_ids[place] for place in old)
    return replace(split, images=chosen, class_names=tuple(names), category_ids=category_ids)


def _split_names(descriptor: DatasetDescriptor, wanted: str, notes: list[str]) -> dict[str, str]:
    """Which splits are read, and what each is written as."""
    if wanted:
        name = canonical_split(wanted)
        if name != "trainval":
            return {name: name}
        notes.append("trainval is written as train")
        return {name: "train"}
    names = {name: name for name in descriptor.splits if name in WRITTEN_SPLITS}
    rest = [name for name in descriptor.splits if name not in names]
    if "train" in names:
        notes += [f"{name} is left out; --split {name} writes it alone" for name in rest]
    elif rest:
        raise DataError(
            f"{printable(descriptor.root)}: has {', '.join(descriptor.splits)}, and no train; "
            f"name one of them, such as --split {rest[0]}"
        )
    return names


def write_dataset(
    splits: Mapping[str, Split],
    folder: Path,
    *,
    format: DatasetFormat,  # noqa: A002  (the word of the command line)
    images: ImageMode = "copy",
    upright: bool = False,
    bit_depth: int = 16,
) -> WrittenDataset:
    """Write splits as a dataset that can be moved, unless its images are linked or left where they are.

    Kept are class names and their order, boxes to the last bit, `difficult`, `iscrowd`, `area`, COCO's category ids
    and image ids, and within COCO and within VOC all that the annotations say besides. Image files keep their names
    where these are different, fit for every system, and fit for lists.

    Args:
        splits: by `train`, `val` and `test`, all with the same classes.
        folder: new, or empty; nothing is left there if anything fails.
        format: of the annotations.
        images: `copy` their bytes, `link` to them by absolute symbolic links, or `none`: COCO and CSV then name the
            originals by their absolute paths.
        upright: write anew, upright and in 8-bit RGB, the images that are not plain upright 8-bit JPEGs or PNGs.
        bit_depth: bits that the samples of 16-bit images use, for those.

    Raises:
        ConfigError: Pascal VOC or YOLO without images, whose annotations cannot say where images are.
        DataError: the folder is in use, an image cannot be read or copied, or a name has no place in the format.
    """
    _check(splits, format, images)
    notes: list[str] = []
    splits = _with_fit_ids(splits, notes)
    names = next(iter(splits.values())).class_names
    with atomic_folder(folder) as root:
        references, image_notes = place_images(
            splits, root, format=format, images=images, upright=upright, bit_depth=bit_depth
        )
        notes += image_notes
        sources = _write_annotations(splits, references, _Output(root, {}, notes), format)
        category_ids = _common_category_ids(splits, notes)
        content: dict[str, Any] = {"path": ".", **sources, "names": list(names), "format": format}
        if category_ids is not None and format != "coco":
            content["category_ids"] = list(category_ids)
        if (root / _EXTRA).exists():
            content["extra"] = _EXTRA
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
        _write_text(root / "dataset.yaml", text)
    return WrittenDataset(
        yaml=folder / "dataset.yaml",
        images={name: len(split.images) for name, split in splits.items()},
        objects={name: len(split.images.objects) for name, split in splits.items()},
        notes=(*dict.fromkeys(notes), *_note_duplicates(splits)),
    )


def _check(splits: Mapping[str, Split], file_format: DatasetFormat, images: ImageMode) -> None:
    if images == "none" and file_format in ("voc", "yolo"):
        raise ConfigError(f"the annotations of {file_format} cannot say where images are; use --images link")
    names = next(iter(splits.values())).class_names
    if any(split.class_names != names for split in splits.values()):
        raise ConfigError("the splits have different classes; read them with the same class names")
    for name in names:
        if printable(name) != name:
            raise DataError(f"the class name {name!r} has characters that {file_format} cannot hold; rename the class")


def _with_fit_ids(splits: Mapping[str, Split], notes: list[str]) -> dict[str, Split]:
    """Splits whose image ids fit in a line of a file; a note says how many did not."""
    fit, changed = {}, 0
    for name, split in splits.items():
        ids = list(split.images.image_ids)
        fit_ids = [printable(image_id).strip() or "_" for image_id in ids]
        count = sum(one != other for one, other in zip(ids, fit_ids, strict=True))
        fit[name] = replace(split, images=replace(split.images, image_ids=StringArray(fit_ids))) if count else split
        changed += count
    if changed:
        notes.append(f"{changed} image ids had characters that no line of a file holds; they were replaced")
    return fit


class _Output(NamedTuple):
    """What the writers of all formats add to."""

    root: Path
    extra: dict[str, list[list[str]]]  # rows of the sidecar by image
    notes: list[str]


def _write_annotations(
    splits: Mapping[str, Split], references: Mapping[str, list[str]], output: _Output, file_format: DatasetFormat
) -> dict[str, str]:
    """Write the annotations and the sidecar; the source of each split for the YAML."""
    write = {"voc": _write_voc, "coco": _write_coco, "yolo": _write_yolo, "csv": _write_csv}[file_format]
    sources = {name: write(split, name, references[name], output) for name, split in splits.items()}
    if lost := _without_place(splits.values(), file_format):
        output.notes.append(f"{file_format} has no place for {lost}: left out")
    rows = [row for group in output.extra.values() for row in group]
    if rows:
        _write_text(output.root / _EXTRA, csv_text(EXTRA_COLUMNS, rows))
        ids = sum(not row[2] for row in rows)
        output.notes.append(
            f"{_EXTRA} keeps what {file_format} has no place for: {ids} image ids, flags or areas of "
            f"{len(rows) - ids} objects"
        )
    return sources


def _without_place(splits: Iterable[Split], file_format: DatasetFormat) -> str:
    """What annotations say that is lost in another format, and how many objects or images say so."""
    counts = Counter[tuple[str, str]]()
    for split in splits:
        if file_format != "coco":
            counts += fields_beyond_boxes(split.images)
        if file_format != "voc":
            counts += elements_beyond_boxes(split.images)
    shown = [f"{printable(key[:60])} ({count} {of})" for (key, of), count in counts.most_common(_SHOWN_FIELDS)]
    return ", ".join([*shown, *(["more"] if len(counts) > _SHOWN_FIELDS else [])])


def _write_yolo(split: Split, name: str, references: Sequence[str], output: _Output) -> str:
    (output.root / "labels" / name).mkdir(parents=True)
    for image, reference in zip(split.images, references, strict=True):
        own_id = PurePosixPath(reference).stem
        text = label_text(image.ground_truth, image.size_hw)
        _write_text(output.root / "labels" / name / f"{own_id}.txt", text)
        output.extra[reference] = list(extra_rows(image, reference, own_id=own_id, keeps_difficult=False))
    return f"images/{name}"


def _write_voc(split: Split, name: str, references: Sequence[str], output: _Output) -> str:
    (output.root / "Annotations").mkdir(exist_ok=True)
    changed = 0
    originals = VocOriginals(split.images)
    for place, (image, reference) in enumerate(zip(split.images, references, strict=True)):
        file = PurePosixPath(reference)
        boxes, count = voc_boxes(image.ground_truth, image.size_hw)
        image = replace(image, ground_truth=replace(image.ground_truth, boxes=boxes))
        if (original := originals.find(place)) is not None:
            text = copied_annotation(original, file.name, image, class_names=split.class_names)
        else:
            text = annotation_text(file.name, image.size_hw, image.ground_truth, class_names=split.class_names)
        _write_text(output.root / "Annotations" / f"{file.stem}.xml", text)
        output.extra[reference] = list(extra_rows(image, reference, own_id=file.stem, keeps_difficult=True))
        changed += count
    if changed:
        output.notes.append(
            f"{name}: {changed} boxes are less than a pixel wide or high, or less than 1e-7 pixels from the border; "
            "VOC has no such boxes, they are written as a pixel, and at the border"
        )
    listed = f"ImageSets/Main/{name}.txt"
    _write_text(output.root / listed, "".join(f"{PurePosixPath(reference).stem}\n" for reference in references))
    return listed


def _write_coco(split: Split, name: str, references: Sequence[str], output: _Output) -> str:
    from_coco = split.category_ids is not None
    image_ids, numbered = numbered_image_ids(list(split.images.image_ids), from_coco=from_coco)
    if numbered:
        output.notes.append("the images are numbered anew, as COCO's ids are numbers; their names are in file_name")
    content, notes = copied_content(
        split.images,
        [reference.removeprefix(f"images/{name}/") for reference in references],
        image_ids=image_ids,
        class_names=split.class_names,
        category_ids=split.category_ids or range(1, len(split.class_names) + 1),
    )
    output.notes.extend(notes)
    path = output.root / "annotations" / f"instances_{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(json_bytes(content))
    return f"annotations/{path.name}"


def _write_csv(split: Split, name: str, references: Sequence[str], output: _Output) -> str:
    rows = csv_rows(split.images, references, class_names=split.class_names)
    _write_text(output.root / f"{name}.csv", csv_text(COLUMNS, rows))
    return f"{name}.csv"


def _common_category_ids(splits: Mapping[str, Split], notes: list[str]) -> tuple[int, ...] | None:
    """COCO's ids of the classes, which one YAML has for all splits: those of the first that has any."""
    known = [split.category_ids for split in splits.values() if split.category_ids is not None]
    if any(ids != known[0] for ids in known):
        notes.append("the splits give classes different category ids; those of the first are kept")
    return known[0] if known else None


def _note_duplicates(splits: Mapping[str, Split]) -> list[str]:
    """Say how many objects readers will take for duplicates: boxes that were cut to the same one, for example."""
    duplicates = 0
    for split in splits.values():
        truth = split.images.objects
        marks = np.column_stack([split.images.image_index, truth.labels, truth.boxes, truth.iscrowd])
        duplicates += len(marks) - len(np.unique(marks, axis=0))
    note = f"{duplicates} objects have class and box of another one on their image; readers drop such duplicates"
    return [note] if duplicates else []


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(text, encoding="utf-8", errors=PERCENT, newline="\n")
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be written ({error.strerror or error})") from error


def require_outside(
    output: Path, data: Path, descriptor: DatasetDescriptor, splits: Iterable[Split], *, option: str
) -> None:
    """Raise a ConfigError if an output lies in the dataset itself.

    That is its folder, if it has the layout of a dataset, and every folder that images or annotations are read from. A
    YAML file that joins several datasets may have the output beside it.

    Args:
        output: folder to be written.
        data: what the user called the dataset.
        descriptor: of it.
        splits: as read.
        option: by which the output was named, for the message.
    """
    parents = {output.resolve(), *output.resolve().parents}
    folders = {Path(path).parent for split in splits for path in split.images.paths}
    folders |= {label_file_of(folder / "any.jpg").parent for folder in folders}
    sources = [_folder_of(source) for sources in descriptor.splits.values() for source in sources]
    folders.update(folder for folder in sources if folder is not None)
    if data.expanduser().is_dir():
        folders.add(data.expanduser())
    if _is_dataset(descriptor.root):
        folders.add(descriptor.root)
    inside = next((folder for folder in sorted(folders) if folder.resolve() in parents), None)
    if inside is not None:
        raise ConfigError(
            f"{option} {printable(output)} lies in the dataset ({printable(inside)}), which is never written to; "
            "name a folder outside of it"
        )


def _folder_of(source: SplitSource) -> Path | None:
    """The folder that is a source; None for a single file, which may lie anywhere."""
    if source.path.is_dir():
        return source.path
    lists = next((parent for parent in source.path.parents if parent.name == "ImageSets"), None)
    return lists.parent if lists is not None and source.format == "voc" else None


def _is_dataset(folder: Path) -> bool:
    """Whether a folder has the layout of a dataset; to have images somewhere below is not enough."""
    try:
        layout = recognise(folder)
    except DataError:
        return True  # a dataset in more than one way
    return layout is not None and all(source.path != folder for source in layout.splits.get("train", ()))
