import io

import pytest
from rich.console import Console

from yolo.console import progress_bar


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
