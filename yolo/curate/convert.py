"""Writing a whole dataset into a new folder as Pascal VOC, COCO, YOLO or CSV, so that reading it gives the same again.

    dataset.yaml      names, splits, COCO's category ids          extra.csv    what VOC and YOLO have no place for
    VOC:   Annotations/ JPEGImages/ ImageSets/Main/SPLIT.txt      YOLO:  images/SPLIT/ labels/SPLIT/
    COCO:  annotations/instances_SPLIT.json images/SPLIT/         CSV:   SPLIT.csv images/SPLIT/

Left out: the texts of the formats (voc.py and its siblings), names of files (file_names.py).

Bringing the image files of a dataset to another place: copied, linked, or left where they are.

Left out: their names (file_names.py) and annotations (dataset.py). Originals are only ever read.

Names for copied image files: the old ones wherever possible, each once, none that leads anywhere else.

Left out: copying (images.py).

Where each image of a dataset goes that is being written, and bringing it there.

Left out: annotations (dataset.py).

The dataset is never written to: where the output of a data command may not be.

`gridyolo data convert`: read a dataset, write it in another format, say what was found and what was written.
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
import yaml
from PIL import ExifTags, Image, UnidentifiedImageError
from rich.console import Console

from yolo.config.data_commands import DataConvertConfig, DatasetFormat
from yolo.console import say
from yolo.data.classes import unknown_class_message
from yolo.data.find import recognise
from yolo.data.read import DatasetDescriptor, Split, SplitSource, find_dataset, read_split
from yolo.errors import ConfigError, DataError, printable
from yolo.files import atomic_folder, require_free
from yolo.formats.coco import coco_content, coco_image_ids
from yolo.formats.csv import COLUMNS, csv_rows, csv_text
from yolo.formats.objects import AnnotatedImages, Texts
from yolo.formats.paths import canonical_split, is_image_name
from yolo.formats.sidecar import EXTRA_COLUMNS, extra_rows
from yolo.formats.voc import annotation_text, can_be_xml, voc_boxes
from yolo.formats.yolo import label_file_of, label_text
from yolo.images import IMAGE_SUFFIXES, read_image, write_image
from yolo.structures import AnnotatedImage, GroundTruth

ImageMode = Literal["copy", "link", "none"]

_SUFFIX_OF_FORMAT = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}
_PNG_BIT_DEPTH_AT = 24  # byte of the file


def put_image(source: Path, target: Path, *, mode: Literal["copy", "link"]) -> None:
    """Copy an image's bytes, or link to it with an absolute path.

    Raises:
        DataError: it cannot be read, written or linked.
    """
    try:
        if mode == "copy":
            shutil.copyfile(source, target)
        else:
            target.symlink_to(source.absolute())
    except OSError as error:
        advice = "; use --images copy" if mode == "link" else ""
        raise DataError(
            f"{printable(source)}: cannot be {'copied' if mode == 'copy' else 'linked'} to {printable(target)} "
            f"({error.strerror or error}){advice}"
        ) from error


def put_upright(source: Path, target: Path) -> None:
    """Write the image upright in 8-bit RGB, in the format that the suffix of `target` says.

    Raises:
        ImageReadError: it cannot be decoded.
    """
    write_image(target, read_image(source))


def new_suffix(source: Path, *, encoded: bool) -> str:
    """The suffix that a file needs in place of its own; empty if it can keep that.

    Args:
        source: the image file.
        encoded: it is written anew, PNG as PNG and everything else as JPEG.
    """
    suffix = source.suffix.lower()
    if encoded:
        wanted = {".png"} if _format(source) == "PNG" else {".jpg", ".jpeg"}
        return "" if suffix in wanted else min(wanted, key=len)
    return "" if suffix in IMAGE_SUFFIXES else _SUFFIX_OF_FORMAT.get(_format(source), ".png")


def is_plain(path: Path) -> bool:
    """Whether every program shows the file as it is meant: an upright 8-bit JPEG or PNG, RGB or grey.

    True also for what is no image at all: there is nothing to turn.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF blocks; they are not kept
            with Image.open(path) as image:
                upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
                return image.format in ("JPEG", "PNG") and image.mode in ("RGB", "L") and upright and not _is_deep(path)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return True


