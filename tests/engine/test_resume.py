import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.runs import interrupt_after, rows_of
from tests.engine.shapes import quick_config
from yolo.config import TrainConfig
from yolo.engine.run_folder import RunFolder
from yolo.engine.train import train
from yolo.errors import GridYoloError, SaveError


@pytest.fixture
def stopped(shapes: Path, tmp_path: Path) -> Path:
    """A run of two epochs that was interrupted in its second one."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(3, patch)
        return train(quick_config(shapes, tmp_path)).folder


def test_two_processes_do_not_resume_the_same_run_at_once(stopped: Path) -> None:
    before = (stopped / "results.csv").read_text()
    other = RunFolder(stopped)
    with pytest.raises(GridYoloError, match=rf"{stopped}: another process is training in this run folder; wait until"):
        train(TrainConfig(resume=str(stopped)))
    assert (stopped / "results.csv").read_text() == before
    other.release()
    train(TrainConfig(resume=str(stopped)))
    assert [row["epoch"] for row in rows_of(stopped)] == ["1", "2"]


def test_a_run_is_not_resumed_while_it_goes_on(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, tried = torch.save, []

    def resume_meanwhile(*arguments: Any) -> None:
        save(*arguments)
        if (tmp_path / "train" / "weights" / "last.ckpt").exists():
            tried.append(1)
            with pytest.raises(GridYoloError, match="another process is training"):
                train(TrainConfig(resume=str(tmp_path / "train")))

    monkeypatch.setattr("torch.save", resume_meanwhile)
    assert len(rows_of(train(quick_config(shapes, tmp_path)).folder)) == 2
    assert tried


def test_a_run_that_could_not_be_resumed_can_be_resumed_afterwards(stopped: Path, tmp_path: Path) -> None:
    with pytest.raises(GridYoloError):
        train(TrainConfig(resume=str(stopped), data=str(tmp_path / "nowhere")))
    train(TrainConfig(resume=str(stopped)))


def test_a_full_disk_ends_a_run_with_what_to_do_and_loses_one_epoch_at_most(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = torch.save, []

    def fill_up(*arguments: Any) -> None:
        save(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    folder = tmp_path / "train"
    with monkeypatch.context() as patch:
        patch.setattr("torch.save", fill_up)
        with pytest.raises(SaveError) as caught:
            train(quick_config(shapes, tmp_path))
    assert str(caught.value) == (
        f"{folder / 'weights' / 'last.ckpt'}: could not be saved (No space left on device); "
        f"free some space and go on with: gridyolo train --resume {folder}"
    )
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"time": 1')  # a line that did not find room
    train(TrainConfig(resume=str(folder)))
    assert [row["epoch"] for row in rows_of(folder)] == ["1", "2"]
    assert '{"time": 1{' not in (folder / "events.jsonl").read_text()


def test_what_a_killed_run_left_is_removed_when_it_is_resumed(stopped: Path) -> None:
    left = [stopped / ".results-a1b2c3d4.csv", stopped / "weights" / ".last-zzzzzzzz.ckpt"]
    for path in left:
        path.write_text("half")
    train(TrainConfig(resume=str(stopped)))
    assert not [path for path in left if path.exists()]
