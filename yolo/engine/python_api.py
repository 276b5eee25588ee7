"""`yolo.train`, `validate`, `predict`: the commands `train`, `val`, `predict` as functions, with the same options.

`TrainOptions`, `ValOptions` and `PredictOptions` list the options for editors and type checkers; the configurations are
what counts, and a test holds them together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from rich.console import Console

from yolo.config import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig, PredictConfig, TrainConfig, ValConfig
from yolo.config.from_python import explicit_options, make_config
from yolo.config.options import BoxPolicy, Precision, Protocol
from yolo.config.python_words import python_words
from yolo.console import say, stdout
from yolo.engine import predict as prediction
from yolo.engine import train as training
from yolo.engine import validate as validation
from yolo.engine.evaluation_display import AFTER_VAL, print_result, print_skipped
from yolo.engine.predict import PredictionSummary
from yolo.engine.progress import OnTrainingProgress, OnValidationProgress
from yolo.engine.start_options import start_defaults
from yolo.engine.train import TrainingRun
from yolo.engine.validate import ValidationRun
from yolo.errors import ConfigError

StrPath = str | Path


class TrainOptions(TypedDict, total=False):
    """The options of `yolo.train`; what they mean is said at `TrainConfig` and by `gridyolo train --help-all`."""

    cfg: StrPath
    backbone: str
    weights: StrPath
    freeze: str | int
    clear_seen: bool
    input_size: int
    epochs: int | None
    max_minutes: float | None
    max_batches: int | None
    batch_size: int
    subdivisions: int
    sampling: Literal["epoch", "replacement"]
    device: str
    precision: Literal["auto", "32", "bf16", "fp16"]
    bit_depth: int
    workers: int | None
    seed: int
    box_policy: BoxPolicy
    validations: int
    cache: Literal["ram", "disk", "none"]
    cache_mb: int
    cache_dir: StrPath
    tensorboard: bool
    wandb: bool
    mlflow: bool
    report: bool
    runs: StrPath
    name: str
    resume: StrPath | None
    model: ModelConfig | Mapping[str, Any]
    loss: LossConfig | Mapping[str, Any]
    augment: AugmentConfig | Mapping[str, Any]
    optimizer: OptimizerConfig | Mapping[str, Any]


class ValOptions(TypedDict, total=False):
    """The options of `yolo.validate`; what they mean is said at `ValConfig` and by `gridyolo val --help`."""

    cfg: StrPath
    names: StrPath
    split: str
    box_policy: BoxPolicy
    protocol: Protocol
    input_size: int | None
    tile: int | None
    overlap: float | None
    batch_size: int
    device: str
    precision: Precision
    bit_depth: int | None
    workers: int | None
    score_threshold: float | None
    iou_threshold: float | None
    max_detections: int | None
    bootstrap: int | None
    report: bool
    runs: StrPath
    name: str


class PredictOptions(TypedDict, total=False):
    """The options of `yolo.predict`; what they mean is said at `PredictConfig` and by `gridyolo predict --help`."""

    limit: int | None
    start: float | None
    end: float | None
    every: str
    timeout: float
    reconnects: int
    cfg: StrPath
    names: StrPath
    score_threshold: float | StrPath | None
    min_precision: float | None
    min_recall: float | None
    iou_threshold: float | None
    max_detections: int | None
    classes: str
    class_agnostic: bool
    input_size: int | None
    tile: int | None
    overlap: float | None
    device: str
    precision: Precision
    bit_depth: int | None
    track: bool
    line: str
    zone: str
    line_width: int | None
    labels: bool
    show: bool
    save_images: bool
    save: str
    runs: StrPath
    name: str


def train(
    data: StrPath | None = None,
    *,
    on_progress: OnTrainingProgress | None = None,
    console: Console | None = None,
    verbose: bool = False,
    **options: Unpack[TrainOptions],
) -> TrainingRun:
    """Train a detector, as `gridyolo train` does.

    Sections are dicts, such as `optimizer={"lr": 1e-3}`, or configurations, which set every option of the section.
    Ctrl-C, or the stop button of a notebook, ends the training after its step: what is returned says so.

    Args:
        data: the dataset, a YAML file or a folder; None with `resume`.
        on_progress: called after every step and every validation with a `TrainingProgress`. What it returns is ignored;
            what it raises ends the training, which is saved as after Ctrl-C and goes on with `resume`.
        console: print there what the command prints.
        verbose: print it on standard output; by default nothing is printed.
        options: those of the command line, by name.

    Raises:
        ConfigError: an unknown option, a value of the wrong type, or options that make no sense together.
        DataError: a dataset that cannot be used.
        WeightsError: weights that cannot be loaded.
        GridYoloError: the disk is full, the loss stayed non-finite, or another process trains in the run folder.

    Example:
        run = yolo.train("photos", max_minutes=10, optimizer={"lr": 1e-3})
        print(run.best, run.metrics.map_50)
    """
    given: dict[str, Any] = dict(options)
    if data is not None:
        given["data"] = data
    with python_words():
        console = _console(console, verbose, on_progress)
        config = make_config(TrainConfig, given, defaults=_start_defaults(given))
        explicit = explicit_options(TrainConfig, given)
        return training.train(config, console, on_progress, explicit_options=explicit)


def validate(
    weights: StrPath,
    data: StrPath,
    *,
    on_progress: OnValidationProgress | None = None,
    console: Console | None = None,
    verbose: bool = False,
    **options: Unpack[ValOptions],
) -> ValidationRun:
    """Measure a trained detector on labelled images, as `gridyolo val` does.

    Args:
        weights: a detector of `gridyolo train`, or darknet's weights.
        data: the dataset, a YAML file or a folder.
        on_progress: called after every batch with a `ValidationProgress`; what it raises ends the validation.
        console: print there how the data was read, and the table.
        verbose: print it on standard output; by default nothing is printed.
        options: those of the command line, by name.

    Raises:
        ConfigError: an unknown option, a value of the wrong type, or options that make no sense together.
        DataError: a dataset that cannot be used.
        WeightsError: weights that cannot be loaded.

    Example:
        run = yolo.validate("runs/train/weights/best.safetensors", "photos", split="test")
        print(run.metrics)
    """
    with python_words():
        console = _console(console, verbose, on_progress)
        config = make_config(ValConfig, {"weights": weights, "data": data, **options})
        run = validation.validate(config, on_progress, console)
    if console is not None:
        print_skipped(run.evaluation.skipped, console)
        print_result(run.metrics, console, remedy=AFTER_VAL)
        say(console, f"written: {run.folder}")
    return run


def predict(
    weights: StrPath,
    source: StrPath | Sequence[StrPath],
    *,
    console: Console | None = None,
    verbose: bool = False,
    **options: Unpack[PredictOptions],
) -> PredictionSummary:
    """Detect on everything that a source gives and write pictures and files, as `gridyolo predict` does.

    To go on with the results in Python, call a `Detector`, or its method `predict`.

    Args:
        weights: a detector of `gridyolo train`, a run folder, or darknet's weights.
        source: an image, a folder, a glob, a video and so on; or several, one after the other.
        console: print there what the command prints.
        verbose: print it on standard output, with a line per image; by default nothing is printed.
        options: those of the command line, by name.

    Raises:
        ConfigError: an unknown option, a value of the wrong type, or options that make no sense together.
        DataError: a source that does not exist or gives no image.
        WeightsError: weights that cannot be loaded.

    Example:
        summary = yolo.predict("runs/train", "holiday.mp4", score_threshold=0.4)
        print(summary.folder, summary.num_detections)
    """
    with python_words():
        console = _console(console, verbose)
        config = make_config(PredictConfig, {"weights": weights, "source": source, "verbose": verbose, **options})
        return prediction.predict(config, console)


def _start_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from the weights or the cfg; values of a wrong type are left to `make_config`."""
    given = {name: options.get(name) for name in ("weights", "cfg")}
    texts = {name: str(value) for name, value in given.items() if isinstance(value, str | os.PathLike) and str(value)}
    numbers = {name: options.get(name) for name in ("input_size", "epochs")}
    whole = {name: value for name, value in numbers.items() if isinstance(value, int) and value > 0}
    return start_defaults(**texts, **whole) if texts else {}  # type: ignore[arg-type]


def _console(console: Console | None, verbose: bool, on_progress: object = None) -> Console | None:
    """Where to print; ConfigError for what cannot be printed to, or called."""
    if console is not None and not isinstance(console, Console):
        raise ConfigError(f"console must be a rich.console.Console, got {type(console).__name__}")
    if on_progress is not None and not callable(on_progress):
        raise ConfigError(f"on_progress must be a function, got {type(on_progress).__name__}")
    return stdout() if console is None and verbose else console
