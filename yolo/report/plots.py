"""Pictures of an analysis as PNG files: precision and recall against score, errors, calibration, sizes.

Those of an evaluation alone (precision against recall, F1, confusion) are in `yolo.report.plots`; these look alike.

Pictures of a result as PNG files: precision against recall, F1 against score, confusion matrix.

Few classes get a colour and a legend entry each; beyond `MAX_LEGEND_CLASSES` all are thin grey lines and the
mean over classes says what they have in common. Figures are drawn without pyplot, so nothing global is
touched and no window can open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Float64
from yolo.evaluation.average_precision import RECALL_POINTS
from yolo.evaluation.breakdown import Breakdown
from yolo.evaluation.calibration import Calibration
from yolo.evaluation.errors import ERROR_KINDS, ErrorAnalysis
from yolo.evaluation.result import EvaluationResult
from yolo.files import atomic_write
from yolo.report.text import ERROR_WORDS
from yolo.thresholds import SCORE_POINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAX_LEGEND_CLASSES = 12

_DPI = 150
_MEAN_COLOUR, _MANY_COLOUR, _GRID_COLOUR = "#1a1a1a", "#9aa5b1", "#e3e7ec"
_LONGEST_NAME = 22
_SMALLEST_FONT = 4.0  # points; names that would be smaller are left out
_DARK_SHADE = 0.55  # of the colour map, from where on white text reads better than black

# confusion matrices with more rows than this are drawn without the counts in their cells
_MAX_ROWS_WITH_COUNTS = 21


def plot_pr_curves(result: EvaluationResult, path: Path) -> None:
    """Draw precision against recall at IoU 0.5, one curve per class that has objects, and their mean."""
    figure, axes = _curve_figure("Precision and recall, IoU 0.5", "Recall", "Precision")
    labels = [f"{one.ap_50:.3f}  {_shorten_plots(one.name)}" for one in result.per_class]
    mean_label = f"{result.map_50:.3f}  all classes"
    _draw_curves(axes, RECALL_POINTS, result.precision_curves, labels, mean_label, legend_title="AP50")
    _save(figure, path)


def plot_f1_curves(result: EvaluationResult, path: Path) -> None:
    """Draw F1 against the score threshold at IoU 0.5, and mark the threshold that the result uses."""
    figure, axes = _curve_figure("F1 by score threshold, IoU 0.5", "Score threshold", "F1")
    labels = [f"{one.f1:.3f}  {_shorten_plots(one.name)}" for one in result.per_class]
    mean_label = f"{result.f1:.3f}  all classes"
    title = "F1" if math.isnan(result.score_threshold) else f"F1 at {result.score_threshold:.3f}"
    _draw_curves(axes, SCORE_POINTS, result.f1_curves, labels, mean_label, legend_title=title)
    # the linear coding does not bound scores: a point outside the picture is only named in its title
    if result.score_threshold <= 1:
        axes.axvline(result.score_threshold, color=_MEAN_COLOUR, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(result.score_threshold, result.f1, "o", color=_MEAN_COLOUR, markersize=6, zorder=5, clip_on=False)
    _save(figure, path)


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
    axes.set_title(_confusion_title(result, normalise), fontsize=11)
    _label_cells(axes, [_shorten_plots(name) for name in (*result.class_names, "background")], cell)
    if size <= _MAX_ROWS_WITH_COUNTS:
        texts = [[_cell_text(value, normalise) for value in row] for row in values.tolist()]
        _write_cells(axes, texts, norm(values) > _DARK_SHADE, cell)
    if normalise:
        figure.colorbar(image, ax=axes, shrink=0.6, fraction=0.04, pad=0.02, label="share of the row")
    _save(figure, path)


def _confusion_title(result: EvaluationResult, normalise: bool) -> str:
    kind = "Confusion, share of each row" if normalise else "Confusion, counts"
    if math.isnan(result.score_threshold):
        return f"{kind}\nno detections"
    return f"{kind}\nIoU 0.5, score at least {result.score_threshold:.3f}"


def _label_cells(axes: Axes, names: list[str], cell: float) -> None:
    """Names along both axes and white lines between the cells of `cell` inches."""
    size = len(names)
    slanted = size <= MAX_LEGEND_CLASSES
    font_size = min(40 * cell, 10.0)
    places = range(size if font_size >= _SMALLEST_FONT else 0)
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


def _cell_text(value: float, normalise: bool) -> str:
    if value == 0:
        return ""
    return f"{value:.2f}" if normalise else f"{value:.0f}"


def _write_cells(axes: Axes, texts: list[list[str]], is_dark: NDArray[np.bool_], cell: float) -> None:
    longest = max(len(text) for row in texts for text in row)
    # points: a digit is some 0.65 of the font size wide, and the text should leave a margin
    font_size = min(10.0, 72 * cell * 0.85 / (0.65 * max(longest, 1)))
    for row, column in np.ndindex(is_dark.shape):
        axes.text(
            column,
            row,
            texts[row][column],
            ha="center",
            va="center",
            fontsize=font_size,
            color="white" if is_dark[row, column] else _MEAN_COLOUR,
        )


def _curve_figure(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    axes.set_title(title, loc="left", fontsize=12)
    axes.grid(color=_GRID_COLOUR, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw_curves(
    axes: Axes,
    x: NDArray[np.float64],
    curves: NDArray[np.float64],
    labels: list[str],
    mean_label: str,
    *,
    legend_title: str,
) -> None:
    """Draw (C, 101) curves; those of classes without objects are NaN and left out."""
    from matplotlib import colormaps

    present = np.flatnonzero(~np.isnan(curves).all(axis=1)).tolist()
    if not present:
        axes.text(0.5, 0.5, "no objects", ha="center", va="center", transform=axes.transAxes, color="grey")
        return
    few = len(present) <= MAX_LEGEND_CLASSES
    for place, index in enumerate(present):
        if few:
            colour = colormaps["tab20"](_colour_place(place))
            axes.plot(x, curves[index], color=colour, linewidth=1.6, label=labels[index])
        else:
            axes.plot(x, curves[index], color=_MANY_COLOUR, linewidth=0.7, alpha=0.6)
    axes.plot(x, curves[present].mean(axis=0), color=_MEAN_COLOUR, linewidth=3, label=mean_label, zorder=4)
    if not few:
        axes.plot([], [], color=_MANY_COLOUR, linewidth=0.7, label=f"each of {len(present)} classes")
    axes.legend(
        title=legend_title,
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        frameon=False,
        fontsize=9,
        alignment="left",
    )


def _colour_place(place: int) -> int:
    """The strong half of the 20 colours first, then the pale half."""
    return 2 * place if place < 10 else 2 * (place - 10) + 1


def _shorten_plots(name: str) -> str:
    shortened = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    return shortened.replace("$", r"\$")  # else matplotlib reads a formula between two of them


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")


_INK, _BLUE, _ORANGE, _GREY, _GRID = "#1a1a1a", "#3f74c0", "#c8691c", "#9aa5b1", "#e3e7ec"


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
