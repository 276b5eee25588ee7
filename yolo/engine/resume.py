"""Going on with the training in a run folder: as it was planned, or with another length or learning rate.

A new length replaces the former one as a whole. The schedule is that of a run which had this length from the start, so
that the learning rate of a finished run rises again. An epoch that the former length ended early is completed: its row
of `results.csv` is written anew. What is changed is written to `config.yaml` before the first step, a new length or
learning rate also to `last.ckpt` and `events.jsonl`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from yolo._version import __version__
from yolo.config import TrainConfig
from yolo.config.from_python import make_config
from yolo.config.options import dotted_options
from yolo.config.training import AUTO
from yolo.console import counted, say
from yolo.engine.train_log import RunFolder
from yolo.engine.train_state import FORMAT, Training, TrainState, prepare, save
from yolo.errors import ConfigError, WeightsError
from yolo.files import expand_home

_LENGTHS = ("epochs", "max_minutes", "max_batches")
_LR = "optimizer.lr"
# The others may be another machine's when a run goes on.
_MACHINE = (
    "data",
    "device",
    "precision",
    "workers",
    "cache",
    "cache_mb",
    "cache_dir",
    "tensorboard",
    "wandb",
    "mlflow",
)
_CHANGEABLE = frozenset({*_MACHINE, *_LENGTHS, _LR})


@dataclass(frozen=True, kw_only=True)
class SavedRun:
    """A run folder that is locked, its saved state, and what is asked of it."""

    folder: RunFolder
    saved: dict[str, Any]  # the content of last.ckpt
    state: TrainState  # how far it is
    former: TrainConfig  # as it was planned
    config: TrainConfig  # as it is to go on

    @property
    def has_new_length(self) -> bool:
        """Whether the user gave it another length."""
        return _lengths(self.config) != _lengths(self.former)

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.folder.is_finished() and not self.has_new_length

    @property
    def length(self) -> str:
        """How long it was planned to be, in words."""
        epochs, minutes, batches = (getattr(self.former, name) for name in _LENGTHS)
        words = [counted(epochs, "epoch", "epochs")] if epochs else []
        words += [f"{minutes:g} minutes"] if minutes else []
        words += [counted(batches, "update", "updates")] if batches else []
        return " or ".join(words) or counted(self.state.epoch, "epoch", "epochs")

    @property
    def extension(self) -> tuple[str, ...]:
        """Options that make it twice as long as it was planned."""
        for name in _LENGTHS:
            if length := getattr(self.former, name):
                return (f"--{name.replace('_', '-')}", str(2 * length))
        return ("--epochs", str(2 * self.state.epoch))


def open_run(given: TrainConfig, *, explicit_options: Collection[str] = ()) -> SavedRun:
    """The run of the folder `given.resume`, which is locked until its `folder.release()`.

    Args:
        given: its options that differ from their defaults are to hold from now on.
        explicit_options: further options of that kind, by dotted name: those that the user gave, perhaps with their
            default values.

    Raises:
        ConfigError: `given.resume` is not a run folder, or an option that cannot change was given another value.
        WeightsError: its state is missing, damaged or from another version.
        GridYoloError: another process is training in it.
    """
    assert given.resume is not None
    path = expand_home(given.resume)
    if not path.is_dir():
        raise ConfigError(f"resume: {path} is not a folder; name the run folder, such as runs/train")
    last = path / "weights" / "last.ckpt"
    if not last.is_file():
        raise WeightsError(f"{last}: no such training state; the run may not have reached its first save")
    folder = RunFolder(path)
    try:
        saved = _load_state(last)
        former, state = _saved_position(saved, last)
        config = _changed(former, _changes(given, explicit_options, former, path))
        return SavedRun(folder=folder, saved=saved, state=state, former=former, config=config)
    except BaseException:
        folder.release()
        raise


def resume(run: SavedRun, console: Console) -> Training:
    """The training of a run, ready to go on; the run is released if that fails.

    Raises:
        ConfigError: a new length that is over already.
        DataError: the dataset cannot be used.
        WeightsError: the dataset's classes have changed.
    """
    try:
        training = prepare(run.config, console, folder=run.folder, state=run.state)
        _require_time_left(training, run)
        _restore(training, run.saved)
        _go_on(training, run, console)
    except BaseException:
        run.folder.release()
        raise
    return training


def _changes(given: TrainConfig, explicit: Collection[str], former: TrainConfig, folder: Path) -> dict[str, Any]:
    """The options that are to change, by dotted name; ConfigError where one of them cannot."""
    defaults, saved = dotted_options(TrainConfig(resume=given.resume)), dotted_options(former)
    values = dotted_options(given)
    wanted = {name: value for name, value in values.items() if value != defaults[name] or name in explicit}
    wanted.pop("resume", None)
    refused = [name for name, value in wanted.items() if name not in _CHANGEABLE and value != saved[name]]
    if refused:
        raise ConfigError(
            f"resume goes on with the options of {folder}: leave out {', '.join(refused)} "
            f"(only {', '.join(sorted(_CHANGEABLE))} can change)"
        )
    return {name: value for name, value in wanted.items() if name in _CHANGEABLE}


def _changed(config: TrainConfig, changes: dict[str, Any]) -> TrainConfig:
    """A saved configuration with some options changed; one length replaces all former ones."""
    changes = dict(changes)
    if (lr := changes.pop(_LR, None)) is not None:
        changes["optimizer"] = replace(config.optimizer, lr=lr)
    if any(changes.get(name) is not None for name in _LENGTHS):
        changes = dict.fromkeys(_LENGTHS) | changes
    return replace(config, **changes)


def _lengths(config: TrainConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _LENGTHS}


def _load_state(path: Path) -> dict[str, Any]:
    """Read a training state without executing anything in it; WeightsError if it cannot be used."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes tell it to
        best = path.with_name("best.safetensors")
        remedy = f"; {best} still works with val and predict" if best.is_file() else ""
        raise WeightsError(
            f"{path}: is damaged, or not a training state ({type(error).__name__}); restore it from a copy, or start a "
            f"new run{remedy}"
        ) from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise WeightsError(
            f"{path}: has format {found!r}, this gridyolo reads {FORMAT}; install the gridyolo that made it"
        )
    return state


