import json
import os
from pathlib import Path

import pytest

from yolo.errors import SaveError
from yolo.growing_file import GrowingFile


def numbers(path: Path) -> GrowingFile:
    return GrowingFile(path, head="[", separator=",", tail="]")


def test_it_is_complete_after_every_entry(tmp_path: Path) -> None:
    path = tmp_path / "new" / "numbers.json"
    file = numbers(path)
    assert json.loads(path.read_text()) == []
    for number in range(3):
        file.add(f'"{number} é"')
        assert json.loads(path.read_text("utf-8")) == [f"{one} é" for one in range(number + 1)]
    file.close()
    assert file.num_entries == 3


def test_a_disk_that_is_full_leaves_the_entries_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system takes a part of an entry and nothing more; what a shorter file frees is enough for its end."""
    path, real = tmp_path / "numbers.json", os.write
    with numbers(path) as file:
        file.add("1")
        calls = []

        def write(handle: int, data: bytes) -> int:
            calls.append(bytes(data))
            if len(calls) == 1:
                return real(handle, data[:3])
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            return real(handle, data)

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(SaveError, match=r"numbers.json: could not be saved \(No space left on device\); free some"):
            file.add("1234567")
        assert json.loads(path.read_text()) == [1]
        file.add("2")
    assert json.loads(path.read_text()) == [1, 2]


def test_ctrl_c_in_the_middle_of_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "numbers.json", os.write
    with numbers(path) as file:
        file.add("1")
        calls = []

        def write(handle: int, data: bytes) -> int:
            calls.append(bytes(data))
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(handle, data[:2] if len(calls) == 1 else data)

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(KeyboardInterrupt):
            file.add("1234567")
    assert json.loads(path.read_text()) == [1]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="could not be saved"):
        numbers(tmp_path / "file" / "numbers.json")
