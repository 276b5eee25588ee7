"""A division of a dataset on disk: lists of image paths, and a dataset YAML that reads the old annotations by them.

    train.txt val.txt test.txt     all images of a part, one path a line
    sources/train-1.txt ...        the same by source, where a dataset has several that are not YOLO
    dataset.yaml

Nothing of the dataset is moved or copied. Left out: who goes where (splitting.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from yolo.data.account import printable
from yolo.data.finding import DatasetDescriptor
from yolo.data.layouts import SplitSource
from yolo.data.sources import OpenFiles, list_entries
from yolo.errors import DataError
from yolo.writing.atomic_folder import atomic_folder


def write_split_lists(
    descriptor: DatasetDescriptor, parts: Mapping[str, Sequence[str]], folder: Path, *, class_names: Sequence[str]
) -> Path:
    """Write the lists and the YAML into a new folder.

    Paths are relative, so that dataset and lists can be moved together; absolute where a link lies between them, or
    another drive.

    Args:
        descriptor: of the dataset.
        parts: absolute paths of the images of each part, `train` and others; none is empty.
        folder: new, or empty; nothing is left there if anything fails.
        class_names: of the dataset, as they were read.

    Returns:
        The path of `dataset.yaml`.

    Raises:
        DataError: the folder is in use, or a path does not fit in a line of a list.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  (no links are resolved)
    sources = _distinct(descriptor)
    places = [(source, _images_of(source, descriptor)) for source in sources]
    plain = all(source.format == "yolo" and not source.names and not source.image_dir for source in sources) and all(
        "images" in Path(path).parts[:-1] for paths in parts.values() for path in paths
    )
    content = _head(descriptor, folder, class_names)
    with atomic_folder(folder) as building:
        for part, paths in parts.items():
            _write_list(building / f"{part}.txt", paths, folder)
            if plain:
                content[part] = path_text(folder / f"{part}.txt", descriptor.root)
                content["format"] = "yolo"
            else:
                content[part] = _sources(part, paths, places, descriptor.root, building=building, folder=folder)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
        (building / "dataset.yaml").write_text(text, encoding="utf-8", newline="\n")
    return folder / "dataset.yaml"


def path_text(path: Path | str, start: Path) -> str:
    """A path for a list or a YAML that lies in `start`: relative, or absolute where `..` could lead elsewhere.

    Raises:
        DataError: it does not fit in a line.
    """
    text = os.path.normpath(path)
    folder, name = os.path.split(text)
    if _is_physical(os.fspath(start)) and _is_physical(folder):
        with contextlib.suppress(ValueError):  # another drive
            text = os.path.join(os.path.relpath(folder, start), name)  # noqa: PTH118  (of text, as there are many)
    text = Path(text).as_posix()
    if printable(text) != text or "\\" in text or text != text.strip() or len(text.splitlines()) > 1:
        raise DataError(f"{printable(path)!r} does not fit in a line of a list; rename it")
    return text


@cache
def _is_physical(folder: str) -> bool:
    """Whether no link is on the way to a folder, so that `..` means the same to everybody."""
    return os.path.realpath(folder) == os.path.normpath(folder)


def _distinct(descriptor: DatasetDescriptor) -> list[SplitSource]:
    """The sources of all splits, each once."""
    every = (replace(source, part="all") for sources in descriptor.splits.values() for source in sources)
    return list(dict.fromkeys(every))


def _images_of(source: SplitSource, descriptor: DatasetDescriptor) -> set[str]:
    entries = list_entries(source, OpenFiles(descriptor.root), account=None)
    return {os.path.normpath(entry.image) for entry in entries}


def _head(descriptor: DatasetDescriptor, folder: Path, class_names: Sequence[str]) -> dict[str, Any]:
    """What the YAML says besides its splits: the root and all rules of the old one."""
    rules = descriptor.rules
    content: dict[str, Any] = {"path": path_text(descriptor.root, folder)}
    if descriptor.class_names is not None:
        content["names"] = list(descriptor.class_names)
    elif rules.keep is None and rules.rename:
        content["classes"] = list(class_names)
    elif rules.keep is None:
        # names that are not stated come from train, which is another one now
        content["names"] = list(class_names)
    if rules.keep is not None:
        content["classes"] = list(rules.keep)
    if rules.rename:
        content["rename"] = dict(rules.rename)
    if rules.category_ids is not None:
        content["category_ids"] = list(rules.category_ids)
    if descriptor.extra is not None:
        content["extra"] = path_text(descriptor.extra, descriptor.root)
    return content


def _sources(
    part: str,
    paths: Sequence[str],
    places: Sequence[tuple[SplitSource, set[str]]],
    root: Path,
    *,
    building: Path,
    folder: Path,
) -> list[dict[str, Any]]:
    """The sources of a part for the YAML, each with a list of its own."""
    left = dict.fromkeys(map(os.path.normpath, paths))
    found = []
    for number, (source, images) in enumerate(places, start=1):
        own = [path for path in left if path in images]
        for path in own:
            del left[path]
        if not own:
            continue
        name = f"{part}.txt" if len(places) == 1 else f"sources/{part}-{number}.txt"
        _write_list(building / name, own, (folder / name).parent)
        content: dict[str, Any] = {"path": path_text(source.path, root), "format": source.format}
        if source.names is not None:
            content["names"] = list(source.names)
        if source.image_dir is not None:
            content["images"] = path_text(source.image_dir, root)
        found.append({**content, "only": path_text(folder / name, root)})
    return found


def _write_list(path: Path, images: Sequence[str], folder: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{path_text(image, folder)}\n" for image in images), encoding="utf-8", newline="\n")
