"""Height and width of JPEG and PNG files from their first bytes, some fifty times faster than opening an image.

EXIF counts as OpenCV counts it, which decodes the pixels: in a JPEG before the frame, in a PNG anywhere, as a short
number, and XMP not at all. What is unusual is left to others. Left out: other formats, and what lies in the pixels.

Sources: ITU-T T.81, annex B; PNG, third edition; EXIF 2.3.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

_FIRST_BYTES, _MORE_BYTES = 8192, 2**20  # EXIF blocks with a thumbnail have up to 64 kB
_JPEG_START, _PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_FILL, _SCAN, _APP1, _RESTARTS = 0xFF, 0xDA, 0xE1, frozenset(range(0xD0, 0xDA)) | {0x01, 0x00}
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; others are left to the decoder
_ODD_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EXIF = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3
_QUARTER_TURNS = frozenset({5, 6, 7, 8})  # these swap height and width
_MOST_CHUNKS = 20_000
_MOST_ENTRIES = 1000


class _UnusualError(Exception):
    """The header is not the plain one that this file reads."""


class _TooShortError(Exception):
    """The bytes end before the header does."""


class _Stored(NamedTuple):
    """Size as stored, and whether it is turned by a quarter."""

    height: int
    width: int
    turned: bool


def header_size(path: Path) -> tuple[int, int] | None:
    """Height and width of a JPEG or PNG, EXIF orientation applied.

    Returns:
        None for other formats, and for headers that are unusual or damaged.

    Raises:
        OSError: the file cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = os.read(handle, _FIRST_BYTES)
        if data.startswith(_JPEG_START):
            try:
                stored = _jpeg(data)
            except _TooShortError:
                stored = _jpeg(data + os.read(handle, _MORE_BYTES))
        elif data.startswith(_PNG_START):
            stored = _png(handle, data)
        else:
            return None
    except (_UnusualError, _TooShortError):
        return None
    finally:
        os.close(handle)
    if not (stored.height and stored.width):
        return None
    return (stored.width, stored.height) if stored.turned else (stored.height, stored.width)


def _jpeg(data: bytes) -> _Stored:
    place, exif = len(_JPEG_START), b""
    while True:
        if place + 9 > len(data):
            raise _TooShortError
        marker = data[place + 1]
        if data[place] != 0xFF or marker in _RESTARTS or marker in _ODD_FRAMES or marker == _SCAN:
            raise _UnusualError
        if marker == _FILL:
            place += 1
            continue
        if marker in _FRAMES:
            if data[place + 4] != 8:  # bits
                raise _UnusualError
            height, width = _big(data, place + 5, 2), _big(data, place + 7, 2)
            return _Stored(height, width, bool(exif) and _is_turned(exif))
        length = _big(data, place + 2, 2)
        if length < 2:
            raise _UnusualError
        if marker == _APP1 and data.startswith(_EXIF, place + 4):
            if exif or place + 2 + length > len(data):
                raise _UnusualError if exif else _TooShortError
            exif = data[place + 4 + len(_EXIF) : place + 2 + length]
        place += 2 + length


def _png(handle: int, data: bytes) -> _Stored:
    """The chunks of a PNG: IHDR is the first, eXIf may stand before or behind the pixels."""
    if len(data) < 33 or data[8:16] != b"\0\0\0\rIHDR" or zlib.crc32(data[12:29]) != _big(data, 29, 4):
        raise _UnusualError
    width, height = _big(data, 16, 4), _big(data, 20, 4)
    place, turned = 33, False
    for _ in range(_MOST_CHUNKS):
        head = data[place : place + 8] if place + 8 <= len(data) else _read_at(handle, place, 8)
        if len(head) < 8:
            raise _UnusualError  # cut off: whoever decodes it may say so
        length = _big(head, 0, 4)
        if head[4:] == b"IEND":
            return _Stored(height, width, turned)
        if head[4:] == b"eXIf":
            if turned or length > _MORE_BYTES:
                raise _UnusualError
            turned = _is_turned(_read_at(handle, place + 8, length))
        place += 12 + length
    raise _UnusualError


def _read_at(handle: int, place: int, count: int) -> bytes:
    os.lseek(handle, place, os.SEEK_SET)
    return os.read(handle, count)


def _is_turned(exif: bytes) -> bool:
    """Whether an EXIF block turns the image by a quarter."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        raise _UnusualError

    def number(place: int, count: int) -> int:
        value = exif[place : place + count]
        if len(value) < count:
            raise _UnusualError
        return int.from_bytes(value, "little" if order == "little" else "big")

    first = number(4, 4)
    entries = number(first, 2)
    if entries > _MOST_ENTRIES:
        raise _UnusualError
    for place in range(first + 2, first + 2 + 12 * entries, 12):
        if number(place, 2) == _ORIENTATION:
            if number(place + 2, 2) != _SHORT or number(place + 4, 4) != 1:
                raise _UnusualError
            return number(place + 8, 2) in _QUARTER_TURNS
    return False


def _big(data: bytes, place: int, count: int) -> int:
    return int.from_bytes(data[place : place + count], "big")
