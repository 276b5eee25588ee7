"""Single values in annotation files: reading numbers, flags and ids that are text, and writing numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from yolo.errors import shown

_SET = frozenset({"true", "yes"})
_NOT_SET = frozenset({"", "false", "no"})
# JSON readers keep these exactly: whole numbers of 64 bits, with and without sign, and whole floats.
_LEAST_ID, _LARGEST_ID = -(2**63), 2**64 - 1
_LARGEST_FLOAT_ID = 2.0**53
_LONGEST_ID = 20  # digits
_MOST_DECIMALS = 17


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
    text = without_point(text)
    digits = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if digits else (shown(text) if text else None)


def without_point(text: str) -> str:
    """A number of an id or a class that a table program wrote as `7.0` as `7`; other text as it is.

    >>> without_point("7.0"), without_point("7.5"), without_point("v7.0")
    ('7', '7.5', 'v7.0')
    """
    whole, point, rest = text.partition(".")
    digits = whole.removeprefix("-")
    return whole if point and rest and not rest.strip("0") and digits.isascii() and digits.isdigit() else text


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

    Numbers that readers of JSON round, which are those beyond 64 bits, cannot be ids: two of them may become one.

    >>> [plain_id(value) for value in (1, 1.0, "1", "007", True, 2**70, 2.0**70)]
    [1, 1, 1, '007', None, None, None]
    """
    if type(value) is int:
        return value if _LEAST_ID <= value <= _LARGEST_ID else None
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < _LARGEST_FLOAT_ID else None
    if type(value) is not str:
        return None
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_ID):
        return value
    found = int(value)
    return found if str(found) == value and _LEAST_ID <= found <= _LARGEST_ID else value


def points_of(value: Any) -> list[tuple[float, float]]:
    """Points of a JSON, each a pair of numbers; none where one is not.

    >>> points_of([[1, 2.5], [3, 4]]), points_of([[1, None]]), points_of("x")
    ([(1.0, 2.5), (3.0, 4.0)], [], [])
    """
    found = []
    for point in value if isinstance(value, list) else []:
        if not (isinstance(point, list) and len(point) == 2 and all(type(one) in (int, float) for one in point)):
            return []
        try:
            found.append((float(point[0]), float(point[1])))
        except OverflowError:  # JSON knows integers of any length
            return []
    return found


def rotated_around(
    box: tuple[float, float, float, float], angle: float, *, pivot: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The box around an xyxy box that is turned by some degrees, clockwise on the screen; as it is for no finite angle.

    >>> [round(side, 6) for side in rotated_around((0, 0, 4, 2), 90, pivot=(2, 1))]
    [1.0, -1.0, 3.0, 3.0]
    """
    if not math.isfinite(angle):
        return box
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [(x - pivot[0], y - pivot[1]) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs = [pivot[0] + x * cos - y * sin for x, y in corners]
    ys = [pivot[1] + x * sin + y * cos for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def shown_id(value: Any) -> str:
    """An id in a few words, and what to do about one that is too large.

    >>> shown_id(2.0**70)
    '1.1805916207174113e+21 (a number of more than 64 bits, which may be rounded: write it as text)'
    """
    is_lost = type(value) in (int, float) and plain_id(value) is None and value == value // 1
    remedy = " (a number of more than 64 bits, which may be rounded: write it as text)"
    return shown(value) + (remedy if is_lost else "")


def float32(value: float) -> float:
    """A number rounded to float32."""
    return float(np.float32(value))


def shortest(near: float, accepts: Callable[[float], bool]) -> float:
    """`near` with the fewest decimals that are accepted; all of them where no rounding is.

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
