import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from tests.engine.darknet_detectors import tiny_config
from tests.engine.runs import interrupt_after, rows_of, tensors_of
from yolo import TrainingProgress
from yolo._version import __version__
from yolo.config import OptimizerConfig, TrainConfig
from yolo.engine.resume import open_run
from yolo.engine.schedule import Schedule
from yolo.engine.train import TrainingRun, train
from yolo.errors import ConfigError, WeightsError

COSINE = {"optimizer__rate__policy": "cosine", "optimizer__name": "adamw"}


def config_of(data: Path, runs: Path, **changes: Any) -> TrainConfig:
    """Two epochs of two steps; a cosine that has come down at the end."""
    return tiny_config(data, runs, batch_size=4, validations=4, **(COSINE | changes))


@pytest.fixture(scope="module")
def two_epochs(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config_of(shapes, tmp_path_factory.mktemp("two"))).folder


@pytest.fixture
def finished(two_epochs: Path, tmp_path: Path) -> Path:
    """A run folder that came to its end, for one test."""
    return Path(shutil.copytree(two_epochs, tmp_path / "train"))


def resumed(folder: Path, explicit: tuple[str, ...] = (), **changes: Any) -> tuple[TrainingRun, str]:
    console = Console(record=True, width=500, file=io.StringIO())
    run = train(TrainConfig(resume=str(folder), **changes), console, explicit_options=explicit)
    return run, console.export_text()


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_a_finished_run_says_so_and_stays_as_it_is(finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    run, said = resumed(finished)
    extends = "a larger --epochs or --max-minutes extends it"
    assert said == f"{finished} has finished (2 epochs): nothing was trained; {extends}\n"
    assert run.extension == ("--epochs", "4")
    assert (run.folder, run.evaluation, run.interrupted) == (finished, None, "")
    assert run.best_epoch in (1, 2)
    assert run.seconds == {}
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before
    # the length that it had is no new one
    assert "has finished" in resumed(finished, epochs=2)[1]


def test_another_rate_of_a_finished_run_is_not_dropped_silently(finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"has finished \(2 epochs\).*would change nothing.*--epochs 4"):
        resumed(finished, optimizer=OptimizerConfig(lr=1e-5))
    assert not any(event["event"] == "extended" for event in events_of(finished))


def test_more_epochs_continue_where_a_run_of_that_length_would_be(finished: Path) -> None:
    best = torch.load(finished / "weights" / "last.ckpt", weights_only=True)["position"]["best"]
    run, said = resumed(finished, epochs=5)
    assert run.evaluation is not None
    assert [row["epoch"] for row in rows_of(finished)] == ["1", "2", "3", "4", "5"]
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert (config["epochs"], config["max_batches"], config["resume"]) == (5, None, None)
    plan = Schedule.from_config(open_run_config(finished), 2)
    peak = config["optimizer"]["lr"]
    now, was = peak * plan.lr_factor(4, 4 / 10), peak * Schedule.from_config(
        config_with(finished, epochs=2), 2
    ).lr_factor(3, 3 / 4)  # fmt: skip
    assert f"continues at epoch 3 of 5, learning rate {now:.1e} (was {was:.1e})\n" in said
    assert now > was
    rates = [float(row["lr/pg0"]) for row in rows_of(finished)]
    assert rates[2] == pytest.approx(peak * plan.lr_factor(5, 5 / 10))
    extended = next(event for event in events_of(finished) if event["event"] == "extended")
    assert (extended["epochs"], extended["former"]["epochs"], extended["step"]) == (5, 2, 4)
    # 4 validations: after 2 of 5 epochs 1 was due; then after 3, 4 and 5
    state = torch.load(finished / "weights" / "last.ckpt", weights_only=True)
    assert (state["position"]["validations"], state["config"]["epochs"]) == (4, 5)
    assert state["position"]["best"] >= best
    measured = [row["epoch"] for row in rows_of(finished) if row["metrics/mAP50"]]
    assert measured == ["1", "2", "3", "4", "5"]
    assert "has finished (5 epochs)" in resumed(finished)[1]


def open_run_config(folder: Path) -> TrainConfig:
    run = open_run(TrainConfig(resume=str(folder)))
    run.folder.release()
    return run.config


def config_with(folder: Path, **changes: Any) -> TrainConfig:
    return replace(open_run_config(folder), **changes)


def test_an_extended_run_is_resumed_bit_for_bit(two_epochs: Path, tmp_path: Path) -> None:
    whole, stopped = (Path(shutil.copytree(two_epochs, tmp_path / name)) for name in ("whole", "stopped"))
    resumed(whole, epochs=4)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(1, patch)
        assert resumed(stopped, epochs=4)[0].interrupted
    run, said = resumed(stopped)
    assert run.evaluation is not None
    assert "continues at epoch 3 of 4, learning rate " in said
    assert "(was" not in said
    first, second = tensors_of(whole), tensors_of(stopped)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_a_new_length_replaces_the_former_one_whatever_it_counted(finished: Path) -> None:
    run, said = resumed(finished, max_batches=7)
    assert "continues at update 5 of 7, learning rate" in said
    config = open_run_config(finished)
    assert (config.epochs, config.max_minutes, config.max_batches) == (None, None, 7)
    assert run.evaluation is not None
    minutes = run.minutes + 0.01
    said = resumed(finished, max_minutes=minutes)[1]
    assert f"continues at minute {run.minutes:.1f} of {minutes:g}" in said
    config = open_run_config(finished)
    assert (config.epochs, config.max_minutes, config.max_batches) == (None, minutes, None)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [({"epochs": 1}, "epochs 1"), ({"max_batches": 4}, "max_batches 4"), ({"max_minutes": 1e-6}, "max_minutes 1e-06")],
)
def test_a_length_that_is_over_is_refused_and_changes_nothing(
    finished: Path, changes: dict[str, Any], asked: str
) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(
        ConfigError, match=rf"{asked}.*: .* has trained for 2 epochs, 4 updates and 0\.\d minutes already"
    ):
        resumed(finished, **changes)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before
    assert "has finished" in resumed(finished)[1]  # nobody holds its lock


