"""What was read as ground truth, and what its readers hand on before classes of several sources are joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from yolo.arrays import Bool, Float64, Int32
from yolo.detection_files.remarks import Remark, Remarks
from yolo.detection_sets import ImageTable, TruthSet
from yolo.errors import DataError, printable
from yolo.formats.objects import RawSource

_LARGEST_SIDE = 2**31 - 1
# far beyond any image, and its square far from the end of the floats
_LARGEST_COORDINATE = 1e100


@dataclass(frozen=True)
class GroundTruthFiles:
    """Ground truth as its files have it: nothing clipped, nothing mended.

    Attributes:
        images: the images under evaluation, in the order that decides between equal scores.
        class_names: C names.
        category_ids: COCO's id of each class; None where there is none.
        truths: the objects, by image.
        remarks: what was left out or looks odd.
        format: `coco`, `voc`, `yolo` or `csv`; several are joined by `+`.
        source: the path as given.
        file_names: for each image the name in the files, by which detections may know it.
    """

    images: ImageTable
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] | None
    truths: TruthSet
    remarks: tuple[Remark, ...]
    format: str
    source: str
    file_names: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class TruthPart:
    """One source of ground truth: n images, M objects, labels in its own names.

    Attributes:
        image_ids: n ids.
        file_names: n names in the file.
        paths: n image files; "" where there is none.
        sizes_hw: (n, 2); 0 where unknown.
        class_names: what the labels mean.
        category_ids: COCO's ids, or None.
        truths: by image.
    """

    image_ids: Sequence[str]
    file_names: Sequence[str]
    paths: Sequence[str]
    sizes_hw: Int32
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] | None
    truths: TruthSet


def part_of_raw(raw: RawSource, remarks: Remarks) -> TruthPart:
    """A part from what a reader of labelled images made, which has float64 and has mended nothing yet.

    Raises:
        DataError: a box or an area is not finite.
    """
    objects = raw.objects
    bad = np.flatnonzero(~usable_boxes(objects.boxes) | np.isinf(objects.area))
    if bad.size:
        issue = raw.issue(int(bad[0]), "not_finite", "the box or its area is not finite, or beyond any image")
        more = f" ({bad.size - 1} more like it)" if bad.size > 1 else ""
        raise DataError(f"{issue}{more}; correct the annotation")
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    own = sides[:, 0] * sides[:, 1]
    truths = TruthSet.from_xyxy(
        objects.boxes,
        objects.labels,
        objects.image_index,
        iscrowd=objects.iscrowd,
        difficult=objects.difficult,
        area=np.where(np.isnan(objects.area), own, objects.area),
    )
    remark_empty_boxes(truths, remarks, lambda row: str(raw.issue(row, "degenerate", "")).rstrip(": "))
    names = [path or image_id for path, image_id in zip(raw.paths, raw.image_ids, strict=True)]
    return TruthPart(raw.image_ids, names, raw.paths, raw.sizes_hw, raw.class_names, None, truths)


def usable_boxes(boxes: Float64) -> Bool:
    """(K,) whether four numbers are finite, and so small that areas are finite too."""
    usable: Bool = np.logical_and.reduce(np.abs(boxes) <= _LARGEST_COORDINATE, axis=1)  # False for NaN
    return usable


def remark_empty_boxes(truths: TruthSet, remarks: Remarks, place: Callable[[int], str]) -> None:
    """Say which objects have no area; `place` says where the object of a row stands."""
    remarks.add_rows(
        "empty_truth_box",
        "an annotated box has no width or no height, or a negative one: it is kept, counts as an object to be found, "
        "and nothing can find it",
        (truths.sizes_wh <= 0).any(axis=1),
        place,
    )


def with_classes(
    part: TruthPart, names: Sequence[str], remarks: Remarks, *, rename: Mapping[str, str | None] | None = None
) -> TruthPart:
    """The part with labels that mean places in `names`; objects of other classes are left out and counted."""
    new_names = [(rename or {}).get(name, name) for name in part.class_names]
    places = {name: place for place, name in enumerate(names)}
    table = np.asarray([-1 if new is None else places.get(new, -1) for new in new_names], np.int64)
    labels = table[part.truths.labels] if len(table) else part.truths.labels
    remarks.add_rows(
        "class_left_out",
        "an object is of a class that is not among those asked for: it is left out",
        labels < 0,
        lambda row: (
            f"class {part.class_names[int(part.truths.labels[row])]!r}, image "
            f"{part.image_ids[int(part.truths.image_index[row])]}"
        ),
    )
    truths = replace(part.truths, labels=labels)[labels >= 0]
    return replace(part, class_names=tuple(names), category_ids=_ids_for(part, new_names, names), truths=truths)


def _ids_for(part: TruthPart, new_names: Sequence[str | None], names: Sequence[str]) -> tuple[int, ...] | None:
    """The category ids in the order of `names`; classes that the part does not have get ids beyond all others."""
    if part.category_ids is None:
        return None
    ids: dict[str, int] = {}
    for old, new, category_id in zip(part.class_names, new_names, part.category_ids, strict=True):
        if new is not None and (old == new or new not in ids):
            ids[new] = category_id
    unused = max(part.category_ids, default=0) + 1
    chosen = tuple(ids.get(name, unused + place) for place, name in enumerate(names))
    return chosen if len(set(chosen)) == len(chosen) else None


def joined(parts: Sequence[TruthPart], image_ids: Sequence[str]) -> TruthPart:
    """Parts with the same classes as one.

    Args:
        parts: at least one.
        image_ids: of all their images, in order, each once.
    """
    if len(parts) == 1:
        return replace(parts[0], image_ids=image_ids)
    first = np.cumsum([0, *(len(part.image_ids) for part in parts)])
    truths = [
        replace(part.truths, image_index=part.truths.image_index + start)
        for part, start in zip(parts, first[:-1].tolist(), strict=True)
    ]
    names = [field.name for field in fields(TruthSet)]
    merged = TruthSet(*(np.concatenate([getattr(one, name) for one in truths]) for name in names))
    ids = {part.category_ids for part in parts}
    return TruthPart(
        image_ids=image_ids,
        file_names=[name for part in parts for name in part.file_names],
        paths=[path for part in parts for path in part.paths],
        sizes_hw=np.concatenate([part.sizes_hw for part in parts]),
        class_names=parts[0].class_names,
        category_ids=parts[0].category_ids if len(ids) == 1 else None,
        truths=merged,
    )


def ground_truth_of(part: TruthPart, remarks: Remarks, *, source: str, form: str) -> GroundTruthFiles:
    """The result for users, with what is to be said of every kind of ground truth.

    Raises:
        DataError: no image, or two images with one id.
    """
    if not part.image_ids:
        raise DataError(f"{printable(source)}: lists no images, so there is nothing to evaluate on")
    twice = next((one for one, number in Counter(part.image_ids).items() if number > 1), None)
    if twice is not None:
        raise DataError(f"{printable(source)}: the image id {twice!r} stands for two images; rename one")
    if not len(part.truths):
        remarks.add(
            "no_objects",
            "the ground truth has no object at all: no average precision is defined, every detection is false",
        )
    missing = [one for one, path in zip(part.image_ids, part.paths, strict=True) if not path]
    if missing:
        message = "the image file is not there: the numbers do not need it, pictures of this image are left out"
        for image_id in missing[:5]:
            remarks.add("image_missing", message, f"image {image_id}")
        remarks.add("image_missing", message, count=len(missing[5:]))
    return GroundTruthFiles(
        ImageTable(tuple(part.image_ids), tuple(part.paths), part.sizes_hw),
        part.class_names, part.category_ids, part.truths, remarks.list(), form, source, tuple(part.file_names),
    )  # fmt: skip


def side_of(value: object) -> int:
    """A stated width or height, 0 for anything that is none."""
    return value if type(value) is int and 0 < value <= _LARGEST_SIDE else 0
