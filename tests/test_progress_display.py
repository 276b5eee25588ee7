import io
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from rich.console import Console

from yolo import progress_display
from yolo.console import say
from yolo.progress_display import MEGABYTES, ProgressDisplay


def console(*, terminal: bool = False, quiet: bool = False, width: int = 80) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, quiet=quiet, width=width, color_system=None), stream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time in seconds, which passes as the test says."""
    now = [0.0]
    monkeypatch.setattr(progress_display, "monotonic", lambda: now[0])
    return iter([now])


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (False, False), (True, True)])
def test_bars_are_for_terminals(terminal: bool, quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    screen, stream = console(terminal=terminal, quiet=quiet)
    with ProgressDisplay(screen, "reading [a]", 3) as display:
        display.advance()
        print("other output")
    is_shown = terminal and not quiet
    assert ("reading [a]" in stream.getvalue()) == is_shown
    if not is_shown:
        assert stream.getvalue() == ""
        assert capsys.readouterr().out == "other output\n"  # a bar takes what others print to show it above itself


def test_a_log_has_a_line_after_ten_seconds_and_then_ever_fewer(clock: Iterator[list[float]]) -> None:
    (now,) = clock
    screen, stream = console()
    printed = []
    with ProgressDisplay(screen, "reading images", 1000) as display:
        for second in range(1, 601):
            now[0] = second
            display.update(second)
            if stream.getvalue():
                printed.append((second, stream.getvalue().rstrip("\n")))
                stream.seek(0)
                stream.truncate()
    assert printed[0] == (10, "reading images: 10 of 1,000 images, 1.0 images/s, 16:30 left")
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(printed)]
    assert gaps[0] == 10
    assert gaps == sorted(gaps)
    assert gaps[-1] == 60


def test_what_stands_in_the_bar(clock: Iterator[list[float]]) -> None:
    (now,) = clock
    screen, stream = console(terminal=True)
    with ProgressDisplay(screen, "VOCtrainval_06-Nov-2007.tar", 460_032_000, unit=MEGABYTES) as display:
        now[0] = 20.0
        display.update(46_000_000)
        say(screen, "a line above the bar")
    shown = stream.getvalue()
    assert "46 of 460 MB, 2.3 MB/s, 3:00 left" in shown
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", shown))
    assert "a line above the bar" in [line.strip() for line in lines]
    assert max(map(len, lines)) <= 80


def test_more_than_was_known_of(clock: Iterator[list[float]]) -> None:
    (now,) = clock
    screen, stream = console()
    with ProgressDisplay(screen, "detecting", 11, begun=1) as display:
        now[0] = 11.0
        display.update(12)
    assert stream.getvalue() == "detecting: 12 of 12 images, 1.0 images/s, 0:00 left\n"
