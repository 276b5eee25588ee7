"""The text files of a folder of labels or detections, and their lines."""

from __future__ import annotations

import codecs
from pathlib import Path

from yolo.formats.paths import find_files, read_bytes

# say what classes or settings there are, or are lists of images
_NOT_OF_IMAGES = frozenset({"classes.txt", "labels.txt", "names.txt", "readme.txt", "requirements.txt"})


def find_text_files(folder: Path) -> list[Path]:
    """All `.txt` files below a folder, sorted; links are followed once, hidden files and lists of names passed over.

    Raises:
        DataError: a folder may not be listed.
    """
    paths = find_files(folder, lambda name: name.lower().endswith(".txt") and not name.startswith("."))
    return [path for path in paths if path.name.lower() not in _NOT_OF_IMAGES]


def split_lines(path: Path) -> list[list[bytes]]:
    """The fields of each line of a file, without the byte order mark that some editors put before the first.

    Raises:
        DataError: it cannot be read.
    """
    return list(map(bytes.split, read_bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n")))


def is_number(field: bytes) -> bool:
    """Whether a field of a line is a number; `float` allows underscores between digits, other programs do not.

    >>> is_number(b"1e-3"), is_number(b"1_000"), is_number(b"cat")
    (True, False, False)
    """
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field
