"""Other programs that show a training: TensorBoard, Weights & Biases, MLflow; each by its own flag.

Their files lie in the run folder. The clients' own environment variables (WANDB_MODE, WANDB_PROJECT,
MLFLOW_TRACKING_URI, ...) say what else is sent where; for the clients that are asked for, `require_clients` sets a few
that the user has not. The x axis is the number of optimiser steps. A resumed training continues the same W&B and MLflow
run. The steps between the last save of a killed training and its end are done again, with the same numbers: TensorBoard
replaces them, W&B ignores what it has already, and MLflow has them twice.

A client that is not installed ends a training before it starts. One that cannot connect, or fails later, is dropped
with a warning: everything it would have shown is in the run folder too, and a training is worth more than its curves.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from yolo.config import TrainConfig
from yolo.config.options import dotted_options
from yolo.errors import ConfigError, printable_text
from yolo.files import write_json

_EVERY_STEPS = 10  # how often single steps are logged
_PROJECT = "gridyolo"  # W&B's project and MLflow's experiment, where no variable names another
_MAX_PARAMS = 100  # that MLflow takes at once
_IDS = "loggers.json"


class Logger(Protocol):
    """One client with an open run.

    Attributes:
        title: what people call it.
        logs_steps: whether a call is cheap enough to log single steps, not only epochs.
        run_id: what a resumed training continues; "" where the folder says it.
        place: where to look.
    """

    title: str
    logs_steps: bool
    run_id: str
    place: str

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add values of one moment."""

    def finish(self, metrics: Mapping[str, float], *, completed: bool) -> None:
        """Add the final metrics and close the run; an interrupted one has none and may be resumed."""


