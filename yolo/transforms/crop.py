"""Scale and translate: cut a rectangle out of a scaled image, pixels and ground truth together.

Mosaic and single-image augmentation are the same step on one or four tiles, so this is the only resampling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.geometry import PADDING_GREY
from yolo.structures import GroundTruth

# Cut objects with less than this share of their area left, or thinner than this many pixels, are neither taught
# nor punished.
_MIN_VISIBLE = 0.25
_MIN_SIDE = 2.0
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Crop:
    """out_xy = source_xy * scale - origin_xy, cut to `size_hw`."""

    scale: float
    origin_xy: tuple[float, float]
    size_hw: tuple[int, int]


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
    draws = generator.uniform(size=2)
    origin = []
    for source_side, side, draw in zip(source_hw[::-1], size_hw[::-1], draws, strict=True):
        slack = source_side * factor - side
        if translate is None:
            origin.append(float(slack * draw))
        else:
            origin.append(float(slack / 2 + side * translate * (2 * draw - 1)))
    return Crop(factor, (origin[0], origin[1]), size_hw)


def crop_image(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Cut (H, W, 3) pixels: (h, w, 3) uint8, padding grey where the image does not reach."""
    x, y = crop.origin_xy
    shift = (crop.scale - 1) / 2  # pixel centres lie at k + 1/2, warpAffine counts them as k
    matrix = np.array([[crop.scale, 0, shift - x], [0, crop.scale, shift - y]], np.float32)
    height, width = crop.size_hw
    border = (PADDING_GREY,) * 3
    cut = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=border)
    return np.asarray(cut, np.uint8)


def crop_ground_truth(ground_truth: GroundTruth, crop: Crop) -> GroundTruth:
    """Cut the boxes; what is mostly cut away becomes `difficult`, what is wholly cut away goes."""
    height, width = crop.size_hw
    origin = np.array(crop.origin_xy * 2, np.float32)
    moved = ground_truth.boxes * np.float32(crop.scale) - origin
    limit = np.array((width, height, width, height), np.float32)
    clipped = np.clip(moved, 0, limit)
    before, after = moved[:, 2:] - moved[:, :2], clipped[:, 2:] - clipped[:, :2]
    visible = after.prod(axis=1) / np.maximum(before.prod(axis=1), np.float32(1e-9))
    was_cut = (after < before - _ROUNDING).any(axis=1)
    mostly_gone = was_cut & ((visible < _MIN_VISIBLE) | (after < _MIN_SIDE).any(axis=1))
    cut = replace(ground_truth.with_boxes(clipped), difficult=ground_truth.difficult | mostly_gone)
    return cut[(after > 0).all(axis=1)]
