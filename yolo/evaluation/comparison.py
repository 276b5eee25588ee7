"""Two detectors on the same images: what differs, and whether by more than chance.

The bootstrap is paired: each replicate draws images once and evaluates both detectors on them, so what makes an image
hard for both cancels out. Differences of replicates are moved so that their mean is the difference itself, see
`centred` in bootstrap.py. A p-value is twice the smaller share of replicates in which the difference is at most, or at
least, zero, with one more counted on either side so that it is never 0 (Davison and Hinkley, Bootstrap Methods and
their Application, 1997). With R replicates no p-value is below 2 / (R + 1), and none below 2 C / (R + 1) after the
correction for C classes: many classes get more replicates (`default_paired_replicates`).

Left out: what other training runs of the same recipe would have given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from yolo.arrays import Float64
from yolo.detection_sets import EvaluationData
from yolo.evaluation.bootstrap import Interval, centred, check_arguments, percentile_interval
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.replicates import class_replicates, draw_weights, mean_over_classes
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise_matches

HEADLINE = (
    *("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large", "ar_100"),
    *("precision", "recall", "f1"),
)

# the headline is not corrected for the number of classes, so these are enough for its numbers by size
_REPLICATES_BY_SIZE = 1000

# below the accuracy of sums of floats a difference is none
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of two detectors, B against A."""

    name: str  # of the number, or of the class
    a: float
    b: float
    interval: Interval  # of b - a, by the paired bootstrap over images
    p_value: float  # two-sided, of b - a = 0; NaN where there is nothing to measure
    p_adjusted: float  # after Holm's correction over the classes; equal to `p_value` for headline numbers


@dataclass(frozen=True, slots=True)
class ImageChange:
    """What became better or worse on one image, at IoU 0.5, each detector at its own score threshold."""

    image: int  # place in the image table
    found: tuple[int, int]  # objects found by A and B
    wrong: tuple[int, int]  # false positives of A and B
    objects: int  # to be found
    change: int  # (found - wrong) of B less that of A; positive is better


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A."""

    headline: tuple[Difference, ...]  # the numbers `HEADLINE`
    class_ap_50: tuple[Difference, ...]  # for each class
    class_ap_50_95: tuple[Difference, ...]
    images: tuple[ImageChange, ...]  # with a change, the largest improvement first, the largest loss last
    num_images: int
    num_better: int  # images with a positive change
    num_worse: int
    score_thresholds: tuple[float, float]  # of A and of B
    level: float  # of the intervals
    replicates: int
    seed: int


def compare(
    a: EvaluationData, b: EvaluationData, *, replicates: int | None = None, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare the detections of two problems that are equal in all else.

    Args:
        a: with the detections of the first detector.
        b: with those of the second.
        replicates: of the bootstrap; None: see `default_paired_replicates`. Numbers by object size use the first 1000.
        level: of the intervals.
        seed: of the draws. Equal seeds give equal results.

    Raises:
        ValueError: classes, images or objects differ, no replicate, or a level that is not between 0 and 1.
    """
    _check_same(a, b)
    if replicates is None:
        replicates = default_paired_replicates(max(len(a.detections), len(b.detections)), a.num_classes)
    check_arguments(replicates, level)
    matches = match(a), match(b)
    results = summarise_matches(matches[0]), summarise_matches(matches[1])
    thresholds = results[0].score_threshold, results[1].score_threshold
    weights = draw_weights(len(a.images), replicates=replicates, seed=seed)
    drawn_a, drawn_b = (
        class_replicates(one, weights, score_threshold=threshold, replicates_by_size=_REPLICATES_BY_SIZE)
        for one, threshold in zip(matches, thresholds, strict=True)
    )
    headline = []
    for name in HEADLINE:
        difference = mean_over_classes(drawn_b[name]) - mean_over_classes(drawn_a[name])
        headline.append(_difference(name, (getattr(results[0], name), getattr(results[1], name)), difference, level))
    images = _image_changes(matches, thresholds)
    return Comparison(
        headline=tuple(headline),
        class_ap_50=_of_classes(results, "ap_50", drawn_b["map_50"] - drawn_a["map_50"], level),
        class_ap_50_95=_of_classes(results, "ap_50_95", drawn_b["map_50_95"] - drawn_a["map_50_95"], level),
        images=images,
        num_images=len(a.images),
        num_better=sum(one.change > 0 for one in images),
        num_worse=sum(one.change < 0 for one in images),
        score_thresholds=thresholds,
        level=level,
        replicates=replicates,
        seed=seed,
    )


def default_paired_replicates(num_detections: int, num_classes: int) -> int:
    """How many replicates a comparison gets if nobody says.

    1000, but 50 for each class, so that a class can differ "significantly" after the correction for their number;
    fewer where that would take minutes, 200 at least. By size and not by the clock.

    >>> sizes = ((1000, 2), (400_000, 80), (4_000_000, 80), (9, 300))
    >>> [default_paired_replicates(count, classes) for count, classes in sizes]
    [1000, 4000, 500, 10000]
    """
    affordable = 2_000_000_000 // max(num_detections, 1)
    return max(200, min(max(1000, 50 * num_classes), affordable, 10_000))


