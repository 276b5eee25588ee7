"""The manifest of downloads: which archives a dataset has, where they are, how long, with which SHA-256 sums.

The shipped one is downloads.yaml beside this file; its head explains the keys. Every archive has a pinned length and
sum, so that a manifest is all the trust that a download needs. Left out: fetching (fetch.py) and unpacking
(archives.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from yolo.data.account import printable
from yolo.data.listing import read_text
from yolo.errors import ConfigError, DataError

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
    path = path or Path(str(resources.files("yolo.download") / "downloads.yaml"))
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
