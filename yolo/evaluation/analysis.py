"""Everything that is known about one evaluation, in one object: what reports are made of."""

from __future__ import annotations

from dataclasses import dataclass

from yolo.detection_sets import Problem
from yolo.evaluation.bootstrap import Intervals, bootstrap_intervals
from yolo.evaluation.breakdown import Breakdown, break_down
from yolo.evaluation.calibration import Calibration, calibrate
from yolo.evaluation.coco import Matched, match_areas
from yolo.evaluation.errors import ErrorAnalysis, analyse_errors
from yolo.evaluation.label_errors import Case, find_suspects, worst_cases
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise


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


def analyse(
    problem: Problem, *, result: EvaluationResult | None = None, replicates: int | None = None, seed: int = 0
) -> Analysis:
    """Measure and explain.

    Args:
        problem: what is evaluated.
        result: of `summarise(problem)`, where it is known already.
        replicates: of the bootstrap; None to choose by the size of the problem, 0 for no intervals.
        seed: of the bootstrap.
    """
    result = result or summarise(problem)
    by_area = match_areas(problem)
    matched = by_area["all"]
    errors = analyse_errors(matched, score_threshold=result.score_threshold)
    return Analysis(
        result=result,
        matched=matched,
        intervals=None if replicates == 0 else bootstrap_intervals(by_area, result, replicates=replicates, seed=seed),
        errors=errors,
        breakdowns=break_down(problem, result),
        calibration=calibrate(matched),
        worst=worst_cases(matched, errors),
        suspects=find_suspects(matched, errors),
    )
