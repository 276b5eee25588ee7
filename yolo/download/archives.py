"""Unpacking archives that nobody trusts: tar, tar.gz and zip.

Only ordinary files and folders come out, under the folder asked for, at most as many and as long as agreed, with the
permissions of new files. An archive that has anything else in it is refused as a whole; what was already written is
the caller's to remove, so unpack into a temporary folder. Sizes that headers state are not believed: bytes are counted
while they are written.
"""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

from yolo.data.account import printable
from yolo.errors import DataError

_CHUNK = 1 << 20
_BLOCK = 512  # of a tar file
_GZIP_MAGIC = b"\x1f\x8b"
_TAR_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
}
# whatever the readers of the standard library say about damaged bytes
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression that this Python does not know
    UnicodeError,
    ValueError,
    OverflowError,
)


class Unpacked(NamedTuple):
    """What came out of an archive: number of files, their bytes, and how many entries were not asked for."""

    num_files: int
    num_bytes: int
    num_passed_over: int


class _Entry(NamedTuple):
    """A file or folder of an archive; `kind` is empty for these and names anything else."""

    name: str
    is_folder: bool
    kind: str
    open: Callable[[], IO[bytes] | None]


def unpack(
    archive: Path,
    folder: Path,
    *,
    inside: str = ".",
    max_bytes: int,
    max_files: int,
    advance: Callable[[int], None] = lambda num_bytes: None,
) -> Unpacked:
    """Unpack one folder of a tar, tar.gz or zip file; what it is, its first bytes say.

    Args:
        archive: the file.
        folder: where the content of `inside` goes; may have files already, none of which is overwritten.
        inside: folder in the archive, with `/`; `.` for all of it. Other entries are checked and passed over.
        max_bytes: of all files together, unpacked.
        max_files: entries, folders included.
        advance: told of bytes as they are written.

    Raises:
        DataError: a name that leads out or comes twice, a link, a device, too many files or bytes, a password, damage,
            or nothing under `inside`; the message names the entry.
    """
    room = _Room(printable(archive), max_bytes, max_files)
    wanted = PurePosixPath(inside).parts
    num_files = passed_over = 0
    with _damage_told(archive), _entries(archive, room) as entries:
        for entry in entries:
            room.take_entry()
            parts = _safe_parts(entry, room.archive)
            if parts[: len(wanted)] != wanted:
                passed_over += not entry.is_folder
                continue
            target = folder.joinpath(*parts[len(wanted) :])
            if entry.is_folder:
                _make_folder(target, entry.name, room.archive)
            elif len(parts) == len(wanted):
                raise DataError(f"{room.archive}: {inside!r} is a file, expected a folder")
            else:
                _write(entry, target, room=room, advance=advance)
                num_files += 1
    if num_files == 0:
        raise DataError(f"{room.archive}: has no files in {inside!r}; it is not the archive that is meant")
    return Unpacked(num_files, room.num_bytes, passed_over)


class _Room:
    """How much an archive has taken of what it may take."""

    def __init__(self, archive: str, max_bytes: int, max_files: int) -> None:
        self.archive = archive
        self.max_bytes = max_bytes
        self.max_files = max_files
        self.num_bytes = 0
        self.num_entries = 0

    def take_entry(self) -> None:
        self.num_entries += 1
        if self.num_entries > self.max_files:
            raise DataError(f"{self.archive}: has more than the {self.max_files} entries it may have; nothing is kept")

    def take_bytes(self, count: int) -> None:
        self.num_bytes += count
        if self.num_bytes > self.max_bytes:
            raise DataError(
                f"{self.archive}: unpacks to more than the {self.max_bytes} bytes it may; nothing is kept of it"
            )


