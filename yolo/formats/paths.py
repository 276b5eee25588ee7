"""Finding and opening files: images in folders, their sizes, text files.

Nothing is ever written. Left out: which image an annotation file names (image_names.py), reading an image's header
(images.py) and decoding.
"""

from __future__ import annotations

import codecs
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, Literal, TypeGuard

from yolo.errors import DataError, ImageReadError, printable
from yolo.files import path_of_text, read_bytes
from yolo.formats.issues import ReadReport
from yolo.image_formats import EXTRA_SUFFIXES, IMAGE_SUFFIXES, UNREAD_SUFFIXES, is_unread_name, lacks_extra
from yolo.images import read_size

Format = Literal["voc", "coco", "yolo", "csv"]  # read and written
ToolFormat = Literal["createml", "cvat", "labelme", "labelstudio", "via"]  # of annotation tools: read only
SourceFormat = Format | ToolFormat
FORMATS: tuple[Format, ...] = ("voc", "coco", "yolo", "csv")
TOOL_FORMATS: tuple[ToolFormat, ...] = ("createml", "cvat", "labelme", "labelstudio", "via")
SOURCE_FORMATS: tuple[SourceFormat, ...] = (*FORMATS, *TOOL_FORMATS)
SPLIT_SYNONYMS: Mapping[str, str] = {"valid": "val", "validation": "val"}

# A label file of this size has a million objects; no image has. It is something else, and would fill the memory.
LARGEST_LABEL_FILE = 64 * 2**20
_ANNOTATION = "the annotation of one image"
NO_LABEL_FILE = "there is no such label file"
# Fractions may overshoot the border a little; from here on they are something else, most likely pixels.
LARGEST_FRACTION = 2.0
# say what classes or settings there are
_NOT_OF_IMAGES = frozenset({"classes.txt", "labels.txt", "names.txt", "readme.txt", "requirements.txt"})
# UTF-32 goes first: its mark begins with that of UTF-16
_WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_LOOKED_AT = 64  # bytes, even


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted; links are followed, hidden files and folders are not images."""
    return find_files(folder, is_image_name)


def find_files(folder: Path, is_wanted: Callable[[str], bool], *, most_folders: int | None = None) -> list[Path]:
    """All files below a folder whose names are wanted, sorted; links are followed once, hidden folders skipped.

    `most_folders` are looked into. DataError if a folder may not be listed.
    """
    found: list[Path] = []
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        if len(visited) == most_folders:
            break
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in files if is_wanted(name)]
    return sorted(found)


def find_text_files(folder: Path) -> list[Path]:
    """All `.txt` files below a folder that may be of images, sorted: not hidden ones, nor lists of names."""
    return find_files(folder, is_text_name)


def is_text_name(name: str) -> bool:
    """Whether a `.txt` file may be of an image: it is not hidden, nor called like a list of names."""
    return name.lower().endswith(".txt") and not name.startswith(".") and name.lower() not in _NOT_OF_IMAGES


def _refuse(error: OSError) -> None:
    raise DataError(f"{printable(str(error.filename))}: cannot be listed ({error.strerror or error})") from error


def is_image_name(name: str) -> bool:
    """Whether a file is to be taken for an image; not `._x.jpg`, which macOS leaves behind.

    >>> is_image_name("a.JPG"), is_image_name("._a.jpg"), is_image_name("a.txt")
    (True, False, False)
    """
    return not name.startswith(".") and PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def unread_beside(images: Iterable[str]) -> Counter[str]:
    """How many pictures that are not read there are in the folders of these images, by suffix.

    Images among them that need an extra which is not installed count as well.
    """
    images = list(images)
    candidates = (Path(image) for image in images if image.lower().endswith(EXTRA_SUFFIXES))
    found = Counter(path.suffix.lower() for path in candidates if lacks_extra(path))
    for folder in {os.path.dirname(image) for image in images}:  # noqa: PTH120
        with suppress(DataError):  # a folder that may not be listed
            found.update(PurePath(name).suffix.lower() for name in _listed(folder or ".") if is_unread_name(name))
    return found


def is_file(path: Path | str) -> bool:
    """Whether `path` is a file that can be seen; False, not an error, for an impossible name or a closed folder."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder that can be seen; False, not an error, for an impossible name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def named_file(folder: Path | str, name: str) -> str:
    """The file of a name below a folder: as it stands or, where no file is called so, with other signs for its parts.

    A backslash separates folders, and `%E9` is a byte that text cannot hold, see `printable`.
    """
    path = os.fspath(path_of_text(os.path.join(os.fspath(folder), name)))  # noqa: PTH118
    return path if "\\" not in name or is_file(path) else os.path.join(os.fspath(folder), name.replace("\\", "/"))  # noqa: PTH118


