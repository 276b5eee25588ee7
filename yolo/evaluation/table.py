"""The result as a table for the console: one row for all classes, one row per class. Prints nothing itself.

P, R and F1 hold at IoU 0.5 and the score threshold of the whole evaluation; a dash stands for "no objects".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from yolo.evaluation.result import EvaluationResult

if TYPE_CHECKING:
    from rich.table import Table

HEADER = ("Class", "Images", "Instances", "P", "R", "F1", "mAP50", "mAP50-95")


def table_rows(result: EvaluationResult) -> list[tuple[str, ...]]:
    """The cells of the table below `HEADER`: `all`, then each class in order."""
    rows = [
        (
            "all",
            str(result.num_images),
            str(result.num_objects),
            *_rates(result.precision, result.recall, result.f1, result.map_50, result.map_50_95),
        )
    ]
    rows += [
        (
            one.name,
            str(one.images),
            str(one.instances),
            *_rates(one.precision, one.recall, one.f1, one.ap_50, one.ap_50_95),
        )
        for one in result.per_class
    ]
    return rows


def rich_table(result: EvaluationResult) -> Table:
    """The table for a terminal, to be printed by a rich console."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, title in enumerate(HEADER):
        table.add_column(title, justify="left" if place == 0 else "right", no_wrap=place > 0)
    for place, cells in enumerate(table_rows(result)):
        # Text, because class names may hold brackets, which rich would read as markup
        table.add_row(*(Text(cell) for cell in cells), style="bold" if place == 0 else None)
    return table


def plain_table(result: EvaluationResult) -> str:
    """The same table as aligned text without colours, for files and pipes; no line break at the end."""
    rows = [HEADER, *table_rows(result)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _rates(*values: float) -> tuple[str, ...]:
    return tuple("-" if math.isnan(value) else f"{value:.3f}" for value in values)
