"""`gridyolo data stats`: a dataset in numbers and plots, and which grid, boxes per cell and input size fit it.

The run folder holds

    stats.json    data, split, resize; `statistics`: measures.DatasetStatistics; `grids`: a list of
                  grid_fit.GridLimits, for each S that is tried; `recommendation`: grid_fit.Recommendation with
                  `lost_share` and the `command` of a training, or null where no object can be trained on
    data.json     the report of reading
    classes.png images.png boxes.png grid.png

Figures are drawn without pyplot, so nothing global is touched and no window can open. Left out: the numbers
(measures.py, grid_fit.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from yolo.config import DataStatsConfig, LossConfig, ModelConfig
from yolo.console import print_table, say
from yolo.curate.grid_fit import GridLimits, Recommendation, measure_grids, recommend, trainable_objects
from yolo.curate.measures import DatasetStatistics, Quantiles, box_sides, measure_dataset
from yolo.data.read import find_dataset, read_split
from yolo.errors import printable
from yolo.files import atomic_write, new_folder, write_json
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode, plan_resizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS = 30  # classes in the table
MAX_BARS = 100  # classes in one picture

# The input sizes of the tables, and the strides for which their grids are measured.
_INPUT_SIZES, _STRIDES = (224, 320, 416, 448, 512, 640), (32, 16, 8)
_DEFAULT_INPUT_SIZE = 320


_DPI = 150
_DARK, _MAIN, _PALE, _ACCENT, _LINES = "#1a1a1a", "#2a6fb0", "#a9c9e6", "#d1495b", "#e3e7ec"
_BY_BOXES = {2: _MAIN, 3: "#4fa3a5", 4: "#e0a030"}
_DASHED = (0, (4, 3))
_LONGEST_NAME = 28
_LOG_FROM = 50.0  # bars are drawn on a logarithmic scale if the longest is this many times the shortest


class DataStatsRun(NamedTuple):
    """What was measured, and where it is written."""

    folder: Path  # the run folder
    statistics: DatasetStatistics
    grids: tuple[GridLimits, ...]  # by S
    recommendation: Recommendation | None  # None if no object can be trained on
    command: str  # the recommended training, for a shell; "" if none is


class TextTable(NamedTuple):
    """A title and rows of text, the first of which is the header."""

    title: str
    rows: list[tuple[str, ...]]


def stats(config: DataStatsConfig, console: Console | None = None) -> DataStatsRun:
    """Measure a split, write a run folder and print a summary; see `DataStatsConfig`.

    Raises:
        DataError: a dataset that cannot be used.
    """
    console = console or Console(quiet=True)
    descriptor = find_dataset(Path(config.data))
    split = read_split(descriptor, config.split, box_policy=config.box_policy)
    say(console, *descriptor.notes, *split.report.summary_lines())
    images, resize = split.images, config.resize
    statistics = measure_dataset(images, split.class_names, resize=resize, input_sizes=_INPUT_SIZES)
    found = recommend(images, split.class_names, resize=resize, input_size=config.input_size)
    by_side = {limits.grid_size: limits for limits in measure_grids(images, _grids_to_try(), resize=resize)}
    if found is not None:  # measured on its own input
        by_side[found.grid_size] = found.limits
    run = DataStatsRun(
        folder=new_folder(Path(config.runs), config.name),
        statistics=statistics,
        grids=tuple(by_side[side] for side in sorted(by_side)),
        recommendation=found,
        command=training_command(config, found) if found else "",
    )
    write_json(run.folder / "stats.json", _to_dict(config, run))
    write_json(run.folder / "data.json", split.report.to_dict())
    input_size = found.input_size if found else _DEFAULT_INPUT_SIZE
    draw_plots(run, images, input_size=input_size, resize=resize)
    _print_summary(run, console)
    return run


def training_command(config: DataStatsConfig, recommendation: Recommendation) -> str:
    """The command line of the recommended training."""
    words = ["gridyolo", "train", "--data", config.data, "--input-size", str(recommendation.input_size)]
    words += ["--model.grid-size", str(recommendation.grid_size)]
    words += ["--model.boxes-per-cell", str(recommendation.boxes_per_cell)]
    if recommendation.boxes_per_cell > LossConfig().objects_per_cell:  # else no object would go to the further boxes
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


def _to_dict(config: DataStatsConfig, run: DataStatsRun) -> dict[str, Any]:
    found = run.recommendation
    recommendation = None if found is None else asdict(found) | {"lost_share": found.lost_share, "command": run.command}
    return {
        "data": printable(config.data),
        "split": config.split,
        "resize": config.resize,
        "statistics": asdict(run.statistics),
        "grids": [asdict(limits) for limits in run.grids],
        "recommendation": recommendation,
    }


def _print_summary(run: DataStatsRun, console: Console) -> None:
    say(console, *overview_lines(run.statistics))
    for table in (class_table(run.statistics), size_table(run.statistics), grid_table(run.grids)):
        say(console, "", table.title)
        print_table(console, table.rows)
    found = run.recommendation
    if found is None:
        say(console, "", "no object can be trained on: there is nothing to recommend")
    else:
        grid = f"grid {found.grid_size}x{found.grid_size}, {found.boxes_per_cell} boxes per cell"
        say(console, "", f"recommended: input {found.input_size} px, {grid}")
        say(console, *(f"  {line}" for line in found.reasons))


def overview_lines(statistics: DatasetStatistics) -> list[str]:
    """Images, objects and the sizes of both, a line each."""
    one = statistics
    share = one.background_images / one.images if one.images else 0.0
    ignored = one.objects - one.trainable_objects
    lines = [
        f"images: {one.images}, without objects {one.background_images} ({share:.1%})",
        f"objects: {one.objects}" + (f", of them {ignored} difficult or crowds, not in what follows" * (ignored > 0)),
    ]
    measured = (
        ("objects per image", one.objects_per_image, ""),
        ("image width", one.image_width, " px"),
        ("image height", one.image_height, " px"),
        ("box width", one.box_width, " px"),
        ("box height", one.box_height, " px"),
        ("box width / height", one.box_aspect, ""),
    )
    return lines + [f"{name}: {_range(values, unit)}" for name, values, unit in measured if values is not None]


def class_table(statistics: DatasetStatistics) -> TextTable:
    """A row per class, the most frequent first, `MAX_ROWS` at most."""
    shown = sorted(statistics.classes, key=lambda one: -one.objects)
    rows: list[tuple[str, ...]] = [("class", "objects", "share", "images", "difficult", "crowd", "side")]
    for one in shown[:MAX_ROWS]:
        share = f"{one.objects / max(1, statistics.objects):.1%}"
        side = "-" if one.shorter_side is None else f"{one.shorter_side:.1%}"
        rows.append((one.name, str(one.objects), share, str(one.images), str(one.difficult), str(one.crowd), side))
    more = f"; {len(shown) - MAX_ROWS} rarer ones are in stats.json" if len(shown) > MAX_ROWS else ""
    return TextTable(f"Classes (side: the median shorter side, as a share of the image's{more})", rows)


def size_table(statistics: DatasetStatistics) -> TextTable:
    """Small, medium and large objects on the images and on inputs of several sizes."""
    rows: list[tuple[str, ...]] = [("input", "small", "medium", "large", "side 5 %", "median side")]
    for one in statistics.areas:
        side = one.shorter_side
        sides = ("-", "-") if side is None else (f"{side.q5:.0f}", f"{side.median:.0f}")
        name = "as in the files" if one.input_size is None else f"{one.input_size} px"
        rows.append((name, f"{one.small:.1%}", f"{one.medium:.1%}", f"{one.large:.1%}", *sides))
    title = "Object sizes by input (small: below 32² px, large: from 96² px; sides: the shorter ones, in pixels)"
    return TextTable(title, rows)


def grid_table(grids: Sequence[GridLimits]) -> TextTable:
    """What each grid loses by the rules of grid_fit.py."""
    rows: list[tuple[str, ...]] = [
        ("grid", "input/stride", "1 object", "2 boxes", "3 boxes", "4 boxes", "2 boxes, 1 class")
    ]
    for one in grids:
        lost = (one.lost_one_object, *one.lost_boxes[1:4], one.lost_one_class[1])
        name, stride = f"{one.grid_size}x{one.grid_size}", one.input_size // one.grid_size
        rows.append((name, f"{one.input_size}/{stride}", *(f"{one.share(count):.2%}" for count in lost)))
    return TextTable("Objects that a grid cannot hold, because too many centres share a cell", rows)


def _range(values: Quantiles, unit: str) -> str:
    if values.min == values.max:
        return f"{_number(values.min)}{unit}"
    return (
        f"{_number(values.min)} to {_number(values.max)}{unit}, median {_number(values.median)}{unit}, "
        f"90 % in {_number(values.q5)} to {_number(values.q95)}{unit}"
    )


def _number(value: float) -> str:
    """Three digits, whole numbers from 100 on.

    >>> _number(0.4567), _number(12.34), _number(1234.5)
    ('0.457', '12.3', '1234')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def draw_plots(run: DataStatsRun, images: AnnotatedImages, *, input_size: int, resize: ResizeMode) -> None:
    """Draw classes.png, images.png, boxes.png and grid.png into the run folder.

    Args:
        run: the numbers.
        images: the dataset.
        input_size: side of the input on which the shorter sides of boxes are measured.
        resize: how images are placed on it.
    """
    _plot_classes(run.statistics, run.folder / "classes.png")
    _plot_images(run.statistics, images, run.folder / "images.png")
    _plot_boxes(images, run.folder / "boxes.png", input_size=input_size, resize=resize)
    _plot_grids(run.grids, run.recommendation, run.folder / "grid.png")


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, saved as PNG at the end of the block."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")


