"""A dataset in numbers: classes, image sizes, box sizes, objects per image, where they are, which come together.

Everything is counted from the flat arrays of `AnnotatedImages`, without pixels. Boxes are described by the objects that
are trained on; difficult objects and crowds are counted per class and left out of the rest. Left out: what a grid makes
of it (grid_fit.py), tables and plots (stats.py), faults (check.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int64
from yolo.curate.grid_fit import trainable_objects
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode, plan_resizes
from yolo.structures import GroundTruth

# COCO's borders between small, medium and large objects: areas in pixels².
SMALL_AREA, MEDIUM_AREA = 32.0**2, 96.0**2

_MAP_SIDE = 20
_MOST_FREQUENT = 20  # sizes and pairs of classes that are listed


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Quantiles of some values, by their per cent, and their mean."""

    min: float
    q5: float
    q25: float
    median: float
    q75: float
    q95: float
    max: float
    mean: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Quantiles | None:
        """Of any values; None if there are none."""
        if not values.size:
            return None
        quantiles = np.quantile(values.astype(np.float64), (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)).tolist()
        return cls(*(*quantiles, float(values.mean(dtype=np.float64))))


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How often a class occurs."""

    name: str
    objects: int
    images: int  # with at least one of its objects
    difficult: int  # objects (VOC)
    crowd: int  # objects (COCO)
    shorter_side: float | None  # median of the trainable ones, as a share of the image's; None without any


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaShares:
    """Shares in [0, 1] of the trainable objects by area in pixels², with COCO's borders of 32² and 96²."""

    input_size: int | None  # side of the input on which they are measured; None: the images themselves
    small: float
    medium: float
    large: float
    shorter_side: Quantiles | None  # in pixels of that input or image


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatistics:
    """A dataset in numbers. Quantiles are None where there is nothing to describe."""

    images: int
    background_images: int  # without any object
    objects: int
    trainable_objects: int  # neither difficult nor crowds; all below about boxes is of these
    classes: tuple[ClassCount, ...]  # by label
    image_width: Quantiles | None  # pixels
    image_height: Quantiles | None
    image_aspect: Quantiles | None  # width over height
    image_sizes: tuple[tuple[int, int, int], ...]  # the most frequent (width, height, images)
    objects_per_image: Quantiles | None
    images_by_objects: tuple[int, ...]  # element k: images with k trainable objects
    box_width: Quantiles | None  # pixels of the image
    box_height: Quantiles | None
    box_aspect: Quantiles | None  # width over height
    box_side_relative: Quantiles | None  # square root of the box's share of the image's area
    areas: tuple[AreaShares, ...]  # on the images themselves and on inputs of several sizes
    centres: tuple[tuple[int, ...], ...]  # objects by place of their centre: 20 rows from the top of 20 columns
    class_pairs: tuple[tuple[str, str, int], ...]  # the most frequent pairs on one image: (name, name, images)


def measure_dataset(
    images: AnnotatedImages, class_names: Sequence[str], *, resize: ResizeMode, input_sizes: Sequence[int]
) -> DatasetStatistics:
    """Count everything; `resize` and the sides of the inputs are for `areas`."""
    trainable = trainable_objects(images)
    image_index, objects = images.image_index[trainable], images.objects[trainable]
    sizes_wh = images.sizes_hw[:, ::-1].astype(np.float64)
    sides = box_sides(objects)
    relative = sides / sizes_wh[image_index]
    # which classes are on which image, by any object: image * C + label, each once, ascending
    occurrences = np.unique(images.image_index * len(class_names) + images.objects.labels)
    per_image = np.bincount(image_index, minlength=len(images))
    return DatasetStatistics(
        images=len(images),
        background_images=int((np.diff(images.offsets) == 0).sum()),
        objects=len(images.objects),
        trainable_objects=len(objects),
        classes=_count_classes(images, trainable, class_names, occurrences),
        image_width=Quantiles.of(sizes_wh[:, 0]),
        image_height=Quantiles.of(sizes_wh[:, 1]),
        image_aspect=Quantiles.of(sizes_wh[:, 0] / sizes_wh[:, 1]),
        image_sizes=_frequent_sizes(images),
        objects_per_image=Quantiles.of(per_image),
        images_by_objects=tuple(np.bincount(per_image).tolist()),
        box_width=Quantiles.of(sides[:, 0]),
        box_height=Quantiles.of(sides[:, 1]),
        box_aspect=Quantiles.of(sides[:, 0] / np.maximum(sides[:, 1], 1e-9)),
        box_side_relative=Quantiles.of(np.sqrt(relative.prod(axis=1))),
        areas=tuple(_areas(images, trainable, size, resize) for size in (None, *input_sizes)),
        centres=_centre_map(objects, sizes_wh[image_index]),
        class_pairs=_frequent_pairs(occurrences, class_names),
    )


