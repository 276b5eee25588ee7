import io
import json
import signal
import threading
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from rich.console import Console

import yolo
from tests.darknet.networks import detector_cfg
from tests.engine.runs import interrupt_after, rows_of, tensors_of
from tests.engine.shapes import break_image, draw_shapes, quick_config, write_untrained
from yolo import TrainingProgress, TrainingRun, ValidationProgress
from yolo.config import OptimizerConfig, PredictConfig, TrainConfig, ValConfig
from yolo.engine.learner import Learner
from yolo.engine.python_api import PredictOptions, TrainOptions, ValOptions
from yolo.engine.train import train as train_config
from yolo.engine.train_log import RunFolder
from yolo.errors import ConfigError, DataError, GridYoloError

QUICK: dict[str, Any] = {
    "input_size": 64, "epochs": 2, "batch_size": 4, "workers": 0, "validations": 2, "device": "cpu", "report": False,
    "weights": "none",
}  # fmt: skip


class StoppedError(Exception):
    """What a user's function raises."""


@pytest.fixture(scope="module")
def watched(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingRun, list[TrainingProgress]]:
    told: list[TrainingProgress] = []
    run = yolo.train(shapes, **QUICK, runs=tmp_path_factory.mktemp("watched"), on_progress=told.append)
    return run, told


def members(kind: Any) -> set[Any]:
    return set(get_args(kind)) if get_origin(kind) in (Union, UnionType) else {kind}


@pytest.mark.parametrize(
    ("listed", "config", "own"),
    [
        (TrainOptions, TrainConfig, {"data"}),
        (ValOptions, ValConfig, {"weights", "data"}),
        (PredictOptions, PredictConfig, {"weights", "source", "verbose"}),
    ],
)
def test_the_options_for_type_checkers_are_those_of_the_command(listed: Any, config: Any, own: set[str]) -> None:
    expected = {name: kind for name, kind in get_type_hints(config).items() if name not in own}
    assert list(get_type_hints(listed)) == list(expected)
    for name, kind in get_type_hints(listed).items():
        extra = members(kind) - members(expected[name])
        assert members(expected[name]) <= members(kind), name
        assert len(extra) == is_dataclass(expected[name]) or extra == {Path}, name


def test_a_run_says_where_everything_is(watched: tuple[TrainingRun, list[TrainingProgress]]) -> None:
    run, _ = watched
    assert run.best.is_file()
    assert run.report_path is None
    assert run.evaluation is not None
    assert run.metrics is run.evaluation.result
    assert yolo.Detector(run.best).class_names == ("red", "blue")
    numbers = f"mAP@0.5={run.metrics.map_50:.3f}, mAP@0.5:0.95={run.metrics.map_50_95:.3f}"
    assert (
        repr(run)
        == f"TrainingRun({numbers}, best_epoch={run.best_epoch}, minutes={run.minutes:.1f}, folder='{run.folder}')"
    )


def test_it_is_the_training_of_the_command(
    watched: tuple[TrainingRun, list[TrainingProgress]], shapes: Path, tmp_path: Path
) -> None:
    other = train_config(quick_config(shapes, tmp_path, weights="none"))
    first, second = tensors_of(watched[0].folder), tensors_of(other.folder)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_step_and_every_validation_is_told(watched: tuple[TrainingRun, list[TrainingProgress]]) -> None:
    run, told = watched
    # 8 images in batches of 4: two steps in each epoch, and a validation after it
    assert [(one.epoch, one.step, one.validated) for one in told] == [
        (1, 1, False), (1, 2, False), (1, 2, True), (2, 1, False), (2, 2, False), (2, 2, True),
    ]  # fmt: skip
    assert [one.share for one in told] == [0.25, 0.5, 0.5, 0.75, 1, 1]
    assert {(one.folder, one.epochs, one.steps_per_epoch) for one in told} == {(run.folder, 2, 2)}
    assert all(set(one.losses) == {"coord_xy", "coord_wh", "conf_obj", "conf_noobj", "class_prob"} for one in told)
    assert told[1].losses == told[2].losses != told[3].losses
    assert [one.metrics is None for one in told] == [True, True, False, False, False, False]
    row = rows_of(run.folder)[-1]
    assert told[-1].metrics is not None
    assert told[-1].metrics["map_50"] == pytest.approx(float(row["metrics/mAP50"]), abs=1e-5)
    assert told[-1].lr == pytest.approx(float(row["lr/pg0"]), rel=1e-5)
    assert told[0].seconds_left > 0
    assert told[-1].seconds_left == 0


