"""The clients are stand-ins with the calls of the real ones, so that these tests need none of them."""

import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.engine.darknet_detectors import tiny_config
from tests.engine.runs import interrupt_after, rows_of
from yolo.config import OptimizerConfig, TrainConfig
from yolo.engine.loggers import Loggers, require_clients
from yolo.engine.train import train
from yolo.errors import ConfigError


class Calls:
    """What a stand-in was told, in order."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Any]] = []
        self.failing = ""  # the call that raises

    def note(self, name: str, value: Any = None) -> None:
        if name == self.failing:
            raise ConnectionError("no route to host\nsecond line")
        self.made.append((name, value))

    def of(self, name: str) -> list[Any]:
        return [value for made, value in self.made if made == name]


class WandbRun:
    def __init__(self, calls: Calls, run_id: str) -> None:
        self.id, self.offline, self.dir, self._calls = run_id, True, "offline-run/files", calls
        self.summary = SimpleNamespace(update=lambda values: calls.note("summary", values))

    def log(self, values: dict[str, float], step: int) -> None:
        self._calls.note("log", (step, values))

    def finish(self, exit_code: int) -> None:
        self._calls.note("finish", exit_code)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls, module = Calls(), ModuleType("wandb")

    def init(**options: Any) -> WandbRun:
        calls.note("init", options)
        return WandbRun(calls, options.get("id", "abc123"))

    module.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    for name in ("WANDB_PROJECT", "WANDB_NAME", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    return calls


class MlflowClient:
    calls: Calls

    def __init__(self, tracking_uri: str) -> None:
        self.calls.note("client", tracking_uri)

    def get_experiment_by_name(self, name: str) -> None:
        self.calls.note("experiment", name)

    def create_experiment(self, name: str) -> str:
        return f"number of {name}"

    def create_run(self, experiment_id: str, run_name: str) -> Any:
        self.calls.note("create_run", (experiment_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="run7"))

    def log_batch(self, run_id: str, *, params: Any = (), metrics: Any = ()) -> None:
        assert run_id == "run7"
        assert len(params) <= 100
        self.calls.note("params" if params else "metrics", list(params or metrics))

    def update_run(self, run_id: str, status: str) -> None:
        self.calls.note("update_run", (run_id, status))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.calls.note("terminated", (run_id, status))


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Calls:
    tracking, entities, calls = ModuleType("mlflow.tracking"), ModuleType("mlflow.entities"), Calls()
    monkeypatch.setattr(MlflowClient, "calls", calls, raising=False)
    tracking.MlflowClient = MlflowClient  # type: ignore[attr-defined]
    entities.Param = entities.Metric = lambda *values: values  # type: ignore[attr-defined]
    for module in (ModuleType("mlflow"), tracking, entities):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return calls


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_client_that_is_not_installed_ends_it_before_there_is_a_folder(
    name: str, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"^--{name} needs the package {name} .*pip install 'gridyolo\[{name}\]'"):
        train(tiny_config(shapes, tmp_path, **{name: True}))
    assert not (tmp_path / "train").exists()


def test_without_a_flag_no_client_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorboard", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    before = dict(os.environ)
    require_clients(TrainConfig(data="d"))
    assert dict(os.environ) == before


def test_variables_are_set_for_the_clients_that_are_wanted_and_where_the_user_has_not(
    wandb: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY")
    for name in names:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "7")
    require_clients(TrainConfig(data="d", wandb=True))
    assert [os.environ.get(name) for name in (*names, "WANDB_INIT_TIMEOUT")] == ["false", None, "7"]


def test_patterns_of_layers_are_values_and_no_names_of_parameters(
    tmp_path: Path, lines: list[str], mlflow: Calls
) -> None:
    """MLflow takes no "*" in a name."""
    optimizer = OptimizerConfig(lr_factors={"head.blocks.*": 0.5})
    Loggers(lines.append).open(TrainConfig(data="d", mlflow=True, optimizer=optimizer), tmp_path, first_step=0)
    params = dict(param for batch in mlflow.of("params") for param in batch)
    assert params["optimizer.lr_factors"] == '{"head.blocks.*": 0.5}'
    assert params["optimizer.rate.policy"] == "cosine"
    assert not [name for name in params if "*" in name]


@pytest.mark.parametrize("text", ['{"wandb": ', "[1]", "\xff"])
def test_a_damaged_file_of_runs_begins_new_ones(text: str, tmp_path: Path, lines: list[str], wandb: Calls) -> None:
    (tmp_path / "loggers.json").write_bytes(text.encode("latin-1"))
    Loggers(lines.append).open(TrainConfig(data="d", wandb=True), tmp_path, first_step=3)
    assert "id" not in wandb.of("init")[0]
    assert lines[0].startswith(f"warning: {tmp_path / 'loggers.json'} cannot be read (")
    assert json.loads((tmp_path / "loggers.json").read_text()) == {"wandb": "abc123"}


def test_a_training_is_logged_to_both_and_continued_when_resumed(
    shapes: Path, tmp_path: Path, wandb: Calls, mlflow: Calls
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(3, patch)
        stopped = train(tiny_config(shapes, tmp_path, wandb=True, mlflow=True))
    assert stopped.interrupted
    assert json.loads((stopped.folder / "loggers.json").read_text()) == {"wandb": "abc123", "mlflow": "run7"}
    assert wandb.of("finish") == [1]
    assert mlflow.of("terminated") == [("run7", "KILLED")]
    train(TrainConfig(resume=str(stopped.folder)))
    first, second = wandb.of("init")
    assert (first["project"], first["name"], first["dir"]) == ("gridyolo", "train", str(stopped.folder))
    assert first["config"]["optimizer.lr"] > 0
    assert "id" not in first
    assert (second["id"], second["resume"]) == ("abc123", "allow")
    rows = rows_of(stopped.folder)
    epochs = [(step, values) for step, values in wandb.of("log") if "epoch" in values]
    assert [values["epoch"] for _, values in epochs] == [1, 2]
    assert [step for step, _ in epochs] == [2, 4]
    assert f"{epochs[1][1]['grad_norm']:.6g}" == rows[1]["grad_norm"]
    assert set(wandb.of("summary")[-1]) <= {"best/map_50", "best/map_50_95", "best/f1"}
    assert wandb.of("finish") == [1, 0]
    assert mlflow.of("client") == [(stopped.folder / "mlruns").absolute().as_uri()] * 2
    assert mlflow.of("create_run") == [("number of gridyolo", "train")]
    assert mlflow.of("update_run") == [("run7", "RUNNING")]
    logged = {(name, step) for batch in mlflow.of("metrics") for name, _, _, step in batch}
    assert {("val/conf_obj_loss", 2), ("val/conf_obj_loss", 4), ("metrics/mAP50", 4)} <= logged
    assert mlflow.of("terminated")[-1] == ("run7", "FINISHED")


def test_the_clients_own_variables_win(
    tmp_path: Path, lines: list[str], wandb: Calls, mlflow: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WANDB_PROJECT": "owls", "WANDB_NAME": "one", "MLFLOW_EXPERIMENT_NAME": "owls"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    Loggers(lines.append).open(TrainConfig(data="d", wandb=True, mlflow=True), tmp_path, first_step=0)
    assert (wandb.of("init")[0]["project"], wandb.of("init")[0]["name"]) == ("owls", "one")
    assert mlflow.of("experiment") == ["owls"]
    assert lines[1] == "MLflow: http://localhost:5000"


@pytest.mark.parametrize("failing", ["init", "log", "finish"])
def test_a_client_that_fails_is_dropped_with_one_warning_and_the_training_goes_on(
    failing: str, shapes: Path, tmp_path: Path, wandb: Calls, mlflow: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    wandb.failing = failing
    run = train(tiny_config(shapes, tmp_path, wandb=True, mlflow=True), Console(width=300))
    assert run.evaluation is not None
    assert len(rows_of(run.folder)) == 2
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: W&B")]
    assert warnings == [
        "warning: W&B failed (ConnectionError: no route to host); the training goes on without it, and the run folder "
        "has all numbers"
    ]
    assert mlflow.of("terminated") == [("run7", "FINISHED")]


def test_numbers_that_are_none_are_not_sent_and_steps_only_now_and_then(
    tmp_path: Path, lines: list[str], wandb: Calls, mlflow: Calls
) -> None:
    loggers = Loggers(lines.append)
    loggers.open(TrainConfig(data="d", wandb=True, mlflow=True), tmp_path, first_step=0)
    for step in range(1, 31):
        loggers.step(step, {"step/loss": float(step), "step/lr": float("nan")})
    assert wandb.of("log") == [(step, {"step/loss": float(step)}) for step in (10, 20, 30)]
    assert mlflow.of("metrics") == []  # a file or a request for each value


def test_tensorboard_lies_in_the_run_folder(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()

    class TensorBoardLogger:
        def __init__(self, root: Path, **options: Any) -> None:
            calls.note("init", (root, options))

        experiment = None

        def log_metrics(self, values: dict[str, float], step: int) -> None:
            calls.note("log", (step, values))

        def log_hyperparams(self, values: dict[str, Any], metrics: dict[str, float]) -> None:
            calls.note("config", (values["loss.coord"], metrics))

        def save(self) -> None:
            calls.note("save")

        def finalize(self, status: str) -> None:
            calls.note("finalize", status)

    monkeypatch.setattr("lightning_fabric.loggers.tensorboard.TensorBoardLogger", TensorBoardLogger)
    loggers = Loggers(lines.append)
    loggers.open(TrainConfig(data="d", tensorboard=True), tmp_path, first_step=40)
    loggers.epoch(50, {"epoch": 5})
    loggers.finish({"best/map_50": 0.5}, completed=True)
    loggers.finish({}, completed=False)
    options = {"name": "", "version": "tensorboard", "default_hp_metric": False, "purge_step": 41}
    assert calls.of("init") == [(tmp_path, options)]
    assert calls.of("log") == [(50, {"epoch": 5})]
    assert calls.of("config") == [("iou", {"best/map_50": 0.5})]
    assert calls.of("finalize") == ["success"]
    assert lines == [f"TensorBoard: tensorboard --logdir {tmp_path / 'tensorboard'}"]
