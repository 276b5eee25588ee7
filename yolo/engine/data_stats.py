"""`gridyolo data stats`: a dataset in numbers and plots, and which grid, boxes per cell and input size fit it.

The run folder holds

    stats.json    data, split, resize; `statistics`: data.statistics.DatasetStatistics; `grids`: a list of
                  data.grid_limits.GridLimits, for each S that is tried; `recommendation`: data.recommendation.
                  Recommendation with `lost_share` and the `command` of a training, or null where nothing is taught
    data.json     the account of what was read
    classes.png images.png boxes.png grid.png
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from yolo.config import DataStatsConfig, LossConfig, ModelConfig
from yolo.data.account import printable
from yolo.data.descriptor import find_dataset, read_split
from yolo.engine.console import say
from yolo.files import new_folder, write_json
from yolo.inspection.grid_limits import GridLimits, measure_grids
from yolo.inspection.plots import plot_boxes, plot_classes, plot_grids, plot_images
from yolo.inspection.recommendation import Recommendation, recommend
from yolo.inspection.statistics import DatasetStatistics, measure_dataset
from yolo.inspection.tables import class_table, grid_table, overview_lines, size_table

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