def _is_deep(path: Path) -> bool:
    """Whether a PNG has 16 bits per channel, of which Pillow says nothing where there is colour."""
    with path.open("rb") as file:
        head = file.read(_PNG_BIT_DEPTH_AT + 1)
    return head.startswith(b"\x89PNG") and head[_PNG_BIT_DEPTH_AT] > 8


def _format(path: Path) -> str:
    try:
        with Image.open(path) as image:
            return image.format or ""
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""


def reference_of(path: Path) -> str:
    """An absolute path for an annotation file to refer to.

    Raises:
        DataError: the path is no Unicode, which no annotation file can hold.
    """
    text = Path(os.path.abspath(path)).as_posix()  # noqa: PTH100  (no links are resolved)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"{printable(path)}: is not Unicode, so no annotation can name it; rename it, or use --images link"
        ) from None
    return text


# A file system takes 255 bytes; the rest is room for a number and for another suffix.
_MOST_BYTES = 230
# What lists, Windows and JSON cannot hold: control characters, separators, bytes that are no Unicode.
_UNFIT_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]')


class FileNames:
    """Gives the images of one folder file names of their own.

    Two names are the same where they differ only in case or in how Unicode composes their letters: some file systems
    know no such difference.

    Args:
        apart_by_stem: names must differ before the suffix, for formats with an annotation file per image.
    """

    def __init__(self, *, apart_by_stem: bool) -> None:
        self._apart_by_stem = apart_by_stem
        self._taken: set[str] = set()
        self._next_number: dict[str, int] = {}

    def name_for(self, name: str, *, suffix: str = "") -> str:
        """A name that has not been given yet.

        Args:
            name: of the original file, without folder; anything is allowed.
            suffix: put in place of its own, such as `.jpg`.

        >>> names = FileNames(apart_by_stem=True)
        >>> names.name_for("a.jpg"), names.name_for("A.png"), names.name_for("../b", suffix=".png")
        ('a.jpg', 'A-2.png', '_.._b.png')
        """
        stem, own_suffix = fit_name(name)
        suffix = suffix or own_suffix
        key = self._key(stem, suffix)
        number = self._next_number.get(key, 1)
        numbered = stem
        while self._key(numbered, suffix) in self._taken:
            number += 1
            numbered = f"{stem}-{number}"
        self._next_number[key] = number
        self._taken.add(self._key(numbered, suffix))
        return numbered + suffix

    def _key(self, stem: str, suffix: str) -> str:
        name = stem if self._apart_by_stem else stem + suffix
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def fit_name(name: str) -> tuple[str, str]:
    """Stem and suffix of a file name that every format here can list.

    >>> fit_name("street 1.JPG"), fit_name("._a.jpg.png"), fit_name("photo")
    (('street 1', '.JPG'), ('_._a_jpg', '.png'), ('photo', ''))
    """
    stem, dot, suffix = name.rpartition(".")
    if not is_image_name(f"x{dot}{suffix}"):
        stem, dot, suffix = name, "", ""
    stem = _UNFIT_FILE_NAMES.sub("_", stem).strip().encode("utf-8")[:_MOST_BYTES].decode("utf-8", "ignore").rstrip()
    if stem.startswith(".") or not stem:
        stem = f"_{stem}"  # a hidden file is no image
    if is_image_name(stem):  # lists of Pascal VOC would lose the inner suffix
        stem = "_".join(stem.rsplit(".", 1))
    return stem, dot + suffix


class Placement(NamedTuple):
    """Where the images are.

    Attributes:
        references: by split the path of each image: below the root with forward slashes, or absolute.
        notes: how many were renamed or written anew.
    """

    references: Mapping[str, list[str]]
    notes: list[str]


def place_images(
    splits: Mapping[str, Split],
    root: Path,
    *,
    format: DatasetFormat,  # noqa: A002  (the word of the command line)
    images: ImageMode,
    upright: bool,
) -> Placement:
    """Copy or link the images of all splits below `root`, see `write_dataset`.

    Raises:
        DataError: an image cannot be read or copied, or its path cannot be written down.
    """
    if images == "none":
        return Placement(
            {name: [reference_of(Path(path)) for path in split.images.paths] for name, split in splits.items()}, []
        )
    counts: Counter[str] = Counter()
    references: dict[str, list[str]] = {}
    names = FileNames(apart_by_stem=True)
    placed: dict[tuple[str, Path], tuple[GroundTruth, str]] = {}
    for split_name, split in splits.items():
        folder = "JPEGImages" if format == "voc" else f"images/{split_name}"
        if format != "voc":
            names, placed = FileNames(apart_by_stem=format == "yolo"), {}
        (root / folder).mkdir(parents=True, exist_ok=True)
        references[split_name] = []
        for image in split.images:
            key = (image.image_id, image.path)
            if key not in placed or not _equal(placed[key][0], image.ground_truth):
                name = _bring(image, root / folder, names, images, upright=upright, counts=counts)
                placed[key] = (image.ground_truth, f"{folder}/{name}")
            references[split_name].append(placed[key][1])
    return Placement(references, [f"{count} images were {what}" for what, count in counts.items() if count])


