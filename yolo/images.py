"""Read and write one image as uint8 RGB, and read its size from the header. The only file that knows BGR and EXIF.

Sizes are read from the first bytes of JPEG and PNG files, some ten times faster than Pillow opens them. EXIF counts as
OpenCV counts it, which decodes the pixels: in a JPEG before the frame, in a PNG anywhere, as a short number, and XMP
not at all. Headers that are unusual or damaged, and other formats, are left to Pillow and to the decoder.

Sources: ITU-T T.81, annex B (JPEG); PNG, third edition; EXIF 2.3.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO, FileIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from yolo.arrays import UInt8
from yolo.errors import ImageReadError
from yolo.files import read_bytes, write_bytes

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
# A file of a few kilobytes may claim any size; beyond this it is an attack or a mistake (600 MB decoded).
MAX_PIXELS = 200_000_000
# Of an image file that an archive, an address or standard input gives.
MAX_IMAGE_BYTES = 1 << 28
# Orientations of EXIF that turn the image by a quarter: height and width swap.
QUARTER_TURNS = frozenset({5, 6, 7, 8})

# By how much a JPEG can be reduced while it is decoded.
_REDUCTIONS = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}
_FIRST_BYTES, _MORE_BYTES = 8192, 2**20  # EXIF blocks with a thumbnail have up to 64 kB

_JPEG_START, _JPEG_END, _EXIF = b"\xff\xd8", b"\xff\xd9", b"Exif\0\0"
_FILL, _SCAN, _APP1 = 0xFF, 0xDA, 0xE1
# Start of frame: C0 to CF but for the tables C4 and CC and the reserved C8. The first three are baseline, extended and
# progressive; not every decoder knows the others.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_USUAL_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xDA)) | {0x01, 0x00}  # restarts and the like, which do not belong in a header

_PNG_START, _PNG_FIRST_CHUNK, _PNG_HEADER_BYTES, _MAX_PNG_CHUNKS = b"\x89PNG\r\n\x1a\n", b"\0\0\0\rIHDR", 33, 20_000
_ORIENTATION_TAG, _SHORT = 0x0112, 3


class JpegHeader(NamedTuple):
    """The header of a JPEG."""

    size_hw: tuple[int, int]  # as stored, before EXIF turns them; (0, 0) where the file does not say
    exif: bytes  # the EXIF block with its signature, which may turn the image; empty if there is none
    scan: int | None  # where in the file the first pixels begin; None if it ends before them
    is_usual: bool  # the frame is of a common kind, and nothing before it is odd

    def is_truncated(self, data: bytes) -> bool:
        """True if the pixels have no end marker: OpenCV returns such files half grey without an error.

        The marker cannot occur inside the coded pixels, but it does in embedded thumbnails before them and in what
        phones append behind: it is looked for from the pixels on.
        """
        return self.scan is None or data.rfind(_JPEG_END, self.scan) < 0  # from the back, where it usually is


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of the bytes of a file; None if they are not a JPEG.

    >>> read_jpeg_header(b"GIF89a") is None
    True
    """
    if not data.startswith(_JPEG_START):
        return None
    size_hw, exif, is_odd, is_usual, place = (0, 0), b"", False, False, len(_JPEG_START)
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker = data[place + 1]
        if marker == _SCAN:
            return JpegHeader(size_hw, exif, place, is_usual)
        if marker == _FILL:
            place += 1
            continue
        length = data[place + 2] << 8 | data[place + 3]
        is_odd |= marker in _WITHOUT_LENGTH or length < 2
        if marker in _FRAMES and place + 9 <= len(data):
            bits, height, width = struct.unpack_from(">BHH", data, place + 4)
            size_hw = (height, width)
            is_usual = not is_odd and marker in _USUAL_FRAMES and bits == 8
        elif marker == _APP1 and data.startswith(b"Exif", place + 4):
            # decoders differ about several blocks, and about one behind the frame
            is_odd, is_usual, exif = is_odd or bool(exif), False, data[place + 4 : place + 2 + length]
        place += 2 + length
    return JpegHeader(size_hw, exif, None, is_usual)


