"""How far a training or a validation is, as a program is told that watches it: what `on_progress` is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from yolo.evaluation.result import EvaluationResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a training is: after a step, or after a validation."""

    folder: Path  # the run folder
    epoch: int  # the running one, from 1
    epochs: int | None  # planned; None where updates or minutes end the run
    step: int  # steps of the epoch that are done; 0 after the validation of a detector to start from
    steps_per_epoch: int
    share: float  # of the whole run that is done, in [0, 1]
    seconds_left: float  # expected
    lr: float  # learning rate of the latest step; the peak before the first one
    # weighted loss terms of the step by name, means over its images; empty if it was skipped, or before the first
    losses: Mapping[str, float]
    metrics: Mapping[str, float] | None  # of the latest validation in this session, see `metrics_of`; None before
    validated: bool = False  # whether this call follows a validation, and not a step


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationProgress:
    """How far a validation is, after each batch."""

    images: int  # images that are done, those that could not be read included
    num_images: int  # images of the split

    @property
    def share(self) -> float:
        """Share of the images that are done, in [0, 1]."""
        return self.images / self.num_images


OnTrainingProgress = Callable[[TrainingProgress], object]
OnValidationProgress = Callable[[ValidationProgress], object]


def metrics_of(result: EvaluationResult) -> dict[str, float]:
    """The main numbers of a validation under their names in `EvaluationResult`; NaN where there is nothing to find."""
    names = ("map_50", "map_50_95", "precision", "recall")
    return {name: getattr(result, name) for name in names}
