"""Pictures of a dataset as PNG files: classes, images, boxes, and what grids lose.

Figures are drawn without pyplot, so nothing global is touched and no window can open. Left out: the numbers
(statistics.py, grid_limits.py).

`gridyolo data stats`: a dataset in numbers and plots, and which grid, boxes per cell and input size fit it.

The run folder holds

    stats.json    data, split, resize; `statistics`: data.statistics.DatasetStatistics; `grids`: a list of
                  data.grid_limits.GridLimits, for each S that is tried; `recommendation`: data.recommendation.
                  Recommendation with `lost_share` and the `command` of a training, or null where nothing is taught
    data.json     the account of what was read
    classes.png images.png boxes.png grid.png
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from yolo.config import DataStatsConfig, LossConfig, ModelConfig
from yolo.console import say
from yolo.curate.grid_fit import GridLimits, Recommendation, measure_grids, recommend, taught_objects
from yolo.curate.statistics import (
    DatasetStatistics,
    box_sides,
    class_table,
    grid_table,
    measure_dataset,
    overview_lines,
    size_table,
)
from yolo.data.read import find_dataset, read_split
from yolo.errors import printable
from yolo.files import atomic_write, new_folder, write_json
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


def plot_classes(statistics: DatasetStatistics, path: Path) -> None:
    """Draw bars of objects and images per class, the most frequent on top and `MAX_CLASSES` at most."""
    from matplotlib.figure import Figure

    shown = sorted(statistics.classes, key=lambda one: -one.objects)[:MAX_CLASSES]
    rows = np.arange(len(shown))
    row = 0.3 if len(shown) <= 30 else 0.19  # inches
    figure = Figure(figsize=(8.6, 1.5 + row * max(len(shown), 3)), layout="constrained")
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


def plot_images(statistics: DatasetStatistics, images: AnnotatedImages, path: Path) -> None:
    """Draw the sizes of the images, the objects on each, and where the centres of the objects are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.4), layout="constrained")
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


def plot_boxes(images: AnnotatedImages, path: Path, *, input_size: int, resize: ResizeMode) -> None:
    """Draw sizes and shapes of the taught boxes.

    Args:
        images: the dataset.
        path: PNG file to write.
        input_size: side of the input on which the shorter sides are measured.
        resize: how images are placed on it.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    taught = taught_objects(images)
    sides, own = box_sides(images.objects[taught]), images.image_index[taught]
    figure = Figure(figsize=(13.5, 4.4), layout="constrained")
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


def plot_grids(limits: Sequence[GridLimits], recommendation: Recommendation | None, path: Path) -> None:
    """Draw the share of objects that grids lose against S, for the rules of grid_limits.py."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
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
    spread = statistics.objects_per_image
    title = "Objects on an image" + (f" (median {spread.median:g}, most {spread.max:g})" if spread else "")
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


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")


# The input sizes of the tables, and the strides for which their grids are measured.
_INPUT_SIZES, _STRIDES = (224, 320, 416, 448, 512, 640), (32, 16, 8)
_DEFAULT_INPUT_SIZE = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStatsRun:
    """What was measured, and where it is written.

    Attributes:
        folder: the run folder.
        statistics: the dataset in numbers.
        grids: what grids lose, by S.
        recommendation: what fits; None if no object is taught.
        command: the training that is recommended, for a shell; "" if none is.
    """

    folder: Path
    statistics: DatasetStatistics
    grids: tuple[GridLimits, ...]
    recommendation: Recommendation | None
    command: str


