"""YOLO text files: one `.txt` per image, one object per line, `class cx cy w h` as fractions of the image.

A polygon line, `class x1 y1 x2 y2 x3 y3 ...`, gives the box around it; what follows a `#` is a comment; an empty or
absent file is a background image. Left out: detections (yolo_results.py), key points, oriented boxes; what the format
has no place for (sidecar.py).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.arrays import Float64
from yolo.errors import DataError, printable, shown
from yolo.formats.image_names import files_by_ends, note_of_ends, plain_name
from yolo.formats.issues import Box, LineFault, ReadReport
from yolo.formats.objects import RawSource, object_columns, sizes_array
from yolo.formats.paths import (
    LARGEST_FRACTION,
    LARGEST_LABEL_FILE,
    NO_LABEL_FILE,
    ImageSizes,
    Listings,
    around_last,
    find_images,
    find_text_files,
    is_file,
    is_folder,
    is_image_name,
    named_file,
    path_id,
    read_lines,
    read_text,
)
from yolo.formats.values import float32, number, number_text, shortest_float32
from yolo.structures import GroundTruth

_BOX_COLUMNS, _PREDICTION_COLUMNS, _POLYGON_COLUMNS = 5, 6, 7
_MOST_NAMELESS_CLASSES = 10_000
_ANY_CLASS = math.inf
_MOST_DECIMALS = 17
_COMMENT = re.compile("#[^\n]*")
_SEPARATED = re.compile(r"\d+[,;]")
_DECIMAL_COMMA = re.compile(r"-?\d*,\d+(e-?\d+)?")
# Numbers at the border may be off by this many pixels, and are shorter for it.
_CUT_OFF = 1e-4


class YoloEntry(NamedTuple):
    """One image and its label file, which need not exist."""

    image_id: str
    image: str
    label_file: Path


class _LineError(ValueError):
    """What is wrong with a line: (kind of issue, message)."""


def names_beside(folder: Path) -> tuple[str, ...] | None:
    """Class names of a YOLO tree that stand one per line in `classes.txt` or a `.names` file."""
    places = [*sorted(folder.glob("*.names")), folder / "classes.txt", folder / "labels" / "classes.txt"]
    found = next((place for place in places if is_file(place)), None)
    return None if found is None else read_names(found)


def read_names(path: Path) -> tuple[str, ...] | None:
    """The class names in a file that has one per line; None where it is empty, DataError where it has one twice."""
    names = tuple(map(printable, read_lines(path)))
    if len(set(names)) != len(names):
        raise DataError(f"{printable(path)}: has a class name more than once")
    return names or None


def list_yolo(
    source: Path, root: Path, image_dir: Path | None = None, *, report: ReadReport | None = None
) -> list[YoloEntry]:
    """The images of a folder, or of a list file with one path per line, and the label file of each.

    Args:
        source: folder, searched with all folders in it, or a `.txt` list.
        root: of the dataset; paths in a list are relative to the list's folder, else to `root`, else to the
            working directory. A list of which no image is there so is one of another place: images are then found
            below these folders by the ends of their paths.
        image_dir: the folder of the images, where `source` is that of the label files.
        report: gets a note where images are not found by their paths as they stand.
    """
    if image_dir is not None:
        return [
            YoloEntry(
                path_id(path, image_dir), os.fspath(path), source / path.relative_to(image_dir).with_suffix(".txt")
            )
            for path in find_images(image_dir)
        ]
    if source.is_dir():
        images = [(path_id(path, source), path, "") for path in find_images(source)]
    else:
        images = [(_list_id(path, root), path, moved) for path, moved in _listed_images(source, root, report)]
    listings = Listings()
    entries = [YoloEntry(own, os.fspath(path), label_file_of(path, listings=listings)) for own, path, _ in images]
    return [
        entry
        if not moved or listings.has_file(os.fspath(entry.label_file))
        else _with_label(entry, moved, source, root)
        for entry, (_, _, moved) in zip(entries, images, strict=True)
    ]


def _with_label(entry: YoloEntry, line: str, source: Path, root: Path) -> YoloEntry:
    """An image that is not where a list says, with the label file that is: CVAT exports them without images."""
    parts = Path(plain_name(line)).parts
    tails = [Path(*parts[start:]) for start in range(len(parts))]
    places = (label_file_of(folder / tail) for tail in tails for folder in (source.parent, root))
    found = next(filter(is_file, places), None)
    return entry if found is None else entry._replace(label_file=found)


def list_labels(folder: Path, *, images: Path | None, report: ReadReport) -> list[YoloEntry]:
    """The images of a folder of label files, for an evaluation.

    Args:
        folder: of the label files.
        images: of the image files; None for the usual places: `images` in the place of `labels`, the same folder.
        report: gets label files without an image.

    Raises:
        DataError: there are no label files, or no images at any of the places.
    """
    labels = find_text_files(folder)
    if not labels:
        raise DataError(f"{printable(folder)}: has no label files (.txt)")
    places = [images] if images is not None else _likely_images(folder.absolute())
    found = next((place for place in places if is_folder(place) and find_images(place)), None)
    if found is None:
        tried = "".join(f"\n  {printable(place)}" for place in places)
        raise DataError(
            f"{printable(folder)}: its label files hold fractions of the image, so the images are needed for their "
            f"sizes, and there are none; looked in{tried}\nSay where they are with --images"
        )
    entries = list_yolo(folder, folder, found)
    known = {os.fspath(entry.label_file) for entry in entries}
    lost = [path for path in labels if os.fspath(path) not in known]
    if len(lost) == len(labels):
        raise DataError(
            f"{printable(folder)}: not one of its {len(labels)} label files has an image of the same name in "
            f"{printable(found)}; say where the images are with --images"
        )
    text = "a label file has no image of its name: its objects, fractions of an unknown size, are left out"
    if lost:
        report.warn("label_file_without_image", text, *map(str, lost[:5]), count=len(lost))
    return entries


def _likely_images(folder: Path) -> list[Path]:
    places = [folder, folder / "images", folder.parent / "images"]
    if (around := around_last(folder / "x", "labels")) is not None:
        places.insert(0, around[0] / "images" / around[1].parent)
    return places


def label_file_of(image: Path, *, listings: Listings | None = None) -> Path:
    """The label file of an image: the last folder `images` becomes `labels`; failing that, beside the image.

    Where there is no folder `images`, `JPEGImages` is one, as for darknet, which trains so on VOC.

    >>> label_file_of(Path("a/images/train/x.jpg")).as_posix()
    'a/labels/train/x.txt'
    """
    beside = image.parent / f"{image.stem}.txt"
    around = around_last(beside, "images") or around_last(beside, "JPEGImages")
    if around is None:
        return beside
    apart = around[0] / "labels" / around[1]
    has = (listings or Listings()).has_file
    return beside if has(os.fspath(beside)) and not has(os.fspath(apart)) else apart


def read_yolo(
    entries: Sequence[YoloEntry], *, class_names: Sequence[str], sizes: ImageSizes, key_points: int = 0
) -> RawSource:
    """What is annotated on some images, each given once; `sizes` has the report.

    `key_points` are the numbers of key points after each box, which are not read.

    An image whose label file is there but cannot be read is left out: it must not pass for background.
    """
    report, listings = sizes.report, Listings()
    kept: list[YoloEntry] = []
    found: list[tuple[int, int]] = []
    tables: list[Float64] = [np.zeros((0, 10))]
    first_image: dict[Path, str] = {}
    for entry in entries:
        place = sizes.find(entry.image, fractions=True)
        if place is None:
            continue
        text = ""
        if listings.has(os.fspath(entry.label_file)):
            try:
                text = read_text(entry.label_file, limit=LARGEST_LABEL_FILE)
            except DataError as error:
                message = str(error).removeprefix(f"{printable(entry.label_file)}: ")
                report.drop_image(entry.label_file, "annotation_unreadable", message, image=entry.image)
                continue
            _report_shared(entry, first_image, report)
        else:
            report.add_issue(entry.label_file, "", "label_file_missing", NO_LABEL_FILE, image=entry.image)
        rows, faults = parse_labels(text, num_classes=len(class_names), key_points=key_points)
        for line, kind, message in faults:
            report.drop_object(entry.label_file, f"line {line}", kind, message, image=entry.image)
        tables.append(_table(rows, place[1], len(kept)))
        kept.append(entry)
        found.append(place[1])
    objects, numbers = object_columns(np.concatenate(tables))
    return RawSource(
        image_ids=[entry.image_id for entry in kept],
        paths=[entry.image for entry in kept],
        sizes_hw=sizes_array(found),
        objects=objects,
        numbers=numbers,
        class_names=tuple(class_names),
        place=lambda image, number: (os.fspath(kept[image].label_file), f"line {number}"),
    )


def _report_shared(entry: YoloEntry, first_image: dict[Path, str], report: ReadReport) -> None:
    first = first_image.setdefault(entry.label_file, entry.image)
    if first != entry.image:
        message = f"is the label file of {Path(first).name} and of {Path(entry.image).name}; both get its objects"
        report.add_issue(entry.label_file, "", "shared_label_file", message, image=entry.image)


def _table(rows: Float64, size_hw: tuple[int, int], image: int) -> Float64:
    """Rows of `RawObject` from rows of `parse_labels`."""
    height, width = size_hw
    table = np.zeros((len(rows), 10))
    with np.errstate(over="ignore", invalid="ignore"):
        table[:, :4] = rows[:, 2:] * (width, height, width, height)
    table[:, 4] = rows[:, 1]
    table[:, 5] = image
    table[:, 6] = rows[:, 0]
    table[:, 9] = np.nan
    return table


def parse_labels(text: str, *, num_classes: float, key_points: int = 0) -> tuple[Float64, list[LineFault]]:
    """The objects in the text of a label file.

    Args:
        text: of the whole file, lines end in line feeds.
        num_classes: class ids are 0 to this, exclusive.
        key_points: numbers of key points after each box, which are not read; without them a longer line is a polygon.

    Returns:
        A row for each object: number of the line, class id, xyxy in fractions of the image; and the lines that
        cannot be used.
    """
    if "#" in text:
        text = _COMMENT.sub("", text)
    lines = _lines(text)
    if key_points:
        count = _BOX_COLUMNS + key_points
        lines = [(line, own[:_BOX_COLUMNS] if len(own) == count else own) for line, own in lines]
    rows = _parse_plain(lines, num_classes)
    if rows is not None:
        return rows, []
    faults, parsed = [], []
    for line, columns in lines:
        try:
            class_id, box = _parse_columns(columns)
            if not 0 <= class_id < num_classes:
                raise _LineError("class_out_of_range", f"class id {class_id:.0f} is not in 0..{num_classes - 1}")
            parsed.append((line, class_id, *box))
        except _LineError as fault:
            faults.append(LineFault(line, *fault.args))
    return np.asarray(parsed, np.float64).reshape(-1, 6), faults


def _parse_plain(lines: Sequence[tuple[int, list[str]]], num_classes: float) -> Float64 | None:
    """The rows if every line is a good `class cx cy w h`, at a fraction of the cost; else None."""
    fields = list(chain.from_iterable(columns for _, columns in lines))
    if not all(len(columns) == _BOX_COLUMNS for _, columns in lines) or any("_" in field for field in fields):
        return None
    try:
        values = np.asarray(list(map(float, fields)), np.float64).reshape(-1, _BOX_COLUMNS)
    except ValueError:
        return None
    classes = values[:, 0]
    good = (classes == np.floor(classes)) & (classes >= 0) & (classes < num_classes)
    if not (good.all() and (np.abs(values[:, 1:]) < LARGEST_FRACTION).all()):
        return None
    numbers = np.asarray([number for number, _ in lines], np.float64)
    return np.column_stack([numbers, classes, corners_of(values[:, 1:])])


def nameless_classes(entries: Iterable[YoloEntry]) -> tuple[str, ...]:
    """`class0`, `class1`, ... up to the largest class id in the label files, for data without names.

    Raises:
        DataError: the largest id is beyond any real class list.
    """
    largest, place = -1.0, ""
    for entry in entries:
        try:
            text = read_text(entry.label_file, limit=LARGEST_LABEL_FILE) if is_file(entry.label_file) else ""
        except DataError:
            continue  # reading the images reports it
        rows, _ = parse_labels(text, num_classes=_ANY_CLASS)
        if len(rows) and rows[:, 1].max() > largest:
            row = rows[rows[:, 1].argmax()]
            largest, place = float(row[1]), f"{printable(entry.label_file)}, line {row[0]:.0f}"
    if largest >= _MOST_NAMELESS_CLASSES:
        raise DataError(f"{place}: class id {largest:.0f}; if it is meant, name the classes in a dataset YAML")
    return tuple(f"class{class_id}" for class_id in range(int(largest) + 1))


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """Number and columns of each line that is not blank."""
    return [(number, columns) for number, line in enumerate(text.split("\n"), start=1) if (columns := line.split())]


def _parse_columns(columns: list[str]) -> tuple[float, Box]:
    """Class id and normalised xyxy box of a line, or a `_LineError`."""
    if _SEPARATED.match(columns[0]) and (len(columns) == 1 or columns[0][-1] in ",;"):
        mark = columns[0].lstrip("0123456789")[0]
        raise _LineError("wrong_columns", f"the columns are separated by {mark!r}; in a label file they are by spaces")
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
        raise _LineError("class_not_integer", f"class id {shown(columns[0])} is not a whole number")
    if all(map(math.isfinite, values)) and max(map(abs, values)) >= LARGEST_FRACTION:
        message = f"{max(values, key=abs):.6g} is not a fraction of the image; are these pixels?"
        raise _LineError("not_normalised", message)
    if polygon:
        xs, ys = values[0::2], values[1::2]
        box = (min(xs), min(ys), max(xs), max(ys)) if all(map(math.isfinite, values)) else (math.nan,) * 4
    else:
        cx, cy, w, h = values
        box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return class_value, box


def _numbers(columns: list[str]) -> list[float]:
    values = [value for column in columns if (value := number(column)) is not None]
    if len(values) < len(columns):
        odd = [column for column in columns if number(column) is None]
        if all(map(_DECIMAL_COMMA.fullmatch, odd)):
            raise _LineError("unparsable", f"{odd[0][:60]!r} has a decimal comma; write decimal points")
        raise _LineError("unparsable", f"{' '.join(columns)[:60]!r} is not a row of numbers")
    return values


def _listed_images(source: Path, root: Path, report: ReadReport | None) -> list[tuple[Path, str]]:
    """The files that the lines of a list mean: the first place that exists, else the first place.

    Beside each stands the line where the file is found by the end of its path, or else "".
    """
    folders = (source.parent, root, Path.cwd())
    lines = read_lines(source, means=lambda line: any(is_file(named_file(folder, line)) for folder in folders))
    if lines and not any(is_image_name(line.rpartition("/")[2]) for line in lines):
        raise DataError(f"{printable(source)}: lists no images; its first line is {shown(lines[0])}")
    places = [[Path(named_file(folder, line)) for folder in folders] for line in lines]
    listed = [next((place for place in own if is_file(place)), None) for own in places]
    if not any(listed):
        for folder in dict.fromkeys(folders[:2]):
            if found := files_by_ends(lines, folder):
                if report is not None:
                    report.notes.append(note_of_ends(source, found))
                return [(Path(found.get(line, own[0])), line) for line, own in zip(lines, places, strict=True)]
    return [(own[0] if path is None else path, "") for path, own in zip(listed, places, strict=True)]


def is_image_list(path: Path) -> bool:
    """Whether the first line of a text file names an image; False for what cannot be read."""
    try:
        lines = read_lines(path)
    except DataError:
        return False
    return bool(lines) and is_image_name(lines[0].replace("\\", "/").rpartition("/")[2])


def _list_id(image: Path, root: Path) -> str:
    """Id of a listed image: its path below the last folder `images`, else below the root."""
    around = around_last(image, "images")
    return path_id(image, root if around is None else around[0] / "images")


def corners_of(boxes: Float64) -> Float64:
    """(K, 4) corners of centres and sides."""
    centres, sides = boxes[:, :2], boxes[:, 2:]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate((centres - sides / 2, centres + sides / 2), axis=1)


def label_text(truth: GroundTruth, size_hw: tuple[int, int], *, scores: Sequence[float] | None = None) -> str:
    """The label file of one image; no text for a background.

    Numbers have as few decimals as bring the float32 corners back exactly. A corner less than a millionth of a pixel
    from the border may come back a billionth of a pixel off.

    Args:
        truth: boxes in pixels within the image.
        size_hw: height and width of the image in pixels.
        scores: float32 of each object, where these are detections; a sixth column.
    """
    height, width = size_hw
    lines = []
    for row, (label, (x1, y1, x2, y2)) in enumerate(zip(truth.labels.tolist(), truth.boxes.tolist(), strict=True)):
        (cx, w), (cy, h) = _centre_and_size(x1, x2, width), _centre_and_size(y1, y2, height)
        score = () if scores is None else (shortest_float32(scores[row]),)
        lines.append(f"{label} {' '.join(map(number_text, (cx, cy, w, h, *score)))}\n")
    return "".join(lines)


def _centre_and_size(first: float, last: float, side: int) -> tuple[float, float]:
    """Centre and size in fractions of the image, with the same number of decimals."""
    exact = (first + last) / 2 / side, (last - first) / side
    for decimals in range(1, _MOST_DECIMALS):
        centre, size = round(exact[0], decimals), round(exact[1], decimals)
        low, high = (centre - size / 2) * side, (centre + size / 2) * side
        # readers cut what reaches over the border
        low, high = max(low, 0.0) if low > -_CUT_OFF else low, min(high, side) if high < side + _CUT_OFF else high
        if float32(low) == first and float32(high) == last:
            return centre, size
    return exact
