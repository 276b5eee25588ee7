"""`PredictionDisplay`: what a prediction run prints while it goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from types import TracebackType
from typing import Self

from rich.console import Console

from yolo.console import say, warn
from yolo.engine.result import Result
from yolo.media.items import Unreadable
from yolo.progress_display import ProgressDisplay

# Fewer images than this have a line each.
_FEW = 10
# Reasons that are printed one by one; a folder may hold thousands of such files.
_MOST_REASONS = 5


class PredictionDisplay:
    """Context manager: how far the run is, and a line per image where they are few.

    Args:
        console: where it is printed.
        total: how many images there are; None where nobody knows. Their lines are then printed at the end if they turn
            out to be few.
        verbose: print a line per image in any case.
    """

    def __init__(self, console: Console, total: int | None, *, verbose: bool = False) -> None:
        self._console, self._total, self._verbose = console, total, verbose
        self._line_each = verbose or (total is not None and total < _FEW)
        self._first_lines: list[str] = []
        # the first image was ready when the clock started
        self._progress = ProgressDisplay(console, "detecting", total, begun=1)
        self._done = self._unreadable = 0

    def __enter__(self) -> Self:
        if not self._line_each:
            self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._line_each:
            self._progress.__exit__(kind, error, trace)
        if len(self._first_lines) < _FEW:
            say(self._console, *self._first_lines)

    def add(self, outcome: Result | Unreadable) -> None:
        """Say what came of an image."""
        self._done += 1
        if isinstance(outcome, Unreadable):
            self._skip(outcome)
        elif self._line_each:
            say(self._console, _line(outcome))
        elif self._total is None and len(self._first_lines) < _FEW:
            self._first_lines.append(_line(outcome))
        if not self._line_each:
            self._progress.update(self._done)

    def _skip(self, outcome: Unreadable) -> None:
        self._unreadable += 1
        if self._verbose or self._unreadable <= _MOST_REASONS:
            warn(self._console, f"skipped: {outcome.reason}")
        elif self._unreadable == _MOST_REASONS + 1:
            warn(self._console, "further images that cannot be read are counted at the end")


def _line(result: Result) -> str:
    """A line such as "a.jpg: 640x480, 2 RBC, 1 WBC, 12.3 ms", the most frequent class first."""
    height, width = result.size_hw
    name = result.source if result.frame is None else f"{result.source} frame {result.frame}"
    what = ", ".join(f"{count} {label}" for label, count in Counter(result.names).most_common()) or "nothing"
    milliseconds = 1000 * sum(asdict(result.seconds).values())
    return f"{name}: {width}x{height}, {what}, {milliseconds:.1f} ms"