class Loggers:
    """All loggers of a training; one that fails is dropped with a warning.

    Args:
        say: prints a line.
        warn: prints a warning; None prints it as a line.
    """

    def __init__(self, say: Callable[[str], None], warn: Callable[[str], None] | None = None) -> None:
        self._say = say
        self._say_warning = warn or (lambda text: say(f"warning: {text}"))
        self._open: dict[str, Logger] = {}

    def open(self, config: TrainConfig, folder: Path, *, first_step: int) -> None:
        """Open a run of each client that the configuration names, or the one that `folder` says it has already."""
        wanted = _wanted(config)
        if not wanted:
            return
        ids_path = folder / _IDS
        ids = self._saved_ids(ids_path)
        values = {
            # no nested names: MLflow refuses the "*" of a pattern
            name: printable_text(json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else value)
            if isinstance(value, Mapping | str)
            else value
            for name, value in dotted_options(config).items()
        }
        for name in wanted:
            try:
                logger = _CLIENTS[name].open(folder, values, ids.get(name, ""), first_step)
            except Exception as error:  # noqa: BLE001 - a client may raise anything
                self._warn(_CLIENTS[name].title, error)
                continue
            self._open[name] = logger
            self._say(f"{logger.title}: {logger.place}")
        new_ids = {name: logger.run_id for name, logger in self._open.items() if logger.run_id}
        if new_ids and ids | new_ids != ids:
            write_json(ids_path, ids | new_ids)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Log every tenth step to clients for which that is cheap."""
        if self._open and step % _EVERY_STEPS == 0:
            self._each(lambda logger: logger.log(_finite(values), step) if logger.logs_steps else None)

    def epoch(self, step: int, row: Mapping[str, float]) -> None:
        """Log a row of results.csv after so many steps."""
        self._each(lambda logger: logger.log(_finite(row), step))

    def finish(self, metrics: Mapping[str, float], *, completed: bool) -> None:
        """Log the final metrics and close all; a second call does nothing."""
        self._each(lambda logger: logger.finish(_finite(metrics), completed=completed))
        self._open.clear()

    def _saved_ids(self, path: Path) -> dict[str, str]:
        """The run of each client that the folder has already; none, with a warning, where the file is damaged."""
        if not path.exists():
            return {}
        try:
            ids = json.loads(path.read_text(encoding="utf-8"))
            return {name: ids[name] for name in _CLIENTS if isinstance(ids.get(name), str)}
        except (OSError, ValueError, AttributeError) as error:
            self._say_warning(f"{path} cannot be read ({error}); the clients begin new runs")
            return {}

    def _each(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._open.items()):
            try:
                call(logger)
            except Exception as error:  # noqa: BLE001 - a client may raise anything
                del self._open[name]
                self._warn(logger.title, error)

    def _warn(self, title: str, error: Exception) -> None:
        reason = next(iter(str(error).strip().splitlines()), "")
        self._say_warning(
            f"{title} failed ({type(error).__name__}{': ' * bool(reason)}{reason}); the training goes on "
            "without it, and the run folder has all numbers"
        )


def require_clients(config: TrainConfig) -> None:
    """Import the client of every logger that is wanted, with its variables set in this process where the user has not.

    Raises:
        ConfigError: a client is not installed.
    """
    for name in _wanted(config):
        for variable, value in _CLIENTS[name].variables.items():
            os.environ.setdefault(variable, value)
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"--{name} needs the package {name} ({error}): pip install 'gridyolo[{name}]', or leave out --{name}"
            ) from error


class _TensorBoard:
    title, logs_steps, run_id = "TensorBoard", True, ""

    def __init__(self, folder: Path, config: Mapping[str, Any], run_id: str, first_step: int) -> None:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        # what a killed training logged after its last save is done again
        later: dict[str, Any] = {"purge_step": first_step + 1} if first_step else {}
        self._logger = TensorBoardLogger(folder, name="", version="tensorboard", default_hp_metric=False, **later)
        self._config = config
        self.place = f"tensorboard --logdir {folder / 'tensorboard'}"
        self._logger.experiment  # noqa: B018 - a property that opens the file

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._logger.log_metrics(dict(values), step)

    def finish(self, metrics: Mapping[str, float], *, completed: bool) -> None:
        if metrics:
            self._logger.log_hyperparams(dict(self._config), dict(metrics))
        self._logger.finalize("success" if completed else "interrupted")


class _WeightsAndBiases:
    title, logs_steps = "W&B", True

    def __init__(self, folder: Path, config: Mapping[str, Any], run_id: str, first_step: int) -> None:
        self._run = import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=os.environ.get("WANDB_NAME", folder.name),
            dir=os.environ.get("WANDB_DIR", str(folder)),
            config=dict(config),
            # without these W&B's own variables decide
            **({"id": run_id, "resume": "allow"} if run_id else {}),
        )
        self.run_id = str(self._run.id)
        kept = Path(self._run.dir).parent
        self.place = f"{kept} (offline; to send it: wandb sync {kept})" if self._run.offline else str(self._run.url)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def finish(self, metrics: Mapping[str, float], *, completed: bool) -> None:
        self._run.summary.update(dict(metrics))
        self._run.finish(exit_code=0 if completed else 1)


class _MLflow:
    # a call goes to a server or opens a file for every value
    title, logs_steps = "MLflow", False

    def __init__(self, folder: Path, config: Mapping[str, Any], run_id: str, first_step: int) -> None:
        self._entities = import_module("mlflow.entities")
        local = (folder / "mlruns").absolute().as_uri()
        uri = os.environ.get("MLFLOW_TRACKING_URI") or local
        self.place = f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {uri}" if uri == local else uri
        self._client = import_module("mlflow.tracking").MlflowClient(tracking_uri=uri)
        self.run_id = run_id or self._new_run(folder.name, config)
        if run_id:
            self._client.update_run(run_id, status="RUNNING")

    def _new_run(self, name: str, config: Mapping[str, Any]) -> str:
        experiment_name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        experiment = self._client.get_experiment_by_name(experiment_name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(experiment_name)
        run_id = str(self._client.create_run(number, run_name=name).info.run_id)
        params = [self._entities.Param(key, str(value)) for key, value in config.items()]
        for start in range(0, len(params), _MAX_PARAMS):
            self._client.log_batch(run_id, params=params[start : start + _MAX_PARAMS])
        return run_id

    def log(self, values: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        # its names take no "@" or ":", and ours have none
        metrics = [self._entities.Metric(key, float(value), now, step) for key, value in values.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def finish(self, metrics: Mapping[str, float], *, completed: bool) -> None:
        if metrics:
            self.log(metrics, 0)
        self._client.set_terminated(self.run_id, "FINISHED" if completed else "KILLED")


class _Client(NamedTuple):
    """What is known of a client before it is imported."""

    title: str  # what people call it
    open: Callable[[Path, Mapping[str, Any], str, int], Logger]  # folder, options, run id, first step
    # of the environment: the client reports nothing to its maker, and holds no training up for minutes
    variables: Mapping[str, str]


# By its option, which is also the name of its package and of the extra that brings it.
_CLIENTS: Final = {
    "tensorboard": _Client("TensorBoard", _TensorBoard, {}),
    "wandb": _Client("W&B", _WeightsAndBiases, {"WANDB_ERROR_REPORTING": "false", "WANDB_INIT_TIMEOUT": "30"}),
    "mlflow": _Client(
        "MLflow",
        _MLflow,
        {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ALLOW_FILE_STORE": "true",  # a local store without a database
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
        },
    ),
}


def _wanted(config: TrainConfig) -> list[str]:
    return [name for name in _CLIENTS if getattr(config, name)]


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Drop NaN and infinities, which some clients reject."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
