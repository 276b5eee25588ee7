"""Detections in YOLO's text files: one file for each image, a line `class cx cy w h score`, fractions of the image.

The file is found by the image's name. An image without a file, as programs leave it where they found nothing, has no
detections. The order is that of the images, within an image of the lines. Left out: masks, key points, rotated boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.detection_files.class_numbers import match_class_numbers
from yolo.detection_files.image_names import by_id, by_name, match_images
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.text_files import find_text_files, is_number, split_lines
from yolo.detection_files.truth_files import GroundTruthFiles
from yolo.detection_files.usable import RawDetections, usable_detections
from yolo.detection_sets import DetectionSet
from yolo.errors import DataError, printable
from yolo.formats.paths import path_id

_NUM_COLUMNS = 6
_LAYOUT = "'class cx cy w h score'"
_LARGEST_FRACTION = 2.0
_LARGEST_CLASS = 2.0**53
_SHOWN = 100


class _Rows(NamedTuple):
    """The lines of all files that are not empty."""

    values: Float64  # (K, 6) as in the files
    file: Int64  # (K,) place of the file
    line: Int64  # (K,) from 1


def read_yolo_results(folder: Path, truth: GroundTruthFiles, remarks: Remarks) -> DetectionSet:
    """Read the text files of a folder.

    Args:
        folder: that the names of images are relative to, or with a folder `labels` that they are relative to.
        truth: the images, their sizes and classes.
        remarks: receives what is left out or odd.

    Raises:
        DataError: a line that is no detection, images or classes that do not fit, or an image of unknown size.
    """
    files = find_text_files(folder)
    keys = _image_keys(files, folder, truth)
    found = _match(keys, truth, remarks, folder)
    image_of_file = np.asarray([found.get(key, -1) for key in keys], np.int64)
    rows = _read(files)
    numbers = rows.values[:, 0].astype(np.int64)
    classes = match_class_numbers(np.unique(numbers).tolist(), len(truth.class_names), path=folder)
    distinct, inverse = np.unique(numbers, return_inverse=True)
    labels = np.asarray([classes.get(number, -1) for number in distinct.tolist()], np.int64)
    image_index = image_of_file[rows.file] if len(files) else np.zeros(0, np.int64)

    def place(row: int) -> str:
        return f"{printable(files[int(rows.file[row])])}, line {rows.line[row]}"

    _check_sizes(image_index, truth, place)
    _check_fractions(rows, place, remarks)
    limits = np.append(truth.images.sizes_hw, [[1, 1]], axis=0)[image_index][:, [1, 0, 1, 0]].astype(np.float64)
    centres, sides = rows.values[:, 1:3], rows.values[:, 3:5]
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.concatenate((centres - sides / 2, centres + sides / 2), axis=1) * limits
    raw = RawDetections(
        corners, rows.values[:, 5], image_index, labels[inverse] if len(distinct) else np.zeros(0, np.int64)
    )
    kept = usable_detections(
        raw, remarks, place=place, image=lambda row: keys[int(rows.file[row])], label=lambda row: str(numbers[row])
    )
    kept = kept[np.argsort(image_index[kept], kind="stable")]
    return DetectionSet.from_xyxy(corners[kept], raw.scores[kept], raw.labels[kept], image_index[kept])


def _image_keys(files: list[Path], folder: Path, truth: GroundTruthFiles) -> list[str]:
    """The names by which the files know their images: with their folders, or where none is known so, without."""
    keys = [path_id(path, folder).removeprefix("labels/") for path in files]
    known = {**by_name(truth), **by_id(truth)}
    return keys if any(key in known for key in keys) else [key.rpartition("/")[2] for key in keys]


def _match(keys: list[str], truth: GroundTruthFiles, remarks: Remarks, folder: Path) -> dict[str, int]:
    """The image of each file; a file is named for its image, so this is no remark."""
    found = match_images(keys, truth, Remarks(), path=folder)
    several = [image for image, number in Counter(found.values()).items() if number > 1]
    if several:
        image_id = truth.images.image_ids[several[0]]
        raise DataError(f"{printable(folder)}: has several files for the image {image_id}; keep one of them")
    for key in keys:
        if key not in found:
            remarks.add("file_of_unknown_image", "a text file has the name of no image of the ground truth: its "
                        "detections are left out", f"{printable(folder)}, {key}.txt")  # fmt: skip
    missing = len(truth.images) - len(found)
    if missing:
        remarks.add("image_without_file", "an image has no text file: it counts as an image without detections",
                    count=missing)  # fmt: skip
    return found


def _read(files: list[Path]) -> _Rows:
    tables, places, lines = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for place, path in enumerate(files):
        rows = split_lines(path)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        numbers = np.flatnonzero(lengths) + 1
        fields = list(chain.from_iterable(rows))
        if not set(lengths.tolist()) <= {0, _NUM_COLUMNS} or any(b"_" in field for field in fields):
            _refuse(path, rows)
        try:
            values = np.fromiter(map(float, fields), np.float64, len(fields))
        except ValueError:
            _refuse(path, rows)
            raise
        classes = values[::_NUM_COLUMNS]
        if not ((classes == np.floor(classes)) & (np.abs(classes) < _LARGEST_CLASS)).all():
            _refuse(path, rows)
        tables.append(values)
        places.append(np.full(len(numbers), place, np.int64))
        lines.append(numbers)
    values = np.concatenate(tables).reshape(-1, _NUM_COLUMNS)
    return _Rows(values, np.concatenate(places), np.concatenate(lines))


def _refuse(path: Path, rows: list[list[bytes]]) -> None:
    """Name the first line that is no detection."""
    for number, fields in enumerate(rows, start=1):
        where, text = f"{printable(path)}, line {number}", b" ".join(fields).decode("utf-8", "replace")[:_SHOWN]
        if len(fields) == _NUM_COLUMNS - 1:
            raise DataError(
                f"{where}: has 5 columns, as ground truth has them; detections need the score as sixth, {_LAYOUT}: "
                "let the detector save confidences"
            )
        if len(fields) not in (0, _NUM_COLUMNS):
            raise DataError(f"{where}: has {len(fields)} columns instead of 6, {_LAYOUT}; correct or remove the line")
        if not all(map(is_number, fields)):
            raise DataError(f"{where}: {text!r} is not {_LAYOUT} in numbers; correct or remove the line")
        if fields and not (float(fields[0]).is_integer() and abs(float(fields[0])) < _LARGEST_CLASS):
            raise DataError(f"{where}: {text!r} does not begin with the number of a class; correct or remove the line")


def _check_sizes(image_index: Int64, truth: GroundTruthFiles, place: Callable[[int], str]) -> None:
    known = np.append((truth.images.sizes_hw > 0).all(axis=1), True)
    rows = np.flatnonzero(~known[image_index])
    if rows.size:
        image_id = truth.images.image_ids[int(image_index[rows[0]])]
        raise DataError(
            f"{place(int(rows[0]))}: the boxes are fractions of the image, and the size of image {image_id} is not "
            "known: the ground truth does not state it, and the image file is not found; say where the images are"
        )


def _check_fractions(rows: _Rows, place: Callable[[int], str], remarks: Remarks) -> None:
    """Refuse files in pixels; single boxes far outside of their image stay."""
    beyond = np.logical_or.reduce(np.abs(rows.values[:, 1:5]) >= _LARGEST_FRACTION, axis=1)
    if len(beyond) and beyond.mean() > 0.5:
        row = int(np.flatnonzero(beyond)[0])
        raise DataError(
            f"{place(row)}: {rows.values[row, 1:5].tolist()} are no fractions of the image, as in "
            f"{beyond.sum():,} of {len(beyond):,} lines; are these pixels? Divide by width and height"
        )
    remarks.add_rows(
        "far_outside",
        "a box reaches beyond twice its image: it is kept as it stands",
        beyond & np.isfinite(rows.values).all(axis=1),
        place,
    )
