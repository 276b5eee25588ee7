"""How good detections are: matching, average precision, the evaluator and its tables, plots and files.

What explains an evaluation: errors and their cost, sizes, calibration, intervals, comparison, suspicious labels.
"""

from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import ClassResult, EvaluationResult

__all__ = ["ClassResult", "EvaluationResult", "Evaluator"]
