"""Placing an image on the network's input: letterbox and stretch, with the geometry recorded."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.structures import GroundTruth, ImageGeometry

ResizeMode = Literal["letterbox", "stretch"]

# The grey of padding, far from black and white and known to every YOLO.
PADDING_GREY = 114


def plan_resize(original_hw: tuple[int, int], input_size: int, mode: ResizeMode) -> ImageGeometry:
    """Decide where an image lands on a square input, without touching pixels.

    Args:
        original_hw: height and width of the image.
        input_size: side of the input.
        mode: `letterbox` keeps the aspect ratio and centres the image; `stretch` fills the input.
    """
    height, width = original_hw
    if mode == "stretch":
        new_h = new_w = input_size
    else:
        ratio = min(input_size / height, input_size / width)
        new_h, new_w = max(1, round(height * ratio)), max(1, round(width * ratio))
    return ImageGeometry(
        original_hw=original_hw,
        input_hw=(input_size, input_size),
        # exact scales of the rounded size, so that boxes fit the pixels
        scale_xy=(new_w / width, new_h / height),
        offset_xy=(float((input_size - new_w) // 2), float((input_size - new_h) // 2)),
    )


def place_image(image: NDArray[np.uint8], geometry: ImageGeometry) -> NDArray[np.uint8]:
    """Resize an (H, W, 3) image and put it on its input, padding grey: (input_h, input_w, 3) uint8."""
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
