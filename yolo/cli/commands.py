"""One function per command: make the configuration, call what does the work, print what it returns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.cli.arguments import given_options, parse, run_action
from yolo.cli.ending import INTERRUPTED, SUCCESS, Ending, near, shell_words
from yolo.config import (
    DarknetExportConfig,
    DarknetImportConfig,
    DarknetShowConfig,
    DataCheckConfig,
    DataConvertConfig,
    DataDownloadConfig,
    DataPreviewConfig,
    DataSplitConfig,
    DataStatsConfig,
    DataSynthConfig,
    DemoConfig,
    InfoConfig,
    PredictConfig,
    TrainConfig,
)
from yolo.console import counted, say, stdout, warn

if TYPE_CHECKING:
    from rich.console import Console

    from yolo.engine.predict import PredictionSummary
    from yolo.engine.train import TrainingRun

# of a run folder, beside the weights
_TRAINING_FILES = ("report.html", "metrics.json", "results.csv", "results.png", "data.json", "predictions.json")
_DARKNET_HELP = """\
gridyolo darknet: show and convert darknet's cfg and weights files

  gridyolo darknet show CFG [WEIGHTS]    show the layers of a network, and
                                         whether a weights file fits it
  gridyolo darknet import WEIGHTS [OUTPUT]
                                         write darknet's files as one
                                         *.safetensors detector
  gridyolo darknet export WEIGHTS [OUTPUT]
                                         write a detector as weights, cfg and
                                         names for darknet

CFG is a file or one of yolov1, yolov1-tiny, yolo, yolo-small, yolo-tiny,
extraction. predict, val and train read darknet's files directly; import keeps
them as one file.
`gridyolo darknet ACTION --help` shows the options of an action."""

_DATA_HELP = """\
gridyolo data: check, describe, convert and make datasets

  gridyolo data check DATA           find errors and show them on one page; the
                                     exit code is 3 if there are errors
  gridyolo data stats DATA           numbers and plots, recommended grid and
                                     input size
  gridyolo data preview DATA         draw training batches as the network will
                                     see them
  gridyolo data convert DATA OUTPUT  write it as voc, coco, yolo or csv
  gridyolo data split DATA OUTPUT    lists for train, val and test; no file is
                                     moved
  gridyolo data synth OUTPUT         draw a synthetic dataset with exact boxes
  gridyolo data download NAME        fetch voc2007, voc2012 or coco2017 and
                                     verify the checksums

DATA is a dataset YAML or a folder in Pascal VOC, COCO, YOLO or CSV layout; it
is never written to.
`gridyolo data ACTION --help` shows the options of an action."""
# action -> its configuration and the module of `yolo.curate` with the function of that name
_DATA_ACTIONS: dict[str, tuple[type[Any], str]] = {
    "check": (DataCheckConfig, "check"),
    "stats": (DataStatsConfig, "stats"),
    "preview": (DataPreviewConfig, "preview"),
    "convert": (DataConvertConfig, "write"),
    "split": (DataSplitConfig, "split"),
    "synth": (DataSynthConfig, "synthetic"),
    "download": (DataDownloadConfig, "download"),
}
# what could not be read, by kind, where it is one
_OF_ONE = {
    "that are not images": "that is not an image",
    "damaged videos": "damaged video",
    "damaged archives": "damaged archive",
    "of kinds that are not read": "of a kind that is not read",
}


def train_command(words: Sequence[str]) -> Ending:
    """Train a detector."""
    config = parse("train", TrainConfig, words, defaults=_start_defaults)
    console = stdout()
    from yolo.engine.train import train

    explicit = given_options("train", TrainConfig, words) if config.resume else ()
    return _end_of_training(train(config, console, explicit_options=explicit), console)


def _end_of_training(run: TrainingRun, console: Console) -> Ending:
    """How a training ended: the detector is there to predict with, or the run to go on with."""
    if run.unreadable:
        skipped = counted(len(run.unreadable), "image", "images")
        warn(console, f"{skipped} could not be read and trained on, see {run.folder / 'data.json'}")
    if run.interrupted:
        say(console, f"stopped by {run.interrupted}; the training is saved and can go on")
    weights = run.folder / "weights"
    files = [run.best, weights / "last.ckpt", *(run.folder / name for name in _TRAINING_FILES)]
    from yolo.engine.progress import metrics_of

    results = {
        "best_epoch": run.best_epoch,
        "minutes": run.minutes,
        "unreadable_images": len(run.unreadable),
        "metrics": metrics_of(run.evaluation.result) if run.evaluation else None,
    }
    following: list[str | Path] = ["gridyolo", "train", "--resume", run.folder]
    if run.interrupted:
        return Ending(exit_code=INTERRUPTED, folder=run.folder, files=files, next_command=following, results=results)
    if run.evaluation is None:  # it had finished before
        following += run.extension
    else:
        images = Path(run.evaluation.problem.images.paths[0]).parent  # of those to validate on
        following = ["gridyolo", "predict", "--weights", run.best, "--source", near(images)]
    page = run.report_path or run.folder / "results.png"
    return Ending(folder=run.folder, files=files, look_at=page, next_command=following, results=results)


def predict_command(words: Sequence[str]) -> Ending:
    """Detect on a source."""
    config = parse("predict", PredictConfig, words)
    console = stdout()
    from yolo.engine.environment import precision_warnings
    from yolo.engine.predict import predict

    warn(console, *precision_warnings(config.precision, config.device))
    summary = predict(config, console)
    _print_prediction(summary, console)
    return Ending(
        exit_code=INTERRUPTED if summary.interrupted else SUCCESS,
        folder=summary.folder,
        files=sorted(path for path in summary.folder.iterdir() if path.name.startswith("detections.")),
        look_at=summary.folder,
        results={
            "images": summary.num_images - summary.frames.total(),
            "frames": summary.frames.total(),
            "videos": len(summary.frames),
            "detections": summary.num_detections,
            "skipped_kinds": summary.skipped_kinds,
            "skipped": [{"source": source, "reason": reason} for source, reason in summary.skipped.items()],
            "notes": summary.notes,
            "seconds": summary.seconds,
        },
    )


def _print_prediction(summary: PredictionSummary, console: Console) -> None:
    """What was detected on, what was not, and what is in the folder."""
    num_frames = summary.frames.total()
    num_images = summary.num_images - num_frames
    seen = [counted(num_images, "image", "images")] if num_images or not num_frames else []
    if num_frames:
        videos = counted(len(summary.frames), "video or stream", "videos or streams")
        seen.append(f"{counted(num_frames, 'frame', 'frames')} of {videos}")
    found = counted(summary.num_detections, "detection", "detections")
    count = max(1, summary.num_images)
    stages = ", ".join(f"{name} {1000 * value / count:.1f}" for name, value in summary.seconds.items())
    say(console, f"{' and '.join(seen)}, {found}; ms per image: {stages}")
    warn(console, *summary.notes)
    if summary.skipped:
        failed = counted(len(summary.skipped), "image or video", "images or videos")
        counts = summary.skipped_kinds.most_common()
        kinds = ", ".join(f"{count:,} {_OF_ONE.get(kind, kind) if count == 1 else kind}" for kind, count in counts)
        warn(console, f"{failed} could not be read: {kinds}")
    say(console, *summary.written)
    if summary.interrupted:
        say(console, f"stopped by {summary.interrupted}: the source was not read to its end")


def info_command(words: Sequence[str]) -> Ending:
    """Print the metadata of a weights file."""
    config = parse("info", InfoConfig, words)
    from yolo.run_weights import find_weights
    from yolo.weights_header import read_metadata

    metadata = read_metadata(find_weights(config.weights))
    if table := metadata.get("thresholds"):  # hundreds of counts for each class: the best of each will do
        metadata["thresholds"] = dict(zip(table["class_names"], table["best"], strict=True))
    print(json.dumps(metadata, indent=2, ensure_ascii=False))
    return Ending(results=metadata)


def darknet_command(words: Sequence[str]) -> Ending:
    """Show, import or export darknet's files."""
    actions = {"show": _darknet_show, "import": _darknet_import, "export": _darknet_export}
    return run_action("gridyolo darknet", actions, words, help_text=_DARKNET_HELP)


