"""Fetching one archive of a manifest over http(s): resumable, bounded, checked against its SHA-256 sum.

Bytes go to `NAME.part`, which a later call goes on with; a file has its own name only once its sum is right. Left out:
the requests themselves (connection.py), which archives there are (manifest.py), unpacking (archives.py).

One http(s) request for a file or the rest of it. The only module of the package that opens a connection.

Certificates are checked, only http and https are spoken, and what fails is told apart: trying again may help (`Broken`)
or will not (`Refused`).

Unpacking archives that nobody trusts: tar, tar.gz and zip.

Only ordinary files and folders come out, under the folder asked for, at most as many and as long as agreed, with the
permissions of new files. An archive that has anything else in it is refused as a whole; what was already written is
the caller's to remove, so unpack into a temporary folder. Sizes that headers state are not believed: bytes are counted
while they are written.

The manifest of downloads: which archives a dataset has, where they are, how long, with which SHA-256 sums.

The shipped one is downloads.yaml beside this file; its head explains the keys. Every archive has a pinned length and
sum, so that a manifest is all the trust that a download needs. Left out: fetching (fetch.py) and unpacking
(archives.py).

`gridyolo data download`: fetch a dataset's archives, unpack them, write its YAML.

A folder is unpacked beside its place and renamed when whole, with a note of the sums it was made of inside: that note
is how a later call knows that nothing is left to do. What is there without such a note is the user's and stays.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import hashlib
import http.client
import json
import lzma
import os
import re
import shutil
import socket
import ssl
import stat
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import resources
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

import yaml
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from yolo._version import __version__
from yolo.config import DataDownloadConfig
from yolo.console import clock
from yolo.errors import ConfigError, DataError, printable
from yolo.files import atomic_write, write_json
from yolo.formats.paths import read_text

_CHUNK = 1 << 18
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class Broken(Exception):  # noqa: N818 - a state of affairs, handled by the caller
    """The connection failed; trying again may help."""


class Refused(Exception):  # noqa: N818 - a state of affairs, handled by the caller
    """This address will not give the file."""


class NoSuchRange(Exception):  # noqa: N818 - a state of affairs, handled by the caller
    """The file of the server has no byte at the place asked for."""


def ask(address: str, *, begin: int, validator: str, timeout: float) -> http.client.HTTPResponse:
    """Ask for a file from its byte `begin` on; the server may send all of it all the same.

    Args:
        address: http or https.
        begin: first byte that is wanted.
        validator: from `validator_of`: send the rest only if the file is still this version; empty if not known.
        timeout: seconds without a byte.

    Raises:
        Broken: no connection, or a status that may pass.
        Refused: an answer that another attempt will not change.
        NoSuchRange: the file is not as long as `begin`.
    """
    request = urllib.request.Request(address, headers=_headers(begin, validator))
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise _bad_status(error.code, error.reason) from error
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Refused(f"its certificate is not valid ({reason.verify_message})") from error
        raise Broken(f"no connection ({reason})") from (reason if isinstance(reason, OSError) else error)
    except (http.client.HTTPException, OSError) as error:
        raise Broken(f"the connection broke ({error or type(error).__name__})") from error
    return response


def next_piece(response: http.client.HTTPResponse) -> bytes:
    """The bytes that have come, some at least; none at the end.

    Raises:
        Broken: the connection.
    """
    try:
        return response.read1(_CHUNK)  # what has come: on a slow line the bar moves, and a break loses nothing
    except (http.client.HTTPException, OSError) as error:
        raise Broken(f"the connection broke ({error or type(error).__name__})") from error


def validator_of(response: http.client.HTTPResponse) -> str:
    """The strong ETag or else the date of an answer, which name a version of the file."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _opener() -> urllib.request.OpenerDirector:
    """Http and https only, wherever a server sends us; certificates are checked."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        _RedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()  # unread: its length is the server's choice
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise Refused(f"sends on to {newurl!r}, which is not http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _headers(begin: int, validator: str) -> dict[str, str]:
    headers = {"User-Agent": f"gridyolo/{__version__}", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
        if validator:
            headers["If-Range"] = validator
    return headers


def _bad_status(status: int, reason: str) -> Exception:
    message = " ".join(f"the server answers {status} {reason}".split())  # urllib's own reasons have several lines
    if status == 416:
        return NoSuchRange(message)
    return Broken(message) if status in _RETRY_STATUS else Refused(message)


_CHUNK_ARCHIVES = 1 << 20
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
            while piece := source.read(_CHUNK_ARCHIVES):
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
    while file.read(_CHUNK_ARCHIVES):  # gzip compares its own sum at the very end
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
        if not 0 <= size <= _CHUNK_ARCHIVES:
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


_ARCHIVE_KEYS = ("addresses", "bytes", "sha256", "inside", "folder", "max_bytes", "max_files")
_DATASET_KEYS = ("archives", "terms", "yaml", "descriptor")
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


class Archive(NamedTuple):
    """One file to fetch and unpack.

    Attributes:
        name: of the file.
        addresses: where it is, in the order in which they are tried; https or http.
        num_bytes: its length.
        sha256: its sum, 64 hexadecimal digits in lower case.
        inside: the folder in the archive that is unpacked; `.` for all of it.
        folder: what that folder becomes, relative to the output folder.
        max_bytes: to how many bytes it may unpack at most.
        max_files: how many entries, folders included, it may have at most.
    """

    name: str
    addresses: tuple[str, ...]
    num_bytes: int
    sha256: str
    inside: str
    folder: str
    max_bytes: int
    max_files: int


class DownloadableDataset(NamedTuple):
    """A dataset of the manifest.

    Attributes:
        name: what the user calls it.
        archives: all it consists of.
        terms: what its publishers ask of those who use it.
        yaml: name of its dataset YAML.
        descriptor: what stands in it.
    """

    name: str
    archives: tuple[Archive, ...]
    terms: str
    yaml: str
    descriptor: Mapping[str, Any]

    @property
    def folders(self) -> dict[str, tuple[Archive, ...]]:
        """The archives by the folder that they fill, in order."""
        names = dict.fromkeys(archive.folder for archive in self.archives)
        return {name: tuple(archive for archive in self.archives if archive.folder == name) for name in names}


def read_manifest(path: Path | None) -> dict[str, DownloadableDataset]:
    """Read and check a manifest.

    Args:
        path: of the YAML file; None for the one that is shipped.

    Returns:
        The datasets by name.

    Raises:
        DataError: not YAML, an unknown or missing key, or a value that makes no sense; the message names file and key.
    """
    path = path or Path(str(resources.files("yolo.curate") / "downloads.yaml"))
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise DataError(f"{printable(path)}: is not YAML ({error})") from error
    where = printable(path)
    top = _mapping(content, where, keys=("datasets", "archives", "terms"))
    archives = {
        name: _archive(name, value, f"{where}, archives.{name}")
        for name, value in _mapping(top["archives"], f"{where}, archives").items()
    }
    terms = _mapping(top["terms"], f"{where}, terms")
    return {
        name: _dataset(name, value, f"{where}, datasets.{name}", archives=archives, terms=terms)
        for name, value in _mapping(top["datasets"], f"{where}, datasets").items()
    }


def dataset_called(name: str, known: Mapping[str, DownloadableDataset]) -> DownloadableDataset:
    """The dataset of that name, whatever its case.

    Raises:
        ConfigError: there is none; the message has the nearest name and all names.
    """
    for key, dataset in known.items():
        if key.lower() == name.lower():
            return dataset
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"--dataset {name}: no such dataset in the manifest{hint} (it has {', '.join(known)})")


def _mapping(value: Any, where: str, *, keys: Sequence[str] = ()) -> dict[str, Any]:
    """`value` if it is a mapping with text as keys: with exactly `keys`, where they are given."""
    if not isinstance(value, dict) or not value or not all(isinstance(key, str) for key in value):
        raise DataError(f"{where}: is {value!r}, expected names with values")
    for key in value:
        if keys and key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(keys)}"
            raise DataError(f"{where}: unknown key '{key}'; {hint}")
    missing = [key for key in keys if key not in value]
    if missing:
        raise DataError(f"{where}: '{missing[0]}' is missing")
    return value


def _archive(name: str, value: Any, where: str) -> Archive:
    content = _mapping(value, where, keys=_ARCHIVE_KEYS)
    if not _FILE_NAME.fullmatch(name):
        raise DataError(f"{where}: the name of an archive is a file name of letters, digits, '.', '_' and '-'")
    addresses = _texts(content["addresses"], where, "addresses")
    for address in addresses:
        _check_address(address, where)
    checksum = content["sha256"]
    if not isinstance(checksum, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", checksum):
        raise DataError(f"{where}: 'sha256' is {checksum!r}, expected 64 hexadecimal digits in quotes")
    return Archive(
        name,
        addresses,
        _count(content, "bytes", where),
        checksum.lower(),
        _relative(content, "inside", where),
        _below(_relative(content, "folder", where), where),
        _count(content, "max_bytes", where),
        _count(content, "max_files", where),
    )


def _check_address(address: str, where: str) -> None:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or not address.isascii() or not address.isprintable() or " " in address:
        raise DataError(f"{where}: 'addresses' has {address!r}, expected https://HOST/PATH (or http, without password)")


def _texts(value: Any, where: str, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise DataError(f"{where}: '{key}' is {value!r}, expected a list of texts")
    if len(set(value)) < len(value):
        raise DataError(f"{where}: '{key}' has something twice")
    return tuple(value)


def _count(content: Mapping[str, Any], key: str, where: str) -> int:
    value = content[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DataError(f"{where}: '{key}' is {value!r}, expected a whole number above 0")
    return value


def _relative(content: Mapping[str, Any], key: str, where: str) -> str:
    """A folder below another one, in its shortest form."""
    value = content[key]
    if not isinstance(value, str) or not value or set(value) & set("\\:\0") or value.startswith("/"):
        raise DataError(f"{where}: '{key}' is {value!r}, expected a relative folder with '/'")
    path = PurePosixPath(value)
    if ".." in path.parts:
        raise DataError(f"{where}: '{key}' is {value!r}, which leads out; expected a folder without '..'")
    return str(path)


def _below(folder: str, where: str) -> str:
    if folder == ".":
        raise DataError(f"{where}: 'folder' is '.', expected a new folder below the output folder")
    return folder


def _dataset(
    name: str, value: Any, where: str, *, archives: Mapping[str, Archive], terms: Mapping[str, Any]
) -> DownloadableDataset:
    content = _mapping(value, where, keys=_DATASET_KEYS)
    if not _FILE_NAME.fullmatch(name):
        raise DataError(f"{where}: the name of a dataset has letters, digits, '.', '_' and '-' only")
    names = _texts(content["archives"], where, "archives")
    for archive in names:
        if archive not in archives:
            raise DataError(f"{where}: 'archives' has {archive!r}, which is not described under archives")
    wording = terms.get(content["terms"]) if isinstance(content["terms"], str) else None
    if not isinstance(wording, str):
        raise DataError(f"{where}: 'terms' is {content['terms']!r}, expected a name under terms with a text")
    file = content["yaml"]
    if not isinstance(file, str) or not _FILE_NAME.fullmatch(file) or not file.endswith(".yaml"):
        raise DataError(f"{where}: 'yaml' is {file!r}, expected a file name such as {name}.yaml")
    descriptor = _mapping(content["descriptor"], f"{where}.descriptor")
    dataset = DownloadableDataset(name, tuple(archives[archive] for archive in names), wording, file, descriptor)
    _check_folders(dataset, where)
    return dataset


def _check_folders(dataset: DownloadableDataset, where: str) -> None:
    """One folder must not lie in another: each is put in place as a whole."""
    folders = [PurePosixPath(folder) for folder in dataset.folders]
    for outer in folders:
        for inner in folders:
            if outer in inner.parents:
                raise DataError(f"{where}: folder '{inner}' lies in folder '{outer}'; take folders beside one another")


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


MARKER = ".gridyolo-download"
_DOWNLOADS = "downloads"

Say = Callable[[str], None]


class DownloadedDataset(NamedTuple):
    """What is there now.

    Attributes:
        folder: the output folder.
        yaml: the dataset YAML, for `--data`.
        new_folders: folders that were unpacked; none if everything was there.
        archives: archives that are kept.
        next_command: how to go on.
    """

    folder: Path
    yaml: Path
    new_folders: tuple[Path, ...]
    archives: tuple[Path, ...]
    next_command: str


def download(config: DataDownloadConfig, console: Console, *, patience: Patience | None = None) -> DownloadedDataset:
    """Fetch, check and unpack a public dataset; what is there already is not fetched again.

    Args:
        config: see `DataDownloadConfig`.
        console: where to print; the bar is for terminals only.
        patience: how often and how long to try.

    Raises:
        ConfigError: the manifest has no such dataset.
        DataError: a bad manifest, a folder in the way, too little space, an archive that cannot be had or has another
            sum, or one that must not be unpacked. Whatever was fetched with the right sum stays.
    """
    dataset = dataset_called(config.dataset, read_manifest(Path(config.manifest) if config.manifest else None))
    output = Path(config.output).expanduser()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    missing = _missing_folders(dataset, output)
    say(dataset.terms)
    _check_space(missing, output, keep=config.keep_archives)
    if missing:
        kept = _install_all(missing, output, console, say=say, config=config, patience=patience)
    else:
        say(f"{dataset.name} is there already: {', '.join(printable(output / name) for name in dataset.folders)}")
        kept = []
    path = _write_yaml(dataset, output, say)
    weights = "" if "train" in dataset.descriptor else "--weights WEIGHTS "
    command = f"gridyolo {'val' if weights else 'train'} {weights}--data {printable(path)}"
    say(f"go on with: {command}")
    return DownloadedDataset(output, path, tuple(output / name for name in missing), tuple(kept), command)


def _missing_folders(dataset: DownloadableDataset, output: Path) -> dict[str, tuple[Archive, ...]]:
    """The folders that are not there yet, with their archives.

    Raises:
        DataError: a folder is there that this command has not made, or has made of other archives.
    """
    missing = {}
    for folder, archives in dataset.folders.items():
        place = output / folder
        if not os.path.lexists(place):
            missing[folder] = archives
        elif _sums_in(place) != _sums(archives):
            raise DataError(
                f"{printable(place)}: is there already, and not as this download would leave it. Use it as it is "
                f"(gridyolo train --data ...), move it away, or choose another --output"
            )
    return missing


def _sums(archives: Sequence[Archive]) -> dict[str, str]:
    return {archive.name: archive.sha256 for archive in archives}


def _sums_in(folder: Path) -> object:
    """The sums noted in a folder that this command has made; None in any other."""
    try:
        return json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no note, or none of ours: the folder is the user's


def _check_space(missing: Mapping[str, Sequence[Archive]], output: Path, *, keep: bool) -> None:
    """DataError unless the disk has room for everything, archives included.

    Archives go as soon as they are unpacked, so only those of one folder count, unless they are kept.
    """
    downloads = output / _DOWNLOADS
    to_fetch = [
        sum(archive.num_bytes - partly_there(archive, downloads) for archive in archives)
        for archives in missing.values()
    ]
    unpacked = sum(archive.max_bytes for archives in missing.values() for archive in archives)
    needed = unpacked + (sum(to_fetch) if keep else max(to_fetch, default=0))
    existing = next(place for place in (output, *output.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DataError(
            f"{printable(output)}: up to {needed / 1e9:.1f} GB are needed for archives and data, {free / 1e9:.1f} GB "
            "are free; make room or choose an --output on another disk"
        )


def _install_all(
    missing: Mapping[str, Sequence[Archive]],
    output: Path,
    console: Console,
    *,
    say: Say,
    config: DataDownloadConfig,
    patience: Patience | None,
) -> list[Path]:
    """Fetch and unpack folder by folder; the archives that are kept."""
    kept: list[Path] = []
    downloads = output / _DOWNLOADS
    with alone_in(downloads):
        try:
            for folder, archives in missing.items():
                with _bar(console) as bar:
                    paths = _install(
                        output / folder, archives, output, bar=bar, say=say, config=config, patience=patience
                    )
                kept += paths
        except KeyboardInterrupt:
            say(f"stopped; what has come is kept in {printable(downloads)}, the same command goes on")
            raise
    return kept


@contextlib.contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    # the bar only lives in a terminal; a log file gets the lines
    bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)
    with bar:
        yield bar


def _install(
    place: Path,
    archives: Sequence[Archive],
    output: Path,
    *,
    bar: Progress,
    say: Say,
    config: DataDownloadConfig,
    patience: Patience | None,
) -> list[Path]:
    """Fetch and unpack what one folder consists of; the archives that are kept."""
    paths, own = [], []
    for archive in archives:
        began = time.monotonic()
        task = bar.add_task(archive.name, total=archive.num_bytes)
        fetched = fetch(
            archive,
            output / _DOWNLOADS,
            patience=patience,
            advance=lambda done, task=task: bar.update(task, completed=done),  # type: ignore[misc]
        )
        how = "is there" if fetched.was_there else f"fetched in {clock(time.monotonic() - began)}"
        say(f"{archive.name}: {how}, {archive.num_bytes / 1e6:.1f} MB, its SHA-256 is right")
        paths.append(fetched.path)
        own += [] if fetched.was_there else [fetched.path]
        bar.remove_task(task)
    unpacked = _unpack_all(paths, archives, place, bar)
    say(f"{printable(place)}: {unpacked.num_files} files, {unpacked.num_bytes / 1e6:.1f} MB")
    if unpacked.num_passed_over:
        say(f"  {unpacked.num_passed_over} files of the archives belong to something else and were passed over")
    remove = [] if config.keep_archives else own  # what was there before may be the user's
    for path in remove:
        path.unlink()
    return [path for path in paths if path not in remove]


def _unpack_all(paths: Sequence[Path], archives: Sequence[Archive], place: Path, bar: Progress) -> Unpacked:
    """Unpack into a folder beside `place`, which becomes `place` when all is well and is removed if not."""
    new_parents = [parent for parent in place.parents if not parent.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    total = Unpacked(0, 0, 0)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as temporary:
            whole = Path(temporary) / place.name
            whole.mkdir()
            for path, archive in zip(paths, archives, strict=True):
                task = bar.add_task(f"unpacking {archive.name}", total=None)
                count = unpack(
                    path,
                    whole,
                    inside=archive.inside,
                    max_bytes=archive.max_bytes,
                    max_files=archive.max_files,
                    advance=lambda num_bytes, task=task: bar.advance(task, num_bytes),  # type: ignore[misc]
                )
                total = Unpacked(*(before + more for before, more in zip(total, count, strict=True)))
                bar.remove_task(task)
            write_json(whole / MARKER, {"sha256": _sums(archives)})
            whole.rename(place)
    except BaseException:
        for parent in new_parents:
            _remove_if_empty(parent)
        raise
    return total


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it has something in it, or is not there
        folder.rmdir()


def _write_yaml(dataset: DownloadableDataset, output: Path, say: Say) -> Path:
    """The dataset YAML in the output folder; one that says the same, or the user's of that name, stays as it is."""
    path = output / dataset.yaml
    content = dict(dataset.descriptor)
    if path.exists():
        if yaml.safe_load(read_text(path)) != content:
            say(f"{printable(path)}: was there, differs from what would be written, and is left as it is")
        return path
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, width=120)
        temporary.write_text(f"# Written by gridyolo data download --dataset {dataset.name}\n{text}", encoding="utf-8")
    return path