def _check_same(a: EvaluationData, b: EvaluationData) -> None:
    """Refuse two problems that differ in more than their detections."""
    for what, of_a, of_b in (
        ("classes", list(a.class_names), list(b.class_names)),
        ("images", list(a.images.image_ids), list(b.images.image_ids)),
    ):
        if of_a != of_b:
            raise ValueError(f"the two cannot be compared, their {what} differ: {_first_difference(of_a, of_b)}")
    if len(a.truths) != len(b.truths):
        raise ValueError(f"the two cannot be compared: A has {len(a.truths)} objects, B has {len(b.truths)}")
    for field in fields(a.truths):
        one, other = getattr(a.truths, field.name), getattr(b.truths, field.name)
        rows = np.flatnonzero((one != other).reshape(len(one), -1).any(axis=1)) if len(one) else np.zeros(0, np.intp)
        if rows.size:
            image = a.images.image_ids[int(a.truths.image_index[rows[0]])]
            raise ValueError(
                f"the two cannot be compared: {rows.size} objects differ in {field.name}, the first on image {image!r}"
            )


def p_value_of(difference: Float64) -> float:
    """Two-sided p-value of "no difference", from differences in replicates; NaN without any that is not NaN.

    >>> p_value_of(np.zeros(99)), p_value_of(np.ones(99))  # 2 * (0 + 1) / (99 + 1)
    (1.0, 0.02)
    """
    known = difference[~np.isnan(difference)]
    if not known.size:
        return math.nan
    fewer = int(min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0)))
    return min(1.0, 2 * (fewer + 1) / (known.size + 1))


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction: the chance of any false alarm among all stays below the level. NaN takes no part.

    >>> holm([0.01, 0.04, float("nan"), 0.03])  # 3 * 0.01, 2 * 0.03, and the last not below the one before
    [0.03, 0.06, nan, 0.06]
    """
    adjusted = [math.nan] * len(p_values)
    known = sorted((index for index, p in enumerate(p_values) if not math.isnan(p)), key=p_values.__getitem__)
    highest = 0.0
    for place, index in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _image_changes(matches: tuple[Matches, Matches], score_thresholds: tuple[float, float]) -> tuple[ImageChange, ...]:
    """The images that became better or worse, the largest improvement first, in the images' order on ties."""
    problem, num_images = matches[0].problem, len(matches[0].problem.images)
    objects = np.bincount(problem.truths.image_index[matches[0].counted[0]], minlength=num_images)
    found, wrong = np.zeros((2, num_images), np.int64), np.zeros((2, num_images), np.int64)
    for side, (one, threshold) in enumerate(zip(matches, score_thresholds, strict=True)):
        _, tp, fp = one.at(0.5)
        kept, images = one.problem.detections.scores >= threshold, one.problem.detections.image_index
        found[side] = np.bincount(images[kept & tp], minlength=num_images)
        wrong[side] = np.bincount(images[kept & fp], minlength=num_images)
    change = np.diff(found - wrong, axis=0)[0]
    order = np.argsort(-change, kind="stable")
    return tuple(
        ImageChange(
            image=index,
            found=(int(found[0, index]), int(found[1, index])),
            wrong=(int(wrong[0, index]), int(wrong[1, index])),
            objects=int(objects[index]),
            change=int(change[index]),
        )
        for index in order[change[order] != 0].tolist()
    )


def _difference(name: str, values: tuple[float, float], difference: Float64, level: float) -> Difference:
    difference = centred(difference, values[1] - values[0])
    difference = np.where(np.abs(difference) < _ROUNDING, 0.0, difference)
    p_value = p_value_of(difference)
    interval = percentile_interval(difference, level, bounds=(-1.0, 1.0))
    return Difference(name, *values, interval=interval, p_value=p_value, p_adjusted=p_value)


def _of_classes(
    results: tuple[EvaluationResult, EvaluationResult], number: str, difference: Float64, level: float
) -> tuple[Difference, ...]:
    a, b = (result.per_class for result in results)
    single = [
        _difference(one.name, (getattr(one, number), getattr(other, number)), difference[:, index], level)
        for index, (one, other) in enumerate(zip(a, b, strict=True))
    ]
    adjusted = holm([one.p_value for one in single])
    return tuple(replace(one, p_adjusted=p) for one, p in zip(single, adjusted, strict=True))


def _first_difference(of_a: list[str], of_b: list[str]) -> str:
    for side, own, other in (("A", of_a, set(of_b)), ("B", of_b, set(of_a))):
        for one in own:
            if one not in other:
                return f"{one!r} is only in {side}"
    return "they are in another order"
