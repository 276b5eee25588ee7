"""The commands that measure: `val`, `report`, `compare`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from yolo.cli.arguments import parse
from yolo.config import CompareConfig, ReportConfig, ValConfig
from yolo.console import print_table, say, stdout

if TYPE_CHECKING:
    from rich.console import Console

    from yolo.evaluation.comparison import Comparison

_SUCCESS = 0


def val_command(words: Sequence[str]) -> int:
    """Measure a detector."""
    config = parse("val", ValConfig, words)
    console = stdout()
    from yolo.engine.environment import precision_warnings
    from yolo.engine.validate import print_evaluation, validate

    say(console, *precision_warnings(config.precision, config.device))
    run = validate(config)
    for line in run.report.summary_lines():
        say(console, line)
    print_evaluation(run.evaluation, console)
    count = run.evaluation.result.num_images
    stages = ", ".join(f"{name} {1000 * value / count:.1f}" for name, value in run.evaluation.seconds.items())
    say(console, f"milliseconds per image: {stages}")
    if run.voc is not None:
        say(console, run.voc.summary())
    if run.note:
        say(console, run.note)
    say(console, f"results: {run.folder}")
    if config.report:
        say(console, f"look at: {run.folder / 'report.html'}")
    return _SUCCESS


def report_command(words: Sequence[str]) -> int:
    """Measure the detections of any detector."""
    config = parse("report", ReportConfig, words)
    console = stdout()
    from yolo.engine.evaluate_files import report
    from yolo.engine.validate import print_result

    run = report(config, console)
    print_result(run.analysis.result, console)
    if run.voc is not None:
        say(console, run.voc.summary())
    say(console, f"results: {run.folder}", f"look at: {run.page}")
    return _SUCCESS


def compare_command(words: Sequence[str]) -> int:
    """Say what differs between two detectors."""
    config = parse("compare", CompareConfig, words)
    console = stdout()
    from yolo.engine.evaluate_files import compare_files

    run = compare_files(config, console)
    print_comparison(run.comparison, console)
    say(console, f"results: {run.folder}", f"look at: {run.page}")
    return _SUCCESS


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
