"""Training: the loop on one screen.

Devices and precision are Fabric's; data order and augmentation depend on (seed, epoch, index) only; the whole
state is saved after every epoch and when interrupted, so that a resumed run is the uninterrupted one.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from yolo.config import TrainConfig
from yolo.engine.checkpoint import default_settings, load_detector, save_detector, save_state
from yolo.engine.console import StopWish, TrainingDisplay, stop_wish
from yolo.engine.evaluate import Evaluation, evaluate_network
from yolo.engine.provenance import command_of
from yolo.engine.resume import pack, read_resumable, unpack
from yolo.engine.training import Training, prepare, train_loader
from yolo.engine.validate import write_evaluation
from yolo.errors import DataError, GridYoloError
from yolo.files import write_json
from yolo.losses.yolo_loss import TERM_NAMES
from yolo.models.fusion import fuse
from yolo.models.network import count_parameters
from yolo.structures import Batch

_MAX_BAD_STEPS = 10


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """How a training ended.

    Attributes:
        folder: the run folder.
        evaluation: of the best weights on the val split; None if interrupted.
        best_epoch: epoch of the best weights, from 1.
        minutes: trained in all.
        interrupted: name of the signal that stopped it, or "".
        unreadable: images that were skipped, with the reason.
    """

    folder: Path
    evaluation: Evaluation | None
    best_epoch: int
    minutes: float
    interrupted: str
    unreadable: dict[str, str]


def train(config: TrainConfig, console: Console | None = None) -> TrainingRun:
    """Train a detector, or go on with an interrupted training; see `TrainConfig`.

    Raises:
        ConfigError: options that make no sense together.
        DataError: a dataset that cannot be used.
        WeightsError: weights that cannot be loaded.
        GridYoloError: the loss stayed non-finite.
    """
    console = console or Console(quiet=True)
    if config.resume is None:
        training = prepare(replace(config, data=str(Path(config.data).absolute())), console)
    else:
        folder = Path(config.resume)
        config, state = read_resumable(folder, config)
        training = prepare(config, console, folder)
        unpack(state, training)
        training.log.keep_epochs(training.position.epoch)
    _announce(training)
    with stop_wish() as wish, TrainingDisplay(training.schedule.epochs, console) as display:
        _fit(training, wish, display)
    _write_data_account(training)
    evaluation = None if wish else _finish(training)
    position = training.position
    training.log.event("interrupted" if wish else "finished", step=position.step, signal=wish.signal_name)
    return TrainingRun(
        folder=training.log.folder,
        evaluation=evaluation,
        best_epoch=position.best_epoch + 1,
        minutes=position.elapsed / 60,
        interrupted=wish.signal_name,
        unreadable=dict(training.unreadable),
    )


def _fit(training: Training, wish: StopWish, display: TrainingDisplay) -> None:
    """The loop: epochs until the schedule is over or somebody wishes to stop."""
    position, schedule = training.position, training.schedule
    batches = iter(train_loader(training))
    while training.progress() < 1 and not wish:
        training.model.train()
        began, images_before = time.monotonic(), position.images_seen
        for _ in range(position.step_in_epoch, schedule.steps_per_epoch):
            batch: Batch = next(batches).to(training.device, non_blocking=True)
            _set_learning_rate(training)
            _note_images(training, batch, display)
            position.seen += len(batch)
            if len(batch):
                values = learn(training, batch)
                if math.isfinite(sum(values.values())) and update(training):
                    training.note_step(values, len(batch))
                else:
                    _refuse_step(training, batch, values, display)
            position.step += 1
            position.step_in_epoch += 1
            progress = training.progress()
            left = _seconds_left(training, progress)
            display.step(position.epoch, position.step_in_epoch, schedule.steps_per_epoch, seconds_left=left)
            if wish or progress >= 1:
                break
        if not wish:
            speed = (position.images_seen - images_before) / (time.monotonic() - began)
            _end_epoch(training, display, images_per_second=speed)
        save_state(training.log.last, pack(training))
    if not wish:
        _settle(training, display)


def learn(training: Training, batch: Batch) -> dict[str, float]:
    """Add up the gradients of a batch, in as many parts as configured; its loss terms, means over its images."""
    grid, loss = training.spec.grid(training.input_hw), training.loss_now()
    values = torch.zeros(len(TERM_NAMES), device=training.device)
    for part in batch.split(training.config.subdivisions):
        terms = loss(grid, training.model(part.images), part.targets, training.input_hw)
        share = len(part) / len(batch)
        training.fabric.backward(terms.total * share)
        values += terms.to_tensor() * share
    return dict(zip(TERM_NAMES, values.tolist(), strict=True))  # the one wait for the device before the update


def update(training: Training) -> bool:
    """One step of the optimiser and of the moving average; False, and no step, if the gradient is not finite."""
    # without a limit the norm is only measured
    limit = training.config.optimizer.clip_norm or math.inf
    norm = training.fabric.clip_gradients(training.model, training.optimizer, max_norm=limit, error_if_nonfinite=False)
    # fp16's scaler expects such gradients now and then, and leaves out the step by itself
    if not training.scales_gradients and norm is not None and not bool(norm.isfinite()):
        training.optimizer.zero_grad(set_to_none=True)
        return False
    training.optimizer.step()
    training.optimizer.zero_grad(set_to_none=True)
    training.average.update()
    return True


def _settle(training: Training, display: TrainingDisplay) -> None:
    """Validate the last weights if the schedule ended between two validations, or in an interrupted epoch."""
    if training.position.step_in_epoch:
        _end_epoch(training, display, images_per_second=0.0)
    elif training.position.validated_step != training.position.step:
        _validate(training, training.position.epoch - 1)  # the epoch that has just ended
    save_state(training.log.last, pack(training))


def _end_epoch(training: Training, display: TrainingDisplay, *, images_per_second: float) -> None:
    """Validate if it is time to, write the epoch's row and line, move on."""
    position = training.position
    # with replacement an epoch may pass over some images: that none was seen says as much
    nothing_seen = position.seen == position.start_seen
    if nothing_seen or len(training.unreadable) == len(training.splits["train"].images):
        raise DataError("no training image could be read; the first: " + next(iter(training.unreadable.values())))
    # NaN where every step of the epoch was refused
    terms = {name: position.term_sums.get(name, math.nan) / max(1, position.images_seen) for name in TERM_NAMES}
    progress, lr = training.progress(), training.optimizer.param_groups[0]["lr"]
    row: dict[str, float | int] = {f"train/{name}_loss": value for name, value in terms.items()}
    metrics = None
    if int(progress * training.config.validations) > position.validations or progress >= 1:
        position.validations = int(progress * training.config.validations)
        result = _validate(training, position.epoch).result
        metrics = (result.map_50, result.map_50_95)
        row |= {"metrics/precision": result.precision, "metrics/recall": result.recall}
        row |= {"metrics/mAP50": result.map_50, "metrics/mAP50-95": result.map_50_95}
    training.log.epoch({"epoch": position.epoch + 1, "time": position.elapsed, "lr/pg0": lr, **row})
    display.epoch(
        position.epoch,
        terms=terms,
        lr=lr,
        images_per_second=images_per_second,
        seconds_left=_seconds_left(training, progress),
        metrics=metrics,
    )
    position.epoch += 1
    position.step_in_epoch = 0
    position.term_sums, position.images_seen = {}, 0


