"""`train`: the command and its epoch loop; one step is in learner.py.

Data order and augmentation depend on (seed, epoch, index) only; the whole state is saved after every epoch and when
interrupted, so that a resumed run is the uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from rich.console import Console

from yolo.config import TrainConfig
from yolo.console import counted, say
from yolo.engine.detector_file import save_detector
from yolo.engine.loggers import require_clients
from yolo.engine.pace import Pace, minutes
from yolo.engine.progress import OnTrainingProgress, TrainingProgress, metrics_of
from yolo.engine.resume import SavedRun, open_run, resume
from yolo.engine.start_auto import resolve_auto
from yolo.engine.train_end import finish, measure, print_pace_notes
from yolo.engine.train_log import TrainingDisplay
from yolo.engine.train_state import Training, prepare, save
from yolo.engine.validate import Evaluation, LossMeter
from yolo.errors import ConfigError, DataError, GridYoloError, SaveError
from yolo.evaluation.result import EvaluationResult
from yolo.files import expand_home, write_json
from yolo.losses.yolo_loss import TERM_NAMES
from yolo.models.network import count_parameters
from yolo.process import StopRequest, freed_memory_kept, stop_request
from yolo.structures import Batch

_MAX_BAD_STEPS = 10
_DRAWN_BATCHES = 3


@dataclass(frozen=True, slots=True, repr=False)
class TrainingRun:
    """How a training ended."""

    folder: Path  # the run folder
    # of the best weights on the val split; None if interrupted, or if it was finished before
    evaluation: Evaluation | None
    best_epoch: int  # epoch of the best weights, from 1; 0 for those of the detector that it started from
    minutes: float  # trained in all
    interrupted: str  # name of the signal that stopped it, or ""
    unreadable: dict[str, str]  # images that were skipped, with the reason
    # seconds by stage of `time_use.STAGES`, in all sessions; empty if it was finished before
    seconds: dict[str, float] = field(default_factory=dict)
    extension: tuple[str, ...] = ()  # if it was finished before: options of --resume that make it twice as long

    @property
    def best(self) -> Path:
        """The weights of the best validation, for `Detector`; not there if it was interrupted before the first one."""
        return self.folder / "weights" / "best.safetensors"

    @property
    def report_path(self) -> Path | None:
        """The report, where there is one."""
        path = self.folder / "report.html"
        return path if path.is_file() else None

    @property
    def metrics(self) -> EvaluationResult:
        """The numbers of the best weights on the val split.

        Raises:
            GridYoloError: the training was interrupted, so that nothing was measured at its end; or it was finished
                before, and its metrics.json is gone.
        """
        if self.interrupted:
            raise GridYoloError(
                f"the training was interrupted by {self.interrupted}: resume {self.folder} to measure it"
            )
        return self.evaluation.result if self.evaluation else _saved_metrics(self.folder / "metrics.json")

    def __repr__(self) -> str:
        how = self.evaluation.result.summary() if self.evaluation else f"interrupted={self.interrupted!r}"
        return (
            f"TrainingRun({how}, best_epoch={self.best_epoch}, minutes={self.minutes:.1f}, folder={str(self.folder)!r})"
        )


def train(
    config: TrainConfig,
    console: Console | None = None,
    on_progress: OnTrainingProgress | None = None,
    *,
    explicit_options: Collection[str] = (),
) -> TrainingRun:
    """Train a detector, or go on with a training; see `TrainConfig`.

    Args:
        config: the options.
        console: where to tell of it; None says nothing.
        on_progress: called after every step and every validation; see `yolo.train`.
        explicit_options: options that the user gave, by dotted name. For a training to go on with they count as given
            even where they have their default values.

    Raises:
        ConfigError: options that make no sense together.
        DataError: a dataset that cannot be used.
        WeightsError: weights that cannot be loaded.
        SaveError: the disk is full.
        GridYoloError: the loss stayed non-finite, or another process trains in the run folder.
    """
    console = console or Console(quiet=True)
    require_clients(config)  # before there is a folder
    if config.data:  # it is saved, and may be read again from another working directory
        config = replace(config, data=str(expand_home(config.data).absolute()))
    if config.resume is None:
        training = prepare(resolve_auto(config, console), console)
    else:
        run = open_run(config, explicit_options=explicit_options)
        if run.is_finished:
            return _finished(run, console)
        training = resume(run, console)
    training.on_progress = on_progress
    try:
        return _run(training, console)
    except SaveError as error:
        if not training.folder.last.exists():
            raise
        raise SaveError(f"{error} and continue with: gridyolo train --resume {training.folder.path}") from error
    finally:
        training.folder.release()


def _finished(run: SavedRun, console: Console) -> TrainingRun:
    """Result for a run that had already finished."""
    run.folder.release()
    if run.config.optimizer.peak_lr != run.former.optimizer.peak_lr:
        raise ConfigError(
            f"{run.folder.path} has finished ({run.length}), so another --optimizer.lr would change nothing; extend it "
            f"as well: {' '.join(run.extension)}"
        )
    say(
        console,
        f"{run.folder.path} has finished ({run.length}): nothing was trained; a larger --epochs or --max-minutes "
        "extends it",
    )
    return TrainingRun(
        folder=run.folder.path,
        evaluation=None,
        best_epoch=run.state.best_epoch + 1,
        minutes=run.state.elapsed / 60,
        interrupted="",
        unreadable=dict(run.saved["unreadable"]),
        extension=run.extension,
    )


def _saved_metrics(path: Path) -> EvaluationResult:
    try:
        return EvaluationResult.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise GridYoloError(f"{path}: cannot be read ({error}); gridyolo val measures the weights again") from error


def _run(training: Training, console: Console) -> TrainingRun:
    state = training.state
    _announce(training, console)
    _open_loggers(training)
    pace = Pace()
    try:
        with stop_request() as stop, freed_memory_kept(), TrainingDisplay(training.schedule.epochs, console) as display:
            _fit(training, stop, display)
        evaluation = None
        if not stop:
            print_pace_notes(training, pace, console)
            write_json(training.folder.path / "data.json", training.data.to_dict())
            evaluation = finish(training, console)
            training.folder.event("finished", step=state.step, signal="", seconds=_rounded(state.seconds))
        else:
            _leave_interrupted(training, signal=stop.signal_name)
    finally:
        training.loggers.finish({}, completed=False)  # unless `finish` has done it
    return TrainingRun(
        folder=training.folder.path,
        evaluation=evaluation,
        best_epoch=state.best_epoch + 1,
        minutes=state.elapsed / 60,
        interrupted=stop.signal_name,
        unreadable=dict(training.data.unreadable),
        seconds=dict(state.seconds),
    )


def _leave_interrupted(training: Training, *, signal: str, **values: str) -> None:
    """Write what a run that was saved and is to be resumed shows of itself."""
    folder, state = training.folder, training.state
    write_json(folder.path / "data.json", training.data.to_dict())
    folder.plot(folder.history(state.best_epoch + 1))
    folder.event("interrupted", step=state.step, signal=signal, seconds=_rounded(state.seconds), **values)


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(value, 2) for stage, value in seconds.items()}


def _open_loggers(training: Training) -> None:
    require_clients(training.config)  # which a resumed run brings with it
    training.loggers.open(training.config, training.folder.path, first_step=training.state.step)
    training.restart_clock()  # waiting for a server is not training


def _fit(training: Training, stop: StopRequest, display: TrainingDisplay) -> None:
    """Epochs until the schedule is over or somebody asks to stop."""
    state, learner = training.state, training.learner
    unmixed = 1 - training.config.augment.close_mosaic

    def with_mosaic(epoch: int) -> bool:
        """By the epoch's first step, so that whole epochs are alike, or by the time that has gone by."""
        steps_before = epoch * training.schedule.steps_per_epoch
        return training.schedule.progress(steps_before, state.elapsed) < unmixed

    if state.starts_as_detector and state.validated_step < 0:
        _measure_start(training, display)
    start = (state.epoch, state.step_in_epoch)
    loader = training.data.train_batches(learner.input_hw, learner.device.type, start=start, with_mosaic=with_mosaic)
    batches = iter(loader)
    speed = 0.0  # images per second
    while training.progress() < 1 and not stop:
        began, images_before = time.monotonic(), state.images_seen
        _train_epoch(training, batches, stop, display)
        speed = (state.images_seen - images_before) / (time.monotonic() - began)
        if not stop and state.step_in_epoch >= training.schedule.steps_per_epoch:
            _end_epoch(training, display, images_per_second=speed)
        with state.timed("saving"):
            save(training)
            training.folder.plot_now_and_then(state.best_epoch + 1)
        if not stop and state.validated_step == state.step:
            _notify(training, validated=True)
    if not stop:
        _settle(training, display, images_per_second=speed)


