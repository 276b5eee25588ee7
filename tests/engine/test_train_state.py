import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.darknet_detectors import tiny_config
from tests.engine.runs import interrupt_after, rows_of, tensors_of
from tests.engine.shapes import draw_shapes, quick_config
from yolo.config import TrainConfig
from yolo.engine.train import train
from yolo.engine.train_log import RunFolder
from yolo.errors import ConfigError, GridYoloError, SaveError, WeightsError
from yolo.models.backbones import build_classifier


@pytest.fixture(scope="module")
def whole(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs of two steps that nobody interrupted."""
    return train(quick_config(shapes, tmp_path_factory.mktemp("whole"), epochs=3, validations=1)).folder


@pytest.fixture
def stopped(shapes: Path, tmp_path: Path) -> Path:
    """A run of two epochs that was interrupted in its second one."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(3, patch)
        return train(tiny_config(shapes, tmp_path)).folder


@pytest.mark.parametrize(
    "stop_at_step",
    [3, 6],  # in the middle of an epoch, and in the last step
)
def test_stopped_and_resumed_is_bit_for_bit_the_uninterrupted_run(
    whole: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at_step: int
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(stop_at_step, patch)
        stopped = train(quick_config(shapes, tmp_path, epochs=3, validations=1))
    assert stopped.interrupted == "SIGINT"
    assert stopped.evaluation is None
    with pytest.raises(ConfigError, match="leave out batch_size"):
        train(TrainConfig(resume=str(stopped.folder), batch_size=9))
    resumed = train(TrainConfig(resume=str(stopped.folder), device="cpu"))
    assert resumed.folder == stopped.folder
    assert resumed.seconds["steps"] >= stopped.seconds["steps"]  # both sessions
    first, second = tensors_of(whole), tensors_of(resumed.folder)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    rows = [[row[column] for column in row if column != "time"] for row in rows_of(whole) + rows_of(resumed.folder)]
    assert rows[:3] == rows[3:]


def test_a_resumed_run_needs_its_first_weights_no_more(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "start.pth"
    torch.save(build_classifier("shufflenet_v2_x0_5").state_dict(), weights)
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        run = train(quick_config(shapes, tmp_path, epochs=1, weights=str(weights)))
    weights.unlink()
    assert train(TrainConfig(resume=str(run.folder))).evaluation is not None


def test_resume_of_nothing_of_damage_and_of_other_classes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        train(TrainConfig(resume=str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="no such training state"):
        train(TrainConfig(resume=str(tmp_path / "empty")))
    data = draw_shapes(tmp_path / "data")
    run = train(tiny_config(data, tmp_path, epochs=1))
    data.write_text(data.read_text().replace("red", "green"))
    with pytest.raises(WeightsError, match=r"classes red, blue.*now has green, blue"):
        train(TrainConfig(resume=str(run.folder), epochs=2))
    last = run.folder / "weights" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    remedy = r"last\.ckpt: is damaged.*restore it from a copy, or start a new run; .*best\.safetensors still works"
    with pytest.raises(WeightsError, match=remedy):
        train(TrainConfig(resume=str(run.folder)))
    for other in (torch.zeros(2), {"format": 1}):
        torch.save(other, last)
        with pytest.raises(WeightsError, match=r"last\.ckpt: has format (None|1), .*install the gridyolo that made it"):
            train(TrainConfig(resume=str(run.folder)))


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
    assert len(rows_of(train(tiny_config(shapes, tmp_path)).folder)) == 2
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
            train(tiny_config(shapes, tmp_path))
    assert str(caught.value) == (
        f"{folder / 'weights' / 'last.ckpt'}: could not be saved (No space left on device); "
        f"free some space and continue with: gridyolo train --resume {folder}"
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
