"""From what a user calls a dataset to annotated images: `find_dataset`, then `read_split`.

Left out: recognising a dataset (finding.py), the formats (sources.py), decoding pixels (dataset.py).

Which of the listed images belong to a split: the hold-out, the list of `only`, each image once, each id once.

One interface to the sources of all formats: list the images, name the classes, read the objects.

Left out: the formats themselves (voc.py, coco.py, yolo_txt.py, csv_boxes.py), and what a split makes of its sources
(descriptor.py).

Which classes a dataset has, and what the class ids of its YOLO label files mean.

Left out: renaming (classes.py) and the names in the annotations of each format (sources.py).
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from yolo.data.classes import Names, note_unmatched, relabel
from yolo.data.cleaning import BoxPolicy, clean_objects
from yolo.data.find import DatasetDescriptor, SplitSource, find_dataset
from yolo.errors import DataError, printable
from yolo.formats.coco import (
    CocoEntry,
    CocoFile,
    category_ids_for,
    list_coco,
    load_coco,
    names_in_coco,
    read_coco,
    report_orphans,
)
from yolo.formats.csv import CsvEntry, CsvFile, list_csv, load_csv, names_in_csv, read_csv, report_nameless_rows
from yolo.formats.issues import DataAccount
from yolo.formats.objects import AnnotatedImages, RawSource, Texts
from yolo.formats.paths import AUTO_READS, ImageSizes, SizePolicy, canonical_split, read_text
from yolo.formats.sidecar import apply_extra, read_extra
from yolo.formats.voc import VocEntry, list_voc, names_in_voc, read_voc
from yolo.formats.yolo import YoloEntry, list_yolo, nameless_classes, read_yolo
from yolo.process import return_freed_memory
from yolo.structures import GroundTruth

_ONE_IN = 5  # the share of the images that is held out where there is no validation split


class Entry(Protocol):
    """An image that a source lists, of whatever format."""

    @property
    def image_id(self) -> str:
        """Its id, which images of other folders may share."""

    @property
    def image(self) -> str:
        """Its file."""


EntryT = TypeVar("EntryT", bound=Entry)


def held_out_ids(image_ids: Collection[str]) -> frozenset[str]:
    """A fifth of the ids, at least one of two or more, chosen by a hash.

    Depends on the ids alone, not on their order, and hardly moves when images are added.
    """
    distinct = set(image_ids)
    if len(distinct) < 2:
        return frozenset()
    ranked = sorted(distinct, key=lambda image_id: hashlib.sha256(image_id.encode()).digest())
    return frozenset(ranked[: max(1, round(len(ranked) / _ONE_IN))])


def select(sources: Sequence[SplitSource], list_source: Callable[[SplitSource], list[EntryT]]) -> list[list[EntryT]]:
    """For each source what it lists, less what its `part` leaves to the other split.

    All sources are ranked together: an image that two of them list is not held out of one and taught by the
    other.
    """
    listed = [(source, list_source(source)) for source in sources]
    held_out = held_out_ids({e.image_id for source, entries in listed if source.part != "all" for e in entries})
    return [
        [
            entry
            for entry in entries
            if source.part == "all" or (source.part == "held_out") == (entry.image_id in held_out)
        ]
        for source, entries in listed
    ]


def only_listed(entries: list[EntryT], only: Path, account: DataAccount | None) -> list[EntryT]:
    """The entries whose image is in a list.

    Args:
        entries: of one source.
        only: a text file with one image path a line, absolute or relative to its folder.
        account: receives the lines that are no image of the source; None to say nothing.

    Raises:
        DataError: the list cannot be read.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_text(only).split("\n"), start=1)]
    wanted = {os.path.normpath(only.parent / line.replace("\\", "/")): (number, line) for number, line in lines if line}
    kept = []
    for entry in entries:
        if (place := os.path.normpath(entry.image)) in wanted:
            kept.append(entry)
            wanted[place] = (0, "")
    for number, line in wanted.values():
        if number and account is not None:
            message = f"line {number} of {printable(only)}: {line[:300]!r} is no image of this source"
            account.drop_image(only.parent / line, "image_missing", printable(message))
    return kept