def _measure_start(training: Training, display: TrainingDisplay) -> None:
    """Validate the detector to start from: until a validation is better, its weights are the best."""
    columns = _validate(training, -1, display)
    map_50, map_50_95 = columns["metrics/mAP50"], columns["metrics/mAP50-95"]
    display.say(f"the detector to start from: mAP50 {map_50:.3f}, mAP50-95 {map_50_95:.3f}")
    save(training)
    _notify(training, validated=True)


def _train_epoch(training: Training, batches: Iterator[Batch], stop: StopRequest, display: TrainingDisplay) -> None:
    """The rest of an epoch: the next batch, a step with it, log."""
    state, learner, schedule = training.state, training.learner, training.schedule
    learner.train_mode()
    for _ in range(state.step_in_epoch, schedule.steps_per_epoch):
        with state.timed("images"):
            batch = next(batches)
        if state.step < _DRAWN_BATCHES:
            with state.timed("saving"):
                training.data.draw_batch(training.folder.batch_picture(state.step), batch)
        learner.set_lr(schedule.lr_factor(state.step, training.progress()))
        _report_images(training, batch, display)
        with state.timed("steps"):
            terms = _train_step(training, batch.to(learner.device, non_blocking=True), display)
        state.step += 1
        state.step_in_epoch += 1
        progress = training.progress()
        left = training.seconds_left(progress)
        display.step(state.epoch, state.step_in_epoch, schedule.steps_per_epoch, seconds_left=left)
        _notify(training, terms)
        if stop or progress >= 1:
            break


