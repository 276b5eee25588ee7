"""The manifest of downloads: which archives a dataset has, where they are, how long, with which SHA-256 sums.

The shipped one is downloads.yaml beside this file; its head explains the keys. Every archive has a pinned length and
sum, so that a download trusts the manifest and nothing else. Left out: the download itself (download.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from yolo.errors import ConfigError, DataError, printable
from yolo.formats.paths import read_text


class Archive(NamedTuple):
    """One file to fetch and unpack.

    Attributes:
        name: of the file.
        addresses: https or http, in the order in which they are tried.
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
        descriptor: content of that file.
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
        DataError: not YAML, an unknown or missing key, or a wrong value; the message names file and key.
    """
    path = path or Path(str(resources.files("yolo.curate") / "downloads.yaml"))
    where = printable(path)
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise DataError(f"{where}: is not YAML ({error})") from error
    top = _checked(content, where, _TOP_KEYS)
    archives = {name: _archive(name, value, f"{where}, archives.{name}") for name, value in top["archives"].items()}
    return {
        name: _dataset(name, value, f"{where}, datasets.{name}", archives=archives, terms=top["terms"])
        for name, value in top["datasets"].items()
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


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(key, str) for key in value)


def _is_list_of_texts(value: Any) -> bool:
    texts = isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
    return texts and len(set(value)) == len(value)


def _is_list_of_addresses(value: Any) -> bool:
    return _is_list_of_texts(value) and all(map(_is_address, value))


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    clean = address.isascii() and address.isprintable() and " " not in address
    return clean and parts.scheme in ("https", "http") and bool(parts.hostname) and "@" not in parts.netloc


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{64}", value) is not None


def _is_relative(value: Any) -> bool:
    if not isinstance(value, str) or not value or set(value) & set("\\:\0") or value.startswith("/"):
        return False
    return ".." not in PurePosixPath(value).parts


def _is_new_folder(value: Any) -> bool:
    return _is_relative(value) and str(PurePosixPath(value)) != "."


def _is_file_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", value, re.ASCII) is not None


def _is_yaml_name(value: Any) -> bool:
    return _is_file_name(value) and str(value).endswith(".yaml")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


# key -> its check, and what it expects
_Keys = Mapping[str, tuple[Callable[[Any], bool], str]]
_MAPPING = (_is_mapping, "names with values")
_COUNT = (_is_count, "a whole number above 0")
_TOP_KEYS: _Keys = {"datasets": _MAPPING, "archives": _MAPPING, "terms": _MAPPING}
_ARCHIVE_KEYS: _Keys = {
    "addresses": (_is_list_of_addresses, "a list of different https://HOST/PATH (or http), without passwords"),
    "bytes": _COUNT,
    "sha256": (_is_sha256, "64 hexadecimal digits in quotes"),
    "inside": (_is_relative, "a relative folder with '/' and without '..'"),
    "folder": (_is_new_folder, "a new folder below the output folder, with '/' and without '..'"),
    "max_bytes": _COUNT,
    "max_files": _COUNT,
}
_DATASET_KEYS: _Keys = {
    "archives": (_is_list_of_texts, "a list of different names"),
    "terms": (_is_text, "a name under terms"),
    "yaml": (_is_yaml_name, "a file name such as things.yaml"),
    "descriptor": _MAPPING,
}


def _checked(value: Any, where: str, keys: _Keys) -> dict[str, Any]:
    """`value` if it is a mapping of exactly these keys with values as expected."""
    if not isinstance(value, dict) or not _is_mapping(value):
        raise DataError(f"{where}: is {value!r}, expected names with values")
    for key in value:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(keys)}"
            raise DataError(f"{where}: unknown key '{key}'; {hint}")
    for key, (check, expected) in keys.items():
        if key not in value:
            raise DataError(f"{where}: '{key}' is missing")
        if not check(value[key]):
            raise DataError(f"{where}: '{key}' is {value[key]!r}, expected {expected}")
    return value


def _require_file_name(name: str, where: str) -> None:
    if not _is_file_name(name):
        raise DataError(f"{where}: names of archives and datasets have letters, digits, '.', '_' and '-' only")


def _archive(name: str, value: Any, where: str) -> Archive:
    content = _checked(value, where, _ARCHIVE_KEYS)
    _require_file_name(name, where)
    return Archive(
        name=name,
        addresses=tuple(content["addresses"]),
        num_bytes=content["bytes"],
        sha256=content["sha256"].lower(),
        inside=str(PurePosixPath(content["inside"])),
        folder=str(PurePosixPath(content["folder"])),
        max_bytes=content["max_bytes"],
        max_files=content["max_files"],
    )


def _dataset(
    name: str, value: Any, where: str, *, archives: Mapping[str, Archive], terms: Mapping[str, Any]
) -> DownloadableDataset:
    content = _checked(value, where, _DATASET_KEYS)
    _require_file_name(name, where)
    for archive in content["archives"]:
        if archive not in archives:
            raise DataError(f"{where}: 'archives' has {archive!r}, which is not described under archives")
    text = terms.get(content["terms"])
    if not isinstance(text, str):
        raise DataError(f"{where}: 'terms' is {content['terms']!r}, expected a name under terms with a text")
    own = tuple(archives[archive] for archive in content["archives"])
    dataset = DownloadableDataset(name, own, text, content["yaml"], content["descriptor"])
    for outer in dataset.folders:  # each is put in place as a whole, so none may lie in another
        for inner in dataset.folders:
            if PurePosixPath(outer) in PurePosixPath(inner).parents:
                raise DataError(f"{where}: folder '{inner}' lies in folder '{outer}'; take folders beside one another")
    return dataset
