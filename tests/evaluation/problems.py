"""Makes small problems from lists of what was found and what is annotated."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet

Found = tuple[int, float, Sequence[float], int]  # class, score, xywh, image
Object = tuple[int, Sequence[float], int]  # class, xywh, image

BOX = [0.0, 0.0, 40.0, 40.0]  # 1,600 px² are medium
AWAY = [500.0, 500.0, 40.0, 40.0]


def problem_of(
    found: Sequence[Found], objects: Sequence[Object], *, class_names: tuple[str, ...] = ("cat", "dog"),
    sizes_hw: Sequence[tuple[int, int]] = ((0, 0),), **flags: Any,
) -> EvaluationData:  # fmt: skip
    """An image for each of `sizes_hw`, (0, 0) where its size is unknown; `flags` are those of a `TruthSet`."""
    ids = [f"image {index}" for index in range(len(sizes_hw))]
    return EvaluationData(
        ImageTable(ids, [""] * len(ids), np.array(sizes_hw, np.int32).reshape(-1, 2)),
        class_names,
        TruthSet.from_xywh([one[1] for one in objects], [one[0] for one in objects], [one[2] for one in objects],
                           **flags),
        DetectionSet.from_xywh([one[2] for one in found], [one[1] for one in found], [one[0] for one in found],
                               [one[3] for one in found]),
    )  # fmt: skip


def one_class(found: Sequence[tuple[int, float, bool]], objects: Sequence[int], *, num_images: int) -> EvaluationData:
    """`found` holds (image, score, whether it lies on `BOX`), `objects` the images of the objects, all with `BOX`."""
    return problem_of(
        [(0, score, BOX if right else AWAY, image) for image, score, right in found],
        [(0, BOX, image) for image in objects],
        class_names=("thing",),
        sizes_hw=[(0, 0)] * num_images,
    )