class Listings:
    """What is in folders, each listed once: to ask for 100,000 files one by one would take far longer.

    Names are compared exactly, so that `A.txt` is not taken for `a.txt` where the file system does.
    """

    def __init__(self) -> None:
        self._names: dict[str, dict[str, bool]] = {}

    def has(self, path: str) -> bool:
        """Whether there is a file or a folder of that name; DataError if its folder may not be listed."""
        return self._kind(path) is not None

    def has_file(self, path: str) -> bool:
        """Whether there is a file of that name; DataError if its folder may not be listed."""
        return self._kind(path) is True

    def unread_version(self, image: str) -> str:
        """The name of a file that is not read, but has the stem of an image that is not there; "" if there is none."""
        stem = os.path.splitext(image)[0]  # noqa: PTH122
        for suffix in sorted(UNREAD_SUFFIXES):
            for path in (stem + suffix, stem + suffix.upper()):
                if self._kind(path):
                    return os.path.basename(path)  # noqa: PTH119
        return ""

    def _kind(self, path: str) -> bool | None:
        """True for a file, False for a folder, None for nothing."""
        folder, name = os.path.split(path)
        names = self._names.get(folder)
        if names is None:
            names = self._names[folder] = _listed(folder or ".")
        kind = names.get(name)
        if kind is None and not name.isascii() and names and is_file(path):
            return True  # written with combining characters in one place and without in the other
        return kind


