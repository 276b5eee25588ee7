"""How commands speak: lines as they are, without markup, colours of their own or breaks at the terminal's width."""

from rich.console import Console


def say(console: Console, *lines: str) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
