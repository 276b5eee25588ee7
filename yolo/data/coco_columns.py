"""The `annotations` of a COCO file as columns, so that the parsed JSON can be let go of at once.

Columns of which every value is well-formed, as in nearly every file, are taken by a few calls that run in C; any
other goes value by value through rules that take nothing for what it is not: `true` is no number, `"3"` is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yolo.data.listing import shown
from yolo.data.raw_objects import Float64
from yolo.structures import Bool, Int64

Record = Mapping[str, Any]

# What is wrong with an annotation, in the order of looking.
GOOD, UNKNOWN_IMAGE, UNKNOWN_CLASS, MISSING_BOX = range(4)
FAULT_KINDS: Final = ("", "unknown_image", "unknown_class", "missing_box")
_FAULT_WORDS = (
    "",
    "its image is not among the images",
    "its category is not among the categories",
    "its bbox is not [x, y, width, height]",
)
_MESSAGES_KEPT = 10_000  # of faults; further ones are told in general words
_NO_ID = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class CocoAnnotations:
    """T annotations in the order of the file.

    Attributes:
        boxes: (T, 4) float64, xyxy pixels.
        labels: (T,) int32, place of the category; undefined where there is a fault.
        image_index: (T,) int64, place in `images`; -1 for images that are not there.
        difficult: (T,) bool, from the key that is no part of the standard.
        iscrowd: (T,) bool.
        area: (T,) float64, NaN where there is no usable one.
        faults: (T,) int8, index into `FAULT_KINDS`.
    """

    boxes: Float64
    labels: NDArray[np.int32]
    image_index: Int64
    difficult: Bool
    iscrowd: Bool
    area: Float64
    faults: NDArray[np.int8]
    _ids: Int64
    _other_ids: Mapping[int, str]
    _messages: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.boxes)

    def where(self, position: int) -> str:
        """The place of an annotation in its file."""
        stated = self._other_ids.get(position)
        if stated is None and self._ids[position] != _NO_ID:
            stated = str(int(self._ids[position]))
        return f"annotations[{position}]" + ("" if stated is None else f" (id {stated})")

    def message(self, position: int) -> str:
        """What is wrong with an annotation."""
        return self._messages.get(position) or _FAULT_WORDS[int(self.faults[position])]


def read_columns(
    records: Sequence[Record], *, index_of_image: Mapping[int | str, int], names: Mapping[int, str]
) -> CocoAnnotations:
    """Columns of the annotations of a file.

    Args:
        records: its `annotations`, each an object.
        index_of_image: place of each image id.
        names: of the categories by id, in the order of the labels.
    """
    count = len(records)
    ids, other_ids = _ids(_column(records, "id"))
    stated_images, stated_categories = _column(records, "image_id"), _column(records, "category_id")
    image_index = _looked_up(stated_images, index_of_image, frozenset({int, str}))
    labels = _looked_up(stated_categories, {key: place for place, key in enumerate(names)}, frozenset({int}))
    stated_boxes = _column(records, "bbox")
    boxes, usable = _boxes(stated_boxes)
    faults = np.zeros(count, np.int8)
    faults[~usable] = MISSING_BOX
    faults[labels < 0] = UNKNOWN_CLASS
    faults[image_index < 0] = UNKNOWN_IMAGE
    say = {
        UNKNOWN_IMAGE: lambda row: f"image_id {shown(stated_images[row])} is not among the images",
        UNKNOWN_CLASS: lambda row: f"category_id {shown(stated_categories[row])} is not among the classes",
        MISSING_BOX: lambda row: f"bbox is {shown(stated_boxes[row])}, expected [x, y, width, height]",
    }
    faulty = np.flatnonzero(faults)[:_MESSAGES_KEPT].tolist()
    return CocoAnnotations(
        boxes=boxes,
        labels=labels.astype(np.int32),
        image_index=image_index,
        difficult=_flags(records, "difficult"),
        iscrowd=_flags(records, "iscrowd"),
        area=_areas(_column(records, "area")),
        faults=faults,
        _ids=ids,
        _other_ids=other_ids,
        _messages={row: say[int(faults[row])](row) for row in faulty},
    )


def _column(records: Sequence[Record], key: str) -> list[Any]:
    """The values under a key, None where there is none."""
    try:
        return list(map(itemgetter(key), records))
    except KeyError:
        return [record.get(key) for record in records]


def _types(values: Sequence[Any]) -> set[type]:
    return set(map(type, values))


def _looked_up(values: list[Any], places: Mapping[Any, int], types: frozenset[type]) -> Int64:
    """The place of each value, -1 for those that have none; only values of these very types can have one."""
    get = places.get
    if not _types(values) <= types:
        values = [value if type(value) in types else None for value in values]
    return np.fromiter(map(get, values, repeat(-1)), np.int64, len(values))


def _ids(values: list[Any]) -> tuple[Int64, dict[int, str]]:
    """Annotation ids, and as text those that are no ordinary numbers."""
    if _types(values) <= {int}:
        try:
            return np.fromiter(values, np.int64, len(values)), {}
        except OverflowError:
            pass  # JSON knows integers of any length: these are kept as text
    ids = np.full(len(values), _NO_ID, np.int64)
    others = {}
    for row, value in enumerate(values):
        if type(value) is int and abs(value) < 2**62:
            ids[row] = value
        elif value is not None:
            others[row] = str(value)[:60] if type(value) is str else shown(value)
    return ids, others


def _boxes(values: list[Any]) -> tuple[Float64, Bool]:
    """Boxes (T, 4) xyxy, and which are usable, from `[x, y, width, height]`."""
    if _types(values) <= {list} and set(map(len, values)) <= {4}:
        flat = list(chain.from_iterable(values))
        if _types(flat) <= {int, float}:
            try:
                sides = np.fromiter(flat, np.float64, len(flat)).reshape(-1, 4)
                return _corners(sides), np.ones(len(values), bool)
            except OverflowError:
                pass  # an integer beyond all floats: found below
    rows = [_box(value) for value in values]
    usable = np.fromiter((row is not None for row in rows), bool, len(rows))
    return _corners(np.asarray([row or (math.nan,) * 4 for row in rows], np.float64).reshape(-1, 4)), usable


def _corners(sides: Float64) -> Float64:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)


def _box(value: Any) -> tuple[float, ...] | None:
    numbers = [_number(side) for side in value] if isinstance(value, list) and len(value) == 4 else [None]
    return None if None in numbers else tuple(number for number in numbers if number is not None)


def _areas(values: list[Any]) -> Float64:
    areas: Float64
    if _types(values) <= {int, float}:
        try:
            areas = np.fromiter(values, np.float64, len(values))
        except OverflowError:
            areas = _slow_areas(values)
    else:
        areas = _slow_areas(values)
    areas[~(np.isfinite(areas) & (areas >= 0))] = np.nan
    return areas


def _slow_areas(values: list[Any]) -> Float64:
    numbers = (_number(value) for value in values)
    return np.fromiter((math.nan if number is None else number for number in numbers), np.float64, len(values))


def _flags(records: Sequence[Record], key: str) -> Bool:
    """Where the value is 1, in any of the ways in which files say so."""
    if records and key not in records[0] and not any(map(_has(key), records)):
        return np.zeros(len(records), bool)
    values = _column(records, key)
    if _types(values) <= {int}:
        return np.fromiter(map((1).__eq__, values), bool, len(values))
    return np.fromiter((type(v) in (int, bool, float, str) and v in (1, "1") for v in values), bool, len(values))


def _has(key: str) -> Callable[[Record], bool]:
    def has(record: Record) -> bool:
        return key in record

    return has


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # JSON knows integers of any length
        return None
