"""`gridyolo data split`: divide a dataset into train, val and test by lists, and show what each part has.

    train.txt val.txt test.txt     all images of a part, one path a line
    sources/train-1.txt ...        the same by source, where a dataset has several that are not YOLO
    dataset.yaml                   reads the old annotations by these lists

Nothing of the dataset is moved or copied. Left out: which image goes where (partition.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from yolo.arrays import Int64
from yolo.config.data_commands import DataSplitConfig
from yolo.console import say
from yolo.curate.partition import group_names, split_groups, split_randomly, split_stratified
from yolo.curate.write import require_outside
from yolo.data.entries import OpenFiles, list_entries
from yolo.data.find import SplitSource
from yolo.data.read import DatasetDescriptor, Split, find_dataset, read_split
from yolo.errors import DataError, printable
from yolo.files import atomic_folder, require_free
from yolo.formats.objects import AnnotatedImages
from yolo.structures import AnnotatedImage

_SHOWN_CLASSES = 100


class DividedDataset(NamedTuple):
    """What was written.

    Attributes:
        yaml: the `dataset.yaml`, by which the parts are read.
        images: of each part.
        class_names: of the dataset.
        warnings: classes without an object in a part.
    """

    yaml: Path
    images: Mapping[str, AnnotatedImages]
    class_names: tuple[str, ...]
    warnings: tuple[str, ...]


def split(config: DataSplitConfig, console: Console) -> DividedDataset:
    """Divide all images of a dataset, whatever split they are in now; nothing is moved.

    Args:
        config: see `DataSplitConfig`.
        console: where to print.

    Raises:
        ConfigError: a bad pattern, or an output inside the dataset.
        DataError: the dataset cannot be read or divided, or the output is in use.
    """
    output = Path(config.output).expanduser()
    require_free(output)
    descriptor = _without_hold_out(find_dataset(Path(config.data)))
    splits = [read_split(descriptor, name) for name in descriptor.splits]
    for found in splits:
        say(console, *found.report.summary_lines())
    require_outside(output, Path(config.data), descriptor, splits, option="--output")
    images, class_names = _pooled(splits), splits[0].class_names
    shares = {"train": 1 - config.val - config.test, "val": config.val, "test": config.test}
    shares = {name: share for name, share in shares.items() if share > 0}
    part_of = _divide(config, images, descriptor.root, list(shares.values()), num_classes=len(class_names))
    parts = {name: images.take(np.flatnonzero(part_of == number)) for number, name in enumerate(shares)}
    path = _write_lists(
        descriptor, {name: list(part.paths) for name, part in parts.items()}, output, class_names=class_names
    )
    warnings = _missing_classes(parts, class_names)
    console.print(_table(parts, class_names))
    say(console, *(f"warning: {warning}" for warning in warnings), f"dataset: {printable(path)}")
    return DividedDataset(path, parts, class_names, warnings)


def _without_hold_out(descriptor: DatasetDescriptor) -> DatasetDescriptor:
    """The dataset without the validation split that readers hold out where there is none."""
    splits = {
        name: tuple(replace(source, part="all") for source in sources)
        for name, sources in descriptor.splits.items()
        if any(source.part != "held_out" for source in sources)
    }
    if len(splits) == len(descriptor.splits):
        return descriptor
    return replace(descriptor, splits=splits, notes=tuple(note for note in descriptor.notes if "held out" not in note))


def _pooled(splits: Sequence[Split]) -> AnnotatedImages:
    """The images of all splits, each file once."""
    found: dict[str, AnnotatedImage] = {}
    for part in splits:
        for image in part.images:
            found.setdefault(os.path.normpath(image.path), image)
    return AnnotatedImages.of(found.values())


def _divide(
    config: DataSplitConfig, images: AnnotatedImages, root: Path, shares: Sequence[float], *, num_classes: int
) -> Int64:
    base = os.path.join(os.path.normpath(root), "")  # noqa: PTH118  (of text, as there are many)
    names = [os.path.normpath(path).removeprefix(base).replace(os.sep, "/") for path in images.paths]
    if config.by == "group":
        groups = group_names(names, config.group, pattern=config.pattern)
        return split_groups(groups, shares, seed=config.seed)
    if config.by == "stratified":
        return split_stratified(names, images, shares, num_classes=num_classes, seed=config.seed)
    return split_randomly(names, shares, seed=config.seed)


def _counts(images: AnnotatedImages, num_classes: int) -> tuple[Int64, Int64]:
    """How many images have each class, and how many objects there are of it: two of (C,)."""
    labels = images.objects.labels
    on_images = np.unique(np.stack([images.image_index, labels]), axis=1)[1]
    return np.bincount(on_images, minlength=num_classes), np.bincount(labels, minlength=num_classes)


def _missing_classes(parts: Mapping[str, AnnotatedImages], class_names: Sequence[str]) -> tuple[str, ...]:
    objects = {name: _counts(images, len(class_names))[1] for name, images in parts.items()}
    total = np.sum(list(objects.values()), axis=0)
    return tuple(
        f"class {class_name!r} has no object in {name}, and {total[label]} in all"
        for label, class_name in enumerate(class_names)
        for name in parts
        if total[label] and not objects[name][label]
    )


def _table(parts: Mapping[str, AnnotatedImages], class_names: Sequence[str]) -> Table:
    table = Table(title="images and objects", title_justify="left")
    table.add_column("class")
    for name in parts:
        table.add_column(f"{name} images", justify="right")
        table.add_column("objects", justify="right")
    counts = [_counts(images, len(class_names)) for images in parts.values()]
    for label, class_name in enumerate(class_names[:_SHOWN_CLASSES]):
        cells = [str(column[label]) for pair in counts for column in pair]
        table.add_row(Text(printable(class_name)), *cells)
    if len(class_names) > _SHOWN_CLASSES:
        table.add_row(f"and {len(class_names) - _SHOWN_CLASSES} more")
    totals = [str(count) for images in parts.values() for count in (len(images), len(images.objects))]
    table.add_section()
    table.add_row("all", *totals)
    return table


def _write_lists(
    descriptor: DatasetDescriptor, parts: Mapping[str, Sequence[str]], folder: Path, *, class_names: Sequence[str]
) -> Path:
    """Write the lists and the YAML into a new folder; the path of the YAML.

    Paths are relative, so that dataset and lists can be moved together; absolute where a link lies between them, or
    another drive. `parts` has the absolute paths of the images of each part.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  (no links are resolved)
    images_of = _images_by_source(descriptor)
    plain = all(source.format == "yolo" and not source.names and not source.image_dir for source in images_of) and all(
        "images" in Path(path).parts[:-1] for paths in parts.values() for path in paths
    )
    content = _head(descriptor, folder, class_names)
    with atomic_folder(folder) as building:
        for part, paths in parts.items():
            _write_list(building / f"{part}.txt", paths, folder)
            if plain:
                content[part] = _path_text(folder / f"{part}.txt", descriptor.root)
                content["format"] = "yolo"
            else:
                content[part] = _sources(part, paths, images_of, descriptor.root, building=building, folder=folder)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
        (building / "dataset.yaml").write_text(text, encoding="utf-8", newline="\n")
    return folder / "dataset.yaml"


