"""The lines of the VOC devkit's detection files, and which files of a folder are of which class.

A line is `image_id score xmin ymin xmax ymax`. Numbers are float64 and lines keep their order: it decides between
equal scores in the devkit. Left out: what the boxes mean (`comp4`), and whether numbers are finite.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.detection_files.distinct import Distinct
from yolo.detection_files.text_files import is_number, split_lines
from yolo.errors import DataError

PREFIX = "comp4_det_test_"
LAYOUT = "'image_id score xmin ymin xmax ymax'"
# comp3 or comp4, perhaps a word that keeps runs apart, and the image set: comp4_run1_det_test_cat.txt
_FILE_NAME = re.compile(r"(comp[34](?:_[^_]+)?_det_[^_]+_)(.+)\.txt", re.DOTALL)
_NUM_FIELDS = 6
# a line of more bytes is no detection
_LONGEST_LINE = 4096
# characters of a bad line that a message quotes
SHOWN = 100


class ClassLines(NamedTuple):
    """The lines of one class file that are not empty, in their order."""

    path: Path
    images: Int64  # (K,) rows of a `Distinct` of image ids
    numbers: Float64  # (K, 5) score and box as in the file
    line_numbers: Int64  # (K,) from 1

    def place(self, row: int) -> str:
        """File and line, for messages."""
        return f"{self.path}, line {self.line_numbers[row]}"


def is_class_file(path: Path) -> bool:
    """Whether a file is called as the detections of a class are.

    >>> is_class_file(Path("comp4_det_test_cat.txt")), is_class_file(Path("cat.txt"))
    (True, False)
    """
    return _FILE_NAME.fullmatch(path.name) is not None


def class_files(folder: Path) -> tuple[str, dict[str, Path]]:
    """The beginning that the names of the class files of a folder share, and the file of each class by its name.

    Raises:
        DataError: there is no such folder, no detection file, or several sets of them.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of comp4 files")
    found: dict[str, dict[str, Path]] = {}  # prefix -> class name -> file
    for path in sorted(folder.glob("comp*.txt")):
        if match := _FILE_NAME.fullmatch(path.name):
            found.setdefault(match[1], {})[match[2]] = path
    if not found:
        raise DataError(f"{folder}: has no detection files, such as {PREFIX}cat.txt")
    if len(found) > 1:
        raise DataError(
            f"{folder}: has detection files of several kinds, {', '.join(f'{one}*.txt' for one in sorted(found))}; "
            "keep those of one kind in the folder"
        )
    ((prefix, files),) = found.items()
    return prefix, files


def read_class_lines(path: Path, images: Distinct) -> ClassLines:
    """Read the file of one class.

    Args:
        path: of the file.
        images: receives the image ids as they stand in the file, and goes on counting rows.

    Raises:
        DataError: the file cannot be read, or a line does not have six fields of which five are numbers.
    """
    if path.is_dir():
        raise DataError(f"{path}: is not a file")
    rows = split_lines(path)
    if not set(map(len, rows)) <= {0, _NUM_FIELDS}:
        _refuse(path, rows)
    line_numbers = np.flatnonzero(np.fromiter(map(len, rows), np.int64, len(rows))) + 1
    fields = list(chain.from_iterable(rows))
    names = fields[::_NUM_FIELDS]
    del fields[::_NUM_FIELDS]
    # float() allows underscores between digits, the devkit does not
    if any(b"_" in field for field in fields) or max(map(len, names), default=0) > _LONGEST_LINE:
        _refuse(path, rows)
    try:
        numbers = np.fromiter(map(float, fields), np.float64, len(fields))
    except ValueError:
        _refuse(path, rows)
        raise
    return ClassLines(path, images.add(names), numbers.reshape(-1, _NUM_FIELDS - 1), line_numbers)


def _refuse(path: Path, rows: Sequence[Sequence[bytes]]) -> None:
    """Name the first line that is no detection."""
    for number, fields in enumerate(rows, start=1):
        where = f"{path}, line {number}"
        if sum(map(len, fields)) > _LONGEST_LINE:
            raise DataError(f"{where}: is too long for {LAYOUT}; is this a detection file?")
        if len(fields) not in (0, _NUM_FIELDS):
            raise DataError(
                f"{where}: has {len(fields)} instead of 6 fields, {LAYOUT}; correct or remove the line; "
                "image ids cannot have spaces"
            )
        if not all(map(is_number, fields[1:])):
            text = b" ".join(fields).decode("utf-8", "replace")[:SHOWN]
            raise DataError(f"{where}: {text!r} is not {LAYOUT} with five numbers; correct or remove the line")