def _train_step(training: Training, batch: Batch, display: TrainingDisplay) -> dict[str, float]:
    """Forward, loss, backward, non-finite check, update; `batch` is on the device.

    Returns:
        The terms of the loss; none if the step was skipped.
    """
    state, learner = training.state, training.learner
    state.seen += len(batch)
    if len(batch) < learner.smallest_batch:
        return {}
    terms = learner.learn(batch, random_predictors=training.draws_predictors)
    if not (math.isfinite(sum(terms.values())) and learner.update()):
        _discard_step(training, batch, terms, display)
        return {}
    state.add(terms, len(batch), grad_norm=learner.grad_norm)
    training.bad_steps = 0
    values = {"step/loss": sum(terms.values()), "step/lr": learner.lr, "step/grad_norm": learner.grad_norm}
    training.loggers.step(state.step + 1, values)
    return terms


def _discard_step(training: Training, batch: Batch, terms: dict[str, float], display: TrainingDisplay) -> None:
    """Skip a step that is not finite and undo what it did; give up after many in a row."""
    training.learner.discard()
    training.bad_steps += 1
    step, images = training.state.step, training.data.train.images
    bad = [name for name, value in terms.items() if not math.isfinite(value)] or ["gradient"]
    paths = [str(images[index].path) for index in batch.indices]
    training.folder.event("non-finite step", step=step, terms=bad, images=paths)
    display.warn(f"step {step}: {', '.join(bad)} not finite, step skipped (its images are in events.jsonl)")
    if training.bad_steps >= _MAX_BAD_STEPS:
        raise GridYoloError(
            f"{', '.join(bad)} was not finite for {_MAX_BAD_STEPS} steps in a row; "
            f"lower --optimizer.lr (now {training.config.optimizer.peak_lr}) or use --precision 32"
        )


def _end_epoch(training: Training, display: TrainingDisplay, *, images_per_second: float) -> None:
    """Validate if it is time to, write the epoch's row and line, move on if the epoch is complete."""
    state = training.state
    # with replacement an epoch may leave out some images: that none was seen says as much
    unreadable = training.data.unreadable
    if state.seen == state.start_seen or len(unreadable) == len(training.data.train.images):
        raise DataError("no training image could be read; the first: " + next(iter(unreadable.values())))
    # NaN where every step of the epoch was discarded
    terms = {name: state.term_sums.get(name, math.nan) / max(1, state.images_seen) for name in TERM_NAMES}
    progress = training.progress()
    row: dict[str, float | int] = {f"train/{name}_loss": value for name, value in terms.items()}
    row["grad_norm"] = state.grad_norm
    if int(progress * training.config.validations) > state.validations or progress >= 1:
        state.validations = int(progress * training.config.validations)
        row |= _validate(training, state.epoch, display)
    row |= {"epoch": state.epoch + 1, "time": state.elapsed, "lr/pg0": training.learner.lr}
    training.folder.epoch(row)
    training.loggers.epoch(state.step, row)
    left = training.seconds_left(progress)
    display.epoch(state.epoch, row, images_per_second=images_per_second, seconds_left=left)
    # one that the schedule ended early is not: a run that is extended goes on within it, and writes its row anew
    if state.step_in_epoch >= training.schedule.steps_per_epoch:
        state.next_epoch()


def _settle(training: Training, display: TrainingDisplay, *, images_per_second: float) -> None:
    """Validate the last weights if the schedule ended within an epoch, or between two validations."""
    if training.state.step_in_epoch:
        _end_epoch(training, display, images_per_second=images_per_second)
    elif training.state.validated_step != training.state.step:
        _validate(training, training.state.epoch - 1, display)  # the epoch that has just ended
    else:
        return
    with training.state.timed("saving"):
        save(training)
    _notify(training, validated=True)


