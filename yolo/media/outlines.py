"""Outlines of boxes that are seen on any background, solid or dashed, without text.

Each has a dark line outside and a light one inside, so that it stands out from dark and from light pixels. Colours
differ for people who see few colours too (after Okabe and Ito, Color Universal Design, 2008), and nothing is told
by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.media.crops import Box

RGB = tuple[int, int, int]

ORANGE: RGB = (255, 145, 0)
BLUE: RGB = (70, 175, 255)
WHITE: RGB = (255, 255, 255)
GREY: RGB = (178, 178, 178)
_DARK, _LIGHT = (16, 18, 22), (250, 250, 250)

_DASH, _PERIOD = 7, 12
_LEAST_SIDE = 7  # of a box on the picture, pixels: smaller ones would be a blot
_AT_THE_EDGE = 3.0


class Outline(NamedTuple):
    """How a box is drawn.

    Attributes:
        box: xyxy in pixels of the picture, corners in order.
        colour: of the line.
        width: of the line in pixels, without its edges.
        dashed: or solid.
        edged: with a dark and a light line beside it.
        opacity: 0..1.
    """

    box: Box
    colour: RGB
    width: int = 2
    dashed: bool = False
    edged: bool = True
    opacity: float = 1.0


def draw_outlines(image: NDArray[np.uint8], outlines: Iterable[Outline]) -> NDArray[np.uint8]:
    """A new image with boxes, the last on top.

    Args:
        image: (H, W, 3) uint8 RGB.
        outlines: may reach out of the image.
    """
    canvas = image.copy()
    for outline in outlines:
        x1, x2 = _ends(outline.box[0], outline.box[2], canvas.shape[1], outline.width)
        y1, y2 = _ends(outline.box[1], outline.box[3], canvas.shape[0], outline.width)
        if outline.edged:
            _ring(canvas, (x1, y1, x2, y2), outline._replace(colour=_DARK, width=1), grown=1)
            _ring(canvas, (x1, y1, x2, y2), outline._replace(colour=_LIGHT, width=1), grown=-outline.width)
        _ring(canvas, (x1, y1, x2, y2), outline, grown=0)
    return canvas


def _ends(low: float, high: float, size: int, width: int) -> tuple[int, int]:
    """The first pixel and the one after the last of a frame whose line is centred on the edges of a box."""
    if (lack := _LEAST_SIDE - (high - low)) > 0:
        low, high = low - lack / 2, high + lack / 2
    first, last = round(low) - width // 2, round(high) + width - width // 2
    # half of a line along the edge of the picture would not be seen
    if low >= -_AT_THE_EDGE:
        first = max(first, 0)
    if high <= size + _AT_THE_EDGE:
        last = min(last, size)
    return first, last


def _ring(canvas: NDArray[np.uint8], frame: tuple[int, int, int, int], line: Outline, *, grown: int) -> None:
    """Draw the four sides of a frame, larger by some pixels at each, into the canvas."""
    x1, y1, x2, y2 = (end + by for end, by in zip(frame, (-grown, -grown, grown, grown), strict=True))
    for y in (y1, y2 - line.width):
        _side(canvas, y, (x1, x2), line, grown)
    for x in (x1, x2 - line.width):
        _side(canvas.transpose(1, 0, 2), x, (y1, y2), line, grown)


def _side(canvas: NDArray[np.uint8], row: int, columns: tuple[int, int], line: Outline, grown: int) -> None:
    """Draw a side as if it were the upper or lower one; a view of the canvas is written to."""
    top, bottom = max(row, 0), min(row + line.width, canvas.shape[0])
    place = np.arange(max(columns[0], 0), min(columns[1], canvas.shape[1]))
    if line.dashed:  # from both corners to the middle, so that corners are always seen; edges end where the line does
        from_corner = np.minimum(place - columns[0], columns[1] - 1 - place) - grown
        place = place[np.maximum(from_corner, 0) % _PERIOD < _DASH]
    if top >= bottom or not place.size:
        return
    strip = canvas[top:bottom, place].astype(np.float32)
    mixed = strip * (1 - line.opacity) + np.array(line.colour, np.float32) * line.opacity
    canvas[top:bottom, place] = np.rint(mixed).astype(np.uint8)
