"""PNG plots of an analysis: curves, confusion matrices, cost of errors, calibration, sizes.

Few classes get a colour and a legend entry each; beyond `MAX_LEGEND_CLASSES` all are thin grey lines and the mean over
classes says what they have in common. Figures are drawn without pyplot, so nothing global is touched and no window
can open; matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64
from yolo.errors import printable
from yolo.evaluation.analysis import Analysis
from yolo.evaluation.average_precision import RECALL_POINTS
from yolo.evaluation.breakdown import Breakdown
from yolo.evaluation.calibration import Calibration
from yolo.evaluation.errors import ERROR_KINDS, ErrorAnalysis
from yolo.evaluation.result import EvaluationResult
from yolo.files import atomic_write
from yolo.report.text import ERROR_TEXT
from yolo.thresholds import SCORE_POINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAX_LEGEND_CLASSES = 12

_DPI = 150
_INK, _BLUE, _ORANGE, _GREY, _GRID = "#1a1a1a", "#3f74c0", "#c8691c", "#9aa5b1", "#e3e7ec"
_DASHES = (0, (4, 3))
_MAX_NAME_LENGTH = 22
_MIN_FONT = 4.0  # points; names that would be smaller are left out
_DARK_SHADE = 0.55  # of the colour map, from where on white text reads better than black

_MAX_ROWS_WITH_COUNTS = 21  # larger confusion matrices are drawn without the counts in their cells


def write_plots(folder: Path, analysis: Analysis) -> None:
    """All PNG files of a report."""
    # matplotlib takes only text that can be encoded
    classes = tuple(replace(one, name=printable(one.name)) for one in analysis.result.per_class)
    result = replace(analysis.result, per_class=classes)
    with warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes; the page, which has the reader's fonts, shows it
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        plot_curves(result, folder)
        plot_confusion(result, folder / "confusion_matrix.png", normalise=False)
        plot_confusion(result, folder / "confusion_matrix_normalized.png", normalise=True)
        plot_errors(analysis.errors, folder / "errors.png")
        plot_calibration(analysis.calibration, folder / "calibration.png")
        plot_sizes(analysis.breakdowns, folder / "sizes.png")


def plot_curves(result: EvaluationResult, folder: Path) -> None:
    """Draw the curves at IoU 0.5, one for each class that has objects, and their mean.

    PR_curve.png is precision against recall. F1_curve.png, P_curve.png and R_curve.png are rates against the score
    threshold, with a mark at the threshold of the result; precision is 0 where nothing is kept.
    """
    classes, hits = result.per_class, result.true_positives
    figure, axes = _figure("Precision and recall, IoU 0.5", (8.6, 5.2))
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    numbers = [one.ap_50 for one in classes]
    _draw_curves(axes, RECALL_POINTS, result.precision_curves, result, numbers, result.map_50, title="AP50")
    _save(figure, folder / "PR_curve.png")
    precision = hits / np.maximum(hits + result.false_positives, 1)
    recall = hits / np.array([max(one.instances, 1) for one in classes])[:, None]
    for name, title, curves in (
        ("F1", "F1", result.f1_curves),
        ("P", "Precision", precision),
        ("R", "Recall", recall),
    ):
        numbers = [getattr(one, title.lower()) for one in classes]
        figure = _plot_by_threshold(result, title, curves, numbers, getattr(result, title.lower()))
        _save(figure, folder / f"{name}_curve.png")


def _plot_by_threshold(
    result: EvaluationResult, name: str, curves: Float64, numbers: Sequence[float], mean: float
) -> Figure:
    """Draw (C, 101) curves over the score threshold; the numbers are those at the threshold of the result."""
    figure, axes = _figure(f"{name} by score threshold, IoU 0.5", (8.6, 5.2))
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Score threshold", ylabel=name)
    threshold = result.score_threshold
    title = name if math.isnan(threshold) else f"{name} at {threshold:.3f}"
    _draw_curves(axes, SCORE_POINTS, curves, result, numbers, mean, title=title)
    # the linear coding does not bound scores: a point outside the picture is only named in its title
    if threshold <= 1:
        axes.axvline(threshold, color=_INK, linewidth=1, linestyle=_DASHES)
        axes.plot(threshold, mean, "o", color=_INK, markersize=6, zorder=5, clip_on=False)
    return figure


def _draw_curves(
    axes: Axes,
    x: Float64,
    curves: Float64,
    result: EvaluationResult,
    numbers: Sequence[float],
    mean: float,
    *,
    title: str,
) -> None:
    """Draw (C, 101) curves of the classes that have objects, with a number of each in the legend, and their mean."""
    from matplotlib import colormaps

    present = [place for place, one in enumerate(result.per_class) if one.instances]
    if not present:
        axes.text(0.5, 0.5, "no objects", ha="center", va="center", transform=axes.transAxes, color="grey")
        return
    few = len(present) <= MAX_LEGEND_CLASSES
    for place, index in enumerate(present):
        if few:
            # the strong half of the 20 colours first, then the pale half
            colour = colormaps["tab20"]((2 * place) % 20 + place // 10)
            label = f"{numbers[index]:.3f}  {_shorten(result.class_names[index])}"
            axes.plot(x, curves[index], color=colour, linewidth=1.6, label=label)
        else:
            axes.plot(x, curves[index], color=_GREY, linewidth=0.7, alpha=0.6)
    label = f"{mean:.3f}  all classes"
    axes.plot(x, curves[present].mean(axis=0), color=_INK, linewidth=3, label=label, zorder=4)
    if not few:
        axes.plot([], [], color=_GREY, linewidth=0.7, label=f"each of {len(present)} classes")
    axes.legend(title=title, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9, alignment="left")


def plot_confusion(result: EvaluationResult, path: Path, normalise: bool) -> None:
    """Draw the confusion matrix, rows = annotated class, columns = detected class.

    Args:
        result: the evaluation.
        path: PNG file to write.
        normalise: divide each row by its sum, so that the diagonal is recall. Else plain counts.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    counts = result.confusion_matrix.astype(np.float64)
    values = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if normalise else counts
    size = len(values)
    # inches: cells shrink as classes grow, but stay wide enough for a name until the picture is too large
    cell = min(float(np.clip(9.0 / size, 0.17, 0.75)), 24.0 / size)
    figure = Figure(figsize=(2.6 + cell * size, 2.1 + cell * size), layout="constrained")
    axes = figure.add_subplot()
    # the root keeps rare confusions visible beside a large diagonal
    norm = PowerNorm(0.5, vmin=0, vmax=1 if normalise else max(values.max(), 1))
    image = axes.imshow(values, cmap="Blues", norm=norm)
    title = "Confusion, share of each row" if normalise else "Confusion, counts"
    threshold = result.score_threshold
    below = "no detections" if math.isnan(threshold) else f"IoU 0.5, score at least {threshold:.3f}"
    axes.set_title(f"{title}\n{below}", fontsize=11)
    _label_cells(axes, [_shorten(name) for name in (*result.class_names, "background")], cell)
    if size <= _MAX_ROWS_WITH_COUNTS:
        texts = np.array([[f"{value:.{2 * normalise}f}" if value else "" for value in row] for row in values.tolist()])
        _write_cells(axes, texts, norm(values) > _DARK_SHADE, cell)
    if normalise:
        figure.colorbar(image, ax=axes, shrink=0.6, fraction=0.04, pad=0.02, label="share of the row")
    _save(figure, path)


