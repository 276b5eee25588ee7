"""Boxes with their labels on an image: sizes that suit it, labels beside one another rather than over objects.

Labels are rendered by Pillow, because OpenCV 4 has no letters beyond ASCII, and kept: videos repeat their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from yolo.media.crops import MAX_COORDINATE

RGB = tuple[int, int, int]
BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)

_PADDING = 3  # pixels around the letters
_LEAST_FONT, _MOST_FONT = 10, 120  # pixels
# Fonts of systems with letters that DejaVu lacks: Chinese, Japanese and Korean, and others.
_MORE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "Hiragino Sans GB.ttc",
    "PingFang.ttc",
    "Arial Unicode.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "segoeui.ttf",
)
_NO_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawStyle:
    """How boxes look."""

    line_width: int | None = None  # pixels; None: by the size of the image
    labels: bool = True  # write names beside boxes


class Labelled(NamedTuple):
    """A box to draw."""

    box: Sequence[float]  # xyxy in pixels of the image
    text: str
    colour: RGB


class _Place(NamedTuple):
    """Pixels that a label takes."""

    x: int
    y: int
    right: int
    bottom: int


def draw_labelled(
    image: NDArray[np.uint8], rows: Sequence[Labelled], *, fill: bool = True, style: DrawStyle | None = None
) -> NDArray[np.uint8]:
    """A new image with boxes, the last on top, and all labels above the boxes.

    Args:
        image: (H, W, 3) RGB.
        rows: what to draw.
        fill: labels have the colour of the box as background; or else black, with letters in the colour.
        style: lines and labels.
    """
    style = style or DrawStyle()
    canvas = image.copy()
    shorter = min(image.shape[:2])
    line = style.line_width or max(1, round(shorter / 240)) + int(fill)
    corners = [_pixels(row.box) for row in rows]
    for place, row in zip(corners, rows, strict=True):
        _draw_outline(canvas, place, row.colour, line)
    if not style.labels:
        return canvas
    size = int(np.clip(round(shorter / 32), _LEAST_FONT, _MOST_FONT))
    taken = np.empty((len(rows), 4), np.int64)
    all_boxes = np.array(corners, np.int64).reshape(-1, 4)
    for count, k in enumerate(reversed(range(len(rows)))):  # the best, drawn last, chooses first
        background = rows[k].colour if fill else BLACK
        letters = _readable_on(background) if fill else rows[k].colour
        label = _rendered(rows[k].text, size, background, letters)
        spot = _free_spot(label.shape, k, all_boxes, taken[:count], canvas.shape)
        taken[count] = spot
        canvas[spot.y : spot.bottom, spot.x : spot.right] = label[: spot.bottom - spot.y, : spot.right - spot.x]
    return canvas


def _pixels(box: Sequence[float]) -> _Place:
    """The first and the last pixel of a box: boxes count the edges of pixels."""
    x1, y1, x2, y2 = (round(min(max(float(value), -MAX_COORDINATE), MAX_COORDINATE)) for value in box)
    return _Place(x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))


def _draw_outline(canvas: NDArray[np.uint8], place: _Place, colour: RGB, line: int) -> None:
    """The outline of a box, inside of it."""
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = place
    line = max(1, min(line, (min(x2 - x1, y2 - y1) + 1) // 2))
    for left, top, right, bottom in (
        (x1, y1, x2, y1 + line - 1),
        (x1, y2 - line + 1, x2, y2),
        (x1, y1, x1 + line - 1, y2),
        (x2 - line + 1, y1, x2, y2),
    ):
        if left < width and top < height and right >= 0 and bottom >= 0:
            canvas[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = colour


def _free_spot(
    label_hw: Sequence[int], k: int, boxes: NDArray[np.int64], taken: NDArray[np.int64], size_hw: Sequence[int]
) -> _Place:
    """Where a label covers least: other labels first, then parts of other boxes, then its own."""
    height, width = min(label_hw[0], size_hw[0]), min(label_hw[1], size_hw[1])
    spots = list(_spots(boxes[k], height, width, size_hw))
    areas = np.array(spots, np.int64)
    of_labels = _covered(areas, taken).sum(axis=1)
    of_boxes = _covered(areas, boxes)
    own = of_boxes[:, k]
    cost = 20 * of_labels + 2 * (of_boxes.sum(axis=1) - own) + own + np.arange(len(spots))
    return spots[int(cost.argmin())]


def _spots(box: NDArray[np.int64], height: int, width: int, size_hw: Sequence[int]) -> Iterator[_Place]:
    """Places of a label above, below and inside a box, moved onto the image; the usual one first."""
    x1, y1, x2, y2 = box.tolist()
    for x, y in (
        (x1, y1 - height),
        (x2 + 1 - width, y1 - height),
        (x1, y2 + 1),
        (x2 + 1 - width, y2 + 1),
        (x1, y1),
        (x2 + 1 - width, y2 + 1 - height),
        (x2 + 1, y1),
        (x1 - width, y1),
    ):
        left, top = min(max(x, 0), size_hw[1] - width), min(max(y, 0), size_hw[0] - height)
        yield _Place(left, top, left + width, top + height)


def _covered(spots: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S, 4) and (O, 4) -> (S, O): pixels in common."""
    low = np.maximum(spots[:, None, :2], others[None, :, :2])
    high = np.minimum(spots[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.int64)


def _readable_on(colour: RGB) -> RGB:
    """Black or white, whichever stands out more."""
    red, green, blue = colour
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


@lru_cache(maxsize=2048)
def _rendered(text: str, size: int, background: RGB, letters: RGB) -> NDArray[np.uint8]:
    """(H, W, 3): a label; must not be written to."""
    font = _font_for(text, size)
    ascent, descent = font.getmetrics()
    left, _, right, _ = font.getbbox(text)
    width, height = max(1, round(right - left)) + 2 * _PADDING, ascent + descent + _PADDING
    label = Image.new("RGB", (width, height), background)
    ImageDraw.Draw(label).text((_PADDING - left, _PADDING // 2), text, font=font, fill=letters)
    return np.array(label)


@lru_cache(maxsize=16)
def font_of(size: int) -> Any:
    """DejaVu Sans as matplotlib brings it: Latin, Greek, Cyrillic; Pillow's own font draws boxes even for é and ß."""
    # without importing it, which takes half a second
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    return ImageFont.truetype(str(Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _font_for(text: str, size: int) -> Any:
    """DejaVu, or the first font of the system that has all letters of a text."""
    font = font_of(size)
    if text.isascii() or _has_all(font, text):
        return font
    return next((other for name in _MORE_FONTS if (other := _system_font(name, size)) and _has_all(other, text)), font)


@lru_cache(maxsize=64)
def _system_font(name: str, size: int) -> Any:
    """A font that Pillow finds in the folders of the system, or None."""
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _has_all(font: Any, text: str) -> bool:
    """Whether a font has the letters: what it lacks it draws as one and the same box."""
    missing = bytes(font.getmask(_NO_CHARACTER))
    return all(letter.isspace() or bytes(font.getmask(letter)) != missing for letter in set(text))