def test_the_mean_of_the_steps_is_the_row_of_the_epoch(watched: tuple[TrainingRun, list[TrainingProgress]]) -> None:
    run, told = watched
    steps = [one.losses["conf_obj"] for one in told if one.epoch == 1 and not one.validated]
    assert float(rows_of(run.folder)[0]["train/conf_obj_loss"]) == pytest.approx(sum(steps) / 2, rel=1e-4)


@pytest.mark.parametrize("moment", ["step", "validation"])
def test_what_on_progress_raises_ends_the_run_saved_and_unlocked(
    watched: tuple[TrainingRun, list[TrainingProgress]],
    shapes: Path,
    tmp_path: Path,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(progress: TrainingProgress) -> None:
        if progress.validated if moment == "validation" else progress.step == 1:
            raise StoppedError(progress.folder)

    drawn: list[int] = []
    monkeypatch.setattr(RunFolder, "plot", lambda folder, history: drawn.append(len(history.rows)))
    with pytest.raises(StoppedError) as caught:
        yolo.train(shapes, **QUICK, runs=tmp_path, on_progress=stop)
    (folder,) = caught.value.args
    # as after Ctrl-C
    assert drawn == [moment == "validation"]
    event = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert (event["event"], event["error"]) == ("interrupted", "StoppedError")
    assert event["seconds"]["steps"] > 0
    position = torch.load(folder / "weights" / "last.ckpt", weights_only=True)["position"]
    assert (position["epoch"], position["step"]) == ((1, 2) if moment == "validation" else (0, 1))
    told: list[TrainingProgress] = []
    run = yolo.train(resume=folder, on_progress=told.append)
    assert run.folder == folder
    assert [(one.epoch, one.step, one.validated) for one in told][-3:] == [(2, 1, False), (2, 2, False), (2, 2, True)]
    whole = watched[0].folder
    first, second = tensors_of(whole), tensors_of(folder)
    assert all(torch.equal(first[name], second[name]) for name in first)
    same = [{name: row[name] for name in row if name != "time"} for row in rows_of(whole)]
    assert [{name: row[name] for name in row if name != "time"} for row in rows_of(folder)] == same


def test_an_interrupted_run_says_so(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(1, monkeypatch)
    run = yolo.train(shapes, **QUICK, runs=tmp_path)
    assert run.interrupted == "SIGINT"
    assert repr(run).startswith("TrainingRun(interrupted='SIGINT', ")
    with pytest.raises(GridYoloError, match=f"interrupted by SIGINT: resume {run.folder}"):
        _ = run.metrics


def test_it_trains_in_any_thread_and_leaves_signals_alone(shapes: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[str] = []

    def stop(progress: TrainingProgress) -> None:
        seen.append(threading.current_thread().name)
        raise StoppedError

    def work() -> None:
        with pytest.raises(StoppedError):
            yolo.train(shapes, **QUICK, runs=tmp_path, on_progress=stop)

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    assert seen == ["worker"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_step_without_enough_images_has_no_losses(tmp_path: Path) -> None:
    """The last batch of an epoch has one image, on which maps of one pixel cannot train."""
    data = draw_shapes(tmp_path / "data", num_train=5, num_val=1)
    told: list[TrainingProgress] = []
    options = QUICK | {"input_size": 32, "epochs": 1, "model": {"grid_size": 1}}
    yolo.train(data, **options, runs=tmp_path, on_progress=told.append)
    assert [len(one.losses) for one in told] == [5, 0, 0]


def test_nothing_is_printed_unless_wanted(
    shapes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], watched: tuple[TrainingRun, Any]
) -> None:
    weights = watched[0].best
    yolo.train(shapes, **QUICK | {"epochs": 1}, runs=tmp_path)
    yolo.validate(weights, shapes, runs=tmp_path, report=False, workers=0)
    assert capfd.readouterr().out == ""
    yolo.validate(weights, shapes, runs=tmp_path, report=False, workers=0, verbose=True)
    printed = capfd.readouterr().out
    assert "4 of 4 images kept" in printed
    console = Console(file=io.StringIO(), width=500)
    yolo.train(shapes, **QUICK | {"epochs": 1}, runs=tmp_path, console=console)
    assert capfd.readouterr().out == ""
    assert isinstance(console.file, io.StringIO)
    assert "training for 1 epoch" in console.file.getvalue()


def test_validate_measures_what_training_measured(trained: TrainingRun, shapes: Path, tmp_path: Path) -> None:
    told: list[ValidationProgress] = []
    run = yolo.validate(trained.best, shapes, runs=tmp_path, report=False, batch_size=3, on_progress=told.append)
    assert run.metrics.map_50_95 == pytest.approx(trained.metrics.map_50_95, abs=1e-6)
    assert run.metrics.map_50 > 0.8
    assert [(one.images, one.num_images, one.share) for one in told] == [(3, 4, 0.75), (4, 4, 1.0)]
    assert run.report_path is None
    assert json.loads((run.folder / "metrics.json").read_text())["num_images"] == 4
    assert repr(run) == f"ValidationRun({run.metrics.summary()}, folder='{run.folder}')"


def test_images_that_cannot_be_read_are_counted_as_done(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", num_train=1, num_val=3)
    break_image(tmp_path / "data" / "images" / "val" / "2.png")
    weights, told = write_untrained(tmp_path / "weights.safetensors"), list[ValidationProgress]()
    options: dict[str, Any] = {"runs": tmp_path, "report": False, "workers": 0, "batch_size": 1}
    yolo.validate(weights, data, **options, on_progress=told.append)
    assert [one.images for one in told] == [1, 2, 3]


def test_what_on_progress_raises_ends_a_validation(tmp_path: Path, shapes: Path) -> None:
    def stop(progress: ValidationProgress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        yolo.validate(write_untrained(tmp_path / "w.safetensors"), shapes, runs=tmp_path / "runs", on_progress=stop)
    assert not (tmp_path / "runs").exists()


def test_a_cfg_sets_the_defaults(tmp_path: Path) -> None:
    cfg = tmp_path / "net.cfg"
    cfg.write_text(detector_cfg(net={"max_batches": 7, "learning_rate": 0.25}))
    configs: list[TrainConfig] = []

    def keep(config: TrainConfig, *_: Any, **options: Any) -> None:
        configs.append(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo.engine.train.train", keep)
        yolo.train("d", cfg=cfg)
        yolo.train("d", cfg=cfg, epochs=3, optimizer={"momentum": 0.5})
    assert [(one.max_batches, one.epochs, one.optimizer.lr) for one in configs] == [(7, None, 0.25), (None, 3, 0.25)]
    assert configs[1].optimizer == replace(configs[0].optimizer, momentum=0.5)


def test_bad_options_and_data_are_the_errors_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown option batch; did you mean batch_size\?"):
        yolo.train("d", batch=3)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"^data is required"):
        yolo.train()
    with pytest.raises(DataError, match="nowhere"):
        yolo.train(tmp_path / "nowhere", runs=tmp_path)
    with pytest.raises(ConfigError, match="unknown option splt; did you mean split"):
        yolo.validate("w", "d", splt="test")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": 5}, "data must be a string, got 5"),
        ({"weights": [1, 2]}, r"weights must be a string, got \[1, 2\]"),
        ({"weights": np.zeros(3)}, "weights must be a string, got array"),
        ({"optimizer": "SGD"}, "optimizer is a section: give its options as a dict, not 'SGD'"),
        ({"on_progress": 5}, "on_progress must be a function, got int"),
        ({"console": "out"}, "console must be a rich.console.Console, got str"),
    ],
)
def test_values_of_the_wrong_type_get_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{message}[^\n]*$"):
        yolo.train(**{"data": "d"} | options)


def test_errors_of_the_work_name_arguments_too(tmp_path: Path, shapes: Path) -> None:
    weights = write_untrained(tmp_path / "w.safetensors")
    options: dict[str, Any] = {"runs": tmp_path, "device": "cpu"}
    with pytest.raises(ConfigError, match=r"^names is for darknet's weights"):
        yolo.predict(weights, shapes.parent / "images" / "val", names="a.txt", **options)
    with pytest.raises(ConfigError, match=r"^score_threshold='auto': these weights .* gridyolo val --weights"):
        yolo.predict(weights, shapes.parent / "images" / "val", score_threshold="auto", **options)


def test_an_update_that_is_not_finite_has_no_losses(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, calls = Learner.learn, []

    def once_nan(learner: Learner, *arguments: Any, **keywords: Any) -> dict[str, float]:
        calls.append(1)
        terms = learn(learner, *arguments, **keywords)
        return terms | {"conf_obj": float("nan")} if len(calls) == 1 else terms

    monkeypatch.setattr(Learner, "learn", once_nan)
    told: list[TrainingProgress] = []
    yolo.train(shapes, **QUICK | {"epochs": 1}, runs=tmp_path, on_progress=told.append)
    assert [len(one.losses) for one in told] == [0, 5, 5]


def test_the_measurement_of_the_detector_to_start_from_is_told(
    trained: TrainingRun, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the run knows after a resume that it fine-tunes, for which few steps may be planned."""
    told: list[TrainingProgress] = []
    options = QUICK | {"weights": trained.folder, "epochs": 1, "validations": 1}
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        stopped = yolo.train(shapes, **options, runs=tmp_path, on_progress=told.append)
    assert [(one.epoch, one.step, one.share, one.validated) for one in told] == [(1, 0, 0, True), (1, 1, 0.5, False)]
    assert told[0].metrics is not None
    assert told[0].metrics["map_50"] == pytest.approx(trained.metrics.map_50)
    assert told[0].losses == {}
    run = yolo.train(resume=stopped.folder, on_progress=told.append)
    assert run.folder == stopped.folder
    assert [one.step for one in told[2:]] == [2, 2]  # measured at the start once only
    assert '"few steps"' not in (run.folder / "events.jsonl").read_text()


def test_options_of_a_section_count_however_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[set[str]] = []
    monkeypatch.setattr("yolo.engine.train.train", lambda *_, explicit_options: given.append(set(explicit_options)))
    yolo.train(resume="r", optimizer={"rate": {"policy": "cosine"}})
    yolo.train(resume="r", **{"optimizer.lr": 2e-3})  # type: ignore[arg-type]
    yolo.train(resume="r", optimizer=OptimizerConfig(lr=2e-3))
    assert given[:2] == [{"resume", "optimizer.rate.policy"}, {"resume", "optimizer.lr"}]
    assert given[2] >= {"resume", "optimizer.lr", "optimizer.momentum", "optimizer.rate.policy"}


def test_a_configuration_equal_to_the_defaults_changes_the_rate_of_a_run(shapes: Path, tmp_path: Path) -> None:
    """It was ignored, because it was taken for one that nobody gave."""
    rate = OptimizerConfig().peak_lr
    run = yolo.train(shapes, **QUICK | {"epochs": 1}, optimizer={"lr": rate / 2}, runs=tmp_path)
    yolo.train(resume=run.folder, epochs=2, optimizer=OptimizerConfig(lr=rate))
    saved = torch.load(run.folder / "weights" / "last.ckpt", weights_only=True)
    assert saved["config"]["optimizer"]["lr"] == rate
    yolo.train(resume=run.folder, epochs=3, optimizer=OptimizerConfig())
    saved = torch.load(run.folder / "weights" / "last.ckpt", weights_only=True)
    assert saved["config"]["optimizer"]["lr"] == rate  # a rate that is not set is no other rate
