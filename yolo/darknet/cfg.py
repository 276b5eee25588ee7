"""The grammar of darknet's `.cfg` files: text to sections, which are read key by key.

Knows which sections exist, not what they mean, and remembers which keys nobody asked for.

The rules, each of them darknet's own:
    * every space and tab of a line is removed, inside values too;
    * empty lines and lines that start with `#` or `;` are comments, there are none at the end of a line;
    * a line that starts with `[` opens a section, and all of it is the section's name;
    * other lines split at their first `=`. `key=` is ignored, `key` alone counts as not given;
    * the first of several equal keys wins;
    * numbers are the longest numeric start of a value, and 0 where there is none: `filters=64#x` is 64.

Where darknet would crash or go on with nonsense (an option before any section, an unknown section, a number out of
range) this raises an error that names the line. Source: darknet src/parser.c, option_list.c, utils.c.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from yolo.errors import ConfigError, shown
from yolo.files import read_bytes

MAX_CFG_BYTES = 1_000_000
MAX_INTEGER = 2**31 - 1
MAX_NUMBER = 3.4028234663852886e38  # the largest float32: darknet keeps every number as one

BUILT_SECTIONS = frozenset(
    (
        "net", "convolutional", "connected", "local", "maxpool", "avgpool", "dropout", "crop", "softmax", "cost",
        "detection", "batchnorm", "activation",
    )
)  # fmt: skip
_OTHER_SECTIONS = frozenset(
    (
        "crnn", "deconvolutional", "gru", "iseg", "l2norm", "logistic", "lstm", "normalization", "region", "reorg",
        "rnn", "route", "shortcut", "upsample", "yolo",
    )
)  # fmt: skip
# darknet replaces an unknown activation by relu with a message; here it is an error.
ACTIVATIONS = (
    "elu", "hardtan", "leaky", "lhtan", "linear", "loggy", "logistic", "plse", "ramp", "relie", "relu", "selu",
    "stair", "tanh",
)  # fmt: skip
_ALIASES = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
    "lrn": "normalization",
    "deconv": "deconvolutional",
}

_INTEGER_START = re.compile(r"[+-]?[0-9]+")
_NUMBER_START = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_UNWANTED_NUMBER = re.compile(r"[+-]?(?:inf|nan|0x)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Option:
    """One `key=value` line, split at the first `=`."""

    key: str
    value: str | None  # None for a line without `=`, which counts as not given
    line: int  # of the file, 1-based


@dataclass(frozen=True, slots=True)
class Section:
    """One section, read key by key; it remembers which keys were asked for.

    The readers return the default where `key` is missing or has no value. Their errors name the line.
    """

    name: str  # without brackets, aliases resolved: `convolutional` for `[conv]`
    line: int  # of its head, 1-based
    options: tuple[Option, ...]  # in file order, with duplicates
    source: str = "cfg"  # the file, for messages
    _asked: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def find(self, key: str) -> Option | None:
        """The option that counts for `key`: the first one."""
        return next((option for option in self.options if option.key == key), None)

    def text(self, key: str, default: str) -> str:
        """The value as it stands."""
        given = self._given(key)
        return default if given is None else given

    def integer(self, key: str, default: int, *, least: int | None = None) -> int:
        """The value as C's `atoi` reads it (`0.5` and `abc` are 0); not less than `least`."""
        given = self._given(key)
        value = default if given is None else self._to_integer(key, given)
        if least is not None and value < least:
            raise self.error(f"{key} must be at least {least}, not {self._written(key, value)}", key=key)
        return value

    def flag(self, key: str) -> bool:
        """True for every integer but 0, the default."""
        return self.integer(key, 0) != 0

    def number(self, key: str, default: float, *, least: float | None = None, below: float | None = None) -> float:
        """The value as C's `atof` reads it (`.5`, `1e-3`; `abc` is 0), finite, `least` <= value < `below`."""
        given = self._given(key)
        value = default if given is None else self._to_number(key, given)
        if least is not None and value < least:
            raise self.error(f"{key} must be at least {least:g}, not {self._written(key, value)}", key=key)
        if below is not None and value >= below:
            raise self.error(f"{key} must be less than {below:g}, not {self._written(key, value)}", key=key)
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """The comma-separated value, each part read as by `integer`; empty where the key is missing."""
        return tuple(self._to_integer(key, part) for part in self._parts(key))

    def numbers(self, key: str) -> tuple[float, ...]:
        """The comma-separated value, each part read as by `number`; empty where the key is missing."""
        return tuple(self._to_number(key, part) for part in self._parts(key))

    def activation(self, default: str) -> str:
        """The name of a known activation."""
        name = self.text("activation", default)
        if name not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise self.error(f"unknown activation {shown(name)}; known are {known}", key="activation")
        return name

    def refuse(self, key: str, meaning: str) -> None:
        """Raise where `key` asks for something that gridyolo does not build."""
        given = self._given(key)
        if given is not None and given.lstrip("0.") != "":
            raise self.error(f"{key}={shown(given)}: gridyolo does not build {meaning}", key=key)

    def unused(self) -> list[str]:
        """A sentence for every option that had no effect: one that nobody asked for, or the second of its key."""
        notes = []
        seen: set[str] = set()
        for option in self.options:
            if option.key not in self._asked:
                notes.append(f"line {option.line}: unused key {shown(option.key)} in [{self.name}]")
            elif option.key in seen:
                notes.append(f"line {option.line}: second {shown(option.key)} in [{self.name}]: the first one counts")
            seen.add(option.key)
        return notes

    def error(self, problem: str, *, key: str | None = None) -> ConfigError:
        """`SOURCE:LINE: [section] problem`, with the line of `key`, or of the section where there is no such key."""
        option = None if key is None else self.find(key)
        line = self.line if option is None else option.line
        return ConfigError(f"{self.source}:{line}: [{self.name}] {problem}")

    def _given(self, key: str) -> str | None:
        """The value of a key, from now on one that was asked for; None where it is missing or has no value."""
        self._asked.add(key)
        option = self.find(key)
        return None if option is None else option.value

    def _parts(self, key: str) -> list[str]:
        given = self._given(key)
        return [] if given is None else given.split(",")

    def _written(self, key: str, value: float) -> str:
        """The number, and what stands in the file where that reads differently."""
        text = self.text(key, "")
        return f"{value:g}" if text in ("", f"{value:g}") else f"{value:g} (read from {shown(text)})"

    def _to_integer(self, key: str, text: str) -> int:
        start = _INTEGER_START.match(text)
        digits = start.group().lstrip("+-").lstrip("0") if start else ""
        # the length first: a number of a million digits takes Python minutes, if it takes it at all
        magnitude = int(digits or "0") if len(digits) <= len(str(MAX_INTEGER)) else MAX_INTEGER + 1
        if magnitude > MAX_INTEGER:
            raise self.error(f"{key}={shown(text)} does not fit into 32 bits", key=key)
        return -magnitude if text.startswith("-") else magnitude

    def _to_number(self, key: str, text: str) -> float:
        start = _NUMBER_START.match(text)
        value = float(start.group()) if start else 0.0
        if _UNWANTED_NUMBER.match(text) or not math.isfinite(value) or abs(value) > MAX_NUMBER:
            raise self.error(f"{key}={shown(text)} is not a finite decimal number", key=key)
        return value


