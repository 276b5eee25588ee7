"""From a recognised dataset to annotated images: `read_split`; the part that evaluation shares: `read_raw`.

Classes are named once for a dataset, whatever split is read. Left out: recognising a dataset (find.py), which images
a split has (entries.py), the formats (yolo.formats), decoding pixels (dataset.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.arrays import Int64
from yolo.data.classes import ClassRules, Names, category_ids_of, note_unmatched, relabel
from yolo.data.cleaning import BoxPolicy, clean_objects
from yolo.data.descriptor import DatasetDescriptor, SplitSource
from yolo.data.entries import (
    AnyEntry,
    OpenFiles,
    list_entries,
    once,
    read_entries,
    report_lost,
    select,
    stated_names,
    unique_ids,
)
from yolo.data.find import find_dataset
from yolo.errors import DataError, printable
from yolo.formats.issues import ReadReport
from yolo.formats.objects import AnnotatedImages, RawSource, Records, StringArray
from yolo.formats.paths import ImageSizes, SizePolicy, canonical_split, is_file, unread_beside
from yolo.formats.sidecar import apply_extra, read_extra
from yolo.formats.yolo import YoloEntry
from yolo.image_formats import not_read
from yolo.process import return_freed_memory
from yolo.structures import GroundTruth


class _DatasetNames(NamedTuple):
    """The classes of a dataset."""

    names: Names  # in the order of the labels
    of_ids: Names  # what the class ids of YOLO sources mean that have no names of their own


def _name_classes(
    descriptor: DatasetDescriptor,
    split: str,
    entries: Sequence[list[AnyEntry]],
    *,
    wanted: Names | None,
    files: OpenFiles,
    report: ReadReport,
) -> _DatasetNames:
    """The classes of a dataset, from where they are stated first: `wanted`, the YAML, the annotations of train.

    Raises:
        DataError: they are not stated, and there is no object.
    """
    rules, stated = descriptor.rules, descriptor.class_names
    nameless = any(_is_nameless(source) for source in descriptor.splits[split])
    of_ids = stated or wanted or ()
    if nameless and stated is None and wanted is not None and not _are_numbers(wanted):
        report.notes.append("the dataset has no class names; its class ids are taken as places in the names given")
    if wanted is None and stated is None and (rules.keep is None or nameless):
        found = _names_in_annotations(descriptor, split, entries, files=files, report=report)
        of_ids = max((names for source, names in found if _is_nameless(source)), key=len, default=())
        stated = tuple(dict.fromkeys(name for _, names in found for name in names))
    names = wanted or rules.names_for(stated or ())
    if not names and set(descriptor.formats) == {"yolo"} and (lost := _without_labels(entries)):
        raise DataError(f"{printable(descriptor.root)}: {lost}")
    if not names:
        raise DataError(
            f"{printable(descriptor.root)}: read as {' and '.join(descriptor.formats)}, no annotation has an object, "
            "so the classes are not known; name them in a dataset YAML"
        )
    return _DatasetNames(names, of_ids)


def _check_rename(descriptor: DatasetDescriptor, known: Sequence[str], files: OpenFiles) -> None:
    """Raise a DataError if a class that is to be renamed is neither known nor in any split."""
    rename = descriptor.rules.rename
    names = {*known, *(descriptor.class_names or ())}
    for sources in descriptor.splits.values():
        if rename.keys() <= names:
            return
        for source in sources:
            names.update(stated_names(source, files, list_entries(source, files, report=None)))
    descriptor.rules.check_rename(names)


def _names_in_annotations(
    descriptor: DatasetDescriptor,
    split: str,
    entries: Sequence[list[AnyEntry]],
    *,
    files: OpenFiles,
    report: ReadReport,
) -> list[tuple[SplitSource, Names]]:
    """The names that each source of train has, or those of this split where there is no train."""
    naming = "train" if "train" in descriptor.splits else split
    sources = descriptor.splits[naming]
    if any(source.format != "coco" for source in sources):  # a COCO file states its names
        own = "the class ids" if all(_is_nameless(source) for source in sources) else "the annotations"
        report.notes.append(f"class names are not stated; they are taken from {own} of {naming}")
    if naming != split:
        entries = select(sources, lambda source: list_entries(source, files, report=None))
    return [(source, stated_names(source, files, own)) for source, own in zip(sources, entries, strict=True)]


def _are_numbers(names: Names) -> bool:
    """Whether names are those that ids without a name get: the other split has said so."""
    return names == tuple(f"class{number}" for number in range(len(names)))


def _is_nameless(source: SplitSource) -> bool:
    return source.format == "yolo" and source.names is None


def _without_labels(entries: Sequence[list[AnyEntry]]) -> str:
    """What to say of YOLO images of which not one has a label file; empty where one has."""
    own = [entry for listed in entries for entry in listed if isinstance(entry, YoloEntry)]
    if not own or any(is_file(entry.label_file) for entry in own):
        return ""
    return (
        f"there are images, but no annotations: not one of the {len(own)} images has a label file (the first would be "
        f"{printable(own[0].label_file)}), and no other annotation file is found"
    )


__all__ = ["BoxPolicy", "DatasetDescriptor", "SizePolicy", "Split", "SplitSource", "find_dataset", "read_split"]

_SHOWN_ISSUES = 10
_MANY_OBJECTS = 50_000  # reading them leaves free memory that is worth giving back
# Formats whose objects the sidecar can name.
_WITH_NUMBERS = frozenset({"voc", "yolo"})
# Nothing is lost by these, so that `strict` lets them pass.
_HARMLESS = frozenset({"label_file_missing"})


@dataclass(frozen=True, eq=False)
class Split:
    """One split, read."""

    name: str
    images: AnnotatedImages  # in the order of the dataset, each id once
    class_names: Names  # what the labels mean
    category_ids: tuple[int, ...] | None  # COCO's own id of each class, or that of the dataset YAML; None for neither
    report: ReadReport  # what was found, kept, fixed and dropped


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
        box_policy: `fix` cuts boxes to their image, puts swapped corners in order and drops what cannot be fixed;
            `drop` drops every faulty box; `strict` refuses a split in which anything had to be fixed or dropped.
        sizes: `read` opens the header of each image; `stated` trusts width and height in the annotation where they
            are; `auto` reads up to 20,000 images and trusts beyond.

    Raises:
        DataError: there is no such split, an annotation file of the whole split cannot be used, nothing is left to
            use, or the policy is `strict` and something is wrong.
    """
    name = canonical_split(split)
    report, files = ReadReport(name), OpenFiles(descriptor.root)
    wanted = None if class_names is None else tuple(class_names)
    read = read_raw(descriptor, name, class_names=wanted, files=files, sizes=ImageSizes(report, sizes))
    del files  # a large COCO file: before its boxes are there once more
    images = _clean_and_join(read, policy=box_policy, report=report)
    if len(images.objects) > _MANY_OBJECTS:
        return_freed_memory()
    _check_something_left(descriptor, name, read.class_names, report)
    if box_policy == "strict":
        _check_nothing_wrong(descriptor, report)
    return Split(name, images, read.class_names, read.category_ids, report)


