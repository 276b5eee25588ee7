"""The different values of a long column, so that each is looked up once: names of images, ids of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from yolo.arrays import Int64
from yolo.detection_files.json_columns import types_of
from yolo.formats.paths import shown

_PLAIN = frozenset({int, str, bytes})


class Unusable(NamedTuple):
    """Stands for a value that can be no name."""

    text: str


class Distinct:
    """Collects the values of a column that comes part by part; rows are counted over all parts."""

    def __init__(self) -> None:
        self._first: dict[Any, int] = {}
        self._num_rows = 0

    @property
    def keys(self) -> list[Any]:
        """The different values, in the order of their first rows."""
        return list(self._first)

    def add(self, values: Sequence[Any]) -> Int64:
        """For each value the row in which it is first; 1.0 is 1, but `true` is not."""
        if not types_of(values) <= _PLAIN:
            values = [_key(value) for value in values]
        rows = np.fromiter(map(self._first.setdefault, values, count(self._num_rows)), np.int64, len(values))
        self._num_rows += len(values)
        return rows

    def look_up(self, rows: Int64, found: Mapping[Any, int]) -> Int64:
        """What was found for the value of each row, -1 for none.

        Args:
            rows: from `add`.
            found: by value.
        """
        if not self._first:
            return np.full(len(rows), -1, np.int64)
        first = np.fromiter(self._first.values(), np.int64, len(self._first))  # ascending
        places = np.fromiter((found.get(key, -1) for key in self._first), np.int64, len(first))
        return places[np.searchsorted(first, rows)]

    def key_of(self, row: int) -> Any:
        """The value that is first in a row."""
        return next(key for key, first in self._first.items() if first == row)

    def shown(self, row: int) -> str:
        """`key_of`, for messages."""
        key = self.key_of(row)
        if isinstance(key, bytes):
            key = key.decode("utf-8", "replace")
        return key.text if isinstance(key, Unusable) else shown(key)


def _key(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    return Unusable(shown(value))
