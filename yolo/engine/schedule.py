"""How far a training is, and which learning rate that means.

A run ends after its epochs (or updates) or after its minutes, whichever comes first; progress in [0, 1] is the larger
of the two shares, so that with the policy `cosine` the learning rate has come down when the run ends, however it ends.
darknet's policies count updates, those before a weights file was saved included.
"""

import math
from dataclasses import dataclass, field

from yolo.config import RateConfig, TrainConfig
from yolo.darknet.net_section import learning_rate
from yolo.errors import ConfigError
from yolo.randomness import sample_generator

_DEFAULT_EPOCHS = 100
_MAX_WARMUP_STEPS = 500


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The plan of a run. It ends after the first of three limits that is reached; at least one of them is set."""

    steps_per_epoch: int  # batches in an epoch
    epochs: int | None  # limit
    seconds: float | None  # limit
    warmup: float  # share of the run over which the rate rises
    final_lr: float  # rate at the end as a share of the peak
    updates: int | None = None  # limit
    first_update: int = 0  # updates that the first weights have behind them, which darknet's policies count
    rate: RateConfig = field(default_factory=RateConfig)  # the policy `cosine` is ours, the others darknet's
    seed: int = 0  # of the policy `random`

    @classmethod
    def from_config(cls, config: TrainConfig, steps_per_epoch: int, *, seen: int = 0) -> "Schedule":
        """The plan that a configuration asks for, where the first weights were trained on `seen` images.

        Raises:
            ConfigError: the first weights are beyond `max_batches`.
        """
        unlimited = config.epochs is None and (config.max_minutes is not None or config.max_batches is not None)
        first_update = seen // config.batch_size
        updates = None if config.max_batches is None else config.max_batches - first_update
        if updates is not None and updates <= 0:
            raise ConfigError(
                f"the weights have seen {seen:,} images: update {first_update:,} of {config.batch_size} images each; "
                f"training ends at {config.max_batches:,}. Start anew from these weights with --clear-seen true"
            )
        return cls(
            steps_per_epoch=steps_per_epoch,
            epochs=None if unlimited else config.epochs or _DEFAULT_EPOCHS,
            seconds=None if config.max_minutes is None else 60 * config.max_minutes,
            warmup=config.optimizer.warmup,
            final_lr=config.optimizer.final_lr,
            updates=updates,
            first_update=first_update,
            rate=config.optimizer.rate,
            seed=config.seed,
        )

    def progress(self, step: int, elapsed: float) -> float:
        """Share of the run that is done, after `step` steps and `elapsed` seconds, in [0, 1]."""
        last = self.updates or (self.epochs or 0) * self.steps_per_epoch
        by_steps = step / last if last else 0.0
        by_time = elapsed / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_time))

    def lr_factor(self, step: int, progress: float) -> float:
        """Learning rate as a share of the peak: darknet's policy, or linear warm-up and then half a cosine.

        >>> plan = Schedule(steps_per_epoch=10, epochs=10, seconds=None, warmup=0.1, final_lr=0.0)
        >>> [round(plan.lr_factor(step, step / 100), 2) for step in (0, 4, 10, 55, 100)]
        [0.0, 0.4, 1.0, 0.5, 0.0]
        """
        if self.rate.policy != "cosine":
            draw = float(sample_generator(self.seed, step, 0).uniform())
            # darknet counts the running batch: the first update has number 1
            number = self.first_update + step + 1
            max_batches = 0 if self.updates is None else self.first_update + self.updates
            return learning_rate(self.rate, number, max_batches=max_batches, uniform=draw)
        # by whichever comes first: a run that its time budget ends early must not end in its warm-up
        rise = max(progress / self.warmup if self.warmup else 1.0, (step + 1) / _MAX_WARMUP_STEPS)
        if rise < 1:
            return rise
        share = (progress - self.warmup) / (1 - self.warmup) if self.warmup < 1 else 1.0
        return self.final_lr + (1 - self.final_lr) * (1 + math.cos(math.pi * min(1.0, max(0.0, share)))) / 2
