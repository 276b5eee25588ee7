"""JSON files, whole or an array part by part, with errors that say where the file ends or breaks.

Results files of detectors are one long array. Parsed as a whole it takes ten times the memory of the file; parsed
in parts, of which only columns are kept, it takes little more than the file. Left out: what the values mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from yolo.errors import DataError, printable
from yolo.files import without_garbage_collection
from yolo.formats.paths import read_bytes

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_PART_BYTES = 4 << 20
# where an array of objects may be cut; whether it was between two elements shows when the parts are parsed
_BORDER = re.compile(rb"\}\s*,")


def read_json_bytes(path: Path) -> bytes:
    """The bytes of a JSON file without byte order mark and surrounding space.

    Raises:
        DataError: it cannot be read, or there is nothing in it.
    """
    data = read_bytes(path)
    if not data:
        raise DataError(f"{printable(path)}: is empty (0 bytes); write it again, or copy it again")
    data = data.removeprefix(_BYTE_ORDER_MARK).strip(_SPACE)
    if not data:
        raise DataError(f"{printable(path)}: holds nothing but blank space; write it again, or copy it again")
    return data


def parse_json(data: bytes, path: Path) -> Any:
    """The content of a JSON file; NaN and Infinity, which are no JSON, are read as Python writes them.

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
        except RecursionError as error:
            raise DataError(f"{printable(path)}: is nested too deeply to be read") from error
        except ValueError as error:  # an integer of thousands of digits
            raise DataError(f"{printable(path)}: is not JSON that can be read ({error})") from error


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
        # cut within an element or a text, the part would be no JSON: its brackets or quotes stay open
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
    """The elements between two cuts, None where they are none."""
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
    opened, end = data[:1], data[-1:]
    if opened in b"[{" and end != {b"[": b"]", b"{": b"}"}[opened]:
        return (
            f"ends before it is complete, after {len(data):,} bytes in line {data.count(10) + 1:,} "
            f"({problem} at {place}); it was cut off while it was written or copied: write or copy it again"
        )
    return f"is not JSON ({problem} at {place})"
