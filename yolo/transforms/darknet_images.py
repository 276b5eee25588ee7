"""darknet's operations on one image: crop with repeated edges, flip, letterbox and distortion of colours.

Images are (H, W, 3) RGB, float32 in [0, 1]; what only moves pixels takes uint8 as well. No function changes its
input. Nothing is drawn here; see `darknet_augment`. The stretch to the network's input is `yolo.resampling`.

Source: darknet src/image.c (crop_image, flip_image, letterbox_image, distort_image).
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.resampling import stretch_corners

Pixels = NDArray[Any]

_LETTERBOX_GREY = 0.5
# Colours are distorted this many pixels at a time, so that what is computed on the way stays in the cache.
_BLOCK = 1 << 14
_TINY = np.float32(1e-30)


def crop_with_edges(image: Pixels, *, dx: int, dy: int, width: int, height: int) -> Pixels:
    """Cut out a rectangle; where it reaches beyond the image, the nearest edge pixel is repeated.

    Args:
        image: (H, W, 3) uint8 or float32.
        dx: left edge of the rectangle in pixels of the image; may be negative or beyond the image.
        dy: top edge, likewise.
        width: of the rectangle, at least 1.
        height: of the rectangle, at least 1.

    Returns:
        (height, width, 3), a copy of the type of `image`.

    Raises:
        ValueError: no pixels in `image` or none asked for.
    """
    if 0 in image.shape or width < 1 or height < 1:
        raise ValueError(f"cannot cut width {width} and height {height} out of an image of shape {image.shape}")
    top, rows, bottom = _cut_axis(image.shape[0], dy, height)
    left, cols, right = _cut_axis(image.shape[1], dx, width)
    return np.asarray(cv2.copyMakeBorder(image[rows, cols], top, bottom, left, right, cv2.BORDER_REPLICATE))


def flip(image: Pixels) -> Pixels:
    """Mirror left and right: (H, W, 3), a copy."""
    return np.asarray(cv2.flip(image, 1))


def letterbox(image: NDArray[np.float32], size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Fit an image into a size with its aspect ratio kept (sides rounded down), centred on grey 0.5.

    An image so thin that a side would round to zero leaves only grey.

    Args:
        image: (H, W, 3) float32.
        size_hw: height and width of the result.

    Returns:
        (h, w, 3) float32.
    """
    height, width = size_hw
    old_h, old_w = image.shape[:2]
    if width * old_h < height * old_w:
        new_h, new_w = old_h * width // old_w, width
    else:
        new_h, new_w = height, old_w * height // old_h
    boxed = np.full((height, width, 3), _LETTERBOX_GREY, np.float32)
    if new_h > 0 and new_w > 0:
        top, left = (height - new_h) // 2, (width - new_w) // 2
        boxed[top : top + new_h, left : left + new_w] = stretch_corners(image, (new_h, new_w))
    return boxed


def distort(image: NDArray[np.float32], *, hue: float, saturation: float, exposure: float) -> NDArray[np.float32]:
    """Change the colours of an image in HSV and clip the result to [0, 1].

    Args:
        image: (H, W, 3) float32 in [0, 1].
        hue: added to the hue, as a share of the colour circle, in [-1, 1].
        saturation: factor of the saturation, which may thereby exceed 1 before the clip.
        exposure: factor of the value.

    Returns:
        (H, W, 3) float32.
    """
    planes = np.stack(cv2.split(image)).astype(np.float32, copy=False).reshape(3, -1)  # (3, H·W)
    for start in range(0, planes.shape[1], _BLOCK):
        block = planes[:, start : start + _BLOCK]
        block[...] = _distort_planes(block, hue=hue, saturation=saturation, exposure=exposure)
    return np.asarray(cv2.merge(list(planes.reshape(3, *image.shape[:2]))), np.float32)


def _cut_axis(size: int, start: int, length: int) -> tuple[int, slice, int]:
    """How many edge pixels go before, which pixels are cut (at least one), how many go behind."""
    first = min(max(start, 0), size - 1)
    last = max(min(start + length, size), first + 1)
    before = min(max(-start, 0), length - (last - first))
    return before, slice(first, last), length - (last - first) - before


def _distort_planes(rgb: NDArray[np.float32], *, hue: float, saturation: float, exposure: float) -> NDArray[np.float32]:
    """`distort` for planes (3, n)."""
    value = rgb.max(axis=0)
    spread = value - rgb.min(axis=0)
    sixths = _hue(rgb, value, spread)
    sixths += np.float32(hue)
    sixths -= sixths > 1
    sixths += sixths < 0
    sixths *= 6

    # Every channel is value - value·saturation·(1 - share), where `share` rises and falls with the hue. As
    # value·saturation is max - min, the saturation itself is never computed.
    spread *= np.float32(saturation * exposure)
    value *= np.float32(exposure)
    value -= spread
    distorted = _shares(sixths)
    distorted *= spread
    distorted += value
    return np.clip(distorted, 0, 1, out=distorted)


def _hue(rgb: NDArray[np.float32], value: NDArray[np.float32], spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """The hue (n,) of planes (3, n), in [0, 1], 0 for greys; of equal channels red leads, then green."""
    red, green, blue = rgb
    is_red, is_green = red == value, green == value
    hue = np.where(is_red, green - blue, np.where(is_green, blue - red, red - green))
    hue /= np.maximum(spread, _TINY)
    hue += np.where(is_red, np.float32(0), np.where(is_green, np.float32(2), np.float32(4)))
    hue += np.float32(6) * (hue < 0)
    return np.asarray(hue / 6, np.float32)


def _shares(sixths: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of the colour each channel has at a hue (n,) in [0, 6]: (3, n), 0 to 1."""
    red, green, blue = shares = np.empty((3, *sixths.shape), np.float32)
    for share, turning in ((red, 3), (green, 2), (blue, 4)):
        np.abs(np.subtract(sixths, np.float32(turning), out=share), out=share)
    red -= 1
    np.subtract(2, shares[1:], out=shares[1:])
    # darknet wraps a hue above 1 but not 1 itself, which it then paints magenta instead of red
    blue[sixths == 6] = 1
    return np.clip(shares, 0, 1, out=shares)
