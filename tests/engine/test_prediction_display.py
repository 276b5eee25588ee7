import io
import re

import numpy as np
import pytest
import torch
from rich.console import Console

from yolo import progress_display
from yolo.engine.prediction_display import PredictionDisplay
from yolo.engine.result import Result
from yolo.media.items import Unreadable
from yolo.structures import Detections


def result(number: int) -> Result:
    found = Detections(torch.zeros(3, 4), torch.ones(3), torch.tensor([0, 1, 1]), (40, 50))
    return Result(found, class_names=("cat", "dog"), image=np.zeros((40, 50, 3), np.uint8), source=f"[{number}].jpg")


def printed(count: int, total: int | None, *, verbose: bool = False, terminal: bool = False) -> str:
    """What a console shows of a run over images of which number 3 cannot be read."""
    stream = io.StringIO()
    console = Console(file=stream, width=120, force_terminal=terminal, color_system=None)
    with PredictionDisplay(console, total, verbose=verbose) as display:
        for number in range(count):
            display.add(Unreadable("3.jpg", "3.jpg: is not an image") if number == 3 else result(number))
    return stream.getvalue()


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four seconds pass whenever somebody asks for the time."""
    times = iter(range(0, 10_000, 4))
    monkeypatch.setattr(progress_display, "monotonic", lambda: next(times))


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("total", [9, None])
def test_few_images_have_a_line_each(total: int | None, terminal: bool) -> None:
    lines = re.findall(r"\[\d\]\.jpg: 50x40, 2 dog, 1 cat, \d+\.\d ms", printed(9, total, terminal=terminal))
    assert [line[1] for line in lines] == list("01245678")


@pytest.mark.parametrize(("count", "total"), [(30, 30), (30, None), (11, 11)])
def test_of_many_only_what_was_skipped_has_a_line(count: int, total: int | None) -> None:
    assert printed(count, total) == "warning: skipped: 3.jpg: is not an image\n"
    assert len(printed(count, total, verbose=True).splitlines()) == count


def test_a_log_file_has_a_line_every_ten_seconds(minutes: None) -> None:
    """The clock is asked when the run is made, when it begins (4 s) and for each of nine images (8 s, 12 s, ...)."""
    # three images after 12 s of which the first took none, six after 24 s, nine after 36 s
    assert printed(9, 5000).splitlines() == [
        "detecting: 3 of 5,000 images, 0.2 images/s, 8:19:42 left",
        "warning: skipped: 3.jpg: is not an image",
        "detecting: 6 of 5,000 images, 0.2 images/s, 6:39:31 left",
        "detecting: 9 of 5,000 images, 0.2 images/s, 6:14:20 left",
    ]


def test_of_thousands_that_cannot_be_read_a_few_are_named() -> None:
    stream = io.StringIO()
    with PredictionDisplay(Console(file=stream, width=40), 5000) as display:
        for number in range(1000):
            display.add(Unreadable(f"{number}.jpg", f"{number}.jpg: is not an image"))
    assert stream.getvalue().splitlines() == [
        *(f"warning: skipped: {number}.jpg: is not an image" for number in range(5)),
        "warning: further images that cannot be read are counted at the end",
    ]


def test_a_terminal_shows_how_far_it_is(minutes: None) -> None:
    shown = printed(12, 1200, terminal=True)
    assert "12 of 1,200 images, 0.2 images/s" in shown
    assert "\nwarning: skipped: 3.jpg: is not an image" in shown.replace("\r", "\n").replace("\x1b[2K", "")
    assert "[0].jpg" not in shown


def test_more_images_than_were_known_of(minutes: None) -> None:
    """`--limit` does not count what cannot be read."""
    assert "12 of 12 images, 0.2 images/s" in printed(12, 11, terminal=True)
