from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from yolo.errors import DataError
from yolo.files import atomic_folder, atomic_write, new_folder, require_free, write_csv, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_name_keeps_the_suffix_and_the_result_ordinary_permissions(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary.json"
    ordinary.write_text("x")
    with atomic_write(tmp_path / "sub" / "a.json") as temporary:
        assert temporary.suffix == ".json"
    assert (tmp_path / "sub" / "a.json").stat().st_mode == ordinary.stat().st_mode


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_new_folders_never_overwrite(tmp_path: Path) -> None:
    names = [new_folder(tmp_path / "runs", "train").name for _ in range(3)]
    assert names == ["train", "train-2", "train-3"]


def test_a_folder_that_cannot_be_made_is_an_error_and_not_an_endless_search(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "unmounted" / "disk" / "x")
    with pytest.raises(OSError, match="runs"):
        new_folder(tmp_path / "runs" / "sub", "train")


def test_a_new_folder_is_there_when_the_block_ends(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a" / "new") as building:
        (building / "file").write_text("x")
        assert not (tmp_path / "a" / "new").exists()
    assert (tmp_path / "a" / "new" / "file").read_text() == "x"
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "a" / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_an_empty_folder_stays_the_one_it_is(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino
    with atomic_folder(tmp_path) as building:
        (building / "dataset.yaml").write_text("x")
        (building / "folder").mkdir()
    assert tmp_path.stat().st_ino == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.yaml", "folder"]


@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "new"
    if there:
        folder.mkdir()

    def interrupted() -> None:
        with atomic_folder(folder) as building:
            (building / "file").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.rglob("*")] == (["new"] if there else [])


def test_used_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(DataError, match="exists and is not an empty folder; name a new one"):
            require_free(place)
    with pytest.raises(DataError, match="cannot be"), atomic_folder(tmp_path / "file" / "below"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


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
