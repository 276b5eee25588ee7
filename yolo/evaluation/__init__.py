"""How good detections are, and why: matching and average precision by COCO's and VOC's rules, and what explains them.

Explained by kinds of errors and their cost, label errors, breakdown by size, calibration, intervals and comparison.
Left out: pages, plots and files (the folder `report`).
"""

from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import ClassResult, EvaluationResult

__all__ = ["ClassResult", "EvaluationResult", "Evaluator"]
