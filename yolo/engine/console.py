"""What a person sees while a detector trains: a header, a line per epoch, a bar for the running one.

Where the output is not a terminal there are only the lines, without control characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from yolo.console import clock, say

_TERMS = {"coord_xy": "xy", "coord_wh": "wh", "conf_obj": "obj", "conf_noobj": "noobj", "class_prob": "class"}


class TrainingDisplay:
    """Prints the progress of a training.

    Args:
        epochs: planned number, or None if only the time is limited.
        console: where to print.
    """

    def __init__(self, epochs: int | None, console: Console) -> None:
        self.epochs = epochs
        self.console = console
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}"))
        # the bar only lives in a terminal; a log file gets the lines
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", status="")

    def __enter__(self) -> Self:
        names = "".join(f"{name:>8}" for name in _TERMS.values())
        self.say(f"{'epoch':>9}{'left':>8}{'img/s':>7}{'lr':>9}{names}{'mAP50':>8}{'mAP50-95':>10}")
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar, as it is."""
        say(self.console, line)

    def step(self, epoch: int, done: int, total: int, *, seconds_left: float) -> None:
        """Move the bar to `done` of `total` steps of an epoch."""
        self._bar.update(
            self._task,
            completed=done,
            total=total,
            description=f"epoch {self._epoch(epoch)}",
            status=f"{done}/{total}, {clock(seconds_left)} left",
        )

    def epoch(
        self,
        epoch: int,
        *,
        terms: Mapping[str, float],
        lr: float,
        images_per_second: float,
        seconds_left: float,
        metrics: tuple[float, float] | None,
    ) -> None:
        """Print the line of a finished epoch; `metrics` are mAP50 and mAP50-95 where it was validated."""
        losses = "".join(f"{terms[name]:8.3f}" for name in _TERMS)
        measured = "" if metrics is None else f"{metrics[0]:8.3f}{metrics[1]:10.3f}"
        left = clock(seconds_left)
        self.say(f"{self._epoch(epoch):>9}{left:>8}{images_per_second:7.1f}{lr:9.2e}{losses}{measured}")

    def _epoch(self, epoch: int) -> str:
        return f"{epoch + 1}/{self.epochs}" if self.epochs else str(epoch + 1)
