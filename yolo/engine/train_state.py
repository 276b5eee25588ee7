"""A training in progress: what it holds, putting it together, and saving it as `last.ckpt`.

`last.ckpt` is all that the rest of a training depends on, as tensors, numbers, strings, lists and dicts. Going on from
there: resume.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any, Self

import torch
from rich.console import Console

from yolo._version import __version__
from yolo.config import TrainConfig
from yolo.console import say, warn
from yolo.darknet.network import DarknetSpec
from yolo.engine.detector_file import DetectorMetadata, default_settings
from yolo.engine.environment import precision_warnings
from yolo.engine.initialise import build_start
from yolo.engine.learner import Learner, make_fabric
from yolo.engine.loggers import Loggers
from yolo.engine.progress import OnTrainingProgress
from yolo.engine.schedule import Schedule
from yolo.engine.start_options import RANDOM
from yolo.engine.train_data import TrainingData
from yolo.engine.train_log import RunFolder
from yolo.errors import ConfigError, WeightsError
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.thresholds import threshold_table
from yolo.files import atomic_write
from yolo.structures import Batch
from yolo.transforms.augment import make_transform

FORMAT = 2  # of last.ckpt


@dataclass
class TrainState:
    """How far a training is; all of it is saved."""

    epoch: int = 0  # the running one, from 0
    step_in_epoch: int = 0  # steps of it that are done
    step: int = 0  # steps done in all
    elapsed: float = 0.0  # seconds trained, earlier sessions included
    validations: int = 0  # how many are done
    best: float = -1.0  # mAP@0.5:0.95 of the best validation; -1 before the first
    best_epoch: int = -1  # its epoch
    validated_step: int = -1  # step of the last validation; -1 before the first
    term_sums: dict[str, float] = field(default_factory=dict)  # summed loss terms of the running epoch
    images_seen: int = 0  # images of the running epoch
    norm_sum: float = 0.0  # summed norms of the gradients of the running epoch, before clipping
    num_norms: int = 0  # how many they are
    seen: int = 0  # images in all, those that the first weights had seen included, as darknet counts them
    start_seen: int = 0  # images that the first weights had seen
    seconds: dict[str, float] = field(default_factory=dict)  # where the time went, see `time_use.STAGES`
    starts_as_detector: bool = False  # the weights before the first step detect all classes

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `asdict`, also for states of earlier versions.

        Raises:
            WeightsError: a field that this version does not know; the message names it.
        """
        names = {"norms": "num_norms"}  # what an earlier version called it
        known = {names.get(name, name): value for name, value in values.items()}
        if unknown := sorted(known.keys() - {one.name for one in fields(cls)}):
            raise WeightsError(f"unknown state {', '.join(unknown)}")
        return cls(**known)

    def add(self, terms: dict[str, float], num_images: int, *, grad_norm: float) -> None:
        """Add a step's loss terms, and its norm if it is finite, to those of the epoch."""
        self.term_sums = {name: self.term_sums.get(name, 0.0) + value * num_images for name, value in terms.items()}
        self.images_seen += num_images
        if math.isfinite(grad_norm):  # fp16's scaler skips a step of infinite norm by itself
            self.norm_sum += grad_norm
            self.num_norms += 1

    @property
    def grad_norm(self) -> float:
        """Mean norm of the gradients of the running epoch; NaN before its first step."""
        return self.norm_sum / self.num_norms if self.num_norms else math.nan

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage of `time_use.STAGES`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - began

    def next_epoch(self) -> None:
        """Move on to the first step of the next epoch."""
        self.epoch += 1
        self.step_in_epoch = 0
        self.term_sums, self.images_seen = {}, 0
        self.norm_sum, self.num_norms = 0.0, 0