def test_the_peak_rate_can_be_changed(finished: Path) -> None:
    resumed(finished, epochs=4, optimizer=OptimizerConfig(lr=5e-4))
    assert open_run_config(finished).optimizer.lr == 5e-4
    assert float(rows_of(finished)[2]["lr/pg0"]) < 5e-4
    # one that is the default counts where the user named it
    default = OptimizerConfig().peak_lr
    resumed(finished, epochs=5)
    assert open_run_config(finished).optimizer.lr == 5e-4
    resumed(finished, ("optimizer.lr",), epochs=6, optimizer=OptimizerConfig(lr=default))
    config = open_run_config(finished)
    assert config.optimizer.lr == default
    assert config.optimizer.name == "adamw"
    with pytest.raises(ConfigError, match=r"leave out optimizer\.momentum \(only .*epochs.*optimizer\.lr.* can change"):
        resumed(finished, optimizer=OptimizerConfig(momentum=0.5))


@pytest.mark.parametrize("written_by_former_version", [False, True])
def test_an_epoch_that_the_former_length_ended_early_is_completed(
    shapes: Path, tmp_path: Path, written_by_former_version: bool
) -> None:
    """It counted as a whole one: the extended run came to epoch 4 of 3."""
    folder = train(config_of(shapes, tmp_path, epochs=None, max_batches=3)).folder
    assert [row["epoch"] for row in rows_of(folder)] == ["1", "2"]
    half = rows_of(folder)[1]
    assert half["metrics/mAP50"]
    last = folder / "weights" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    position = saved["position"]
    assert (position["epoch"], position["step_in_epoch"], position["step"]) == (1, 1, 3)
    if written_by_former_version:
        position |= {"epoch": 2, "step_in_epoch": 0, "term_sums": {}, "images_seen": 0}
        torch.save(saved, last)
    told: list[TrainingProgress] = []
    console = Console(record=True, width=500, file=io.StringIO())
    run = train(TrainConfig(resume=str(folder), epochs=3), console, told.append)
    assert run.evaluation is not None
    said = console.export_text()
    assert "continues at epoch 2 of 3, " in said
    assert "4/3" not in said
    assert [(one.epoch, one.step) for one in told if not one.validated] == [(2, 2), (3, 1), (3, 2)]
    rows = rows_of(folder)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert rows[1]["train/conf_obj_loss"] != half["train/conf_obj_loss"]
    position = torch.load(last, weights_only=True)["position"]
    assert (position["epoch"], position["step_in_epoch"], position["step"]) == (3, 0, 6)


def test_changed_data_are_written_down_as_they_are_found_from_anywhere(
    finished: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shapes.parent)
    resumed(finished, epochs=3, data=shapes.name, cache="none")
    saved = torch.load(finished / "weights" / "last.ckpt", weights_only=True)["config"]
    for config in (saved, yaml.safe_load((finished / "config.yaml").read_text())):
        assert (config["data"], config["cache"], config["resume"]) == (str(shapes), "none", None)


def test_options_are_refused_only_where_they_differ_from_those_of_the_run(finished: Path) -> None:
    same = OptimizerConfig(lr=OptimizerConfig().peak_lr)
    config = open_run_config(finished)
    names = tuple(f"optimizer.{name}" for name in ("name", "lr", "momentum"))
    with pytest.raises(ConfigError, match=r"leave out batch_size \("):
        resumed(finished, ("batch_size",))
    assert config.batch_size == 4
    assert "has finished" in resumed(finished, ("batch_size",), batch_size=4)[1]
    run = open_run(TrainConfig(resume=str(finished), epochs=3, optimizer=same), explicit_options=names)
    run.folder.release()
    assert run.config.optimizer == replace(config.optimizer, lr=same.lr)


@pytest.mark.parametrize(
    ("place", "unknown"), [("position", "unknown state momentum"), ("config", "unknown option optimizer.momenta")]
)
def test_a_state_of_another_version_says_which_one_can_go_on(finished: Path, place: str, unknown: str) -> None:
    last = finished / "weights" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    saved["gridyolo"] = "99.1"
    if place == "position":
        saved["position"]["momentum"] = 1
    else:
        saved["config"]["optimizer"]["momenta"] = 1
    torch.save(saved, last)
    with pytest.raises(
        WeightsError,
        match=rf"last\.ckpt: gridyolo {__version__} cannot .*{unknown}.*install gridyolo 99\.1, which made it",
    ):
        resumed(finished)
    del saved["gridyolo"]
    torch.save(saved, last)
    with pytest.raises(WeightsError, match="install the gridyolo that made it"):
        resumed(finished)


def test_a_state_that_calls_the_norms_otherwise_opens(finished: Path) -> None:
    last = finished / "weights" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    saved["position"]["norms"] = saved["position"].pop("num_norms") + 5
    torch.save(saved, last)
    run = open_run(TrainConfig(resume=str(finished)))
    run.folder.release()
    assert run.state.num_norms == 5
