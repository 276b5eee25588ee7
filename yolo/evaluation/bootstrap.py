"""The bootstrap over images: the numbers of an evaluation as they would be with other images of the same kind.

A replicate draws as many images as there are, with replacement, and evaluates what it drew. Images, not detections
or objects, are drawn because those of one image stand or fall together. All numbers are exact (weighted_class.py).

Replicates of average precision are biased upwards, see `centred`: use their spread, not their level.

A class of which no object was drawn takes no part in the means of that replicate, as a class without objects takes
none in those of the evaluation. The result depends on the seed alone, not on the number of threads.

Left out: intervals (intervals.py), differences of two detectors (comparison.py).

Shape letters: C classes, R replicates, n images.

The numbers of one class where every image counts as often as it was drawn: for many draws at once.

An image of weight w stands for w equal images: its objects and its detections are there w times, copies next to
each other in the order of the scores. Matching goes on inside an image, so all copies share one verdict, and
nothing has to be matched again. The numbers are those of the enlarged problem, not an approximation. Only the order
of equal scores on one image is a choice: the copies of each stay together, where copied images would alternate.

Average precision asks for the precision envelope, the best precision at a recall or a higher one. Two facts
make it cheap:
    1. Only true positives matter. Any other detection leaves the recall as it is and does not raise precision.
    2. Of the w copies of a true positive only the last matters. With H hits and F false positives before, precision
       after j copies is (H + j) / (H + j + F), which does not fall as j grows; so the envelope at every copy
       is that at the last one. With w = 0 the precision is that of the true positive before with perhaps more
       false ones: it raises the envelope nowhere that is looked at.
So a true positive covers those of the 101 recall points that its w copies reach, all with one value.

Left out: which images are drawn, and means over classes (bootstrap.py).

Shape letters: k detections of the class by descending score, T IoU thresholds, R draws, n images, P true positives.

How far a number may be off by chance: bootstrap confidence intervals over images.

An interval says how much the number would move if other images of the same kind had been evaluated. It knows nothing
of another training run, of wrong labels, or of images of another kind. The replicates are moved so that their mean is
the number (`centred` in bootstrap.py says why): on simulated test sets of 150 images, 90 to 94 % of such intervals
with level 0.95 held the true mAP or F1, of those that were not moved 84 to 92 % (tools/interval_coverage.py). Intervals
from less than some 50 images are too narrow.

Shape letters: C classes, R replicates.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.evaluation.average_precision import RECALL_POINTS
from yolo.evaluation.coco import Matched
from yolo.evaluation.result import EvaluationResult

Weights = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class _Threshold:
    """The true positives at one IoU threshold, P of them, and what corrects the count of detections up to each.

    `ends`: how many of the usual detections go before or are it. The exceptions at this threshold are detections
    that count here and not usually (+1) or the reverse (-1); `exception_ends`: how many of them go before or are it.
    """

    images: Int64  # (P,)
    ends: Int64  # (P,)
    exceptions: Int64  # (X,) their images
    signs: Int32  # (X,)
    exception_ends: Int64  # (P,)


@dataclass(frozen=True, slots=True, eq=False)
class ClassVerdicts:
    """One class in one area range, laid out for `average_precision` and `recall`.

    Whether a detection counts, as a hit or against, hardly depends on the threshold. So one running sum over the
    detections that usually count serves all thresholds, with a few exceptions for each.

    Attributes:
        truth_images: images of the objects to be found, one entry for each object.
        usual: images of the detections that count at most thresholds, by descending score.
        thresholds: T.
        hit_images: images of the detections that are a true positive at any threshold.
        hit_ranks: their place among those of their class and image by score.
        hit_counts: at how many thresholds.
    """

    truth_images: Int64
    usual: Int64
    thresholds: tuple[_Threshold, ...]
    hit_images: Int64
    hit_ranks: Int64
    hit_counts: Int64


def class_verdicts(matched: Matched, index: int) -> ClassVerdicts:
    """Lay out one class."""
    own = matched.of_class(index)
    true_positive = matched.true_positive[own]  # (k, T)
    counts = true_positive | matched.false_positive[own]
    images = matched.problem.detections.image_index[own]
    truths = matched.problem.truths
    usual = 2 * counts.sum(axis=1) > counts.shape[1]  # (k,)
    hits = np.flatnonzero(true_positive.any(axis=1))
    last = int(hits[-1]) + 1 if hits.size else 0  # what comes after the last true positive changes nothing
    return ClassVerdicts(
        truth_images=truths.image_index[matched.counted & (truths.labels == index)],
        usual=images[:last][usual[:last]],
        thresholds=tuple(
            _threshold(true_positive[:, column], counts[:, column] ^ usual, usual, images)
            for column in range(counts.shape[1])
        ),
        hit_images=images[hits],
        hit_ranks=matched.rank[own][hits].astype(np.int64),
        hit_counts=true_positive[hits].sum(axis=1),
    )


def _threshold(true_positive: Bool, exceptional: Bool, usual: Bool, images: Int64) -> _Threshold:
    places, exceptions = np.flatnonzero(true_positive), np.flatnonzero(exceptional)
    return _Threshold(
        images=images[places],
        ends=usual.cumsum()[places],
        exceptions=images[exceptions],
        signs=np.where(usual[exceptions], -1, 1).astype(np.int32),
        exception_ends=np.searchsorted(exceptions, places, side="right"),
    )


def weights_of(weights: Weights, images: Int64) -> Int32:
    """(R, len(images)) the weights of some images."""
    # "clip" is the mode without a second check of every index; all of them are good
    return weights.take(images, axis=1, mode="clip").astype(np.int32)


def total_weight(weights: Weights, images: Int64) -> Int64:
    """(R,) sum of the weights of some images; one that is named twice counts twice."""
    total: Int64 = weights_of(weights, images).sum(axis=1, dtype=np.int64)
    return total


def average_precision(verdicts: ClassVerdicts, weights: Weights) -> Float64:
    """(R, T) mean of the precision envelope at the 101 recall points; NaN where no object is drawn.

    Args:
        verdicts: of one class.
        weights: (R, n) how often each image is there.
    """
    instances = total_weight(weights, verdicts.truth_images)  # (R,)
    reached = _points_reached(instances)  # (R, H)
    row = np.arange(len(weights), dtype=np.int64)[:, None] * reached.shape[1]
    usual = _running_sum(weights_of(weights, verdicts.usual))  # (R, usual + 1)
    result = np.zeros((len(weights), len(verdicts.thresholds)))
    for column, one in enumerate(verdicts.thresholds):
        if not one.images.size:
            continue
        hits = weights_of(weights, one.images).cumsum(axis=1, dtype=np.int32)  # (R, P)
        counting = usual.take(one.ends, axis=1, mode="clip")  # (R, P) true and false positives up to each
        if one.exceptions.size:
            corrections = _running_sum(weights_of(weights, one.exceptions) * one.signs)
            counting += corrections.take(one.exception_ends, axis=1, mode="clip")
        envelope = _highest_from_here(hits / np.maximum(counting, 1))
        points = reached.ravel().take(hits + row, mode="clip")  # (R, P)
        points[:, 1:] -= points[:, :-1].copy()
        result[:, column] = np.einsum("rp,rp->r", points, envelope) / len(RECALL_POINTS)
    result[instances == 0] = np.nan
    return result


def recall(verdicts: ClassVerdicts, weights: Weights, limits: tuple[int, ...]) -> Float64:
    """(R, L) share of the objects that is found, mean over thresholds; NaN where no object is drawn.

    Args:
        verdicts: of one class.
        weights: (R, n) how often each image is there.
        limits: L limits on detections per image.
    """
    instances = total_weight(weights, verdicts.truth_images)
    counts = verdicts.hit_counts[:, None] * (verdicts.hit_ranks[:, None] < np.array(limits))  # (hits, L)
    # whole numbers, exact in floats
    hits = weights_of(weights, verdicts.hit_images).astype(np.float64) @ counts.astype(np.float64)
    return hits / _or_nan(instances)[:, None] / len(verdicts.thresholds)


def operating_point(
    matched: Matched, index: int, weights: Weights, *, iou: float, score_threshold: float
) -> tuple[Float64, Float64, Float64]:
    """(R,) precision, recall and F1 of a class with the detections of at least that score.

    NaN where no object is drawn; else precision is 0 where nothing is kept, as it is without weights.
    """
    own, column = matched.of_class(index), matched.at(iou)
    detections, truths = matched.problem.detections, matched.problem.truths
    own = own[detections.scores[own] >= score_threshold]
    images = detections.image_index[own]
    hits = total_weight(weights, images[matched.true_positive[own, column]])
    misses = total_weight(weights, images[matched.false_positive[own, column]])
    instances = _or_nan(total_weight(weights, truths.image_index[matched.counted & (truths.labels == index)]))
    precision = np.where(np.isnan(instances), np.nan, hits / np.maximum(hits + misses, 1))
    return precision, hits / instances, 2 * hits / (hits + misses + instances)


def _or_nan(count: Int64) -> Float64:
    return np.where(count > 0, count, np.nan)


def _running_sum(values: Int32) -> Int32:
    """(R, m + 1) sum of the first 0, 1, ..., m values."""
    total = np.zeros((values.shape[0], values.shape[1] + 1), np.int32)
    values.cumsum(axis=1, dtype=np.int32, out=total[:, 1:])
    return total


def _points_reached(instances: Int64) -> Float64:
    """(R, H) how many of the 101 recall points are reached with 0, 1, 2, ... hits; H - 1 is the most of `instances`.

    >>> _points_reached(np.array([2])).tolist()
    [[1.0, 51.0, 101.0]]
    """
    hits = np.arange(instances.max(initial=0) + 1)
    quotient = hits / np.maximum(instances, 1)[:, None]  # what pycocotools compares with the points
    # Only the nearest point can be in doubt: those below it are reached, those above it are not.
    nearest = np.rint(quotient * (len(RECALL_POINTS) - 1))
    np.minimum(nearest, len(RECALL_POINTS) - 1, out=nearest)  # hits beyond the objects of this draw: never asked for
    return nearest + (RECALL_POINTS[nearest.astype(np.intp)] <= quotient)


def _highest_from_here(values: Float64) -> Float64:
    """(R, P) the largest of this value and all to its right; no value is negative.

    >>> _highest_from_here(np.array([[0.25, 0.5, 0.0, 0.125]])).tolist()
    [[0.5, 0.5, 0.125, 0.125]]
    """
    # Floats from 0 up are ordered as their bits are, and integers, that cannot be NaN, are compared much faster.
    bits = np.ascontiguousarray(values).view(np.int64)
    highest: Float64 = np.maximum.accumulate(bits[:, ::-1], axis=1)[:, ::-1].view(np.float64)
    return highest


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


class Interval(NamedTuple):
    """From low to high; NaN where there is nothing to measure."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """Percentile intervals of the bootstrap over images, around the numbers of the evaluation, within 0..1.

    A class of which a replicate has no object is left out of that replicate: of the means, and of its own interval.

    Attributes:
        level: share of the replicates inside, such as 0.95.
        replicates: how many were drawn.
        seed: of the draws.
        headline: name of a number of `EvaluationResult` (map_50_95, map_50, map_75, map_small, ..., ar_100, ...,
            precision, recall, f1; the last three at the score threshold of the evaluation, which is not drawn anew)
            -> its interval.
        class_ap_50: C intervals.
        class_ap_50_95: C intervals.
    """

    level: float
    replicates: int
    seed: int
    headline: dict[str, Interval]
    class_ap_50: tuple[Interval, ...]
    class_ap_50_95: tuple[Interval, ...]


def bootstrap_intervals(
    by_area: Mapping[str, Matched],
    result: EvaluationResult,
    *,
    replicates: int | None = None,
    level: float = 0.95,
    seed: int = 0,
    max_detections: tuple[int, int, int] = (1, 10, 100),
) -> Intervals:
    """How far each number may be off by chance.

    Args:
        by_area: from `match_areas(problem)`.
        result: from `summarise(problem)`; its score threshold is used.
        replicates: how many to draw; None: 1000, fewer for very large problems, see `automatic_replicates`.
        level: share of the replicates inside an interval.
        seed: of the draws. Equal seeds give equal intervals.
        max_detections: as they were for `result`.

    Raises:
        ValueError: no replicate, a level that is not between 0 and 1, or a result of other classes or images.
    """
    problem = by_area["all"].problem
    if replicates is None:
        replicates = automatic_replicates(len(problem.detections))
    check_arguments(replicates, level)
    if result.class_names != problem.class_names or result.num_images != len(problem.images):
        raise ValueError("the result is of another problem: its classes or number of images differ")
    drawn = class_replicates(
        by_area,
        draw_weights(len(problem.images), replicates=replicates, seed=seed),
        score_threshold=result.score_threshold,
        max_detections=max_detections,
    )

    def interval(values: Float64, estimate: float) -> Interval:
        return Interval(*percentile_interval(centred(values, estimate), level, bounds=(0.0, 1.0)))

    classes = result.per_class
    return Intervals(
        level=level,
        replicates=replicates,
        seed=seed,
        headline={name: interval(mean_over_classes(values), getattr(result, name)) for name, values in drawn.items()},
        class_ap_50=tuple(map(interval, drawn["map_50"].T, [one.ap_50 for one in classes])),
        class_ap_50_95=tuple(map(interval, drawn["map_50_95"].T, [one.ap_50_95 for one in classes])),
    )
