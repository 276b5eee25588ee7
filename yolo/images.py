"""Read and write one image as uint8 RGB. The only file that knows of BGR, EXIF and OpenCV's flags.

What the header of a JPEG file says, read from its bytes: size, EXIF, where the pixels begin.

Left out: decoding (`images` does it) and other formats.

Source: ITU-T T.81, annex B.

Height and width of JPEG and PNG files from their first bytes, some fifty times faster than opening an image.

EXIF counts as OpenCV counts it, which decodes the pixels: in a JPEG before the frame, in a PNG anywhere, as a short
number, and XMP not at all. What is unusual is left to others. Left out: other formats, and what lies in the pixels.

Sources: ITU-T T.81, annex B; PNG, third edition; EXIF 2.3.
"""

from __future__ import annotations

import os
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from yolo.errors import ImageReadError
from yolo.files import atomic_write

_START, _END = b"\xff\xd8", b"\xff\xd9"
_FILL, _SCAN, _APP1 = 0xFF, 0xDA, 0xE1
# start of frame: C0 to CF but for the tables C4 and CC and the reserved C8
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class JpegHeader(NamedTuple):
    """The header of a JPEG.

    Attributes:
        size_hw: height and width as stored, before EXIF turns them; (0, 0) where the file does not say.
        has_exif: there is an EXIF block, which may turn the image.
        scan: where in the file the first pixels begin; None if it ends before them.
    """

    size_hw: tuple[int, int]
    has_exif: bool
    scan: int | None


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of the bytes of a file; None for what is no JPEG.

    >>> read_jpeg_header(b"GIF89a") is None
    True
    """
    if not data.startswith(_START):
        return None
    size_hw, has_exif, place = (0, 0), False, len(_START)
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker = data[place + 1]
        if marker == _SCAN:
            return JpegHeader(size_hw, has_exif, place)
        if marker == _FILL:
            place += 1
            continue
        if marker in _FRAMES:
            # length 2, precision 1, height 2, width 2
            size_hw = (_number(data, place + 5), _number(data, place + 7))
        has_exif |= marker == _APP1 and data[place + 4 : place + 8] == b"Exif"
        place += 2 + _number(data, place + 2)
    return JpegHeader(size_hw, has_exif, None)


def is_truncated(data: bytes, header: JpegHeader) -> bool:
    """True for a JPEG whose pixels have no end marker.

    OpenCV returns such files half grey without an error. The end marker cannot occur inside the coded pixels, but it
    does in embedded thumbnails before them and in what phones append behind: it is looked for from the pixels on.
    """
    # from the back, where it usually is
    return header.scan is None or data.rfind(_END, header.scan) < 0


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")


_FIRST_BYTES, _MORE_BYTES = 8192, 2**20  # EXIF blocks with a thumbnail have up to 64 kB
_JPEG_START, _PNG_START_IMAGE_HEADERS = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_FILL_IMAGE_HEADERS, _SCAN_IMAGE_HEADERS, _APP1_IMAGE_HEADERS, _RESTARTS = (
    0xFF,
    0xDA,
    0xE1,
    frozenset(range(0xD0, 0xDA)) | {0x01, 0x00},
)
_FRAMES_IMAGE_HEADERS = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; others are left to the decoder
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
        elif data.startswith(_PNG_START_IMAGE_HEADERS):
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
        if data[place] != 0xFF or marker in _RESTARTS or marker in _ODD_FRAMES or marker == _SCAN_IMAGE_HEADERS:
            raise _UnusualError
        if marker == _FILL_IMAGE_HEADERS:
            place += 1
            continue
        if marker in _FRAMES_IMAGE_HEADERS:
            if data[place + 4] != 8:  # bits
                raise _UnusualError
            height, width = _big(data, place + 5, 2), _big(data, place + 7, 2)
            return _Stored(height, width, bool(exif) and _is_turned(exif))
        length = _big(data, place + 2, 2)
        if length < 2:
            raise _UnusualError
        if marker == _APP1_IMAGE_HEADERS and data.startswith(_EXIF, place + 4):
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


IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

# Orientations 5 to 8 of the EXIF standard turn the image by a quarter: height and width swap.
_EXIF_ORIENTATION_TAG, _EXIF_QUARTER_TURNS = 0x0112, frozenset({5, 6, 7, 8})
_PNG_START = b"\x89PNG\r\n\x1a\n"

# A file of a few kilobytes may claim any size; beyond this it is an attack or a mistake (600 MB decoded).
MAX_PIXELS = 200_000_000
# By how much a JPEG can be reduced while it is decoded.
_REDUCTIONS = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file.

    Grey and palette images become RGB, 16-bit images 8-bit, alpha is dropped, EXIF orientation is applied.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageReadError: the file is missing, no image, cut off, or of more than 200 million pixels.
    """
    return decode_image(read_bytes(path), name=str(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; ImageReadError if there is none that can be read."""
    try:
        # imread cannot open non-ASCII paths on every system; reading the bytes ourselves can.
        return path.read_bytes()
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be read ({error.strerror or error})") from error


def decode_image(data: bytes, *, name: str, reduction: int = 1) -> NDArray[np.uint8]:
    """Decode the bytes of an image file; see `read_image`.

    Args:
        data: the file.
        name: what errors call it.
        reduction: from `possible_reduction`: the result has 1 / reduction of each side, rounded up, and each of its
            pixels is the mean of reduction x reduction pixels.
    """
    if not data:
        raise ImageReadError(f"{name}: the file is empty")
    _check_header(data, name)
    # the flags of reduced decoding set the bits of the scale only; the colour is the other flag's
    flags = cv2.IMREAD_COLOR_RGB | _REDUCTIONS.get(reduction, 0)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageReadError(f"{name}: cannot be decoded ({error.err})") from error
    if image is None:
        raise ImageReadError(f"{name}: is not an image that can be decoded")
    return np.asarray(image, np.uint8)


def possible_reduction(data: bytes, size_hw: tuple[int, int], needed_hw: tuple[int, int]) -> int:
    """By how much an image can be reduced while it is decoded: 8, 4, 2 or, not at all, 1.

    Only JPEG can. The last row and column of a reduced image may stand for less than `reduction` pixels; where EXIF
    could turn them to the front, the image is left whole.

    Args:
        data: the file.
        size_hw: height and width it should have, EXIF applied; where it has another size it is left whole.
        needed_hw: the least height and width of the result.
    """
    header = read_jpeg_header(data)
    if header is None or sorted(header.size_hw) != sorted(size_hw):
        return 1
    for reduction in sorted(_REDUCTIONS, reverse=True):
        is_even = all(side % reduction == 0 for side in size_hw)
        is_enough = all(-(-side // reduction) >= need for side, need in zip(size_hw, needed_hw, strict=True))
        if is_enough and (is_even or not header.has_exif):
            return reduction
    return 1


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` would return it, from the file's header alone.

    Raises:
        ImageReadError: the file is missing, no image, or of more than 200 million pixels.
    """
    try:
        size_hw = header_size(path) or _size_by_pillow(path)
    except (OSError, ValueError) as error:
        raise ImageReadError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    _check_size(size_hw, str(path))
    return size_hw


def _size_by_pillow(path: Path) -> tuple[int, int]:
    """`read_size` for what is neither a plain JPEG nor a plain PNG."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF blocks; pixels are not read here
            with Image.open(path) as image:
                width, height = image.size
                # of EXIF in these OpenCV and Pillow think differently now and then; the pixels decide
                is_odd, exif_block = image.format in ("JPEG", "MPO", "PNG"), image.info.get("exif", b"")
                exif = Image.Exif()
                exif.load(exif_block if image.format != "TIFF" else b"")  # Pillow turns the size of TIFF files itself
    except Image.DecompressionBombError as error:
        raise ImageReadError(f"{path}: has too many pixels to be read ({error})") from error
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or "is not an image that can be decoded"
        raise ImageReadError(f"{path}: {reason}") from error
    if is_odd:
        _check_size((height, width), str(path))
        height, width = read_image(path).shape[:2]
        return height, width
    turned = exif.get(_EXIF_ORIENTATION_TAG) in _EXIF_QUARTER_TURNS
    return (width, height) if turned else (height, width)


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix of `path` chooses the format."""
    written, encoded = cv2.imencode(path.suffix or ".png", image[:, :, ::-1])
    if not written:
        raise OSError(f"{path}: OpenCV could not encode the image")
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _check_header(data: bytes, name: str) -> None:
    """ImageReadError for files that OpenCV should not be given."""
    header = read_jpeg_header(data)
    if header is not None and is_truncated(data, header):
        raise ImageReadError(f"{name}: the JPEG is cut off before its end")
    _check_size(header.size_hw if header is not None else _stated_size(data, name), name)


def _check_size(size_hw: tuple[int, int], name: str) -> None:
    height, width = size_hw
    if height * width > MAX_PIXELS:
        raise ImageReadError(
            f"{name}: claims to be {width} x {height} pixels; more than {MAX_PIXELS // 1_000_000} million are not read"
        )


def _stated_size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width that the header of a file other than JPEG states; (0, 0) where only OpenCV may know."""
    if data.startswith(_PNG_START):
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing is decoded here
            with Image.open(BytesIO(data)) as image:
                return image.size[1], image.size[0]
    except Image.DecompressionBombError as error:
        raise ImageReadError(f"{name}: has too many pixels to be read ({error})") from error
    except (OSError, ValueError, SyntaxError):
        # Pillow does not know every kind that OpenCV does, and is stricter about some
        return 0, 0
