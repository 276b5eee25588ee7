"""Read and write one image as uint8 RGB, and read its size. The only file that knows BGR and decodes pixels.

OpenCV decodes what it knows best, Pillow the rest, by the first bytes of a file and never by its name. Both apply the
EXIF orientation. Samples of more than 8 bits become bytes by one rule, `to_bytes`. Of several frames or pages the first
is read. Left out: kinds of files (image_formats.py) and headers (image_headers.py).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from yolo.arrays import UInt8
from yolo.errors import ImageReadError, SaveError, printable
from yolo.files import read_bytes, write_bytes
from yolo.image_formats import FIRST_BYTES, READ_KINDS, image_kind, missing_extra, open_with_pillow, unreadable_reason
from yolo.image_headers import (
    NEW_SUBFILE_TYPE,
    ORIENTATION_TAG,
    QUARTER_TURNS,
    TiffHeader,
    header_size,
    jpeg2000_bits,
    png_bits,
    pnm_maximum,
    read_jpeg_header,
    read_tiff_header,
)

# Pixels of the longest side that encoders take.
MAX_JPEG_SIDE, _MAX_PNG_SIDE = 65_500, 1_000_000
_MAX_SIDES = {".jpg": MAX_JPEG_SIDE, ".jpeg": MAX_JPEG_SIDE, ".webp": 16_383, ".png": _MAX_PNG_SIDE}
# A file of a few kilobytes may claim any size; beyond this it is an attack or a mistake (600 MB decoded).
MAX_PIXELS = 200_000_000
# Of an image file that an archive, an address or standard input gives.
MAX_IMAGE_BYTES = 1 << 28
FULL_DEPTH, BYTE_DEPTH = 16, 8
_ONLY_PREVIEW = "begins with a small preview, as camera raw does; develop it to JPEG or PNG"

# By how much a JPEG can be reduced while it is decoded.
_REDUCTIONS = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}
# The others are Pillow's: OpenCV does not turn AVIF, and its builds differ in what they know.
_BY_OPENCV = frozenset({"JPEG", "PNG", "BMP", "TIFF", "WebP", "PNM", "JPEG 2000", "Sun raster"})
# of Pillow's modes those with numbers beyond a byte
_FLOAT_MODE, _INTEGER_MODE, _WIDE_MODES = "F", "I", frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


# So many of the bits may be left unused by a few images and by many, before that is said.
_SPARE_OF_ONE, _SPARE_OF_MANY, _MANY = 4, 2, 8
# Of images that cannot be decoded, see `ImageReadError.kind`.
DAMAGED, TOO_LARGE, NO_IMAGE, UNREAD = "damaged", "too large", "that are not images", "of kinds that are not read"

_GIT_LFS = b"version https://git-lfs"  # what stands in a clone for a large file that was not fetched


class Decoded(NamedTuple):
    """An image, and what is worth saying of its file."""

    pixels: UInt8  # (H, W, 3) RGB
    largest: int | None = None  # the largest sample, where they have 16 bits of which the file may use less


def read_image(path: str | Path, *, bit_depth: int = FULL_DEPTH) -> UInt8:
    """Decode an image file.

    Grey and palette images become RGB, 16-bit images 8-bit, alpha is dropped, EXIF orientation is applied.

    Args:
        path: of the file.
        bit_depth: how many bits the samples of 16-bit files have: 12 where they range from 0 to 4095. What a file
            itself says of its samples, as a 12-bit TIFF and the maximum of a PGM do, goes first.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageReadError: the file is missing, not an image, cut off, or of more than 200 million pixels.
    """
    # imread cannot open non-ASCII paths on every system; reading the bytes ourselves can.
    return decode_image(read_bytes(Path(path), error=ImageReadError), name=str(path), bit_depth=bit_depth)


def decode_image(data: bytes, *, name: str, reduction: int = 1, bit_depth: int = FULL_DEPTH) -> UInt8:
    """Decode the bytes of an image file; see `read_image`.

    Args:
        data: the file.
        name: what errors call it.
        reduction: from `possible_reduction`: the result has 1 / reduction of each side, rounded up, and each of its
            pixels is the mean of reduction x reduction pixels.
        bit_depth: see `read_image`.
    """
    return decode(data, name=name, reduction=reduction, bit_depth=bit_depth).pixels


def decode(data: bytes, *, name: str, reduction: int = 1, bit_depth: int = FULL_DEPTH) -> Decoded:
    """`decode_image`, with what is worth saying of the file."""
    if not data:
        raise ImageReadError(f"{name}: the file is empty", "empty")
    kind = image_kind(data[:FIRST_BYTES])
    if data.startswith(_GIT_LFS):
        raise ImageReadError(f"{name}: is a pointer of Git LFS, not the image itself; fetch it: git lfs pull", NO_IMAGE)
    if missing_extra(kind):
        raise _undecodable(name, kind)
    tiff = read_tiff_header(data) if kind == "TIFF" else None
    if tiff is not None and tiff.is_preview:
        raise ImageReadError(f"{name}: {_ONLY_PREVIEW}", UNREAD)
    _check_header(data, kind, name)
    if kind in _BY_OPENCV and (tiff is None or (tiff.is_unsigned and tiff.bits <= FULL_DEPTH)):
        depth = _depth(data, kind, tiff)
        values = _by_opencv(data, name, depth, reduction)
    else:
        depth, values = _Depth(), None
    if values is None and kind in ("JPEG", "PNG"):  # what OpenCV refuses of these is damaged
        raise _undecodable(name, kind)
    if values is None:
        values, depth = _by_pillow(data, kind, name)
    if values.dtype == np.uint8 and depth.white in (None, 255):
        return Decoded(np.asarray(values, np.uint8))
    if depth.white is not None:
        return Decoded(to_bytes(values, depth.white))
    return Decoded(to_bytes(values, 2**bit_depth - 1), int(values.max()))


def read_to_show(path: Path) -> UInt8:
    """`read_image` for pictures that people look at; see `decode_to_show`."""
    return decode_to_show(read_bytes(path, error=ImageReadError), name=str(path))


def decode_to_show(data: bytes, *, name: str, reduction: int = 1) -> UInt8:
    """`decode_image` for pictures that people look at: the largest sample of 16 bits decides how bright they are."""
    decoded = decode(data, name=name, reduction=reduction)
    if decoded.largest is None:
        return decoded.pixels
    return decode_image(data, name=name, bit_depth=max(BYTE_DEPTH, decoded.largest.bit_length()))


class DepthTally:
    """Counts 16-bit images while they are read, in several threads if need be, and says where the bit depth is odd.

    Args:
        bit_depth: with which they are read.
    """

    def __init__(self, bit_depth: int) -> None:
        self._bit_depth = bit_depth
        self._lock = Lock()
        self._count = self._above = self._largest = 0
        self._dark = self._largest_of_dark = 0  # images that use a sixteenth of the range, whatever others use

    def add(self, largest: int | None) -> None:
        """Count an image by its largest sample, None where it has no 16 bits."""
        if largest is not None:
            with self._lock:
                self._count += 1
                self._above += largest >= 2**self._bit_depth
                self._largest = max(self._largest, largest)
                if 0 < largest < 2 ** (self._bit_depth - _SPARE_OF_ONE):
                    self._dark += 1
                    self._largest_of_dark = max(self._largest_of_dark, largest)

    def notes(self) -> list[str]:
        """What somebody should know, if anything.

        One image may be dark because it was night, so it has to use a sixteenth of the range; several, a quarter.
        """
        used = max(BYTE_DEPTH, self._largest.bit_length())
        advice = f"set the bit depth to what their camera has, such as --bit-depth {used} (bit_depth={used} in Python)"
        images = "1 image has" if self._count == 1 else f"{self._count} images have"
        white = 2**self._bit_depth - 1
        if self._above:
            which = "" if self._above == self._count else f", {self._above} of them"
            return [f"{images} 16 bits and{which} samples above {white}, which become white; {advice}"]
        spare = self._bit_depth - self._largest.bit_length()
        if self._count and self._largest and spare >= (_SPARE_OF_MANY if self._count >= _MANY else _SPARE_OF_ONE):
            return [
                f"{images} samples up to {self._largest} where {white} is white, so they are read as "
                f"nearly black; {advice}"
            ]
        if self._dark:  # among images that fill the range: of another camera
            return [
                f"{self._dark} of {self._count} 16-bit images have samples up to {self._largest_of_dark} where {white} "
                "is white, so they are read as nearly black; if they are of another camera than the rest, convert them "
                "to the full range"
            ]
        return []


class _Depth(NamedTuple):
    """How the samples of a file are to be read."""

    is_deep: bool = False  # they may have more than 8 bits, or a white of their own
    white: int | None = None  # the largest value there can be, where the file says so


def _depth(data: bytes, kind: str, tiff: TiffHeader | None) -> _Depth:
    if kind == "PNG":
        return _Depth(png_bits(data) > BYTE_DEPTH)
    if kind == "TIFF":
        bits = BYTE_DEPTH if tiff is None else tiff.bits
        # OpenCV moves 10, 12 and 14 bits to the upper end of 16
        return _Depth(bits > BYTE_DEPTH, 2**FULL_DEPTH - 1 if BYTE_DEPTH < bits < FULL_DEPTH else None)
    white = 2 ** jpeg2000_bits(data) - 1 if kind == "JPEG 2000" else pnm_maximum(data) if kind == "PNM" else 0
    if white in (0, 2**BYTE_DEPTH - 1) or (kind == "JPEG 2000" and white < 2**BYTE_DEPTH):
        return _Depth()
    return _Depth(True, None if white == 2**FULL_DEPTH - 1 else white)


def to_bytes(values: NDArray[np.unsignedinteger[Any]], white: int) -> UInt8:
    """Samples from 0 to `white` as 0 to 255; what is above becomes 255.

    >>> to_bytes(np.array([0, 2048, 4095, 60000], np.uint16), 4095).tolist()
    [0, 128, 255, 255]
    """
    bits = white.bit_length()
    if white == 2**bits - 1 and bits >= BYTE_DEPTH:  # whole bits: the upper eight, as everywhere
        scaled = values >> (bits - BYTE_DEPTH)
    else:
        scaled = np.rint(values * 255.0 / white)
    return np.asarray(np.minimum(scaled, 255), np.uint8)


def _by_opencv(data: bytes, name: str, depth: _Depth, reduction: int) -> NDArray[Any] | None:
    """(H, W, 3) RGB, uint8 or uint16; None where OpenCV cannot decode it."""
    # the flags of reduced decoding set the bits of the scale only; the colour is the other flag's
    flags = cv2.IMREAD_COLOR_RGB | _REDUCTIONS.get(reduction, 0)
    if depth.is_deep:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH  # of OpenCV 5, RGB of 16-bit TIFF files is noise
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageReadError(f"{name}: cannot be decoded ({error.err})", DAMAGED) from error
    if image is None or image.dtype not in (np.uint8, np.uint16) or image.ndim != 3:
        return None
    return np.ascontiguousarray(image[:, :, ::-1]) if depth.is_deep else image


def _by_pillow(data: bytes, kind: str, name: str) -> tuple[NDArray[Any], _Depth]:
    """(H, W, 3) RGB of what Pillow decodes, and how to read its samples."""
    try:
        with open_with_pillow(data) as opened:
            _check_size((opened.height, opened.width), name)
            image = ImageOps.exif_transpose(opened)
            if image.mode in _WIDE_MODES:
                return np.repeat(np.asarray(image, np.uint16)[:, :, None], 3, axis=2), _Depth(True)
            if image.mode in (_FLOAT_MODE, _INTEGER_MODE):
                return _from_numbers(np.asarray(image), name), _Depth()
            return np.asarray(image.convert("RGB"), np.uint8), _Depth()
    except Image.DecompressionBombError as error:
        raise ImageReadError(f"{name}: has too many pixels to be read ({error})", TOO_LARGE) from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, ArithmeticError, struct.error) as error:
        raise _undecodable(name, kind) from error


def _from_numbers(values: NDArray[Any], name: str) -> UInt8:
    """Grey values from 0 to 1 as (H, W, 3) bytes: what is white in other numbers, only their maker knows."""
    if values.dtype.kind != "f":
        raise ImageReadError(
            f"{name}: has samples of 32 bits or with a sign; convert it to 8 or 16 bits without sign", UNREAD
        )
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # also where one is NaN
        raise ImageReadError(
            f"{name}: has floating-point samples from {low:g} to {high:g}; only 0 to 1 can be read: convert it to 8 or "
            "16 bits",
            UNREAD,
        )
    return np.repeat(np.rint(values * 255).astype(np.uint8)[:, :, None], 3, axis=2)


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
        if is_enough and (is_even or not header.exif):
            return reduction
    return 1


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` would return it, from the file's header alone where possible.

    Raises:
        ImageReadError: the file is missing, not an image, or of more than 200 million pixels.
    """
    try:
        size_hw = header_size(path) or _size_by_pillow(path)
    except (OSError, ValueError) as error:
        raise ImageReadError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    _check_size(size_hw, str(path))
    return size_hw


