"""How far a number may be off by chance: bootstrap confidence intervals over images.

An interval says how much the number would move if other images of the same kind had been evaluated. It knows nothing
of another training run, of wrong labels, or of images of another kind. The replicates are moved so that their mean is
the number (`centred` in bootstrap.py says why): on simulated test sets of 150 images, 90 to 94 % of such intervals
with level 0.95 held the true mAP or F1, of those that were not moved 84 to 92 % (tools/interval_coverage.py). Intervals
from less than some 50 images are too narrow.

Shape letters: C classes, R replicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.bootstrap import (
    automatic_replicates,
    centred,
    check_arguments,
    class_replicates,
    draw_weights,
    mean_over_classes,
    percentile_interval,
)
from yolo.evaluation.matched import Matched
from yolo.evaluation.result import EvaluationResult

Float64 = NDArray[np.float64]


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
