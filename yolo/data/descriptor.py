"""What a recognised dataset is: its splits, and for each the sources it is read from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from yolo.data.classes import ClassRules, Names
from yolo.errors import DataError, printable
from yolo.formats.paths import FORMATS, Format, SourceFormat, canonical_split

_WORDS = "trainval|train|validation|valid|val|test"
# In a file such as instances_train2017.json the word may stand anywhere; a folder or a list has to be called so,
# or train_old/ would silently join train/.
_WORD_INSIDE = re.compile(rf"(?<![a-z])({_WORDS})(?![a-z])")
_WORD_ALONE = re.compile(rf"({_WORDS})(?:[-_]?(?:\d+|dev\d*|images|imgs|set))?")


@dataclass(frozen=True, slots=True)
class SplitSource:
    """One place that a split is read from."""

    path: Path  # VOC: a list in ImageSets/Main or a tree; YOLO: a folder or a list; labelme: a folder; else the file
    format: SourceFormat
    image_dir: Path | None = None  # None to look for it
    # which images belong to the split; `held_out` is a fifth, chosen by a hash of the image id, `remaining` the others
    part: Literal["all", "remaining", "held_out"] = "all"
    names: tuple[str, ...] | None = None  # YOLO only: what the class ids mean, where the source has its own ones
    only: Path | None = None  # a list of images, one path a line: use these
    key_points: int = 0  # YOLO only: so many numbers follow the box of each object


Splits = dict[str, tuple[SplitSource, ...]]


@dataclass(frozen=True)
class DatasetDescriptor:
    """Where a dataset is and how it is divided; no annotation has been read yet."""

    root: Path  # that relative paths refer to
    splits: Mapping[str, tuple[SplitSource, ...]]  # by name: `train`, `val`, `test` and for VOC `trainval`
    class_names: Names | None = None  # where the dataset states them outside of its annotations
    notes: tuple[str, ...] = ()  # what was decided for the user, to be printed
    rules: ClassRules = field(default_factory=ClassRules)
    extra: Path | None = None  # sidecar with what label files cannot hold

    def sources(self, split: str) -> tuple[SplitSource, ...]:
        """The sources of a split; `valid` and `validation` mean `val`. DataError if there is no such split."""
        name = canonical_split(split)
        if name not in self.splits:
            exist = ", ".join(self.splits) or "none"
            raise DataError(f"{printable(self.root)}: there is no split {split!r}; there are: {exist}")
        return self.splits[name]

    @property
    def formats(self) -> tuple[SourceFormat, ...]:
        """The formats of its sources, in their order."""
        return tuple(dict.fromkeys(source.format for sources in self.splits.values() for source in sources))

    @property
    def format(self) -> Format:
        """What a writer chooses where nobody says: the format of the first source, COCO for that of a tool."""
        return next((known for known in FORMATS if known == self.formats[0]), "coco")


def split_inside(name: str) -> str | None:
    """The split that the name of an annotation file speaks of.

    >>> split_inside("instances_val2017"), split_inside("captions")
    ('val', None)
    """
    match = _WORD_INSIDE.search(name.lower())
    return canonical_split(match[1]) if match else None


def split_called(name: str) -> str | None:
    """The split that a folder or list is called by.

    >>> split_called("valid"), split_called("train2017"), split_called("train_old")
    ('val', 'train', None)
    """
    match = _WORD_ALONE.fullmatch(name.lower())
    return canonical_split(match[1]) if match else None


def grouped(named: Iterable[tuple[str, Path]], source_format: SourceFormat) -> Splits:
    """Splits from pairs of a name and the path of a source."""
    splits: Splits = {}
    for name, path in named:
        splits[name] = (*splits.get(name, ()), SplitSource(path, source_format))
    return splits


def with_held_out_val(splits: Mapping[str, tuple[SplitSource, ...]]) -> tuple[Splits, tuple[str, ...]]:
    """Splits with a `val`, held out of `train` where there is none, and what is to be said about it."""
    splits, notes = dict(splits), []
    if "train" not in splits and "trainval" in splits and "val" not in splits:
        splits["train"] = splits.pop("trainval")
        notes.append("train is the list trainval")
    if "val" not in splits and "train" in splits:
        train = splits["train"]
        splits["train"] = tuple(replace(source, part="remaining") for source in train)
        splits["val"] = tuple(replace(source, part="held_out") for source in train)
        notes.append("no val split: a fifth of the images, chosen by a hash of their ids, is held out of train")
    order = {name: place for place, name in enumerate(("train", "val", "trainval", "test"))}
    return dict(sorted(splits.items(), key=lambda item: order.get(item[0], len(order)))), tuple(notes)