def _validate(training: Training, epoch: int) -> Evaluation:
    """Measure the moving average after `epoch` on the val split; save it if it is the best so far."""
    position = training.position
    position.validated_step = position.step
    evaluation = evaluate_network(
        training.average.network,
        training.val_loader,
        training.splits["val"],
        spec=training.spec,
        settings=default_settings(training.spec)[1],
        device=training.device,
    )
    result = evaluation.result
    # NaN, where val has no objects, counts as 0: the first weights are saved all the same
    score = result.map_50_95 if result.map_50_95 == result.map_50_95 else 0.0
    if score >= position.best:
        position.best, position.best_epoch = score, epoch
        save_detector(training.log.best, training.average.network, training.metadata(result, epoch))
    training.log.event("validated", epoch=epoch + 1, map_50=result.map_50, map_50_95=result.map_50_95)
    return evaluation


def _finish(training: Training) -> Evaluation:
    """Measure the saved best weights once more, as a user will load them, and write the reports."""
    network, _ = load_detector(training.log.best)
    evaluation = evaluate_network(
        fuse(network, device=training.device),
        training.val_loader,
        training.splits["val"],
        spec=training.spec,
        settings=default_settings(training.spec)[1],
        device=training.device,
    )
    config = training.config
    write_evaluation(
        training.log.folder,
        evaluation,
        training.splits["val"],
        title=f"{training.log.folder.name}: {Path(config.data).name}, val",
        command=command_of("train", config),
        configuration=asdict(config),
        device=training.device,
        report=config.report,
    )
    training.log.plot()
    return evaluation


