"""gridyolo: detect objects with a grid.

The names below are the public interface; they are imported when first used, so that `import yolo` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from yolo._version import __version__

if TYPE_CHECKING:
    from yolo.engine.detector import Detector
    from yolo.engine.predict import PredictionSummary
    from yolo.engine.progress import TrainingProgress, ValidationProgress
    from yolo.engine.python_api import predict, train, validate
    from yolo.engine.result import Detection, Result
    from yolo.engine.train import TrainingRun
    from yolo.engine.validate import ValidationRun
    from yolo.errors import GridYoloError
    from yolo.evaluation.evaluator import Evaluator
    from yolo.evaluation.result import EvaluationResult
    from yolo.grid import GridSpec
    from yolo.images import read_image
    from yolo.losses.yolo_loss import YoloLoss
    from yolo.structures import Detections, GroundTruth

__all__ = [
    "Detection",
    "Detections",
    "Detector",
    "EvaluationResult",
    "Evaluator",
    "GridSpec",
    "GridYoloError",
    "GroundTruth",
    "PredictionSummary",
    "Result",
    "TrainingProgress",
    "TrainingRun",
    "ValidationProgress",
    "ValidationRun",
    "YoloLoss",
    "__version__",
    "predict",
    "read_image",
    "train",
    "validate",
]

_HOMES = {
    "Detection": "yolo.engine.result",
    "Detections": "yolo.structures",
    "Detector": "yolo.engine.detector",
    "EvaluationResult": "yolo.evaluation.result",
    "Evaluator": "yolo.evaluation.evaluator",
    "GridSpec": "yolo.grid",
    "GridYoloError": "yolo.errors",
    "GroundTruth": "yolo.structures",
    "PredictionSummary": "yolo.engine.predict",
    "Result": "yolo.engine.result",
    "TrainingProgress": "yolo.engine.progress",
    "TrainingRun": "yolo.engine.train",
    "ValidationProgress": "yolo.engine.progress",
    "ValidationRun": "yolo.engine.validate",
    "YoloLoss": "yolo.losses.yolo_loss",
    "predict": "yolo.engine.python_api",
    "read_image": "yolo.images",
    "train": "yolo.engine.python_api",
    "validate": "yolo.engine.python_api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'yolo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
