"""`gridyolo data download`: fetch a dataset's archives, unpack them, write its YAML.

The manifest says which archives a dataset has, where they are, how long they are and what their SHA-256 sums are, so
that a download trusts the manifest and nothing else. The shipped one is downloads.yaml beside this file; its head
explains the keys. A folder is unpacked under a temporary name and renamed when whole, with a file of the sums inside:
by that file a later call knows that nothing is left to do. A folder without it is the user's and stays as it is.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml
from rich.console import Console

from yolo.config import DataDownloadConfig
from yolo.console import clock, say
from yolo.curate.archives import Unpacked, unpack
from yolo.curate.fetch import Archive, RetryPolicy, bytes_there, exclusive, fetch
from yolo.errors import ConfigError, DataError, printable
from yolo.files import write_json, write_text
from yolo.formats.paths import read_text
from yolo.progress_display import MEGABYTES, ProgressDisplay

MARKER = ".gridyolo-download"
_DOWNLOADS = "downloads"

Archives = tuple[Archive, ...]
_Check = Callable[[Any], bool]


class DownloadableDataset(NamedTuple):
    """A dataset of the manifest."""

    name: str
    archives: Archives
    terms: str  # conditions of its publishers
    yaml: str  # name of its dataset YAML
    descriptor: Mapping[str, Any]  # content of that file

    @property
    def folders(self) -> dict[str, Archives]:
        """The archives by the folder that they fill, in order."""
        names = dict.fromkeys(archive.folder for archive in self.archives)
        return {name: tuple(archive for archive in self.archives if archive.folder == name) for name in names}


def download(config: DataDownloadConfig, console: Console, *, policy: RetryPolicy | None = None) -> Path:
    """Fetch, check and unpack a public dataset; what exists already is not fetched again.

    Returns:
        The path of its dataset YAML.

    Raises:
        ConfigError: the manifest has no such dataset.
        DataError: a bad manifest, a folder in the way, too little space, an archive that cannot be fetched or has
            another sum, or one that must not be unpacked. Whatever was fetched with the right sum stays.
    """
    dataset = dataset_called(config.dataset, read_manifest(Path(config.manifest) if config.manifest else None))
    output = Path(config.output).expanduser()
    missing = _missing_folders(dataset, output)
    say(console, dataset.terms)
    _require_space(missing, output, keep=config.keep_archives)
    if missing:
        with exclusive(output / _DOWNLOADS):
            try:
                for folder, archives in missing.items():
                    _install(folder, archives, output, console, policy=policy, keep=config.keep_archives)
            except KeyboardInterrupt:
                have = printable(output / _DOWNLOADS)
                say(console, f"stopped; partial downloads are kept in {have}; run the same command to resume")
                raise
    else:
        folders = ", ".join(printable(output / name) for name in dataset.folders)
        say(console, f"{dataset.name} exists already: {folders}")
    return _write_yaml(dataset, output, console)


def read_manifest(path: Path | None) -> dict[str, DownloadableDataset]:
    """The datasets of a manifest by name; None is the shipped manifest.

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


def _matches(pattern: str) -> _Check:
    """A check for texts that a pattern fits as a whole."""
    regex = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and regex.fullmatch(value) is not None


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


def _is_relative(value: Any) -> bool:
    if not isinstance(value, str) or not value or set(value) & set("\\:\0") or value.startswith("/"):
        return False
    return ".." not in PurePosixPath(value).parts


def _is_new_folder(value: Any) -> bool:
    return _is_relative(value) and str(PurePosixPath(value)) != "."


_is_name = _matches(r"[A-Za-z0-9][\w.-]*")

