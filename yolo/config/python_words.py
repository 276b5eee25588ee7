"""Errors for callers of functions, which name arguments in place of options: `overlap`, not `--overlap`.

Checks are written once and speak of `--options`, because commands have most users. Functions for Python run in
`python_words`, which translates what comes out. Whole commands to copy, such as `gridyolo train --resume RUN`, stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from yolo.config import commands, predict, training
from yolo.config.options import ALIASES, option_types
from yolo.errors import GridYoloError

_COMMAND = r"`[^`]*`|(?:gridyolo|pip) [a-z]+(?:(?! and | or )[^,;:()\n])*"
_OPTION = r"(?<![\w-])--(?P<no>no-)?(?P<name>[a-z][\w.-]*\w)"
# what follows an option and is not a word of the sentence
_VALUE = (
    r"(?P<value>'[^'\n]*'|-?\d+(?:\.\d+)?(?![\w.]*/)|(?:auto|none|cpu|ram|disk|true|false|DEFAULT)\b"
    r"|[^\s,;:()]*/[^\s,;:()]*)"
)
_WORDS = re.compile(rf"(?P<command>{_COMMAND})|{_OPTION}(?:[ =]{_VALUE})?")


@contextmanager
def python_words() -> Iterator[None]:
    """Let errors that leave the block name arguments of functions in place of options."""
    try:
        yield
    except GridYoloError as error:
        if len(error.args) == 1:  # an OSError with a number has more, and no options
            error.args = (in_python(str(error.args[0])),)
        raise


def in_python(message: str) -> str:
    """A message in which options of commands are arguments; all other text stays.

    >>> in_python("--overlap is about tiles: add --tile, or leave out --no-save-images")
    'overlap is about tiles: add tile, or leave out save_images=False'
    >>> in_python("--device cpu is what runs; see gridyolo val --help, or add --track")
    "device='cpu' is what runs; see gridyolo val --help, or add track=True"
    """
    return _WORDS.sub(_argument, message)


def _argument(match: re.Match[str]) -> str:
    if match["command"]:
        return match.group()
    name = match["name"].replace("-", "_")
    name = ALIASES.get(name, name)
    if name not in _kinds():
        return match.group()
    value = match["value"]
    if _kinds()[name] is bool:
        is_on = not match["no"] and value != "false"
        between = f" {value}" if value and value not in ("true", "false") else ""
        return f"{name}={is_on}{between}"
    if value is None:
        return name
    is_plain = value.startswith("'") or re.fullmatch(r"-?\d+(\.\d+)?", value)
    return f"{name}={value if is_plain else repr(value)}"


@cache
def _kinds() -> dict[str, object]:
    """The types of the options that functions have, by name."""
    configs = (training.TrainConfig, commands.ValConfig, predict.PredictConfig)
    return {name: kind for config in configs for name, kind in option_types(config).items()}
