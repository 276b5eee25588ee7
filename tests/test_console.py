import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from yolo.console import collected_warnings, make_streams_safe, print_table, say, stdout, warn


def test_warnings_go_to_standard_error_and_are_collected(capsys: pytest.CaptureFixture[str]) -> None:
    with collected_warnings() as outer:
        warn(stdout(), "[bold]one", "two")
        with collected_warnings() as inner:
            warn(stdout(), "three")
    warn(stdout(), "four")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "warning: [bold]one\nwarning: two\nwarning: three\nwarning: four\n"
    assert (outer, inner) == (["[bold]one", "two", "three"], ["three"])


def test_warnings_stay_on_a_console_of_somebody_and_a_quiet_one_prints_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    own = Console(file=stream, width=20)
    say(own, "before")
    warn(own, "a long text is not broken at the width")
    with collected_warnings() as found:
        warn(Console(quiet=True), "unseen")
    assert stream.getvalue() == "before\nwarning: a long text is not broken at the width\n"
    assert found == ["unseen"]
    assert capsys.readouterr() == ("", "")


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


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix closes streams")
def test_closed_streams_lead_nowhere(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from yolo.console import open_closed_streams\n"
        "open_closed_streams()\n"
        f"with open({str(tmp_path / 'a.txt')!r}, 'w') as file: numbers = file.fileno()\n"
        "print('out'); print('err', file=sys.stderr); os.write(2, b'x')\n"
        "sys.exit(numbers < 3)\n"
    )
    words = ["sh", "-c", f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} <&- >&- 2>&-"]
    assert subprocess.run(words, check=False).returncode == 0
    assert (tmp_path / "a.txt").read_text() == ""