@contextmanager
def _damage_told(archive: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DataError(f"{printable(archive)}: is damaged or cut off ({error}); delete it, fetch it anew") from error
    except RuntimeError as error:  # zipfile's answer to a password, and to reading past a wrong header
        raise DataError(f"{printable(archive)}: cannot be unpacked ({error})") from error


def _safe_parts(entry: _Entry, archive: str) -> tuple[str, ...]:
    """The places in the path of an entry, if it is one that may be written."""
    where = f"{archive}, entry {printable(entry.name)!r}"
    name = entry.name
    if entry.kind:
        raise DataError(f"{where}: is {entry.kind}; only files and folders are unpacked")
    if "\0" in name or "\\" in name:
        raise DataError(f"{where}: has a backslash or zero byte in its name")
    if name.startswith("/") or PureWindowsPath(name).drive or (os.name == "nt" and ":" in name):
        raise DataError(f"{where}: is an absolute path")
    parts = PurePosixPath(name).parts
    if ".." in parts:
        raise DataError(f"{where}: leads out of the folder it is unpacked to")
    if not parts and not entry.is_folder:
        raise DataError(f"{where}: is a file without a name")
    return parts


def _make_folder(target: Path, name: str, archive: str) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{archive}, entry {printable(name)!r}: is a file and a folder") from error


def _write(entry: _Entry, target: Path, *, room: _Room, advance: Callable[[int], None]) -> None:
    _make_folder(target.parent, entry.name, room.archive)
    source = entry.open()
    if source is None:
        raise DataError(f"{room.archive}, entry {printable(entry.name)!r}: has no content")
    with source:
        try:
            # a new file: neither an existing one nor what a link points to can be meant
            file = target.open("xb")
        except (FileExistsError, IsADirectoryError) as error:
            raise DataError(f"{room.archive}, entry {printable(entry.name)!r}: is there twice") from error
        with file:
            while piece := source.read(_CHUNK):
                room.take_bytes(len(piece))
                file.write(piece)
                advance(len(piece))


@contextmanager
def _entries(archive: Path, room: _Room) -> Iterator[Iterator[_Entry]]:
    with archive.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic[:2] == b"PK":
            with zipfile.ZipFile(file) as opened:
                yield _zip_entries(opened)
        elif magic[:2] == _GZIP_MAGIC:
            with gzip.GzipFile(fileobj=file) as unzipped:
                yield _tar_entries(unzipped, room)
        else:
            yield _tar_entries(file, room)


def _zip_entries(opened: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in opened.infolist():
        # ZipInfo.filename is already cut at a zero byte; what was written in the file is judged
        yield _Entry(info.orig_filename, info.is_dir(), _zip_kind(info), partial(opened.open, info))


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "" if stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR) else "a device, pipe or socket"


def _tar_entries(file: Any, room: _Room) -> Iterator[_Entry]:
    # names, padding and headers come on top of the content: at most a few blocks for each entry
    limited = _LimitedFile(file, room.max_bytes + (room.max_files + 64) * 16 * _BLOCK, room.archive)
    with tarfile.open(fileobj=limited, mode="r:", errorlevel=2) as opened:  # type: ignore[call-overload]
        while (info := opened.next()) is not None:
            yield _Entry(info.name, info.isdir(), _tar_kind(info), partial(opened.extractfile, info))
            opened.members.clear()  # or else it keeps all headers in memory
        # tarfile ends without a word at a damaged header; a whole archive ends with a block of zeros
        if limited.last_read != bytes(_BLOCK):
            raise tarfile.ReadError("it has no proper end")
    while file.read(_CHUNK):  # gzip compares its own sum at the very end
        limited.check(file.tell())


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isdir() or (info.isreg() and not info.issparse()):
        return ""
    return _TAR_KINDS.get(info.type, "of a special kind")


class _LimitedFile:
    """A file that tarfile may read from, but not without end, and never much at once.

    Extended headers are read into memory whole, and a compressed one of gigabytes fits into a small file.
    """

    def __init__(self, file: Any, limit: int, archive: str) -> None:
        self._file = file
        self._limit = limit
        self._archive = archive
        self.last_read = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _CHUNK:
            raise DataError(f"{self._archive}: has a header of {size} bytes; this is no dataset")
        self.last_read = self._file.read(size)
        self.check(self._file.tell())
        return self.last_read

    def seek(self, position: int) -> int:
        self.check(position)
        return int(self._file.seek(position))

    def tell(self) -> int:
        return int(self._file.tell())

    def check(self, position: int) -> None:
        if position > self._limit:
            raise DataError(f"{self._archive}: unpacks to more than the {self._limit} bytes it may, headers included")
