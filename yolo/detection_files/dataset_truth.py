"""Ground truth from a dataset as training knows it: a dataset YAML or a tree with splits, of any format.

Which images belong to the split, and which classes there are, is what `yolo.data` says; the annotations are taken as
they are, without its cleaning. Left out: the formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from yolo.data.find import DatasetDescriptor, SplitSource
from yolo.data.read import (
    AnyEntry,
    OpenFiles,
    find_dataset,
    list_entries,
    name_classes,
    once,
    read_entries,
    report_lost,
    select,
    unique_ids,
)
from yolo.detection_files.coco_truth import read_coco_truth
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import TruthPart, joined, part_of_raw, with_classes
from yolo.detection_files.voc_truth import read_voc_truth
from yolo.detection_files.yolo_truth import read_yolo_truth
from yolo.errors import DataError, printable
from yolo.formats.coco import CocoEntry
from yolo.formats.issues import DataAccount
from yolo.formats.objects import RawSource
from yolo.formats.paths import ImageSizes, canonical_split
from yolo.formats.sidecar import apply_extra, read_extra
from yolo.formats.voc import VocEntry
from yolo.formats.yolo import YoloEntry


def read_dataset_truth(
    path: Path, *, split: str, images: Path | None, class_names: Sequence[str] | None, remarks: Remarks
) -> tuple[TruthPart, str]:
    """The ground truth of a split, and its formats.

    Args:
        path: what `find_dataset` takes.
        split: its name.
        images: where the images of a COCO file are.
        class_names: classes under evaluation, in this order; None for those of the dataset.
        remarks: receives what is left out or odd.

    Raises:
        DataError: no dataset, no such split, or annotations that cannot be used as they are.
    """
    descriptor = find_dataset(path)
    name = canonical_split(split)
    if name not in descriptor.splits:
        exist = ", ".join(descriptor.splits) or "none"
        raise DataError(f"{printable(path)}: there is no split {split!r}; there are: {exist}")
    for note in descriptor.notes:
        remarks.add("dataset_note", note)
    sources = descriptor.splits[name]
    form = "+".join(dict.fromkeys(source.format for source in sources))
    if _is_one_coco_file(sources, descriptor):
        part = read_coco_truth(sources[0].path, images=images or sources[0].image_dir, remarks=remarks)
        return (part if class_names is None else with_classes(part, class_names, remarks)), form
    return _read_sources(descriptor, name, class_names, remarks), form


def _is_one_coco_file(sources: Sequence[SplitSource], descriptor: DatasetDescriptor) -> bool:
    """Whether the split is all of one COCO file, under the names that it has there."""
    rules = descriptor.rules
    plain = rules.keep is None and not rules.rename and descriptor.class_names is None
    first = sources[0]
    return len(sources) == 1 and first.format == "coco" and plain and first.part == "all" and first.only is None


def _read_sources(
    descriptor: DatasetDescriptor, split: str, class_names: Sequence[str] | None, remarks: Remarks
) -> TruthPart:
    account, files, sources = DataAccount(split), OpenFiles(descriptor.root), descriptor.splits[split]
    entries = once(select(sources, lambda source: list_entries(source, files, account=account)), account)
    wanted = None if class_names is None else tuple(class_names)
    names = name_classes(descriptor, split, entries, wanted=wanted, files=files, account=account)
    parts = []
    for source, own in zip(sources, entries, strict=True):
        if source.format == "coco":
            part = _chosen(read_coco_truth(source.path, images=source.image_dir, remarks=remarks), own)
        else:
            raw = _read_raw(source, own, files, source.names or names.of_ids, remarks=remarks, account=account)
            if descriptor.extra is not None and source.format in ("voc", "yolo"):
                raw = apply_extra(raw, read_extra(descriptor.extra, descriptor.root), descriptor.root, account)
            part = part_of_raw(raw, remarks)
        parts.append(with_classes(part, names.names, remarks, rename=descriptor.rules.rename))
    _pass_on(account, remarks)
    image_ids = unique_ids(
        [one for part in parts for one in part.image_ids], [one for part in parts for one in part.paths],
        descriptor.root,
    )  # fmt: skip
    return _with_stated_ids(joined(parts, image_ids), descriptor)


def _read_raw(
    source: SplitSource,
    entries: Sequence[AnyEntry],
    files: OpenFiles,
    names: Sequence[str],
    *,
    remarks: Remarks,
    account: DataAccount,
) -> RawSource:
    if source.format == "voc":
        return read_voc_truth([entry for entry in entries if isinstance(entry, VocEntry)], remarks)
    if source.format == "yolo":
        return read_yolo_truth([entry for entry in entries if isinstance(entry, YoloEntry)], names, remarks)
    report_lost(source, files, account)
    return read_entries(source, entries, files, class_names=names, sizes=ImageSizes(account, trust=True))


def _chosen(part: TruthPart, entries: Sequence[AnyEntry]) -> TruthPart:
    """The images of a COCO file that are listed; their order stays that of the ids."""
    wanted = {entry.image_id for entry in entries if isinstance(entry, CocoEntry)}
    kept = [place for place, image_id in enumerate(part.image_ids) if image_id in wanted]
    index = np.full(len(part.image_ids), -1, np.int64)
    index[kept] = np.arange(len(kept))
    places = index[part.truths.image_index]
    return replace(
        part,
        image_ids=[part.image_ids[place] for place in kept],
        file_names=[part.file_names[place] for place in kept],
        paths=[part.paths[place] for place in kept],
        sizes_hw=part.sizes_hw[kept],
        truths=replace(part.truths, image_index=places)[places >= 0],
    )


def _with_stated_ids(part: TruthPart, descriptor: DatasetDescriptor) -> TruthPart:
    """With the category ids that the dataset YAML gives."""
    rules = descriptor.rules
    if rules.category_ids is None:
        return part
    ids = dict(zip(rules.names_for(descriptor.class_names or ()), rules.category_ids, strict=True))
    unused = max(rules.category_ids) + 1
    return replace(part, category_ids=tuple(ids.get(name, unused + k) for k, name in enumerate(part.class_names)))


def _pass_on(account: DataAccount, remarks: Remarks) -> None:
    """What was left out while images were listed and CSV files read; at most some thousand issues are kept of each."""
    for kind, number in account.counts.items():
        examples = [str(issue) for issue in account.issues if issue.kind == kind]
        message = f"{kind.replace('_', ' ')}: was left out, or mended, while the dataset was read"
        for example in examples[:number]:
            remarks.add(f"dataset_{kind}", message, example)
        remarks.add(f"dataset_{kind}", message, count=number - len(examples[:number]))
    for note in account.notes:
        remarks.add("dataset_note", note)