def _size_by_pillow(path: Path) -> tuple[int, int]:
    """`read_size` for what is neither a usual JPEG nor a usual PNG."""
    with path.open("rb") as file:
        kind = image_kind(file.read(FIRST_BYTES))
    if missing_extra(kind):
        raise _undecodable(str(path), kind)
    try:
        with open_with_pillow(path) as image:
            width, height = image.size
            turned = _orientation(image) in QUARTER_TURNS
            # OpenCV and Pillow sometimes disagree about EXIF in these formats; and camera raw is found when decoded
            is_odd = image.format in ("JPEG", "MPO", "PNG") or _is_preview(image)
    except Image.DecompressionBombError as error:
        raise ImageReadError(f"{path}: has too many pixels to be read ({error})", TOO_LARGE) from error
    except (OSError, ValueError, SyntaxError) as error:
        if kind not in _BY_OPENCV:
            reason = getattr(error, "strerror", None) or unreadable_reason(kind)
            raise ImageReadError(f"{path}: {reason}") from error
        width, height, turned, is_odd = 0, 0, False, True  # such as TIFF files of 12 bits
    if is_odd:
        _check_size((height, width), str(path))
        height, width = read_image(path).shape[:2]
        return height, width
    return (width, height) if turned else (height, width)


def _orientation(image: Image.Image) -> int:
    """Of an image that Pillow has opened but not turned."""
    if image.format == "TIFF":  # of which it turns the size itself
        return 1
    if image.format == "AVIF":  # which has it outside of EXIF, where Pillow puts it
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    return int(exif.get(ORIENTATION_TAG, 1))