def _label_cells(axes: Axes, names: list[str], cell: float) -> None:
    """Names along both axes and white lines between the cells of `cell` inches."""
    size = len(names)
    slanted = size <= MAX_LEGEND_CLASSES
    font_size = min(40 * cell, 10.0)
    places = range(size if font_size >= _MIN_FONT else 0)
    axes.set_xticks(places, names[: len(places)], fontsize=font_size, rotation=45 if slanted else 90)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names[: len(places)], fontsize=font_size)
    axes.set(xlabel="Detected as", ylabel="Annotated as")
    axes.tick_params(length=0)
    # lines, not the grid of minor ticks: hundreds of ticks take seconds
    edges, end = np.arange(size + 1) - 0.5, size - 0.5
    axes.hlines(edges, -0.5, end, color="white", linewidth=2 * cell)
    axes.vlines(edges, -0.5, end, color="white", linewidth=2 * cell)
    axes.set(xlim=(-0.5, end), ylim=(end, -0.5))
    axes.spines[:].set_visible(False)


def _write_cells(axes: Axes, texts: NDArray[np.str_], is_dark: Bool, cell: float) -> None:
    # points: a digit is some 0.65 of the font size wide, and the text should leave a margin
    font_size = min(10.0, 72 * cell * 0.85 / (0.65 * max(int(np.char.str_len(texts).max()), 1)))
    for (row, column), text in np.ndenumerate(texts):
        colour = "white" if is_dark[row, column] else _INK
        axes.text(column, row, text, ha="center", va="center", fontsize=font_size, color=colour)


def plot_errors(errors: ErrorAnalysis, path: Path) -> None:
    """Draw what each kind of error costs, and how many there are."""
    figure, axes = _figure("What each kind of error costs", (7.6, 4.2))
    axes.set_xlabel("mAP@0.5 that would be won")
    titles = [ERROR_TEXT[kind].title for kind in ERROR_KINDS]
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
    axes.plot((0, 1), (0, 1), color=_GREY, linestyle=_DASHES)
    axes.plot(found.mean_score, found.precision, "o-", color=_BLUE, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Share that is right")
    below.bar(found.edges[:-1], found.counts, width=np.diff(found.edges) * 0.94, align="edge", color=_GREY)
    below.set(xlabel="Score", ylabel="Detections")
    _save(figure, path)


def plot_sizes(breakdowns: Sequence[Breakdown], path: Path) -> None:
    """Draw average precision and recall by size of the objects."""
    chosen = next(one for one in breakdowns if one.name == "size")
    figure, axes = _figure(chosen.title, (7.6, 4.2))
    axes.set_xlabel("AP@0.5:0.95 (blue), share found (orange)")
    places = np.arange(len(chosen.bins))
    for offset, name, colour in ((-0.19, "ap_50_95", _BLUE), (0.19, "recall", _ORANGE)):
        values = np.array([getattr(item, name) for item in chosen.bins], np.float64)
        bars = axes.barh(places + offset, np.nan_to_num(values), color=colour, height=0.34)
        axes.bar_label(bars, ["–" if np.isnan(value) else f" {value:.3f}" for value in values], fontsize=9)
    axes.set_yticks(places, [f"{item.label}\n{item.instances:,} objects" for item in chosen.bins])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    _save(figure, path)


def _figure(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    _plain(axes)
    axes.set_title(title, loc="left", fontsize=12)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _shorten(name: str) -> str:
    shortened = name if len(name) <= _MAX_NAME_LENGTH else name[: _MAX_NAME_LENGTH - 1] + "…"
    return shortened.replace("$", r"\$")  # else matplotlib reads a formula between two of them


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")
