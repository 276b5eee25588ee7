"""Fetching one file over http(s): resumable, with retries and mirrors, checked against its length and SHA-256 sum.

Bytes go to `NAME.part`, which a later call continues; a file has its own name only once its sum is right. Certificates
are checked, and redirects stay within http and https (`yolo.http`).
Left out: which files there are (download.py), unpacking (archives.py).
"""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from yolo.errors import DataError, printable
from yolo.http import PermanentError, StatusError, TransientError, next_piece, open_address
from yolo.process import FileLock

_PROGRESS = 1 << 20  # an attempt that brought so many bytes was not a failure
# where nothing has come at all, the next address is the better attempt
_UNREACHABLE = (socket.gaierror, ConnectionRefusedError, TimeoutError)

Advance = Callable[[int], None]


class Archive(NamedTuple):
    """A file to fetch and unpack, as the manifest describes it."""

    name: str
    addresses: tuple[str, ...]  # https or http, in the order in which they are tried
    num_bytes: int
    sha256: str  # 64 hexadecimal digits in lower case
    inside: str  # the folder in the archive that is unpacked; `.` for all of it
    folder: str  # what that folder becomes, relative to the output folder
    max_bytes: int  # limit of the unpacked size
    max_files: int  # limit of the number of entries, folders included


class RetryPolicy(NamedTuple):
    """How often and how long to try."""

    attempts: int = 5  # at one address, without progress between them
    first_wait: float = 1.0  # seconds before the second attempt; doubled before each further one
    timeout: float = 30.0  # seconds without a byte after which an attempt has failed


class Fetched(NamedTuple):
    """An archive with the right sum; `was_there` if nothing had to be fetched."""

    path: Path
    was_there: bool


def fetch(
    archive: Archive, folder: Path, *, policy: RetryPolicy | None = None, advance: Advance = lambda total: None
) -> Fetched:
    """Fetch an archive into a folder, unless it is there.

    Args:
        archive: what to fetch.
        folder: where it goes, under its own name; made if need be.
        policy: how often and how long to try.
        advance: called with how many bytes of it are there, as they come.

    Raises:
        DataError: a file is there with another sum, no address gives the file, or what they give has another sum; the
            message says how to go on by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / archive.name, _part_of(archive, folder)
    if path.exists():
        _require_right(path, archive)
        advance(archive.num_bytes)
        return Fetched(path, True)
    reasons = ""
    for address in archive.addresses:
        try:
            _fetch_from(address, archive, part, policy or RetryPolicy(), advance)
        except PermanentError as error:
            reasons += f"\n  {address}: {error}"
            continue
        part.replace(path)
        return Fetched(path, False)
    raise DataError(
        f"{archive.name}: could not be fetched; tried{reasons}\n"
        f"Run the same command again to continue. Or get it elsewhere ({archive.num_bytes} bytes, SHA-256 "
        f"{archive.sha256}), put it at {printable(path.absolute())} and run the same command again."
    )


def bytes_there(archive: Archive, folder: Path) -> int:
    """How many bytes of an archive are in the folder already."""
    return min(_size(folder / archive.name) or _size(_part_of(archive, folder)), archive.num_bytes)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep other runs from downloading into the same folder; made if need be, removed if all went well and it is empty.

    Raises:
        DataError: another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    try:
        lock = FileLock(path)
    except BlockingIOError as error:
        raise DataError(f"{printable(folder)}: another download is running here; wait for it") from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove a file that is open
            path.unlink()
        lock.release()
    with suppress(OSError):  # there are archives in it
        folder.rmdir()


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part_of(archive: Archive, folder: Path) -> Path:
    return folder / f"{archive.name}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _require_right(path: Path, archive: Archive) -> None:
    """A file under the archive's own name may be the user's: it is used or refused, never touched."""
    size = _size(path)
    checksum = sha256_of(path) if size == archive.num_bytes else ""
    if checksum != archive.sha256:
        found = f"has the SHA-256 {checksum}" if checksum else f"has {size} bytes"
        raise DataError(
            f"{printable(path)}: is not the archive that is meant: it {found}, expected {archive.num_bytes} bytes with "
            f"the SHA-256 {archive.sha256}; move it away, and run the same command again to fetch it"
        )


def _fetch_from(address: str, archive: Archive, part: Path, policy: RetryPolicy, advance: Advance) -> None:
    """Have the whole, checked archive in the part when this returns."""
    resumed = _size(part) > 0
    _complete(address, archive.num_bytes, part, policy, advance)
    checksum = sha256_of(part)
    if checksum != archive.sha256 and resumed:  # the earlier bytes may be of another file: once more without them
        part.unlink()
        _complete(address, archive.num_bytes, part, policy, advance)
        checksum = sha256_of(part)
    if checksum != archive.sha256:
        part.unlink()
        raise PermanentError(f"gives a file with the SHA-256 {checksum}, expected {archive.sha256}; it was deleted")


def _complete(address: str, size: int, part: Path, policy: RetryPolicy, advance: Advance) -> None:
    """Request the missing bytes until the part is whole, or the policy ends it."""
    failures, began = 0, _size(part)
    while (before := _size(part)) != size:
        try:
            _request_rest(address, size, part, policy.timeout, advance)
        except TransientError as error:
            have = _size(part)
            failures = 1 if have - before >= _PROGRESS else failures + 1
            never_there = isinstance(error.__cause__, _UNREACHABLE) and have == began
            if failures >= policy.attempts or never_there:
                raise PermanentError(f"{error}; {have} of {size} bytes are kept" if have else str(error)) from error
            time.sleep(policy.first_wait * 2 ** (failures - 1))
    advance(size)


def _request_rest(address: str, size: int, part: Path, timeout: float, advance: Advance) -> None:
    """Make one request and append its body to the part; errors are Transient or Permanent."""
    have = _size(part)
    if have > size:
        part.unlink()
        have = 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with _open(address, headers, timeout, part) as response:
        have = _resume_at(response, have, size, part)
        with part.open("ab" if have else "wb") as file:
            while piece := next_piece(response):
                have += len(piece)
                if have > size:
                    break
                file.write(piece)
                advance(have)
    if have > size:
        part.unlink()
        raise PermanentError(f"the server sends more than the {size} bytes of the file")
    if have < size:
        raise TransientError(f"the connection ended after {have} of {size} bytes")


def _resume_at(response: http.client.HTTPResponse, have: int, size: int, part: Path) -> int:
    """After how many bytes the answer continues: `have`, or 0 if the server starts from the beginning."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise PermanentError(f"the server changes the file on its way (Content-Encoding {encoding})")
    if response.status == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise TransientError("the server gave another range than it was asked for")
    elif response.status == 200:
        have = 0
    else:
        raise PermanentError(f"the server answers {response.status} {response.reason}")
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) != size - have:
        raise PermanentError(f"the server has another file: {int(length) + have} bytes, expected {size}")
    return have


def _open(address: str, headers: Mapping[str, str], timeout: float, part: Path) -> http.client.HTTPResponse:
    try:
        return open_address(address, timeout=timeout, headers=headers)
    except StatusError as error:
        if error.status == 416:  # the part is not the beginning of the server's file
            part.unlink(missing_ok=True)
            raise TransientError(str(error)) from error
        raise
