"""Stretching an image so that its corner pixels stay its corner pixels.

This is how the original network sees images: separable bilinear sampling at steps of (in - 1) / (out - 1), without
anti-aliasing. OpenCV's resize aligns the edges of the corner pixels instead of their centres, and the general
warps of OpenCV 4 round their weights to 1/32; torch's sampler does neither and is as fast.

Source: darknet src/image.c, resize_image.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import from_numpy
from torch.nn.functional import interpolate


def stretch_corners(image: NDArray[np.uint8] | NDArray[np.float32], size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Stretch an image to a size with corner-aligned bilinear sampling.

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
