"""Score thresholds by class, chosen when a detector is used: the best F1, or a wanted precision or recall.

What a validation counted at the thresholds 0, 0.01, ..., 1 is kept with the weights; `yolo.evaluation` counts it. A
choice holds for images like those of the validation, with its suppression.

Shape letter: C classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from yolo.arrays import Bool, Float64, Int64

SCORE_POINTS: Float64 = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenThresholds:
    """One threshold for each class; a detection is kept if it scores as much."""

    # (C,) 0..1; NaN for classes of which the evaluation says nothing: no objects, no detections, or for F1 no right
    # one; infinity for classes of which nothing may be kept
    values: Float64
    # names of the classes that do not reach what was wanted at any threshold; their value is the one that comes
    # closest, infinity if a precision is wanted and it is 0 at all of them
    out_of_reach: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdTable:
    """What an evaluation counted at IoU 0.5, by class and score threshold."""

    class_names: tuple[str, ...]  # C
    instances: Int64  # (C,) objects to be found
    best: Float64  # (C,) the threshold with the highest F1, exact; NaN without right detections
    true_positives: Int64  # (C, 101) at the thresholds 0, 0.01, ..., 1
    false_positives: Int64  # (C, 101) likewise

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

    def _choose(self, good: Bool, thresholds: Float64) -> ChosenThresholds:
        # objects, and detections at the lowest threshold
        known = (self.instances > 0) & (self.true_positives[:, 0] + self.false_positives[:, 0] > 0)
        missed = np.flatnonzero(known & ~good.any(axis=1))
        return ChosenThresholds(
            values=np.where(known, thresholds, np.nan),
            out_of_reach=tuple(self.class_names[index] for index in missed.tolist()),
        )