class RawSplit(NamedTuple):
    """A split as its sources have it, before any policy for boxes."""

    sources: list[RawSource]  # labels mean their own names
    class_names: Names  # of the dataset
    category_ids: tuple[int, ...] | None  # COCO's id of each of these classes
    rules: ClassRules  # which classes are renamed and left out
    root: Path  # of the dataset


def read_raw(
    descriptor: DatasetDescriptor, split: str, *, class_names: Names | None, files: OpenFiles, sizes: ImageSizes
) -> RawSplit:
    """Read a split as its sources have it; see `read_split`. `sizes` has the report."""
    report, rules, sources = sizes.report, descriptor.rules, descriptor.sources(split)
    name = canonical_split(split)
    report.notes += descriptor.notes
    entries = once(select(sources, lambda source: list_entries(source, files, report=report)), report)
    names = _name_classes(descriptor, name, entries, wanted=class_names, files=files, report=report)
    if sizes.needed:
        report.notes += not_read(unread_beside(entry.image for own in entries for entry in own))
    sizes.expect(sum(map(len, entries)))
    extra = None if descriptor.extra is None else read_extra(descriptor.extra, descriptor.root)
    raw: list[RawSource] = []
    for source, own in zip(sources, entries, strict=True):
        report_lost(source, files, report)
        read = read_entries(source, own, files, class_names=source.names or names.of_ids, sizes=sizes)
        if extra is not None and source.format in _WITH_NUMBERS:
            read = apply_extra(read, extra, descriptor.root, report)
        raw.append(read)
    sizes.note()
    if rules.rename:
        _check_rename(descriptor, [name for read in raw for name in read.class_names], files)
    # names that a source states even where no object has them
    stated = [
        name
        for source, read in zip(sources, raw, strict=True)
        if source.format in ("coco", "yolo")
        for name in read.class_names
    ]
    note_unmatched(stated, names.names, rules, report)
    category_ids = category_ids_of(rules, descriptor.class_names, names.names, raw)
    return RawSplit(raw, names.names, category_ids, rules, descriptor.root)


