"""`gridyolo data download`: fetch a dataset's archives, unpack them, write its YAML.

A folder is unpacked beside its place and renamed when whole, with a note of the sums it was made of inside: by that
note a later call knows that nothing is left to do. A folder without such a note is the user's and stays as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from yolo.config import DataDownloadConfig
from yolo.console import clock, say
from yolo.curate.archives import Unpacked, unpack
from yolo.curate.fetch import RetryPolicy, bytes_there, exclusive, fetch
from yolo.curate.manifest import Archive, DownloadableDataset, dataset_called, read_manifest
from yolo.errors import DataError, printable
from yolo.files import atomic_write, write_json
from yolo.formats.paths import read_text

MARKER = ".gridyolo-download"
_DOWNLOADS = "downloads"

Archives = tuple[Archive, ...]


class DownloadedDataset(NamedTuple):
    """What is there now.

    Attributes:
        yaml: the dataset YAML, for `--data`.
        new_folders: folders that were unpacked; none if everything was there.
        archives: archives that are kept.
        next_command: how to go on.
    """

    yaml: Path
    new_folders: tuple[Path, ...]
    archives: tuple[Path, ...]
    next_command: str


def download(config: DataDownloadConfig, console: Console, *, policy: RetryPolicy | None = None) -> DownloadedDataset:
    """Fetch, check and unpack a public dataset; what is there already is not fetched again.

    Args:
        config: see `DataDownloadConfig`.
        console: where to print; the bar is for terminals only.
        policy: how often and how long to try.

    Raises:
        ConfigError: the manifest has no such dataset.
        DataError: a bad manifest, a folder in the way, too little space, an archive that cannot be had or has another
            sum, or one that must not be unpacked. Whatever was fetched with the right sum stays.
    """
    dataset = dataset_called(config.dataset, read_manifest(Path(config.manifest) if config.manifest else None))
    output = Path(config.output).expanduser()
    missing = _missing_folders(dataset, output)
    say(console, dataset.terms)
    _require_space(missing, output, keep=config.keep_archives)
    kept: list[Path] = []
    if missing:
        with exclusive(output / _DOWNLOADS), _progress_bar(console) as bar:
            try:
                for folder, archives in missing.items():
                    kept += _install(folder, archives, output, bar, policy=policy, keep=config.keep_archives)
            except KeyboardInterrupt:
                have = printable(output / _DOWNLOADS)
                say(console, f"stopped; what has come is kept in {have}, the same command continues")
                raise
    else:
        folders = ", ".join(printable(output / name) for name in dataset.folders)
        say(console, f"{dataset.name} is there already: {folders}")
    path = _write_yaml(dataset, output, console)
    verb = "train" if "train" in dataset.descriptor else "val --weights WEIGHTS"
    command = f"gridyolo {verb} --data {printable(path)}"
    say(console, f"go on with: {command}")
    return DownloadedDataset(path, tuple(output / name for name in missing), tuple(kept), command)


def _missing_folders(dataset: DownloadableDataset, output: Path) -> dict[str, Archives]:
    """The folders that are not there yet, with their archives.

    Raises:
        DataError: a folder is there that this command has not made, or has made of other archives.
    """
    missing = {}
    for folder, archives in dataset.folders.items():
        place = output / folder
        if not os.path.lexists(place):
            missing[folder] = archives
        elif _noted_sums(place) != _sums(archives):
            raise DataError(
                f"{printable(place)}: is there already, and not as this download would leave it. Use it as it is "
                f"(gridyolo train --data ...), move it away, or choose another --output"
            )
    return missing


def _sums(archives: Sequence[Archive]) -> dict[str, str]:
    return {archive.name: archive.sha256 for archive in archives}


def _noted_sums(folder: Path) -> object:
    """The sums noted in a folder that this command has made; None in any other."""
    try:
        return json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _require_space(missing: Mapping[str, Archives], output: Path, *, keep: bool) -> None:
    """DataError unless the disk has room for everything, archives included.

    Archives go as soon as they are unpacked, so only those of one folder count, unless they are kept.
    """
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


def _progress_bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    # for terminals only; a log file gets the lines
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def _task(bar: Progress, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A line of the bar; yields what sets how many bytes are done."""
    task = bar.add_task(title, total=total)
    yield lambda done: bar.update(task, completed=done)
    bar.remove_task(task)


def _install(
    folder: str, archives: Archives, output: Path, bar: Progress, *, policy: RetryPolicy | None, keep: bool
) -> list[Path]:
    """Fetch and unpack what one folder consists of; the archives that are kept."""
    fetched = []
    for archive in archives:
        began = time.monotonic()
        with _task(bar, archive.name, archive.num_bytes) as advance:
            one = fetch(archive, output / _DOWNLOADS, policy=policy, advance=advance)
        how = "is there" if one.was_there else f"fetched in {clock(time.monotonic() - began)}"
        say(bar.console, f"{archive.name}: {how}, {archive.num_bytes / 1e6:.1f} MB, its SHA-256 is right")
        fetched.append(one)
    unpacked = _unpack_all([one.path for one in fetched], archives, output / folder, bar)
    say(bar.console, f"{printable(output / folder)}: {unpacked.num_files} files, {unpacked.num_bytes / 1e6:.1f} MB")
    if unpacked.num_skipped:
        say(bar.console, f"  {unpacked.num_skipped} files of the archives belong to something else and were skipped")
    kept = [one.path for one in fetched if keep or one.was_there]  # what was there before may be the user's
    for one in fetched:
        if one.path not in kept:
            one.path.unlink()
    return kept


def _unpack_all(paths: Sequence[Path], archives: Archives, place: Path, bar: Progress) -> Unpacked:
    """Unpack into a folder beside `place`, which becomes `place` when all is well and is removed if not."""
    new_parents = [parent for parent in place.parents if not parent.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    counts = []
    try:
        with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as temporary:
            whole = Path(temporary) / place.name
            whole.mkdir()
            for path, archive in zip(paths, archives, strict=True):
                with _task(bar, f"unpacking {archive.name}", None) as advance:
                    counts.append(
                        unpack(
                            path,
                            whole,
                            inside=archive.inside,
                            max_bytes=archive.max_bytes,
                            max_files=archive.max_files,
                            advance=advance,
                        )
                    )
            write_json(whole / MARKER, {"sha256": _sums(archives)})
            whole.rename(place)
    except BaseException:
        for parent in new_parents:
            with contextlib.suppress(OSError):  # it has something in it, or is not there
                parent.rmdir()
        raise
    return Unpacked(*(sum(column) for column in zip(*counts, strict=True)))


def _write_yaml(dataset: DownloadableDataset, output: Path, console: Console) -> Path:
    """The dataset YAML in the output folder; one that says the same, or the user's of that name, stays as it is."""
    path = output / dataset.yaml
    content = dict(dataset.descriptor)
    if path.exists():
        if yaml.safe_load(read_text(path)) != content:
            say(console, f"{printable(path)}: was there, differs from what would be written, and is left as it is")
        return path
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, width=120)
        temporary.write_text(f"# Written by gridyolo data download --dataset {dataset.name}\n{text}", encoding="utf-8")
    return path
