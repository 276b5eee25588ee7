"""The shortest decimal numbers from which float32 coordinates are read back to the last bit.

A reader calculates in float64 and rounds at its end, so a number may be anything that ends up between the two
neighbours of the float32. Left out: the formats, which say what is calculated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from yolo.arrays import Float32

_MOST_DECIMALS = 17

Bounds = tuple[float, float]


def rounding_bounds(values: Float32) -> list[Bounds]:
    """For each float32 (n,) the open interval of float64 that is rounded to it.

    >>> low, high = rounding_bounds(np.float32([1]))[0]
    >>> low < 1.00000005 < high, low < 1.0000001 < high
    (True, False)
    """
    values = np.asarray(values, np.float32).reshape(-1)
    exact = values.astype(np.float64)
    below = np.nextafter(values, np.float32(-np.inf)).astype(np.float64)
    above = np.nextafter(values, np.float32(np.inf)).astype(np.float64)
    return list(zip(((exact + below) / 2).tolist(), ((exact + above) / 2).tolist(), strict=True))


def shortest(near: float, accepts: Callable[[float], bool]) -> float | None:
    """`near`, rounded to the fewest decimals with which it is accepted; None if not even `near` itself is.

    >>> shortest(0.12345, lambda value: value > 0.12)
    0.123
    """
    for decimals in range(_MOST_DECIMALS):
        candidate = round(near, decimals)
        if accepts(candidate):
            return candidate
    return near if accepts(near) else None


def shortest_float32(value: float, bounds: Bounds) -> float:
    """The shortest decimal that is read back as a float32, which is given with its `rounding_bounds`.

    >>> value = np.float32(0.1)
    >>> float(value), shortest_float32(float(value), rounding_bounds(value)[0])
    (0.10000000149011612, 0.1)
    """
    low, high = bounds
    found = shortest(value, lambda candidate: low < candidate < high)
    return value if found is None else found


def shortest_float32s(values: Float32) -> list[float]:
    """`shortest_float32` of each of (n,) values."""
    values = np.asarray(values, np.float32).reshape(-1)
    return [
        shortest_float32(value, bounds) for value, bounds in zip(values.tolist(), rounding_bounds(values), strict=True)
    ]


def number_text(value: float) -> str:
    """A number as text that `float` reads back exactly; whole ones without a point, small ones without an exponent.

    >>> number_text(12.0), number_text(0.5), number_text(2e-7)
    ('12', '0.5', '0.0000002')
    """
    if value.is_integer():
        return str(int(value))
    text = repr(value)
    return np.format_float_positional(value, trim="-") if "e" in text else text
