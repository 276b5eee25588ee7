"""Pictures of a dataset as PNG files: classes, images, boxes, and what grids lose.

Figures are drawn without pyplot, so nothing global is touched and no window can open. Left out: the numbers
(measures.py, grid_fit.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from yolo.curate.grid_fit import GridLimits, Recommendation, trainable_objects
from yolo.curate.measures import DatasetStatistics, box_sides
from yolo.files import atomic_write
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode, plan_resizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAX_CLASSES = 100  # bars in one picture

_DPI = 150
_DARK, _MAIN, _PALE, _ACCENT, _LINES = "#1a1a1a", "#2a6fb0", "#a9c9e6", "#d1495b", "#e3e7ec"
_LONGEST_NAME = 28
_LOG_FROM = 50.0  # bars are drawn on a logarithmic scale if the longest is this many times the shortest


def draw_plots(
    folder: Path,
    images: AnnotatedImages,
    statistics: DatasetStatistics,
    grids: Sequence[GridLimits],
    recommendation: Recommendation | None,
    *,
    input_size: int,
    resize: ResizeMode,
) -> None:
    """Draw classes.png, images.png, boxes.png and grid.png into a folder.

    Args:
        folder: where they go.
        images: the dataset.
        statistics: of it.
        grids: what grids lose.
        recommendation: is marked among the grids.
        input_size: side of the input on which the shorter sides of boxes are measured.
        resize: how images are placed on it.
    """
    _plot_classes(statistics, folder / "classes.png")
    _plot_images(statistics, images, folder / "images.png")
    _plot_boxes(images, folder / "boxes.png", input_size=input_size, resize=resize)
    _plot_grids(grids, recommendation, folder / "grid.png")


def _plot_classes(statistics: DatasetStatistics, path: Path) -> None:
    """Draw bars of objects and images per class, the most frequent on top and `MAX_CLASSES` at most."""
    shown = sorted(statistics.classes, key=lambda one: -one.objects)[:MAX_CLASSES]
    rows = np.arange(len(shown))
    row = 0.3 if len(shown) <= 30 else 0.19  # inches
    figure = _figure(8.6, 1.5 + row * max(len(shown), 3))
    axes = figure.add_subplot()
    objects, images = [one.objects for one in shown], [one.images for one in shown]
    axes.barh(rows, objects, height=0.8, color=_PALE, label="objects")
    axes.barh(rows, images, height=0.35, color=_MAIN, label="images with the class")
    axes.set_yticks(rows, [name_for_plot(one.name) for one in shown], fontsize=9 if row > 0.2 else 7)
    axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    axes.set_xlim(left=0)
    if max(objects, default=0) > _LOG_FROM * max(1, min(objects, default=1)):
        axes.set_xscale("log")
        axes.set_xlim(left=0.8)
        axes.xaxis.set_major_formatter("{x:g}")
    for place, one in enumerate(shown):
        end = (max(one.objects, axes.get_xlim()[0]), place)
        axes.annotate(str(one.objects), end, (3, 0), textcoords="offset points", va="center", size=7)
    axes.margins(x=0.08)
    hidden = len(statistics.classes) - len(shown)
    title = f"{statistics.objects} objects, {statistics.images} images ({statistics.background_images} without objects)"
    _finish(axes, title + (f"\n{hidden} rarer classes are not drawn" if hidden else ""), x="Count", y="", grid="x")
    axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    _save(figure, path)


def _plot_images(statistics: DatasetStatistics, images: AnnotatedImages, path: Path) -> None:
    """Draw the sizes of the images, the objects on each, and where the centres of the objects are."""
    figure = _figure(13.5, 4.4)
    sizes_axes, count_axes, centre_axes = figure.subplots(1, 3)
    sizes, counts = np.unique(images.sizes_hw, axis=0, return_counts=True)
    if len(sizes):
        area = 12 + 240 * counts / counts.max()
        sizes_axes.scatter(sizes[:, 1], sizes[:, 0], s=area, color=_MAIN, alpha=0.55, linewidths=0)
        sizes_axes.set_xlim(0, 1.08 * sizes[:, 1].max())
        sizes_axes.set_ylim(0, 1.08 * sizes[:, 0].max())
    _finish(sizes_axes, f"Sizes of the images: {len(sizes)} different", x="Width [pixels]", y="Height [pixels]")
    _draw_objects_per_image(count_axes, statistics)
    centres = np.array(statistics.centres)
    shown = centre_axes.imshow(centres, cmap="Blues", extent=(0, 1, 1, 0), vmin=0, vmax=max(1, centres.max()))
    _finish(centre_axes, "Centres of the objects", x="x [share of the width]", y="y [share of the height]", grid="none")
    figure.colorbar(shown, ax=centre_axes, label="objects", fraction=0.046, pad=0.03)
    _save(figure, path)


def _plot_boxes(images: AnnotatedImages, path: Path, *, input_size: int, resize: ResizeMode) -> None:
    """Draw sizes and shapes of the boxes that are trained on."""
    from matplotlib.colors import LogNorm

    trainable = trainable_objects(images)
    sides, own = box_sides(images.objects[trainable]), images.image_index[trainable]
    figure = _figure(13.5, 4.4)
    relative_axes, side_axes, aspect_axes = figure.subplots(1, 3)
    if not len(sides):
        for axes in (relative_axes, side_axes, aspect_axes):
            axes.text(0.5, 0.5, "no objects", ha="center", va="center", transform=axes.transAxes, color="grey")
        _save(figure, path)
        return
    relative = np.clip(sides / images.sizes_hw[own, ::-1], 0, 1)
    bins = np.linspace(0, 1, 41)
    shown = relative_axes.hist2d(*relative.T, bins=[bins, bins], cmap="viridis", norm=LogNorm(), cmin=1)[3]
    bar = figure.colorbar(shown, ax=relative_axes, label="objects", fraction=0.046, pad=0.03, format="{x:g}")
    bar.minorticks_off()
    _finish(relative_axes, "Size", x="Width [share of the image]", y="Height [share of the image]")

    scales, _ = plan_resizes(images.sizes_hw, (input_size, input_size), resize)
    shorter = np.maximum((sides * scales[own]).min(axis=1), 0.5)
    _log_histogram(side_axes, shorter)
    for pixels in (8, 16, 32):
        side_axes.axvline(pixels, color=_ACCENT, linewidth=1, linestyle=(0, (4, 3)))
    title = f"Shorter side at {input_size} px (dashed: 8, 16, 32)"
    _finish(side_axes, title, x=f"Shorter side [pixels of an input of {input_size}]", y="Objects")

    aspect = np.maximum(sides[:, 0], 1e-3) / np.maximum(sides[:, 1], 1e-3)
    _log_histogram(aspect_axes, aspect)
    aspect_axes.axvline(1, color=_DARK, linewidth=1)
    _finish(aspect_axes, "Shape (below 1: upright)", x="Width / height", y="Objects")
    _save(figure, path)


def _plot_grids(limits: Sequence[GridLimits], recommendation: Recommendation | None, path: Path) -> None:
    """Draw the share of objects that grids lose against S, for the rules of grid_fit.py."""
    figure = _figure(8.6, 5.2)
    axes = figure.add_subplot()
    measured = sorted(limits, key=lambda one: one.grid_size)
    sides = [one.grid_size for one in measured]

    def draw(label: str, lost: Sequence[int], colour: str, style: str = "-") -> None:
        shares = [100 * one.share(count) for one, count in zip(measured, lost, strict=True)]
        axes.plot(sides, shares, style, color=colour, marker="o", markersize=3.5, linewidth=1.8, label=label)

    draw("one object per cell (the original)", [one.lost_one_object for one in measured], _DARK)
    for count, colour in ((2, "#2a6fb0"), (3, "#4fa3a5"), (4, "#e0a030")):
        draw(f"{count} boxes per cell", [one.lost_boxes[count - 1] for one in measured], colour)
    draw("2 boxes per cell, of one class", [one.lost_one_class[1] for one in measured], "#2a6fb0", "--")
    axes.axhline(1, color=_ACCENT, linewidth=1, linestyle=(0, (4, 3)))
    if recommendation is not None:
        label = f"recommended: S = {recommendation.grid_size}, B = {recommendation.boxes_per_cell}"
        share = 100 * recommendation.lost_share
        axes.plot(
            recommendation.grid_size, share, "o", color=_ACCENT, markersize=9, zorder=5, clip_on=False, label=label
        )
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
    axes.set_xlim(left=0)
    _finish(
        axes, "Objects that the grid cannot hold", x="Grid size S [cells along a side]", y="Lost [% of the objects]"
    )
    axes.legend(frameon=False, fontsize=9)
    _save(figure, path)


def name_for_plot(name: str) -> str:
    """A class name that matplotlib's own font can draw: short, without formulas; "?" for letters it does not have.

    >>> name_for_plot("caf\u00e9 \u732b")
    'café ?'
    """
    drawn = "".join(letter if ord(letter) in _letters() else "?" for letter in " ".join(name.split()))
    shortened = drawn if len(drawn) <= _LONGEST_NAME else drawn[: _LONGEST_NAME - 1] + "…"
    return shortened.replace("$", r"\$")  # else matplotlib reads a formula between two of them


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    """Code points that DejaVu Sans, which comes with matplotlib, can draw."""
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))).get_charmap())


def _draw_objects_per_image(axes: Axes, statistics: DatasetStatistics) -> None:
    from matplotlib.ticker import MaxNLocator

    counts = np.array(statistics.images_by_objects)
    width = max(1, -(-len(counts) // 40))  # numbers of objects that share a bar
    starts = np.arange(0, len(counts), width)
    if len(starts):
        axes.bar(starts, np.add.reduceat(counts, starts), width=0.9 * width, align="edge", color=_MAIN)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    per_image = statistics.objects_per_image
    title = "Objects on an image" + (f" (median {per_image.median:g}, most {per_image.max:g})" if per_image else "")
    _finish(axes, title, x="Objects", y="Images")


def _log_histogram(axes: Axes, values: NDArray[Any]) -> None:
    """40 bars, even in the logarithm, around positive values."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = np.log2(values.min()), np.log2(values.max())
    edges = np.exp2(np.linspace(min(low, high - 0.5) - 0.01, high + 0.01, 41))
    axes.hist(values, bins=edges.tolist(), color=_MAIN)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=7))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:.3g}")


def _finish(axes: Axes, title: str, *, x: str, y: str, grid: Literal["both", "x", "none"] = "both") -> None:
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid != "none":
        axes.grid(axis=grid, color=_LINES, linewidth=0.8)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")
