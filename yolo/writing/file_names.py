"""Names for copied image files: the old ones wherever possible, each once, none that leads anywhere else.

Left out: copying (images.py).
"""

from __future__ import annotations

import re
import unicodedata

from yolo.data.listing import is_image_name

# A file system takes 255 bytes; the rest is room for a number and for another suffix.
_MOST_BYTES = 230
# What lists, Windows and JSON cannot hold: control characters, separators, bytes that are no Unicode.
_UNFIT = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]')


class FileNames:
    """Gives the images of one folder file names of their own.

    Two names are the same where they differ only in case or in how Unicode composes their letters: some file systems
    know no such difference.

    Args:
        apart_by_stem: names must differ before the suffix, for formats with an annotation file per image.
    """

    def __init__(self, *, apart_by_stem: bool) -> None:
        self._apart_by_stem = apart_by_stem
        self._taken: set[str] = set()
        self._next_number: dict[str, int] = {}

    def name_for(self, name: str, *, suffix: str = "") -> str:
        """A name that has not been given yet.

        Args:
            name: of the original file, without folder; anything is allowed.
            suffix: put in place of its own, such as `.jpg`.

        >>> names = FileNames(apart_by_stem=True)
        >>> names.name_for("a.jpg"), names.name_for("A.png"), names.name_for("../b", suffix=".png")
        ('a.jpg', 'A-2.png', '_.._b.png')
        """
        stem, own_suffix = fit_name(name)
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


def fit_name(name: str) -> tuple[str, str]:
    """Stem and suffix of a file name that every format here can list.

    >>> fit_name("street 1.JPG"), fit_name("._a.jpg.png"), fit_name("photo")
    (('street 1', '.JPG'), ('_._a_jpg', '.png'), ('photo', ''))
    """
    stem, dot, suffix = name.rpartition(".")
    if not is_image_name(f"x{dot}{suffix}"):
        stem, dot, suffix = name, "", ""
    stem = _UNFIT.sub("_", stem).strip().encode("utf-8")[:_MOST_BYTES].decode("utf-8", "ignore").rstrip()
    if stem.startswith(".") or not stem:
        stem = f"_{stem}"  # a hidden file is no image
    if is_image_name(stem):  # lists of Pascal VOC would lose the inner suffix
        stem = "_".join(stem.rsplit(".", 1))
    return stem, dot + suffix
