"""Commands that have commands of their own, such as `gridyolo data check`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

from yolo.errors import ConfigError

_HELP_WORDS = ("--help", "-h", "help")


def run_nested(
    command: str, actions: Mapping[str, Callable[[Sequence[str]], int]], words: Sequence[str], *, help_text: str
) -> int:
    """Run the action that the first word names; the exit code.

    Raises:
        ConfigError: there is no such action; the nearest one is suggested.
    """
    if not words or words[0] in _HELP_WORDS:
        print(help_text)
        return 0
    if words[0] not in actions:
        near = difflib.get_close_matches(words[0], actions, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"gridyolo {command}: {words[0]!r} is none of {', '.join(actions)}{hint}")
    return actions[words[0]](words[1:])
