"""The bootstrap over images: how far each number of an evaluation may be off by chance.

A replicate draws as many images as there are, with replacement, and evaluates what it drew. Images, not detections
or objects, are drawn because those of one image stand or fall together. The result depends on the seed alone, not on
the number of threads. A class of which no object was drawn takes no part in the means of that replicate.

An interval says how much the number would move if other images of the same kind had been evaluated. It knows nothing
of another training run, of wrong labels, or of images of another kind. The replicates are moved so that their mean is
the number (`centred` says why): on simulated test sets of 150 images, 90 to 94 % of such intervals with level 0.95 held
the true mAP or F1, of those that were not moved 84 to 92 % (tools/interval_coverage.py). Intervals from less than some
50 images are too narrow.

Shape letters: C classes, R replicates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from yolo.arrays import Float64
from yolo.evaluation.matching import Matches
from yolo.evaluation.replicates import class_replicates, draw_weights, mean_over_classes
from yolo.evaluation.result import EvaluationResult


class Interval(NamedTuple):
    """From low to high; NaN where there is nothing to measure."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """Percentile intervals of the bootstrap over images, around the numbers of the evaluation, within 0..1.

    A class of which a replicate has no object is left out of that replicate: of the means, and of its own interval.
    """

    level: float  # share of the replicates inside, such as 0.95
    replicates: int  # how many were drawn
    seed: int  # of the draws
    # name of a number of `EvaluationResult` -> its interval; precision, recall and f1 are at the score threshold of the
    # evaluation, which is not chosen anew in each replicate
    headline: dict[str, Interval]
    class_ap_50: tuple[Interval, ...]  # (C,)
    class_ap_50_95: tuple[Interval, ...]


def default_replicates(num_detections: int) -> int:
    """How many replicates a problem gets if nobody says: 1000, fewer where they would take minutes.

    By size and not by the clock, so that the same problem always gets the same intervals.

    >>> [default_replicates(count) for count in (1_000_000, 1_000_001, 4_000_000, 4_000_001)]
    [1000, 500, 500, 200]
    """
    return 1000 if num_detections <= 1_000_000 else 500 if num_detections <= 4_000_000 else 200


def check_arguments(replicates: int, level: float) -> None:
    """ValueError where there is no replicate, or a level that is not between 0 and 1."""
    if replicates < 1:
        raise ValueError(f"replicates must be at least 1, got {replicates}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level}")


def centred(values: Float64, estimate: float) -> Float64:
    """Replicates moved so that their mean is the number itself; NaN stays NaN.

    Images that are drawn twice make precision jump more than it does among different images, and the precision
    envelope takes the highest: average precision of replicates is too high on average, and a number could lie below
    its own interval. The spread of the replicates is right, their level is not.

    >>> centred(np.array([0.5, np.nan, 0.75]), 0.5).tolist()
    [0.375, nan, 0.625]
    """
    known = values[~np.isnan(values)]
    return values + (estimate - known.mean()) if known.size else values


def percentile_interval(values: Float64, level: float, *, bounds: tuple[float, float]) -> Interval:
    """The middle `level` of the replicates that have a value, not beyond `bounds`; NaN if none has.

    >>> percentile_interval(np.array([0.0, 0.1, 0.2, 0.3, np.nan, 0.4]), 0.5, bounds=(0.0, 0.25))
    Interval(low=0.1, high=0.25)
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return Interval(math.nan, math.nan)
    return Interval(*np.quantile(known, [(1 - level) / 2, (1 + level) / 2]).clip(*bounds).tolist())


def bootstrap_intervals(
    matches: Matches,
    result: EvaluationResult,
    *,
    replicates: int | None = None,
    level: float = 0.95,
    seed: int = 0,
    max_detections: tuple[int, int, int] = (1, 10, 100),
) -> Intervals:
    """How far each number may be off by chance.

    Args:
        matches: from `match(problem)`.
        result: from `summarise(problem)`; its score threshold is used.
        replicates: how many to draw; None: 1000, fewer for very large problems, see `default_replicates`.
        level: share of the replicates inside an interval.
        seed: of the draws. Equal seeds give equal intervals.
        max_detections: as they were for `result`.

    Raises:
        ValueError: no replicate, a level that is not between 0 and 1, or a result of other classes or images.
    """
    problem = matches.problem
    if replicates is None:
        replicates = default_replicates(len(problem.detections))
    check_arguments(replicates, level)
    if result.class_names != problem.class_names or result.num_images != len(problem.images):
        raise ValueError("the result is of another problem: its classes or number of images differ")
    drawn = class_replicates(
        matches,
        draw_weights(len(problem.images), replicates=replicates, seed=seed),
        score_threshold=result.score_threshold,
        max_detections=max_detections,
    )

    def interval(values: Float64, estimate: float) -> Interval:
        return percentile_interval(centred(values, estimate), level, bounds=(0.0, 1.0))

    classes = result.per_class
    return Intervals(
        level=level,
        replicates=replicates,
        seed=seed,
        headline={name: interval(mean_over_classes(values), getattr(result, name)) for name, values in drawn.items()},
        class_ap_50=tuple(map(interval, drawn["map_50"].T, [one.ap_50 for one in classes])),
        class_ap_50_95=tuple(map(interval, drawn["map_50_95"].T, [one.ap_50_95 for one in classes])),
    )
