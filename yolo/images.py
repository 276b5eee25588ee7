"""Read and write one image as uint8 RGB. The only file that knows of BGR, EXIF and OpenCV's flags."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from yolo.errors import ImageReadError
from yolo.files import atomic_write

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

# Orientations 5 to 8 of the EXIF standard turn the image by a quarter: height and width swap.
_EXIF_ORIENTATION_TAG, _EXIF_QUARTER_TURNS = 0x0112, frozenset({5, 6, 7, 8})
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file.

    Grey and palette images become RGB, 16-bit images 8-bit, alpha is dropped, EXIF orientation is applied.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageReadError: the file is missing, no image, or cut off.
    """
    try:
        # imread cannot open non-ASCII paths on every system; reading the bytes ourselves can.
        data = path.read_bytes()
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    return decode_image(data, name=str(path))


def decode_image(data: bytes, *, name: str) -> NDArray[np.uint8]:
    """Decode the bytes of an image file; `name` is what errors call it. See `read_image`."""
    if not data:
        raise ImageReadError(f"{name}: the file is empty")
    if _is_truncated_jpeg(data):
        raise ImageReadError(f"{name}: the JPEG is cut off before its end")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise ImageReadError(f"{name}: cannot be decoded ({error.err})") from error
    if image is None:
        raise ImageReadError(f"{name}: is not an image that can be decoded")
    return np.asarray(image, np.uint8)


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` would return it, from the file's header alone.

    Raises:
        ImageReadError: the file is missing or no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF blocks; pixels are not read here
            with Image.open(path) as image:
                width, height = image.size
                # Pillow turns the size of TIFF files itself
                is_tiff = image.format == "TIFF"
                turned = not is_tiff and image.getexif().get(_EXIF_ORIENTATION_TAG) in _EXIF_QUARTER_TURNS
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "is not an image that can be decoded"
        raise ImageReadError(f"{path}: {reason}") from error
    return (width, height) if turned else (height, width)


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix of `path` chooses the format."""
    written, encoded = cv2.imencode(path.suffix or ".png", image[:, :, ::-1])
    if not written:
        raise OSError(f"{path}: OpenCV could not encode the image")
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _is_truncated_jpeg(data: bytes) -> bool:
    """True for a JPEG whose pixels have no end marker.

    OpenCV returns such files half grey without an error. The end marker cannot occur inside the coded pixels, but it
    does in embedded thumbnails before them and in what phones append behind: it is looked for from the pixels on.
    """
    if not data.startswith(_JPEG_START):
        return False
    place = len(_JPEG_START)
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        if data[place : place + 2] == _JPEG_SCAN:
            return _JPEG_END not in data[place:]
        if data[place + 1] == 0xFF:  # fill byte
            place += 1
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return True  # the segments end before any pixels
