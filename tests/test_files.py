from __future__ import annotations

import csv
import errno
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from yolo.errors import DataError, SaveError
from yolo.files import (
    atomic_folder,
    atomic_write,
    expand_home,
    new_folder,
    read_bytes,
    remove_unfinished,
    require_free,
    saving,
    write_csv,
    write_json,
    write_text,
)


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


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
TORCHS = RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 832 vs 726\nmore")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (NO_SPACE, r"No space left on device\); free some space"),
        (
            OSError(errno.EROFS, "Read-only file system"),
            r"Read-only file system\); choose a folder that can be written to",
        ),
        (OSError("OpenCV says no"), r"OpenCV says no\); try again"),
        (TORCHS, r"\[enforce fail at inline_container.cc:671\] . unexpected pos 832 vs 726\); try again"),
        (SafetensorError("I/O error"), r"I/O error\); try again"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_full_disk_is_one_error_that_names_the_file_whatever_library_wrote(
    tmp_path: Path, error: Exception, message: str
) -> None:
    path = tmp_path / "last.ckpt"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path, errors=(RuntimeError, SafetensorError)) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(SaveError, match=rf"last\.ckpt: could not be saved \({message}$"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("named", [False, True], ids=["by nobody", "by its own writer"])
def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path: Path, named: bool) -> None:
    def fail() -> None:
        with atomic_folder(tmp_path / "new") as building:
            if named:
                with atomic_write(building / "a.txt"):
                    raise NO_SPACE
            raise OSError(errno.ENOSPC, "No space left on device", "source.jpg")  # as shutil names it

    file = "/a.txt" if named else ""
    with pytest.raises(
        SaveError, match=rf"new{file}: could not be saved \(No space left on device\); free some space$"
    ):
        fail()
    assert not list(tmp_path.iterdir())
    with pytest.raises(PermissionError), atomic_folder(tmp_path / "new"):
        raise PermissionError(errno.EACCES, "Permission denied", "source.jpg")


def test_an_error_of_the_system_inside_that_of_a_library_is_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="No space left"), saving(tmp_path / "a", errors=(RuntimeError,)):
        raise RuntimeError("writer failed") from NO_SPACE


@pytest.fixture
def files_may_not_grow() -> Iterator[None]:
    """Files of this process end at 100 kB."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITERS: dict[str, Callable[[Path], object]] = {
    "torch": lambda path: torch.save(torch.zeros(90_000), path),
    "safetensors": lambda path: save_file({"a": torch.zeros(90_000)}, path),
    "text": lambda path: path.write_text("x" * 360_000),
}


@pytest.mark.usefixtures("files_may_not_grow")
@pytest.mark.parametrize("library", WRITERS)
def test_the_reason_for_files_that_may_not_grow_is_the_systems(tmp_path: Path, library: str) -> None:
    """torch and safetensors hide the number of the error; what the system says is found out by writing."""
    message = r"a\.bin: could not be saved \(File too large\); free some space$"
    errors = (RuntimeError, SafetensorError)
    with pytest.raises(SaveError, match=message), atomic_write(tmp_path / "a.bin", errors=errors) as temporary:
        WRITERS[library](temporary)
    assert list(tmp_path.iterdir()) == []


def test_another_file_that_cannot_be_read_is_not_a_failed_write(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"source\.txt"), atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text((tmp_path / "source.txt").read_text())
    with pytest.raises(BrokenPipeError), atomic_write(tmp_path / "a.txt"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_what_a_killed_process_left_is_removed_by_the_next_write_of_the_file(tmp_path: Path) -> None:
    def leave(name: str, *, age: float) -> Path:
        path = tmp_path / name
        path.write_text("half")
        os.utime(path, (time.time() - age,) * 2)
        return path

    stale = leave(".last-0a_z45ab.ckpt", age=3700)
    kept = {
        leave(".last-running1.ckpt", age=3500),  # perhaps another process is writing it
        leave(".last-0a_z45ab.txt", age=3700),
        leave(".other-0a_z45ab.ckpt", age=3700),
        leave(".last-mine.ckpt", age=3700),
    }
    write_text(tmp_path / "last.ckpt", "whole")
    assert set(tmp_path.iterdir()) == kept | {tmp_path / "last.ckpt"}
    assert not stale.exists()
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", ".last-mine.ckpt"}


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
    assert cell[0] not in "=+-@\t\r\n"
    assert number == "-1"


def test_what_is_no_finite_number_is_empty(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("a",), [(value,) for value in (math.nan, math.inf, np.float64("nan"))])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == 'a\n""\n""\n""\n'


def test_rows_that_fail_leave_the_old_table(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("a",), [(1,)])
    with pytest.raises(ZeroDivisionError):
        write_csv(tmp_path / "a.csv", ("a",), ((1 // value,) for value in (1, 0)))
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "a\n1\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_bytes_are_those_of_ordinary_files_of_bounded_size(tmp_path: Path) -> None:
    path, pipe = tmp_path / "a.txt", tmp_path / "pipe"
    path.write_bytes(b"12345")
    os.mkfifo(pipe)
    assert read_bytes(path) == read_bytes(path, limit=5) == b"12345"
    with pytest.raises(SaveError, match=r"a\.txt: is too large for a word: it has more than 4 bytes"):
        read_bytes(path, what="a word", limit=4, error=SaveError)
    for other, reason in ((tmp_path / "gone", "No such file"), (tmp_path, "Is a directory"), (Path("a\0"), "null")):
        with pytest.raises(DataError, match=rf"cannot be read \(.*{reason}"):
            read_bytes(other)
    for endless in (pipe, Path("/dev/zero")):
        with pytest.raises(DataError, match=rf"{endless.name}: cannot be read \(it is a pipe or a device"):
            read_bytes(endless)


def test_a_tilde_is_the_home_folder_unless_a_name_only_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expand_home("~/a/b.jpg") == Path("/home/me/a/b.jpg")
    for name in ("~$a.jpg", "a/~/b.jpg", "a.jpg"):
        assert expand_home(name) == Path(name)
