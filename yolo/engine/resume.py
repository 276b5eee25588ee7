"""A training's state as plain tensors, numbers and strings, and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from yolo.config import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig, RateConfig, TrainConfig
from yolo.engine.checkpoint import load_state
from yolo.engine.schedule import Schedule
from yolo.engine.training import Position, Training
from yolo.errors import ConfigError, WeightsError

_FORMAT = 2
# What may be another machine's when a run goes on.
CHANGEABLE = frozenset({"resume", "data", "device", "workers", "cache", "cache_mb", "cache_dir"})
_DEFAULTS = TrainConfig(resume="-")


def pack(training: Training) -> dict[str, Any]:
    """Everything that the rest of a training depends on."""
    return {
        "format": _FORMAT,
        "config": asdict(training.config),
        "class_names": list(training.splits["train"].class_names),
        "position": asdict(training.position),
        "unreadable": dict(training.unreadable),
        "noted": dict(training.noted),
        "network": training.network.state_dict(),
        "average": training.average.network.state_dict(),
        "average_steps": training.average.steps,
        "optimizer": training.optimizer.state_dict(),
        "precision": training.fabric.strategy.precision.state_dict(),
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if training.device.type == "cuda" else [],
    }


def read_resumable(folder: Path, given: TrainConfig) -> tuple[TrainConfig, dict[str, Any]]:
    """Configuration and state of an interrupted run.

    Args:
        folder: the run folder.
        given: options beside `resume`; only those of `CHANGEABLE` may differ from their defaults.

    Raises:
        ConfigError: `folder` is no run folder, or another option was given.
        WeightsError: its state is missing, damaged or from another version.
    """
    changed = [name for name, value in asdict(given).items() if value != asdict(_DEFAULTS)[name]]
    refused = [name for name in changed if name not in CHANGEABLE]
    if refused:
        raise ConfigError(
            f"resume goes on with the options of {folder}: leave out {', '.join(refused)} "
            f"(only {', '.join(sorted(CHANGEABLE - {'resume'}))} may be given)"
        )
    path = folder / "weights" / "last.ckpt"
    if not folder.is_dir():
        raise ConfigError(f"resume: {folder} is not a folder; name the run folder, such as runs/train")
    state = load_state(path)
    if state.get("format") != _FORMAT:
        raise WeightsError(f"{path}: has format {state.get('format')!r}, this gridyolo reads {_FORMAT}")
    values = dict(state["config"])
    values["model"] = ModelConfig(**values["model"])
    values["loss"] = LossConfig(**values["loss"])
    values["augment"] = AugmentConfig(**values["augment"])
    optimizer = dict(values["optimizer"])
    optimizer["rate"] = RateConfig(**optimizer["rate"])
    values["optimizer"] = OptimizerConfig(**optimizer)
    values |= {name: getattr(given, name) for name in changed if name != "resume"}
    if values["cfg"]:  # as it was trained: the file that was named may have changed since
        values["cfg"] = str(folder / "network.cfg")
    return TrainConfig(**values), state


def unpack(state: dict[str, Any], training: Training) -> None:
    """Put a saved state into a freshly prepared training.

    Raises:
        WeightsError: the dataset's classes are not those of the state.
    """
    saved, found = tuple(state["class_names"]), training.splits["train"].class_names
    if saved != found:
        raise WeightsError(
            f"{training.log.last}: was trained on the classes {', '.join(saved)}, but {training.config.data} "
            f"now has {', '.join(found)}; restore the dataset or start a new run"
        )
    training.network.load_state_dict(state["network"])
    training.average.network.load_state_dict(state["average"])
    training.average.steps = state["average_steps"]
    training.optimizer.load_state_dict(state["optimizer"])
    training.fabric.strategy.precision.load_state_dict(state["precision"])
    torch.set_rng_state(state["torch_rng"])
    if training.device.type == "cuda":
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    training.position = Position(**state["position"])
    plan, seen = training.schedule, training.position.start_seen
    training.schedule = Schedule.from_config(training.config, plan.steps_per_epoch, seen=seen)
    training.unreadable = dict(state["unreadable"])
    training.noted = dict(state.get("noted", {}))
    training.elapsed_before = training.position.elapsed
