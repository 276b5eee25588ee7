"""`gridyolo data split`: divide a dataset into train, val and test by lists, and show what each part has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from yolo.config.data_commands import DataSplitConfig
from yolo.data.account import printable
from yolo.data.annotations import AnnotatedImages
from yolo.data.descriptor import DatasetDescriptor, Split, find_dataset, read_split
from yolo.engine.console import say
from yolo.engine.data_guard import require_outside
from yolo.structures import AnnotatedImage, Int64
from yolo.writing.atomic_folder import require_free
from yolo.writing.split_lists import write_split_lists
from yolo.writing.splitting import group_names, split_groups, split_randomly, split_stratified

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
        ConfigError: a pattern that is none, or an output inside the dataset.
        DataError: the dataset cannot be read or divided, or the output is in use.
    """
    output = Path(config.output).expanduser()
    require_free(output)
    descriptor = _without_hold_out(find_dataset(Path(config.data)))
    splits = [read_split(descriptor, name) for name in descriptor.splits]
    for found in splits:
        say(console, *found.account.summary_lines())
    require_outside(output, Path(config.data), descriptor, splits, option="--output")
    images, class_names = _pooled(splits), splits[0].class_names
    shares = {"train": 1 - config.val - config.test, "val": config.val, "test": config.test}
    shares = {name: share for name, share in shares.items() if share > 0}
    part_of = _divide(config, images, descriptor.root, list(shares.values()), num_classes=len(class_names))
    parts = {name: images.take(np.flatnonzero(part_of == number)) for number, name in enumerate(shares)}
    path = write_split_lists(
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
        table.add_row(printable(class_name).replace("[", r"\["), *cells)
    if len(class_names) > _SHOWN_CLASSES:
        table.add_row(f"and {len(class_names) - _SHOWN_CLASSES} more")
    totals = [str(count) for images in parts.values() for count in (len(images), len(images.objects))]
    table.add_section()
    table.add_row("all", *totals)
    return table
