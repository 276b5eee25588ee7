"""How far a number may be off by chance: bootstrap confidence intervals over images.

Shape letters: C classes, R replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Interval(NamedTuple):
    """From low to high; NaN where there is nothing to measure."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """Percentile intervals of the bootstrap over images.

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
