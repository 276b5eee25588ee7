"""Detections of any detector as their files have them, before images and classes are matched with ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.formats.json_records import types_of
from yolo.formats.values import shown

DetectionFormat = Literal["coco", "comp4", "yolo"]

_PLAIN = frozenset({int, str, bytes})


@dataclass(frozen=True, slots=True, eq=False)
class RawDetections:
    """K detections, in the order of their files.

    Attributes:
        format: of the files.
        boxes: (K, 4) left, top, width, height in pixels (COCO); corners in pixels (comp4); corners in fractions of
            the image (YOLO). Anything, NaN included.
        scores: (K,).
        images: names of images, and `image_codes` (K,) the place in them.
        classes: names or numbers of classes, and `class_codes` (K,) the place in them.
        place: where the detection of a row stands, for messages.
    """

    format: DetectionFormat
    boxes: Float64
    scores: Float64
    images: Sequence[Any]
    image_codes: Int64
    classes: Sequence[Any]
    class_codes: Int64
    place: Callable[[int], str]


class _Codes(dict[Any, int]):
    def __missing__(self, key: Any) -> int:
        code = self[key] = len(self)
        return code


class Vocabulary:
    """The different values of a long column that comes part by part, so that each is looked up once."""

    def __init__(self) -> None:
        self._codes = _Codes()

    @property
    def values(self) -> list[Any]:
        """The different values, in the order of their first rows."""
        return list(self._codes)

    def add(self, values: Sequence[Any]) -> Int64:
        """The place of each value in `values`; 1.0 is 1, but `true` is not."""
        if not types_of(values) <= _PLAIN:
            values = [_key(value) for value in values]
        return np.fromiter(map(self._codes.__getitem__, values), np.int64, len(values))


class Unusable(str):
    """Stands for a value that cannot be a name."""

    __slots__ = ()


def _key(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    return Unusable(shown(value))


def as_table(parts: Iterable[Float64], columns: int) -> Float64:
    """(K, columns) float64 of parts with any number of rows."""
    return np.concatenate([np.zeros((0, columns)), *(part.reshape(-1, columns) for part in parts)])
