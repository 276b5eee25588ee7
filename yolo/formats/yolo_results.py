"""Detections in YOLO's text files: one file for each image, a line `class cx cy w h score`, fractions of the image.

Left out: masks, key points, rotated boxes.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from yolo.arrays import Float64
from yolo.errors import DataError, printable
from yolo.formats.issues import ReadReport
from yolo.formats.paths import LARGEST_FRACTION, find_text_files, path_id, split_lines
from yolo.formats.results import RawDetections, as_table
from yolo.formats.values import number

_NUM_COLUMNS = 6
_LAYOUT = "'class cx cy w h score'"
_LARGEST_CLASS = 2.0**53
_SHOWN = 100


def read_yolo_results(folder: Path, report: ReadReport) -> RawDetections:
    """Read the text files of a folder.

    Args:
        folder: that the names of images are relative to, or with a folder `labels` that they are relative to.
        report: is told of boxes far outside of their image, which stay.

    Returns:
        `images` are those of all files, also of empty ones.

    Raises:
        DataError: a line that is not a detection, or files in pixels.
    """
    files = find_text_files(folder)
    tables, lines = [], []
    for path in files:
        rows = split_lines(path)
        tables.append(_numbers(path, rows))
        lines.append(np.flatnonzero(np.fromiter(map(len, rows), np.int64, len(rows))) + 1)
    values = as_table(tables, _NUM_COLUMNS)
    file_of = np.repeat(np.arange(len(files)), [len(own) for own in lines])
    line_of = np.concatenate([np.zeros(0, np.int64), *lines])

    def place(row: int) -> str:
        return f"{printable(files[int(file_of[row])])}, line {line_of[row]}"

    beyond = np.logical_or.reduce(np.abs(values[:, 1:5]) >= LARGEST_FRACTION, axis=1)
    if len(beyond) and beyond.mean() > 0.5:
        row = int(np.flatnonzero(beyond)[0])
        raise DataError(
            f"{place(row)}: {values[row, 1:5].tolist()} are not fractions of the image, as in "
            f"{beyond.sum():,} of {len(beyond):,} lines; are these pixels? Divide by width and height"
        )
    report.warn_rows(
        "far_outside",
        "a box reaches beyond twice its image: it is kept as it stands",
        beyond & np.isfinite(values).all(axis=1),
        place,
    )
    numbers, codes = np.unique(values[:, 0].astype(np.int64), return_inverse=True)
    centres, sides = values[:, 1:3], values[:, 3:5]
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.concatenate((centres - sides / 2, centres + sides / 2), axis=1)
    return RawDetections(
        format="yolo",
        boxes=corners,
        scores=values[:, 5],
        images=[path_id(path, folder).removeprefix("labels/") for path in files],
        image_codes=file_of,
        classes=numbers.tolist(),
        class_codes=codes.reshape(-1),
        place=place,
    )


def _numbers(path: Path, rows: list[list[bytes]]) -> Float64:
    """The numbers of all lines of a file."""
    fields = list(chain.from_iterable(rows))
    if {len(row) for row in rows} <= {0, _NUM_COLUMNS} and not any(b"_" in field for field in fields):
        try:
            values = np.fromiter(map(float, fields), np.float64, len(fields))
        except ValueError:
            values = np.full(_NUM_COLUMNS, np.nan)
        classes = values[::_NUM_COLUMNS]
        if ((classes == np.floor(classes)) & (np.abs(classes) < _LARGEST_CLASS)).all():
            return values
    raise DataError(_first_fault(path, rows))


def _first_fault(path: Path, rows: list[list[bytes]]) -> str:
    """What to say of the first line that is not a detection."""
    for line, fields in enumerate(rows, start=1):
        where, text = f"{printable(path)}, line {line}", b" ".join(fields).decode("utf-8", "replace")[:_SHOWN]
        if not fields:
            continue
        if len(fields) == _NUM_COLUMNS - 1:
            return (
                f"{where}: has 5 columns, as ground truth has them; detections need the score as sixth, {_LAYOUT}: "
                "let the detector save confidences"
            )
        if len(fields) != _NUM_COLUMNS:
            return f"{where}: has {len(fields)} columns instead of 6, {_LAYOUT}; correct or remove the line"
        values = [number(field) for field in fields]
        if None in values:
            return f"{where}: {text!r} is not {_LAYOUT} in numbers; correct or remove the line"
        class_number = values[0]
        if class_number is None or not class_number.is_integer() or abs(class_number) >= _LARGEST_CLASS:
            return f"{where}: {text!r} does not begin with the number of a class; correct or remove the line"
    return f"{printable(path)}: has a line that is not {_LAYOUT}"
