"""How commands print: lines as they are, without markup, colours of their own or breaks at the terminal's width.

What a stream's encoding does not have, and what a terminal would obey, stands as `%1B`, see `yolo.errors.printable`.

Tables are rich's: in bold and fitted to its width on a terminal, plain and as wide as need be in files and pipes.
Warnings go to standard error, whatever becomes of the other text.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from yolo.errors import PERCENT, printable, terminal_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# columns: wider than any table
_ANY_WIDTH = 100_000
# how Python treats what a stream's encoding does not have, unless somebody chose another way by PYTHONIOENCODING
_PYTHONS_CHOICE = ("strict", "surrogateescape", "backslashreplace")


def stdout() -> Console:
    """A console on standard output; rich is imported when a command prints, not when its options are parsed."""
    from rich.console import Console

    class WorkingConsole(Console):
        def on_broken_pipe(self) -> None:
            """Print no more where nobody reads it, as behind `| head`; the work itself goes on."""
            with suppress(SystemExit):
                super().on_broken_pipe()

    make_streams_safe()
    return WorkingConsole()


def open_closed_streams() -> None:
    """Open standard streams that are closed, as by `>&-`, on the null device.

    Otherwise the next file that is opened gets their number, and what libraries write on standard error ends up in it.
    """
    for number in range(3):
        try:
            if number:
                os.write(number, b"")
            else:
                os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (to the end of the process)


def make_streams_safe() -> None:
    """Let standard output and standard error take every text, whatever their encoding is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _PYTHONS_CHOICE:
            stream.reconfigure(errors=PERCENT)


def say(console: Console, *lines: str) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(terminal_text(line), markup=False, highlight=False, emoji=False, soft_wrap=True)


_collected: list[list[str]] = []


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Yields a list that gets every warning of the block, in order, besides its being printed."""
    found: list[str] = []
    _collected.append(found)
    try:
        yield found
    finally:
        _collected.pop()


def warn(console: Console, *texts: str) -> None:
    """Print warnings: on standard error if the console is standard output, else on the console."""
    if console.file is getattr(sys.stdout, "rich_proxied_file", sys.stdout) and not console.quiet:
        warn_on_stderr(*texts)
        return
    for text in texts:
        _collect(text)
        say(console, f"warning: {text}")


def warn_on_stderr(*texts: str) -> None:
    """Print warnings on standard error, also for code that has no console."""
    for text in texts:
        _collect(text)
        # above a bar that is shown there, which rich sees to
        print(terminal_text(f"warning: {text}"), file=sys.stderr, flush=True)


def _collect(text: str) -> None:
    for found in _collected:
        found.append(text)


def print_table(console: Console, rows: Sequence[Sequence[str]], *, bold: int = 0) -> None:
    """Print a table as `table_text` does; on a terminal the header and the first `bold` rows below it stand out."""
    if console.is_terminal:
        console.print(_table(rows, bold))
    else:
        say(console, table_text(rows))


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows, of which the first is the header, as aligned text: the first column to the left, the others to the right.

    >>> print(table_text([("Class", "AP"), ("cat", "0.500")]))
    Class     AP
    cat    0.500
    """
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_ANY_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(_table(rows, 0))
    return capture.get().removesuffix("\n")


def _table(rows: Sequence[Sequence[str]], bold: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    header, *body = rows
    for place, title in enumerate(header):
        table.add_column(Text(terminal_text(printable(title))), justify="right" if place else "left", no_wrap=place > 0)
    for place, cells in enumerate(body):
        # Text, because class names may hold brackets, which rich would read as markup
        table.add_row(*(Text(terminal_text(printable(cell))) for cell in cells), style="bold" if place < bold else None)
    return table


def clock(seconds: float) -> str:
    """Seconds for people.

    >>> clock(59.6), clock(61), clock(7322)
    ('1:00', '1:01', '2:02:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, one: str, many: str) -> str:
    """A number and what is counted.

    >>> counted(1, "label is", "labels are"), counted(1200, "label is", "labels are")
    ('1 label is', '1,200 labels are')
    """
    return f"{number:,} {one if number == 1 else many}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names as a list that is cut where it is long.

    >>> listed(["cat", "dog"]), listed(["cat", "dog", "cow"], most=2)
    ('cat, dog', 'cat, dog, ... (3 in all)')
    """
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
