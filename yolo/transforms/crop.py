"""Scale and translate: cut a rectangle out of a scaled image, pixels and ground truth together.

Mosaic and single-image augmentation are the same step on one or four tiles, so this is the only resampling. Both
rectangles, the one that is cut and the one that it fills, are of whole pixels: then a plain resize does it, several
times faster than a warp, and boxes follow the pixels exactly. `warp` is for what is no rectangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.geometry import PADDING_GREY
from yolo.structures import Float32, GroundTruth

# Cut objects with less than this share of their area left, or thinner than this many pixels, are neither taught
# nor punished.
_MIN_VISIBLE = 0.25
_MIN_SIDE = 2.0
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Crop:
    """out_xy = source_xy * scale - origin_xy, cut to `size_hw`.

    Attributes:
        scale: factor.
        origin_xy: of the result, in pixels of the scaled source.
        source_hw: height and width of the source.
        size_hw: height and width of the result.
    """

    scale: float
    origin_xy: tuple[float, float]
    source_hw: tuple[int, int]
    size_hw: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Span:
    """Along one axis: pixels `source_start` to `source_stop` of the source fill pixels `start` to `stop`."""

    source_start: int
    source_stop: int
    start: int
    stop: int

    @property
    def scale(self) -> float:
        """Pixels of the result for one of the source; 1 where the result shows none of it."""
        return (self.stop - self.start) / (self.source_stop - self.source_start) if self.stop > self.start else 1.0

    @property
    def shift(self) -> float:
        """What is added: a place in the result is a place in the source times `scale`, plus this."""
        return self.start - self.source_start * self.scale


def draw_crop(
    generator: np.random.Generator,
    source_hw: tuple[int, int],
    size_hw: tuple[int, int],
    *,
    scale: float,
    translate: float | None,
) -> Crop:
    """Draw a crop of `size_hw` from an image of `source_hw`.

    Args:
        generator: source of the draws.
        source_hw: size of the image.
        size_hw: size of the result.
        scale: the image is scaled by a factor in [1 / (1 + scale), 1 + scale], even in the logarithm.
        translate: largest shift of the image's centre from the result's, as a share of the result's side; None
            lets the rectangle fall anywhere on the image.
    """
    limit = np.log1p(scale)
    factor = float(np.exp(generator.uniform(-limit, limit)))
    origin = []
    for source_side, side, draw in zip(source_hw[::-1], size_hw[::-1], generator.random(2).tolist(), strict=True):
        slack = source_side * factor - side
        if translate is None:
            origin.append(slack * draw)
        else:
            origin.append(slack / 2 + side * translate * (2 * draw - 1))
    return Crop(factor, (origin[0], origin[1]), source_hw, size_hw)


@lru_cache(maxsize=16)  # pixels and boxes ask in turn
def whole_pixels(crop: Crop) -> tuple[Span, Span]:
    """The crop along x and along y, rounded to whole pixels: each edge moves by at most half a pixel."""
    x, y = crop.origin_xy
    source_h, source_w = crop.source_hw
    height, width = crop.size_hw
    return _span(crop.scale, x, source_w, width), _span(crop.scale, y, source_h, height)


def crop_image(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Cut (H, W, 3) pixels: (h, w, 3) uint8, padding grey where the image does not reach."""
    across, down = whole_pixels(crop)
    height, width = crop.size_hw
    if across.start == across.stop or down.start == down.stop:
        return np.full((height, width, 3), PADDING_GREY, np.uint8)
    cut = image[down.source_start : down.source_stop, across.source_start : across.source_stop]
    # below half size linear interpolation would skip pixels, and alias
    halved = across.scale <= 0.5 and down.scale <= 0.5
    target = (across.stop - across.start, down.stop - down.start)
    resized = cv2.resize(cut, target, interpolation=cv2.INTER_AREA if halved else cv2.INTER_LINEAR)
    if target == (width, height):
        return np.asarray(resized, np.uint8)
    result = np.full((height, width, 3), PADDING_GREY, np.uint8)
    result[down.start : down.stop, across.start : across.stop] = resized
    return result


def crop_boxes(boxes: Float32, crop: Crop) -> Float32:
    """(M, 4) where boxes of the source are in the result, beyond its borders, too."""
    across, down = whole_pixels(crop)
    scale = np.array((across.scale, down.scale) * 2, np.float32)
    shift = np.array((across.shift, down.shift) * 2, np.float32)
    return boxes * scale + shift


def cut_boxes(ground_truth: GroundTruth, moved: Float32, frames: Float32) -> GroundTruth:
    """Objects whose boxes were moved, cut to what of them is seen.

    What is mostly cut away becomes `difficult`, what is wholly cut away goes.

    Args:
        ground_truth: the objects as they were.
        moved: (M, 4) where their boxes are now.
        frames: (M, 4) or (4,), xyxy, where each can be seen.
    """
    if not len(moved):
        return ground_truth
    clipped = np.minimum(np.maximum(moved, frames[..., [0, 1, 0, 1]]), frames[..., [2, 3, 2, 3]])
    before, after = moved[:, 2:] - moved[:, :2], clipped[:, 2:] - clipped[:, :2]
    visible = after[:, 0] * after[:, 1] / np.maximum(before[:, 0] * before[:, 1], np.float32(1e-9))
    was_cut = (after < before - _ROUNDING).any(axis=1)
    mostly_gone = was_cut & ((visible < _MIN_VISIBLE) | (after < _MIN_SIDE).any(axis=1))
    kept = (after > 0).all(axis=1)
    cut = ground_truth.with_boxes(clipped)
    difficult = ground_truth.difficult | mostly_gone
    return GroundTruth(cut.boxes, cut.labels, difficult, cut.iscrowd, cut.area)[kept]


def whole_frame(size_hw: tuple[int, int]) -> Float32:
    """(4,) xyxy of a result of that size."""
    height, width = size_hw
    return np.array((0, 0, width, height), np.float32)


def _span(scale: float, origin: float, source_side: int, side: int) -> Span:
    start, stop = max(0, round(-origin)), min(side, round(source_side * scale - origin))
    if stop <= start:
        # nothing of the source is seen: it lies, at its own size, before or behind the result
        gone = side if origin < 0 else -source_side
        return Span(0, source_side, gone, gone)
    first = min(round((start + origin) / scale), source_side - 1)
    last = max(first + 1, min(round((stop + origin) / scale), source_side))
    return Span(max(0, first), last, start, stop)
