"""The image files of a dataset that is written: copied, linked or left where they are, under valid names.

Originals are only read. Names stay what they were wherever possible, each is given once, and none leads out of its
folder. Left out: annotations (write.py).
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from yolo.config import DatasetFormat
from yolo.curate.images import is_deep_png
from yolo.data.read import Split
from yolo.errors import DataError, line_of_path, printable
from yolo.formats.paths import is_image_name
from yolo.image_formats import FIRST_BYTES, IMAGE_SUFFIXES, READ_KINDS, image_kind, open_with_pillow
from yolo.images import read_image, write_image
from yolo.structures import AnnotatedImage, GroundTruth

ImageMode = Literal["copy", "link", "none"]

_SUFFIX_OF_FORMAT = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}
_SUFFIX_OF_FORMAT |= {"GIF": ".gif", "AVIF": ".avif", "HEIF": ".heic", "JPEG2000": ".jp2", "PPM": ".ppm"}
# A file system takes 255 bytes; the rest is room for a number and for another suffix.
_MOST_NAME_BYTES = 230
# What lists, Windows and JSON cannot hold: control characters, separators, bytes that are not Unicode.
_UNFIT_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]')


def place_images(
    splits: Mapping[str, Split],
    root: Path,
    *,
    format: DatasetFormat,  # noqa: A002  (the word of the command line)
    images: ImageMode,
    upright: bool,
    bit_depth: int,
) -> tuple[dict[str, list[str]], list[str]]:
    """Copy or link the images of all splits below `root`, see `write_dataset`.

    Returns:
        By split the path of each image, below the root with forward slashes, or absolute; and notes: how many were
        renamed or written anew.

    Raises:
        DataError: an image cannot be read or copied, or its path cannot be written down.
    """
    if images == "none":
        return {name: [_reference(Path(path)) for path in split.images.paths] for name, split in splits.items()}, []
    counts: Counter[str] = Counter()
    references: dict[str, list[str]] = {}
    names = FileNames(apart_by_stem=True)
    placed: dict[tuple[str, Path], tuple[GroundTruth, str]] = {}
    for split_name, split in splits.items():
        folder = "JPEGImages" if format == "voc" else f"images/{split_name}"
        if format != "voc":  # whose splits share a folder, and the images in it
            names, placed = FileNames(apart_by_stem=format == "yolo"), {}
        (root / folder).mkdir(parents=True, exist_ok=True)
        references[split_name] = []
        for image in split.images:
            key = (image.image_id, image.path)
            if key not in placed or not _equal(placed[key][0], image.ground_truth):
                anew = bit_depth if upright else None
                name = _place(image, root / folder, names, link=images == "link", anew_from=anew, counts=counts)
                placed[key] = (image.ground_truth, f"{folder}/{name}")
            references[split_name].append(placed[key][1])
    return references, [f"{count} images were {what}" for what, count in counts.items() if count]


def _place(
    image: AnnotatedImage, folder: Path, names: FileNames, *, link: bool, anew_from: int | None, counts: Counter[str]
) -> str:
    """Put an image into a folder; the name it has there.

    What is not plain is written anew, with so many bits of samples of 16; None to leave all as they are.
    """
    source = image.path
    known = source.suffix.lower() in IMAGE_SUFFIXES
    file_format, is_plain = _inspect(source) if anew_from or not known else ("", True)
    anew = anew_from is not None and not is_plain
    suffix = "" if known else _SUFFIX_OF_FORMAT.get(file_format, ".png")
    if anew:
        fit = (".png",) if file_format == "PNG" else (".jpg", ".jpeg")
        suffix = "" if source.suffix.lower() in fit else fit[0]
    name = names.name_for(source.name, suffix=suffix)
    counts["renamed: their names were not fit for lists, or there are several"] += name != source.name
    counts["written anew, upright and in 8-bit RGB"] += anew
    if anew_from is not None and anew:
        write_image(folder / name, read_image(source, bit_depth=anew_from))
        return name
    try:
        if link:
            (folder / name).symlink_to(source.absolute())
        else:
            shutil.copyfile(source, folder / name)
    except OSError as error:
        what, advice = ("linked", "; use --images copy") if link else ("copied", "")
        raise DataError(
            f"{printable(source)}: cannot be {what} to {printable(folder / name)} ({error.strerror or error}){advice}"
        ) from error
    return name


def _inspect(path: Path) -> tuple[str, bool]:
    """Pillow's name of the format, and whether every program shows the file as it is meant.

    That is an upright 8-bit JPEG or PNG, RGB or grey, or no image at all.
    """
    try:
        with open_with_pillow(path) as image:
            upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
            plain = image.format in ("JPEG", "PNG") and image.mode in ("RGB", "L") and upright
            with path.open("rb") as file:
                return image.format or "", plain and not is_deep_png(file.read(64))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        with path.open("rb") as file:  # OpenCV may know it, as TIFF files of 12 bits
            return "", image_kind(file.read(FIRST_BYTES)) not in READ_KINDS


def _reference(path: Path) -> str:
    """An absolute path for an annotation file, see `line_of_path`."""
    return line_of_path(Path(os.path.abspath(path)))  # noqa: PTH100  (no links are resolved)


def _equal(one: GroundTruth, other: GroundTruth) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(GroundTruth))


class FileNames:
    """Gives the images of one folder file names of their own.

    Two names are the same where they differ only in case or in how Unicode composes their letters: some file systems
    do not tell them apart.

    Args:
        apart_by_stem: names must differ before the suffix, for formats with an annotation file per image.
    """

    def __init__(self, *, apart_by_stem: bool) -> None:
        self._apart_by_stem = apart_by_stem
        self._taken: set[str] = set()
        self._next_number: dict[str, int] = {}

    def name_for(self, name: str, *, suffix: str = "") -> str:
        """A name that has not been given yet, with `suffix` in place of its own if there is one.

        >>> names = FileNames(apart_by_stem=True)
        >>> names.name_for("a.jpg"), names.name_for("A.png"), names.name_for("../b", suffix=".png")
        ('a.jpg', 'A-2.png', '_.._b.png')
        """
        stem, own_suffix = _fit_name(name)
        suffix = suffix or own_suffix
        key = self._key(stem, suffix)
        number = self._next_number.get(key, 1)
        numbered = stem
        while self._key(numbered, suffix) in self._taken:
            number += 1
            numbered = f"{stem}-{number}"
        self._next_number[key] = number
        self._taken.add(self._key(numbered, suffix))
        return numbered + suffix

    def _key(self, stem: str, suffix: str) -> str:
        name = stem if self._apart_by_stem else stem + suffix
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _fit_name(name: str) -> tuple[str, str]:
    """Stem and suffix of a file name that every format here can list.

    >>> _fit_name("street 1.JPG"), _fit_name("._a.jpg.png"), _fit_name("photo")
    (('street 1', '.JPG'), ('_._a_jpg', '.png'), ('photo', ''))
    """
    stem, dot, suffix = name.rpartition(".")
    if not is_image_name(f"x{dot}{suffix}"):
        stem, dot, suffix = name, "", ""
    stem = (
        _UNFIT_FILE_NAMES.sub("_", stem).strip().encode("utf-8")[:_MOST_NAME_BYTES].decode("utf-8", "ignore").rstrip()
    )
    if stem.startswith(".") or not stem:
        stem = f"_{stem}"  # a hidden file is not taken for an image
    if is_image_name(stem):  # lists of Pascal VOC would lose the inner suffix
        stem = "_".join(stem.rsplit(".", 1))
    return stem, dot + suffix
