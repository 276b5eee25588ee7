"""`last.ckpt`: all that a training needs to go on, as tensors, numbers, strings, lists and dicts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from yolo.config import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig, RateConfig, TrainConfig
from yolo.engine.run_folder import RunFolder
from yolo.engine.training import Training, prepare
from yolo.errors import ConfigError, WeightsError
from yolo.files import atomic_write

_FORMAT = 2
# What may be another machine's when a run goes on.
CHANGEABLE = frozenset({"resume", "data", "device", "workers", "cache", "cache_mb", "cache_dir"})
_DEFAULTS = TrainConfig(resume="-")


def save(training: Training) -> None:
    """Write everything that the rest of a training depends on."""
    state = {
        "format": _FORMAT,
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


def resume(given: TrainConfig, console: Console) -> Training:
    """The training of a run folder, ready to go on.

    Args:
        given: options; beside `resume` only those of `CHANGEABLE` may differ from their defaults.
        console: where to tell of the data.

    Raises:
        ConfigError: `given.resume` is not a run folder, or another option was given.
        WeightsError: its state is missing, damaged or from another version, or the dataset's classes have changed.
    """
    assert given.resume is not None
    folder = Path(given.resume)
    changed = [name for name, value in asdict(given).items() if value != asdict(_DEFAULTS)[name]]
    refused = [name for name in changed if name not in CHANGEABLE]
    if refused:
        raise ConfigError(
            f"resume goes on with the options of {folder}: leave out {', '.join(refused)} "
            f"(only {', '.join(sorted(CHANGEABLE - {'resume'}))} may be given)"
        )
    if not folder.is_dir():
        raise ConfigError(f"resume: {folder} is not a folder; name the run folder, such as runs/train")
    last = folder / "weights" / "last.ckpt"
    if not last.is_file():
        raise WeightsError(f"{last}: no such training state; the run may not have reached its first save")
    run_folder = RunFolder(folder)
    try:
        saved = load_state(last)
        config = _config_of(saved, folder, {name: getattr(given, name) for name in changed if name != "resume"})
        training = prepare(config, console, folder=run_folder, saved=saved)
        _restore(training, saved)
    except BaseException:
        run_folder.release()
        raise
    return training


def _restore(training: Training, saved: dict[str, Any]) -> None:
    """Put a saved state into a freshly prepared training."""
    classes, found = tuple(saved["class_names"]), training.data.train.class_names
    if classes != found:
        raise WeightsError(
            f"{training.folder.last}: was trained on the classes {', '.join(classes)}, but {training.config.data} "
            f"now has {', '.join(found)}; restore the dataset or start a new run"
        )
    training.learner.load_state_dict(saved)
    training.data.unreadable.update(saved["unreadable"])
    training.data.noted.update(saved.get("noted", {}))
    training.folder.keep_epochs(training.state.epoch)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state without executing anything in it; WeightsError if it cannot be used."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes tell it to
        raise WeightsError(f"{path}: is damaged, or not a training state ({type(error).__name__})") from error
    if state.get("format") != _FORMAT:
        raise WeightsError(f"{path}: has format {state.get('format')!r}, this gridyolo reads {_FORMAT}")
    return state


def _config_of(saved: dict[str, Any], folder: Path, changes: dict[str, Any]) -> TrainConfig:
    """The saved configuration with some options changed."""
    values = dict(saved["config"])
    values["model"] = ModelConfig(**values["model"])
    values["loss"] = LossConfig(**values["loss"])
    values["augment"] = AugmentConfig(**values["augment"])
    optimizer = dict(values["optimizer"])
    values["optimizer"] = OptimizerConfig(**optimizer | {"rate": RateConfig(**optimizer["rate"])})
    if values["cfg"]:  # as it was trained: the file that was named may have changed since
        values["cfg"] = str(folder / "network.cfg")
    return TrainConfig(**values | changes)
