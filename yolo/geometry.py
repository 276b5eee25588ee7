"""Placing an image on the network's input, with the geometry recorded.

letterbox        keeps the aspect ratio, centred on grey
stretch          fills the input; averages where it shrinks much
stretch_corners  darknet's: fills the input, corner pixels on corner pixels, no averaging, in floats

Source of stretch_corners: darknet src/image.c, resize_image.
"""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import from_numpy
from torch.nn.functional import interpolate

from yolo.arrays import Float32, Float64, UInt8
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
    scales, offsets = plan_resizes(np.array([original_hw]), input_hw, mode)
    (scale_x, scale_y), (left, top) = scales[0].tolist(), offsets[0].tolist()
    return ImageGeometry(original_hw=original_hw, input_hw=input_hw, scale_xy=(scale_x, scale_y), offset_xy=(left, top))


def plan_resizes(
    sizes_hw: NDArray[np.integer[Any]], input_hw: tuple[int, int], mode: ResizeMode
) -> tuple[Float64, Float64]:
    """`plan_resize` of n images at once.

    Args:
        sizes_hw: (n, 2) heights and widths of the images.
        input_hw: height and width of the input.
        mode: see the head of this file.

    Returns:
        scales_xy (n, 2) and offsets_xy (n, 2), in pixels of the input. The scales are those of the size in whole
        pixels, so that boxes fit the pixels.
    """
    if mode != "letterbox":
        new_hw = np.broadcast_to(input_hw, sizes_hw.shape)
    else:
        ratios = (np.array(input_hw) / sizes_hw).min(axis=1, keepdims=True)
        new_hw = np.maximum(1, np.rint(sizes_hw * ratios).astype(np.int64))
    return (new_hw / sizes_hw)[:, ::-1], ((np.array(input_hw) - new_hw) // 2)[:, ::-1].astype(np.float64)


def place_image(image: UInt8, geometry: ImageGeometry, mode: ResizeMode) -> NDArray[Any]:
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


def stretch_corners(image: UInt8 | Float32, size_hw: tuple[int, int]) -> Float32:
    """Stretch an image to a size with corner-aligned bilinear sampling, without anti-aliasing: darknet's resize.

    Samples lie (in - 1) / (out - 1) apart. OpenCV's resize aligns the edges of the corner pixels instead of their
    centres, and the warps of OpenCV 4 round their weights to 1/32; torch's sampler does neither and is as fast.

    A side of one output pixel shows the last row or column, as in darknet. darknet's last row may come out black
    where its step rounds down (a defect of its arithmetic); here it is the image's last row.

    Args:
        image: (H, W, 3), uint8 in 0..255 or float32; not changed.
        size_hw: height and width of the result, at least 1.

    Returns:
        (h, w, 3) float32, contiguous: in [0, 1] for uint8, in the unit of `image` for float32.

    Raises:
        ValueError: `image` is not (H, W, 3), has no pixels, or none are asked for.
    """
    height, width = size_hw
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or height < 1 or width < 1:
        raise ValueError(f"cannot stretch an image of shape {image.shape} to height {height} and width {width}")
    # one pixel has no two corners to align: torch would take the first
    image = image[-1:] if height == 1 else image
    image = image[:, -1:] if width == 1 else image
    pixels = from_numpy(image.astype(np.float32, order="C")).permute(2, 0, 1)[None]  # (1, 3, H, W)
    planes = interpolate(pixels, size=(height, width), mode="bilinear", align_corners=True)[0]  # (3, h, w)
    if image.dtype == np.uint8:
        # the two weights of a pixel may add up to a little more than one
        planes.mul_(1 / 255).clamp_(max=1)
    return np.asarray(cv2.merge(list(planes.numpy())), np.float32)
