"""`PredictionDisplay`: what a prediction run prints while it goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import TextColumn, TimeRemainingColumn

from yolo.console import progress_bar, say
from yolo.engine.result import Result
from yolo.media.items import Unreadable

# Fewer images than this have a line each.
_FEW = 10
# seconds from one line to the next in a log file
_INTERVAL = 10.0


class PredictionDisplay:
    """Context manager: a bar on a terminal, a line every ten seconds elsewhere; a line per image where they are few.

    Args:
        console: where it is printed.
        total: how many images there are; None where nobody knows. Their lines are then printed at the end if they turn
            out to be few.
        verbose: print a line per image in any case.
    """

    def __init__(self, console: Console, total: int | None, *, verbose: bool = False) -> None:
        self._console, self._total = console, total
        self._line_each = verbose or (total is not None and total < _FEW)
        self._first_lines: list[str] = []
        self._bar = progress_bar(console, TextColumn("{task.fields[status]}"), TimeRemainingColumn())
        self._task = self._bar.add_task("detecting", total=total, status="")
        self._done = 0
        self._began = self._told = monotonic()

    def __enter__(self) -> Self:
        self._began = self._told = monotonic()
        if not self._line_each:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if len(self._first_lines) < _FEW:
            say(self._console, *self._first_lines)

    def add(self, outcome: Result | Unreadable) -> None:
        """Say what came of an image."""
        if isinstance(outcome, Unreadable):
            say(self._console, f"skipped: {outcome.reason}")
        elif self._line_each:
            say(self._console, _line(outcome))
        elif self._total is None and len(self._first_lines) < _FEW:
            self._first_lines.append(_line(outcome))
        self._done += 1
        if not self._line_each:
            self._tell()

    def _tell(self) -> None:
        now = monotonic()
        seconds = now - self._began
        # the first image was ready when the clock started
        status = _status(self._done, self._total, (self._done - 1) / seconds if seconds > 0 else 0.0)
        self._bar.update(self._task, completed=self._done, status=status)
        if self._bar.disable and now - self._told >= _INTERVAL:
            say(self._console, status)
            self._told = now


def _status(done: int, total: int | None, rate: float) -> str:
    """How far a run is.

    >>> _status(1200, 5000, 85.2), _status(7, None, 0.84)
    ('1,200 of 5,000 images, 85 images/s', '7 images, 0.8 images/s')
    """
    of_all = f"{done:,}" if total is None else f"{done:,} of {max(done, total):,}"
    return f"{of_all} images, {rate:.{0 if rate >= 10 else 1}f} images/s"


def _line(result: Result) -> str:
    """A line such as "a.jpg: 640x480, 2 RBC, 1 WBC, 12.3 ms", the most frequent class first."""
    height, width = result.size_hw
    name = result.source if result.frame is None else f"{result.source} frame {result.frame}"
    what = ", ".join(f"{count} {label}" for label, count in Counter(result.names).most_common()) or "nothing"
    milliseconds = 1000 * sum(asdict(result.seconds).values())
    return f"{name}: {width}x{height}, {what}, {milliseconds:.1f} ms"