def _plot_classes(statistics: DatasetStatistics, path: Path) -> None:
    """Draw bars of objects and images per class, the most frequent on top and `MAX_BARS` at most."""
    shown = sorted(statistics.classes, key=lambda one: -one.objects)[:MAX_BARS]
    rows, objects, images = np.arange(len(shown)), [one.objects for one in shown], [one.images for one in shown]
    row_height, font_size = (0.3, 9) if len(shown) <= 30 else (0.19, 7)
    with _figure(path, 8.6, 1.5 + row_height * max(len(shown), 3)) as figure:
        axes = figure.add_subplot()
        axes.barh(rows, objects, height=0.8, color=_PALE, label="objects")
        axes.barh(rows, images, height=0.35, color=_MAIN, label="images with the class")
        axes.set_yticks(rows, [name_for_plot(one.name) for one in shown], fontsize=font_size)
        axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
        axes.set_xlim(left=0)
        if max(objects, default=0) > _LOG_FROM * max(1, min(objects, default=1)):
            axes.set_xscale("log")
            axes.set_xlim(left=0.8)
            axes.xaxis.set_major_formatter("{x:g}")
        for place, count in enumerate(objects):
            end = (max(count, axes.get_xlim()[0]), place)
            axes.annotate(str(count), end, (3, 0), textcoords="offset points", va="center", size=7)
        axes.margins(x=0.08)
        title = f"{statistics.objects} objects, {statistics.images} images"
        title += f" ({statistics.background_images} without objects)"
        if len(statistics.classes) > len(shown):
            title += f"\n{len(statistics.classes) - len(shown)} rarer classes are not drawn"
        _finish(axes, title, x="Count", y="", grid="x")
        axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)


