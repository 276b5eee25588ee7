"""Whether scores mean what they say: of detections that score 0.8, are 80 % right?

"Right" is a true positive at IoU 0.5; what counts neither for nor against is left out. The measures are those of
Guo et al., On Calibration of Modern Neural Networks (ICML 2017), on detections in place of classified images.

What these numbers cannot see: objects that were not found, and detections below the score at which the detector
stops to write them. The lower that score, the more of the detections score next to nothing and rightly so, and the
better the error over all of them looks; `ece_shown` leaves them out. Two detectors should be compared
only if both wrote down to the same score.

Shape letters: K detections, B bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.evaluation.matching import Matches

# detections that people get to see: below it hardly any program draws a box
SHOWN_SCORE = 0.05

# keeps the logit finite
_SMALLEST = 1e-6
# a temperature outside says that the scores carry no information, or all there is
_TEMPERATURES = (0.01, 100.0)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Scores against the share of detections that are right at IoU 0.5; those that do not count are left out.

    Rates are NaN where there is nothing to measure.
    """

    edges: Float64  # (B+1,) of the bins over scores 0..1
    counts: Int64  # (B,) detections
    mean_score: Float64  # (B,)
    precision: Float64  # (B,) share that is right
    ece: float  # expected calibration error: mean of |precision - mean score| over detections
    mce: float  # the largest such gap of a bin
    brier: float  # mean squared difference of score and outcome
    temperature: float  # T with the highest likelihood of sigmoid(logit(score) / T); above 1: overconfident
    ece_after: float  # `ece` with that temperature
    num_detections: int  # that were used
    note: str  # what a reader should know: why something is NaN, that scores had to be clipped; else empty
    ece_shown: float = math.nan  # `ece` of the detections that score at least `SHOWN_SCORE`
    num_shown: int = 0  # how many these are


class Bins(NamedTuple):
    """Detections by score; means are NaN in empty bins."""

    counts: Int64  # (B,)
    mean_score: Float64  # (B,)
    precision: Float64  # (B,)

    @property
    def gaps(self) -> Float64:
        """|precision - mean score| of the bins that hold anything."""
        return np.abs(self.precision - self.mean_score)[self.counts > 0]

    @property
    def expected_error(self) -> float:
        """Mean gap over detections; NaN without any."""
        counts = self.counts[self.counts > 0]
        return float(self.gaps @ counts / counts.sum()) if counts.size else math.nan


def calibrate(matches: Matches, *, num_bins: int = 15) -> Calibration:
    """Compare scores with outcomes.

    Args:
        matches: with IoU 0.5, objects of every size first.
        num_bins: B, of equal width.

    Raises:
        ValueError: `num_bins` is less than 1, or 0.5 is none of the IoU thresholds.
    """
    if num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, got {num_bins}")
    _, right, wrong = matches.at(0.5)
    used = right | wrong
    given, right = matches.problem.detections.scores[used], right[used]
    scores = given.clip(0.0, 1.0)
    shown = scores >= SHOWN_SCORE
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    bins = bin_scores(scores, right, edges)
    temperature, fit_note = fit_temperature(scores, right)
    after = (
        math.nan
        if math.isnan(temperature)
        else bin_scores(apply_temperature(scores, temperature), right, edges).expected_error
    )
    outside = int(np.count_nonzero(given != scores))
    clip_note = f"{outside} scores outside 0..1 were clipped" if outside else ""
    return Calibration(
        edges=edges,
        counts=bins.counts,
        mean_score=bins.mean_score,
        precision=bins.precision,
        ece=bins.expected_error,
        mce=float(bins.gaps.max()) if scores.size else math.nan,
        brier=float(((scores - right) ** 2).mean()) if scores.size else math.nan,
        temperature=temperature,
        ece_after=after,
        num_detections=len(scores),
        note="; ".join(note for note in (clip_note, fit_note) if note),
        ece_shown=bin_scores(scores[shown], right[shown], edges).expected_error,
        num_shown=int(shown.sum()),
    )


def bin_scores(scores: Float64, right: Bool, edges: Float64) -> Bins:
    """Sort (K,) scores from 0 to 1 and their outcomes into B bins; each has its lower edge, the last has both."""
    num_bins = len(edges) - 1
    place = np.minimum(np.searchsorted(edges, scores, side="right") - 1, num_bins - 1)
    counts = np.bincount(place, minlength=num_bins)
    divisor = np.where(counts > 0, counts, np.nan)
    score_sum, right_sum = (np.bincount(place, values, minlength=num_bins) for values in (scores, right))
    return Bins(counts, score_sum / divisor, right_sum / divisor)


def apply_temperature(scores: Float64, temperature: float) -> Float64:
    """(K,) sigmoid(logit(score) / temperature); the order stays, 0.5 stays 0.5.

    >>> apply_temperature(np.array([0.5, 0.9]), 1.0).round(6).tolist()
    [0.5, 0.9]
    """
    return _sigmoid(_logit(scores) / temperature)


def fit_temperature(scores: Float64, right: Bool) -> tuple[float, str]:
    """The temperature under which the outcomes are most likely, 0.01..100, and what is odd about it.

    The likelihood is that of a logistic regression of the outcome on logit(score), with 1 / T its only parameter,
    so it has one peak: where sum(logit * (sigmoid(logit / T) - right)) is 0, which rises in 1 / T. T is NaN without
    detections or if all score 0.5; the note is empty if nothing is odd.
    """
    if not scores.size:
        return math.nan, "no detection counts, so there is nothing to measure"
    logit, (coldest, hottest) = _logit(scores), _TEMPERATURES
    if not logit.any():
        return math.nan, "every score is 0.5, which no temperature changes"

    low, high = 1 / hottest, 1 / coldest
    if _slope(logit, right, low)[0] >= 0:
        return hottest, "higher scores are not right more often: no temperature helps"
    if _slope(logit, right, high)[0] <= 0:
        text = "scores below and above 0.5 tell wrong from right without a fault: no temperature is cold enough"
        return coldest, text
    inverse = 1.0
    for _ in range(100):  # bisection alone would need about 60
        slope, curvature = _slope(logit, right, inverse)
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        newton = inverse - slope / curvature if curvature > 0 else low
        following = newton if low < newton < high else (low + high) / 2
        if abs(following - inverse) <= 1e-12 * inverse:
            break
        inverse = following
    return 1 / inverse, ""


def _slope(logit: Float64, right: Bool, inverse: float) -> tuple[float, float]:
    """First and second derivative of the negative log likelihood, by 1 / T."""
    chance = _sigmoid(logit * inverse)
    return float(logit @ (chance - right)), float((logit * logit) @ (chance * (1 - chance)))


def _logit(scores: Float64) -> Float64:
    chance = scores.clip(_SMALLEST, 1 - _SMALLEST)
    logit: Float64 = np.log(chance / (1 - chance))
    return logit


def _sigmoid(values: Float64) -> Float64:
    # as tanh, because exp would overflow
    sigmoid: Float64 = 0.5 + 0.5 * np.tanh(0.5 * values)
    return sigmoid
