"""A small dataset of shapes, options for trainings on it, and a detector that has learned nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from yolo.config import TrainConfig
from yolo.engine.detector_file import DetectorMetadata, default_settings, save_detector
from yolo.images import read_image, write_image
from yolo.models.network import GridNetwork, NetworkSpec

NAMES = ("red", "blue")


def draw_shapes(folder: Path, *, num_train: int = 8, num_val: int = 4, names: tuple[str, ...] = NAMES) -> Path:
    """Red and blue rectangles on grey noise in YOLO layout; returns the descriptor."""
    for split, count, seed in (("train", num_train, 0), ("val", num_val, 1)):
        for index in range(count):
            generator = np.random.default_rng((seed, index))
            image = generator.integers(100, 140, (64, 96, 3), dtype=np.uint8)
            lines = []
            for label in range(2):
                w, h = generator.integers(20, 36, 2)
                x, y = generator.integers(0, 48 - w) + 48 * label, generator.integers(0, 64 - h)
                image[y : y + h, x : x + w] = (220, 30, 30) if label == 0 else (30, 30, 220)
                lines.append(f"{label} {(x + w / 2) / 96} {(y + h / 2) / 64} {w / 96} {h / 64}")
            write_image(folder / "images" / split / f"{index}.png", image)
            labels = folder / "labels" / split / f"{index}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text("\n".join(lines))
    descriptor = folder / "shapes.yaml"
    content = {"path": ".", "train": "images/train", "val": "images/val", "names": list(names)}
    descriptor.write_text(yaml.safe_dump(content))
    return descriptor


def break_image(path: Path) -> None:
    """Leave a file whose header is whole, so that only decoding finds that the rest is missing."""
    encoded = cv2.imencode(".jpg", read_image(path))[1].tobytes()
    path.write_bytes(encoded[: len(encoded) - 100])


def quick_config(data: Path, runs: Path, **changes: object) -> TrainConfig:
    """Options for a training of seconds."""
    values: dict[str, object] = {
        "data": str(data),
        "weights": "none",
        "input_size": 64,
        "epochs": 2,
        "batch_size": 4,
        "workers": 0,
        "validations": 2,
        "device": "cpu",
        "report": False,
        "runs": str(runs),
    }
    return TrainConfig(**(values | changes))  # type: ignore[arg-type]


def write_untrained(path: Path, *, names: tuple[str, ...] = NAMES, **changes: Any) -> Path:
    """A detector of the shapes with a torchvision backbone and random weights; `changes` are those of its spec."""
    torch.manual_seed(1)
    spec = replace(NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=len(names)), **changes)
    predict, val = default_settings(spec)
    metadata = DetectorMetadata(
        network=spec,
        class_names=names,
        category_ids=None,
        input_hw=(64, 64),
        resize="letterbox",
        metrics={},
        training={},
        predict=predict,
        val=val,
    )
    save_detector(path, GridNetwork(spec), metadata)
    return path
