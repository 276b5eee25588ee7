import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.engine.shapes import quick_config
from yolo.engine.pace import Pace, PaceNote, pace_notes
from yolo.engine.schedule import Schedule
from yolo.engine.train import train


def notes_of(
    *,
    step: int = 1000,
    elapsed: float = 61.0,
    seconds: float | None = 60.0,
    share: float | None = 0.0,
    workers: int = 0,
) -> list[PaceNote]:
    schedule = Schedule(steps_per_epoch=20, epochs=None, seconds=seconds, warmup=0.03, final_lr=0.01)
    return list(pace_notes(schedule, step=step, elapsed=elapsed, waited_share=share, workers=workers))


def test_a_run_of_few_steps_is_told() -> None:
    (note,) = notes_of(step=45)
    assert note.text == (
        "The training had only 45 steps (2.2 epochs); detectors usually need at least 300 steps and 5 epochs. "
        "Increase --max-minutes or reduce --input-size."
    )
    assert (note.event, note.numbers) == ("few steps", {"steps": 45, "epochs": 2.25})


@pytest.mark.parametrize(("step", "told"), [(299, True), (300, False), (1, True)])
def test_few_are_fewer_than_300(step: int, told: bool) -> None:
    assert bool(notes_of(step=step)) == told


def test_many_steps_are_few_where_they_are_not_five_epochs() -> None:
    schedule = Schedule(steps_per_epoch=1000, epochs=None, seconds=60.0, warmup=0.03, final_lr=0.01)
    texts = [
        [note.text for note in pace_notes(schedule, step=step, elapsed=60, waited_share=None, workers=0)]
        for step in (4999, 5000)
    ]
    assert "only 4,999 steps (5.0 epochs); " in texts[0][0]
    assert texts[1] == []


@pytest.mark.parametrize(("share", "told"), [(None, False), (0.19, False), (0.2, True), (0.9, True)])
def test_a_busy_machine_is_told(share: float | None, told: bool) -> None:
    notes = notes_of(share=share)
    assert [note.event for note in notes] == ["busy machine"] * told
    assert all("because other programs kept the CPU busy" in note.text for note in notes)
    assert all(f"{share:.0%} of the time" in note.text for note in notes)


def test_a_run_with_processes_of_its_own_may_have_been_in_its_own_way() -> None:
    (note,) = notes_of(share=0.5, workers=2)
    assert "other programs, or its own --workers, kept" in note.text


@pytest.mark.parametrize("changes", [{"seconds": None}, {"elapsed": 59.0}])
def test_a_busy_machine_matters_to_a_time_budget_only(changes: dict[str, float | None]) -> None:
    assert notes_of(step=300, share=0.9, **changes) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("limits", "more"), [({"epochs": 2}, "--epochs"), ({"updates": 40}, "--max-batches")])
def test_a_run_that_was_planned_short_is_told_as_well(limits: dict[str, int], more: str) -> None:
    schedule = Schedule(
        steps_per_epoch=20,
        epochs=limits.get("epochs"),
        updates=limits.get("updates"),
        seconds=None,
        warmup=0.03,
        final_lr=0.01,
    )
    (note,) = pace_notes(schedule, step=40, elapsed=9.0, waited_share=0.9, workers=0)
    assert note.text == (
        f"The training had only 40 steps (2.0 epochs); detectors usually need at least 300 steps. Increase {more}."
    )


@pytest.mark.parametrize(("seconds", "told"), [(None, False), (60.0, True)])
def test_few_steps_with_a_detector_are_no_news_unless_time_ended_them(seconds: float | None, told: bool) -> None:
    schedule = Schedule(steps_per_epoch=20, epochs=None, seconds=seconds, warmup=0.03, final_lr=0.01)
    notes = pace_notes(schedule, step=40, elapsed=60.0, waited_share=0.0, workers=0, fine_tunes=True)
    assert bool(list(notes)) == told


@pytest.mark.skipif(Pace().waited_share() is None, reason="the system does not say how long a thread waited")
def test_waiting_for_a_core_is_seen() -> None:
    code = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from yolo.engine.pace import Pace
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if os.fork() == 0:
    end = time.monotonic() + 0.6
    while time.monotonic() < end: pass
    os._exit(0)
pace, end = Pace(), time.monotonic() + 0.5
while time.monotonic() < end: pass
print(pace.waited_share())
"""
    root = str(Path(__file__).parents[2])
    share = float(subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True).stdout)
    assert 0.25 < share < 0.95
    idle = Pace()
    time.sleep(0.2)
    assert (idle.waited_share() or 0) < 0.2


def test_a_training_tells_and_keeps_it(shapes: Path, tmp_path: Path) -> None:
    console = Console(record=True, width=500, file=io.StringIO())
    run = train(quick_config(shapes, tmp_path, epochs=None, max_minutes=0.02), console)
    assert "warning: The training had only" in console.export_text()
    events = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    (event,) = [event for event in events if event["event"] == "few steps"]
    assert event["epochs"] == event["steps"] / 2
    assert [event["event"] for event in events][-1] == "finished"
