"""YOLO text labels: one `.txt` per image, one object per line, `class cx cy w h` as fractions of the image.

A polygon line, `class x1 y1 x2 y2 x3 y3 ...`, gives the box around it. An empty or absent file is a background
image. Left out: key points, oriented boxes, writing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from yolo.data.account import DataAccount, printable
from yolo.data.cleaning import Box, RawObject, clean_objects
from yolo.data.listing import find_images, is_file, is_image_name, path_id, read_lines, read_text, size_or_drop
from yolo.errors import DataError
from yolo.structures import AnnotatedImage

_BOX_COLUMNS, _PREDICTION_COLUMNS, _POLYGON_COLUMNS = 5, 6, 7
# Fractions may overshoot the border a little; from here on they are something else, most likely pixels.
_LARGEST_FRACTION = 2.0
_MOST_NAMELESS_CLASSES = 10_000


class YoloEntry(NamedTuple):
    """One image and its label file, which need not exist."""

    image_id: str
    image: Path
    label_file: Path


class _LineError(ValueError):
    """What is wrong with a line: (kind of issue, message)."""


def list_yolo(source: Path, root: Path) -> list[YoloEntry]:
    """The images of a folder, or of a list file with one path per line, and the label file of each.

    Args:
        source: folder, searched with all folders in it, or a `.txt` list.
        root: of the dataset; paths in a list are relative to the list's folder, else to `root`, else to the
            working directory.
    """
    if source.is_dir():
        return [YoloEntry(path_id(path, source), path, label_file_of(path)) for path in find_images(source)]
    lines = read_lines(source)
    if lines and not any(is_image_name(Path(line).name) for line in lines):
        raise DataError(f"{printable(source)}: lists no images; its first line is {lines[0][:60]!r}")
    images = [_listed_image(line, (source.parent, root, Path.cwd())) for line in lines]
    return [YoloEntry(_list_id(path, root), path, label_file_of(path)) for path in images]


def label_file_of(image: Path) -> Path:
    """The label file of an image: the last folder `images` becomes `labels`; failing that, beside the image.

    >>> label_file_of(Path("a/images/train/x.jpg")).as_posix()
    'a/labels/train/x.txt'
    """
    beside = image.parent / f"{image.stem}.txt"
    folders = list(beside.parts[:-1])
    if "images" not in folders:
        return beside
    last = len(folders) - 1 - folders[::-1].index("images")
    apart = Path(*folders[:last], "labels", *folders[last + 1 :], beside.name)
    return beside if is_file(beside) and not is_file(apart) else apart


def read_yolo_image(entry: YoloEntry, *, labels: Sequence[int | None], account: DataAccount) -> AnnotatedImage | None:
    """Read one image's labels.

    Args:
        entry: from `list_yolo`.
        labels: for each class id of the files the label it gets; None if that class is not wanted.
        account: receives every issue.

    Returns:
        None if the image is missing or unreadable, or its label file is.
    """
    size_hw = size_or_drop(entry.image, account)
    if size_hw is None:
        return None
    text = ""
    if entry.label_file.exists():
        try:
            text = read_text(entry.label_file)
        except DataError as error:
            account.drop_image(entry.image, "annotation_unreadable", str(error))
            return None
    else:
        account.miss_label_file(entry.label_file)
    objects = parse_labels(text, size_hw, labels=labels, path=entry.label_file, account=account)
    truth = clean_objects(objects, size_hw, path=entry.label_file, account=account)
    account.keep_image(len(truth))
    return AnnotatedImage(entry.image_id, entry.image, size_hw, truth)


def parse_labels(
    text: str,
    size_hw: tuple[int, int],
    *,
    labels: Sequence[int | None],
    path: Path,
    account: DataAccount,
) -> list[RawObject]:
    """The objects in the text of a label file; a line that cannot be used is dropped and counted.

    Args:
        text: of the whole file.
        size_hw: height and width of the image in pixels.
        labels: see `read_yolo_image`.
        path: the label file, for messages.
        account: receives every issue.
    """
    height, width = size_hw
    objects = []
    for where, columns in _lines(text):
        try:
            class_id, (x1, y1, x2, y2) = _parse_columns(columns)
            label = _label(class_id, labels)
        except _LineError as fault:
            account.drop_object(path, where, *fault.args)
            continue
        objects.append(RawObject(where, label, (x1 * width, y1 * height, x2 * width, y2 * height)))
    return objects


def nameless_classes(entries: Iterable[YoloEntry]) -> tuple[str, ...]:
    """`class0`, `class1`, ... up to the largest class id in the label files, for data without names.

    Raises:
        DataError: there are no objects, or the largest id is beyond any real class list.
    """
    largest, place = -1, ""
    for entry in entries:
        if not entry.label_file.exists():
            continue
        try:
            text = read_text(entry.label_file)
        except DataError:
            continue  # reading the images reports it
        for where, columns in _lines(text):
            try:
                class_id, _ = _parse_columns(columns)
            except _LineError:
                continue
            if class_id > largest:
                largest, place = class_id, f"{printable(entry.label_file)}, {where}"
    if largest < 0:
        raise DataError("no label file has an object, so the classes are not known; name them in a dataset YAML")
    if largest >= _MOST_NAMELESS_CLASSES:
        raise DataError(f"{place}: class id {largest}; if it is meant, name the classes in a dataset YAML")
    return tuple(f"class{class_id}" for class_id in range(largest + 1))


def _lines(text: str) -> Iterable[tuple[str, list[str]]]:
    """Where and what for each line that is not blank; the same line ends, and numbers, as in an editor."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return ((f"line {number}", line.split()) for number, line in enumerate(lines, start=1) if line.split())


