"""Hue, saturation and value of an image in one step: a 3x3 matrix on each pixel's colour.

In YIQ, the colour space of NTSC television, Y is how light a colour is, and (I, Q) its tint: the direction is the
hue, the length the saturation. So a rotation of (I, Q) changes the hue, a factor on it the saturation and a factor
on all three the value. Grey stays grey, and no conversion to HSV and back is needed: it takes about eight times as
long.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_YIQ_FROM_RGB = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_RGB_FROM_YIQ = np.linalg.inv(_YIQ_FROM_RGB)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourChange:
    """What happens to the colours of an image.

    Attributes:
        hue: turn of the hue, as a share of the colour circle.
        saturation: factor.
        value: factor.
    """

    hue: float = 0.0
    saturation: float = 1.0
    value: float = 1.0


def draw_colour_change(
    generator: np.random.Generator, *, hue: float, saturation: float, value: float
) -> ColourChange | None:
    """Draw evenly: hue in [-hue, hue], factors in [1 - x, 1 + x]; None, without a draw, where all are 0."""
    if not (hue or saturation or value):
        return None
    drawn = (generator.uniform(-1, 1, 3) * (hue, saturation, value)).tolist()
    return ColourChange(hue=drawn[0], saturation=1 + drawn[1], value=1 + drawn[2])


def change_colours(image: NDArray[np.uint8], change: ColourChange) -> NDArray[np.uint8]:
    """The changed (H, W, 3) RGB image; what would be darker than black or lighter than 255 is cut off."""
    return np.asarray(cv2.transform(image, colour_matrix(change)), np.uint8)


def colour_matrix(change: ColourChange) -> NDArray[np.float32]:
    """(3, 3) from RGB to RGB."""
    angle = 2 * np.pi * change.hue
    cos, sin = change.saturation * np.cos(angle), change.saturation * np.sin(angle)
    # the tints stand in (I, Q) the other way round than on the circle of HSV
    tint = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    made: NDArray[np.float32] = (change.value * (_RGB_FROM_YIQ @ tint @ _YIQ_FROM_RGB)).astype(np.float32)
    return made
