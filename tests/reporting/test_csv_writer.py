"""Tables for spreadsheets: what a cell may hold."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from yolo.reporting.csv_writer import write_csv


def test_lines_end_in_lf_and_numbers_are_exact(tmp_path: Path) -> None:
    write_csv(tmp_path / "new" / "a.csv", ("name", "value"), [("dog", 0.1), ("cat, big", 7), ("ü", True)])
    expected = b'name,value\ndog,0.1\n"cat, big",7\n\xc3\xbc,True\n'
    assert (tmp_path / "new" / "a.csv").read_bytes() == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1"])
def test_no_text_is_a_formula_but_numbers_stay_numbers(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "a.csv", ("a", "b"), [(text, -1)])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        _, (cell, number) = csv.reader(file)
    assert cell.startswith("'")
    assert number == "-1"


def test_what_is_no_finite_number_is_empty(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("a",), [(value,) for value in (math.nan, math.inf, np.float64("nan"))])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == 'a\n""\n""\n""\n'


def test_rows_that_fail_leave_the_old_table(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("a",), [(1,)])
    with pytest.raises(ZeroDivisionError):
        write_csv(tmp_path / "a.csv", ("a",), ((1 // value,) for value in (1, 0)))
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "a\n1\n"