@dataclass(kw_only=True)
class Training:
    """A running training."""

    config: TrainConfig
    folder: RunFolder  # where everything is written
    data: TrainingData  # what it learns from and is validated on
    learner: Learner  # what learns
    schedule: Schedule  # how long, and with which learning rate
    state: TrainState  # how far it is
    began: float  # when it would have begun, on the monotonic clock, had it never been interrupted
    val_batches: Iterable[Batch]  # of `data`
    loggers: Loggers  # other programs that show it
    bad_steps: int = 0  # steps in a row whose loss or gradient was not finite
    on_progress: OnTrainingProgress | None = None  # the user's function
    losses: Mapping[str, float] = field(default_factory=dict)  # terms of the last step
    metrics: Mapping[str, float] | None = None  # of the latest validation in this session

    @property
    def draws_predictors(self) -> bool:
        """Darknet draws the responsible predictors for the first images of some trainings."""
        return self.state.seen < self.config.loss.random_images

    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        self.state.elapsed = time.monotonic() - self.began
        return self.schedule.progress(self.state.step, self.state.elapsed)

    def restart_clock(self) -> None:
        """Count from now on, after what has been trained already."""
        self.began = time.monotonic() - self.state.elapsed

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
            bit_depth=self.config.bit_depth,
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
    config: TrainConfig, console: Console, *, folder: RunFolder | None = None, state: TrainState | None = None
) -> Training:
    """Read the data, build the network and the rest; nothing is trained yet.

    Args:
        config: what is wanted.
        console: where to tell of the data.
        folder: of a training to go on with; None makes a new one, after everything else has succeeded.
        state: how far the training to go on with is; None for a new one.

    Raises:
        ConfigError: options that the network, the device or the pipeline cannot use, or weights beyond `max_batches`.
        DataError: a dataset that cannot be used.
        WeightsError: weights to start from that cannot be loaded.
        SaveError: the folder cannot be written.
    """
    fabric = make_fabric(config)
    warn(console, *precision_warnings(config.precision, config.device))
    data = TrainingData.read(config, console)
    # a resumed training brings its own weights; the file of its start may be gone
    source = config.weights if state is None else RANDOM
    start = build_start(replace(config, weights=source), data.train.class_names, console)
    spec = start.network.spec
    input_hw = spec.input_hw if isinstance(spec, DarknetSpec) else (config.input_size, config.input_size)
    # a pipeline that cannot be used ends it here, before there is a folder
    make_transform(config.augment, input_hw, config.model.resize)
    learner = Learner(start.network, config, fabric, input_hw)
    if start.is_detector:
        learner.average.start_warm()
    if learner.frozen.summary:
        say(console, learner.frozen.summary)
        if config.weights == RANDOM and state is None:
            say(console, "the frozen layers have random weights; --weights gives them trained ones")
    largest = config.batch_size if config.sampling == "replacement" else min(config.batch_size, len(data.train.images))
    if -(-largest // config.subdivisions) < learner.smallest_batch:
        height, width = input_hw
        raise ConfigError(
            f"on an input of {width}x{height} the network has maps of one pixel, whose batch norms cannot train on one "
            "image at a time: use a larger batch_size, fewer subdivisions or a larger input_size"
        )
    if state is None:
        state = TrainState(seen=start.seen, start_seen=start.seen, starts_as_detector=start.is_detector)
    return Training(
        config=config,
        data=data,
        learner=learner,
        schedule=Schedule.from_config(config, data.steps_per_epoch, seen=state.start_seen),
        state=state,
        began=time.monotonic() - state.elapsed,
        val_batches=data.val_batches(input_hw, learner.device.type),
        loggers=Loggers(partial(say, console), partial(warn, console)),
        # last: a training that cannot start leaves no folder
        folder=RunFolder.create(config, spec) if folder is None else folder,
    )


def save(training: Training) -> None:
    """Write everything that the rest of a training depends on.

    Raises:
        SaveError: the disk is full, or the folder cannot be written.
    """
    state = {
        "format": FORMAT,
        "gridyolo": __version__,  # for the message of a version that cannot read it
        "config": asdict(training.config),
        "class_names": list(training.data.train.class_names),
        "position": asdict(training.state),
        "unreadable": dict(training.data.unreadable),
        "noted": dict(training.data.noted),
        **training.learner.state_dict(),
    }
    # a full disk is a RuntimeError of torch's zip writer
    with atomic_write(training.folder.last, errors=(RuntimeError,)) as temporary:
        torch.save(state, temporary)
