"""JSON files of many records: parsing them with useful errors, and turning records into numpy columns.

Results files of detectors are one long array: parsed part by part they take little more memory than the file, parsed
as a whole ten times that. Columns of which every value is well-formed, as in nearly every file, are made by a few
calls that run in C; others go value by value. `true` is not a number, `"3"` is not one either. K records.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import contains, itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from yolo.arrays import Bool, Float64
from yolo.errors import DataError, printable
from yolo.files import without_garbage_collection
from yolo.formats.paths import read_utf8
from yolo.formats.values import is_set, plain_id

Record = Mapping[str, Any]

_SPACE = b" \t\r\n"
_PART_BYTES = 4 << 20
# Where an array of objects may be cut; whether it was between two elements shows when the parts are parsed.
_BORDER = re.compile(rb"\}\s*,")
_NUMBERS = frozenset({int, float})
_FLAGS = frozenset({int, float, bool, type(None)})


def read_json_bytes(path: Path) -> bytes:
    """The bytes of a JSON file without byte order mark and surrounding space.

    Raises:
        DataError: it cannot be read, is not UTF-8, or there is nothing in it.
    """
    data = read_utf8(path).strip(_SPACE)
    if not data:
        raise DataError(f"{printable(path)}: is empty; write it again, or copy it again")
    return data


def parse_json(data: bytes, path: Path) -> Any:
    """The content of a JSON file; NaN and Infinity are read as Python writes them, though the standard has neither.

    Raises:
        DataError: it is not JSON; the message says where, and whether the end is missing.
    """
    with without_garbage_collection():
        try:
            return _parse(data)
        except UnicodeDecodeError as error:
            raise DataError(f"{printable(path)}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
        except json.JSONDecodeError as error:
            raise DataError(f"{printable(path)}: {_what_breaks(data, error)}") from error
        except (RecursionError, ValueError) as error:  # ValueError: Python reads no longer integers
            digits = f"a number has more than {sys.get_int_max_str_digits():,} digits"
            what = "it is nested too deeply" if isinstance(error, RecursionError) else digits
            raise DataError(f"{printable(path)}: is not JSON that can be read ({what}); write it again") from error


def array_parts(data: bytes, path: Path, *, part_bytes: int = _PART_BYTES) -> Iterator[list[Any]]:
    """The elements of a JSON array in their order, in parts; at least one part, which may be empty.

    Args:
        data: from `read_json_bytes`, begins with `[`.
        path: of the file, for messages.
        part_bytes: about so much is parsed at a time.

    Raises:
        DataError: the file is not JSON.
    """
    begin = 1
    while border := _BORDER.search(data, begin + part_bytes):
        # cut within an element or a text, the part would not be JSON: its brackets or quotes stay open
        part = _elements(data[begin : border.end() - 1])
        if part is None:
            break  # all that is left at once
        yield part
        begin = border.end()
    last = _elements(data[begin:-1]) if data.endswith(b"]") else None
    if last is None or (not last and begin > 1):
        parse_json(data, path)  # says where the fault is
        raise DataError(f"{printable(path)}: is not a JSON array")
    yield last


def _elements(data: bytes) -> list[Any] | None:
    """The elements between two cuts, None where the cuts are not between elements."""
    with without_garbage_collection():
        try:
            elements = _parse(b"[" + data + b"]")
        except (ValueError, RecursionError):
            return None
    return elements if isinstance(elements, list) else None


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # stricter than Python's own reader, which takes NaN and lone surrogates and has the better messages
        return json.loads(data.decode("utf-8"))


def _what_breaks(data: bytes, error: json.JSONDecodeError) -> str:
    place = f"byte {len(error.doc[: error.pos].encode('utf-8', 'surrogatepass')):,}, line {error.lineno:,}"
    problem = error.msg.removesuffix(" at")
    if problem == "Extra data":
        return f"is not JSON: there is more after its end, from {place}; remove what does not belong to it"
    before, after = error.doc[: error.pos].rstrip()[-1:], error.doc[error.pos : error.pos + 1]
    if before == "," and after in ("]", "}"):
        return f"is not JSON: there is a comma before the {after!r} at {place}; remove the comma"
    if data[:1] in b"[{" and data[-1:] != {b"[": b"]", b"{": b"}"}[data[:1]]:
        return (
            f"is not JSON: it ends before it is complete, after {len(data):,} bytes in line {data.count(10) + 1:,} "
            f"({problem} at {place}); it was cut off while it was written or copied: write or copy it again"
        )
    return f"is not JSON ({problem} at {place}); correct it there, or write it again"


def json_type(value: Any) -> str:
    """What JSON calls a value: object, array, string, boolean, null or number."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def types_of(values: Sequence[Any]) -> set[type]:
    """The types that occur."""
    return set(map(type, values))


def column(records: Sequence[Record], key: str) -> list[Any]:
    """The values under a key, None where there is none."""
    try:
        return list(map(itemgetter(key), records))
    except KeyError:
        return [record.get(key) for record in records]


def numbers(values: Sequence[Any]) -> tuple[Float64, Bool]:
    """(K,) values, and (K,) which of them are numbers at all; the others are NaN, integers beyond floats infinite.

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
    if not (types_of(values) <= {list} and set(map(len, values)) <= {4}):
        values = [value if type(value) is list and len(value) == 4 else [None] * 4 for value in values]
    flat, usable = numbers(list(chain.from_iterable(values)))
    sides, good = flat.reshape(-1, 4), np.logical_and.reduce(usable.reshape(-1, 4), axis=1)
    sides[~good] = math.nan
    return sides, good


def flags(records: Sequence[Record], key: str) -> tuple[Bool, Bool]:
    """(K,) where a flag is set, and (K,) where its value can be understood; absent and null mean not set.

    Set is any number but 0, `true`, and text such as "1" or "true".
    """
    if records and key not in records[0] and not any(map(contains, records, repeat(key))):
        return np.zeros(len(records), bool), np.ones(len(records), bool)
    values = column(records, key)
    if types_of(values) <= _FLAGS - {float}:
        return np.fromiter(map(bool, values), bool, len(values)), np.ones(len(values), bool)
    found = [_flag(value) for value in values]
    return np.asarray([bool(flag) for flag in found]), np.asarray([flag is not None for flag in found])


def plain_ids(values: list[Any]) -> list[Any]:
    """Ids in one form: 1.0 and "1" are the number 1; text such as "007" stays text; what cannot be an id is None.

    >>> plain_ids([1, 1.0, "1", "007", True, [1]])
    [1, 1, 1, '007', None, None]
    """
    return values if types_of(values) <= {int} else list(map(plain_id, values))


def _flag(value: Any) -> bool | None:
    if type(value) in _FLAGS:
        return None if value != value else bool(value)  # NaN is what pandas writes for a missing value
    return is_set(value) if type(value) is str else None


def _number(value: Any) -> float:
    if type(value) not in _NUMBERS:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