# key -> its check, and what it expects
_Keys = Mapping[str, tuple[_Check, str]]
_MAPPING = (_is_mapping, "names with values")
_COUNT = (_is_count, "a whole number above 0")
_TOP_KEYS: _Keys = {"datasets": _MAPPING, "archives": _MAPPING, "terms": _MAPPING}
_ARCHIVE_KEYS: _Keys = {
    "addresses": (_is_list_of_addresses, "a list of different https://HOST/PATH (or http), without passwords"),
    "bytes": _COUNT,
    "sha256": (_matches(r"[0-9a-fA-F]{64}"), "64 hexadecimal digits in quotes"),
    "inside": (_is_relative, "a relative folder with '/' and without '..'"),
    "folder": (_is_new_folder, "a new folder below the output folder, with '/' and without '..'"),
    "max_bytes": _COUNT,
    "max_files": _COUNT,
}
_DATASET_KEYS: _Keys = {
    "archives": (_is_list_of_texts, "a list of different names"),
    "terms": (_matches(r"(?s).+"), "a name under terms"),
    "yaml": (_matches(r"[A-Za-z0-9][\w.-]*\.yaml"), "a file name such as things.yaml"),
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


def _archive(name: str, value: Any, where: str) -> Archive:
    content = _checked(value, where, _ARCHIVE_KEYS)
    _require_name(name, where)
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
    _require_name(name, where)
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


def _require_name(name: str, where: str) -> None:
    if not _is_name(name):
        raise DataError(f"{where}: names of archives and datasets have letters, digits, '.', '_' and '-' only")


def _missing_folders(dataset: DownloadableDataset, output: Path) -> dict[str, Archives]:
    """The folders that are not there yet, with their archives; DataError where a folder is not of this download."""
    missing = {}
    for folder, archives in dataset.folders.items():
        place = output / folder
        if not os.path.lexists(place):
            missing[folder] = archives
        elif not _is_made_of(place, archives):
            raise DataError(
                f"{printable(place)}: already exists, and differs from what this download would leave. Use it as it is "
                f"(gridyolo train --data ...), move it away, or choose another --output"
            )
    return missing


def _marker(archives: Sequence[Archive]) -> dict[str, dict[str, str]]:
    """What is written into a folder that this command has made of some archives."""
    return {"sha256": {archive.name: archive.sha256 for archive in archives}}


def _is_made_of(folder: Path, archives: Sequence[Archive]) -> bool:
    try:
        return bool(json.loads((folder / MARKER).read_text(encoding="utf-8")) == _marker(archives))
    except (OSError, ValueError):
        return False


def _require_space(missing: Mapping[str, Archives], output: Path, *, keep: bool) -> None:
    """DataError unless the disk has room for everything; the archives of a folder are deleted unless they are kept."""
    to_fetch = [
        sum(archive.num_bytes - bytes_there(archive, output / _DOWNLOADS) for archive in archives)
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


def _install(
    folder: str, archives: Archives, output: Path, console: Console, *, policy: RetryPolicy | None, keep: bool
) -> None:
    """Fetch and unpack the archives of one folder."""
    fetched = []
    for archive in archives:
        began = time.monotonic()
        with ProgressDisplay(console, archive.name, archive.num_bytes, unit=MEGABYTES) as display:
            one = fetch(archive, output / _DOWNLOADS, policy=policy, advance=display.update)
        how = "is there" if one.was_there else f"fetched in {clock(time.monotonic() - began)}"
        say(console, f"{archive.name}: {how}, {archive.num_bytes / 1e6:.1f} MB, SHA-256 verified")
        fetched.append(one)
    unpacked = _unpack_all([one.path for one in fetched], archives, output / folder, console)
    say(console, f"{printable(output / folder)}: {unpacked.num_files} files, {unpacked.num_bytes / 1e6:.1f} MB")
    if unpacked.num_skipped:
        say(console, f"  {unpacked.num_skipped} files of the archives belong to something else and were skipped")
    for one in fetched:
        if not keep and not one.was_there:  # what was there before may be the user's
            one.path.unlink()


def _unpack_all(paths: Sequence[Path], archives: Archives, place: Path, console: Console) -> Unpacked:
    """Unpack into a temporary folder, which becomes `place` when all is well and is removed if not."""
    counts = []
    above = next(parent for parent in place.parents if parent.is_dir())  # on the same disk, even behind a link
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=above) as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        for path, archive in zip(paths, archives, strict=True):
            limits = {"max_bytes": archive.max_bytes, "max_files": archive.max_files}
            with ProgressDisplay(console, f"unpacking {archive.name}", unit=MEGABYTES) as display:
                counts.append(unpack(path, whole, inside=archive.inside, **limits, advance=display.update))
        write_json(whole / MARKER, _marker(archives))
        place.parent.mkdir(parents=True, exist_ok=True)
        whole.rename(place)
    return Unpacked(*(sum(column) for column in zip(*counts, strict=True)))


def _write_yaml(dataset: DownloadableDataset, output: Path, console: Console) -> Path:
    """Write the dataset YAML into the output folder, unless a file of that name is there; its path."""
    path = output / dataset.yaml
    content = dict(dataset.descriptor)
    if path.exists():
        if yaml.safe_load(read_text(path)) != content:
            say(console, f"{printable(path)}: was there, differs from what would be written, and is left as it is")
        return path
    text = yaml.safe_dump(content, sort_keys=False, width=120)
    write_text(path, f"# Written by gridyolo data download --dataset {dataset.name}\n{text}")
    return path
