"""Fetching one archive of a manifest over http(s): resumable, bounded, checked against its SHA-256 sum.

Bytes go to `NAME.part`, which a later call goes on with; a file has its own name only once its sum is right. Left out:
the requests themselves (connection.py), which archives there are (manifest.py), unpacking (archives.py).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from yolo.data.account import printable
from yolo.download.connection import Broken, NoSuchRange, Refused, ask, next_piece, validator_of
from yolo.download.manifest import Archive
from yolo.errors import DataError
from yolo.files import write_json

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

_PROGRESS = 1 << 20  # an attempt that brought so many bytes was no failure
# where nothing has come from at all, the next address is the better attempt
_UNREACHABLE = (socket.gaierror, ConnectionRefusedError, TimeoutError)

Advance = Callable[[int], None]


class Patience(NamedTuple):
    """How often and how long to try.

    Attributes:
        attempts: at one address, without progress between them.
        first_wait: seconds before the second attempt; doubled before each further one.
        timeout: seconds without a byte after which an attempt has failed.
    """

    attempts: int = 5
    first_wait: float = 1.0
    timeout: float = 30.0


class Fetched(NamedTuple):
    """An archive that is there with the right sum; `was_there` if nothing had to be fetched."""

    path: Path
    was_there: bool


def fetch(
    archive: Archive, folder: Path, *, patience: Patience | None = None, advance: Advance = lambda total: None
) -> Fetched:
    """Fetch an archive into a folder, unless it is there.

    Args:
        archive: what to fetch.
        folder: where it goes, under its own name; made if need be.
        patience: how often and how long to try.
        advance: told how many bytes of it are there, as they come.

    Raises:
        DataError: a file is there with another sum, no address gives the file, or what they give has another sum; the
            message says how to go on by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / archive.name
    if path.exists():
        _check_own(path, archive)
        advance(archive.num_bytes)
        return Fetched(path, True)
    part = _Part(archive, folder)
    reasons = []
    for address in archive.addresses:
        try:
            _fetch_from(address, part, patience or Patience(), advance)
        except Refused as refusal:
            reasons.append(f"{address}: {refusal}")
            continue
        part.path.replace(path)
        part.forget_source()
        return Fetched(path, False)
    raise DataError(_way_out(path, archive, reasons))


def partly_there(archive: Archive, folder: Path) -> int:
    """How many bytes of an archive are in the folder already."""
    for path in (folder / archive.name, _Part(archive, folder).path):
        if path.is_file():
            return min(path.stat().st_size, archive.num_bytes)
    return 0


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs from downloading into the same folder; made if need be, removed if all went well and it is empty.

    Raises:
        DataError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with path.open("wb") as lock:
        if fcntl is not None:  # elsewhere two runs at once are found out by the sum
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"{printable(folder)}: another download is running here; wait for it") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # there are archives in it
        folder.rmdir()


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_own(path: Path, archive: Archive) -> None:
    """An archive under its own name is somebody's: it is used or refused, never touched."""
    size = path.stat().st_size if path.is_file() else -1
    checksum = sha256_of(path) if size == archive.num_bytes else ""
    if checksum != archive.sha256:
        found = f"has the SHA-256 {checksum}" if checksum else f"has {size} bytes"
        raise DataError(
            f"{printable(path)}: is not the archive that is meant: it {found}, expected {archive.num_bytes} bytes with "
            f"the SHA-256 {archive.sha256}; move it away, and run the same command again to fetch it"
        )


def _way_out(path: Path, archive: Archive, reasons: list[str]) -> str:
    tried = "".join(f"\n  {reason}" for reason in reasons)
    return (
        f"{archive.name}: could not be fetched; tried{tried}\n"
        f"Run the same command again to go on. Or fetch it elsewhere ({archive.num_bytes} bytes, SHA-256 "
        f"{archive.sha256}), put it at {printable(path.absolute())} and run the same command again."
    )


