from pathlib import Path

import pytest

from yolo.errors import DataError
from yolo.writing.atomic_folder import atomic_folder, require_free


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
