"""The history of a training: its curves over the epochs, as results.png and as the charts on the page.

What is shown is decided once, as panels of curves; matplotlib draws them in the file, the template of the page as SVG.
The columns are those of results.csv; one that an older run lacks gives no curve.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from yolo.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Item = TypeVar("Item")

_MAX_POINTS = 300  # of a curve on the page, and
_MAX_ROWS = 100  # of the table: a file may have thousands of epochs
_TERMS: Final = {
    "coord_xy": "Centre: coord_xy",
    "coord_wh": "Size: coord_wh",
    "conf_obj": "Objects: conf_obj",
    "conf_noobj": "Background: conf_noobj",
    "class_prob": "Class: class_prob",
}
_COLOURS: Final = ("#0b6bb8", "#c2410c", "#15803d", "#8b2fc9")  # those of the page, in its order
_DASHES: Final = ((), (5, 2))
_GRID, _SOFT = "#e3e7ec", "#566070"
_DPI = 120


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """How a training went."""

    rows: tuple[Mapping[str, float], ...]  # results.csv: one for each epoch, without what was not measured
    best_epoch: int = 0  # of the weights that were kept, from 1; 0 where it is not known
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage, named for people
    hint: str = ""  # what would make it faster

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """The epochs that have a value, and the values."""
        known = [(row["epoch"], row[name]) for row in self.rows if name in row]
        return [epoch for epoch, _ in known], [value for _, value in known]

    @property
    def table(self) -> list[list[float | None]]:
        """Epoch, loss on train and val, the two mAPs, learning rate, norm of the gradient; of at most 100 epochs."""
        names = ("train/loss", "val/loss", "metrics/mAP50", "metrics/mAP50-95", "lr/pg0", "grad_norm")
        return [[row["epoch"], *(row.get(name) for name in names)] for row in _thinned(self.rows, _MAX_ROWS)]


class Curve(NamedTuple):
    """A line of a panel."""

    name: str
    epochs: Sequence[float]
    values: Sequence[float]


class Point(NamedTuple):
    """One value of a curve on the page."""

    x: float  # pixels from the upper left corner of the panel
    y: float
    epoch: float
    value: float


class Panel(NamedTuple):
    """One chart."""

    title: str
    curves: tuple[Curve, ...]  # that have values
    low: float  # of the axis of values
    high: float
    is_log: bool
    first: float  # of the axis of epochs
    last: float

    @property
    def marks_best(self) -> bool:
        """Whether the epoch of the best weights is marked: mAP is what makes them the best."""
        return self.title.startswith("mAP")

    def height(self, value: float) -> float:
        """Where a value lies between the lower (0) and the upper end (1) of the panel."""
        if self.is_log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def place(self, epoch: float) -> float:
        """Where an epoch lies between the left (0) and the right end (1)."""
        return (epoch - self.first) / (self.last - self.first)

    @property
    def ticks(self) -> list[float]:
        """Round values on the axis."""
        return _log_ticks(self.low, self.high) if self.is_log else _ticks(self.low, self.high, 4)

    @property
    def epoch_ticks(self) -> list[float]:
        """Round epochs."""
        return [tick for tick in _ticks(self.first, self.last, 5) if tick == int(tick)]

    def points(self, curve: Curve, width: float, height: float) -> list[Point]:
        """A curve in a panel of so many pixels, as dense as can be seen."""
        pairs = _thinned(list(zip(curve.epochs, curve.values, strict=True)), _MAX_POINTS)
        return [
            Point(round(width * self.place(epoch), 1), round(height * (1 - self.height(value)), 1), epoch, value)
            for epoch, value in pairs
        ]


def read_history(path: Path, *, best_epoch: int = 0) -> TrainingHistory:
    """Read results.csv; the sums of the loss terms become `train/loss` and `val/loss`.

    What is no number is left out, and so are rows without an epoch: a damaged file must not end a training.

    Args:
        path: of the file, which may be missing.
        best_epoch: of the weights that were kept, from 1; 0 where it is not known.

    Raises:
        OSError: the file is there but cannot be read.
    """
    if not path.exists():
        return TrainingHistory((), best_epoch)
    text = path.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    rows = []
    for row in csv.DictReader(text.splitlines()):
        known = {name: number for name, text in row.items() if name and math.isfinite(number := _number(text))}
        if "epoch" not in known:
            continue
        for split in ("train", "val"):
            terms = [known.get(f"{split}/{term}_loss", math.nan) for term in _TERMS]
            if math.isfinite(sum(terms)):
                known[f"{split}/loss"] = sum(terms)
        rows.append(known)
    return TrainingHistory(tuple(rows), best_epoch)


def _number(text: str | None) -> float:
    """A field of a row; NaN where it is empty, missing or no number."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def main_panels(history: TrainingHistory) -> list[Panel]:
    """Loss, mAP, learning rate, norm of the gradient; those of which something is known."""
    rates = sorted({name for row in history.rows for name in row if name.startswith("lr/")})
    names = {name: "learning rate" if len(rates) == 1 else name.removeprefix("lr/") for name in rates}
    panels = [
        _panel(history, "Loss", {"train/loss": "train", "val/loss": "val"}, is_log=True),
        _panel(history, "mAP on val", {"metrics/mAP50": "mAP@0.5", "metrics/mAP50-95": "mAP@0.5:0.95"}, ends=(0, 1)),
        _panel(history, "Learning rate", names, ends=(0, None)),
        _panel(history, "Gradient norm", {"grad_norm": "mean of each epoch"}, is_log=True),
    ]
    return [panel for panel in panels if panel.curves]


