"""Precision, recall and F1 by score threshold, and the threshold that serves all classes best.

A detection is kept if its score is at least the threshold. Matching by descending score makes the verdict on
a detection independent of those below it, so one matching answers for every threshold. Precision is 0 where
nothing is kept; classes without objects have NaN throughout and take no part in means.

Shape letters: C classes, K detections sorted by class, then by descending score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.evaluation.result import EvaluationResult
from yolo.thresholds import SCORE_POINTS, ThresholdTable


class OperatingPoint(NamedTuple):
    """Per class at one score threshold, NaN for classes without objects."""

    precision: Float64  # (C,)
    recall: Float64  # (C,)
    f1: Float64  # (C,)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredVerdicts:
    """The detections of all classes with their verdicts at one IoU threshold.

    Attributes:
        scores: (K,) descending within each class.
        bounds: (C+1,) class c owns the detections from bounds[c] to bounds[c+1].
        true_positive: (K,).
        false_positive: (K,).
        instances: (C,) objects to be found.
    """

    scores: Float64
    bounds: Int64
    true_positive: Bool
    false_positive: Bool
    instances: Int64

    def of_class(self, index: int) -> slice:
        """The detections of a class."""
        return slice(int(self.bounds[index]), int(self.bounds[index + 1]))

    def f1_after_each(self, index: int) -> Float64:
        """F1 of a class with objects if its k best detections are kept, k = 0, 1, ..., all: (k+1,)."""
        part = self.of_class(index)
        hits = np.append(0, self.true_positive[part].cumsum())
        misses = np.append(0, self.false_positive[part].cumsum())
        f1: Float64 = 2 * hits / (hits + misses + self.instances[index])
        return f1

    def num_kept(self, index: int, thresholds: Float64) -> Int64:
        """How many detections of a class score at least each threshold."""
        return np.searchsorted(-self.scores[self.of_class(index)], -thresholds, side="right")


def f1_curves(verdicts: ScoredVerdicts) -> Float64:
    """(C, 101) F1 of each class at the thresholds 0, 0.01, ..., 1."""
    curves = np.full((len(verdicts.instances), len(SCORE_POINTS)), np.nan)
    for index in np.flatnonzero(verdicts.instances).tolist():
        curves[index] = verdicts.f1_after_each(index)[verdicts.num_kept(index, SCORE_POINTS)]
    return curves


def counts_by_threshold(verdicts: ScoredVerdicts) -> tuple[Int64, Int64]:
    """(C, 101) true positives and (C, 101) false positives of each class at the thresholds 0, 0.01, ..., 1."""
    hits, misses = (np.zeros((len(verdicts.instances), len(SCORE_POINTS)), np.int64) for _ in range(2))
    for index in range(len(verdicts.instances)):
        part = verdicts.of_class(index)
        kept = verdicts.num_kept(index, SCORE_POINTS)
        hits[index] = np.append(0, verdicts.true_positive[part].cumsum())[kept]
        misses[index] = np.append(0, verdicts.false_positive[part].cumsum())[kept]
    return hits, misses


def at_threshold(verdicts: ScoredVerdicts, score_threshold: float) -> OperatingPoint:
    """Precision, recall and F1 of every class at one threshold."""
    num_classes = len(verdicts.instances)
    point = OperatingPoint(*(np.full(num_classes, np.nan) for _ in OperatingPoint._fields))
    for index in np.flatnonzero(verdicts.instances).tolist():
        part = verdicts.of_class(index)
        kept = int(verdicts.num_kept(index, np.array([score_threshold]))[0])
        hits = int(verdicts.true_positive[part][:kept].sum())
        misses = int(verdicts.false_positive[part][:kept].sum())
        point.precision[index] = hits / max(hits + misses, 1)
        point.recall[index] = hits / verdicts.instances[index]
        point.f1[index] = verdicts.f1_after_each(index)[kept]
    return point


def best_threshold(verdicts: ScoredVerdicts, classes: Int64) -> float:
    """The threshold with the highest F1, averaged over `classes`; exact, not searched on a grid.

    Between detections F1 does not change, so the scores of the detections are the only thresholds to try. The
    highest of equally good ones is returned, NaN if the classes have no detection or no object.

    Args:
        verdicts: of all classes.
        classes: indices to average over; those without objects are passed over.
    """
    classes = classes[verdicts.instances[classes] > 0]
    if not classes.size:
        return float("nan")
    # Going down all scores of all classes, each detection changes the sum by the step of its own class's F1.
    scores = np.concatenate([verdicts.scores[verdicts.of_class(index)] for index in classes.tolist()])
    steps = np.concatenate([np.diff(verdicts.f1_after_each(index)) for index in classes.tolist()])
    if not scores.size:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    scores, total = scores[order], steps[order].cumsum()
    # a threshold keeps all detections of its score, so only the last of equals can be chosen
    last_of_equals = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    return float(scores[last_of_equals[np.argmax(total[last_of_equals])]])


def threshold_table(result: EvaluationResult) -> ThresholdTable:
    """What an evaluation counted, to be kept with the weights."""
    return ThresholdTable(
        class_names=result.class_names,
        instances=np.array([one.instances for one in result.per_class], np.int64),
        best=np.array([one.best_threshold for one in result.per_class], np.float64),
        true_positives=result.true_positives,
        false_positives=result.false_positives,
    )
