"""Single values in annotation files: reading numbers, flags and ids that are text, and writing numbers.

Numbers are written with as few decimals as bring the float32 coordinate back.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

from yolo.errors import printable

_SET = frozenset({"true", "yes"})
_NOT_SET = frozenset({"", "false", "no"})
_LONGEST_ID = 20  # digits, for ids of 64 bits; longer ones are not numbers of images
_MOST_DECIMALS = 17
_SHORT = reprlib.Repr()


def shown(value: Any) -> str:
    """A value of a file in a few words: what somebody writes into a file may be endless."""
    try:
        return printable(_SHORT.repr(value))
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__}"


def number(text: str | bytes) -> float | None:
    """A number, None for other text; `float` allows underscores between digits, other programs do not.

    >>> number("1e-3"), number("1_000"), number(b"cat")
    (0.001, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return None if (b"_" if isinstance(text, bytes) else "_") in text else value  # type: ignore[operator]


def side(text: str) -> int | str | None:
    """A stated width or height: a number where it is whole, else the text; None where there is none."""
    digits = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if digits else (shown(text) if text else None)


def is_set(text: str) -> bool | None:
    """Whether a flag is set, as by any number but 0; None for text that does not say.

    >>> is_set("True"), is_set("0"), is_set("2"), is_set("maybe"), is_set("nan")
    (True, False, True, None, None)
    """
    lowered = text.strip().lower()
    value = number(lowered)
    if value is not None:
        return None if math.isnan(value) else value != 0
    return True if lowered in _SET else (False if lowered in _NOT_SET else None)


def plain_id(value: Any) -> int | str | None:
    """An id in one form: 1.0 and "1" are the number 1, text such as "007" stays text, None for what cannot be an id.

    >>> [plain_id(value) for value in (1, 1.0, "1", "007", True)]
    [1, 1, 1, '007', None]
    """
    if type(value) is int:
        return value
    if type(value) is float:
        return int(value) if value.is_integer() else None
    if type(value) is not str:
        return None
    digits = value.removeprefix("-")
    whole = digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_ID
    return int(value) if whole and str(int(value)) == value else value


def float32(value: float) -> float:
    """What is left of a number as float32."""
    return float(np.float32(value))


def shortest(near: float, accepts: Callable[[float], bool]) -> float:
    """`near`, rounded to the fewest decimals with which it is accepted; `near` itself where no rounding is.

    >>> shortest(0.12345, lambda value: value > 0.12)
    0.123
    """
    for decimals in range(_MOST_DECIMALS):
        candidate = round(near, decimals)
        if accepts(candidate):
            return candidate
    return near


def shortest_float32(value: float) -> float:
    """The shortest decimal that is read back as a float32.

    >>> value = float(np.float32(0.1))
    >>> value, shortest_float32(value)
    (0.10000000149011612, 0.1)
    """
    return shortest(value, lambda candidate: float32(candidate) == value)


def number_text(value: float) -> str:
    """A number as text that `float` reads back exactly; whole ones without a point, small ones without an exponent.

    >>> number_text(12.0), number_text(0.5), number_text(2e-7)
    ('12', '0.5', '0.0000002')
    """
    if value.is_integer():
        return str(int(value))
    text = repr(value)
    return np.format_float_positional(value, trim="-") if "e" in text else text