def term_panels(history: TrainingHistory) -> list[Panel]:
    """The five terms of the loss, weighted as they are summed."""
    panels = [
        _panel(history, title, {f"train/{term}_loss": "train", f"val/{term}_loss": "val"}, is_log=True)
        for term, title in _TERMS.items()
    ]
    return [panel for panel in panels if panel.curves]


def _panel(
    history: TrainingHistory,
    title: str,
    columns: Mapping[str, str],
    *,
    is_log: bool = False,
    ends: tuple[float, float | None] | None = None,
) -> Panel:
    """The curves of some columns; `ends` are those of the axis of values, by default what they need."""
    curves = [Curve(name, *history.column(column)) for column, name in columns.items()]
    curves = [curve for curve in curves if curve.values]
    values = [value for curve in curves for value in curve.values]
    is_log = is_log and min(values, default=0.0) > 0  # a term may be exactly 0, such as that of the only class
    low, high = min(values, default=0.0), max(values, default=1.0)
    if is_log:
        low, high = (low / 1.15, high * 1.15) if high > 1.3 * low else (low / 1.5, high * 1.5)
    else:
        low, high = min(0.0, low), max(high * 1.05, 1e-9)
    if ends is not None:
        low, high = ends[0], high if ends[1] is None else ends[1]
    first, last = (history.rows[0]["epoch"], history.rows[-1]["epoch"]) if history.rows else (0.0, 1.0)
    if first == last:
        first, last = first - 1, last + 1
    return Panel(title, tuple(curves), low, high, is_log, first, last)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers from low to high.

    >>> _ticks(0, 1, 4), _ticks(0, 0.002, 4)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.0005, 0.001, 0.0015, 0.002])
    """
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.7 * rough)
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [float(f"{number * step:.6g}") for number in numbers]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, or where there are few of them their double and fivefold too.

    >>> _log_ticks(0.5, 20), _log_ticks(0.001, 200)
    ([0.5, 1.0, 2.0, 5.0, 10.0, 20.0], [0.001, 0.01, 0.1, 1.0, 10.0, 100.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)):
        ticks = [float(f"{factor * 10.0**power:.6g}") for power in powers for factor in factors]
        shown = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(shown) > 3:
            break
    return shown


def _thinned(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, evenly, the first and the last included."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def plot_history(history: TrainingHistory, path: Path) -> None:
    """Draw results.png, the main panels above and the terms of the loss below; nothing where nothing is known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [panels for panels in (main_panels(history), term_panels(history)) if panels]
    if not rows:
        return
    figure = Figure(figsize=(15, 3.6 + 2.7 * (len(rows) - 1)), layout="constrained")
    FigureCanvasAgg(figure)
    # the layout of one group does not move those of the other
    groups = figure.subfigures(len(rows), 1, height_ratios=(3.6, 2.7)[: len(rows)], squeeze=False)
    for group, panels in zip(groups[:, 0], rows, strict=True):
        for axes, panel in zip(group.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel, history.best_epoch if panel.marks_best else 0)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def _draw(axes: Axes, panel: Panel, best_epoch: int) -> None:
    for curve, colour, dashes in zip(panel.curves, _COLOURS, _DASHES * 2, strict=False):
        (line,) = axes.plot(curve.epochs, curve.values, color=colour, dashes=dashes, label=curve.name)
        if _is_sparse(curve):
            line.set(marker="o", markersize=3)
    if best_epoch:
        axes.axvline(best_epoch, color=_SOFT, linewidth=1, linestyle=(0, (1, 2)))
    axes.set_title(panel.title, loc="left", fontsize=11)
    axes.set(xlabel="epoch", xlim=(panel.first, panel.last), yscale="log" if panel.is_log else "linear")
    axes.set_ylim(panel.low, panel.high)
    axes.set_xticks(panel.epoch_ticks)
    axes.set_yticks(panel.ticks, [f"{tick:g}" for tick in panel.ticks])
    axes.minorticks_off()
    axes.grid(color=_GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.curves) > 1:
        axes.legend(frameon=False, fontsize=9)


def _is_sparse(curve: Curve) -> bool:
    """Whether epochs without a value lie between those with one, or there is one alone."""
    return len(curve.epochs) < 2 or any(later - earlier > 1 for earlier, later in pairwise(curve.epochs))
