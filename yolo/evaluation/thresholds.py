"""Precision, recall and F1 by score threshold, and the threshold that serves all classes best.

A detection is kept if its score is at least the threshold. Matching by descending score makes the verdict on
a detection independent of those below it, so one matching answers for every threshold. What is kept with the weights
is in `yolo.thresholds`.

Shape letters: C classes, K detections sorted by class, then by descending score, P thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.evaluation.result import EvaluationResult
from yolo.thresholds import ThresholdTable


@dataclass(frozen=True, slots=True, eq=False)
class ScoredVerdicts:
    """The detections of all classes with their verdicts at one IoU threshold."""

    scores: Float64  # (K,) descending within each class
    bounds: Int64  # (C+1,) class c owns the detections from bounds[c] to bounds[c+1]
    true_positive: Bool  # (K,)
    false_positive: Bool  # (K,)
    instances: Int64  # (C,) objects to be found

    def counts_at(self, thresholds: Float64) -> tuple[Int64, Int64]:
        """(C, P) true positives and (C, P) false positives of each class at some score thresholds."""
        tp, fp = (np.zeros((len(self.instances), len(thresholds)), np.int64) for _ in range(2))
        for index, (begin, end) in enumerate(pairwise(self.bounds.tolist())):
            kept = np.searchsorted(-self.scores[begin:end], -thresholds, side="right")
            tp[index] = np.append(0, self.true_positive[begin:end].cumsum())[kept]
            fp[index] = np.append(0, self.false_positive[begin:end].cumsum())[kept]
        return tp, fp

    def f1(self, tp: Int64, fp: Int64) -> Float64:
        """(C, P) F1 of (C, P) counts; NaN for classes without objects."""
        instances = self.instances[:, None]
        return np.where(instances > 0, 2 * tp / np.maximum(tp + fp + instances, 1), np.nan)

    def best_thresholds(self) -> Float64:
        """(C,) the threshold with the highest F1 of each class; NaN where no detection is right."""
        right = np.append(0, self.true_positive.cumsum())[self.bounds]
        return np.array(
            [
                self.best_threshold(np.array([index])) if right[index + 1] > right[index] else math.nan
                for index in range(len(self.instances))
            ]
        )

    def best_threshold(self, classes: Int64) -> float:
        """The threshold with the highest F1, averaged over `classes`; exact, not searched on a grid.

        Between detections F1 does not change, so the scores of the detections are the only thresholds to try. The
        highest of equally good ones is returned, NaN if the classes have no detection or no object. Classes without
        objects are ignored.
        """
        classes = classes[self.instances[classes] > 0]
        scores = np.concatenate([np.zeros(0), *(self.scores[self._of_class(index)] for index in classes.tolist())])
        if not scores.size:
            return math.nan
        # Going down all scores of all classes, each detection changes the sum by the step of its own class's F1.
        steps = np.concatenate([self._f1_steps(index) for index in classes.tolist()])
        order = np.argsort(-scores, kind="stable")
        scores, total = scores[order], steps[order].cumsum()
        # a threshold keeps all detections of its score, so only the last of equals can be chosen
        last_of_equals = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
        return float(scores[last_of_equals[np.argmax(total[last_of_equals])]])

    def _of_class(self, index: int) -> slice:
        return slice(int(self.bounds[index]), int(self.bounds[index + 1]))

    def _f1_steps(self, index: int) -> Float64:
        """How the F1 of a class with objects changes with each detection that is kept, by descending score."""
        part = self._of_class(index)
        tp, fp = (np.append(0, flags[part].cumsum()) for flags in (self.true_positive, self.false_positive))
        return np.diff(2 * tp / (tp + fp + self.instances[index]))


def threshold_table(result: EvaluationResult) -> ThresholdTable:
    """What an evaluation counted, to be kept with the weights."""
    return ThresholdTable(
        class_names=result.class_names,
        instances=np.array([one.instances for one in result.per_class], np.int64),
        best=np.array([one.best_threshold for one in result.per_class], np.float64),
        true_positives=result.true_positives,
        false_positives=result.false_positives,
    )
