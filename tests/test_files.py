from pathlib import Path

import pytest

from yolo.files import atomic_write, new_folder, write_json


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
