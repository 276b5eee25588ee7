"""The text files of a folder of labels or detections, and their lines."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from yolo.data.account import printable
from yolo.data.listing import read_bytes
from yolo.errors import DataError

# say what classes or settings there are, or are lists of images
_NOT_OF_IMAGES = frozenset({"classes.txt", "labels.txt", "names.txt", "readme.txt", "requirements.txt"})


def find_text_files(folder: Path) -> list[Path]:
    """All `.txt` files below a folder, sorted; links are followed once, hidden files and lists of names passed over.

    Raises:
        DataError: a folder may not be listed.
    """
    found: list[Path] = []
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in files if name.lower().endswith(".txt") and not name.startswith(".")]
    return sorted(path for path in found if path.name.lower() not in _NOT_OF_IMAGES)


def split_lines(path: Path) -> list[list[bytes]]:
    """The fields of each line of a file, without the byte order mark that some editors put before the first.

    Raises:
        DataError: it cannot be read.
    """
    return list(map(bytes.split, read_bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n")))


def _refuse(error: OSError) -> None:
    raise DataError(f"{printable(str(error.filename))}: cannot be listed ({error.strerror or error})") from error
