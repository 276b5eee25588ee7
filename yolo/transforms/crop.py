"""The one resampling of augmentation: a scaled and shifted rectangle of an image, which may also be warped.

Without a warp, both the rectangle that is cut out and the one that it fills are of whole pixels: a plain resize does
it, several times faster than a warp, and boxes follow the pixels exactly. Rotation, shear and perspective take

    out = centre . rotation . shear . perspective . (-centre) . crop

on points (x, y, 1) in continuous coordinates: pixel k covers [k, k + 1], the centre is the result's. M is the number of
objects. Left out: mixing several images (`mixing`), flips (`augment`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from yolo.arrays import Float32, Float64, UInt8
from yolo.geometry import PADDING_GREY
from yolo.structures import GroundTruth, Sample

# Cut objects with less than this share of their area left, or thinner than this many pixels, count as difficult: the
# loss neither assigns nor punishes them.
_MIN_VISIBLE = 0.25
_MIN_SIDE = 2.0
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Crop:
    """out_xy = source_xy * scale - origin_xy, cut to `size_hw`."""

    scale: float
    origin_xy: tuple[float, float]  # of the result, in pixels of the scaled source
    source_hw: tuple[int, int]
    size_hw: tuple[int, int]  # of the result


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpParams:
    """A rotation, shear and perspective; or the largest that may be drawn, in which case all are >= 0."""

    degrees: float = 0.0  # of the rotation, clockwise on the screen
    shear_x: float = 0.0  # degrees by which vertical lines lean
    shear_y: float = 0.0  # degrees by which horizontal lines lean
    perspective_x: float = 0.0  # how much farther the right edge is than the centre, as a share of its distance
    perspective_y: float = 0.0  # likewise of the lower edge


def draw_crop(
    generator: np.random.Generator,
    source_hw: tuple[int, int],
    size_hw: tuple[int, int],
    *,
    scale: float,
    translate: float | None,
) -> Crop:
    """Draw a crop of `size_hw` from an image of `source_hw`.

    The image is scaled by a factor in [1 / (1 + scale), 1 + scale], even in the logarithm. `translate` is the largest
    shift of its centre from the result's, as a share of the result's side; None lets the rectangle fall anywhere on it.
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


def draw_warp(generator: np.random.Generator, limits: WarpParams) -> WarpParams | None:
    """Draw each part evenly between minus and plus its limit; None, without a draw, where all limits are 0."""
    largest = (limits.degrees, limits.shear_x, limits.shear_y, limits.perspective_x, limits.perspective_y)
    if not any(largest):
        return None
    degrees, shear_x, shear_y, perspective_x, perspective_y = (generator.uniform(-1, 1, 5) * largest).tolist()
    return WarpParams(
        degrees=degrees, shear_x=shear_x, shear_y=shear_y, perspective_x=perspective_x, perspective_y=perspective_y
    )


def crop_sample(sample: Sample, crop: Crop, warp: WarpParams | None = None) -> Sample:
    """A sample on the crop's result; what is mostly cut away becomes `difficult`, what is wholly cut away goes."""
    height, width = crop.size_hw
    moved = move_boxes(sample.ground_truth.boxes, crop, warp)
    ground_truth = clip_objects(sample.ground_truth, moved, np.array((0, 0, width, height), np.float32))
    return replace(sample, image=apply_crop(sample.image, crop, warp), ground_truth=ground_truth, geometry=None)


def apply_crop(image: UInt8, crop: Crop, warp: WarpParams | None = None) -> UInt8:
    """(h, w, 3) uint8 pixels of a crop's result, padding grey where the (H, W, 3) image does not reach."""
    if warp is not None:
        return _warp(image, crop, warp)
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


def move_boxes(boxes: Float32, crop: Crop, warp: WarpParams | None = None) -> Float32:
    """(M, 4) boxes in pixels of the crop's result, beyond its borders, too; a warped box is the box around it."""
    if warp is None:
        across, down = whole_pixels(crop)
        scale = np.array((across.scale, down.scale) * 2, np.float32)
        shift = np.array((across.shift, down.shift) * 2, np.float32)
        return boxes * scale + shift
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], axis=1).reshape(-1, 4, 2)  # (M, 4, xy)
    points = np.concatenate([corners, np.ones((len(corners), 4, 1))], axis=2) @ warp_matrix(crop, warp).T  # (M, 4, 3)
    flat = points[..., :2] / points[..., 2:]
    return np.asarray(np.concatenate([flat.min(axis=1), flat.max(axis=1)], axis=1), np.float32)  # (M, 4)


def clip_objects(ground_truth: GroundTruth, moved: Float32, frames: Float32) -> GroundTruth:
    """Objects whose boxes were moved to `moved` (M, 4), clipped to `frames` (M, 4) or (4,); see `crop_sample`."""
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


@lru_cache(maxsize=16)  # pixels and boxes ask in turn
def whole_pixels(crop: Crop) -> tuple[Span, Span]:
    """The crop along x and along y, rounded to whole pixels: each edge moves by at most half a pixel."""
    x, y = crop.origin_xy
    source_h, source_w = crop.source_hw
    height, width = crop.size_hw
    return _span(crop.scale, x, source_w, width), _span(crop.scale, y, source_h, height)


def _span(scale: float, origin: float, source_side: int, side: int) -> Span:
    start, stop = max(0, round(-origin)), min(side, round(source_side * scale - origin))
    if stop <= start:
        # nothing of the source is seen: it lies, at its own size, before or behind the result
        gone = side if origin < 0 else -source_side
        return Span(0, source_side, gone, gone)
    first = min(round((start + origin) / scale), source_side - 1)
    last = max(first + 1, min(round((stop + origin) / scale), source_side))
    return Span(max(0, first), last, start, stop)


def warp_matrix(crop: Crop, warp: WarpParams) -> Float64:
    """(3, 3) from points of the source to points of the result."""
    height, width = crop.size_hw
    # relative to what is larger, image or result: then no point of the image comes near the horizon
    half_w, half_h = (
        max(source * crop.scale, side) / 2 for source, side in zip(crop.source_hw[::-1], (width, height), strict=True)
    )
    angle, lean_x, lean_y = np.deg2rad((warp.degrees, warp.shear_x, warp.shear_y))
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    shear = np.array([[1, np.tan(lean_x), 0], [np.tan(lean_y), 1, 0], [0, 0, 1]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [warp.perspective_x / half_w, warp.perspective_y / half_h, 1]])
    scale = np.diag((crop.scale, crop.scale, 1.0))
    x, y = crop.origin_xy
    made: Float64 = _shift(width / 2, height / 2) @ rotation @ shear @ perspective
    return made @ _shift(-width / 2 - x, -height / 2 - y) @ scale


def _warp(image: UInt8, crop: Crop, warp: WarpParams) -> UInt8:
    # OpenCV counts pixel centres as whole numbers
    matrix = _shift(-0.5, -0.5) @ warp_matrix(crop, warp) @ _shift(0.5, 0.5)
    size, border = crop.size_hw[::-1], (PADDING_GREY,) * 3
    if warp.perspective_x or warp.perspective_y:
        warped = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=border)
    else:
        warped = cv2.warpAffine(image, matrix[:2], size, flags=cv2.INTER_LINEAR, borderValue=border)
    return np.asarray(warped, np.uint8)


def _shift(x: float, y: float) -> Float64:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
