"""darknet's image operations as literal loops over pixels, following its formulas step by step.

Slow and obvious on purpose. Images are (H, W, 3) float arrays; everything is counted in Python's own floats.
"""

import colorsys
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]


def slow_stretch(image: Image, size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """Corner-aligned bilinear sampling, four neighbours of every output pixel."""
    result = np.zeros((*size_hw, 3))
    for row in range(size_hw[0]):
        for col in range(size_hw[1]):
            y, x = _source(row, image.shape[0], size_hw[0]), _source(col, image.shape[1], size_hw[1])
            top, left = math.floor(y), math.floor(x)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            down, across = y - top, x - left
            upper = (1 - across) * image[top, left].astype(float) + across * image[top, right]
            lower = (1 - across) * image[bottom, left].astype(float) + across * image[bottom, right]
            result[row, col] = (1 - down) * upper + down * lower
    return result


def slow_crop(image: Image, *, dx: int, dy: int, width: int, height: int) -> Image:
    """Every pixel of the rectangle, its place pulled back onto the image."""
    result = np.zeros((height, width, 3), image.dtype)
    for row in range(height):
        for col in range(width):
            source_row = min(max(row + dy, 0), image.shape[0] - 1)
            source_col = min(max(col + dx, 0), image.shape[1] - 1)
            result[row, col] = image[source_row, source_col]
    return result


def slow_distort(image: Image, *, hue: float, saturation: float, exposure: float) -> NDArray[np.float64]:
    """To HSV and back with the formulas of Python's own colorsys, which wraps the hue and leaves factors alone."""
    result = np.zeros(image.shape)
    for row in range(image.shape[0]):
        for col in range(image.shape[1]):
            h, s, v = colorsys.rgb_to_hsv(*(float(channel) for channel in image[row, col]))
            changed = colorsys.hsv_to_rgb((h + hue) % 1.0, s * saturation, v * exposure)
            result[row, col] = [min(max(channel, 0.0), 1.0) for channel in changed]
    return result


def _source(place: int, size_in: int, size_out: int) -> float:
    """Where an output pixel lies among the input pixels; the last one lies on the last one."""
    if place == size_out - 1:
        return float(size_in - 1)
    return place * (size_in - 1) / (size_out - 1)