def _plot_images(statistics: DatasetStatistics, images: AnnotatedImages, path: Path) -> None:
    """Draw the sizes of the images, the objects on each, and where the centres of the objects are."""
    with _figure(path, 13.5, 4.4) as figure:
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
        title = "Centres of the objects"
        _finish(centre_axes, title, x="x [share of the width]", y="y [share of the height]", grid="none")
        figure.colorbar(shown, ax=centre_axes, label="objects", fraction=0.046, pad=0.03)


def _plot_boxes(images: AnnotatedImages, path: Path, *, input_size: int, resize: ResizeMode) -> None:
    """Draw sizes and shapes of the boxes that are trained on."""
    trainable = trainable_objects(images)
    sides, own = box_sides(images.objects[trainable]), images.image_index[trainable]
    with _figure(path, 13.5, 4.4) as figure:
        relative_axes, side_axes, aspect_axes = figure.subplots(1, 3)
        if not len(sides):
            for axes in (relative_axes, side_axes, aspect_axes):
                axes.text(0.5, 0.5, "no objects", ha="center", va="center", transform=axes.transAxes, color="grey")
            return
        relative = np.clip(sides / images.sizes_hw[own, ::-1], 0, 1)
        bins = np.linspace(0, 1, 41)
        shown = relative_axes.hist2d(*relative.T, bins=[bins, bins], cmap="viridis", norm="log", cmin=1)[3]
        bar = figure.colorbar(shown, ax=relative_axes, label="objects", fraction=0.046, pad=0.03, format="{x:g}")
        bar.minorticks_off()
        _finish(relative_axes, "Size", x="Width [share of the image]", y="Height [share of the image]")

        scales, _ = plan_resizes(images.sizes_hw, (input_size, input_size), resize)
        shorter = np.maximum((sides * scales[own]).min(axis=1), 0.5)
        _log_histogram(side_axes, shorter)
        for pixels in (8, 16, 32):
            side_axes.axvline(pixels, color=_ACCENT, linewidth=1, linestyle=_DASHED)
        title = f"Shorter side at {input_size} px (dashed: 8, 16, 32)"
        _finish(side_axes, title, x=f"Shorter side [pixels of an input of {input_size}]", y="Objects")

        aspect = np.maximum(sides[:, 0], 1e-3) / np.maximum(sides[:, 1], 1e-3)
        _log_histogram(aspect_axes, aspect)
        aspect_axes.axvline(1, color=_DARK, linewidth=1)
        _finish(aspect_axes, "Shape (below 1: upright)", x="Width / height", y="Objects")


