"""How good detections are: matching, average precision, the evaluator and its tables, plots and files."""

from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import ClassResult, EvaluationResult

__all__ = ["ClassResult", "EvaluationResult", "Evaluator"]