def _path_text(path: Path | str, start: Path) -> str:
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


def _images_by_source(descriptor: DatasetDescriptor) -> dict[SplitSource, set[str]]:
    """The sources of all splits, each once, and the paths of their images."""
    every = (replace(source, part="all") for sources in descriptor.splits.values() for source in sources)
    files = OpenFiles(descriptor.root)
    return {
        source: {os.path.normpath(entry.image) for entry in list_entries(source, files, report=None)}
        for source in dict.fromkeys(every)
    }


def _head(descriptor: DatasetDescriptor, folder: Path, class_names: Sequence[str]) -> dict[str, Any]:
    """What the YAML says besides its splits: the root and all rules of the old one."""
    rules = descriptor.rules
    content: dict[str, Any] = {"path": _path_text(descriptor.root, folder)}
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
        content["extra"] = _path_text(descriptor.extra, descriptor.root)
    return content


def _sources(
    part: str,
    paths: Sequence[str],
    images_of: Mapping[SplitSource, set[str]],
    root: Path,
    *,
    building: Path,
    folder: Path,
) -> list[dict[str, Any]]:
    """The sources of a part for the YAML, each with a list of its own."""
    left = dict.fromkeys(map(os.path.normpath, paths))
    found = []
    for number, (source, images) in enumerate(images_of.items(), start=1):
        own = [path for path in left if path in images]
        for path in own:
            del left[path]
        if not own:
            continue
        name = f"{part}.txt" if len(images_of) == 1 else f"sources/{part}-{number}.txt"
        _write_list(building / name, own, (folder / name).parent)
        content: dict[str, Any] = {"path": _path_text(source.path, root), "format": source.format}
        if source.names is not None:
            content["names"] = list(source.names)
        if source.image_dir is not None:
            content["images"] = _path_text(source.image_dir, root)
        found.append({**content, "only": _path_text(folder / name, root)})
    return found


def _write_list(path: Path, images: Sequence[str], folder: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{_path_text(image, folder)}\n" for image in images), encoding="utf-8", newline="\n")