def _saved_position(saved: dict[str, Any], path: Path) -> tuple[TrainConfig, TrainState]:
    """The configuration in a saved state, and how far it is; WeightsError where another version knows more of them."""
    # earlier versions froze nothing, and some saved what they were resumed from
    values = {"freeze": "", **saved["config"], "resume": None}
    if values["cfg"]:  # as it was trained: the file that was named may have changed since
        # earlier versions saved a backbone as well
        cfg = (path.parent.parent / "network.cfg").absolute()
        values |= {"cfg": str(cfg), "backbone": AUTO}
    try:
        return make_config(TrainConfig, values), TrainState.from_dict(saved["position"])
    except (ConfigError, WeightsError) as error:
        needed = f"gridyolo {saved['gridyolo']}, which" if "gridyolo" in saved else "the gridyolo that"
        raise WeightsError(
            f"{path}: gridyolo {__version__} cannot go on with it ({error}); install {needed} made it"
        ) from error


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
    state, schedule = training.state, training.schedule
    steps = state.epoch * schedule.steps_per_epoch + state.step_in_epoch
    if steps != state.step and schedule.progress(state.step, state.elapsed) < 1:
        # an earlier version counted an epoch that its length ended early as a whole one; or the data have changed
        state.epoch, state.step_in_epoch = divmod(state.step, schedule.steps_per_epoch)
    training.folder.keep_epochs(state.epoch)


def _require_time_left(training: Training, run: SavedRun) -> None:
    """ConfigError where a new length is over already; nothing has been written."""
    state, schedule = training.state, training.schedule
    if run.has_new_length and schedule.progress(state.step, state.elapsed) >= 1:
        done = f"{state.step / schedule.steps_per_epoch:.4g} epochs, {counted(state.step, 'update', 'updates')}"
        asked = ", ".join(f"{name} {value:g}" for name, value in _lengths(run.config).items() if value is not None)
        raise ConfigError(
            f"{asked}: {run.folder.path} has trained for {done} and {state.elapsed / 60:.1f} minutes already; "
            "give more than that"
        )


def _go_on(training: Training, run: SavedRun, console: Console) -> None:
    """Say where the run goes on; where it was changed, move it to its place in the new schedule, and write that."""
    state, schedule, learner = training.state, training.schedule, training.learner
    progress = schedule.progress(state.step, state.elapsed)
    if run.config != run.former:
        run.folder.write_config(run.config)
    next_lr = learner.lr_at(schedule.lr_factor(state.step, progress))
    line = f"continues at {_position(training)}, learning rate {next_lr:.1e}"
    if not run.has_new_length and run.config.optimizer == run.former.optimizer:
        say(console, line)
        return
    # as many as a run of this length would have behind it; the best one so far stays the best
    state.validations = int(progress * run.config.validations)
    run.folder.event(
        "extended",
        epoch=state.epoch,
        step=state.step,
        **_lengths(run.config),
        lr=run.config.optimizer.peak_lr,
        former=_lengths(run.former) | {"lr": run.former.optimizer.peak_lr},
    )
    save(training)
    say(console, f"{line} (was {learner.lr:.1e})")


def _position(training: Training) -> str:
    state, schedule = training.state, training.schedule
    if schedule.epochs:
        return f"epoch {state.epoch + 1} of {schedule.epochs}"
    if schedule.updates:
        return f"update {state.step + 1} of {schedule.updates}"
    return f"minute {state.elapsed / 60:.1f} of {(schedule.seconds or 0.0) / 60:g}"
