"""Placing an image on the network's input, with the geometry recorded.

letterbox        keeps the aspect ratio, centred on grey
stretch          fills the input; averages where it shrinks much
stretch_corners  darknet's: fills the input, corner pixels on corner pixels, no averaging, in floats
"""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.resampling import stretch_corners
from yolo.structures import GroundTruth, ImageGeometry

ResizeMode = Literal["letterbox", "stretch", "stretch_corners"]

# The grey of padding, far from black and white and known to every YOLO.
PADDING_GREY = 114


def plan_resize(original_hw: tuple[int, int], input_hw: tuple[int, int], mode: ResizeMode) -> ImageGeometry:
    """Decide where an image lands on an input, without touching pixels.

    Args:
        original_hw: height and width of the image.
        input_hw: height and width of the input.
        mode: see the head of this file. Both stretches record the same geometry: darknet, too, relates boxes to the
            whole image.
    """
    height, width = original_hw
    input_h, input_w = input_hw
    if mode != "letterbox":
        new_h, new_w = input_h, input_w
    else:
        ratio = min(input_h / height, input_w / width)
        new_h, new_w = max(1, round(height * ratio)), max(1, round(width * ratio))
    return ImageGeometry(
        original_hw=original_hw,
        input_hw=input_hw,
        # exact scales of the rounded size, so that boxes fit the pixels
        scale_xy=(new_w / width, new_h / height),
        offset_xy=(float((input_w - new_w) // 2), float((input_h - new_h) // 2)),
    )


def plan_resizes(
    sizes_hw: NDArray[np.integer[Any]], input_hw: tuple[int, int], mode: ResizeMode
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scales and offsets that `plan_resize` has for each of n images, at once.

    Args:
        sizes_hw: (n, 2) heights and widths of the images.
        input_hw: height and width of the input.
        mode: see the head of this file.

    Returns:
        scales_xy (n, 2) and offsets_xy (n, 2), in pixels of the input.
    """
    if mode != "letterbox":
        new_hw = np.broadcast_to(input_hw, sizes_hw.shape)
    else:
        ratios = (np.array(input_hw) / sizes_hw).min(axis=1, keepdims=True)
        new_hw = np.maximum(1, np.rint(sizes_hw * ratios).astype(np.int64))
    return (new_hw / sizes_hw)[:, ::-1], ((np.array(input_hw) - new_hw) // 2)[:, ::-1].astype(np.float64)


def place_image(image: NDArray[np.uint8], geometry: ImageGeometry, mode: ResizeMode) -> NDArray[Any]:
    """Resize an (H, W, 3) uint8 image and put it on its input, padding grey.

    Returns:
        (input_h, input_w, 3) uint8; with `stretch_corners` float32 in [0, 1], because darknet does not round either.
    """
    if mode == "stretch_corners":
        return stretch_corners(image, geometry.input_hw)
    input_h, input_w = geometry.input_hw
    height, width = image.shape[:2]
    scale_x, scale_y = geometry.scale_xy
    new_w, new_h = round(width * scale_x), round(height * scale_y)
    left, top = (int(offset) for offset in geometry.offset_xy)
    placed = np.empty((input_h, input_w, 3), np.uint8)
    placed[:top], placed[top + new_h :] = PADDING_GREY, PADDING_GREY
    placed[:, :left], placed[:, left + new_w :] = PADDING_GREY, PADDING_GREY
    # linear interpolation reads two pixels a side: below half size it would skip some, and alias
    halved = 2 * new_h <= height and 2 * new_w <= width
    resized = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_AREA if halved else cv2.INTER_LINEAR)
    placed[top : top + new_h, left : left + new_w] = resized
    return placed


def place_boxes(ground_truth: GroundTruth, geometry: ImageGeometry) -> GroundTruth:
    """Ground truth in pixels of the input, from pixels of the original."""
    scale = np.array(geometry.scale_xy * 2, np.float32)
    offset = np.array(geometry.offset_xy * 2, np.float32)
    return ground_truth.with_boxes(ground_truth.boxes * scale + offset)
