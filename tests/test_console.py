import io
import os

import pytest
from rich.console import Console

from yolo.console import make_streams_safe, print_table, progress_bar, say, stdout


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (False, False), (True, True)])
def test_bars_are_for_terminals(terminal: bool, quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, quiet=quiet)
    with progress_bar(console) as bar:
        bar.add_task("reading [a]", total=3)
        print("other output")
    is_shown = terminal and not quiet
    assert ("reading [a]" in stream.getvalue()) == is_shown
    if not is_shown:
        assert stream.getvalue() == ""
        assert capsys.readouterr().out == "other output\n"  # a bar takes what others print to show it above itself


@pytest.mark.parametrize(("encoding", "errors"), [("ascii", "strict"), ("cp1252", "surrogateescape")])
def test_every_line_can_be_printed_on_every_console(
    encoding: str, errors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_of = [io.BytesIO(), io.BytesIO()]
    streams = [io.TextIOWrapper(data, encoding=encoding, errors=errors, write_through=True) for data in bytes_of]
    monkeypatch.setattr("sys.stdout", streams[0])
    monkeypatch.setattr("sys.stderr", streams[1])
    console = stdout()
    say(console, "\u65e5 \udce9\x1b[31m [b]:smile:")
    print_table(console, [("Class", "AP"), ("a\nb\x1b\u202e \u65e5", "0.5")])
    print("\u65e5", file=streams[1])
    shown = [data.getvalue().decode(encoding) for data in bytes_of]
    assert shown[0].splitlines()[0] == "%E6%97%A5 %E9%1B[31m [b]:smile:"
    assert "a%0Ab%1B%E2%80%AE %E6%97%A5" in shown[0]
    assert shown[1] == "%E6%97%A5\n"


def test_who_chose_an_error_handler_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr("sys.stdout", stream)
    make_streams_safe()
    assert stream.errors == "replace"


def test_work_goes_on_when_nobody_reads_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="utf-8")
    monkeypatch.setattr("sys.stdout", stream)
    console = stdout()
    say(console, "one")
    say(console, "two")
    stream.close()
