"""`gridyolo data stats`: a dataset in numbers and plots, and which grid, boxes per cell and input size fit it.

The run folder holds

    stats.json    data, split, resize; `statistics`: measures.DatasetStatistics; `grids`: a list of
                  grid_fit.GridLimits, for each S that is tried; `recommendation`: grid_fit.Recommendation with
                  `lost_share` and the `command` of a training, or null where no object can be trained on
    data.json     the account of what was read
    classes.png images.png boxes.png grid.png
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from yolo.config import DataStatsConfig, LossConfig, ModelConfig
from yolo.console import print_table, say
from yolo.curate.grid_fit import GridLimits, Recommendation, measure_grids, recommend
from yolo.curate.measures import DatasetStatistics, Quantiles, measure_dataset
from yolo.curate.stats_plots import draw_plots
from yolo.data.read import find_dataset, read_split
from yolo.errors import printable
from yolo.files import new_folder, write_json

MAX_ROWS = 30  # classes

# The input sizes of the tables, and the strides for which their grids are measured.
_INPUT_SIZES, _STRIDES = (224, 320, 416, 448, 512, 640), (32, 16, 8)
_DEFAULT_INPUT_SIZE = 320


class DataStatsRun(NamedTuple):
    """What was measured, and where it is written.

    Attributes:
        folder: the run folder.
        statistics: the dataset in numbers.
        grids: what grids lose, by S.
        recommendation: what fits; None if no object can be trained on.
        command: the training that is recommended, for a shell; "" if none is.
    """

    folder: Path
    statistics: DatasetStatistics
    grids: tuple[GridLimits, ...]
    recommendation: Recommendation | None
    command: str


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
    draw_plots(run.folder, images, statistics, run.grids, found, input_size=input_size, resize=resize)
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
        say(console, *(f"  {line}" for line in (*found.reasons, run.command)))
    say(console, f"results: {run.folder}")


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