def once(entries: Sequence[list[EntryT]], account: DataAccount) -> list[list[EntryT]]:
    """The entries of all sources, each image once; further mentions are counted."""
    seen: set[tuple[str, str]] = set()
    kept: list[list[EntryT]] = []
    for of_source in entries:
        kept.append([])
        for entry in of_source:
            key = (entry.image_id, entry.image)
            if key in seen:
                message = f"{entry.image_id!r} is listed more than once"
                account.drop_image(entry.image, "image_listed_twice", message)
            else:
                kept[-1].append(entry)
            seen.add(key)
    return kept


def unique_ids(image_ids: Sequence[str], paths: Sequence[str], root: Path) -> list[str]:
    """The ids, each once: images of the same name from different folders get their path below the root as id."""
    counts = Counter(image_ids)
    taken = {image_id for image_id, count in counts.items() if count == 1}
    base = root.as_posix().rstrip("/") + "/"
    unique = []
    for own, path in zip(image_ids, paths, strict=True):
        image_id = own
        if counts[own] > 1:
            image_id = first = printable(Path(path).as_posix().removeprefix(base))
            number = 1
            while image_id in taken:
                number += 1
                image_id = f"{first}#{number}"
            taken.add(image_id)
        unique.append(image_id)
    return unique


AnyEntry = VocEntry | CocoEntry | YoloEntry | CsvEntry
E = TypeVar("E")