def _parse_columns(columns: list[str]) -> tuple[int, Box]:
    """Class id and normalised xyxy box of a line, or a `_LineError`."""
    count = len(columns)
    if count == _PREDICTION_COLUMNS:
        raise _LineError(
            "confidence_column", "6 columns: looks like a prediction with confidence; labels have 5 columns"
        )
    polygon = count >= _POLYGON_COLUMNS and count % 2 == 1
    if count != _BOX_COLUMNS and not polygon:
        message = f"{count} columns; expected 5 (class cx cy w h), or 7, 9, ... for a polygon (class x1 y1 ...)"
        raise _LineError("wrong_columns", message)
    class_value, *values = _numbers(columns)
    if not class_value.is_integer():
        raise _LineError("class_not_integer", f"class id {columns[0]!r} is not a whole number")
    if all(map(math.isfinite, values)) and max(map(abs, values)) >= _LARGEST_FRACTION:
        message = f"{max(values, key=abs):.6g} is not a fraction of the image; are these pixels?"
        raise _LineError("not_normalised", message)
    if polygon:
        xs, ys = values[0::2], values[1::2]
        box = (min(xs), min(ys), max(xs), max(ys)) if all(map(math.isfinite, values)) else (math.nan,) * 4
    else:
        cx, cy, w, h = values
        box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return int(class_value), box


def _numbers(columns: list[str]) -> list[float]:
    try:
        if any("_" in column for column in columns):  # Python reads 1_0 as 10
            raise ValueError
        return [float(column) for column in columns]
    except ValueError:
        shown = " ".join(columns)
        raise _LineError("unparsable", f"{shown[:60]!r} is not a row of numbers") from None


def _label(class_id: int, labels: Sequence[int | None]) -> int:
    if not 0 <= class_id < len(labels):
        raise _LineError("class_out_of_range", f"class id {class_id} is not in 0..{len(labels) - 1}")
    label = labels[class_id]
    if label is None:
        raise _LineError("unknown_class", f"class id {class_id} stands for a class that is not wanted here")
    return label


def _listed_image(line: str, folders: Sequence[Path]) -> Path:
    """The file a line of a list means: the first that exists, else the first place."""
    places = [folder / line.replace("\\", "/") for folder in folders]
    return next((place for place in places if is_file(place)), places[0])


def _list_id(image: Path, root: Path) -> str:
    """Id of a listed image: its path below the last folder `images`, else below the root."""
    folders = image.parts[:-1]
    if "images" in folders:
        last = len(folders) - 1 - folders[::-1].index("images")
        return path_id(image, Path(*folders[: last + 1]))
    return path_id(image, root)