def _validate(training: Training, epoch: int, display: TrainingDisplay) -> dict[str, float]:
    """Measure the average after `epoch` as `val` does, save it if it is the best; returns columns of its row."""
    state, network = training.state, training.learner.average.network
    state.validated_step = state.step
    with state.timed("validation"):
        meter = LossMeter(training.learner.loss, training.learner.network.spec)

        def on_batch(batch: Batch, raw: torch.Tensor | None) -> None:
            meter(batch, raw)
            display.validated(len(batch) + len(batch.skipped), len(training.data.val.images))

        result = measure(training, training.learner.fused_average(), on_batch=on_batch).result
    training.metrics = metrics_of(result)
    # NaN, where val has no objects, counts as 0: the first weights are saved all the same
    score = result.map_50_95 if result.map_50_95 == result.map_50_95 else 0.0
    if score >= state.best:
        state.best, state.best_epoch = score, epoch
        with state.timed("saving"):
            save_detector(training.folder.best, network, training.metadata(result, epoch))
    training.folder.event("validated", epoch=epoch + 1, map_50=result.map_50, map_50_95=result.map_50_95)
    return {
        **{f"val/{name}_loss": value for name, value in meter.means.items()},
        "metrics/precision": result.precision,
        "metrics/recall": result.recall,
        "metrics/mAP50": result.map_50,
        "metrics/mAP50-95": result.map_50_95,
    }


def _notify(training: Training, losses: Mapping[str, float] | None = None, *, validated: bool = False) -> None:
    """Call the user's function after a step with those losses, or after a validation was saved."""
    if losses is not None:
        training.losses = losses
    if training.on_progress is None:
        return
    state, schedule, progress = training.state, training.schedule, training.progress()
    epochs_before = max(0, state.step - 1) // schedule.steps_per_epoch
    told = TrainingProgress(
        folder=training.folder.path,
        epoch=epochs_before + 1,
        epochs=schedule.epochs,
        step=state.step - epochs_before * schedule.steps_per_epoch,
        steps_per_epoch=schedule.steps_per_epoch,
        share=progress,
        seconds_left=training.seconds_left(progress),
        lr=training.learner.lr,
        losses=training.losses,
        metrics=training.metrics,
        validated=validated,
    )
    try:
        training.on_progress(told)
    except BaseException as error:  # the way to stop a training: its step is done
        save(training)
        _leave_interrupted(training, signal="", error=type(error).__name__)
        raise


def _report_images(training: Training, batch: Batch, display: TrainingDisplay) -> None:
    """Tell once of each image that cannot be read, or is odd."""
    data = training.data
    for image in batch.skipped:
        if image.path not in data.unreadable:
            data.unreadable[image.path] = image.reason
            training.folder.event("image skipped", path=image.path, reason=image.reason)
            display.warn(f"skipped: {image.reason}")
    for note in batch.notes:
        if note.path not in data.noted:
            data.noted[note.path] = note.text
            training.folder.event("image noted", path=note.path, text=note.text)
            display.say(f"note: {note.text}")


def _announce(training: Training, console: Console) -> None:
    folder, schedule, learner = training.folder, training.schedule, training.learner
    folder.write_environment(learner.device)
    folder.event("started", epoch=training.state.epoch, step=training.state.step)
    write_json(folder.path / "data.json", training.data.to_dict())
    budget = [counted(schedule.epochs, "epoch", "epochs")] if schedule.epochs else []
    budget += [counted(schedule.updates, "update", "updates")] if schedule.updates else []
    if schedule.seconds:
        budget.append(minutes(schedule.seconds))
    (height, width), grid = learner.input_hw, learner.grid
    say(
        console,
        f"{learner.network.spec.name}: {count_parameters(learner.network) / 1e6:.2f} M parameters, "
        f"input {width}x{height}, grid {grid.grid_size}x{grid.grid_size}x({grid.boxes_per_cell}·5"
        f"+{grid.num_classes}), on {learner.device}, precision {training.config.precision}",
        f"training for {' or '.join(budget)}, "
        f"{counted(schedule.steps_per_epoch, 'step', 'steps')} of {training.config.batch_size} images per epoch; "
        f"{counted(len(training.data.val.images), 'image', 'images')} to validate on; everything goes to {folder.path}",
    )
    left = len(training.data.train.images) % training.config.batch_size
    if 0 < left < learner.smallest_batch and training.config.sampling == "epoch":
        say(
            console,
            "the last batch of an epoch has one image and is skipped: the network has maps of one pixel, whose batch "
            "norms cannot train on one image",
        )
