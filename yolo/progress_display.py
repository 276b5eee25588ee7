"""How far a long task is: a bar with an estimate on a terminal, elsewhere a line now and then, for logs."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from yolo.console import clock, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

# Seconds from one line to the next in a log: after a while they are this share of the time that has gone by.
_SHORTEST, _LONGEST, _SHARE = 10.0, 60.0, 0.25


class Unit(NamedTuple):
    """What is counted."""

    name: str  # in the plural
    size: float = 1.0  # of one of them, in what `update` is told


IMAGES, MEGABYTES = Unit("images"), Unit("MB", 1e6)


class ProgressDisplay:
    """Context manager that shows how far some work is, on one line.

    Args:
        console: where; lines that are printed there meanwhile appear above the bar. A quiet one shows nothing.
        what: is going on, such as "reading images".
        total: how much there is to do; None where nobody knows.
        unit: of that.
        begun: how much is done when the clock starts.
    """

    def __init__(
        self, console: Console, what: str, total: int | None = None, *, unit: Unit = IMAGES, begun: int = 0
    ) -> None:
        self._console, self._what, self._total = console, what, total
        self._unit, self._begun, self._done = unit, begun, begun
        self._bar = _bar(console)
        self._task = self._bar.add_task(what, total=total, status="")
        self._began = self._told = monotonic()

    def __enter__(self) -> Self:
        self._began = self._told = monotonic()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Count that many more as done."""
        self.update(self._done + count)

    def update(self, done: int, *, total: int | None = None, what: str = "", status: str = "") -> None:
        """Show how much is done in all; the other arguments replace what was shown so far."""
        self._done, self._total, self._what = done, total or self._total, what or self._what
        now = monotonic()
        seconds = now - self._began
        if not status:
            rate = (done - self._begun) / seconds if seconds > 0 else 0.0
            status = _status(done, self._total, rate, self._unit)
        self._bar.update(self._task, completed=done, total=self._total, description=self._what, status=status)
        if self._bar.disable and now - self._told >= min(_LONGEST, max(_SHORTEST, _SHARE * seconds)):
            say(self._console, f"{self._what}: {status}")
            self._told = now

    def told(self) -> None:
        """Put the next line off, because something else was just printed."""
        self._told = monotonic()


def _bar(console: Console) -> Progress:
    """A bar that is gone when it ends, and takes the space that the text leaves."""
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[status]}", markup=False),
    )
    is_hidden = not console.is_terminal or console.quiet
    return Progress(*columns, console=console, transient=True, expand=True, disable=is_hidden)


def _status(done: int, total: int | None, rate: float, unit: Unit) -> str:
    """How far something is.

    >>> _status(1200, 5000, 85.2, IMAGES), _status(7, None, 0.84, IMAGES)
    ('1,200 of 5,000 images, 85 images/s, 0:45 left', '7 images, 0.8 images/s')
    >>> _status(3_500_000, 10_000_000, 500_000, MEGABYTES)
    '4 of 10 MB, 0.5 MB/s, 0:13 left'
    """
    name, size = unit
    amount = f"{done / size:,.0f}" if total is None else f"{done / size:,.0f} of {max(done, total) / size:,.0f}"
    per_second = rate / size
    parts = [f"{amount} {name}", f"{per_second:.{0 if per_second >= 10 else 1}f} {name}/s"]
    if total is not None and rate > 0:
        parts.append(f"{clock(max(0, total - done) / rate)} left")
    return ", ".join(parts)
