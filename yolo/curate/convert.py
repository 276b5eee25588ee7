"""`gridyolo data convert`: read a dataset, write it in another format, say what was found and what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from yolo.config import DataConvertConfig
from yolo.console import say
from yolo.curate.write import WrittenDataset, require_outside, write_dataset
from yolo.data.classes import unknown_class_message
from yolo.data.read import DatasetDescriptor, Split, find_dataset, read_split
from yolo.errors import ConfigError, DataError, printable
from yolo.files import require_free
from yolo.formats.objects import AnnotatedImages
from yolo.formats.paths import canonical_split

_WRITTEN = ("train", "val", "test")


def convert(config: DataConvertConfig, console: Console) -> WrittenDataset:
    """Write a dataset, or a split of it, in another format; the original is only read.

    Args:
        config: see `DataConvertConfig`.
        console: where to print.

    Raises:
        ConfigError: a class or a combination of options that makes no sense, or an output inside the dataset.
        DataError: the dataset cannot be read, or the output is in use or cannot be written.
    """
    output = Path(config.output).expanduser()
    require_free(output)
    descriptor = find_dataset(Path(config.data))
    notes: list[str] = []
    splits: dict[str, Split] = {}
    for source, name in _split_names(descriptor, config.split, notes).items():
        split = read_split(descriptor, source, box_policy=config.box_policy)
        say(console, *split.report.summary_lines())
        splits[name] = split
    require_outside(output, Path(config.data), descriptor, splits.values(), option="--output")
    if config.classes:
        wanted = tuple(name.strip() for name in config.classes.split(","))
        splits = {name: keep_classes(split, wanted) for name, split in splits.items()}
    if "coco" in descriptor.formats:
        notes.append("segmentation and key points are not read, so they are not written")
    written = write_dataset(splits, output, format=config.format, images=config.images)
    say(console, *(f"note: {note}" for note in (*notes, *written.notes)))
    for name, count in written.images.items():
        say(console, f"{name}: {count} images, {written.objects[name]} objects written as {config.format}")
    say(console, f"dataset: {printable(written.yaml)}")
    return written


def keep_classes(split: Split, names: Sequence[str]) -> Split:
    """The split with the objects of some classes alone, labels in the order of `names`; all images stay.

    Raises:
        ConfigError: a name comes twice, or is no class of the split.
    """
    unknown = [name for name in names if name not in split.class_names]
    if unknown:
        shown = ", ".join(split.class_names[:10]) + (", ..." if len(split.class_names) > 10 else "")
        raise ConfigError(f"--classes: {unknown_class_message(unknown[0], split.class_names)}; there are {shown}")
    if len(set(names)) != len(names):
        raise ConfigError(f"--classes names a class twice: {', '.join(names)}")
    old = [split.class_names.index(name) for name in names]
    label_of = np.full(len(split.class_names), -1, np.int64)
    label_of[old] = np.arange(len(old))
    images = split.images
    labels = label_of[images.objects.labels]
    kept = labels >= 0
    counts = np.bincount(images.image_index[kept], minlength=len(images))
    chosen = AnnotatedImages(
        image_ids=images.image_ids,
        paths=images.paths,
        sizes_hw=images.sizes_hw,
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]),
        objects=replace(images.objects[kept], labels=labels[kept]),
    )
    category_ids = None if split.category_ids is None else tuple(split.category_ids[place] for place in old)
    return replace(split, images=chosen, class_names=tuple(names), category_ids=category_ids)


def _split_names(descriptor: DatasetDescriptor, wanted: str, notes: list[str]) -> dict[str, str]:
    """Which splits are read, and what each is written as."""
    if wanted:
        name = canonical_split(wanted)
        if name != "trainval":
            return {name: name}
        notes.append("trainval is written as train")
        return {name: "train"}
    names = {name: name for name in descriptor.splits if name in _WRITTEN}
    rest = [name for name in descriptor.splits if name not in names]
    if "train" in names:
        notes += [f"{name} is left out; --split {name} writes it alone" for name in rest]
    elif rest:
        raise DataError(
            f"{printable(descriptor.root)}: has {', '.join(descriptor.splits)}, and no train; "
            f"name one of them, such as --split {rest[0]}"
        )
    return names
