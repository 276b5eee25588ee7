"""The sidecar of a dataset, `extra.csv`: what its label files have no place for. Read and written here.

YOLO label files know no flags, and VOC no crowds, areas or ids of images. The columns are
`image,image_id,object,difficult,iscrowd,area`. `image` is a path relative to the root of the dataset. A row without
`object` gives the image its id; a row with one is about the object of that number (VOC) or line (YOLO), from 1.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.arrays import Bool
from yolo.errors import DataError, printable, shown
from yolo.formats.issues import ReadReport
from yolo.formats.objects import RawSource
from yolo.formats.paths import named_file, read_text
from yolo.formats.values import number_text, shortest_float32
from yolo.structures import AnnotatedImage, GroundTruth

EXTRA_COLUMNS = ("image", "image_id", "object", "difficult", "iscrowd", "area")
_FLAGS = {"": False, "0": False, "1": True}


class ExtraObject(NamedTuple):
    """What a row says of an object."""

    difficult: bool
    iscrowd: bool
    area: float  # pixels², NaN where it says nothing


class Extra(NamedTuple):
    """A sidecar."""

    path: Path
    image_ids: Mapping[str, str]  # by image file
    objects: Mapping[str, Mapping[int, ExtraObject]]  # by image file and number of the object


def read_extra(path: Path, root: Path) -> Extra:
    """Read a sidecar.

    Args:
        path: of the file.
        root: that its images are relative to.

    Raises:
        DataError: it cannot be read or is malformed; the message names the line.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    image_ids: dict[str, str] = {}
    objects: dict[str, dict[int, ExtraObject]] = {}
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        if header != EXTRA_COLUMNS:
            raise _fault(path, 1, f"the header is {shown(','.join(header))}, expected {','.join(EXTRA_COLUMNS)}")
        for row in reader:
            if any(cell.strip() for cell in row):
                _add_row(row, root, image_ids, objects, path=path, line=reader.line_num)
    except csv.Error as error:
        raise _fault(path, reader.line_num, f"is not CSV ({error})") from error
    return Extra(path, image_ids, objects)


def _add_row(
    row: list[str],
    root: Path,
    image_ids: dict[str, str],
    objects: dict[str, dict[int, ExtraObject]],
    *,
    path: Path,
    line: int,
) -> None:
    if len(row) != len(EXTRA_COLUMNS):
        raise _fault(path, line, f"{len(row)} columns, expected {len(EXTRA_COLUMNS)}")
    image, image_id, number, difficult, iscrowd, area = (cell.strip() for cell in row)
    if not image:
        raise _fault(path, line, "names no image")
    key = _key(root, image)
    if not number:
        if not image_id:
            raise _fault(path, line, "has neither image_id nor object")
        if image_ids.setdefault(key, image_id) != image_id:
            raise _fault(path, line, f"{shown(image)} has an image_id already, {shown(image_ids[key])}")
        return
    if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) > 0):
        raise _fault(path, line, f"object is {shown(number)}, expected its number, from 1")
    for name, value in (("difficult", difficult), ("iscrowd", iscrowd)):
        if value not in _FLAGS:
            raise _fault(path, line, f"{name} is {shown(value)}, expected 0 or 1")
    found = ExtraObject(_FLAGS[difficult], _FLAGS[iscrowd], _area(area, path, line))
    of_image = objects.setdefault(key, {})
    if int(number) in of_image:
        raise _fault(path, line, f"object {number} of {shown(image)} appears twice")
    of_image[int(number)] = found


def _area(text: str, path: Path, line: int) -> float:
    if not text:
        return math.nan
    try:
        area = float(text)
    except ValueError:
        area = math.nan
    if not (math.isfinite(area) and area >= 0):
        raise _fault(path, line, f"area is {shown(text)}, expected pixels²")
    return area


def apply_extra(source: RawSource, extra: Extra, root: Path, report: ReadReport) -> RawSource:
    """A source with the ids and flags of the sidecar.

    Args:
        source: of label files, each object with its number in its file.
        extra: the sidecar.
        root: of the dataset.
        report: receives a note on rows that fit no object.
    """
    keys = [_key(root, path) for path in source.paths]
    objects = source.objects
    difficult, iscrowd, area = objects.difficult.copy(), objects.iscrowd.copy(), objects.area.copy()
    ends = np.searchsorted(objects.image_index, np.arange(len(keys) + 1))
    unmatched = 0
    for image, key in enumerate(keys):
        start, stop = int(ends[image]), int(ends[image + 1])
        row_of = {number: start + k for k, number in enumerate(source.numbers[start:stop].tolist())}
        for number, found in extra.objects.get(key, {}).items():
            row = row_of.get(number)
            if row is None:
                unmatched += 1
                continue
            difficult[row] |= found.difficult
            iscrowd[row] |= found.iscrowd
            area[row] = area[row] if math.isnan(found.area) else found.area
    if unmatched:
        report.notes.append(f"{unmatched} rows of {printable(extra.path)} speak of objects that are not there")
    return replace(
        source,
        image_ids=[extra.image_ids.get(key, own) for key, own in zip(keys, source.image_ids, strict=True)],
        objects=replace(objects, difficult=difficult, iscrowd=iscrowd, area=area),
    )


def _key(root: Path, image: str) -> str:
    return os.path.normpath(named_file(root, image))


def _fault(path: Path, line: int, message: str) -> DataError:
    return DataError(f"{printable(path)}, line {line}: {message}")


def extra_rows(image: AnnotatedImage, reference: str, *, own_id: str, keeps_difficult: bool) -> Iterator[list[str]]:
    """The rows of one image; none if the format holds all of it.

    Args:
        image: what is to be kept.
        reference: path of the image below the dataset, with forward slashes.
        own_id: the id that readers give it by its place.
        keeps_difficult: whether the annotations of the format have this flag.
    """
    if image.image_id != own_id:
        yield [reference, image.image_id, "", "", "", ""]
    truth = image.ground_truth
    lost = np.flatnonzero(_lost(truth, keeps_difficult=keeps_difficult))
    for place in lost.tolist():
        flags = [str(int(truth.difficult[place])), str(int(truth.iscrowd[place]))]
        yield [reference, "", str(place + 1), *flags, number_text(shortest_float32(float(truth.area[place])))]


def _lost(truth: GroundTruth, *, keeps_difficult: bool) -> Bool:
    return truth.iscrowd | _has_other_area(truth) | (truth.difficult & (not keeps_difficult))


def _has_other_area(truth: GroundTruth) -> Bool:
    """Whose area is not that of the box, which readers take where none is stated, within the rounding of corners."""
    x1, y1, x2, y2 = truth.boxes.astype(np.float64).T
    width, height = x2 - x1, y2 - y1
    across, down = np.spacing(truth.boxes[:, 2]), np.spacing(truth.boxes[:, 3])
    rounding = across * height + down * width + across * down + np.spacing(truth.area)
    other: Bool = np.abs(width * height - truth.area) > rounding
    return other