def box_sides(objects: GroundTruth) -> Float64:
    """(T, 2) widths and heights in pixels of the images."""
    boxes = objects.boxes.astype(np.float64)
    return boxes[:, 2:] - boxes[:, :2]


def _count_classes(
    images: AnnotatedImages, trainable: Bool, class_names: Sequence[str], occurrences: Int64
) -> tuple[ClassCount, ...]:
    objects, count = images.objects, len(class_names)
    shorter = (box_sides(objects) / images.sizes_hw[images.image_index, ::-1]).min(axis=1)
    order = np.argsort(objects.labels[trainable], kind="stable")
    ends = np.cumsum(np.bincount(objects.labels[trainable], minlength=count))
    by_class = np.split(shorter[trainable][order], ends[:-1]) if count else []

    def counted(labels: Int64) -> list[int]:
        return [int(number) for number in np.bincount(labels, minlength=count)]

    columns = (
        class_names,
        counted(objects.labels),
        counted(occurrences % max(1, count)),
        counted(objects.labels[objects.difficult]),
        counted(objects.labels[objects.iscrowd]),
        [float(np.median(own)) if own.size else None for own in by_class],
    )
    return tuple(ClassCount(*row) for row in zip(*columns, strict=True))


def _frequent_sizes(images: AnnotatedImages) -> tuple[tuple[int, int, int], ...]:
    sizes, counts = np.unique(images.sizes_hw, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_FREQUENT]
    return tuple((int(sizes[k, 1]), int(sizes[k, 0]), int(counts[k])) for k in order)


def _areas(images: AnnotatedImages, trainable: Bool, input_size: int | None, resize: ResizeMode) -> AreaShares:
    areas, sides = images.objects.area[trainable].astype(np.float64), box_sides(images.objects[trainable])
    if input_size is not None:
        scales, _ = plan_resizes(images.sizes_hw, (input_size, input_size), resize)
        own = scales[images.image_index[trainable]]
        areas, sides = areas * own.prod(axis=1), sides * own
    count = max(1, len(areas))
    small, below_large = int((areas < SMALL_AREA).sum()), int((areas < MEDIUM_AREA).sum())
    return AreaShares(
        input_size=input_size,
        small=small / count,
        medium=(below_large - small) / count,
        large=(len(areas) - below_large) / count,
        shorter_side=Quantiles.of(sides.min(axis=1)),
    )


def _centre_map(objects: GroundTruth, sizes_wh: Float64) -> tuple[tuple[int, ...], ...]:
    centres = (objects.boxes[:, :2] + objects.boxes[:, 2:]).astype(np.float64) / 2 / sizes_wh
    col, row = np.clip(np.floor(centres * _MAP_SIDE), 0, _MAP_SIDE - 1).astype(np.int64).T
    counts = np.bincount(row * _MAP_SIDE + col, minlength=_MAP_SIDE**2).reshape(_MAP_SIDE, _MAP_SIDE)
    return tuple(map(tuple, counts.tolist()))


def _frequent_pairs(occurrences: Int64, class_names: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    images, labels = np.divmod(occurrences, max(1, len(class_names)))
    together: Counter[tuple[int, int]] = Counter()
    for on_image in np.split(labels, np.flatnonzero(np.diff(images)) + 1):
        together.update(combinations(on_image.tolist(), 2))
    frequent = sorted(together.items(), key=lambda item: (-item[1], item[0]))[:_MOST_FREQUENT]
    return tuple((class_names[first], class_names[second], count) for (first, second), count in frequent)
