"""The commands that measure: `val`, `report`, `compare`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.cli.arguments import parse
from yolo.cli.ending import Ending, near
from yolo.config import CompareConfig, ReportConfig, ValConfig
from yolo.console import print_table, say, stdout, warn

if TYPE_CHECKING:
    from rich.console import Console

    from yolo.evaluation.comparison import Comparison
    from yolo.evaluation.result import EvaluationResult

_CURVES = ("_curves", "_positives", "_matrix")


def val_command(words: Sequence[str]) -> Ending:
    """Measure a detector."""
    config = parse("val", ValConfig, words)
    console = stdout()
    from yolo.engine.environment import precision_warnings
    from yolo.engine.evaluation_display import AFTER_VAL, print_result, print_skipped
    from yolo.engine.validate import validate

    warn(console, *precision_warnings(config.precision, config.device))
    run = validate(config, console=console)
    result = run.evaluation.result
    print_skipped(run.evaluation.skipped, console)
    print_result(result, console, remedy=AFTER_VAL)
    count = run.evaluation.result.num_images
    stages = ", ".join(f"{name} {1000 * value / count:.1f}" for name, value in run.evaluation.seconds.items())
    say(console, f"ms per image: {stages}")
    if run.voc is not None:
        say(console, run.voc.summary())
    if run.note:
        warn(console, run.note)
    images = Path(run.evaluation.problem.images.paths[0]).parent
    following: list[str | Path] = ["gridyolo", "predict", "--weights", config.weights, "--source", near(images)]
    if not math.isnan(result.score_threshold):
        following += ["--conf", run.folder / "metrics.json"]
    return Ending(
        folder=run.folder,
        files=_files(run.folder),
        look_at=run.report_path or run.folder / "samples.jpg",
        next_command=following,
        results=_numbers(result)
        | {"unreadable_images": len(run.evaluation.skipped), "seconds": run.evaluation.seconds},
    )


def report_command(words: Sequence[str]) -> Ending:
    """Measure the detections of any detector."""
    config = parse("report", ReportConfig, words)
    console = stdout()
    from yolo.engine.evaluate_files import report
    from yolo.engine.evaluation_display import AFTER_REPORT, print_result

    run = report(config, console)
    print_result(run.analysis.result, console, remedy=AFTER_REPORT)
    if run.voc is not None:
        say(console, run.voc.summary())
    return Ending(folder=run.folder, files=_files(run.folder), look_at=run.page, results=_numbers(run.analysis.result))


def compare_command(words: Sequence[str]) -> Ending:
    """Say what differs between two detectors."""
    config = parse("compare", CompareConfig, words)
    console = stdout()
    from yolo.engine.evaluate_files import compare_files

    run = compare_files(config, console)
    print_comparison(run.comparison, console)
    numbers = {
        one.name: {"a": one.a, "b": one.b, "interval": one.interval, "p_value": one.p_value}
        for one in run.comparison.headline
    }
    found = run.comparison
    counts = {"images": found.num_images, "images_better": found.num_better, "images_worse": found.num_worse}
    return Ending(folder=run.folder, files=_files(run.folder), look_at=run.page, results=counts | {"numbers": numbers})


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _numbers(result: EvaluationResult) -> dict[str, Any]:
    """The numbers of an evaluation but for its curves, which are in metrics.json."""
    return {name: value for name, value in result.to_dict().items() if not name.endswith(_CURVES)}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """The differences of all classes together as a table, and how many images changed."""
    from yolo.report.text import p_value

    rows = [("", "A", "B", "B - A", f"{comparison.level:.0%} interval", "p")]
    for one in comparison.headline:
        difference, low, high = (_number(value, "+") for value in (one.b - one.a, *one.interval))
        p = p_value(one.p_value, comparison.replicates)
        rows.append((one.name, _number(one.a), _number(one.b), difference, f"{low} to {high}", p))
    print_table(console, rows)
    unchanged = comparison.num_images - comparison.num_better - comparison.num_worse
    say(
        console,
        f"{comparison.num_images} images: {comparison.num_better} better, {comparison.num_worse} worse, "
        f"{unchanged} as before",
    )


def _number(value: float, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.3f}"
