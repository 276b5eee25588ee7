"""What is said at the end of a run: whether it was short, and whether others used the CPU that its time was for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from yolo.console import counted
from yolo.engine.schedule import Schedule
from yolo.process import seconds_waited_for_core

# A detector that starts from a pretrained backbone has learned the most after about as many.
_USUAL_STEPS, _USUAL_EPOCHS = 300, 5
# A quiet machine stays well below.
_BUSY_SHARE = 0.2


class Pace:
    """Watches the thread that makes it, until its share is asked."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._waited = seconds_waited_for_core()

    def waited_share(self) -> float | None:
        """Share of the time in which this thread was ready to go on, but others had the cores; None if unknown."""
        waited, seconds = seconds_waited_for_core(), time.monotonic() - self._began
        if waited is None or self._waited is None or seconds <= 0:
            return None
        return (waited - self._waited) / seconds


class PaceNote(NamedTuple):
    """What is said of a run."""

    event: str  # its name in events.jsonl
    text: str  # for people
    numbers: dict[str, Any]


def pace_notes(
    schedule: Schedule, *, step: int, elapsed: float, waited_share: float | None, workers: int, fine_tunes: bool = False
) -> Iterator[PaceNote]:
    """What to say of a run at its end, where it was short, or its time budget was short of cores.

    Args:
        schedule: of the run.
        step: steps done.
        elapsed: seconds trained.
        waited_share: of the time, see `Pace`.
        workers: processes that load images.
        fine_tunes: whether it began as a detector, for which few steps may be planned.
    """
    epochs = step / schedule.steps_per_epoch
    by_time = schedule.seconds is not None and elapsed >= schedule.seconds
    if (step < _USUAL_STEPS and not fine_tunes) or (by_time and min(step / _USUAL_STEPS, epochs / _USUAL_EPOCHS) < 1):
        if by_time:
            remedy = "Increase --max-minutes or reduce --input-size."
        else:
            remedy = f"Increase {'--max-batches' if schedule.updates else '--epochs'}."
        usual = f"{_USUAL_STEPS} steps" + (f" and {_USUAL_EPOCHS} epochs" if by_time else "")
        text = (
            f"The training had only {counted(step, 'step', 'steps')} ({epochs:.1f} epochs); detectors usually need at "
            f"least {usual}. {remedy}"
        )
        yield PaceNote("few steps", text, {"steps": step, "epochs": round(epochs, 2)})
    if not by_time:
        return
    if waited_share is not None and waited_share >= _BUSY_SHARE:
        others = "other programs, or its own --workers," if workers else "other programs"
        text = (
            f"the run got fewer steps than usual, because {others} kept the CPU busy: {waited_share:.0%} of the time "
            "it waited for a core"
        )
        yield PaceNote("busy machine", text, {"waited_share": round(waited_share, 2)})


def minutes(seconds: float) -> str:
    """Seconds as minutes for people.

    >>> minutes(60), minutes(90)
    ('1 minute', '1.5 minutes')
    """
    number = seconds / 60
    return f"{number:g} minute" if number == 1 else f"{number:g} minutes"
