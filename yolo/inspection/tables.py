"""A dataset's numbers as tables and lines for the console. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yolo.inspection.grid_limits import GridLimits
from yolo.inspection.statistics import DatasetStatistics, Spread

if TYPE_CHECKING:
    from rich.table import Table

MAX_ROWS = 30  # classes


@dataclass(frozen=True, slots=True)
class TextTable:
    """A title, a header and rows of text; the first column is left-aligned."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def plain(self) -> str:
        """Aligned text without colours, for files and pipes; no line break at the end."""
        lines = (self.header, *self.rows)
        widths = [max(len(row[column]) for row in lines) for column in range(len(self.header))]
        text = [self.title]
        for row in lines:
            first, *others = row
            cells = [
                first.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            ]
            text.append("  ".join(cells).rstrip())
        return "\n".join(text)

    def rich(self) -> Table:
        """For a terminal, to be printed by a rich console."""
        from rich.table import Table
        from rich.text import Text

        # Text, because class names may hold brackets, which rich would read as markup
        table = Table(
            box=None, header_style="bold", pad_edge=False, title=Text(self.title, "bold"), title_justify="left"
        )
        for place, name in enumerate(self.header):
            table.add_column(Text(name), justify="right" if place else "left", no_wrap=place > 0)
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table


def overview_lines(statistics: DatasetStatistics) -> list[str]:
    """Images, objects and the sizes of both, a line each."""
    one = statistics
    share = one.background_images / one.images if one.images else 0.0
    ignored = one.objects - one.taught_objects
    lines = [
        f"images: {one.images}, without objects {one.background_images} ({share:.1%})",
        f"objects: {one.objects}" + (f", of them {ignored} difficult or crowds, not in what follows" * (ignored > 0)),
    ]
    spreads = (
        ("objects per image", one.objects_per_image, ""),
        ("image width", one.image_width, " px"),
        ("image height", one.image_height, " px"),
        ("box width", one.box_width, " px"),
        ("box height", one.box_height, " px"),
        ("box width / height", one.box_aspect, ""),
    )
    return lines + [f"{name}: {_spread(spread, unit)}" for name, spread, unit in spreads if spread is not None]


def class_table(statistics: DatasetStatistics) -> TextTable:
    """A row per class, the most frequent first, `MAX_ROWS` at most."""
    shown = sorted(statistics.classes, key=lambda one: -one.objects)
    rows = [
        (
            one.name,
            str(one.objects),
            f"{one.objects / max(1, statistics.objects):.1%}",
            str(one.images),
            str(one.difficult),
            str(one.crowd),
            "-" if one.shorter_side is None else f"{one.shorter_side:.1%}",
        )
        for one in shown[:MAX_ROWS]
    ]
    more = f"; {len(shown) - MAX_ROWS} rarer ones are in stats.json" if len(shown) > MAX_ROWS else ""
    return TextTable(
        f"Classes (side: the median shorter side, as a share of the image's{more})",
        ("class", "objects", "share", "images", "difficult", "crowd", "side"),
        tuple(rows),
    )


def size_table(statistics: DatasetStatistics) -> TextTable:
    """Small, medium and large objects on the images and on inputs of several sizes."""
    rows = []
    for one in statistics.areas:
        side = one.shorter_side
        numbers = ("-", "-") if side is None else (f"{side.q5:.0f}", f"{side.median:.0f}")
        name = "as in the files" if one.input_size is None else f"{one.input_size} px"
        rows.append((name, f"{one.small:.1%}", f"{one.medium:.1%}", f"{one.large:.1%}", *numbers))
    return TextTable(
        "Object sizes by input (small: below 32² px, large: from 96² px; sides: the shorter ones, in pixels)",
        ("input", "small", "medium", "large", "side 5 %", "median side"),
        tuple(rows),
    )


def grid_table(grids: Sequence[GridLimits]) -> TextTable:
    """What each grid loses by the rules of grid_limits.py."""
    rows = []
    for one in grids:
        lost = (one.lost_one_object, *one.lost_boxes[1:4], one.lost_one_class[1])
        shares = tuple(f"{one.share(count):.2%}" for count in lost)
        rows.append(
            (f"{one.grid_size}x{one.grid_size}", f"{one.input_size}/{one.input_size // one.grid_size}", *shares)
        )
    return TextTable(
        "Objects that a grid cannot hold, because too many centres share a cell",
        ("grid", "input/stride", "1 object", "2 boxes", "3 boxes", "4 boxes", "2 boxes, 1 class"),
        tuple(rows),
    )


def _spread(spread: Spread, unit: str) -> str:
    if spread.min == spread.max:
        return f"{_number(spread.min)}{unit}"
    return (
        f"{_number(spread.min)} to {_number(spread.max)}{unit}, median {_number(spread.median)}{unit}, "
        f"90 % in {_number(spread.q5)} to {_number(spread.q95)}{unit}"
    )


def _number(value: float) -> str:
    """Three digits, whole numbers from 100 on.

    >>> _number(0.4567), _number(12.34), _number(1234.5)
    ('0.457', '12.3', '1234')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