class _Part:
    """The bytes of an archive that have come so far, and which version of the file at which address they are of."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.path = folder / f"{archive.name}.part"
        self._source = folder / f"{archive.name}.part.json"

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self, address: str) -> str:
        """What the server called the version of the file that the bytes are of; empty where that is not known."""
        try:
            source = json.loads(self._source.read_text(encoding="utf-8"))
            return str(source["validator"]) if source["address"] == address else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""  # without it there is only the sum at the end to tell

    def note_source(self, address: str, validator: str) -> None:
        write_json(self._source, {"address": address, "validator": validator})

    def forget_source(self) -> None:
        self._source.unlink(missing_ok=True)

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.forget_source()


def _fetch_from(address: str, part: _Part, patience: Patience, advance: Advance) -> None:
    """Have the whole, checked archive in the part when this returns."""
    resumed = part.size() > 0
    _complete(address, part, patience, advance)
    checksum = sha256_of(part.path)
    if checksum != part.archive.sha256 and resumed:  # bytes of an earlier run may be of another file: once more
        part.drop()
        _complete(address, part, patience, advance)
        checksum = sha256_of(part.path)
    if checksum != part.archive.sha256:
        part.drop()
        raise Refused(f"gives a file with the SHA-256 {checksum}, expected {part.archive.sha256}; it was deleted")


def _complete(address: str, part: _Part, patience: Patience, advance: Advance) -> None:
    """Ask for what is missing until nothing is, or patience ends."""
    failures, began = 0, part.size()
    while part.size() != part.archive.num_bytes:
        before = part.size()
        try:
            _ask_once(address, part, patience.timeout, advance)
        except Broken as broken:
            failures = 1 if part.size() - before >= _PROGRESS else failures + 1
            never_there = isinstance(broken.__cause__, _UNREACHABLE) and part.size() == began
            if failures >= patience.attempts or never_there:
                have = f"; {part.size()} of {part.archive.num_bytes} bytes are kept" if part.size() else ""
                raise Refused(f"{broken}{have}") from broken
            time.sleep(patience.first_wait * 2 ** (failures - 1))
    advance(part.archive.num_bytes)


def _ask_once(address: str, part: _Part, timeout: float, advance: Advance) -> None:
    """One request; appends what comes to the part.

    Raises:
        Broken: the connection failed, or the body ended early.
        Refused: an answer that another attempt will not change.
    """
    have = part.size()
    if have > part.archive.num_bytes:
        part.drop()
        have = 0
    try:
        with ask(address, begin=have, validator=part.validator(address), timeout=timeout) as response:
            have = _check_answer(response, part, have)
            part.note_source(address, validator_of(response))
            _append(response, part, have, advance)
    except NoSuchRange as error:  # the part is not the beginning of this file
        part.drop()
        raise Broken(str(error)) from error


def _check_answer(response: http.client.HTTPResponse, part: _Part, have: int) -> int:
    """How many bytes of the part the answer goes on after: `have`, or 0 if the server starts from the beginning."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise Refused(f"the server changes the file on its way (Content-Encoding {encoding})")
    total, begins = response.headers.get("Content-Length"), 0
    if response.status == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.drop()
            raise Broken("the server gave another range than it was asked for")
        begins = have
    elif response.status != 200:
        raise Refused(f"the server answers {response.status} {response.reason}")
    missing = part.archive.num_bytes - begins
    if total is not None and total.isdecimal() and int(total) != missing:
        raise Refused(f"the server has another file: {int(total) + begins} bytes, expected {part.archive.num_bytes}")
    return begins


def _append(response: http.client.HTTPResponse, part: _Part, have: int, advance: Advance) -> None:
    size = part.archive.num_bytes
    with part.path.open("ab" if have else "wb") as file:
        while piece := next_piece(response):
            have += len(piece)
            if have > size:
                break
            file.write(piece)
            advance(have)
    if have > size:
        part.drop()
        raise Refused(f"the server sends more than the {size} bytes of the file")
    if have < size:
        raise Broken(f"the connection ended after {have} of {size} bytes")
