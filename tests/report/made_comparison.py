"""A comparison made by hand for the tests of its page: 10 images, 3 better, 2 worse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.bootstrap import Interval
from yolo.evaluation.comparison import Comparison, Difference, ImageChange

_HEADLINE = (
    "map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large", "ar_100", "precision", "recall", "f1"
)  # fmt: skip


def make_difference(name: str, gain: float = 0.05, *, p: float = 0.01, p_adjusted: float | None = None) -> Difference:
    """From 0.4, with an interval of 0.04 at each side."""
    adjusted = p if p_adjusted is None else p_adjusted
    return Difference(name, 0.4, 0.4 + gain, Interval(gain - 0.04, gain + 0.04), p, adjusted)


def main_difference(gain: float, low: float, high: float, p: float, adjusted: float | None = None) -> Difference:
    """Of mAP@0.5:0.95, from 0.4."""
    return Difference("map_50_95", 0.4, 0.4 + gain, Interval(low, high), p, p if adjusted is None else adjusted)


def make_comparison(
    *,
    main: Difference | None = None,
    class_names: Sequence[str] = ("cat", "dog", "bird"),
    classes: Sequence[Difference] | None = None,
    changes: Sequence[int] = (2, 1, 1, -1, -2),
    images: tuple[ImageChange, ...] | None = None,
) -> Comparison:
    """Gains of the classes are 0.05, 0.06, ... but the last has a loss."""
    gains = [0.05 + place / 100 for place in range(len(class_names))]
    gains[-1] = -0.05
    made = [make_difference(name, gain) for name, gain in zip(class_names, gains, strict=True)]
    if images is None:
        images = tuple(
            ImageChange(place, (1, 1 + change) if change > 0 else (1 - change, 1), (0, 0), 9, change)
            for place, change in enumerate(changes)
        )
    return Comparison(
        headline=(main or make_difference("map_50_95"), *(make_difference(name) for name in _HEADLINE[1:])),
        class_ap_50=tuple(made if classes is None else classes),
        class_ap_50_95=tuple(made if classes is None else classes),
        images=images,
        num_images=max(10, len(images)),
        num_better=sum(one.change > 0 for one in images),
        num_worse=sum(one.change < 0 for one in images),
        score_thresholds=(0.3, 0.4),
        level=0.95,
        replicates=2000,
        seed=0,
    )


def make_problems(*, class_names: Sequence[str], num_images: int) -> tuple[EvaluationData, EvaluationData]:
    """Two objects of each class on every image, no detections of A and one of B; ids look like formulas."""
    images = ImageTable(
        [f"={place}" for place in range(num_images)], [""] * num_images, np.zeros((num_images, 2), np.int32)
    )
    labels = np.tile(np.arange(len(class_names)).repeat(2), num_images)
    places = np.arange(num_images).repeat(2 * len(class_names))
    truths = TruthSet.from_xyxy([[0, 0, 9, 9]] * len(labels), labels, places)
    none = DetectionSet.from_xyxy([], [], [], [])
    one = DetectionSet.from_xyxy([[0, 0, 9, 9]], [0.9], [0], [0])
    first, second = (EvaluationData(images, tuple(class_names), truths, found) for found in (none, one))
    return first, second