def _bring(
    image: AnnotatedImage, folder: Path, names: FileNames, mode: ImageMode, *, upright: bool, counts: Counter[str]
) -> str:
    """Put an image into a folder; the name it has there."""
    anew = upright and not is_plain(image.path)
    name = names.name_for(image.path.name, suffix=new_suffix(image.path, encoded=anew))
    counts["renamed: their names were not fit for lists, or there are several"] += name != image.path.name
    if anew:
        counts["written anew, upright and in 8-bit RGB"] += 1
        put_upright(image.path, folder / name)
    else:
        put_image(image.path, folder / name, mode="link" if mode == "link" else "copy")
    return name


def _equal(one: GroundTruth, other: GroundTruth) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(GroundTruth))


_SPLITS = ("train", "val", "test")
_EXTRA = "extra.csv"
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class WrittenDataset:
    """What was written.

    Attributes:
        yaml: the `dataset.yaml`, by which the dataset is read.
        format: `voc`, `coco`, `yolo` or `csv`.
        images: their number by split.
        objects: their number by split.
        notes: what is to be known about it: new names, new ids, what could not be kept.
    """

    yaml: Path
    format: DatasetFormat
    images: Mapping[str, int]
    objects: Mapping[str, int]
    notes: tuple[str, ...]


def write_dataset(
    splits: Mapping[str, Split],
    folder: Path,
    *,
    format: DatasetFormat,  # noqa: A002  (the word of the command line)
    images: ImageMode = "copy",
    upright: bool = False,
) -> WrittenDataset:
    """Write splits as a dataset that can be moved, unless its images are linked or left where they are.

    Kept are class names and their order, boxes to the last bit, `difficult`, `iscrowd`, `area`, COCO's category ids
    and image ids. Image files keep their names where these are different, fit for every system, and fit for lists.

    Args:
        splits: by `train`, `val` and `test`, all with the same classes.
        folder: new, or empty; nothing is left there if anything fails.
        format: of the annotations.
        images: `copy` their bytes, `link` to them by absolute symbolic links, or `none`: COCO and CSV then name the
            originals by their absolute paths.
        upright: write anew, upright and in 8-bit RGB, the images that are not plain upright 8-bit JPEGs or PNGs.

    Raises:
        ConfigError: Pascal VOC or YOLO without images, whose annotations cannot say where images are.
        DataError: the folder is in use, an image cannot be read or copied, or a name has no place in the format.
    """
    folder = Path(folder)
    _check(splits, format, images, upright=upright)
    splits, own_notes = _with_fit_ids(splits)
    names = next(iter(splits.values())).class_names
    with atomic_folder(folder) as root:
        placed = place_images(splits, root, format=format, images=images, upright=upright)
        notes, sources = _write_annotations(splits, placed, root, format)
        category_ids, id_notes = _common_category_ids(splits)
        content: dict[str, Any] = {"path": ".", **sources, "names": list(names), "format": format}
        if category_ids is not None and format != "coco":
            content["category_ids"] = list(category_ids)
        if (root / _EXTRA).exists():
            content["extra"] = _EXTRA
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
        _write_text(root / "dataset.yaml", text)
    return WrittenDataset(
        yaml=folder / "dataset.yaml",
        format=format,
        images={name: len(split.images) for name, split in splits.items()},
        objects={name: len(split.images.objects) for name, split in splits.items()},
        notes=(*own_notes, *placed.notes, *notes, *id_notes, *_note_twins(splits)),
    )


