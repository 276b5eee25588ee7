"""Images in zip and tar archives, read one by one; nothing is unpacked to disk.

An entry is read when it is its turn, within limits: an archive of a few kilobytes may hold gigabytes of zeros.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from yolo.archives import DAMAGE, FILE, Entry, open_entries
from yolo.errors import DataError, printable
from yolo.image_formats import FIRST_BYTES, IMAGE_SUFFIXES, UNREAD_SUFFIXES, image_kind, missing_extra, not_read
from yolo.images import MAX_IMAGE_BYTES, TOO_LARGE
from yolo.media.items import ImageFile, Item, Reading, Unreadable

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
# Photographs do not shrink in an archive; drawings in BMP files may, a hundredfold.
_MAX_EXPANSION, _ALWAYS_ALLOWED = 200, 1 << 30


def is_archive(path: Path) -> bool:
    """Whether a file is called as an archive is.

    >>> is_archive(Path("photos.TAR.GZ")), is_archive(Path("photos.gz"))
    (True, False)
    """
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def read_archive(path: Path, reading: Reading) -> Iterator[Item]:
    """Images of an archive in its order, named `ARCHIVE/ENTRY`, whatever the entries are called.

    Args:
        path: of the archive.
        reading: gets the notes, also of pictures of kinds that are not read.

    Raises:
        DataError: it has no image, or none before what is damaged. What fails later is the last item, `Unreadable`.
    """
    left: Counter[str] = Counter()
    found, unpacked, failure = 0, 0, ""
    limit = max(_ALWAYS_ALLOWED, _MAX_EXPANSION * path.stat().st_size)
    archive = printable(path)
    try:
        with open_entries(path) as entries:
            for entry in entries:
                unpacked += entry.num_bytes
                if unpacked > limit:
                    failure = f"{archive}: unpacks to more than {_MAX_EXPANSION} times its size; reading stopped"
                    break
                name = _safe_name(entry.name)
                suffix = PurePosixPath(name).suffix.lower()
                if entry.kind != FILE or PurePosixPath(name).name.startswith("."):
                    continue
                left[suffix] += suffix in UNREAD_SUFFIXES
                if suffix not in IMAGE_SUFFIXES:
                    continue
                item = _read_entry(entry, f"{archive}/{name}")
                if _lacks_extra(item):
                    left[suffix] += 1
                else:
                    found += 1
                    yield item
    except (*DAMAGE, OSError) as error:
        failure = f"{archive}: is damaged or cut off ({error}), after {found} images"
    reading.notes += not_read(left)
    if not found:
        raise DataError("; ".join([failure or f"{archive}: holds no image", *not_read(left)]))
    if failure:  # what came before it is kept
        yield Unreadable(archive, failure)


def _lacks_extra(item: Item) -> bool:
    """Whether an image needs an extra that is not installed."""
    data = item.load() if isinstance(item, ImageFile) and item.load is not None else b""
    return missing_extra(image_kind(data[:FIRST_BYTES])) != ""


def _read_entry(entry: Entry, name: str) -> Item:
    """An entry with its bytes: archives are read in order, images by several threads."""
    if entry.num_bytes > MAX_IMAGE_BYTES:
        return Unreadable(
            name, f"{name}: has {entry.num_bytes:,} bytes; more than {MAX_IMAGE_BYTES:,} are not read", TOO_LARGE
        )
    try:
        opened = entry.open()
        if opened is None:
            return Unreadable(name, f"{name}: has no content")
        with opened:
            data = opened.read(entry.num_bytes)
    except (*DAMAGE, OSError) as error:
        return Unreadable(name, f"{name}: is damaged or encrypted ({error})")
    return ImageFile(name, partial(bytes, data))


def _safe_name(name: str) -> str:
    r"""The name of an entry as outputs may use it: relative, downwards, printable.

    >>> _safe_name("../../etc/a.jpg"), _safe_name("C:\\x\\..\\b.jpg"), _safe_name("/c\n.jpg")
    ('etc/a.jpg', 'C_/x/b.jpg', 'c%0A.jpg')
    """
    text = printable(name.replace("\\", "/")).replace(":", "_")
    return "/".join(part for part in PurePosixPath(text).parts if part not in ("..", "/", "//"))
