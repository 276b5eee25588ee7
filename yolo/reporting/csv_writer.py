"""CSV files that are safe to open: lines end in LF, and no cell is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from yolo.data.account import printable
from yolo.files import atomic_write

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\n")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table, as a whole or not at all.

    Args:
        path: file to write; its folder is made if there is none.
        columns: of the first line.
        rows: text, numbers and truth values; what is no finite number becomes an empty cell.
    """
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """A value as it stands in the file.

    >>> _cell("=1+1"), _cell("dog"), _cell(-0.5), _cell(float("nan"))
    ("'=1+1", 'dog', -0.5, '')
    """
    if isinstance(value, str):
        # where lines end in LF, Python 3.11 does not quote a CR, at which readers would end the row
        text = printable(value).replace("\r", "\n")
        return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    return "" if isinstance(value, float) and not math.isfinite(value) else value
