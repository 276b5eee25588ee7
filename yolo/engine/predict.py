"""Prediction over a source: pictures with boxes, and everything found as JSON, with flat memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from yolo.config import PredictConfig
from yolo.engine.detector import Detector
from yolo.files import atomic_write, new_folder
from yolo.images import write_image
from yolo.media.drawing import draw_detections
from yolo.media.sources import Frame, Unreadable, open_source
from yolo.media.video import VideoWriter
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.structures import Detections


@dataclass(slots=True)
class PredictionSummary:
    """What a prediction run did.

    Attributes:
        folder: where pictures and predictions.json are.
        num_images: images or frames seen.
        num_detections: on all of them.
        skipped: images that could not be read, as "path: reason".
        mean_seconds: per image, by stage.
    """

    folder: Path
    num_images: int = 0
    num_detections: int = 0
    skipped: list[str] = field(default_factory=list)
    mean_seconds: dict[str, float] = field(default_factory=dict)
