"""Bringing the image files of a dataset to another place: copied, linked, or left where they are.

Left out: their names (file_names.py) and annotations (dataset.py). Originals are only ever read.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Literal

from PIL import ExifTags, Image, UnidentifiedImageError

from yolo.data.account import printable
from yolo.errors import DataError
from yolo.images import IMAGE_SUFFIXES, read_image, write_image

ImageMode = Literal["copy", "link", "none"]

_SUFFIX_OF_FORMAT = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}
_PNG_BIT_DEPTH_AT = 24  # byte of the file


def put_image(source: Path, target: Path, *, mode: Literal["copy", "link"]) -> None:
    """Copy an image's bytes, or link to it with an absolute path.

    Raises:
        DataError: it cannot be read, written or linked.
    """
    try:
        if mode == "copy":
            shutil.copyfile(source, target)
        else:
            target.symlink_to(source.absolute())
    except OSError as error:
        advice = "; use --images copy" if mode == "link" else ""
        raise DataError(
            f"{printable(source)}: cannot be {'copied' if mode == 'copy' else 'linked'} to {printable(target)} "
            f"({error.strerror or error}){advice}"
        ) from error


def put_upright(source: Path, target: Path) -> None:
    """Write the image upright in 8-bit RGB, in the format that the suffix of `target` says.

    Raises:
        ImageReadError: it cannot be decoded.
    """
    write_image(target, read_image(source))


def new_suffix(source: Path, *, encoded: bool) -> str:
    """The suffix that a file needs in place of its own; empty if it can keep that.

    Args:
        source: the image file.
        encoded: it is written anew, PNG as PNG and everything else as JPEG.
    """
    suffix = source.suffix.lower()
    if encoded:
        wanted = {".png"} if _format(source) == "PNG" else {".jpg", ".jpeg"}
        return "" if suffix in wanted else min(wanted, key=len)
    return "" if suffix in IMAGE_SUFFIXES else _SUFFIX_OF_FORMAT.get(_format(source), ".png")


def is_plain(path: Path) -> bool:
    """Whether every program shows the file as it is meant: an upright 8-bit JPEG or PNG, RGB or grey.

    True also for what is no image at all: there is nothing to turn.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF blocks; they are not kept
            with Image.open(path) as image:
                upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
                return image.format in ("JPEG", "PNG") and image.mode in ("RGB", "L") and upright and not _is_deep(path)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return True


def _is_deep(path: Path) -> bool:
    """Whether a PNG has 16 bits per channel, of which Pillow says nothing where there is colour."""
    with path.open("rb") as file:
        head = file.read(_PNG_BIT_DEPTH_AT + 1)
    return head.startswith(b"\x89PNG") and head[_PNG_BIT_DEPTH_AT] > 8


def _format(path: Path) -> str:
    try:
        with Image.open(path) as image:
            return image.format or ""
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""


def reference_of(path: Path) -> str:
    """An absolute path for an annotation file to refer to.

    Raises:
        DataError: the path is no Unicode, which no annotation file can hold.
    """
    text = Path(os.path.abspath(path)).as_posix()  # noqa: PTH100  (no links are resolved)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"{printable(path)}: is not Unicode, so no annotation can name it; rename it, or use --images link"
        ) from None
    return text
