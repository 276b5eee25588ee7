"""`gridyolo data download`: fetch a dataset's archives, unpack them, write its YAML.

A folder is unpacked beside its place and renamed when whole, with a note of the sums it was made of inside: that note
is how a later call knows that nothing is left to do. What is there without such a note is the user's and stays.
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
from yolo.data.account import printable
from yolo.data.listing import read_text
from yolo.download.archives import Unpacked, unpack
from yolo.download.fetch import Patience, alone_in, fetch, partly_there
from yolo.download.manifest import Archive, DownloadableDataset, dataset_called, read_manifest
from yolo.engine.display import clock
from yolo.errors import DataError
from yolo.files import atomic_write, write_json

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
