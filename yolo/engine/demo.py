"""The main job from nothing: make images, train, validate, predict, say where to look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from yolo.config import DemoConfig, PredictConfig, TrainConfig
from yolo.config.training import DEFAULT
from yolo.console import counted, say
from yolo.curate.synthetic import make_synthetic_dataset
from yolo.engine.predict import predict
from yolo.engine.train import TrainingRun, train
from yolo.files import new_folder
from yolo.models.efficientnet_lite import EFFICIENTNET_LITE0

_INPUT_SIZE = 192
_IMAGE_SIZE_HW = (256, 256)
# Validation included; measured on 2 cores of the machine of docs/results.md.
_IMAGES_PER_SECOND = 95


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demo left behind."""

    training: TrainingRun
    look_at: dict[str, Path]  # files and folders worth a look, by what they are


def demo(config: DemoConfig, console: Console) -> DemoOutcome:
    """Run the demo in a new run folder; see `DemoConfig`."""
    folder = new_folder(Path(config.runs), config.name)
    num_val = max(1, config.images // 8)
    say(console, f"drawing {config.images} training and {num_val} validation images")
    data = make_synthetic_dataset(
        folder / "data", num_train=config.images, num_val=num_val, size_hw=_IMAGE_SIZE_HW, seed=config.seed
    )
    minutes = max(1, round(config.epochs * config.images / _IMAGES_PER_SECOND / 60))
    say(
        console,
        f"training for {counted(config.epochs, 'epoch', 'epochs')} takes about {counted(minutes, 'minute', 'minutes')} "
        "on 2 CPU cores; the result does not depend on how fast they are",
    )
    training = train(
        TrainConfig(
            data=str(data),
            backbone=EFFICIENTNET_LITE0,
            weights=DEFAULT,
            input_size=_INPUT_SIZE,
            epochs=config.epochs,
            seed=config.seed,
            runs=str(folder),
            name="train",
            validations=4,
        ),
        console,
    )
    look_at = {"the training images": folder / "data" / "images" / "train"}
    if training.interrupted:
        return DemoOutcome(training, look_at)
    summary = predict(
        PredictConfig(
            weights=str(training.best), source=str(folder / "data" / "images" / "val"), runs=str(folder), name="predict"
        )
    )
    look_at |= {
        "the report: numbers and what to fix": training.folder / "report.html",
        "truth (left) and detections (right)": training.folder / "samples.jpg",
        "the held-out images with boxes": summary.folder,
        "training curves": training.folder / "results.png",
        "every number": training.folder / "metrics.json",
        "the trained detector": training.best,
    }
    return DemoOutcome(training, look_at)
