"""Read and write one image as uint8 RGB. The only file that knows of BGR, EXIF and OpenCV's flags."""

import warnings
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from yolo.errors import ImageReadError
from yolo.files import atomic_write
from yolo.image_headers import header_size
from yolo.jpeg import is_truncated, read_jpeg_header

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
