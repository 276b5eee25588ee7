"""How a training ends: what its time budget allowed, its best weights measured as a user will load them, its reports.

The numbers and the path of the weights are printed before the report is written, which takes a while.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from torch import nn

from yolo.console import say, warn
from yolo.engine.detector_file import default_settings, load_detector
from yolo.engine.environment import command_of, describe_environment
from yolo.engine.evaluation_display import AFTER_TRAINING, print_result, print_skipped
from yolo.engine.pace import Pace, pace_notes
from yolo.engine.time_use import STAGES, describe_time, loading_hint
from yolo.engine.train_state import Training
from yolo.engine.validate import Evaluation, OnBatch, evaluate_network, workers_of, write_evaluation
from yolo.models.fusion import fuse
from yolo.progress_display import ProgressDisplay
from yolo.report.page import ReportContext
from yolo.report.pictures import file_picture


def print_pace_notes(training: Training, pace: Pace, console: Console) -> None:
    """Print notes if the run was too short or the CPU was busy."""
    state, workers = training.state, workers_of(training.config, training.learner.device.type)
    notes = pace_notes(
        training.schedule,
        step=state.step,
        elapsed=state.elapsed,
        waited_share=pace.waited_share(),
        workers=workers,
        fine_tunes=state.starts_as_detector,
    )
    for note in notes:
        training.folder.event(note.event, **note.numbers)
        warn(console, note.text)


def finish(training: Training, console: Console) -> Evaluation:
    """Measure the saved best weights once more, as a user will load them; then write the reports."""
    state, folder = training.state, training.folder
    with state.timed("validation"):
        network, _ = load_detector(folder.best)
        with ProgressDisplay(console, "measuring the best weights", len(training.data.val.images)) as display:
            evaluation = measure(
                training,
                fuse(network, device=training.learner.device),
                on_batch=lambda batch, raw: display.advance(len(batch) + len(batch.skipped)),
            )
    print_skipped(evaluation.skipped, console)
    print_result(evaluation.result, console, remedy=AFTER_TRAINING)
    origin = f"epoch {state.best_epoch + 1}" if state.best_epoch >= 0 else "those of the start"
    say(
        console,
        f"best weights: {origin}, {state.elapsed / 60:.1f} minutes of training, {folder.best}",
    )
    result = evaluation.result
    metrics = {"map_50": result.map_50, "map_50_95": result.map_50_95, "f1": result.f1}
    training.loggers.finish({f"best/{name}": value for name, value in metrics.items()}, completed=True)
    hint = loading_hint(
        state.seconds,
        training.config,
        num_images=len(training.data.train.images),
        input_hw=training.learner.input_hw,
        device_type=training.learner.device.type,
    )
    with state.timed("report"):
        _write_reports(training, evaluation, hint, console)
    say(console, describe_time(state.seconds), *([hint] if hint else []))
    return evaluation


def _write_reports(training: Training, evaluation: Evaluation, hint: str, console: Console) -> None:
    config, folder, seconds = training.config, training.folder, training.state.seconds
    if config.report:
        say(console, f"writing the report: {folder.path / 'report.html'}")
    history = replace(
        folder.history(training.state.best_epoch + 1),
        seconds={text: seconds[stage] for stage, text in STAGES.items() if stage in seconds},
        hint=hint,
    )
    context = ReportContext(
        title=f"{folder.path.name}: {Path(config.data).name}, val",
        command=command_of("train", config),
        configuration=asdict(config),
        environment=describe_environment(training.learner.device),
        history=history,
        first_batch=file_picture(
            folder.batch_picture(0),
            f"the first batch as the network saw it, with what it was trained on; {folder.batch_picture(0).name} is "
            "larger, and the next batches are beside it",
        ),
    )
    write_evaluation(folder.path, evaluation, training.data.val, context, report=config.report)
    folder.plot(history)


def measure(training: Training, network: nn.Module, on_batch: OnBatch | None = None) -> Evaluation:
    """The evaluation of a network on the validation images of a training; see `evaluate_network`."""
    spec = training.learner.network.spec
    return evaluate_network(
        network,
        training.val_batches,
        training.data.val,
        spec=spec,
        settings=default_settings(spec)[1],
        device=training.learner.device,
        on_batch=on_batch,
    )
