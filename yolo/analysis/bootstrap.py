"""The bootstrap over images: the numbers of an evaluation as they would be with other images of the same kind.

A replicate draws as many images as there are, with replacement, and evaluates what it drew. Images, not detections
or objects, are drawn because those of one image stand or fall together. All numbers are exact (weighted_class.py).

Replicates of average precision are biased upwards, see `centred`: use their spread, not their level.

A class of which no object was drawn takes no part in the means of that replicate, as a class without objects takes
none in those of the evaluation. The result depends on the seed alone, not on the number of threads.

Left out: intervals (intervals.py), differences of two detectors (comparison.py).

Shape letters: C classes, R replicates, n images.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.weighted_class import (
    ClassVerdicts,
    Weights,
    average_precision,
    class_verdicts,
    operating_point,
    recall,
)
from yolo.evaluation.matched import Matched

Float64 = NDArray[np.float64]

OPERATING_NAMES = ("precision", "recall", "f1")
_SIZES = ("small", "medium", "large")

# numbers in the largest array of a batch of replicates: bounds the memory of a thread, some 30 bytes each
_BATCH_ELEMENTS = 1 << 20


def automatic_replicates(num_detections: int) -> int:
    """How many replicates a problem gets if nobody says: 1000, fewer where they would take minutes.

    By size and not by the clock, so that the same problem always gets the same intervals.

    >>> [automatic_replicates(count) for count in (0, 500_000, 2_000_000, 50_000_000)]
    [1000, 1000, 500, 200]
    """
    return 1000 if num_detections <= 1_000_000 else 500 if num_detections <= 4_000_000 else 200


def check_arguments(replicates: int, level: float) -> None:
    """Refuse what makes no interval.

    Raises:
        ValueError: no replicate, or a level that is not between 0 and 1.
    """
    if replicates < 1:
        raise ValueError(f"replicates must be at least 1, got {replicates}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level}")


def draw_weights(num_images: int, *, replicates: int, seed: int) -> Weights:
    """(R, n) how often each image is drawn; every row sums to n."""
    generator = np.random.default_rng(seed)
    weights = np.empty((replicates, num_images), np.uint16)
    for row in weights:
        row[:] = np.bincount(generator.integers(0, max(num_images, 1), num_images), minlength=num_images)
    return weights


def class_replicates(
    by_area: Mapping[str, Matched],
    weights: Weights,
    *,
    score_threshold: float,
    max_detections: tuple[int, ...] = (1, 10, 100),
    replicates_by_size: int | None = None,
) -> dict[str, Float64]:
    """Every headline number for each class in each replicate; its mean over classes is the headline number.

    Args:
        by_area: from `match_areas` with the usual areas and thresholds, and the last of `max_detections`.
        weights: (R, n) how often each image is there.
        score_threshold: of precision, recall and F1; NaN keeps nothing.
        max_detections: of ar_1, ar_10 and ar_100.
        replicates_by_size: only so many replicates get numbers of small, medium and large objects, half of the work.

    Returns:
        Name of a number of `EvaluationResult` -> (R, C), NaN where the class has no object in the replicate.
    """
    num_classes = by_area["all"].problem.num_classes
    sizes = [f"{kind}_{size}" for kind in ("map", "ar") for size in _SIZES]
    names = ("map_50_95", "map_50", "map_75", "ar_1", "ar_10", "ar_100", *sizes, *OPERATING_NAMES)
    result = {name: np.full((len(weights), num_classes), np.nan) for name in names}
    columns = by_area["all"].at(0.5), by_area["all"].at(0.75)
    # the largest first, so that no thread is left with it at the end
    largest_first = np.argsort(-np.diff(by_area["all"].bounds), kind="stable").tolist()

    def work(index: int) -> None:
        for area, matched in by_area.items():
            drawn = weights if area == "all" else weights[:replicates_by_size]
            verdicts = class_verdicts(matched, index)
            _fill_area(result, area, verdicts, drawn, index=index, columns=columns, max_detections=max_detections)
        point = operating_point(by_area["all"], index, weights, iou=0.5, score_threshold=score_threshold)
        for name, values in zip(OPERATING_NAMES, point, strict=True):
            result[name][:, index] = values

    with ThreadPoolExecutor(_cores()) as pool:
        for _ in pool.map(work, largest_first):  # asks for the results: what fails in a thread shall fail here
            pass
    return result


def _fill_area(
    result: dict[str, Float64],
    area: str,
    verdicts: ClassVerdicts,
    weights: Weights,
    *,
    index: int,
    columns: tuple[int, int],
    max_detections: tuple[int, ...],
) -> None:
    batch = max(1, _BATCH_ELEMENTS // max(len(verdicts.usual), len(verdicts.truth_images), 1))
    for start in range(0, len(weights), batch):
        rows = slice(start, min(start + batch, len(weights)))
        precision = average_precision(verdicts, weights[rows])
        if area != "all":
            result[f"map_{area}"][rows, index] = precision.mean(axis=1)
            result[f"ar_{area}"][rows, index] = recall(verdicts, weights[rows], max_detections[-1:])[:, 0]
            continue
        result["map_50_95"][rows, index] = precision.mean(axis=1)
        result["map_50"][rows, index] = precision[:, columns[0]]
        result["map_75"][rows, index] = precision[:, columns[1]]
        limited = recall(verdicts, weights[rows], max_detections)
        for name, values in zip(("ar_1", "ar_10", "ar_100"), limited.T, strict=True):
            result[name][rows, index] = values


def mean_over_classes(values: Float64) -> Float64:
    """(R,) mean of the entries of (R, C) that are not NaN; NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Float64 = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def centred(values: Float64, estimate: float) -> Float64:
    """Replicates moved so that their mean is the number itself; NaN stays NaN.

    Images that are drawn twice make precision jump more than it does among different images, and the precision
    envelope takes the highest: average precision of replicates is too high on average, and a number could lie below
    its own interval. What replicates tell rightly is the spread.

    >>> centred(np.array([0.5, np.nan, 0.75]), 0.5).tolist()
    [0.375, nan, 0.625]
    """
    known = values[~np.isnan(values)]
    return values + (estimate - known.mean()) if known.size else values


def percentile_interval(values: Float64, level: float, *, bounds: tuple[float, float]) -> tuple[float, float]:
    """The middle `level` of the replicates that have a value, not beyond `bounds`; NaN if none has.

    >>> percentile_interval(np.array([0.0, 0.1, 0.2, 0.3, np.nan, 0.4]), 0.5, bounds=(0.0, 0.25))
    (0.1, 0.25)
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]).clip(*bounds).tolist()
    return low, high


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