def _check(splits: Mapping[str, Split], file_format: DatasetFormat, images: ImageMode, *, upright: bool) -> None:
    unknown = [name for name in splits if name not in _SPLITS]
    if unknown or not splits:
        raise ConfigError(f"a dataset is written in the parts {', '.join(_SPLITS)}, not {list(splits)}")
    if images == "none" and file_format in ("voc", "yolo"):
        raise ConfigError(f"the annotations of {file_format} cannot say where images are; use --images link")
    if upright and images != "copy":
        raise ConfigError(f"images that are turned upright are written anew: use images copy, not {images}")
    names = next(iter(splits.values())).class_names
    if any(split.class_names != names for split in splits.values()):
        raise ConfigError("the splits have different classes; read them with the same class names")
    for name in names:
        lines = file_format == "csv" and len(name.splitlines()) > 1
        if printable(name) != name or lines or (file_format == "voc" and not can_be_xml(name)):
            raise DataError(f"the class name {name!r} has characters that {file_format} cannot hold; rename the class")


def _with_fit_ids(splits: Mapping[str, Split]) -> tuple[dict[str, Split], list[str]]:
    """Splits whose image ids fit in a line of a file, and how many did not."""
    fit, changed = {}, 0
    for name, split in splits.items():
        ids = list(split.images.image_ids)
        fit_ids = [_UNFIT.sub("_", printable(image_id)).strip() or "_" for image_id in ids]
        count = sum(one != other for one, other in zip(ids, fit_ids, strict=True))
        fit[name] = replace(split, images=replace(split.images, image_ids=Texts(fit_ids))) if count else split
        changed += count
    return fit, [f"{changed} image ids had characters that no line of a file holds; they were replaced"] * bool(changed)


def _write_annotations(
    splits: Mapping[str, Split], placed: Placement, root: Path, file_format: DatasetFormat
) -> tuple[list[str], dict[str, str]]:
    """Notes, and the source of each split for the YAML."""
    write = {"voc": _write_voc, "coco": _write_coco, "yolo": _write_yolo, "csv": _write_csv}[file_format]
    extra: dict[str, list[list[str]]] = {}
    notes: list[str] = []
    sources = {name: write(split, name, placed.references[name], root, extra, notes) for name, split in splits.items()}
    rows = [row for group in extra.values() for row in group]
    if rows:
        _write_text(root / _EXTRA, csv_text(EXTRA_COLUMNS, rows))
        ids = sum(not row[2] for row in rows)
        notes.append(
            f"{_EXTRA} keeps what {file_format} has no place for: {ids} image ids, flags or areas of "
            f"{len(rows) - ids} objects"
        )
    return list(dict.fromkeys(notes)), sources


_Extra = dict[str, list[list[str]]]  # rows by image


def _write_yolo(
    split: Split, name: str, references: Sequence[str], root: Path, extra: _Extra, _notes: list[str]
) -> str:
    (root / "labels" / name).mkdir(parents=True)
    for image, reference in _pairs(split, references):
        path = root / "labels" / name / f"{PurePosixPath(reference).stem}.txt"
        _write_text(path, label_text(image.ground_truth, image.size_hw))
        own_id = PurePosixPath(reference).stem
        extra[reference] = list(extra_rows(image, reference, own_id=own_id, keeps_difficult=False))
    return f"images/{name}"


def _write_voc(split: Split, name: str, references: Sequence[str], root: Path, extra: _Extra, notes: list[str]) -> str:
    (root / "Annotations").mkdir(exist_ok=True)
    changed = 0
    for image, reference in _pairs(split, references):
        file = PurePosixPath(reference)
        boxes, count = voc_boxes(image.ground_truth, image.size_hw)
        image = replace(image, ground_truth=replace(image.ground_truth, boxes=boxes))
        text = annotation_text(file.name, image.size_hw, image.ground_truth, class_names=split.class_names)
        _write_text(root / "Annotations" / f"{file.stem}.xml", text)
        extra[reference] = list(extra_rows(image, reference, own_id=file.stem, keeps_difficult=True))
        changed += count
    if changed:
        notes.append(
            f"{name}: {changed} boxes are less than a pixel wide or high, or less than 1e-7 pixels from the border; "
            "VOC has no such boxes, they are written as a pixel, and at the border"
        )
    listed = f"ImageSets/Main/{name}.txt"
    _write_text(root / listed, "".join(f"{PurePosixPath(reference).stem}\n" for reference in references))
    return listed