def _plot_grids(measured: Sequence[GridLimits], recommendation: Recommendation | None, path: Path) -> None:
    """Draw the share of objects that grids lose against S, for the rules of grid_fit.py."""
    with _figure(path, 8.6, 5.2) as figure:
        axes = figure.add_subplot()
        sides = [one.grid_size for one in measured]

        def draw(label: str, lost: Sequence[int], colour: str, style: str = "-") -> None:
            shares = [100 * one.share(count) for one, count in zip(measured, lost, strict=True)]
            axes.plot(sides, shares, style, color=colour, marker="o", markersize=3.5, linewidth=1.8, label=label)

        draw("one object per cell (the original)", [one.lost_one_object for one in measured], _DARK)
        for count, colour in _BY_BOXES.items():
            draw(f"{count} boxes per cell", [one.lost_boxes[count - 1] for one in measured], colour)
        draw("2 boxes per cell, of one class", [one.lost_one_class[1] for one in measured], _MAIN, "--")
        axes.axhline(1, color=_ACCENT, linewidth=1, linestyle=_DASHED)
        if recommendation is not None:
            side, share = recommendation.grid_size, 100 * recommendation.lost_share
            label = f"recommended: S = {side}, B = {recommendation.boxes_per_cell}"
            axes.plot(side, share, "o", color=_ACCENT, markersize=9, zorder=5, clip_on=False, label=label)
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(0, 100)
        axes.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
        axes.set_xlim(left=0)
        title = "Objects that the grid cannot hold"
        _finish(axes, title, x="Grid size S [cells along a side]", y="Lost [% of the objects]")
        axes.legend(frameon=False, fontsize=9)


def name_for_plot(name: str) -> str:
    """A class name that matplotlib's own font can draw: short, without formulas; "?" for letters it does not have.

    >>> name_for_plot("caf\u00e9 \u732b")
    'café ?'
    """
    drawn = "".join(letter if ord(letter) in _letters() else "?" for letter in " ".join(printable(name).split()))
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
