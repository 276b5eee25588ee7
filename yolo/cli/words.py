"""The arguments of a command line: which are options, which are their values, and which stand for themselves.

`--max-minutes 5`, `--max_minutes=5` and `max_minutes=5` are the same. Left out: what an option means and what may be
its value (`arguments`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from yolo.config.from_text import FALSE_WORDS, TRUE_WORDS
from yolo.config.options import ALIASES
from yolo.errors import ConfigError, excerpt, shown

_KEY_VALUE = re.compile(r"[A-Za-z_][\w.-]*=.*", re.DOTALL)
_CLASS_NAME = re.compile(r"[^\W_][\w ]*")
# What `predict --classes` works on.
_INPUTS = ("weights", "source")
HELP_WORDS = ("help", "-h", "--help", "--help-all", "--help_all")
# May have several values: what a shell makes of a pattern.
SEVERAL = "source"


class Written(NamedTuple):
    """An option as it was given: its name with underscores, the text of its value, and how the user writes it."""

    name: str
    value: str
    written: str


@dataclass(frozen=True, slots=True)
class Line:
    """A command line in parts.

    Attributes:
        options: in order.
        positional: the words that are neither options nor values of options.
        help: "", "short" or "all".
        print_config: --print-config was there.
    """

    options: list[Written] = field(default_factory=list)
    positional: list[str] = field(default_factory=list)
    help: str = ""
    print_config: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What a command knows.

    Attributes:
        command: such as `gridyolo train`.
        options: dotted keys.
        flags: those that are true or false, and so may stand without a value.
        is_foreign: whether another package has such an option.
        is_switch: whether that may stand without a value.
    """

    command: str
    options: Collection[str]
    flags: Collection[str]
    is_foreign: Callable[[str], bool]
    is_switch: Callable[[str], bool]

    def knows(self, name: str) -> bool:
        """Whether a name, or the name after no_, is an option, by whatever name."""
        bare = name.removeprefix("no_")
        return any(
            word in self.options or word in ("config", "print_config") or word in ALIASES or self.is_foreign(word)
            for word in (name, bare)
        )


def key_of(word: str) -> str:
    """The name of an option as keys are written.

    >>> key_of("--Max-Minutes")
    'max_minutes'
    """
    return word.lstrip("-").replace("-", "_").lower()


def read_line(words: Sequence[str], known: Known) -> Line:
    """Take a command line apart.

    Raises:
        ConfigError: an option without its value, or a word that could be an option or a file.

    >>> known = Known("gridyolo predict", ("conf", "source", "track"), ("track",), lambda _: False, lambda _: False)
    >>> line = read_line(["W", "a.jpg", "--track", "conf=0.5", "--", "--b.jpg"], known)
    >>> [option[:2] for option in line.options], line.positional
    ([('track', 'true'), ('conf', '0.5')], ['W', 'a.jpg', '--b.jpg'])
    """
    return _Reader(list(words), known).read()