def _write_coco(
    split: Split, name: str, references: Sequence[str], root: Path, _extra: _Extra, notes: list[str]
) -> str:
    from_coco = split.category_ids is not None
    image_ids, numbered = coco_image_ids(list(split.images.image_ids), from_coco=from_coco)
    if numbered:
        notes.append("the images are numbered anew, as COCO's ids are numbers; their names are in file_name")
    content = coco_content(
        split.images,
        references,
        image_ids=image_ids,
        class_names=split.class_names,
        category_ids=split.category_ids or range(1, len(split.class_names) + 1),
    )
    path = root / "annotations" / f"instances_{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps(content))
    return f"annotations/{path.name}"


def _write_csv(
    split: Split, name: str, references: Sequence[str], root: Path, _extra: _Extra, _notes: list[str]
) -> str:
    rows = csv_rows(split.images, references, class_names=split.class_names)
    _write_text(root / f"{name}.csv", csv_text(COLUMNS, rows))
    return f"{name}.csv"


def _pairs(split: Split, references: Sequence[str]) -> Iterator[tuple[AnnotatedImage, str]]:
    return zip(split.images, references, strict=True)


def _common_category_ids(splits: Mapping[str, Split]) -> tuple[tuple[int, ...] | None, list[str]]:
    """COCO's ids of the classes, which one YAML has for all splits: those of the first that has any."""
    known = [split.category_ids for split in splits.values() if split.category_ids is not None]
    if not known:
        return None, []
    differ = any(ids != known[0] for ids in known)
    return known[0], ["the splits give classes different category ids; those of the first are kept"] * differ


def _note_twins(splits: Mapping[str, Split]) -> list[str]:
    """Say how many objects readers will take for duplicates: boxes that were cut to the same one, for example."""
    twins = 0
    for split in splits.values():
        truth = split.images.objects
        marks = np.column_stack([split.images.image_index, truth.labels, truth.boxes, truth.iscrowd])
        twins += len(marks) - len(np.unique(marks, axis=0))
    return [f"{twins} objects have class and box of another one on their image; readers drop such duplicates"] * bool(
        twins
    )


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be written ({error.strerror or error})") from error


def require_outside(
    output: Path, data: Path, descriptor: DatasetDescriptor, splits: Iterable[Split], *, option: str
) -> None:
    """See that an output does not lie in the dataset itself.

    That is its folder, where that is one by its layout, and every folder that images or annotations are read from. A
    YAML file that joins several datasets may well have the output beside it.

    Args:
        output: folder to be written.
        data: what the user called the dataset.
        descriptor: of it.
        splits: as read.
        option: by which the output was named, for the message.

    Raises:
        ConfigError: it does.
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


_WRITTEN = ("train", "val", "test")


def convert(config: DataConvertConfig, console: Console) -> WrittenDataset:
    """Write a dataset, or a split of it, in another format; the original is only read.

    Args:
        config: see `DataConvertConfig`.
        console: where to print.

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
        say(console, *split.account.summary_lines())
        splits[name] = split
    require_outside(output, Path(config.data), descriptor, splits.values(), option="--output")
    if config.classes:
        wanted = tuple(name.strip() for name in config.classes.split(","))
        splits = {name: keep_classes(split, wanted) for name, split in splits.items()}
    if "coco" in descriptor.formats:
        notes.append("segmentation and key points are not read, so they are not written")
    written = write_dataset(splits, output, format=config.format, images=config.images)
    say(console, *(f"note: {note}" for note in (*notes, *written.notes)))
    for name, count in written.images.items():
        say(console, f"{name}: {count} images, {written.objects[name]} objects written as {written.format}")
    say(console, f"dataset: {printable(written.yaml)}")
    return written


def keep_classes(split: Split, names: Sequence[str]) -> Split:
    """The split with the objects of some classes alone, labels in the order of `names`; all images stay.

    Raises:
        ConfigError: a name comes twice, or is no class of the split.
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
    names = {name: name for name in descriptor.splits if name in _WRITTEN}
    rest = [name for name in descriptor.splits if name not in names]
    if "train" in names:
        notes += [f"{name} is left out; --split {name} writes it alone" for name in rest]
    elif rest:
        raise DataError(
            f"{printable(descriptor.root)}: has {', '.join(descriptor.splits)}, and no train; "
            f"name one of them, such as --split {rest[0]}"
        )
    return names
