"""Unpacking of tar, tar.gz and zip archives from untrusted sources.

Only ordinary files and folders are unpacked, below the given folder, within limits of number and size, and with the
permissions of new files. An archive with anything else in it is refused as a whole; the caller removes what was already
written, so unpack into a temporary folder. tarfile's data filter is not enough: it allows links within the folder,
overwrites files, and knows neither limits nor zip. Left out: the archive's own checksum (fetch.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from yolo.archives import DAMAGE, FILE, FOLDER, Entry, open_entries
from yolo.errors import DataError, printable

_CHUNK = 1 << 20


class Unpacked(NamedTuple):
    """What came out of an archive: number of files, their bytes, and how many files were not asked for."""

    num_files: int
    num_bytes: int
    num_skipped: int


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
        with open_entries(archive) as entries:
            for number, entry in enumerate(entries, start=1):
                where = f"{printable(archive)}, entry {printable(entry.name)!r}"
                parts = _safe_parts(entry, where)
                total += entry.num_bytes
                if number > max_files or total > max_bytes:
                    limit = f"{max_files} entries" if number > max_files else f"{max_bytes} bytes"
                    raise DataError(f"{where}: the archive has more than the {limit} it may; nothing of it is kept")
                if parts[: len(wanted)] != wanted:
                    num_skipped += entry.kind == FILE
                elif entry.kind == FOLDER:
                    _make_folder(folder.joinpath(*parts[len(wanted) :]), where)
                elif parts == wanted:
                    raise DataError(f"{printable(archive)}: {inside!r} is a file, expected a folder")
                else:
                    num_files += 1
                    for count in _write(entry, folder.joinpath(*parts[len(wanted) :]), where):
                        num_bytes += count
                        advance(num_bytes)
    except DAMAGE as error:
        raise DataError(f"{printable(archive)}: is damaged, encrypted or cut off ({error}); fetch it anew") from error
    if num_files == 0:
        raise DataError(f"{printable(archive)}: has no files in {inside!r}; it is not the archive that is meant")
    return Unpacked(num_files, num_bytes, num_skipped)


def _safe_parts(entry: Entry, where: str) -> tuple[str, ...]:
    """The parts of the path of an entry, if it is one that may be written."""
    name = entry.name
    if entry.kind not in (FILE, FOLDER):
        raise DataError(f"{where}: is {entry.kind}; only files and folders are unpacked")
    if "\0" in name or "\\" in name:
        raise DataError(f"{where}: has a backslash or zero byte in its name")
    if name.startswith("/") or PureWindowsPath(name).drive or (os.name == "nt" and ":" in name):
        raise DataError(f"{where}: is an absolute path")
    parts = PurePosixPath(name).parts
    if ".." in parts:
        raise DataError(f"{where}: leads out of the folder it is unpacked to")
    if not parts and entry.kind == FILE:
        raise DataError(f"{where}: is a file without a name")
    return parts


def _make_folder(target: Path, where: str) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{where}: is a file and a folder") from error


def _write(entry: Entry, target: Path, where: str) -> Iterator[int]:
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
