"""darknet's augmentation of a training image, with its ground truth.

A rectangle whose four edges are moved at random, each by up to `jitter` of the image's side and possibly outwards,
is cut out and stretched to the network's input; half of the images are mirrored; then hue, saturation and value
change. What is cut off an object is lost, and what is left of it is the object. Everything is drawn first, in
darknet's order, and applied after.

Images are (H, W, 3) RGB, float32 in [0, 1]; what only moves pixels takes uint8 as well. No function changes its
input. Left out: the [crop] layer of the networks of 2015, which changed saturation and exposure on the GPU and gave
values in [-1, 1].

Source: darknet src/data.c (load_data_region, correct_boxes, randomize_boxes), src/image.c (crop_image, flip_image,
distort_image), src/utils.c (rand_uniform, rand_scale).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Float32, Int64
from yolo.errors import ConfigError
from yolo.geometry import stretch_corners
from yolo.structures import GroundTruth, Sample

Pixels = NDArray[Any]

# Colours are distorted this many pixels at a time, so that what is computed on the way stays in the cache.
_BLOCK = 1 << 14
_TINY = np.float32(1e-30)
# Objects thinner than this share of the image are dropped.
_MIN_SIDE = 0.005


def crop_with_edges(image: Pixels, *, dx: int, dy: int, width: int, height: int) -> Pixels:
    """Cut out a rectangle: (H, W, 3) of any type to (height, width, 3) of that type, a copy.

    Its left upper corner (dx, dy) and its size, at least 1, are in pixels of the image. Where it reaches beyond the
    image, or lies beside it, the nearest edge pixel is repeated.
    """
    top, rows, bottom = _cut_axis(image.shape[0], dy, height)
    left, cols, right = _cut_axis(image.shape[1], dx, width)
    return np.asarray(cv2.copyMakeBorder(image[rows, cols], top, bottom, left, right, cv2.BORDER_REPLICATE))


def flip(image: Pixels) -> Pixels:
    """Mirror left and right: (H, W, 3), a copy."""
    return np.asarray(cv2.flip(image, 1))


def distort(image: Float32, *, hue: float, saturation: float, exposure: float) -> Float32:
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


def _distort_planes(rgb: Float32, *, hue: float, saturation: float, exposure: float) -> Float32:
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


def _hue(rgb: Float32, value: Float32, spread: Float32) -> Float32:
    """The hue (n,) of planes (3, n), in [0, 1], 0 for greys; of equal channels red leads, then green."""
    red, green, blue = rgb
    is_red, is_green = red == value, green == value
    hue = np.where(is_red, green - blue, np.where(is_green, blue - red, red - green))
    hue /= np.maximum(spread, _TINY)
    hue += np.where(is_red, np.float32(0), np.where(is_green, np.float32(2), np.float32(4)))
    hue += np.float32(6) * (hue < 0)
    return np.asarray(hue / 6, np.float32)


def _shares(sixths: Float32) -> Float32:
    """How much of the colour each channel has at a hue (n,) in [0, 6]: (3, n), 0 to 1."""
    red, green, blue = shares = np.empty((3, *sixths.shape), np.float32)
    for share, turning in ((red, 3), (green, 2), (blue, 4)):
        np.abs(np.subtract(sixths, np.float32(turning), out=share), out=share)
    red -= 1
    np.subtract(2, shares[1:], out=shares[1:])
    # darknet wraps a hue above 1 but not 1 itself, which it then paints magenta instead of red
    blue[sixths == 6] = 1
    return np.clip(shares, 0, 1, out=shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetParams:
    """Everything drawn for one image, apart from the order of its labels."""

    size_hw: tuple[int, int]  # of the image
    left: int = 0  # pixels that the rectangle's left edge lies inside the image; negative is outside
    right: int = 0
    top: int = 0
    bottom: int = 0
    flipped: bool = False  # left and right are exchanged
    hue: float = 0.0  # added to the hue, as a share of the colour circle
    saturation: float = 1.0  # factor
    exposure: float = 1.0  # factor of the value

    @property
    def crop_hw(self) -> tuple[int, int]:
        """Height and width of the rectangle in pixels of the image."""
        height, width = self.size_hw
        return height - self.top - self.bottom, width - self.left - self.right


@dataclass(frozen=True, slots=True)
class DarknetAugment:
    """Augmentation of one sample, from the original image to the network's input.

    Raises:
        ConfigError: a factor that is not finite; `AugmentConfig` checks the other ranges.
    """

    wants_original = True  # it cuts before it stretches

    input_hw: tuple[int, int]
    jitter: float  # largest move of an edge of the rectangle, as a share of the image's side, in [0, 0.5)
    hue: float  # largest change of hue, as a share of the colour circle, in [0, 1]
    # Largest factor of the saturation, > 0. Half of the draws divide by it instead, so that 0.75 and 1 / 0.75 mean the
    # same range.
    saturation: float
    exposure: float  # largest factor of the value, > 0, likewise
    flip: float = 0.5  # probability of mirroring

    def __post_init__(self) -> None:
        if not np.isfinite((self.saturation, self.exposure)).all():
            raise ConfigError(f"changes of saturation and value must be finite, got {self.saturation}, {self.exposure}")

    def __call__(
        self,
        sample: Sample,
        generator: np.random.Generator,
        load_partners: Callable[[], Sequence[Sample]],
        *,
        with_mosaic: bool,
    ) -> Sample:
        """From the original image, uint8, to a float32 image (input_h, input_w, 3) in [0, 1], with their ground truths.

        There is no mosaic: `load_partners` and `with_mosaic` are not used.
        """
        height, width = sample.image.shape[:2]
        params = self.draw_params(generator, (height, width))
        order = draw_label_order(generator, len(_trainable(sample.ground_truth)))
        return self.apply(sample, params, order)

    def draw_params(self, generator: np.random.Generator, size_hw: tuple[int, int]) -> DarknetParams:
        """Draw what happens to an image of `size_hw`."""
        height, width = size_hw
        reach_x, reach_y = int(self.jitter * width), int(self.jitter * height)
        return DarknetParams(
            size_hw=size_hw,
            left=int(generator.uniform(-reach_x, reach_x)),
            right=int(generator.uniform(-reach_x, reach_x)),
            top=int(generator.uniform(-reach_y, reach_y)),
            bottom=int(generator.uniform(-reach_y, reach_y)),
            flipped=bool(generator.uniform() < self.flip),
            hue=float(generator.uniform(-self.hue, self.hue)),
            saturation=draw_factor(generator, self.saturation),
            exposure=draw_factor(generator, self.exposure),
        )

    def apply(self, sample: Sample, params: DarknetParams, label_order: Int64) -> Sample:
        """The augmented sample; difficult and crowd objects are left out, as darknet's label files do.

        Args:
            sample: see `__call__`.
            params: what to do.
            label_order: the order of the remaining objects in the result. The first object of a cell owns it.
        """
        height, width = params.crop_hw
        cropped = crop_with_edges(sample.image, dx=params.left, dy=params.top, width=width, height=height)
        image = stretch_corners(cropped, self.input_hw)
        if params.flipped:
            image = flip(image)
        image = distort(image, hue=params.hue, saturation=params.saturation, exposure=params.exposure)
        ground_truth = _trainable(sample.ground_truth)[label_order]
        return replace(
            sample, image=image, ground_truth=move_objects(ground_truth, params, self.input_hw), geometry=None
        )


def draw_factor(generator: np.random.Generator, largest: float) -> float:
    """A factor between 1 and `largest`, even in that range, or one over it, with probability 1/2 each."""
    factor = float(generator.uniform(min(1.0, largest), max(1.0, largest)))
    return factor if generator.uniform() < 0.5 else 1 / factor


def draw_label_order(generator: np.random.Generator, count: int) -> Int64:
    """A random order of `count` labels: each in turn changes places with any one (not quite even, as in darknet)."""
    order = np.arange(count)
    for place, other in enumerate(generator.integers(count, size=count) if count else ()):
        order[[place, other]] = order[[other, place]]
    return order


def _trainable(ground_truth: GroundTruth) -> GroundTruth:
    """Without difficult and crowd objects, which darknet's label files leave out."""
    return ground_truth[~(ground_truth.difficult | ground_truth.iscrowd)]


def move_objects(ground_truth: GroundTruth, params: DarknetParams, input_hw: tuple[int, int]) -> GroundTruth:
    """Ground truth in pixels of the input, from pixels of the image, clamped; without what is then too thin."""
    height, width = params.size_hw
    crop_h, crop_w = params.crop_hw
    scale = np.array((width, height, width, height)) / (crop_w, crop_h, crop_w, crop_h)
    offset = np.array((params.left, params.top, params.left, params.top)) / (crop_w, crop_h, crop_w, crop_h)
    # relative to the image, and then to the result
    edges = ground_truth.boxes / np.array((width, height, width, height), np.float64)
    x1, y1, x2, y2 = (edges * scale - offset).T
    if params.flipped:
        x1, x2 = 1 - x2, 1 - x1
    edges = np.stack((x1, y1, x2, y2), axis=1).clip(0, 1)
    x1, y1, x2, y2 = edges.T
    is_visible = (x2 - x1 >= _MIN_SIDE) & (y2 - y1 >= _MIN_SIDE)
    return ground_truth.with_boxes((edges * np.array(input_hw[::-1] * 2)).astype(np.float32))[is_visible]
