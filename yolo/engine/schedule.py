"""How far a training is, and which learning rate that means.

A run ends after its epochs or after its minutes, whichever comes first; progress in [0, 1] is the larger of the
two shares, so that the learning rate has come down when the run ends, however it ends.
"""

import math
from dataclasses import dataclass

from yolo.config import TrainConfig

_DEFAULT_EPOCHS = 100
_MAX_WARMUP_STEPS = 500


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The plan of a run.

    Attributes:
        steps_per_epoch: batches in an epoch.
        epochs: the run ends after this many; None for no limit.
        seconds: the run ends after this long; None for no limit. One of the two is set.
        warmup: share of the run over which the rate rises.
        final_lr: rate at the end as a share of the peak.
    """

    steps_per_epoch: int
    epochs: int | None
    seconds: float | None
    warmup: float
    final_lr: float

    @classmethod
    def from_config(cls, config: TrainConfig, steps_per_epoch: int) -> "Schedule":
        """The plan that a configuration asks for."""
        unlimited = config.epochs is None and config.max_minutes is not None
        return cls(
            steps_per_epoch=steps_per_epoch,
            epochs=None if unlimited else config.epochs or _DEFAULT_EPOCHS,
            seconds=None if config.max_minutes is None else 60 * config.max_minutes,
            warmup=config.optimizer.warmup,
            final_lr=config.optimizer.final_lr,
        )

    def progress(self, step: int, elapsed: float) -> float:
        """Share of the run that is done, after `step` steps and `elapsed` seconds, in [0, 1]."""
        by_steps = step / (self.epochs * self.steps_per_epoch) if self.epochs else 0.0
        by_time = elapsed / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_time))

    def lr_factor(self, step: int, progress: float) -> float:
        """Learning rate as a share of the peak: linear warm-up, then half a cosine.

        >>> plan = Schedule(steps_per_epoch=10, epochs=10, seconds=None, warmup=0.1, final_lr=0.0)
        >>> [round(plan.lr_factor(step, step / 100), 2) for step in (0, 4, 10, 55, 100)]
        [0.0, 0.4, 1.0, 0.5, 0.0]
        """
        # by whichever comes first: a run that its time budget ends early must not end in its warm-up
        rise = max(progress / self.warmup if self.warmup else 1.0, (step + 1) / _MAX_WARMUP_STEPS)
        if rise < 1:
            return rise
        share = (progress - self.warmup) / (1 - self.warmup) if self.warmup < 1 else 1.0
        return self.final_lr + (1 - self.final_lr) * (1 + math.cos(math.pi * min(1.0, max(0.0, share)))) / 2
