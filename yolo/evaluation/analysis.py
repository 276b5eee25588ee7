"""Everything that is known about one evaluation, in one object: what reports are made of."""

from __future__ import annotations

from dataclasses import dataclass

from yolo.detection_sets import EvaluationData
from yolo.evaluation.bootstrap import Intervals, bootstrap_intervals
from yolo.evaluation.breakdown import Breakdown, break_down
from yolo.evaluation.calibration import Calibration, calibrate
from yolo.evaluation.errors import ErrorAnalysis, analyse_errors
from yolo.evaluation.examples import Example, error_examples
from yolo.evaluation.label_errors import find_label_errors
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise_matches


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """An evaluation and what explains it."""

    result: EvaluationResult
    matches: Matches  # examples and errors point into its detections and objects
    intervals: Intervals | None  # of the numbers; None where nobody asked for them
    errors: ErrorAnalysis
    breakdowns: tuple[Breakdown, ...]  # by size, aspect and crowding
    calibration: Calibration
    examples: dict[str, tuple[Example, ...]]  # kind of error -> those to see first, the worst first
    label_errors: tuple[Example, ...]  # labels that are probably wrong, the likeliest first


def analyse(
    problem: EvaluationData, *, result: EvaluationResult | None = None, replicates: int | None = None, seed: int = 0
) -> Analysis:
    """Measure and explain.

    Args:
        problem: what is evaluated.
        result: of `summarise(problem)`, where it is known already.
        replicates: of the bootstrap; None to choose by the size of the problem, 0 for no intervals.
        seed: of the bootstrap.
    """
    matches = match(problem)
    result = result or summarise_matches(matches)
    errors = analyse_errors(matches, score_threshold=result.score_threshold)
    return Analysis(
        result=result,
        matches=matches,
        intervals=None if replicates == 0 else bootstrap_intervals(matches, result, replicates=replicates, seed=seed),
        errors=errors,
        breakdowns=break_down(problem, result),
        calibration=calibrate(matches),
        examples=error_examples(matches, errors),
        label_errors=find_label_errors(matches, errors),
    )
