"""Which classes a dataset has, and what the class ids of its YOLO label files mean.

Left out: renaming (classes.py) and the names in the annotations of each format (sources.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from yolo.data.account import DataAccount, printable
from yolo.data.classes import Names
from yolo.data.finding import DatasetDescriptor
from yolo.data.layouts import SplitSource
from yolo.data.selection import select
from yolo.data.sources import AnyEntry, OpenFiles, list_entries, stated_names
from yolo.errors import DataError


class DatasetNames(NamedTuple):
    """The classes of a dataset.

    Attributes:
        names: in the order of the labels.
        of_ids: what the class ids of YOLO sources mean that have no names of their own.
    """

    names: Names
    of_ids: Names


def name_classes(
    descriptor: DatasetDescriptor,
    split: str,
    entries: Sequence[list[AnyEntry]],
    *,
    wanted: Names | None,
    files: OpenFiles,
    account: DataAccount,
) -> DatasetNames:
    """The classes of a dataset, from where they are stated first: `wanted`, the YAML, the annotations of train.

    Args:
        descriptor: of the dataset.
        split: that is read; names the classes where there is no train.
        entries: of its sources.
        wanted: the names of the labels, where the caller has some.
        files: opens annotation files.
        account: receives a note on what was not stated.

    Raises:
        DataError: they are not stated, and there is no object.
    """
    rules, stated = descriptor.rules, descriptor.class_names
    nameless = any(_is_nameless(source) for source in descriptor.splits[split])
    of_ids = stated or wanted or ()
    if nameless and stated is None and wanted is not None:
        account.notes.append("the dataset has no class names; its class ids are taken as places in the names given")
    if wanted is None and stated is None and (rules.keep is None or nameless):
        found = _names_in_annotations(descriptor, split, entries, files=files, account=account)
        of_ids = max((names for source, names in found if _is_nameless(source)), key=len, default=())
        stated = tuple(dict.fromkeys(name for _, names in found for name in names))
    names = wanted or rules.names_for(stated or ())
    if not names:
        raise DataError(
            f"{printable(descriptor.root)}: read as {' and '.join(descriptor.formats)}, no annotation has an object, "
            "so the classes are not known; name them in a dataset YAML"
        )
    return DatasetNames(names, of_ids)


def check_rename(
    descriptor: DatasetDescriptor, known: Sequence[str], *, files: OpenFiles, account: DataAccount
) -> None:
    """See that the classes to be renamed exist, in any split.

    Args:
        descriptor: of the dataset.
        known: names in the split that was read.
        files: opens annotation files.
        account: of that split.

    Raises:
        DataError: one does not.
    """
    rename = descriptor.rules.rename
    names = {*known, *(descriptor.class_names or ())}
    for sources in descriptor.splits.values():
        if rename.keys() <= names:
            return
        for source in sources:
            names.update(stated_names(source, files, list_entries(source, files, account=None)))
    descriptor.rules.check_rename(names)


def _names_in_annotations(
    descriptor: DatasetDescriptor,
    split: str,
    entries: Sequence[list[AnyEntry]],
    *,
    files: OpenFiles,
    account: DataAccount,
) -> list[tuple[SplitSource, Names]]:
    """The names that each source of train has, or those of this split where there is no train."""
    naming = "train" if "train" in descriptor.splits else split
    sources = descriptor.splits[naming]
    if any(source.format != "coco" for source in sources):  # a COCO file states its names
        account.notes.append(f"class names are not stated; they are taken from the annotations of {naming}")
    if naming != split:
        entries = select(sources, lambda source: list_entries(source, files, account=None))
    return [(source, stated_names(source, files, own)) for source, own in zip(sources, entries, strict=True)]


def _is_nameless(source: SplitSource) -> bool:
    return source.format == "yolo" and source.names is None
