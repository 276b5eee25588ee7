"""CSV: one file per split with a row for each object; the header says which column is which.

Boxes are xyxy in continuous pixels from 0; those of Open Images are fractions of the image. A row with neither class
nor box makes its image known as background. A line that begins with `#` is a comment, unless it is a good row. A bad
row is left out and counted. Left out: listing and reading the images (named_boxes.py).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from yolo.errors import DataError, printable, shown
from yolo.formats.issues import LineFault
from yolo.formats.named_boxes import NamedBoxes, NamedObject
from yolo.formats.paths import LARGEST_FRACTION, is_file, is_image_name, read_text
from yolo.formats.values import is_set, number, number_text, shortest_float32, side, without_point
from yolo.structures import AnnotatedImage, Detections

# Lower case; the first name that a header has is taken.
_SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "image": ("image", "filename", "file_name", "path", "image_path", "imageid"),
        "class": ("class", "label", "class_name", "labelname"),
        "x1": ("xmin", "x1"),
        "y1": ("ymin", "y1"),
        "x2": ("xmax", "x2"),
        "y2": ("ymax", "y2"),
        "width": ("width",),
        "height": ("height",),
        "difficult": ("difficult",),
        "iscrowd": ("iscrowd", "isgroupof"),
        "area": ("area",),
        "image_id": ("image_id",),
    }
)
_REQUIRED = ("image", "class", "x1", "y1", "x2", "y2")
# Open Images writes fractions of the image, and only it spells its columns so.
_FRACTIONS = frozenset({"XMin", "YMin", "XMax", "YMax"})
_HEADERLESS = ("image", "x1", "y1", "x2", "y2", "class")
_DELIMITERS = (",", ";", "\t")
_SIDES = ("x1", "y1", "x2", "y2")
_FLAGS = ("difficult", "iscrowd")
_SNIFFED = 4096  # characters, enough for a first line
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


class CsvColumns(NamedTuple):
    """What the columns of a CSV file mean."""

    place: Mapping[str, int]  # number of the column of each field; those of `_REQUIRED` are there
    num_columns: int
    normalised: bool  # boxes are in fractions of the image
    has_header: bool  # the first row is a header, no object
    delimiter: str


def columns_of(first_line: str) -> CsvColumns | None:
    """What the first line of a file says of its columns; None if they are not those of boxes.

    A file without header has the columns `path, x1, y1, x2, y2, class`, and is known by an image in the first.

    >>> columns_of("filename,xmin,ymin,xmax,ymax,class").place["class"]
    5
    """
    delimiter = max(_DELIMITERS, key=first_line.count)
    cells = [cell.strip().strip('"').strip() for cell in first_line.lstrip("\ufeff").split(delimiter)]
    lowered = [cell.lower() for cell in cells]
    place: dict[str, int] = {}
    for column, names in _SYNONYMS.items():
        found = next((lowered.index(name) for name in names if name in lowered), None)
        if found is not None:
            place[column] = found
    if place.keys() >= set(_REQUIRED):
        return CsvColumns(place, len(cells), set(cells) >= _FRACTIONS, True, delimiter)
    if len(cells) == len(_HEADERLESS) and is_image_name(cells[0].replace("\\", "/").rpartition("/")[2]):
        place = {name: column for column, name in enumerate(_HEADERLESS)}
        return CsvColumns(place, len(cells), False, False, delimiter)
    return None


def is_box_csv(path: Path) -> bool:
    """Whether the first line of a CSV file is that of a file of boxes; False for what cannot be read."""
    if not is_file(path):
        return False
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return columns_of(first_line(file.read(_SNIFFED))[1]) is not None
    except (OSError, ValueError):
        return False


def first_line(text: str) -> tuple[int, str]:
    r"""The line that says what the columns are, and its number: the first that is neither blank nor a comment.

    >>> first_line("# made by hand\nimage,class")
    (2, 'image,class')
    """
    for line, found in enumerate(text.split("\n"), start=1):
        if found.startswith("#") and (header := found.lstrip("# ")) and columns_of(header) is not None:
            return line, header  # a header that is marked as a comment
        if found.strip() and not found.startswith("#"):
            return line, found
    return 1, ""


def load_csv(path: Path) -> NamedBoxes:
    """Read a CSV file.

    Raises:
        DataError: it cannot be read, or its header lacks a column.
    """
    text = read_text(path)
    header_line, header = first_line(text)
    columns = columns_of(header)
    if columns is None:
        raise DataError(
            f"{printable(path)}, line {header_line}: is {shown(header)}; expected a header with the columns image "
            "(or filename), class, xmin, ymin, xmax, ymax, or rows of path, x1, y1, x2, y2, class without one"
        )
    file = NamedBoxes(path, columns.normalised, unit="line")
    for line, row in _rows(text, columns, path):
        if row is not None and _is_comment(row, columns):
            continue
        if row is None:
            message = "a quote is opened and not closed on this line; close or remove it"
            file.faults.append(LineFault(line, "wrong_columns", message))
        elif any(cell.strip() for cell in row) and not (columns.has_header and line <= header_line):
            _add_row(file, row, columns, line=line)
    return file


def _rows(text: str, columns: CsvColumns, path: Path) -> Iterator[tuple[int, list[str] | None]]:
    """The line that each row begins in and its cells; None where an open quote would take in the rows after it.

    A cell may hold line breaks. Where the text in a quote is not a good row, somebody forgot to close the quote, and
    reading goes on with the next line.
    """
    lines = [f"{line}\n" for line in text.split("\n")]
    first = 0
    while first < len(lines):
        start, reader = first, csv.reader(map(lines.__getitem__, range(first, len(lines))), delimiter=columns.delimiter)
        try:
            for row in reader:
                own = lines[first : start + reader.line_num]
                if len(own) > 1 and not (len(row) == columns.num_columns and _is_whole(own, columns.delimiter)):
                    break
                yield first + 1, row
                first += len(own)
            else:
                return
        except csv.Error as error:
            if start + reader.line_num == first + 1:
                raise DataError(f"{printable(path)}, line {first + 1}: is not CSV ({error})") from error
        yield first + 1, None
        first += 1


def _is_whole(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the lines of a row are CSV by the letter: the quotes are closed, and nothing but a delimiter follows."""
    try:
        return len(list(csv.reader(lines, delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False


def _is_comment(row: list[str], columns: CsvColumns) -> bool:
    """Whether a row that begins with `#` is a comment, not a row of boxes; the name of an image may begin so, too."""
    if not (row and row[0].lstrip().startswith("#")):
        return False
    good = len(row) == columns.num_columns and all(number(row[columns.place[side]]) is not None for side in _SIDES)
    return not good


def _add_row(file: NamedBoxes, row: list[str], columns: CsvColumns, *, line: int) -> None:
    """Sort a row in: an object, a fault or a background."""
    while len(row) > columns.num_columns and not row[-1].strip():
        row = row[:-1]  # commas at the end
    if len(row) != columns.num_columns:
        message = f"{len(row)} columns; expected {columns.num_columns}, like the first line"
        file.faults.append(LineFault(line, "wrong_columns", message))
        return
    cells = {field: row[column].strip() for field, column in columns.place.items()}
    name = cells["image"].replace("\\", "/")
    if not name:
        file.faults.append(LineFault(line, "unknown_image", "names no image"))
        return
    image = file.image(name, line)
    image.image_id = image.image_id or without_point(cells.get("image_id", ""))
    if image.stated_hw == (None, None):
        image.stated_hw = side(cells.get("height", "")), side(cells.get("width", ""))
    if any(cells[name] for name in _SIDES) or cells["class"]:
        found = _object(cells, line, normalised=file.normalised)
        (image.objects if isinstance(found, NamedObject) else image.faults).append(found)  # type: ignore[arg-type]
        image.unclear_flags += [(line, name) for name in _FLAGS if is_set(cells.get(name, "")) is None]


def _object(cells: dict[str, str], line: int, *, normalised: bool) -> NamedObject | LineFault:
    if not cells["class"]:
        return LineFault(line, "missing_name", "the row has no class")
    sides = [number(cells[name]) for name in _SIDES]
    x1, y1, x2, y2 = (math.nan if value is None else value for value in sides)
    if None in sides:
        box = ", ".join(cells[name] for name in _SIDES)
        commas = any(_DECIMAL_COMMA.fullmatch(cells[name]) for name in _SIDES)
        comma = "; write decimal points in place of commas" if commas else ""
        return LineFault(line, "missing_box", f"the box is {shown(box)}, expected four numbers{comma}")
    if normalised and any(math.isfinite(value) and abs(value) >= LARGEST_FRACTION for value in (x1, y1, x2, y2)):
        message = f"{max((x1, y1, x2, y2), key=abs):.6g} is not a fraction of the image; are these pixels?"
        return LineFault(line, "not_normalised", message)
    area = number(cells.get("area", ""))
    return NamedObject(
        line,
        printable(without_point(cells["class"])),
        (x1, y1, x2, y2),
        bool(is_set(cells.get("difficult", ""))),
        bool(is_set(cells.get("iscrowd", ""))),
        area if area is not None and math.isfinite(area) else math.nan,
    )


COLUMNS = (
    *("image", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"),
    *("difficult", "iscrowd", "area", "image_id"),
)


def csv_rows(
    images: Iterable[AnnotatedImage], references: Iterable[str], *, class_names: Sequence[str]
) -> Iterator[list[str]]:
    """The rows of a split below the header, see `COLUMNS`.

    Args:
        images: with boxes in pixels.
        references: where each image is: relative to the folder of the file, with forward slashes, or absolute.
        class_names: what the labels mean.
    """
    for image, reference in zip(images, references, strict=True):
        height, width = image.size_hw
        head, truth = [reference, str(width), str(height)], image.ground_truth
        if not len(truth):
            yield [*head, *[""] * 8, image.image_id]
        corners = [number_text(shortest_float32(value)) for value in truth.boxes.reshape(-1).tolist()]
        areas = [number_text(shortest_float32(value)) for value in truth.area.tolist()]
        for row, label in enumerate(truth.labels.tolist()):
            box = corners[4 * row : 4 * row + 4]
            flags = [str(int(truth.difficult[row])), str(int(truth.iscrowd[row]))]
            yield [*head, class_names[label], *box, *flags, areas[row], image.image_id]


DETECTION_COLUMNS = (
    *("image", "frame", "time", "width", "height", "class", "label", "score", "xmin", "ymin", "xmax", "ymax"),
    "track_id",
)


def detection_rows(
    found: Detections, class_names: Sequence[str], about: Sequence[Any], track_ids: Sequence[int] | None = None
) -> Iterator[list[Any]]:
    """A row of `DETECTION_COLUMNS` for each detection of an image; boxes and scores are the shortest float32.

    Args:
        found: in pixels of the image.
        class_names: what the labels mean.
        about: image, frame and time; None for what there is not.
        track_ids: of each detection, -1 for none; None where nothing is tracked.
    """
    height, width = found.size_hw
    head = ["" if value is None else value for value in about]
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    for place, (box, score, label) in enumerate(rows):
        numbers = [number_text(shortest_float32(value)) for value in (score, *box)]
        track = track_ids[place] if track_ids is not None and track_ids[place] >= 0 else ""
        yield [*head, width, height, class_names[label], label, *numbers, track]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows as the text of a CSV file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