def stats(config: DataStatsConfig, console: Console | None = None) -> DataStatsRun:
    """Measure a split, write a run folder and print a summary; see `DataStatsConfig`.

    Raises:
        DataError: a dataset that cannot be used.
    """
    console = console or Console(quiet=True)
    descriptor = find_dataset(Path(config.data))
    split = read_split(descriptor, config.split, box_policy=config.box_policy)
    say(console, *descriptor.notes, *split.account.summary_lines())
    images, resize = split.images, config.resize
    statistics = measure_dataset(images, split.class_names, resize=resize, input_sizes=_INPUT_SIZES)
    recommendation = recommend(images, split.class_names, resize=resize, input_size=config.input_size)
    grids = _with_recommended(measure_grids(images, _grids_to_try(), resize=resize), recommendation)
    run = DataStatsRun(
        folder=new_folder(Path(config.runs), config.name),
        statistics=statistics,
        grids=grids,
        recommendation=recommendation,
        command=training_command(config, recommendation) if recommendation else "",
    )
    write_json(run.folder / "stats.json", _to_dict(config, run))
    write_json(run.folder / "data.json", split.account.to_dict())
    plot_classes(statistics, run.folder / "classes.png")
    plot_images(statistics, images, run.folder / "images.png")
    shown_size = recommendation.input_size if recommendation else _DEFAULT_INPUT_SIZE
    plot_boxes(images, run.folder / "boxes.png", input_size=shown_size, resize=resize)
    plot_grids(grids, recommendation, run.folder / "grid.png")
    _print_summary(run, console)
    return run


def training_command(config: DataStatsConfig, recommendation: Recommendation) -> str:
    """The command line of the recommended training."""
    words = ["gridyolo", "train", "--data", config.data, "--input-size", str(recommendation.input_size)]
    words += ["--model.grid-size", str(recommendation.grid_size)]
    words += ["--model.boxes-per-cell", str(recommendation.boxes_per_cell)]
    if recommendation.boxes_per_cell > LossConfig().objects_per_cell:  # else the boxes more would not be taught
        words += ["--loss.objects-per-cell", str(recommendation.boxes_per_cell)]
    if config.resize != ModelConfig().resize:
        words += ["--model.resize", config.resize]
    if config.box_policy != "fix":
        words += ["--box-policy", config.box_policy]
    return printable(shlex.join(words))


def _grids_to_try() -> list[tuple[int, int]]:
    """(input size, S), each S once, on the smallest input that has it."""
    by_side: dict[int, int] = {}
    for input_size in _INPUT_SIZES:
        for stride in _STRIDES:
            by_side.setdefault(input_size // stride, input_size)
    return [(input_size, side) for side, input_size in sorted(by_side.items())]


def _with_recommended(measured: Iterable[GridLimits], recommendation: Recommendation | None) -> tuple[GridLimits, ...]:
    """By S; the recommended grid, measured on its own input, in place of another of that S."""
    by_side = {limits.grid_size: limits for limits in measured}
    if recommendation is not None:
        by_side[recommendation.grid_size] = recommendation.limits
    return tuple(by_side[side] for side in sorted(by_side))


def _to_dict(config: DataStatsConfig, run: DataStatsRun) -> dict[str, Any]:
    found = run.recommendation
    recommendation = None if found is None else asdict(found) | {"lost_share": found.lost_share, "command": run.command}
    return {
        "data": printable(config.data),
        "split": config.split,
        "resize": config.resize,
        "statistics": run.statistics.to_dict(),
        "grids": [asdict(limits) for limits in run.grids],
        "recommendation": recommendation,
    }


def _print_summary(run: DataStatsRun, console: Console) -> None:
    for line in overview_lines(run.statistics):
        say(console, line)
    for table in (class_table(run.statistics), size_table(run.statistics), grid_table(run.grids)):
        say(console, "")
        if console.is_terminal:
            console.print(table.rich())
        else:
            say(console, table.plain())
    say(console, "")
    if run.recommendation is None:
        say(console, "no object is taught: there is nothing to recommend")
    else:
        found = run.recommendation
        say(
            console,
            f"recommended: input {found.input_size} px, grid {found.grid_size}x{found.grid_size}, "
            f"{found.boxes_per_cell} boxes per cell",
        )
        for reason in found.reasons:
            say(console, f"  {reason}")
        say(console, f"  {run.command}")
    say(console, f"results: {run.folder}")
