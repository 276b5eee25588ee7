"""One function per command: make the configuration, call what does the work, print what it returns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from yolo.cli.arguments import given_options, parse, run_action
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
from yolo.console import counted, say, stdout

if TYPE_CHECKING:
    from rich.console import Console

    from yolo.engine.train import TrainingRun

_SUCCESS, _DATA_ERRORS, _INTERRUPTED = 0, 3, 130
_DARKNET_HELP = """\
gridyolo darknet: show and convert darknet's cfg and weights files

  gridyolo darknet show    --cfg CFG [--weights W]   show the layers of a network, and whether a weights file fits it
  gridyolo darknet import  --weights W [--cfg CFG]   convert a weights file, its cfg and names to one *.safetensors
  gridyolo darknet export  --weights W               write the weights, cfg and names of a *.safetensors for darknet

CFG is a file or one of yolov1, yolov1-tiny, yolo, yolo-small, yolo-tiny, extraction.
predict, val and train read darknet's files directly; import keeps them as one file.
`gridyolo darknet ACTION --help` shows the options of an action."""

_DATA_HELP = """\
gridyolo data: check, describe, convert and make datasets

  gridyolo data check     --data DATA                  find errors and show them on one page; exit code 3 on errors
  gridyolo data stats     --data DATA                  numbers and plots, recommended grid and input size
  gridyolo data preview   --data DATA                  draw training batches as the network will see them
  gridyolo data convert   --data DATA --output DIR     write it as voc, coco, yolo or csv
  gridyolo data split     --data DATA --output DIR     lists for train, val and test; no file is moved
  gridyolo data synth     --output DIR                 draw a synthetic dataset with exact boxes
  gridyolo data download  --dataset NAME               fetch voc2007, voc2012 or coco2017 and verify the checksums

DATA is a dataset YAML or a folder in Pascal VOC, COCO, YOLO or CSV layout; it is never written to.
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


def train_command(words: Sequence[str]) -> int:
    """Train a detector."""
    config = parse("train", TrainConfig, words, defaults=_start_defaults)
    console = stdout()
    from yolo.engine.train import train

    explicit = given_options("train", TrainConfig, words) if config.resume else ()
    run = train(config, console, explicit_options=explicit)
    _print_training(run, console)
    return _INTERRUPTED if run.interrupted else _SUCCESS


def predict_command(words: Sequence[str]) -> int:
    """Detect on a source."""
    config = parse("predict", PredictConfig, words)
    console = stdout()
    from yolo.engine.environment import precision_warnings
    from yolo.engine.predict import predict

    say(console, *precision_warnings(config.precision, config.device))
    summary = predict(config, console)
    count = max(1, summary.num_images)
    stages = ", ".join(f"{name} {1000 * value / count:.1f}" for name, value in summary.seconds.items())
    images = counted(summary.num_images, "image", "images")
    found = counted(summary.num_detections, "detection", "detections")
    say(console, f"{images}, {found}; ms per image: {stages}")
    say(console, *summary.notes)
    if summary.skipped:
        failed = counted(len(summary.skipped), "image or video", "images or videos")
        kinds = ", ".join(f"{count} {kind}" for kind, count in summary.skipped_kinds.most_common())
        say(console, f"could not be read and skipped: {failed}: {kinds}")
    say(console, f"results: {summary.folder}", *(f"  {line}" for line in summary.written))
    if summary.interrupted:
        say(console, f"stopped by {summary.interrupted}: the source was not read to its end")
    return _INTERRUPTED if summary.interrupted else _SUCCESS


def info_command(words: Sequence[str]) -> int:
    """Print the metadata of a weights file."""
    config = parse("info", InfoConfig, words)
    from yolo.run_weights import find_weights
    from yolo.weights_header import read_metadata

    metadata = read_metadata(find_weights(config.weights))
    if table := metadata.get("thresholds"):  # hundreds of counts for each class: the best of each will do
        metadata["thresholds"] = dict(zip(table["class_names"], table["best"], strict=True))
    print(json.dumps(metadata, indent=2, ensure_ascii=False))
    return _SUCCESS


def darknet_command(words: Sequence[str]) -> int:
    """Show, import or export darknet's files."""
    actions = {"show": _darknet_show, "import": _darknet_import, "export": _darknet_export}
    return run_action("gridyolo darknet", actions, words, help_text=_DARKNET_HELP)


def _darknet_show(words: Sequence[str]) -> int:
    config = parse("darknet show", DarknetShowConfig, words)
    from yolo.darknet.lookup import show

    print(*show(config), sep="\n")
    return _SUCCESS


def _darknet_import(words: Sequence[str]) -> int:
    config = parse("darknet import", DarknetImportConfig, words)
    from yolo.engine.darknet import import_darknet

    output = import_darknet(config)
    print(f"written: {output}")
    print(f"use it: gridyolo predict --weights {output} --source IMAGE_OR_FOLDER")
    return _SUCCESS


def _darknet_export(words: Sequence[str]) -> int:
    config = parse("darknet export", DarknetExportConfig, words)
    from yolo.engine.darknet import export_darknet

    for path in export_darknet(config):
        print(f"written: {path}")
    return _SUCCESS


def _start_defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a training that follow from the weights or the darknet cfg among those that are given."""
    weights, cfg = given.get("weights"), given.get("cfg")
    if not weights and not cfg:
        return {}
    from yolo.engine.start_options import RANDOM, start_defaults

    # what is not positive will be refused
    lengths = {name: value for name in ("input_size", "epochs") if (value := given.get(name)) and value > 0}
    return start_defaults(weights=weights or RANDOM, cfg=cfg or "", **lengths)


def data_command(words: Sequence[str]) -> int:
    """Check, describe, preview, convert, divide, draw or fetch a dataset."""
    actions = {action: partial(_run_data_action, action) for action in _DATA_ACTIONS}
    return run_action("gridyolo data", actions, words, help_text=_DATA_HELP)


def _run_data_action(action: str, words: Sequence[str]) -> int:
    config_class, module = _DATA_ACTIONS[action]
    config = parse(f"data {action}", config_class, words)
    outcome = getattr(import_module(f"yolo.curate.{module}"), action)(config, stdout())
    return _DATA_ERRORS if action == "check" and outcome.has_errors else _SUCCESS


def demo_command(words: Sequence[str]) -> int:
    """Train, validate and predict on synthetic images."""
    config = parse("demo", DemoConfig, words)
    console = stdout()
    from yolo.engine.demo import demo

    outcome = demo(config, console)
    _print_training(outcome.training, console)
    if outcome.training.interrupted:
        return _INTERRUPTED
    say(console, "")
    say(console, "Look at:")
    for what, path in outcome.look_at.items():
        say(console, f"  {what:<37}{path}")
    return _SUCCESS


def _print_training(run: TrainingRun, console: Console) -> None:
    """What the training has not printed itself."""
    if run.unreadable:
        say(console, f"{len(run.unreadable)} images could not be read and were skipped, see {run.folder / 'data.json'}")
    if run.interrupted:
        say(console, f"stopped by {run.interrupted}; continue with: gridyolo train --resume {run.folder}")
