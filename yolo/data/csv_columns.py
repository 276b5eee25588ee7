"""The header of a CSV file of boxes: which column is which, by the names that programs and competitions use.

Left out: the rows (csv_boxes.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from yolo.data.account import printable
from yolo.data.listing import is_image_name, shown
from yolo.errors import DataError

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
_DELIMITERS = (",", ";", "\t")


class CsvColumns(NamedTuple):
    """What the columns of a CSV file mean.

    Attributes:
        place: number of the column of each field; those of `image`, `class`, `x1`, `y1`, `x2`, `y2` are there.
        num_columns: how many columns a row has.
        normalised: boxes are in fractions of the image.
        has_header: the first row is a header, no object.
        delimiter: between columns.
    """

    place: Mapping[str, int]
    num_columns: int
    normalised: bool
    has_header: bool
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
    for field, names in _SYNONYMS.items():
        found = next((lowered.index(name) for name in names if name in lowered), None)
        if found is not None:
            place[field] = found
    if all(field in place for field in _REQUIRED):
        return CsvColumns(place, len(cells), set(cells) >= _FRACTIONS, True, delimiter)
    if len(cells) == len(_HEADERLESS) and is_image_name(cells[0].replace("\\", "/").rpartition("/")[2]):
        return CsvColumns(
            dict(zip(_HEADERLESS, range(len(_HEADERLESS)), strict=True)), len(cells), False, False, delimiter
        )
    return None


_HEADERLESS = ("image", "x1", "y1", "x2", "y2", "class")


def require_columns(first_line: str, path: Path) -> CsvColumns:
    """Like `columns_of`, for a file that is meant to hold boxes.

    Raises:
        DataError: it does not; the message says what is expected.
    """
    columns = columns_of(first_line)
    if columns is None:
        raise DataError(
            f"{printable(path)}, line 1: is {shown(first_line)}; expected a header with the columns image "
            "(or filename), class, xmin, ymin, xmax, ymax, or rows of path, x1, y1, x2, y2, class without one"
        )
    return columns


def cells_by_field(row: Sequence[str], columns: CsvColumns) -> dict[str, str]:
    """The cells of a row by field, without surrounding spaces."""
    return {field: row[number].strip() for field, number in columns.place.items()}
