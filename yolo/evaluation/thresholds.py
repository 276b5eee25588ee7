"""Score thresholds chosen from an evaluation: the best F1 of each class, or a wanted precision or recall.

What a validation counted at the thresholds 0, 0.01, ..., 1 is kept with the weights, so that the choice can be made
when the detector is used. The choice holds for images like those of the validation, with its suppression.

Shape letter: C classes.

Precision, recall and F1 by score threshold, and the threshold that serves all classes best.

A detection is kept if its score is at least the threshold. Matching by descending score makes the verdict on
a detection independent of those below it, so one matching answers for every threshold. Precision is 0 where
nothing is kept; classes without objects have NaN throughout and take no part in means.

Shape letters: C classes, K detections sorted by class, then by descending score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int64
from yolo.evaluation.result import EvaluationResult

SCORE_POINTS: Float64 = np.linspace(0.0, 1.0, 101)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenThresholds:
    """One threshold for each class; a detection is kept if it scores as much.

    Attributes:
        values: (C,) 0..1; NaN for classes of which the evaluation says nothing: no objects, no detections, or for F1
            no right one; infinity for classes of which nothing may be kept.
        out_of_reach: names of the classes that do not reach what was wanted at any threshold; their value is the one
            that comes closest, infinity if a precision is wanted and it is 0 at all of them.
    """

    values: Float64
    out_of_reach: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdTable:
    """What an evaluation counted at IoU 0.5, by class and score threshold.

    Attributes:
        class_names: C names.
        instances: (C,) objects to be found.
        best: (C,) the threshold with the highest F1, exact; NaN without right detections.
        true_positives: (C, 101) at the thresholds 0, 0.01, ..., 1.
        false_positives: (C, 101) likewise.
    """

    class_names: tuple[str, ...]
    instances: Int64
    best: Float64
    true_positives: Int64
    false_positives: Int64

    @classmethod
    def of_result(cls, result: EvaluationResult) -> Self:
        """The table of an evaluation."""
        return cls(
            class_names=result.class_names,
            instances=np.array([one.instances for one in result.per_class], np.int64),
            best=np.array([one.best_threshold for one in result.per_class], np.float64),
            true_positives=result.true_positives,
            false_positives=result.false_positives,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {
            "class_names": list(self.class_names),
            "instances": self.instances.tolist(),
            "best": [None if math.isnan(value) else value for value in self.best.tolist()],
            "true_positives": self.true_positives.tolist(),
            "false_positives": self.false_positives.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: `values` is something else.
        """
        names = tuple(map(str, values["class_names"]))
        hits, misses = (np.array(values[name], np.int64) for name in ("true_positives", "false_positives"))
        table = cls(
            class_names=names,
            instances=np.array(values["instances"], np.int64),
            best=np.array(values["best"], np.float64),  # float64 reads None as NaN
            true_positives=hits,
            false_positives=misses,
        )
        grid = (len(names), len(SCORE_POINTS))
        if {hits.shape, misses.shape} != {grid} or {table.instances.shape, table.best.shape} != {grid[:1]}:
            raise ValueError(f"the table must be {grid}, got {hits.shape} and {misses.shape}")
        return table

    @classmethod
    def from_metrics(cls, metrics: dict[str, Any]) -> Self:
        """The table in the content of a metrics.json; raises as `from_dict`."""
        return cls.of_result(EvaluationResult.from_dict(metrics))

    def best_f1(self) -> ChosenThresholds:
        """The highest F1 of each class."""
        return ChosenThresholds(values=self.best)

    def for_precision(self, wanted: float) -> ChosenThresholds:
        """The highest recall of each class that comes with a precision of at least `wanted`, 0..1."""
        found = self.true_positives + self.false_positives
        precision = np.where(found > 0, self.true_positives / np.maximum(found, 1), -1.0)  # (C, 101)
        good = precision >= wanted
        # recall falls with the threshold, so the lowest good one; else the one that comes closest
        place = np.where(good.any(axis=1), good.argmax(axis=1), precision.argmax(axis=1))
        hopeless = ~good.any(axis=1) & (precision.max(axis=1) <= 0)
        return self._choose(good, np.where(hopeless, np.inf, SCORE_POINTS[place]))

    def for_recall(self, wanted: float) -> ChosenThresholds:
        """The highest threshold of each class that keeps a recall of at least `wanted`, 0..1."""
        # compared in whole objects: a recall of 9 in 10 reaches 0.9
        needed = np.ceil(wanted * self.instances - 1e-9)[:, None]
        good = self.true_positives >= needed
        last = len(SCORE_POINTS) - 1 - good[:, ::-1].argmax(axis=1)
        return self._choose(good, np.where(good.any(axis=1), SCORE_POINTS[last], 0.0))

    def _choose(self, good: NDArray[np.bool_], thresholds: Float64) -> ChosenThresholds:
        # objects, and detections at the lowest threshold
        known = (self.instances > 0) & (self.true_positives[:, 0] + self.false_positives[:, 0] > 0)
        missed = np.flatnonzero(known & ~good.any(axis=1))
        return ChosenThresholds(
            values=np.where(known, thresholds, np.nan),
            out_of_reach=tuple(self.class_names[index] for index in missed.tolist()),
        )