def _clean_and_join(split: RawSplit, *, policy: BoxPolicy, report: ReadReport) -> AnnotatedImages:
    """The images of all sources, in order. Empties `split.sources`, so that no more than one is there twice."""
    image_ids: list[str] = []
    paths: list[str] = []
    sizes, counts, truths = [np.zeros((0, 2), np.int32)], [np.zeros(0, np.int64)], []
    records: list[Records] = []
    while split.sources:
        read = relabel(split.sources.pop(0), split.class_names, split.rules, report)
        truth, rows = clean_objects(read, policy=policy, report=report)
        per_image = np.bincount(read.objects.image_index[rows], minlength=len(read.paths))
        report.keep_images(len(per_image), backgrounds=int((per_image == 0).sum()), objects=len(truth))
        image_ids += read.image_ids
        paths += read.paths
        sizes.append(read.sizes_hw)
        counts.append(per_image)
        truths.append(truth)
        records.append(_records(read, rows))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(counts), dtype=np.int64)])
    return AnnotatedImages(
        image_ids=StringArray(unique_ids(image_ids, paths, split.root)),
        paths=StringArray(paths),
        sizes_hw=np.concatenate(sizes),
        offsets=offsets,
        objects=truths[0] if len(truths) == 1 else GroundTruth.concatenate(truths),
        records=_joined(records),
    )


def _records(read: RawSource, rows: Int64) -> Records:
    count = len(read.paths)
    places = np.full(count, -1, np.int64) if read.image_numbers is None else read.image_numbers
    return Records((read.files,), np.zeros(count, np.int64), places, read.numbers[rows])


def _joined(parts: Sequence[Records]) -> Records:
    """The records of all sources, which are one part each."""
    empty = np.zeros(0, np.int64)
    return Records(
        tuple(source for part in parts for source in part.sources),
        np.concatenate([empty, *(part.source_of_image + place for place, part in enumerate(parts))]),
        np.concatenate([empty, *(part.image_numbers for part in parts)]),
        np.concatenate([empty, *(part.object_numbers for part in parts)]),
    )


def _check_something_left(descriptor: DatasetDescriptor, name: str, names: Names, report: ReadReport) -> None:
    """End where reading on would only produce nonsense: no images, no labels at all, no class in common."""
    summary = "\n".join(report.summary_lines())
    place = f"{printable(descriptor.root)}, split {name!r}"
    held_out = any(source.part == "held_out" for source in descriptor.splits[name])
    if report.images_kept == 0:
        is_single = held_out and not report.images_found
        remedy = "; one image cannot be divided: add more, or name a val split in a dataset YAML" if is_single else ""
        raise DataError(f"{place}: no image is left{remedy}\n{summary}")
    if report.label_files_missing == report.images_kept and not held_out:
        raise DataError(f"{place}: not one of its images has a label file; are they elsewhere?\n{summary}")
    if report.objects_kept == 0 and report.objects_found:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise DataError(f"{place}: not one object is left; the classes are {shown}\n{summary}")


def _check_nothing_wrong(descriptor: DatasetDescriptor, report: ReadReport) -> None:
    """The policy `strict`: whatever was dropped, fixed or doubtful ends reading."""
    wrong = [issue for issue in report.issues if issue.kind not in _HARMLESS]
    if wrong:
        count = sum(number for kind, number in report.counts.items() if kind not in _HARMLESS)
        shown = "".join(f"\n  {issue}" for issue in wrong[:_SHOWN_ISSUES])
        more = f"\n  ... and {count - _SHOWN_ISSUES} more" if count > _SHOWN_ISSUES else ""
        raise DataError(
            f"{printable(descriptor.root)}, split {report.split!r}: the box policy is strict, and there "
            f"{'is one thing' if count == 1 else f'are {count} things'} wrong:{shown}{more}\n"
            "Correct the files, or use the box policy fix (fix what can be fixed, drop the rest) or drop"
        )