class _Reader:
    def __init__(self, words: list[str], known: Known) -> None:
        self.words = words
        self.known = known
        self.options: list[Written] = []
        self.positional: list[str] = []
        self.takes_more = False  # the words that follow are further values of --source

    def read(self) -> Line:
        before = self.words[: self.words.index("--")] if "--" in self.words else self.words
        asked = [word for word in before if word in HELP_WORDS[1:]]
        if asked:
            return Line(help="all" if any("all" in word for word in asked) else "short")
        print_config = False
        while self.words:
            word = self.words.pop(0)
            if word == "--":
                for rest in self.words:
                    self._plain(rest)
                break
            if key_of(word) == "print_config" and word.startswith("--"):
                print_config = True
            elif option := self._as_option(word):
                self._option(option)
            else:
                self._plain(word)
        return Line(self.options, self.positional, print_config=print_config)

    def _plain(self, word: str) -> None:
        if self.takes_more:
            self.options.append(Written(SEVERAL, word, f"--{SEVERAL}"))
        else:
            self.positional.append(word)

    def _as_option(self, word: str) -> str | None:
        """The word as an option with two dashes; None for a word that is not an option."""
        name = key_of(word.partition("=")[0])
        if word.startswith("--"):
            return word
        if len(word) > 1 and word[0] == "-":
            if self.takes_more or os.path.lexists(word) or not re.match(r"-[A-Za-z]", word):
                return None
            if self.known.knows(name):  # darknet's -thresh 0.25
                return f"-{word}"
            if re.search(r"[./*\\]", word.partition("=")[0]):
                return None
            raise ConfigError(
                f"{self.known.command}: unknown option {excerpt(word)}; options begin with two dashes"
                f" (a file of that name is ./{excerpt(word)})"
            )
        if not _KEY_VALUE.fullmatch(word):
            return None
        is_file = exists(word)
        if is_file and self.known.knows(name):
            raise ConfigError(
                f"{self.known.command}: {shown(word)} is an option, and a file; write ./{word} or --{word}"
            )
        return None if is_file else f"--{word}"

    def _option(self, word: str) -> None:
        spelled, equals, value = word.partition("=")
        name = key_of(spelled)
        known = self.known
        self.takes_more = False
        bare = name.removeprefix("no_")
        is_negated = bare != name and name not in known.options and not known.is_foreign(name)
        if is_negated and (bare in known.flags or known.is_switch(bare)):
            if equals and value.lower() not in (*TRUE_WORDS, *FALSE_WORDS):
                raise ConfigError(f"{known.command}: {spelled} is true or false, got {shown(value)}")
            is_off = not equals or value.lower() in TRUE_WORDS
            self.options.append(Written(bare, "false" if is_off else "true", f"--{bare.replace('_', '-')}"))
            return
        if not equals:
            value = self._value(name, spelled)
            if name == "classes" and name in known.options:
                value = ",".join([value, *self._further_classes(value)])
        self.options.append(Written(name, value, spelled))
        self.takes_more = name == SEVERAL and SEVERAL in known.options

    def _further_classes(self, first: str) -> list[str]:
        """The words of `--classes 0 2` after the first; names only where there is a detector and a source already."""
        has_inputs = len(self.positional) + len({option.name for option in self.options} & set(_INPUTS)) >= len(_INPUTS)
        found = []
        while self.words and not exists(word := self.words[0]):
            is_label = first.isdecimal() and word.isdecimal()
            if not is_label and not (has_inputs and _CLASS_NAME.fullmatch(word)):
                break
            found.append(self.words.pop(0))
        return found

    def _value(self, name: str, spelled: str) -> str:
        """The value of an option that was written without an equals sign."""
        following = self.words[0] if self.words else None
        if name in self.known.flags or self.known.is_switch(name):
            # camera 0 may follow a flag
            words = _LONG_WORDS if SEVERAL in self.known.options else (*TRUE_WORDS, *FALSE_WORDS)
            takes = following is not None and following.lower() in words
            if name == "cache":
                takes = takes or (following or "").lower() in ("ram", "disk", "none")
            return self.words.pop(0) if takes else "true"
        if following is None or following.startswith("--"):
            if name == "save":  # Ultralytics': draw pictures
                return "true"
            if name not in self.known.options and not self.known.knows(name):
                return ""  # it will be called unknown
            raise ConfigError(
                f"{self.known.command}: {spelled} needs a value"
                + ("" if following is None or following == "--" else f" (one with dashes is {spelled}=VALUE)")
            )
        return self.words.pop(0)


_LONG_WORDS = tuple(word for word in (*TRUE_WORDS, *FALSE_WORDS) if not word.isdigit())


def exists(path: str) -> bool:
    """Whether there is a file or folder of that name."""
    try:
        return os.path.lexists(path)
    except ValueError:  # a path cannot hold a null character
        return False
