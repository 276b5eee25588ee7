"""Pictures of an analysis as PNG files: precision and recall against score, errors, calibration, sizes.

Those of an evaluation alone (precision against recall, F1, confusion) are in `yolo.evaluation.plots`; these look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.breakdown import Breakdown
from yolo.analysis.calibration import Calibration
from yolo.analysis.errors import ERROR_KINDS, ErrorAnalysis
from yolo.evaluation.operating_point import SCORE_POINTS
from yolo.evaluation.plots import MAX_LEGEND_CLASSES
from yolo.evaluation.result import EvaluationResult
from yolo.files import atomic_write
from yolo.reporting.wording import ERROR_WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float64 = NDArray[np.float64]

_DPI = 150
_INK, _BLUE, _ORANGE, _GREY, _GRID = "#1a1a1a", "#3f74c0", "#c8691c", "#9aa5b1", "#e3e7ec"
_LONGEST_NAME = 22


def rates_by_threshold(result: EvaluationResult) -> tuple[Float64, Float64]:
    """(C, 101) precision and (C, 101) recall at the thresholds 0, 0.01, ..., 1; NaN for classes without objects.

    Precision is 0 where nothing is kept, as everywhere in the evaluation.
    """
    instances = np.array([one.instances for one in result.per_class], np.float64)[:, None]
    known = np.where(instances > 0, 1.0, np.nan)
    kept = np.maximum(result.true_positives + result.false_positives, 1)
    return known * result.true_positives / kept, known * result.true_positives / np.maximum(instances, 1)


def plot_precision_curves(result: EvaluationResult, path: Path) -> None:
    """Draw precision against the score threshold at IoU 0.5."""
    _plot_by_threshold(result, rates_by_threshold(result)[0], "Precision", path)


def plot_recall_curves(result: EvaluationResult, path: Path) -> None:
    """Draw recall against the score threshold at IoU 0.5."""
    _plot_by_threshold(result, rates_by_threshold(result)[1], "Recall", path)


def plot_errors(errors: ErrorAnalysis, path: Path) -> None:
    """Draw what each kind of error costs, and how many there are."""
    figure, axes = _bar_figure("What each kind of error costs", "mAP@0.5 that would be won")
    titles = [ERROR_WORDS[kind].title for kind in ERROR_KINDS]
    costs = np.nan_to_num([errors.ap_cost[kind] for kind in ERROR_KINDS])
    bars = axes.barh(titles, costs, color=_BLUE, height=0.62)
    counts = [f" {errors.ap_cost[kind]:.3f}  ({errors.counts[kind]:,})" for kind in ERROR_KINDS]
    axes.bar_label(bars, counts, fontsize=9, color=_INK)
    axes.set_xlim(min(0.0, costs.min()), max(costs.max() * 1.3, 1e-3))
    axes.invert_yaxis()
    _save(figure, path)


def plot_calibration(found: Calibration, path: Path) -> None:
    """Draw the share of right detections against their score, with a histogram of the scores."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 6.4), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _plain(axes)
    _plain(below)
    ece = "nothing to measure" if np.isnan(found.ece) else f"expected calibration error {found.ece:.3f}"
    axes.set_title(f"Calibration: {ece}", loc="left", fontsize=12)
    axes.plot((0, 1), (0, 1), color=_GREY, linestyle=(0, (4, 3)))
    axes.plot(found.mean_score, found.precision, "o-", color=_BLUE, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Share that is right")
    below.bar(found.edges[:-1], found.counts, width=np.diff(found.edges) * 0.94, align="edge", color=_GREY)
    below.set(xlabel="Score", ylabel="Detections")
    _save(figure, path)


def plot_sizes(breakdowns: Sequence[Breakdown], path: Path) -> None:
    """Draw average precision by size of the objects; by the first breakdown if there is none by size."""
    figure, axes = _bar_figure("Average precision by size", "AP@0.5:0.95 (blue), share found (orange)")
    chosen = next((one for one in breakdowns if one.name == "size"), breakdowns[0] if breakdowns else None)
    if chosen is None:
        axes.text(0.5, 0.5, "nothing to show", ha="center", va="center", transform=axes.transAxes, color="grey")
    else:
        axes.set_title(chosen.title, loc="left", fontsize=12)
        places = np.arange(len(chosen.bins))
        for offset, name, colour in ((-0.19, "ap_50_95", _BLUE), (0.19, "recall", _ORANGE)):
            values = np.array([getattr(item, name) for item in chosen.bins], np.float64)
            bars = axes.barh(places + offset, np.nan_to_num(values), color=colour, height=0.34)
            axes.bar_label(bars, ["–" if np.isnan(value) else f" {value:.3f}" for value in values], fontsize=9)
        axes.set_yticks(places, [f"{item.label}\n{item.instances:,} objects" for item in chosen.bins])
        axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    _save(figure, path)


def _plot_by_threshold(result: EvaluationResult, curves: Float64, name: str, path: Path) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    _plain(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Score threshold", ylabel=name)
    axes.set_title(f"{name} by score threshold, IoU 0.5", loc="left", fontsize=12)
    present = np.flatnonzero(~np.isnan(curves).all(axis=1)).tolist()
    if not present:
        axes.text(0.5, 0.5, "no objects", ha="center", va="center", transform=axes.transAxes, color="grey")
        _save(figure, path)
        return
    few = len(present) <= MAX_LEGEND_CLASSES
    for place, index in enumerate(present):
        # the strong half of the 20 colours first
        colour = colormaps["tab20"]((2 * place) % 20 + place // 10) if few else _GREY
        label = _shorten(result.class_names[index]) if few else ("each class" if place == 0 else "_")
        axes.plot(SCORE_POINTS, curves[index], color=colour, linewidth=1.6 if few else 0.7, label=label)
    axes.plot(SCORE_POINTS, curves[present].mean(axis=0), color=_INK, linewidth=3, label="all classes")
    if result.score_threshold <= 1:
        axes.axvline(result.score_threshold, color=_INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    _save(figure, path)


def _bar_figure(title: str, x_label: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    _plain(axes)
    axes.set_title(title, loc="left", fontsize=12)
    axes.set_xlabel(x_label)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _shorten(name: str) -> str:
    shortened = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    # else matplotlib reads a formula between two dollars, and leaves out what starts with an underscore
    return shortened.replace("$", r"\$").lstrip("_") or "?"


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")
