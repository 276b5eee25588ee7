"""`gridyolo data synth`: draw a dataset and say what was drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console

from yolo.config.data_commands import DataSynthConfig
from yolo.data.account import printable
from yolo.data.descriptor import find_dataset, read_split
from yolo.engine.console import say
from yolo.synthetic.dataset import make_synthetic_dataset
from yolo.synthetic.objects import CLASS_NAMES


def synth(config: DataSynthConfig, console: Console) -> Path:
    """Draw a synthetic dataset.

    Args:
        config: see `DataSynthConfig`.
        console: where to print.

    Returns:
        The path of its `dataset.yaml`.

    Raises:
        DataError: the folder is in use, a number is out of range, or a class cannot be drawn.
    """
    classes = tuple(name.strip() for name in config.classes.split(",")) if config.classes else CLASS_NAMES
    path = make_synthetic_dataset(
        Path(config.output).expanduser(),
        num_train=config.train,
        num_val=config.val,
        num_test=config.test,
        size_hw=(config.height, config.width),
        seed=config.seed,
        classes=classes,
        difficulty=config.difficulty,
        format=config.format,
    )
    descriptor = find_dataset(path)
    for name in descriptor.splits:
        split = read_split(descriptor, name)
        counts = Counter(split.images.objects.labels.tolist())
        objects = ", ".join(f"{counts[label]} {class_name}" for label, class_name in enumerate(split.class_names))
        say(console, f"{name}: {len(split.images)} images, {len(split.images.objects)} objects ({objects})")
    say(console, f"dataset: {printable(path)}")
    return path
