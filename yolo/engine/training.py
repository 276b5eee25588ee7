"""What a running training holds: data, learner, schedule, state, clock and run folder; and putting it together."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console
from torch.utils.data import DataLoader

from yolo.config import TrainConfig
from yolo.darknet.network import DarknetSpec
from yolo.engine.checkpoint import DetectorMetadata, default_settings
from yolo.engine.initialise import RANDOM, build_start
from yolo.engine.learner import Learner, make_fabric
from yolo.engine.run_folder import RunFolder
from yolo.engine.schedule import Schedule
from yolo.engine.training_data import TrainingData
from yolo.errors import ConfigError
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.thresholds import threshold_table
from yolo.structures import Batch
from yolo.transforms.presets import make_transform


@dataclass
class TrainState:
    """How far a training is; all of it is saved.

    Attributes:
        epoch: the running one, from 0.
        step_in_epoch: steps of it that are done.
        step: steps done in all.
        elapsed: seconds trained, earlier sittings included.
        validations: how many are done.
        best: mAP@0.5:0.95 of the best validation; -1 before the first.
        best_epoch: its epoch.
        validated_step: step of the last validation; -1 before the first.
        term_sums: summed loss terms of the running epoch.
        images_seen: images of the running epoch.
        seen: images in all, those that the first weights had seen included, as darknet counts them.
        start_seen: images that the first weights had seen.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    elapsed: float = 0.0
    validations: int = 0
    best: float = -1.0
    best_epoch: int = -1
    validated_step: int = -1
    term_sums: dict[str, float] = field(default_factory=dict)
    images_seen: int = 0
    seen: int = 0
    start_seen: int = 0

    def add(self, terms: dict[str, float], num_images: int) -> None:
        """Add a step's loss terms to those of the epoch."""
        self.term_sums = {name: self.term_sums.get(name, 0.0) + value * num_images for name, value in terms.items()}
        self.images_seen += num_images

    def next_epoch(self) -> None:
        """Move on to the first step of the next epoch."""
        self.epoch += 1
        self.step_in_epoch = 0
        self.term_sums, self.images_seen = {}, 0


class Clock:
    """Seconds of training.

    Args:
        before: seconds of earlier sittings.
    """

    def __init__(self, before: float = 0.0) -> None:
        self._start = time.monotonic() - before

    def seconds(self) -> float:
        """Seconds in all until now."""
        return time.monotonic() - self._start


@dataclass(kw_only=True)
class Training:
    """A running training.

    Attributes:
        config: as it was asked for.
        folder: where everything is written.
        data: what it learns from and is validated on.
        learner: what learns.
        schedule: how long, and with which learning rate.
        state: how far it is.
        clock: for how long it has been running.
        val_batches: of `data`.
        bad_steps: steps in a row whose loss or gradient was not finite.
    """

    config: TrainConfig
    folder: RunFolder
    data: TrainingData
    learner: Learner
    schedule: Schedule
    state: TrainState
    clock: Clock
    val_batches: DataLoader[Batch]
    bad_steps: int = 0

    @property
    def draws_predictors(self) -> bool:
        """Darknet draws the responsible predictors for the first images of some trainings."""
        return self.state.seen < self.config.loss.random_images

    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        self.state.elapsed = self.clock.seconds()
        return self.schedule.progress(self.state.step, self.state.elapsed)

    def seconds_left(self, progress: float) -> float:
        """Expected time to the end; 0 before the first step."""
        return self.state.elapsed * (1 - progress) / progress if progress > 0 else 0.0

    def metadata(self, result: EvaluationResult, epoch: int) -> DetectorMetadata:
        """What a weights file saved after `epoch`, from 0, with that result says of itself."""
        train, spec = self.data.train, self.learner.network.spec
        metrics = {"map_50": result.map_50, "map_50_95": result.map_50_95}
        predict, val = default_settings(spec)
        return DetectorMetadata(
            network=spec,
            class_names=train.class_names,
            category_ids=train.category_ids,
            input_hw=self.learner.input_hw,
            resize=self.config.model.resize,
            predict=predict,
            val=val,
            metrics={"split": "val"} | {name: value for name, value in metrics.items() if value == value},
            thresholds=threshold_table(result),
            seen=self.state.seen,
            training={
                "epoch": epoch + 1,
                "minutes": round(self.state.elapsed / 60, 2),
                "data": self.config.data,
                "data_sha256": self.data.sha256,
                "start_weights": self.config.weights,
                "seed": self.config.seed,
            },
        )


def prepare(
    config: TrainConfig, console: Console, *, folder: RunFolder | None = None, saved: dict[str, Any] | None = None
) -> Training:
    """Read the data, build the network and the rest; nothing is trained yet.

    Args:
        config: what is wanted.
        console: where to tell of the data.
        folder: of a training to go on with; None makes a new one, after everything else has succeeded.
        saved: state of the training to go on with, see `resume.unpack`; None for a new one.
    """
    fabric = make_fabric(config)
    data = TrainingData.read(config, console)
    # a resumed training brings its own weights; the file of its start may be gone
    start = config if saved is None else replace(config, weights=RANDOM)
    network, seen = build_start(start, len(data.train.class_names), console)
    spec = network.spec
    input_hw = spec.input_hw if isinstance(spec, DarknetSpec) else (config.input_size, config.input_size)
    # a pipeline that cannot be used ends it here, before there is a folder
    make_transform(config.augment, input_hw, config.model.resize)
    learner = Learner(network, config, fabric, input_hw)
    largest = config.batch_size if config.sampling == "replacement" else min(config.batch_size, len(data.train.images))
    if -(-largest // config.subdivisions) < learner.smallest_batch:
        height, width = input_hw
        raise ConfigError(
            f"on an input of {width}x{height} the network has maps of one pixel, whose batch norms cannot train on one "
            "image at a time: use a larger batch_size, fewer subdivisions or a larger input_size"
        )
    state = TrainState(seen=seen, start_seen=seen) if saved is None else TrainState(**saved["position"])
    return Training(
        config=config,
        data=data,
        learner=learner,
        schedule=Schedule.from_config(config, data.steps_per_epoch, seen=state.start_seen),
        state=state,
        clock=Clock(state.elapsed),
        val_batches=data.val_batches(input_hw, learner.device.type),
        # last: a training that cannot start leaves no folder
        folder=RunFolder.create(config, spec) if folder is None else folder,
    )
