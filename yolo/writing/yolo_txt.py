"""Writing YOLO text labels: `class cx cy w h`, from which float32 pixel boxes are read back to the last bit.

Left out: image files and the YAML (dataset.py), difficult, iscrowd and areas (extra.py), polygons as such.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from yolo.structures import GroundTruth
from yolo.writing.exact_numbers import Bounds, number_text, rounding_bounds, shortest

_MOST_DECIMALS = 17
# Readers cut what reaches over the border: numbers there may be off by this many pixels, and are shorter for it.
_CUT_OFF = 1e-4

_Fits = Callable[[float], bool]


class _Side(NamedTuple):
    """A box along one axis."""

    first: float  # pixels
    last: float
    size: int  # of the image
    fits_first: _Fits
    fits_last: _Fits


def label_text(truth: GroundTruth, size_hw: tuple[int, int]) -> str:
    """The label file of one image; no text for a background.

    Centre and size of a box have as few decimals as bring its float32 corners back exactly. A box whose corners no
    centre and size can bring back, such as one that begins 1e-20 pixels from the border, is written as a polygon.

    Args:
        truth: boxes in pixels within the image.
        size_hw: height and width of the image in pixels.
    """
    height, width = size_hw
    bounds = rounding_bounds(truth.boxes)
    lines = []
    for number, (label, (x1, y1, x2, y2)) in enumerate(zip(truth.labels.tolist(), truth.boxes.tolist(), strict=True)):
        low_x, low_y, high_x, high_y = bounds[4 * number : 4 * number + 4]
        across, down = _side(x1, x2, width, (low_x, high_x)), _side(y1, y2, height, (low_y, high_y))
        numbers = _centre_and_size(across, down) or _polygon(across, down)
        lines.append(f"{label} {' '.join(map(number_text, numbers))}\n")
    return "".join(lines)


def _side(first: float, last: float, size: int, bounds: tuple[Bounds, Bounds]) -> _Side:
    (low, high), (low_last, high_last) = bounds
    if first == 0:
        low = -_CUT_OFF
    if last == size:
        high_last = size + _CUT_OFF
    return _Side(first, last, size, lambda value: low < value < high, lambda value: low_last < value < high_last)


def _centre_and_size(across: _Side, down: _Side) -> list[float] | None:
    sides = [_centred(across), _centred(down)]
    if None in sides:
        return None
    (cx, w), (cy, h) = (side for side in sides if side is not None)
    return [cx, cy, w, h]


def _centred(side: _Side) -> tuple[float, float] | None:
    """Centre and size in fractions of the image, with the same number of decimals."""
    near = (side.first + side.last) / 2 / side.size, (side.last - side.first) / side.size
    for decimals in range(1, _MOST_DECIMALS + 1):
        centre, size = (
            (near[0], near[1]) if decimals == _MOST_DECIMALS else (round(near[0], decimals), round(near[1], decimals))
        )
        if side.fits_first((centre - size / 2) * side.size) and side.fits_last((centre + size / 2) * side.size):
            return centre, size
    return None


def _polygon(across: _Side, down: _Side) -> list[float]:
    """Three corners of the box: x and y in turn."""
    (x1, x2), (y1, y2) = _ends(across), _ends(down)
    return [x1, y1, x2, y1, x2, y2]


def _ends(side: _Side) -> tuple[float, float]:
    first = shortest(side.first / side.size, lambda value: side.fits_first(value * side.size))
    last = shortest(side.last / side.size, lambda value: side.fits_last(value * side.size))
    return side.first / side.size if first is None else first, side.last / side.size if last is None else last
