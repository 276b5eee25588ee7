"""darknet's augmentation of a training image, with its labels.

A rectangle whose four edges are moved at random, each by up to `jitter` of the image's side and possibly outwards,
is cut out and stretched to the network's input; half of the images are mirrored; then hue, saturation and value
change. What is cut off an object is forgotten, and what is left of it is the object. Everything is drawn first,
in darknet's order, and applied after.

Labels are rows (class, x, y, w, h), centre and size relative to the image, float64, as in darknet's text files.
Left out: the [crop] layer of the networks of 2015, which changed saturation and exposure on the GPU and gave values
in [-1, 1]. The truth vector made of the labels is in `darknet_truth`.

Source: darknet src/data.c (load_data_region, correct_boxes, randomize_boxes), src/utils.c (rand_uniform, rand_scale).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError
from yolo.resampling import stretch_corners
from yolo.structures import GroundTruth, Sample
from yolo.transforms.darknet_images import crop_with_edges, distort, flip

Labels = NDArray[np.float64]
Edges = NDArray[np.float64]

# Objects thinner than this share of the image are not taught.
_MIN_SIDE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetParams:
    """Everything drawn for one image, apart from the order of its labels.

    Attributes:
        size_hw: height and width of the image.
        left: pixels that the rectangle's left edge lies inside the image; negative is outside.
        right: likewise of the right edge.
        top: likewise of the top edge.
        bottom: likewise of the bottom edge.
        flipped: whether left and right are exchanged.
        hue: added to the hue, as a share of the colour circle.
        saturation: factor.
        exposure: factor of the value.
    """

    size_hw: tuple[int, int]
    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    flipped: bool = False
    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0

    @property
    def crop_hw(self) -> tuple[int, int]:
        """Height and width of the rectangle in pixels of the image."""
        height, width = self.size_hw
        return height - self.top - self.bottom, width - self.left - self.right


class DarknetAugment:
    """Augmentation of one sample, from the original image to the network's input.

    Args:
        input_hw: height and width of the input.
        jitter: largest move of an edge of the rectangle, as a share of the image's side, in [0, 0.5).
        hue: largest change of hue, as a share of the colour circle, in [0, 1].
        saturation: largest factor of the saturation, > 0. Half of the draws divide by the factor instead, so that
            0.75 and 1 / 0.75 mean the same range.
        exposure: largest factor of the value, > 0, likewise.
        flip: probability of mirroring, in [0, 1].

    Raises:
        ConfigError: a number outside its range.
    """

    # it cuts before it stretches
    wants_original = True

    def __init__(
        self,
        input_hw: tuple[int, int],
        jitter: float,
        *,
        hue: float,
        saturation: float,
        exposure: float,
        flip: float = 0.5,
    ) -> None:
        _require(min(input_hw) >= 1, f"input_hw must be at least 1, got {input_hw}")
        _require(0 <= jitter < 0.5, f"jitter must be in [0, 0.5), got {jitter}")
        _require(0 <= hue <= 1, f"hue must be in [0, 1], got {hue}")
        _require(0 < saturation < np.inf, f"saturation must be above 0 and finite, got {saturation}")
        _require(0 < exposure < np.inf, f"exposure must be above 0 and finite, got {exposure}")
        _require(0 <= flip <= 1, f"flip must be in [0, 1], got {flip}")
        self.input_hw = input_hw
        self.jitter = jitter
        self.hue = hue
        self.saturation = saturation
        self.exposure = exposure
        self.flip = flip

    def __call__(
        self,
        sample: Sample,
        generator: np.random.Generator,
        load_partners: Callable[[], Sequence[Sample]],
        *,
        with_mosaic: bool,
    ) -> Sample:
        """Draw and apply. There is no mosaic: `load_partners` and `with_mosaic` are not looked at.

        Args:
            sample: the original image, uint8, with ground truth in its pixels.
            generator: source of the draws.
            load_partners: not used.
            with_mosaic: not used.

        Returns:
            float32 image (input_h, input_w, 3) in [0, 1], ground truth in its pixels.
        """
        height, width = sample.image.shape[:2]
        params = self.draw_params(generator, (height, width))
        order = draw_label_order(generator, len(_taught(sample.ground_truth)))
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

    def apply(self, sample: Sample, params: DarknetParams, label_order: NDArray[np.int64]) -> Sample:
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
        ground_truth = _taught(sample.ground_truth)[label_order]
        return replace(
            sample, image=image, ground_truth=_move_objects(ground_truth, params, self.input_hw), geometry=None
        )


def draw_factor(generator: np.random.Generator, largest: float) -> float:
    """A factor between 1 and `largest`, even in that range, or one over it, with probability 1/2 each."""
    factor = float(generator.uniform(min(1.0, largest), max(1.0, largest)))
    return factor if generator.uniform() < 0.5 else 1 / factor


def draw_label_order(generator: np.random.Generator, count: int) -> NDArray[np.int64]:
    """A random order of `count` labels: each in turn changes places with any one (not quite even, as in darknet)."""
    order = np.arange(count)
    for place, other in enumerate(generator.integers(count, size=count) if count else ()):
        order[[place, other]] = order[[other, place]]
    return order


def transform_labels(labels: Labels, params: DarknetParams) -> Labels:
    """Move labels with their image.

    Edges are clamped to the image. Objects whose visible part is thinner than 0.005 are dropped, and so are labels
    at x = y = 0, on which darknet crashes.

    Args:
        labels: (T, 5) rows (class, x, y, w, h) relative to the image.
        params: what happens to the image; the colours do not matter.

    Returns:
        (T', 5) rows relative to the result, in the order they came.
    """
    label, x, y, w, h = labels[(labels[:, 1:3] != 0).any(axis=1)].T
    edges = _move_edges(np.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), axis=1), params)
    x1, y1, x2, y2 = edges.T
    moved = np.stack((label, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), axis=1)
    return moved[_are_visible(edges)]


def _taught(ground_truth: GroundTruth) -> GroundTruth:
    return ground_truth[~(ground_truth.difficult | ground_truth.iscrowd)]


def _move_objects(ground_truth: GroundTruth, params: DarknetParams, input_hw: tuple[int, int]) -> GroundTruth:
    """Ground truth in pixels of the input, from pixels of the image."""
    height, width = params.size_hw
    edges = _move_edges(ground_truth.boxes / np.array((width, height, width, height), np.float64), params)
    return ground_truth.with_boxes((edges * np.array(input_hw[::-1] * 2)).astype(np.float32))[_are_visible(edges)]


def _move_edges(edges: Edges, params: DarknetParams) -> Edges:
    """Boxes (T, 4), xyxy relative to the result, clamped to it, from boxes relative to the image."""
    height, width = params.size_hw
    crop_h, crop_w = params.crop_hw
    scale = np.array((width, height, width, height)) / (crop_w, crop_h, crop_w, crop_h)
    offset = np.array((params.left, params.top, params.left, params.top)) / (crop_w, crop_h, crop_w, crop_h)
    x1, y1, x2, y2 = (edges * scale - offset).T
    if params.flipped:
        x1, x2 = 1 - x2, 1 - x1
    return np.stack((x1, y1, x2, y2), axis=1).clip(0, 1)


def _are_visible(edges: Edges) -> NDArray[np.bool_]:
    """(T,) which of the moved boxes (T, 4) have enough left inside the image."""
    x1, y1, x2, y2 = edges.T
    return np.asarray((x2 - x1 >= _MIN_SIDE) & (y2 - y1 >= _MIN_SIDE))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
