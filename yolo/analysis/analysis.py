"""Everything that is known about one evaluation, in one object: what reports are made of."""

from __future__ import annotations

from dataclasses import dataclass

from yolo.analysis.breakdown import Breakdown
from yolo.analysis.calibration import Calibration
from yolo.analysis.cases import Case
from yolo.analysis.errors import ErrorAnalysis
from yolo.analysis.intervals import Intervals
from yolo.evaluation.matched import Matched
from yolo.evaluation.result import EvaluationResult


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """An evaluation and what explains it.

    Attributes:
        result: the numbers.
        matched: at IoU 0.5 to 0.95, objects of every size, at most 100 detections of each class and image; cases and
            errors point into its detections and objects.
        intervals: of the numbers; None where nobody asked for them.
        errors: by kind, with their cost.
        breakdowns: by size, aspect and crowding.
        calibration: of the scores.
        worst: kind of error -> its worst cases, the worst first.
        suspects: labels that are probably wrong, the surest first.
    """

    result: EvaluationResult
    matched: Matched
    intervals: Intervals | None
    errors: ErrorAnalysis
    breakdowns: tuple[Breakdown, ...]
    calibration: Calibration
    worst: dict[str, tuple[Case, ...]]
    suspects: tuple[Case, ...]
