"""A report: one HTML file that needs nothing but itself, and its numbers for programs, tables and pull requests.

`write_report` leaves report.html, metrics.json, per_class.csv, errors.csv, summary.md and PNG plots in a folder.
Nothing is measured here; what is drawn and told comes from an `Analysis`.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolo._version import __version__
from yolo.analysis.analysis import Analysis
from yolo.data.account import printable
from yolo.evaluation.plots import plot_confusion, plot_f1_curves, plot_pr_curves
from yolo.files import atomic_write, write_json
from yolo.reporting.advice import Advice, make_advice
from yolo.reporting.context import ReportContext
from yolo.reporting.csv_files import write_errors, write_per_class
from yolo.reporting.galleries import draw_galleries
from yolo.reporting.metrics_file import metrics_of
from yolo.reporting.page import make_environment
from yolo.reporting.plots import plot_calibration, plot_errors, plot_precision_curves, plot_recall_curves, plot_sizes
from yolo.reporting.report_view import class_rows, explanations, numbers, payload
from yolo.reporting.summary import make_summary


def write_report(folder: Path, analysis: Analysis, context: ReportContext) -> Path:
    """Write the page and the files beside it, each as a whole or not at all.

    Args:
        folder: to write into; made if there is none. Files of the same names are replaced.
        analysis: what is reported.
        context: where it comes from.

    Returns:
        Path of report.html.
    """
    advice = make_advice(analysis, context.remarks)
    write_per_class(folder / "per_class.csv", analysis)
    rows = write_errors(folder / "errors.csv", analysis)
    write_json(folder / "metrics.json", metrics_of(analysis, context, advice, rows))
    _write_text(folder / "summary.md", make_summary(analysis, context, advice))
    write_plots(folder, analysis)
    path = folder / "report.html"
    _write_text(path, render_report(analysis, context, advice))
    return path


def render_report(analysis: Analysis, context: ReportContext, advice: tuple[Advice, ...]) -> str:
    """The text of report.html."""
    values: dict[str, Any] = {
        "analysis": analysis,
        "result": analysis.result,
        "context": context,
        "advice": advice,
        "classes": class_rows(analysis),
        "payload": payload(analysis),
        "num_detections": len(analysis.matched.problem.detections),
        "version": __version__,
        **numbers(analysis),
        **explanations(analysis, context),
        **draw_galleries(analysis, context),
    }
    return make_environment().get_template("report.html.j2").render(values)


def write_plots(folder: Path, analysis: Analysis) -> None:
    """The PNG files: curves, confusion matrices, errors, calibration, sizes."""
    with warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes; the page, which has the reader's fonts, shows it
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        _write_plots(folder, analysis)


def _write_plots(folder: Path, analysis: Analysis) -> None:
    # matplotlib takes no text that is no Unicode
    classes = tuple(replace(one, name=printable(one.name)) for one in analysis.result.per_class)
    result = replace(analysis.result, per_class=classes)
    plot_pr_curves(result, folder / "PR_curve.png")
    plot_f1_curves(result, folder / "F1_curve.png")
    plot_precision_curves(result, folder / "P_curve.png")
    plot_recall_curves(result, folder / "R_curve.png")
    plot_confusion(result, folder / "confusion_matrix.png", normalise=False)
    plot_confusion(result, folder / "confusion_matrix_normalized.png", normalise=True)
    plot_errors(analysis.errors, folder / "errors.png")
    plot_calibration(analysis.calibration, folder / "calibration.png")
    plot_sizes(analysis.breakdowns, folder / "sizes.png")


def _write_text(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
