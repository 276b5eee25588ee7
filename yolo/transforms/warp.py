"""Rotation, shear and perspective of a crop: what `crop` cannot do with rectangles, in one resampling.

    out = centre . rotation . shear . perspective . (-centre) . crop

Points are (x, y, 1) in continuous coordinates, pixel k covers [k, k + 1]; the centre is the result's.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.geometry import PADDING_GREY
from yolo.structures import Float32
from yolo.transforms.crop import Crop

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """A rotation, shear and perspective; or the largest that may be drawn, in which case all are >= 0.

    Attributes:
        degrees: of the rotation, clockwise on the screen.
        shear_x: degrees by which vertical lines lean.
        shear_y: degrees by which horizontal lines lean.
        perspective_x: by how much farther the right edge is than the centre, as a share of the centre's distance.
        perspective_y: likewise of the lower edge.
    """

    degrees: float = 0.0
    shear_x: float = 0.0
    shear_y: float = 0.0
    perspective_x: float = 0.0
    perspective_y: float = 0.0


def draw_bend(generator: np.random.Generator, limits: Bend) -> Bend | None:
    """Draw each part evenly between minus and plus its limit; None, without a draw, where all limits are 0."""
    largest = (limits.degrees, limits.shear_x, limits.shear_y, limits.perspective_x, limits.perspective_y)
    if not any(largest):
        return None
    drawn = (generator.uniform(-1, 1, 5) * largest).tolist()
    return Bend(degrees=drawn[0], shear_x=drawn[1], shear_y=drawn[2], perspective_x=drawn[3], perspective_y=drawn[4])


def warp_matrix(crop: Crop, bend: Bend) -> Matrix:
    """(3, 3) from points of the source to points of the result."""
    height, width = crop.size_hw
    # relative to what is larger, image or result: then no point of the image comes near the horizon
    half_w, half_h = (
        max(source * crop.scale, side) / 2 for source, side in zip(crop.source_hw[::-1], (width, height), strict=True)
    )
    angle, lean_x, lean_y = np.deg2rad((bend.degrees, bend.shear_x, bend.shear_y))
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    shear = np.array([[1, np.tan(lean_x), 0], [np.tan(lean_y), 1, 0], [0, 0, 1]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [bend.perspective_x / half_w, bend.perspective_y / half_h, 1]])
    scale = np.diag((crop.scale, crop.scale, 1.0))
    x, y = crop.origin_xy
    made: Matrix = _shift(width / 2, height / 2) @ rotation @ shear @ perspective
    return made @ _shift(-width / 2 - x, -height / 2 - y) @ scale


def warp_image(image: NDArray[np.uint8], crop: Crop, bend: Bend) -> NDArray[np.uint8]:
    """Warp (H, W, 3) pixels: (h, w, 3) uint8, padding grey where the image does not reach."""
    # OpenCV counts pixel centres as whole numbers
    matrix = _shift(-0.5, -0.5) @ warp_matrix(crop, bend) @ _shift(0.5, 0.5)
    size, border = crop.size_hw[::-1], (PADDING_GREY,) * 3
    if bend.perspective_x or bend.perspective_y:
        warped = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=border)
    else:
        warped = cv2.warpAffine(image, matrix[:2], size, flags=cv2.INTER_LINEAR, borderValue=border)
    return np.asarray(warped, np.uint8)


def warp_boxes(boxes: Float32, crop: Crop, bend: Bend) -> Float32:
    """(M, 4) the boxes around the warped boxes, beyond the borders of the result, too."""
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], axis=1).reshape(-1, 4, 2)  # (M, 4, xy)
    points = np.concatenate([corners, np.ones((len(corners), 4, 1))], axis=2) @ warp_matrix(crop, bend).T  # (M, 4, 3)
    flat = points[..., :2] / points[..., 2:]
    return np.asarray(np.concatenate([flat.min(axis=1), flat.max(axis=1)], axis=1), np.float32)  # (M, 4)


def _shift(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
