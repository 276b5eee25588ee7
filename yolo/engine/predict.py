"""Prediction over a source: pictures with boxes, and everything found as JSON, with flat memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


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
