"""Where the time of a training went, in words, and what helps where waiting for images took much of it.

The times themselves are `TrainState.seconds`. On CUDA a step is asynchronous: its work is waited for within the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from yolo.config import TrainConfig
from yolo.console import clock
from yolo.data.loader import default_workers
from yolo.engine.validate import workers_of
from yolo.process import available_cores
from yolo.report.text import share

STAGES: Final = {
    "steps": "training steps",
    "images": "waiting for images",
    "validation": "validation",
    "saving": "saving",
    "report": "writing results",
}
# What a hint is worth: a share of the time, and seconds, because workers need a moment to start.
_MUCH_WAITING, _FEW_SECONDS = 0.2, 5.0


def describe_time(seconds: Mapping[str, float]) -> str:
    """The shares of the stages in one line.

    >>> describe_time({"steps": 90.0, "images": 6.0, "saving": 4.0})
    'time: 1:40, of which 90 % training steps, 6 % waiting for images, 4 % saving'
    """
    total = sum(seconds.values())
    parts = [f"{share(seconds[stage] / total)} {text}" for stage, text in STAGES.items() if seconds.get(stage)]
    return f"time: {clock(total)}, of which {', '.join(parts)}" if parts else "time: none"


def loading_hint(
    seconds: Mapping[str, float], config: TrainConfig, *, num_images: int, input_hw: tuple[int, int], device_type: str
) -> str:
    """What makes images arrive faster, as a sentence; empty where waiting for them took little of the time.

    Args:
        seconds: by stage.
        config: of the training.
        num_images: to train on.
        input_hw: height and width of the network's input.
        device_type: `cpu`, `cuda` or `mps`.
    """
    waited, total = seconds.get("images", 0.0), sum(seconds.values())
    if waited < _FEW_SECONDS or waited <= _MUCH_WAITING * total:
        return ""
    options = [
        *_caching_options(config, num_images, input_hw),
        *_worker_options(config, device_type),
        *(["a cheaper pipeline in --augment"] if config.augment.pipeline else []),
        "a smaller --input-size" if not config.cfg else "a smaller input in the cfg",
    ]
    listed = ", ".join(options[:-1]) + " or " * (len(options) > 1) + options[-1]
    return f"loading images limits the speed: try {listed}"


def _caching_options(config: TrainConfig, num_images: int, input_hw: tuple[int, int]) -> list[str]:
    """Options of the cache that would keep more images than now."""
    # what these train on is not what a cache keeps, see `open_cache`
    if config.augment.style == "darknet" or config.model.resize == "stretch_corners":
        return []
    if config.cache == "none":
        return ["--cache ram"]
    if config.cache == "disk":
        return []
    height, width = input_hw
    # three quarters of it are for the images to train on
    wanted_mb = -(-num_images * height * width * 3 * 4 // 3_000_000) + 1
    return [f"--cache-mb {wanted_mb}", "--cache disk"] if wanted_mb > config.cache_mb else []


def _worker_options(config: TrainConfig, device_type: str) -> list[str]:
    """More processes, where there are cores for them."""
    # beside a network on the CPU more of them would take its cores
    most = default_workers(device_type) if device_type == "cpu" else available_cores()
    return [f"--workers {most}"] if workers_of(config, device_type) < most else []
