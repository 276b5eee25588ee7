"""Small pictures of parts of images, for pages: decode no more than is needed, choose a part, cut, scale, encode.

Left out: what is drawn on them (`drawing`).
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolo.errors import ImageReadError
from yolo.files import read_bytes
from yolo.images import decode_to_show, read_size

PAPER = 236  # grey, seen around images that boxes reach out of

Box = tuple[float, float, float, float]

_MAX_OUTSIDE = 0.5  # of the image's side: so far a view follows boxes that reach out of it
_NEARLY_WHOLE = 0.8  # of the image's longer side: instead of so large a part the whole is shown
_MARGIN = 2.0  # pixels between the edge of a view and a box that reaches out
MAX_COORDINATE = 1e5  # pixels; larger numbers are cut


class Decoded(NamedTuple):
    """An image, perhaps reduced."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    scale: float  # pixels of it for one of the file: 1, 1/2, 1/4 or 1/8


def decode_reduced(path: Path, *, needed: float) -> Decoded:
    """Decode an image at 1/8, 1/4 or 1/2 if its longer side still has `needed` pixels then.

    Raises:
        ImageReadError: see `read_image`.
    """
    longer = max(read_size(path))
    reduction = next((by for by in (8, 4, 2) if longer // by >= needed), 1)
    return Decoded(
        decode_to_show(read_bytes(path, error=ImageReadError), name=str(path), reduction=reduction), 1 / reduction
    )


def ordered(box: Sequence[float], scale_xy: tuple[float, float] = (1.0, 1.0)) -> Box:
    """A box times a scale, with its corners in order and no number larger than 100,000.

    >>> ordered((30, 2, 10, -1e9), (2, 1))
    (20.0, -100000.0, 60.0, 2.0)
    """
    x_scale, y_scale = scale_xy
    x1, y1, x2, y2 = (
        min(max(float(value) * by, -MAX_COORDINATE), MAX_COORDINATE)
        for value, by in zip(box, (x_scale, y_scale, x_scale, y_scale), strict=True)
    )
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def view_around(boxes: Sequence[Box], size_hw: tuple[int, int], *, share: float, least: float) -> Box:
    """What to show of an image so that the boxes together take about `share` of it, in pixels of the image.

    Large boxes, and none, give the whole image. Where boxes reach out of the image the view follows, up to half of
    its side.

    Args:
        boxes: xyxy, corners in order.
        size_hw: of the image.
        share: of the view's side, 0..1.
        least: the view has at least this many pixels, as far as the image has them.

    >>> view_around([(50, 40, 60, 50)], (100, 200), share=0.25, least=8)
    (35.0, 25.0, 75.0, 65.0)
    >>> view_around([(0, 40, 10, 50)], (100, 200), share=0.25, least=8)
    (0.0, 25.0, 40.0, 65.0)
    """
    height, width = size_hw
    if not boxes:
        return 0.0, 0.0, float(width), float(height)
    spans = []
    for low, high, size in (
        (min(box[0] for box in boxes), max(box[2] for box in boxes), width),
        (min(box[1] for box in boxes), max(box[3] for box in boxes), height),
    ):
        first, last = -_MAX_OUTSIDE * size, (1 + _MAX_OUTSIDE) * size
        spans.append((min(max(low, first), last), min(max(high, first), last), size))
    side = max(max(high - low for low, high, _ in spans) / share, least)
    if side >= _NEARLY_WHOLE * max(height, width):
        side = math.inf
    (x1, x2), (y1, y2) = (_place(span, side) for span in spans)
    return x1, y1, x2, y2


def _place(span: tuple[float, float, int], side: float) -> tuple[float, float]:
    """Where a view of some side begins and ends on one axis, around what is to be seen, within what there is."""
    low, high, size = span
    first, last = min(0.0, low - _MARGIN if low < 0 else 0.0), max(size, high + _MARGIN if high > size else size)
    if side >= last - first:
        return first, float(last)
    start = min(max((low + high - side) / 2, first), last - side)
    return start, start + side


def cut(image: NDArray[np.uint8], view: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A part of an image, xyxy, with paper where the image ends; at least one pixel."""
    x1, y1, x2, y2 = view
    height, width = image.shape[:2]
    paper = np.full((max(1, y2 - y1), max(1, x2 - x1), 3), PAPER, np.uint8)
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    if left < right and top < bottom:
        paper[top - y1 : bottom - y1, left - x1 : right - x1] = image[top:bottom, left:right]
    return paper


def touched_pixels(low: float, high: float, size: int, margin: float = 0.0) -> tuple[int, int]:
    """The first pixel that a side of a box touches, and the one after the last; at least one pixel of the image.

    Args:
        low: where the side begins.
        high: where it ends.
        size: of the image.
        margin: how much longer it is made at each end, as a share of the side.

    >>> touched_pixels(1.2, 3.0, 10, 0.0), touched_pixels(2, 6, 7, 0.5), touched_pixels(10, 10, 10, 0.0)
    ((1, 3), (0, 7), (9, 10))
    """
    extra = margin * (high - low)
    first = min(max(math.floor(low - extra), 0), size - 1)
    return first, min(max(math.ceil(high + extra), first + 1), size)


def fit(image: NDArray[np.uint8], side: int, *, most: float) -> tuple[NDArray[np.uint8], float]:
    """Scale so that the longer side has `side` pixels, but at most by `most`; with the factor."""
    factor = min(side / max(image.shape[:2]), most)
    shape = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, shape, interpolation=interpolation), np.uint8), factor


def jpeg_uri(image: NDArray[np.uint8], *, quality: int, sharp_colours: bool = False) -> str:
    """A data URI of a JPEG.

    Args:
        image: (H, W, 3) uint8 RGB.
        quality: 1..95.
        sharp_colours: keep the colour of every pixel: thin coloured lines look better, files are larger.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0 if sharp_colours else 2, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