def header_size(path: Path) -> tuple[int, int] | None:
    """Height and width of a JPEG or PNG, EXIF orientation applied.

    Returns:
        None for other formats, and for headers that are unusual or damaged.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        data = file.read(_FIRST_BYTES)
        if (header := read_jpeg_header(data)) is not None:
            if not header.is_usual and header.scan is None:  # the bytes may have ended before the frame
                header = read_jpeg_header(data + file.read(_MORE_BYTES)) or header
            size_hw = header.size_hw if header.is_usual else (0, 0)
            orientation = _orientation(header.exif.removeprefix(_EXIF))
        elif data.startswith(_PNG_START):
            size_hw, orientation = _png_size(data), _png_orientation(file, data)
        else:
            return None
    if orientation is None or 0 in size_hw:
        return None
    return size_hw[::-1] if orientation in QUARTER_TURNS else size_hw


def _png_size(data: bytes) -> tuple[int, int]:
    """Height and width of a PNG as stored; (0, 0) if its first chunk is damaged."""
    if len(data) < _PNG_HEADER_BYTES or data[8:16] != _PNG_FIRST_CHUNK:
        return 0, 0
    width, height, checksum = *struct.unpack_from(">II", data, 16), struct.unpack_from(">I", data, 29)[0]
    return (height, width) if zlib.crc32(data[12:29]) == checksum else (0, 0)


def _png_orientation(file: FileIO, data: bytes) -> int | None:
    """Orientation by the chunk eXIf of a PNG, which may stand before or behind the pixels; None if it is unusual."""
    place, exif = _PNG_HEADER_BYTES, b""
    for _ in range(_MAX_PNG_CHUNKS):
        head = data[place : place + 8] if place + 8 <= len(data) else _read_at(file, place, 8)
        if len(head) < 8:
            return None  # cut off: the decoder names the fault
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IEND":
            return _orientation(exif)
        if kind == b"eXIf":
            if exif or length > _MORE_BYTES:
                return None
            exif = _read_at(file, place + 8, length)
        place += 12 + length
    return None


def _read_at(file: FileIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _orientation(exif: bytes) -> int | None:
    """Orientation by an EXIF block as OpenCV reads it: 1, upright, where it says nothing; None if it is unusual."""
    if not exif:
        return 1
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, first)
        directory = struct.unpack_from(f"{12 * entries}s", exif, first + 2)[0]
        for tag, kind, count, value, _ in struct.iter_unpack(f"{order}HHIHH", directory):
            if tag == _ORIENTATION_TAG:
                return int(value) if (kind, count) == (_SHORT, 1) else None
    except struct.error:  # it ends before what it announces
        return None
    return 1


def read_image(path: str | Path) -> UInt8:
    """Decode an image file.

    Grey and palette images become RGB, 16-bit images 8-bit, alpha is dropped, EXIF orientation is applied.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageReadError: the file is missing, not an image, cut off, or of more than 200 million pixels.
    """
    # imread cannot open non-ASCII paths on every system; reading the bytes ourselves can.
    return decode_image(read_bytes(Path(path), error=ImageReadError), name=str(path))


def decode_image(data: bytes, *, name: str, reduction: int = 1) -> UInt8:
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
        if is_enough and (is_even or not header.exif):
            return reduction
    return 1


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` would return it, from the file's header alone.

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF blocks; pixels are not read here
            with Image.open(path) as image:
                width, height = image.size
                # OpenCV and Pillow sometimes disagree about EXIF in these formats; the decoded pixels decide
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
    turned = exif.get(_ORIENTATION_TAG) in QUARTER_TURNS
    return (width, height) if turned else (height, width)


def write_image(path: Path, image: UInt8) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix of `path` chooses the format."""
    write_bytes(path, encode_image(image, path.suffix or ".png"))


def encode_image(image: UInt8, suffix: str) -> bytes:
    """An (H, W, 3) uint8 RGB image as the bytes of a file; `suffix`, as ".jpg", chooses the format."""
    written, encoded = cv2.imencode(suffix, image[:, :, ::-1])
    if not written:
        raise OSError(f"OpenCV could not encode an image of shape {image.shape} as {suffix}")
    return encoded.tobytes()


def _check_header(data: bytes, name: str) -> None:
    """ImageReadError for files that OpenCV should not be given."""
    header = read_jpeg_header(data)
    if header is not None and header.is_truncated(data):
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
