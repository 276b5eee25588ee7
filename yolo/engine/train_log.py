"""What a training tells: `RunFolder` writes it to files, `TrainingDisplay` shows it to a person.

Left out: the weights (`detector_file`), the training state (`train_state`) and the evaluation (`validate`).
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
import yaml
from rich.console import Console

from yolo._version import __version__
from yolo.config import TrainConfig
from yolo.console import clock, say, warn
from yolo.darknet.network import DarknetSpec
from yolo.engine.environment import installed_versions
from yolo.errors import PERCENT, GridYoloError
from yolo.evaluation.result import rate
from yolo.files import new_folder, remove_unfinished, saving, write_json, write_text
from yolo.losses.yolo_loss import TERM_NAMES
from yolo.models.network import Spec
from yolo.process import FileLock
from yolo.progress_display import ProgressDisplay
from yolo.report.history import TrainingHistory, plot_history, read_history

# The names that people's scripts already parse.
COLUMNS = (
    "epoch",
    "time",
    *(f"train/{term}_loss" for term in TERM_NAMES),
    "metrics/precision",
    "metrics/recall",
    "metrics/mAP50",
    "metrics/mAP50-95",
    "lr/pg0",
    *(f"val/{term}_loss" for term in TERM_NAMES),
    "grad_norm",
)
# Drawing takes about a second.
_REDRAWN_SECONDS = 300.0
# Names of the loss terms that fit into a line of a terminal.
_SHORT = {"coord_xy": "xy", "coord_wh": "wh", "conf_obj": "obj", "conf_noobj": "noobj", "class_prob": "class"}


class RunFolder:
    """Writes into one run folder, which nobody else trains in meanwhile.

    Args:
        path: exists already; see `RunFolder.create` for a new one.

    Attributes:
        path: of the folder.
        last: the training state.
        best: the detector of the best validation.

    Raises:
        GridYoloError: another process is training in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        weights = path / "weights"
        self.last = weights / "last.ckpt"
        self.best = weights / "best.safetensors"
        self._events = path / "events.jsonl"
        self._drawn = time.monotonic()
        with saving(path):
            weights.mkdir(exist_ok=True)
            try:
                self._lock = FileLock(self._events)
            except BlockingIOError as error:
                raise GridYoloError(
                    f"{path}: another process is training in this run folder; wait until it ends, or stop it with "
                    "Ctrl-C, which saves its state, and then resume"
                ) from error
        for folder in (path, weights):  # a process that was killed cleans up nothing
            remove_unfinished(folder)

    def release(self) -> None:
        """Let others train in the folder."""
        self._lock.release()

    @classmethod
    def create(cls, config: TrainConfig, spec: Spec) -> RunFolder:
        """Make a new folder and write what is known before the training."""
        folder = cls(new_folder(Path(config.runs), config.name))
        if isinstance(spec, DarknetSpec):  # with it the run resumes
            write_text(folder.path / "network.cfg", spec.cfg)
        folder.write_config(config)
        return folder

    def write_config(self, config: TrainConfig) -> None:
        """Write what is to be trained."""
        write_text(self.path / "config.yaml", yaml.safe_dump(asdict(config), sort_keys=False))

    def is_finished(self) -> bool:
        """Whether the latest training in it came to its end."""
        kinds = ("started", "extended", "interrupted", "finished")
        latest = ""
        for line in self._events.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # a line that a full disk cut off
                kind = json.loads(line)["event"]
                latest = kind if kind in kinds else latest
        return latest == "finished"

    def write_environment(self, device: torch.device) -> None:
        """Write the versions and the machine."""
        environment = {
            "gridyolo": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "device": str(device),
            "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            "command": sys.argv,
            "versions": installed_versions(),
        }
        write_json(self.path / "environment.json", environment)

    def batch_picture(self, number: int) -> Path:
        """Where a batch is drawn, counted from 0."""
        return self.path / f"train_batch{number}.jpg"

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Append a row to results.csv; absent columns stay empty."""
        path = self.path / "results.csv"
        is_new = not path.exists()
        with saving(path), path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=COLUMNS, restval="")
            if is_new:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})

    def keep_epochs(self, count: int) -> None:
        """Cut results.csv to its first `count` rows, and what a full disk cut off from events.jsonl.

        A resumed run does the later epochs again.
        """
        results = self.path / "results.csv"
        if results.exists():
            with results.open(newline="", encoding="utf-8", errors="replace") as file:
                rows = list(csv.DictReader(file))[:count]
            # under today's header: an older version wrote fewer columns
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, fieldnames=COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
            write_text(results, text.getvalue())
        with saving(self._events), self._events.open("r+b") as file:  # in place: the file is locked
            file.truncate(file.read().rfind(b"\n") + 1)

    def event(self, kind: str, **values: Any) -> None:
        """Append a line to events.jsonl."""
        finite = {name: None if value != value else value for name, value in values.items()}  # JSON has no NaN
        line = {"time": round(time.time(), 3), "event": kind, **finite}
        with saving(self._events), self._events.open("a", encoding="utf-8", errors=PERCENT) as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def history(self, best_epoch: int) -> TrainingHistory:
        """What results.csv says so far, damage left out; `best_epoch` is that of the best weights, from 1."""
        return read_history(self.path / "results.csv", best_epoch=best_epoch)

    def plot(self, history: TrainingHistory) -> None:
        """Draw results.png."""
        plot_history(history, self.path / "results.png")
        self._drawn = time.monotonic()

    def plot_now_and_then(self, best_epoch: int) -> None:
        """Draw results.png again if it is some minutes old, so that a long training can be watched."""
        if time.monotonic() - self._drawn >= _REDRAWN_SECONDS:
            self.plot(self.history(best_epoch))


class TrainingDisplay:
    """Prints a header, a line per epoch, and how far the running epoch is. All fits into 80 columns.

    `epochs` is the planned number, None if only the time is limited.
    """

    def __init__(self, epochs: int | None, console: Console) -> None:
        self._epochs = epochs
        self._console = console
        self._progress = ProgressDisplay(console, "")
        self._validated = 0

    def __enter__(self) -> Self:
        names = "".join(f"{_SHORT[name]:>7}" for name in TERM_NAMES)
        self.say(f"{'epoch':>7}{'left':>9}{'img/s':>6}{'lr':>8}{names}{'mAP50':>6}{'mAP50-95':>9}")
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)

    def say(self, line: str) -> None:
        """Print a line above the bar, as it is."""
        say(self._console, line)

    def warn(self, line: str) -> None:
        """Print a warning above the bar."""
        warn(self._console, line)

    def step(self, epoch: int, done: int, total: int, *, seconds_left: float) -> None:
        """Move the bar to `done` of `total` steps of an epoch."""
        status = f"{done} of {total} steps, {clock(seconds_left)} left"
        self._progress.update(done, total=total, what=f"epoch {self._epoch(epoch)}", status=status)

    def validated(self, count: int, total: int) -> None:
        """So many more of the `total` images of a validation are done."""
        self._validated += count
        status = f"{self._validated:,} of {total:,} images"
        self._progress.update(self._validated, total=total, what="validating", status=status)
        if self._validated >= total:  # the next validation begins anew
            self._validated = 0

    def epoch(self, epoch: int, row: Mapping[str, Any], *, images_per_second: float, seconds_left: float) -> None:
        """Print the line of a finished epoch from its row of results.csv."""
        losses = "".join(f"{_number(row[f'train/{name}_loss']):>7}" for name in TERM_NAMES)
        measured = (
            f"{rate(row['metrics/mAP50']):>6}{rate(row['metrics/mAP50-95']):>9}" if "metrics/mAP50" in row else ""
        )
        left, lr = clock(seconds_left), row["lr/pg0"]
        speed = f"{images_per_second:.{1 if images_per_second < 1000 else 0}f}"
        self.say(f"{self._epoch(epoch):>7}{left:>9}{speed:>6}{lr:8.1e}{losses}{measured}")
        self._progress.told()

    def _epoch(self, epoch: int) -> str:
        return f"{epoch + 1}/{self._epochs}" if self._epochs else str(epoch + 1)


def _number(loss: float) -> str:
    """A loss in at most six characters, as far as it is below 100,000."""
    return f"{loss:.3f}" if loss < 100 or math.isnan(loss) else f"{loss:.0f}"
