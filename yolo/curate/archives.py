"""Unpacking of tar, tar.gz and zip archives from untrusted sources.

Only ordinary files and folders are unpacked, below the given folder, within limits of number and size, and with the
permissions of new files. An archive with anything else in it is refused as a whole; the caller removes what was already
written, so unpack into a temporary folder. tarfile's data filter is not enough: it allows links within the folder,
overwrites files, and knows neither limits nor zip. Left out: the archive's own checksum (fetch.py).
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple

from yolo.errors import DataError, printable

_CHUNK = 1 << 20
_MOST_HEADER_BYTES = 1 << 20  # of an extended tar header, which is read into memory whole
_FILE, _FOLDER, _LINK = "a file", "a folder", "a link"
# what the readers of the standard library raise for damaged bytes, and for passwords (RuntimeError)
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
)


class Unpacked(NamedTuple):
    """What came out of an archive: number of files, their bytes, and how many files were not asked for."""

    num_files: int
    num_bytes: int
    num_skipped: int


class _Entry(NamedTuple):
    name: str
    kind: str
    num_bytes: int  # no more come from `open`, whatever the archive has
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
        inside: folder in the archive, with `/`; `.` for all of it. Other entries are checked and skipped.
        max_bytes: of all files together, unpacked, including those that are skipped.
        max_files: entries, folders included.
        advance: called with how many bytes are written, as they are.

    Raises:
        DataError: a name that leads out or comes twice, a link, a device, too many files or bytes, a password, damage,
            or nothing under `inside`; the message names the entry.
    """
    wanted = PurePosixPath(inside).parts
    num_files = num_bytes = num_skipped = total = 0
    try:
        with _entries(archive) as entries:
            for number, entry in enumerate(entries, start=1):
                where = f"{printable(archive)}, entry {printable(entry.name)!r}"
                parts = _safe_parts(entry, where)
                total += entry.num_bytes
                if number > max_files or total > max_bytes:
                    limit = f"{max_files} entries" if number > max_files else f"{max_bytes} bytes"
                    raise DataError(f"{where}: the archive has more than the {limit} it may; nothing of it is kept")
                if parts[: len(wanted)] != wanted:
                    num_skipped += entry.kind == _FILE
                elif entry.kind == _FOLDER:
                    _make_folder(folder.joinpath(*parts[len(wanted) :]), where)
                elif parts == wanted:
                    raise DataError(f"{printable(archive)}: {inside!r} is a file, expected a folder")
                else:
                    num_files += 1
                    for count in _write(entry, folder.joinpath(*parts[len(wanted) :]), where):
                        num_bytes += count
                        advance(num_bytes)
    except _DAMAGE as error:
        raise DataError(f"{printable(archive)}: is damaged, encrypted or cut off ({error}); fetch it anew") from error
    if num_files == 0:
        raise DataError(f"{printable(archive)}: has no files in {inside!r}; it is not the archive that is meant")
    return Unpacked(num_files, num_bytes, num_skipped)


def _safe_parts(entry: _Entry, where: str) -> tuple[str, ...]:
    """The parts of the path of an entry, if it is one that may be written."""
    name = entry.name
    if entry.kind not in (_FILE, _FOLDER):
        raise DataError(f"{where}: is {entry.kind}; only files and folders are unpacked")
    if "\0" in name or "\\" in name:
        raise DataError(f"{where}: has a backslash or zero byte in its name")
    if name.startswith("/") or PureWindowsPath(name).drive or (os.name == "nt" and ":" in name):
        raise DataError(f"{where}: is an absolute path")
    parts = PurePosixPath(name).parts
    if ".." in parts:
        raise DataError(f"{where}: leads out of the folder it is unpacked to")
    if not parts and entry.kind == _FILE:
        raise DataError(f"{where}: is a file without a name")
    return parts


def _make_folder(target: Path, where: str) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{where}: is a file and a folder") from error


def _write(entry: _Entry, target: Path, where: str) -> Iterator[int]:
    """Write a file piece by piece; yields how many bytes each has."""
    _make_folder(target.parent, where)
    source = entry.open()
    if source is None:
        raise DataError(f"{where}: has no content")
    with source:
        try:
            file = target.open("xb")  # a new file: neither an existing one nor what a link points to
        except (FileExistsError, IsADirectoryError) as error:
            raise DataError(f"{where}: appears twice") from error
        with file:
            while piece := source.read(_CHUNK):
                yield file.write(piece)


@contextmanager
def _entries(archive: Path) -> Iterator[Iterator[_Entry]]:
    with archive.open("rb") as file:
        magic = file.read(2)
    if magic == b"PK":
        with zipfile.ZipFile(archive) as opened:
            # ZipInfo.filename is already cut at a zero byte; what the archive has is judged
            yield (
                _Entry(info.orig_filename, _zip_kind(info), info.file_size, partial(opened.open, info))
                for info in opened.infolist()
            )
    else:
        mode = "r:gz" if magic == b"\x1f\x8b" else "r:"
        with tarfile.open(archive, mode, tarinfo=_ShortHeader, errorlevel=2) as opened_tar:  # type: ignore[call-overload]
            yield (
                _Entry(info.name, _tar_kind(info), info.size, partial(opened_tar.extractfile, info))
                for info in opened_tar
            )


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "compressed in an unusual way"  # the others may yield gigabytes at once
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return _LINK if stat.S_ISLNK(mode) else "a device, pipe or socket"
    return _FOLDER if info.is_dir() else _FILE


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isdir() or (info.isreg() and not info.issparse()):
        return _FOLDER if info.isdir() else _FILE
    return _LINK if info.issym() or info.islnk() else "a device, pipe or sparse file"


class _ShortHeader(tarfile.TarInfo):
    """Refuses extended headers of gigabytes, which a small tar.gz can hold."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _ShortHeader:
        info = super().frombuf(buf, encoding, errors)
        if info.type not in tarfile.REGULAR_TYPES and info.size > _MOST_HEADER_BYTES:
            raise tarfile.TarError(f"a header of {info.size} bytes")
        return info