def _darknet_show(words: Sequence[str]) -> Ending:
    config = parse("darknet show", DarknetShowConfig, words)
    from yolo.darknet.lookup import show

    lines = show(config)
    print(*lines, sep="\n")
    following = ["gridyolo", "darknet", "import", "--weights", config.weights] if config.weights else []
    if following and config.cfg:
        following += ["--cfg", config.cfg]
    return Ending(next_command=following, results={"lines": lines})


def _darknet_import(words: Sequence[str]) -> Ending:
    config = parse("darknet import", DarknetImportConfig, words)
    from yolo.engine.darknet import import_darknet

    output = import_darknet(config)
    return Ending(files=[output], next_command=["gridyolo", "info", "--weights", output])


def _darknet_export(words: Sequence[str]) -> Ending:
    config = parse("darknet export", DarknetExportConfig, words)
    from yolo.engine.darknet import export_darknet

    weights, cfg, names = export_darknet(config)
    return Ending(
        files=[weights, cfg, names],
        next_command=["gridyolo", "darknet", "show", "--cfg", cfg, "--weights", weights],
    )


def _start_defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a training that follow from the weights or the darknet cfg among those that are given."""
    weights, cfg = given.get("weights"), given.get("cfg")
    if not weights and not cfg:
        return {}
    from yolo.engine.start_options import RANDOM, start_defaults

    # what is not positive will be refused
    lengths = {name: value for name in ("input_size", "epochs") if (value := given.get(name)) and value > 0}
    return start_defaults(weights=weights or RANDOM, cfg=cfg or "", **lengths)


def data_command(words: Sequence[str]) -> Ending:
    """Check, describe, preview, convert, divide, draw or fetch a dataset."""
    actions = {action: partial(_run_data_action, action) for action in _DATA_ACTIONS}
    return run_action("gridyolo data", actions, words, help_text=_DATA_HELP)


def _run_data_action(action: str, words: Sequence[str]) -> Ending:
    config_class, module = _DATA_ACTIONS[action]
    config = parse(f"data {action}", config_class, words)
    outcome = getattr(import_module(f"yolo.curate.{module}"), action)(config, stdout())
    from yolo.cli.data_endings import end_of

    return end_of(action, config, outcome)


def demo_command(words: Sequence[str]) -> Ending:
    """Train, validate and predict on synthetic images."""
    config = parse("demo", DemoConfig, words)
    console = stdout()
    from yolo.engine.demo import demo

    outcome = demo(config, console)
    ending = _end_of_training(outcome.training, console)
    if outcome.training.interrupted:
        return ending
    say(console, "", "What the demo made:")
    say(console, *(f"  {what:<37}{shell_words([path])}" for what, path in outcome.look_at.items()), "")
    return ending
