"""Columns of the records of a COCO file: numbers and boxes as they stand, nothing mended.

Columns of which every value is well-formed are taken by a few calls that run in C; others go value by value.
`true` is no number, `"3"` is none. An integer beyond all floats counts as infinite. K records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from yolo.arrays import Bool, Float64

Record = Mapping[str, Any]

_NUMBERS = frozenset({int, float})


def column(records: Sequence[Record], key: str) -> list[Any]:
    """The values under a key, None where there is none."""
    try:
        return list(map(itemgetter(key), records))
    except KeyError:
        return [record.get(key) for record in records]


def types_of(values: Sequence[Any]) -> set[type]:
    """The types that occur."""
    return set(map(type, values))


def numbers(values: Sequence[Any]) -> tuple[Float64, Bool]:
    """(K,) values, and (K,) which of them are numbers at all; the others are NaN.

    >>> [part.tolist() for part in numbers([1, True, 0.5])]
    [[1.0, nan, 0.5], [True, False, True]]
    """
    if types_of(values) <= _NUMBERS:
        try:
            return np.fromiter(values, np.float64, len(values)), np.ones(len(values), bool)
        except OverflowError:
            pass  # JSON knows integers of any length
    found = np.fromiter(map(_number, values), np.float64, len(values))
    usable = np.fromiter((type(value) in _NUMBERS for value in values), bool, len(values))
    return found, usable


def boxes(values: Sequence[Any]) -> tuple[Float64, Bool]:
    """(K, 4) boxes, and (K,) which values are four numbers; the others are NaN."""
    if types_of(values) <= {list} and set(map(len, values)) <= {4}:
        flat, usable = numbers(list(chain.from_iterable(values)))
        return flat.reshape(-1, 4), np.logical_and.reduce(usable.reshape(-1, 4), axis=1)
    usable = np.fromiter((_is_box(value) for value in values), bool, len(values))
    rows = [list(map(_number, value)) if good else [math.nan] * 4 for value, good in zip(values, usable, strict=True)]
    return np.asarray(rows, np.float64).reshape(-1, 4), usable


def flags(values: Sequence[Any]) -> tuple[Bool, Bool]:
    """(K,) whether a value is set, as any number but 0, and (K,) which can be understood; None is not set."""
    if types_of(values) <= {int, bool, float, type(None)}:
        return np.fromiter(map(bool, values), bool, len(values)), np.ones(len(values), bool)
    plain = [_FLAG_TEXTS.get(value, value) if type(value) is str else value for value in values]
    usable = np.fromiter((type(value) in (int, bool, float, type(None)) for value in plain), bool, len(plain))
    return np.fromiter((type(value) is not list and bool(value) for value in plain), bool, len(plain)), usable


_FLAG_TEXTS: Mapping[str, int] = {"0": 0, "1": 1}


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and types_of(value) <= _NUMBERS


def _number(value: Any) -> float:
    if type(value) not in _NUMBERS:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
