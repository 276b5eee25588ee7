"""From what a user calls a dataset to annotated images: `find_dataset`, then `read_split`.

Left out: recognising a dataset (finding.py), the formats (sources.py), decoding pixels (dataset.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo.data.account import DataAccount, printable
from yolo.data.annotations import AnnotatedImages, Texts
from yolo.data.classes import Names, note_unmatched, relabel
from yolo.data.cleaning import BoxPolicy, clean_objects
from yolo.data.coco import category_ids_for
from yolo.data.extra import apply_extra, read_extra
from yolo.data.finding import DatasetDescriptor, find_dataset
from yolo.data.image_sizes import AUTO_READS, ImageSizes, SizePolicy
from yolo.data.layouts import SplitSource, canonical_split
from yolo.data.memory import return_freed_memory
from yolo.data.naming import DatasetNames, check_rename, name_classes
from yolo.data.raw_objects import RawSource
from yolo.data.selection import once, select, unique_ids
from yolo.data.sources import AnyEntry, OpenFiles, list_entries, read_entries, report_lost
from yolo.errors import DataError
from yolo.structures import GroundTruth

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
