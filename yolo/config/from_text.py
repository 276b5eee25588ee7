"""Text of a command line, and values of a YAML file, as the type of their option; what does not fit gets one line.

A file of options may hold text where a number is meant: to YAML `1e-3` is text, and so is `5m`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml

from yolo.errors import ConfigError, shown

TRUE_WORDS = ("true", "yes", "on", "1")
FALSE_WORDS = ("false", "no", "off", "0")
# Options that are given as an amount of time, and the seconds that their own unit has.
_UNIT_SECONDS = {"max_minutes": 60.0, "timeout": 1.0, "start": 1.0, "end": 1.0}
_SECONDS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_TIME = re.compile(r"(?:\d+(?:\.\d+)?(?:h|min|m|s))+", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)
# What is meant as a number but cannot be used as one.
_ODD_NUMBER = re.compile(r"[+-]?(nan|inf(inity)?|[\d.]+,\d+|[\d.,]+ ?%)")
_LARGEST_INTEGER = 2**63 - 1
# These are taken as they are: `~` means something else in them, or nothing.
_NO_PATHS = ("pattern", "title", "name", "device")
# Words that mean something in place of a name or a path, in whatever case they are written.
_KEYWORDS = {
    "weights": ("auto", "none", "DEFAULT"),
    "freeze": ("auto", "none"),
    "backbone": ("auto",),
    "score_threshold": ("auto",),
}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def typed_value(name: str, value: Any, kind: Any, *, written: str) -> Any:
    """A value as the type of its option.

    Args:
        name: dotted key of the option.
        value: text, or a value of a YAML file.
        kind: type of the option, as `option_types` says.
        written: what the user calls it, for messages: `--conf`.

    Raises:
        ConfigError: it does not fit; one line.

    >>> typed_value("epochs", "1e2", int | None, written="--epochs"), typed_value("data", 5, str, written="--data")
    (100, '5')
    >>> typed_value("max_minutes", "1h30m", float | None, written="--max-minutes")
    90.0
    """
    members = (kind,) if get_origin(kind) in (Literal, tuple, dict) else get_args(kind) or (kind,)
    text = _as_text(value)
    if _means_none(value, text, members):
        return None
    for member in members:
        found = _converted(name, value, text, member, written)
        if found is not None:
            return found
        if member is float and text is not None and _ODD_NUMBER.fullmatch(text.strip().lower()):
            break  # no path of a file, either
    raise ConfigError(f"{written} must be {_expected(name, members)}, got {shown(value)}{_hint(text)}")


def _as_text(value: Any) -> str | None:
    """What somebody would have to type for a plain value; None for lists and mappings."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    # an integer of thousands of digits has no decimal text
    return str(value) if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**40) else None


def _means_none(value: Any, text: str | None, members: tuple[Any, ...]) -> bool:
    if NoneType not in members:
        return False
    if value is None:
        return True
    word = (text or "").strip().lower()
    return word in ("null", "~") or (word == "none" and str not in members)


def _converted(name: str, value: Any, text: str | None, kind: Any, written: str) -> Any:
    """The value as that type, which is not a union; None where it is of another."""
    origin = get_origin(kind)
    if origin is tuple:
        return _items(name, value, get_args(kind)[0], written)
    if origin is dict:
        return _mapping(name, value, get_args(kind)[1], written)
    if text is None or kind is NoneType:
        return None
    if origin is Literal:
        return next((choice for choice in get_args(kind) if str(choice).lower() == text.strip().lower()), None)
    if kind is bool:
        word = text.strip().lower()
        return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None
    if kind is str:
        # neither paths nor names have a null character, which a file can hold
        return None if isinstance(value, bool) or "\0" in text else _text(name, text)
    number = _number(name, text)
    if number is None or kind is float:
        return number
    whole = int(text) if _INTEGER.fullmatch(text.strip()) and len(text) < 40 else number
    return int(whole) if whole == int(whole) and abs(whole) <= _LARGEST_INTEGER else None


def _text(name: str, text: str) -> str:
    """Text as it stands, but `~` at the start of a path, which a shell leaves alone in cfg=~/own.cfg, is home."""
    from pathlib import Path

    if text.startswith("~/") and name not in _NO_PATHS:
        try:
            return str(Path(text).expanduser())
        except RuntimeError:  # nobody has a home here
            return text
    if name == "device":
        return text.strip().lower()
    return next((word for word in _KEYWORDS.get(name, ()) if word.lower() == text.lower()), text)


def _number(name: str, text: str) -> float | None:
    word = text.strip().lower()
    if name in _UNIT_SECONDS and _TIME.fullmatch(word):
        parts = re.findall(r"([\d.]+)([a-z]+)", word)
        return sum(float(amount) * _SECONDS[unit] for amount, unit in parts) / _UNIT_SECONDS[name]
    if not _NUMBER.fullmatch(word):
        return None
    number = float(word)
    return number if math.isfinite(number) else None


def _items(name: str, value: Any, kind: Any, written: str) -> tuple[Any, ...] | None:
    if isinstance(value, str) and kind is not str:
        value = [part for part in value.strip().strip("[]()").split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        return None
    return tuple(typed_value(name, item, kind, written=written) for item in value)


def _mapping(name: str, value: Any, kind: Any, written: str) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            return None
    if not isinstance(value, Mapping):
        return None
    return {str(key): typed_value(name, item, kind, written=f"{written}, {key}") for key, item in value.items()}


def _expected(name: str, members: tuple[Any, ...]) -> str:
    if name == "score_threshold":
        return "a number from 0 to 1, auto, or the path of a metrics.json"
    return " or ".join(_in_words(member) for member in members if member is not NoneType)


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is tuple:
        return f"a list, each item {_WORDS[get_args(kind)[0]]}"
    if get_origin(kind) is dict:
        return "a mapping such as '{\"backbone\": 0.1}'"
    return _WORDS[kind]


def _hint(text: str | None) -> str:
    """What to write in place of a number that is written as in some countries, or in percent."""
    word = (text or "").strip()
    if re.fullmatch(r"[+-]?\d+,\d+", word):
        return f"; write {word.replace(',', '.')}"
    if match := re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?) ?%", word):
        return f"; write {float(match[1]) / 100:g}"
    return ""
