"""Every number of an evaluation for many draws of images at once, exactly.

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

Left out: intervals (`bootstrap`), differences of two detectors (`comparison`).

Shape letters: k detections of the class by descending score, C classes, T IoU thresholds, R draws, n images, P true
positives.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.evaluation.average_precision import RECALL_POINTS, MatchFlags
from yolo.evaluation.matching import Matches, Outcome
from yolo.process import available_cores

Weights = NDArray[np.uint16]

OPERATING_NAMES = ("precision", "recall", "f1")
_SIZES = ("small", "medium", "large")

# numbers in the largest array of a batch of replicates: bounds the memory of a thread, some 30 bytes each
_BATCH_ELEMENTS = 1 << 20


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
    """

    truth_images: Int64  # of the objects to be found, one entry for each object
    usual: Int64  # images of the detections that count at most thresholds, by descending score
    thresholds: tuple[_Threshold, ...]  # T
    hit_images: Int64  # of the detections that are a true positive at any threshold
    hit_ranks: Int64  # their place among those of their class and image by score
    hit_counts: Int64  # at how many thresholds


def class_verdicts(matches: Matches, verdicts: MatchFlags, index: int, area: int = 0) -> ClassVerdicts:
    """Lay out one class; the verdicts are those of `matches` in that area range."""
    own, first = matches.of_class(index), matches.ranking.bounds[index]
    rows = slice(*np.searchsorted(verdicts.positions, matches.ranking.bounds[index : index + 2]))
    near = verdicts.positions[rows] - first
    shape = (len(own), len(matches.iou_thresholds))
    true_positive = np.zeros(shape, np.bool_)
    counts = np.repeat(verdicts.missing[first : first + len(own), None], shape[1], axis=1)
    true_positive[near] = verdicts.true_positive[:, rows].T
    counts[near] = (verdicts.true_positive[:, rows] | verdicts.false_positive[:, rows]).T
    images = matches.problem.detections.image_index[own]
    truths = matches.problem.truths
    usual = 2 * counts.sum(axis=1) > counts.shape[1]  # (k,)
    hits = np.flatnonzero(true_positive.any(axis=1))
    last = int(hits[-1]) + 1 if hits.size else 0  # what comes after the last true positive changes nothing
    return ClassVerdicts(
        truth_images=truths.image_index[matches.counted[area] & (truths.labels == index)],
        usual=images[:last][usual[:last]],
        thresholds=tuple(
            _threshold(true_positive[:, column], counts[:, column] ^ usual, usual, images)
            for column in range(counts.shape[1])
        ),
        hit_images=images[hits],
        hit_ranks=matches.ranking.rank[own][hits].astype(np.int64),
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
    """(R, T) mean of the precision envelope at the 101 recall points; NaN where no object is drawn."""
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
    """(R, L) share of the objects found with L limits on detections, mean over thresholds; NaN without objects."""
    instances = total_weight(weights, verdicts.truth_images)
    counts = verdicts.hit_counts[:, None] * (verdicts.hit_ranks[:, None] < np.array(limits))  # (hits, L)
    # whole numbers, exact in floats
    hits = weights_of(weights, verdicts.hit_images).astype(np.float64) @ counts.astype(np.float64)
    return hits / _or_nan(instances)[:, None] / len(verdicts.thresholds)


def operating_point(
    matches: Matches, outcome: Outcome, index: int, weights: Weights, *, score_threshold: float
) -> tuple[Float64, Float64, Float64]:
    """(R,) precision, recall and F1 of a class with the detections of at least that score.

    NaN where no object is drawn; else precision is 0 where nothing is kept, as it is without weights.
    """
    detections, truths = matches.problem.detections, matches.problem.truths
    own = matches.of_class(index)
    own = own[detections.scores[own] >= score_threshold]
    images = detections.image_index[own]
    tp = total_weight(weights, images[outcome.true_positive[own]])
    fp = total_weight(weights, images[outcome.false_positive[own]])
    instances = _or_nan(total_weight(weights, truths.image_index[matches.counted[0] & (truths.labels == index)]))
    precision = np.where(np.isnan(instances), np.nan, tp / np.maximum(tp + fp, 1))
    return precision, tp / instances, 2 * tp / (tp + fp + instances)


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


def draw_weights(num_images: int, *, replicates: int, seed: int) -> Weights:
    """(R, n) how often each image is drawn; every row sums to n."""
    generator = np.random.default_rng(seed)
    weights = np.empty((replicates, num_images), np.uint16)
    for row in weights:
        row[:] = np.bincount(generator.integers(0, max(num_images, 1), num_images), minlength=num_images)
    return weights


def class_replicates(
    matches: Matches,
    weights: Weights,
    *,
    score_threshold: float,
    max_detections: tuple[int, ...] = (1, 10, 100),
    replicates_by_size: int | None = None,
) -> dict[str, Float64]:
    """Every headline number for each class in each replicate; its mean over classes is the headline number.

    Args:
        matches: from `match` with the usual thresholds and areas, or the first of these only, and the last of
            `max_detections`.
        weights: (R, n) how often each image is there.
        score_threshold: of precision, recall and F1; NaN keeps nothing.
        max_detections: of ar_1, ar_10 and ar_100.
        replicates_by_size: only so many replicates get numbers of small, medium and large objects, half of the work.

    Returns:
        Name of a number of `EvaluationResult` -> (R, C), NaN where the class has no object in the replicate.
    """
    sizes = [f"{kind}_{size}" for kind in ("map", "ar") for size in _SIZES]
    names = ("map_50_95", "map_50", "map_75", "ar_1", "ar_10", "ar_100", *sizes, *OPERATING_NAMES)
    result = {name: np.full((len(weights), matches.problem.num_classes), np.nan) for name in names}
    outcome, columns = matches.at(0.5), [matches.column(0.5), matches.column(0.75)]
    areas = {name: matches.verdicts(place) for place, name in enumerate(matches.areas)}

    def work(index: int) -> None:
        for place, (area, verdicts) in enumerate(areas.items()):
            own, drawn = class_verdicts(matches, verdicts, index, place), weights
            limits, ar_names = max_detections, ["ar_1", "ar_10", "ar_100"]
            map_names = ["map_50_95", "map_50", "map_75"]
            if area != "all":
                drawn, limits = weights[:replicates_by_size], max_detections[-1:]
                map_names, ar_names = [f"map_{area}"], [f"ar_{area}"]
            for rows in _batches(len(drawn), max(len(own.usual), len(own.truth_images))):
                precision = average_precision(own, drawn[rows])
                parts = (precision.mean(axis=1), *precision[:, columns].T)
                found = recall(own, drawn[rows], limits).T
                for name, values in (*zip(map_names, parts, strict=False), *zip(ar_names, found, strict=True)):
                    result[name][rows, index] = values
        point = operating_point(matches, outcome, index, weights, score_threshold=score_threshold)
        for name, values in zip(OPERATING_NAMES, point, strict=True):
            result[name][:, index] = values

    # the largest first, so that no thread is left with it at the end
    largest_first = np.argsort(-np.diff(matches.ranking.bounds), kind="stable").tolist()
    with ThreadPoolExecutor(available_cores()) as pool:
        for _ in pool.map(work, largest_first):  # asks for the results: what fails in a thread has to fail here
            pass
    return result


def _batches(replicates: int, elements: int) -> Iterator[slice]:
    """Replicates that are computed at once, where each takes arrays of so many elements."""
    size = max(1, _BATCH_ELEMENTS // max(elements, 1))
    for start in range(0, replicates, size):
        yield slice(start, min(start + size, replicates))


def mean_over_classes(values: Float64) -> Float64:
    """(R,) mean of the entries of (R, C) that are not NaN; NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Float64 = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
