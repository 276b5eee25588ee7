"""The entries of tar, tar.gz and zip archives from untrusted sources, one by one with flat memory.

What a name may be and how much is unpacked is for the caller to judge: `curate/archives.py` writes to disk,
`media/archives.py` reads images into memory.
"""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

_MOST_HEADER_BYTES = 1 << 20  # of an extended tar header, which is read into memory whole
FILE, FOLDER, _LINK = "a file", "a folder", "a link"
# what the readers of the standard library raise for damaged bytes, and for passwords (RuntimeError)
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
)


class Entry(NamedTuple):
    """One entry of an archive."""

    name: str
    kind: str  # FILE, FOLDER, or the words for what else it is
    num_bytes: int  # no more come from `open`, whatever the archive has
    open: Callable[[], IO[bytes] | None]


@contextmanager
def open_entries(archive: Path) -> Iterator[Iterator[Entry]]:
    """The entries of an archive in its order; what kind of archive it is, its first bytes say.

    Raises:
        DAMAGE: what is not such an archive, damaged or cut off; also while the entries are read.
    """
    with archive.open("rb") as file:
        magic = file.read(2)
    if magic == b"PK":
        with zipfile.ZipFile(archive) as opened:
            # ZipInfo.filename is already cut at a zero byte; what the archive has is judged
            yield (
                Entry(info.orig_filename, _zip_kind(info), info.file_size, partial(opened.open, info))
                for info in opened.infolist()
            )
    else:
        mode = "r:gz" if magic == b"\x1f\x8b" else "r:"
        with tarfile.open(archive, mode, tarinfo=_ShortHeader, errorlevel=2) as opened_tar:  # type: ignore[call-overload]
            yield (
                Entry(info.name, _tar_kind(info), info.size, partial(opened_tar.extractfile, info))
                for info in _members(opened_tar)
            )


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (info := opened.next()) is not None:
        yield info
        opened.members.clear()  # type: ignore[attr-defined]  # it keeps what it has seen, for seeking that nobody does here


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "compressed in an unusual way"  # the others may yield gigabytes at once
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return _LINK if stat.S_ISLNK(mode) else "a device, pipe or socket"
    return FOLDER if info.is_dir() else FILE


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isdir() or (info.isreg() and not info.issparse()):
        return FOLDER if info.isdir() else FILE
    return _LINK if info.issym() or info.islnk() else "a device, pipe or sparse file"


class _ShortHeader(tarfile.TarInfo):
    """Refuses extended headers of gigabytes, which a small tar.gz can hold."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _ShortHeader:
        info = super().frombuf(buf, encoding, errors)
        if info.type not in tarfile.REGULAR_TYPES and info.size > _MOST_HEADER_BYTES:
            raise tarfile.TarError(f"a header of {info.size} bytes")
        return info