@dataclass(frozen=True)
class Cfg:
    """A parsed file."""

    source: str  # its name, for messages
    text: str  # as it was written
    sections: tuple[Section, ...]  # in file order, the first one is `net`
    notes: tuple[str, ...]  # on lines that were skipped although they are not comments


def read_cfg(path: Path) -> Cfg:
    """Read and parse a `.cfg` file.

    Raises:
        ConfigError: it cannot be read, is larger than `MAX_CFG_BYTES`, is not text, or breaks the grammar.
    """
    content = read_bytes(path, what="a cfg", limit=MAX_CFG_BYTES, error=ConfigError)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a cfg: byte {error.start} is not UTF-8 (is it a weights file?)") from error
    return parse_cfg(text, source=str(path))


def parse_cfg(text: str, *, source: str) -> Cfg:
    """Sections of the text of a cfg; `source` is its name for messages.

    Raises:
        ConfigError: `SOURCE:LINE: ...` for everything the grammar does not allow.
    """
    if len(text) > MAX_CFG_BYTES:
        raise ConfigError(f"{source} is not a cfg: it has more than {MAX_CFG_BYTES:,} characters")
    if "\0" in text:
        raise ConfigError(f"{source} is not a cfg: it holds binary data")
    heads: list[tuple[str, int, list[Option]]] = []
    notes: list[str] = []
    for number, raw_line in enumerate(text.split("\n"), start=1):
        # darknet keeps the '\r' of Windows line ends, which breaks its section and activation names; no value can
        # depend on it, so it is removed here.
        line = raw_line.removesuffix("\r").replace(" ", "").replace("\t", "")
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            heads.append((_section_name(line, where=f"{source}:{number}", first=not heads), number, []))
        elif not heads:
            raise ConfigError(f"{source}:{number}: {shown(line)} stands before any section; a cfg begins with [net]")
        elif line.find("=") == len(line) - 1:
            notes.append(f"line {number}: {shown(line)} has no value and is ignored")
        else:
            key, equals, value = line.partition("=")
            heads[-1][2].append(Option(key, value if equals else None, number))
    if not heads:
        raise ConfigError(f"{source}: this cfg is empty; it must begin with [net]")
    sections = tuple(Section(name, line, tuple(options), source) for name, line, options in heads)
    return Cfg(source=source, text=text, sections=sections, notes=tuple(notes))


def _section_name(line: str, *, where: str, first: bool) -> str:
    """Canonical name of the section that `line` opens, or the reason why there is none."""
    written = line[1:-1] if line.endswith("]") else line
    name = _ALIASES.get(written, written)
    if name in _OTHER_SECTIONS:
        raise ConfigError(
            f"{where}: [{written}] is a section of darknet that gridyolo does not build; it builds what YOLOv1 and "
            f"its classifiers need: {', '.join(sorted(BUILT_SECTIONS))}"
        )
    if name not in BUILT_SECTIONS:
        close = difflib.get_close_matches(written.lower(), (*BUILT_SECTIONS, *_ALIASES), n=1)
        hint = f"; did you mean [{close[0]}]?" if close else ""
        raise ConfigError(f"{where}: unknown section {shown(line)}{hint}")
    if first != (name == "net"):
        problem = "must be [net] or [network]" if first else "may stand only once, at the start"
        raise ConfigError(f"{where}: {'the first section' if first else '[net]'} {problem}")
    return name
