"""Annotated images and splits for the tests that need no files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from yolo.data.read import Split
from yolo.formats.issues import ReadReport
from yolo.formats.objects import AnnotatedImages
from yolo.structures import AnnotatedImage, GroundTruth

CLASS_NAMES = ("cat", "dog", "bird")

# an image's objects as (label, box)
Objects = Sequence[tuple[int, tuple[float, float, float, float]]]


def annotated(*truths: GroundTruth, sizes_hw: Sequence[tuple[int, int]] | None = None) -> AnnotatedImages:
    """Images of 100x100 pixels unless `sizes_hw` says otherwise; there are no files."""
    sizes = sizes_hw or [(100, 100)] * len(truths)
    return AnnotatedImages.of(
        AnnotatedImage(f"{place}", Path(f"{place}.jpg"), size_hw, truth)
        for place, (truth, size_hw) in enumerate(zip(truths, sizes, strict=True))
    )


def centred(centres: Sequence[tuple[float, float]], labels: Sequence[int] = (), *, side: float = 4) -> GroundTruth:
    """Squares around centres (x, y), of class 0 by default."""
    boxes = [[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y in centres]
    return GroundTruth.from_boxes(boxes, labels or [0] * len(boxes))


def random_images(seed: int, *, num_images: int, num_classes: int = 4, most_objects: int = 30) -> AnnotatedImages:
    """Crowded images of many shapes, some without objects; a tenth of the objects difficult, a tenth crowds."""
    generator = np.random.default_rng(seed)
    truths, sizes = [], []
    for _ in range(num_images):
        height, width = generator.integers(20, 400, 2).tolist()
        count = int(generator.integers(0, most_objects + 1))
        corners = generator.uniform(0, 1, (count, 2, 2)) * (width, height)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        if generator.random() < 0.5:  # whole pixels put centres on the lines between cells
            boxes = boxes.round()
        labels = generator.integers(num_classes, size=count)
        flags = generator.random((2, count)) < 0.1
        truths.append(GroundTruth.from_boxes(boxes, labels, difficult=flags[0], iscrowd=flags[1]))
        sizes.append((height, width))
    return annotated(*truths, sizes_hw=sizes)


def split_of(
    images: Mapping[str, Objects],
    *,
    name: str = "train",
    class_names: tuple[str, ...] = CLASS_NAMES,
    size_hw: tuple[int, int] = (480, 640),
    crowd: bool = False,
) -> Split:
    """A split of images called /data/<key>.jpg, with these objects."""
    found = []
    for key, objects in images.items():
        boxes, labels = [box for _, box in objects], [label for label, _ in objects]
        truth = GroundTruth.from_boxes(boxes, labels, iscrowd=[crowd] * len(boxes)) if boxes else GroundTruth.empty()
        found.append(AnnotatedImage(key, Path(f"/data/{key}.jpg"), size_hw, truth))
    return Split(name, AnnotatedImages.of(found), class_names, None, ReadReport(name))