def _listed(folder: str) -> dict[str, bool]:
    """For each name in a folder, whether it is a file; empty if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _is_file(entry) for entry in entries}
    except PermissionError as error:
        _refuse(error)
    except (OSError, ValueError):
        pass  # not there, no folder, or a name that cannot be: nothing is in it
    return {}


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def read_text(path: Path, *, limit: int | None = None) -> str:
    """A text file in UTF-8, with or without byte order mark, line ends made one.

    Args:
        path: of the file.
        limit: the most bytes it may have.

    Raises:
        DataError: the file cannot be opened, is too large, or is not UTF-8.
    """
    try:
        text = read_utf8(path, limit=limit).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def split_lines(path: Path) -> list[list[bytes]]:
    """The fields of each line of a text file, whatever its line ends.

    Raises:
        DataError: it cannot be read, or is UTF-16 or UTF-32.
    """
    data = read_utf8(path)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return list(map(bytes.split, data.split(b"\n")))


def read_utf8(path: Path, *, limit: int | None = None) -> bytes:
    """The bytes of a text file without byte order mark; DataError also where they are UTF-16 or UTF-32."""
    data = read_bytes(path, what=_ANNOTATION, limit=limit)
    encoding = next((name for mark, name in _WIDE_MARKS.items() if data.startswith(mark)), None)
    even, odd = data[:_LOOKED_AT:2], data[1:_LOOKED_AT:2]
    if odd and ((all(even) and not any(odd)) or (all(odd) and not any(even))):
        encoding = "UTF-16"  # without a mark: every second byte of ASCII text is 0
    if encoding is not None:
        raise DataError(f"{printable(path)}: is not UTF-8 text but {encoding}; save it as UTF-8")
    return data.removeprefix(codecs.BOM_UTF8)


def read_lines(path: Path, *, means: Callable[[str], bool] = lambda _: False) -> list[str]:
    """The lines of a list file without surrounding spaces; not the empty ones, nor comments, which begin with `#`.

    `means` says of a line that begins with `#` whether it is a path all the same: a file may be called so.
    """
    lines = [line.strip() for line in read_text(path).split("\n")]
    return [line for line in lines if line and not (line.startswith("#") and not means(line))]


def path_id(path: Path | str, folder: Path | str) -> str:
    """Image id: the path below `folder` without suffix, with forward slashes; outside of it the whole path.

    >>> path_id("data/images/a/b.jpg", "data/images")
    'a/b'
    """
    text, base = Path(path).as_posix(), Path(folder).as_posix().rstrip("/") + "/"
    head, slash, name = text.removeprefix(base).rpartition("/")
    return printable(f"{head}{slash}{PurePath(name).stem}")


def around_last(path: Path, folder: str) -> tuple[Path, Path] | None:
    """What is before and behind the last folder of that name in the path of a file; None where there is none.

    >>> [part.as_posix() for part in around_last(Path("images/a/images/b/x.jpg"), "images")]
    ['images/a', 'b/x.jpg']
    """
    parts = path.parts
    if folder not in parts[:-1]:
        return None
    last = len(parts) - 2 - parts[-2::-1].index(folder)
    return Path(*parts[:last]), Path(*parts[last + 1 :])


SizePolicy = Literal["read", "stated", "auto"]

# So many headers are read in a second or so; the images of a larger split are trusted where the policy is `auto`.
AUTO_READS = 20_000
_LARGEST_SIDE = 2**31 - 1


class ImageSizes:
    """Finds image files and their height and width; the report receives those that are missing or unreadable.

    Args:
        policy: `read` opens the header of each image; `stated` takes the stated size where there is one, and looks
            whether the file is there; `auto` does so where there are many images.
        needed: images without a file are left out, as training needs; else they stay, with size 0 where none is
            stated, unless their boxes are fractions of it.
    """

    def __init__(self, report: ReadReport, policy: SizePolicy = "read", *, needed: bool = True) -> None:
        self.report = report
        self.policy = policy
        self.trust = policy == "stated"
        self.needed = needed
        self.trusted = 0
        self.listings = Listings()

    def expect(self, count: int) -> None:
        """Say how many images will be looked for."""
        self.trust = self.policy == "stated" or (self.policy == "auto" and count > AUTO_READS)

    def find(
        self, image: str, stated: tuple[Any, Any] = (None, None), *, detail: str = "", fractions: bool = False
    ) -> tuple[str, tuple[int, int]] | None:
        """The file, "" where it is not there, and height and width in pixels, 0 where unknown.

        Args:
            image: the file; "" where the annotation names none.
            stated: height and width by the annotation; anything but whole positive numbers is not a size.
            detail: what else is lost with the image, appended to the message.
            fractions: boxes are fractions of the size.

        Returns:
            None, and an entry in the report, if the image is left out.
        """
        is_stated = _is_side(stated[0]) and _is_side(stated[1])
        there = image != "" and self._is_there(image)
        if is_stated and not self.needed:
            return image if there else "", stated
        if is_stated and self.trust and there:
            self.trusted += 1
            return image, stated
        kind, reason = "image_missing", "there is no such image file"
        if there:
            try:
                return image, read_size(Path(image))
            except ImageReadError as error:
                kind, reason = "image_unreadable", str(error).removeprefix(f"{image}: ")
        elif other := self._unread_version(image):
            reason += f", only {printable(other)}, which is not read; convert it to JPEG or PNG"
        if not self.needed and not fractions:
            return "", (0, 0)
        detail += "; its boxes are fractions of its size, so it is needed" if fractions and not self.needed else ""
        self.report.drop_image(image, kind, reason + detail)
        return None

    def _unread_version(self, image: str) -> str:
        try:
            return self.listings.unread_version(image) if image else ""
        except DataError:  # a folder that may not be listed
            return ""

    def _is_there(self, image: str) -> bool:
        if not self.trust and self.needed:
            return is_file(image)  # its header is read anyway
        try:
            return self.listings.has_file(image) or is_file(image)
        except DataError:  # a folder that may not be listed
            return is_file(image)

    def note(self) -> None:
        """Say in the report how many sizes were trusted, if any."""
        if self.trusted:
            self.report.notes.append(
                f"the sizes of {self.trusted} images are those that the annotations state; "
                "each is checked when its image is decoded"
            )

    def compare(self, size_hw: tuple[int, int], stated: tuple[Any, Any], *, path: Path, where: str, image: str) -> None:
        """Record it where the annotation, at `where` in `path`, states another height and width than the image has."""
        if any(side is not None for side in stated) and stated != size_hw and self.needed:
            height, width = size_hw
            message = f"the file says {stated[1]} x {stated[0]} for {Path(image).name}, it is {width} x {height}"
            self.report.add_issue(path, where, "size_mismatch", printable(message)[:300], image=image)


def _is_side(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 < value <= _LARGEST_SIDE


def canonical_split(name: str) -> str:
    """`val` for its synonyms, other names as they are."""
    return SPLIT_SYNONYMS.get(name.lower(), name.lower())
