"""Finding images in folders, and the ways all readers share of opening a file. Nothing is ever written."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from yolo.data.account import DataAccount, printable
from yolo.errors import DataError, ImageReadError
from yolo.images import IMAGE_SUFFIXES, read_size


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted; links are followed, hidden files and folders are not images."""
    found: list[Path] = []
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in files if is_image_name(name)]
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise DataError(f"{printable(error.filename)}: cannot be listed ({error.strerror or error})") from error


def is_image_name(name: str) -> bool:
    """Whether a file is to be taken for an image; `._x.jpg`, which macOS leaves behind, is none.

    >>> is_image_name("a.JPG"), is_image_name("._a.jpg"), is_image_name("a.txt")
    (True, False, False)
    """
    return not name.startswith(".") and PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def is_file(path: Path) -> bool:
    """Whether `path` is a file that can be seen; an impossible name or a closed folder is no error here."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without byte order mark, whatever its line ends.

    Raises:
        DataError: the file cannot be opened or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a list file that are not empty, without surrounding spaces."""
    return [line.strip() for line in read_text(path).split("\n") if line.strip()]


def path_id(path: Path, folder: Path) -> str:
    """Image id: the path below `folder` without suffix, with forward slashes; outside of it the whole path.

    >>> path_id(Path("data/images/a/b.jpg"), Path("data/images"))
    'a/b'
    """
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    return printable((inside.parent / inside.stem).as_posix())


def size_or_drop(image: Path, account: DataAccount, *, detail: str = "") -> tuple[int, int] | None:
    """Height and width of an image file; None, and an entry in the account, if it is missing or unreadable.

    Args:
        image: the file.
        account: receives the issue.
        detail: what else is lost with the image, appended to the message.
    """
    if not is_file(image):
        account.drop_image(image, "image_missing", f"there is no such image file{detail}")
        return None
    try:
        return read_size(image)
    except ImageReadError as error:
        reason = str(error).removeprefix(f"{image}: ")
        account.drop_image(image, "image_unreadable", f"{reason}{detail}")
        return None