def _set_learning_rate(training: Training) -> None:
    factor = training.schedule.lr_factor(training.position.step, training.progress())
    for group in training.optimizer.param_groups:
        group["lr"] = training.config.optimizer.lr * factor


def _seconds_left(training: Training, progress: float) -> float:
    elapsed = training.position.elapsed
    return elapsed * (1 - progress) / progress if progress > 0 else 0.0


def _refuse_step(training: Training, batch: Batch, values: dict[str, float], display: TrainingDisplay) -> None:
    """Pass over a step that is not finite, undo what it did to the batch norms; give up after many in a row."""
    training.bad_steps += 1
    training.optimizer.zero_grad(set_to_none=True)
    training.average.heal_buffers()
    bad = [name for name, value in values.items() if not math.isfinite(value)] or ["gradient"]
    images = training.splits["train"].images
    paths = [str(images[index].path) for index in batch.indices]
    training.log.event("non-finite step", step=training.position.step, terms=bad, images=paths)
    display.say(
        f"step {training.position.step}: {', '.join(bad)} not finite, step skipped (its images are in events.jsonl)"
    )
    if training.bad_steps >= _MAX_BAD_STEPS:
        raise GridYoloError(
            f"{', '.join(bad)} was not finite for {_MAX_BAD_STEPS} steps in a row; "
            f"lower --optimizer.lr (now {training.config.optimizer.lr}) or use --precision 32"
        )


def _note_images(training: Training, batch: Batch, display: TrainingDisplay) -> None:
    """Tell once of each image that cannot be read, or is odd."""
    for image in batch.skipped:
        if image.path not in training.unreadable:
            training.unreadable[image.path] = image.reason
            training.log.event("image skipped", path=image.path, reason=image.reason)
            display.say(f"skipped: {image.reason}")
    for note in batch.notes:
        if note.path not in training.noted:
            training.noted[note.path] = note.text
            training.log.event("image noted", path=note.path, text=note.text)
            display.say(f"note: {note.text}")


def _announce(training: Training) -> None:
    log, schedule, splits = training.log, training.schedule, training.splits
    log.write_environment(training.device)
    log.event("started", epoch=training.position.epoch, step=training.position.step)
    _write_data_account(training)
    budget = [f"{schedule.epochs} epochs"] if schedule.epochs else []
    budget += [f"{schedule.updates:,} updates"] if schedule.updates else []
    budget += [f"{schedule.seconds / 60:g} minutes"] if schedule.seconds else []
    grid = training.spec.grid(training.input_hw)
    height, width = training.input_hw
    lines = [
        f"{training.spec.name}: {count_parameters(training.network) / 1e6:.2f} M parameters, "
        f"input {width}x{height}, grid {grid.grid_size}x{grid.grid_size}x({grid.boxes_per_cell}·5"
        f"+{grid.num_classes}), on {training.device}",
        f"training for {' or '.join(budget)}, {schedule.steps_per_epoch} steps of {training.config.batch_size} "
        f"an epoch; {len(splits['val'].images)} images to validate on; everything goes to {log.folder}",
    ]
    for line in lines:
        training.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _write_data_account(training: Training) -> None:
    account = {name: split.account.to_dict() for name, split in training.splits.items()}
    unreadable = [{"path": path, "reason": reason} for path, reason in training.unreadable.items()]
    noted = [{"path": path, "text": text} for path, text in training.noted.items()]
    write_json(training.log.folder / "data.json", account | {"unreadable": unreadable, "noted": noted})
