"""YOLO text files of detections: one `.txt` per image, `class cx cy w h score` as fractions of the image.

Left out: masks of detections, and ground truth (yolo.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from yolo.arrays import Float64
from yolo.errors import DataError, printable, shown
from yolo.formats.issues import ReadReport
from yolo.formats.paths import LARGEST_FRACTION, find_text_files, path_id
from yolo.formats.results import RawDetections, Vocabulary, as_table, read_result_lines
from yolo.formats.values import number
from yolo.formats.yolo import corners_of

_RESULT_LAYOUT = "'class cx cy w h score'"
_RESULT_HINT = "lines of 5 columns are ground truth: let the detector save its scores"
_LARGEST_CLASS = 2.0**53


def read_yolo_results(folder: Path, report: ReadReport) -> RawDetections:
    """Read the text files of detections of a folder.

    Args:
        folder: that the names of images are relative to, or with a folder `labels` that they are relative to.
        report: gets boxes far outside their image, which stay.

    Returns:
        `images` are those of all files, also of empty ones.

    Raises:
        DataError: a line that is not a detection, or files in pixels.
    """
    files = find_text_files(folder)
    parts = [read_result_lines(path, _RESULT_LAYOUT, hint=_RESULT_HINT) for path in files]
    file_of = np.repeat(np.arange(len(files)), [len(own.firsts) for own in parts])
    line_of = np.concatenate([np.zeros(0, np.int64), *(own.line_numbers for own in parts)])

    def place(row: int) -> str:
        return f"{printable(files[int(file_of[row])])}, line {line_of[row]}"

    firsts = Vocabulary()
    class_codes = np.concatenate([np.zeros(0, np.int64), *(firsts.add(own.firsts) for own in parts)])
    classes = list(map(_class_number, firsts.values))
    if None in classes:
        code = classes.index(None)
        first = shown(firsts.values[code].decode("utf-8", "replace"))
        raise DataError(
            f"{place(int(np.flatnonzero(class_codes == code)[0]))}: {first} is not the number of a class, with which "
            f"a line, {_RESULT_LAYOUT}, begins; correct or remove the line"
        )
    values = as_table((own.numbers for own in parts), 5)
    _check_fractions(values, report, place)
    return RawDetections(
        format="yolo",
        boxes=corners_of(values[:, :4]),
        scores=values[:, 4],
        images=[path_id(path, folder).removeprefix("labels/") for path in files],
        image_codes=file_of,
        classes=classes,
        class_codes=class_codes,
        place=place,
    )


def _class_number(text: bytes) -> int | None:
    value = number(text)
    return None if value is None or not value.is_integer() or abs(value) >= _LARGEST_CLASS else int(value)


def _check_fractions(values: Float64, report: ReadReport, place: Callable[[int], str]) -> None:
    """Refuse boxes that are mostly pixels; single ones far outside of their image are reported and stay.

    `values` are the (K, 5) boxes and scores.
    """
    boxes = values[:, :4]
    beyond = np.logical_or.reduce(np.abs(boxes) >= LARGEST_FRACTION, axis=1)
    if len(beyond) and beyond.mean() > 0.5:
        row = int(np.flatnonzero(beyond)[0])
        raise DataError(
            f"{place(row)}: {boxes[row].tolist()} are not fractions of the image, as in "
            f"{beyond.sum():,} of {len(beyond):,} lines; are these pixels? Divide by width and height"
        )
    text = "a box reaches beyond twice its image: it is kept as it stands"
    report.warn_rows("far_outside", text, beyond & np.isfinite(values).all(axis=1), place)
