"""How commands print: lines as they are, without markup, colours of their own or breaks at the terminal's width."""

from __future__ import annotations

from rich.console import Console


def say(console: Console, *lines: str) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def clock(seconds: float) -> str:
    """Seconds for people.

    >>> clock(59.6), clock(61), clock(7322)
    ('1:00', '1:01', '2:02:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