def _is_preview(image: Image.Image) -> bool:
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    return bool(tags.get(NEW_SUBFILE_TYPE, 0) & 1)


def write_image(path: Path, image: UInt8) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix of `path` chooses the format."""
    try:
        encoded = encode_image(image, path.suffix or ".png")
    except SaveError as error:
        raise SaveError(f"{printable(path)}: {error}; end the name with .png", others_may_follow=True) from error
    write_bytes(path, encoded)


def encode_image(image: UInt8, suffix: str) -> bytes:
    """An (H, W, 3) uint8 RGB image as the bytes of a file; `suffix`, as ".jpg", chooses the format."""
    height, width = image.shape[:2]
    kind = suffix.lower()
    most = _MAX_SIDES.get(kind, max(height, width))
    try:
        written, encoded = cv2.imencode(kind, image[:, :, ::-1]) if max(height, width) <= most else (False, None)
    except cv2.error:
        written, encoded = False, None
    if not written or encoded is None:
        message = f"a picture of {width} x {height} pixels cannot be written as {suffix}"
        raise SaveError(message, others_may_follow=True)
    return encoded.tobytes()


def encode_picture(image: UInt8) -> tuple[bytes, str]:
    """An (H, W, 3) uint8 RGB image for people to look at, as the bytes of a file and its suffix.

    A JPEG; a PNG where a side is too long for that, and a smaller JPEG where it is too long for both.
    """
    most = max(image.shape)
    if most <= MAX_JPEG_SIDE:
        return encode_image(image, ".jpg"), ".jpg"
    if most <= _MAX_PNG_SIDE:
        return encode_image(image, ".png"), ".png"
    scale = MAX_JPEG_SIDE / most
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return encode_image(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), ".jpg"), ".jpg"


def _undecodable(name: str, kind: str) -> ImageReadError:
    """What to raise of a file that no decoder takes, by what its first bytes say."""
    what = UNREAD if missing_extra(kind) else DAMAGED if kind in READ_KINDS else NO_IMAGE
    return ImageReadError(f"{name}: {unreadable_reason(kind)}", what)


def _check_header(data: bytes, kind: str, name: str) -> None:
    """ImageReadError for files that no decoder should be given."""
    header = read_jpeg_header(data)
    if header is not None and header.is_truncated(data):
        raise ImageReadError(f"{name}: the JPEG is cut off before its end", DAMAGED)
    _check_size(header.size_hw if header is not None else _stated_size(data, kind, name), name)


def _check_size(size_hw: tuple[int, int], name: str) -> None:
    height, width = size_hw
    if height * width > MAX_PIXELS:
        raise ImageReadError(
            f"{name}: claims to be {width} x {height} pixels; more than {MAX_PIXELS // 1_000_000} million are not read",
            TOO_LARGE,
        )


def _stated_size(data: bytes, kind: str, name: str) -> tuple[int, int]:
    """Height and width that the header of a file other than JPEG states; (0, 0) where only OpenCV may know."""
    if kind == "PNG":
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if kind not in _BY_OPENCV:  # Pillow decodes it and tells
        return 0, 0
    try:
        with open_with_pillow(data) as image:
            return image.size[1], image.size[0]
    except Image.DecompressionBombError as error:
        raise ImageReadError(f"{name}: has too many pixels to be read ({error})", TOO_LARGE) from error
    except (OSError, ValueError, SyntaxError):
        # Pillow does not know every kind that OpenCV does, and is stricter about some
        return 0, 0
