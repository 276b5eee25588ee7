"""Whether scores mean what they say: of detections that score 0.8, are 80 % right?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Scores against the share of detections that are right at IoU 0.5; those that do not count are left out.

    Rates are NaN where there is nothing to measure.

    Attributes:
        edges: (B+1,) of the bins over scores 0..1.
        counts: (B,) detections.
        mean_score: (B,).
        precision: (B,) share that is right.
        ece: expected calibration error: mean of |precision - mean score| over detections.
        mce: the largest such gap of a bin.
        brier: mean squared difference of score and outcome.
        temperature: T with the highest likelihood of sigmoid(logit(score) / T); above 1: scores are too sure.
        ece_after: `ece` with that temperature.
        num_detections: detections that were used.
        note: why something is NaN; else empty.
    """

    edges: Float64
    counts: Int64
    mean_score: Float64
    precision: Float64
    ece: float
    mce: float
    brier: float
    temperature: float
    ece_after: float
    num_detections: int
    note: str