class OpenFiles:
    """The files that describe many images, each read once as long as this lives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._coco: dict[Path, CocoFile] = {}
        self._csv: dict[Path, CsvFile] = {}

    def coco(self, path: Path) -> CocoFile:
        """A COCO file."""
        if path not in self._coco:
            self._coco[path] = load_coco(path)
        return self._coco[path]

    def csv(self, path: Path) -> CsvFile:
        """A CSV file."""
        if path not in self._csv:
            self._csv[path] = load_csv(path)
        return self._csv[path]


def list_entries(source: SplitSource, files: OpenFiles, *, account: DataAccount | None) -> list[AnyEntry]:
    """The images of a source.

    Args:
        source: of a split.
        files: opens its file.
        account: receives the images of `only` that it does not have; None to say nothing.
    """
    entries: list[AnyEntry]
    match source.format:
        case "voc":
            entries = [*list_voc(source.path, source.image_dir)]
        case "coco":
            entries = [*list_coco(files.coco(source.path), source.image_dir)]
        case "csv":
            entries = [*list_csv(files.csv(source.path), source.image_dir)]
        case "yolo":
            entries = [*list_yolo(source.path, files.root, source.image_dir)]
    return entries if source.only is None else only_listed(entries, source.only, account)


def stated_names(source: SplitSource, files: OpenFiles, entries: Sequence[AnyEntry]) -> tuple[str, ...]:
    """The class names that the annotations of a source have; of a YOLO source without any, `class0`, `class1`, ...

    Args:
        source: of a split.
        files: opens its file.
        entries: its images.
    """
    match source.format:
        case "voc":
            return names_in_voc(_of(VocEntry, entries))
        case "coco":
            return names_in_coco([files.coco(source.path)])
        case "csv":
            return names_in_csv([files.csv(source.path)])
        case "yolo":
            return source.names or nameless_classes(_of(YoloEntry, entries))


def report_lost(source: SplitSource, files: OpenFiles, account: DataAccount) -> None:
    """Count the objects of a source that belong to no image of it."""
    if source.format == "coco":
        report_orphans(files.coco(source.path), account)
    elif source.format == "csv":
        report_nameless_rows(files.csv(source.path), account)


def read_entries(
    source: SplitSource,
    entries: Sequence[AnyEntry],
    files: OpenFiles,
    *,
    class_names: Sequence[str],
    sizes: ImageSizes,
) -> RawSource:
    """What is annotated on some images of a source.

    Args:
        source: of a split.
        entries: from `list_entries`, each image once.
        files: opens its file.
        class_names: what the class ids of a YOLO source mean; the others know their names.
        sizes: finds the sizes of images, and has the account.
    """
    match source.format:
        case "voc":
            return read_voc(_of(VocEntry, entries), sizes=sizes)
        case "coco":
            return read_coco(files.coco(source.path), _of(CocoEntry, entries), sizes=sizes)
        case "csv":
            return read_csv(files.csv(source.path), _of(CsvEntry, entries), sizes=sizes)
        case "yolo":
            return read_yolo(_of(YoloEntry, entries), class_names=class_names, sizes=sizes)


def _of(kind: type[E], entries: Sequence[AnyEntry]) -> list[E]:
    """The entries, which are all of one kind."""
    return [entry for entry in entries if isinstance(entry, kind)]


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


__all__ = ["BoxPolicy", "DatasetDescriptor", "SizePolicy", "Split", "SplitSource", "find_dataset", "read_split"]

_SHOWN_ISSUES = 10
_MANY_OBJECTS = 50_000  # reading them leaves free memory that is worth giving back
# Formats whose objects the sidecar can name.
_WITH_NUMBERS = frozenset({"voc", "yolo"})
# Nothing is lost by these, so that `strict` lets them pass.
_HARMLESS = frozenset({"label_file_missing"})


@dataclass(frozen=True, eq=False)
class Split:
    """One split, read.

    Attributes:
        name: `train`, `val`, ...
        images: in the order of the dataset, each id once.
        class_names: what the labels mean.
        category_ids: COCO's own id of each class, or the one that the dataset YAML gives it; None where there is none.
        account: what was found, kept, mended and dropped.
    """

    name: str
    images: AnnotatedImages
    class_names: Names
    category_ids: tuple[int, ...] | None
    account: DataAccount


def read_split(
    descriptor: DatasetDescriptor,
    split: str,
    *,
    class_names: Sequence[str] | None = None,
    box_policy: BoxPolicy = "fix",
    sizes: SizePolicy = "auto",
) -> Split:
    """Read the annotations of a split.

    Labels mean the same in all splits of a dataset. Where no names are stated they come from train: the sorted
    names in its annotations (VOC, CSV), its categories (COCO), `class0`, `class1`, ... (YOLO); of several sources
    one after the other.

    Args:
        descriptor: from `find_dataset`.
        split: its name; `valid` and `validation` mean `val`.
        class_names: give these labels, 0, 1, ..., to the classes of these names, whatever the dataset's own
            order; objects of other classes are dropped and counted.
        box_policy: `fix` cuts boxes to their image, puts swapped corners in order and drops what cannot be mended;
            `drop` drops every faulty box; `strict` refuses a split in which anything had to be mended or dropped.
        sizes: `read` opens the header of each image; `stated` trusts width and height in the annotation where they
            are; `auto` reads up to 20,000 images and trusts beyond.

    Raises:
        DataError: there is no such split, an annotation file of the whole split cannot be used, nothing is left to
            use, or the policy is `strict` and something is wrong.
    """
    name = canonical_split(split)
    if name not in descriptor.splits:
        exist = ", ".join(descriptor.splits) or "none"
        raise DataError(f"{printable(descriptor.root)}: there is no split {split!r}; there are: {exist}")
    account, files = DataAccount(name, notes=list(descriptor.notes)), OpenFiles(descriptor.root)
    sources = descriptor.splits[name]
    entries = _list_images(sources, files, account)
    wanted = None if class_names is None else tuple(class_names)
    names = name_classes(descriptor, name, entries, wanted=wanted, files=files, account=account)
    trust = sizes == "stated" or (sizes == "auto" and sum(map(len, entries)) > AUTO_READS)
    image_sizes = ImageSizes(account, trust=trust)
    raw = _read_sources(descriptor, sources, entries, names=names, files=files, sizes=image_sizes)
    category_ids = _category_ids(descriptor, sources, names.names, files)
    del entries, files  # a large COCO file: before its boxes are there once more
    images = _clean_and_join(raw, descriptor, names.names, policy=box_policy, account=account)
    if len(images.objects) > _MANY_OBJECTS:
        return_freed_memory()
    _check_something_left(descriptor, name, names.names, account)
    if box_policy == "strict":
        _check_nothing_wrong(descriptor, account)
    return Split(name, images, names.names, category_ids, account)


def _list_images(sources: Sequence[SplitSource], files: OpenFiles, account: DataAccount) -> list[list[AnyEntry]]:
    return once(select(sources, lambda source: list_entries(source, files, account=account)), account)


def _read_sources(
    descriptor: DatasetDescriptor,
    sources: Sequence[SplitSource],
    entries: Sequence[list[AnyEntry]],
    *,
    names: DatasetNames,
    files: OpenFiles,
    sizes: ImageSizes,
) -> list[RawSource]:
    """What the sources say, labels in their own names."""
    extra = None if descriptor.extra is None else read_extra(descriptor.extra, descriptor.root)
    raw = []
    for source, own in zip(sources, entries, strict=True):
        report_lost(source, files, sizes.account)
        read = read_entries(source, own, files, class_names=source.names or names.of_ids, sizes=sizes)
        if extra is not None and source.format in _WITH_NUMBERS:
            read = apply_extra(read, extra, descriptor.root, sizes.account)
        raw.append(read)
    sizes.note()
    if descriptor.rules.rename:
        known = [name for read in raw for name in read.class_names]
        check_rename(descriptor, known, files=files, account=sizes.account)
    stated = [name for source, read in zip(sources, raw, strict=True) for name in _stated_apart(source, read)]
    note_unmatched(stated, names.names, descriptor.rules, sizes.account)
    return raw


def _stated_apart(source: SplitSource, raw: RawSource) -> Names:
    """The names that a source states even where no object has them."""
    return raw.class_names if source.format in ("coco", "yolo") else ()


def _clean_and_join(
    raw: list[RawSource], descriptor: DatasetDescriptor, names: Names, *, policy: BoxPolicy, account: DataAccount
) -> AnnotatedImages:
    """The images of all sources, in order. Empties `raw`, so that no more than one source is there twice."""
    image_ids: list[str] = []
    paths: list[str] = []
    sizes, counts, truths = [np.zeros((0, 2), np.int32)], [np.zeros(0, np.int64)], []
    while raw:
        read = relabel(raw.pop(0), names, descriptor.rules, account)
        truth, image_index = clean_objects(read, policy=policy, account=account)
        per_image = np.bincount(image_index, minlength=len(read.paths))
        account.keep_images(len(per_image), backgrounds=int((per_image == 0).sum()), objects=len(truth))
        image_ids += read.image_ids
        paths += read.paths
        sizes.append(read.sizes_hw)
        counts.append(per_image)
        truths.append(truth)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(counts), dtype=np.int64)])
    return AnnotatedImages(
        image_ids=Texts(unique_ids(image_ids, paths, descriptor.root)),
        paths=Texts(paths),
        sizes_hw=np.concatenate(sizes),
        offsets=offsets,
        objects=truths[0] if len(truths) == 1 else GroundTruth.concatenate(truths),
    )


def _category_ids(
    descriptor: DatasetDescriptor, sources: Sequence[SplitSource], names: Names, files: OpenFiles
) -> tuple[int, ...] | None:
    """The id of each class: from the YAML where it gives them to these classes, else from the COCO files."""
    rules = descriptor.rules
    if rules.category_ids is not None:
        id_of = dict(zip(rules.names_for(descriptor.class_names or ()), rules.category_ids, strict=True))
        unused = max(rules.category_ids) + 1
        return tuple(id_of.get(name, unused + place) for place, name in enumerate(names))
    coco = [files.coco(source.path) for source in sources if source.format == "coco"]
    return category_ids_for(names, coco, rename=rules.rename) if coco else None


def _check_something_left(descriptor: DatasetDescriptor, name: str, names: Names, account: DataAccount) -> None:
    """End where reading on would only produce nonsense: no images, no labels at all, no class in common."""
    summary = "\n".join(account.summary_lines())
    place = f"{printable(descriptor.root)}, split {name!r}"
    if account.images_kept == 0:
        raise DataError(f"{place}: no image is left\n{summary}")
    held_out = any(source.part == "held_out" for source in descriptor.splits[name])
    if account.label_files_missing == account.images_kept and not held_out:
        raise DataError(f"{place}: not one of its images has a label file; are they elsewhere?\n{summary}")
    if account.objects_kept == 0 and account.objects_found:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise DataError(f"{place}: not one object is left; the classes are {shown}\n{summary}")


def _check_nothing_wrong(descriptor: DatasetDescriptor, account: DataAccount) -> None:
    """The policy `strict`: whatever was dropped, mended or doubtful ends reading."""
    wrong = [issue for issue in account.issues if issue.kind not in _HARMLESS]
    if wrong:
        count = sum(number for kind, number in account.counts.items() if kind not in _HARMLESS)
        shown = "".join(f"\n  {issue}" for issue in wrong[:_SHOWN_ISSUES])
        more = f"\n  ... and {count - _SHOWN_ISSUES} more" if count > _SHOWN_ISSUES else ""
        raise DataError(
            f"{printable(descriptor.root)}, split {account.split!r}: the box policy is strict, and there "
            f"{'is one thing' if count == 1 else f'are {count} things'} wrong:{shown}{more}\n"
            "Mend the files, or use the box policy fix (mend what can be, drop the rest) or drop"
        )
