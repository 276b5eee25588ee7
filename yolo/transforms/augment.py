"""The whole augmentation of training images, on one screen; and its changes of colour.

Order: mosaic of four or a crop of one (scale, translate, rotation, shear, perspective); copy-paste; mixup; flips; hue,
saturation, value; blur; JPEG noise; the user's own pipeline. Validation and prediction see the placed image as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from yolo.arrays import Float32, UInt8
from yolo.config import AugmentConfig
from yolo.darknet.augment import DarknetAugment
from yolo.geometry import ResizeMode
from yolo.structures import Sample
from yolo.transforms.albumentations import AlbumentationsPipeline, FilePipeline, import_albumentations
from yolo.transforms.crop import WarpParams, crop_sample, draw_crop, draw_warp
from yolo.transforms.mixing import NUM_TILES, copy_paste, draw_share, mixup, mosaic

# Loads the samples of other images that this one may be mixed with; those that cannot be read are not among them.
LoadPartners = Callable[[], Sequence[Sample]]

_JPEG_QUALITY = (40, 90)
_BLUR_SIGMA = (0.5, 1.5)
# In YIQ, the colour space of NTSC television, Y is how light a colour is, and (I, Q) its tint: the direction is the
# hue, the length the saturation. Grey stays grey, and it takes an eighth of the time of HSV and back.
_YIQ_FROM_RGB = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_RGB_FROM_YIQ = np.linalg.inv(_YIQ_FROM_RGB)


def make_transform(
    config: AugmentConfig, input_hw: tuple[int, int], resize: ResizeMode
) -> tuple[TrainTransform | DarknetAugment, ResizeMode]:
    """The augmentation of a configuration, and how images are placed on the input before it.

    `resize` is how they are placed where nothing is augmented.
    """
    # modern augmentation resamples bytes; the difference to darknet's stretch is lost in it
    placing: ResizeMode = "stretch" if resize == "stretch_corners" else resize
    if config.style == "modern":
        return TrainTransform(config, input_hw), placing
    darknet = DarknetAugment(
        input_hw,
        config.jitter,
        hue=config.hue,
        saturation=1 + config.saturation,
        exposure=1 + config.value,
        flip=config.flip_horizontal,
    )
    return darknet, placing


class TrainTransform:
    """Augmentation of one sample, with all draws from the generator it is given.

    Args:
        config: strengths and probabilities.
        input_hw: height and width of the samples; only a pipeline of the user's own (`config.pipeline`) needs it.

    Raises:
        ConfigError: the user's own pipeline cannot be used.
    """

    wants_original = False

    def __init__(self, config: AugmentConfig, input_hw: tuple[int, int] = (320, 320)) -> None:
        self.config = config
        self._limits = WarpParams(
            degrees=config.degrees,
            shear_x=config.shear,
            shear_y=config.shear,
            perspective_x=config.perspective,
            perspective_y=config.perspective,
        )
        self._steps: list[AlbumentationsPipeline | FilePipeline] = []
        if config.blur or config.jpeg_noise:
            album = import_albumentations()
            blur = album.GaussianBlur(blur_limit=0, sigma_limit=_BLUR_SIGMA, p=config.blur)
            noise = album.ImageCompression(quality_range=_JPEG_QUALITY, p=config.jpeg_noise)
            self._steps.append(AlbumentationsPipeline([blur, noise]))
        if config.pipeline:
            self._steps.append(FilePipeline(Path(config.pipeline), input_hw))

    def __call__(
        self, sample: Sample, generator: np.random.Generator, load_partners: LoadPartners, *, with_mosaic: bool
    ) -> Sample:
        """Augment `sample`.

        Args:
            sample: placed on the input.
            generator: source of the draws.
            load_partners: asked when the sample is mixed with others.
            with_mosaic: False, near the end of training, for no mixing: no mosaic, copy-paste or mixup.
        """
        config = self.config
        result = self._mixed(sample, generator, load_partners) if with_mosaic else self._single(sample, generator)
        result = _flipped(
            result,
            left_right=_happens(config.flip_horizontal, generator),
            upside_down=_happens(config.flip_vertical, generator),
        )
        colours = draw_colour_change(generator, hue=config.hue, saturation=config.saturation, value=config.value)
        if colours is not None:
            result = replace(result, image=change_colours(result.image, colours))
        for step in self._steps:
            result = step(result, generator)
        return result

    def _mixed(self, sample: Sample, generator: np.random.Generator, load_partners: LoadPartners) -> Sample:
        config = self.config
        others = list(load_partners()) if _happens(config.mosaic, generator) else []
        if len(others) >= NUM_TILES - 1:
            tiles = [sample, *others[: NUM_TILES - 1]]
            result = mosaic(tiles, generator, scale=config.scale, limits=self._limits)
        else:
            result = self._single(sample, generator)
        if _happens(config.copy_paste, generator):
            result = copy_paste(result, [sample, *load_partners()], generator, scale=config.scale)
        if _happens(config.mixup, generator) and (others := list(load_partners())):
            # the last one: a mosaic does not show it
            result = mixup(result, self._single(others[-1], generator), draw_share(generator))
        return result

    def _single(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """The sample alone, scaled, shifted and warped."""
        scale, translate = self.config.scale, self.config.translate
        warp = draw_warp(generator, self._limits)
        if not scale and not translate and warp is None:
            return replace(sample, geometry=None)
        size_hw = (sample.image.shape[0], sample.image.shape[1])
        crop = draw_crop(generator, size_hw, size_hw, scale=scale, translate=translate)
        return crop_sample(sample, crop, warp)


def _happens(probability: float, generator: np.random.Generator) -> bool:
    """Draw whether a step happens; without a draw where it never does."""
    return probability > 0 and bool(generator.random() < probability)


def _flipped(sample: Sample, *, left_right: bool, upside_down: bool) -> Sample:
    """The mirrored sample."""
    if not left_right and not upside_down:
        return sample
    height, width = sample.image.shape[:2]
    x1, y1, x2, y2 = sample.ground_truth.boxes.T
    if left_right:
        x1, x2 = width - x2, width - x1
    if upside_down:
        y1, y2 = height - y2, height - y1
    code = -1 if left_right and upside_down else int(left_right)
    ground_truth = replace(sample.ground_truth, boxes=np.stack([x1, y1, x2, y2], axis=1))
    image = np.asarray(cv2.flip(sample.image, code), np.uint8)
    return replace(sample, image=image, ground_truth=ground_truth, geometry=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourChange:
    """What happens to the colours of an image."""

    hue: float = 0.0  # turn, as a share of the colour circle
    saturation: float = 1.0  # factor
    value: float = 1.0  # factor


def draw_colour_change(
    generator: np.random.Generator, *, hue: float, saturation: float, value: float
) -> ColourChange | None:
    """Draw evenly: hue in [-hue, hue], factors in [1 - x, 1 + x]; None, without a draw, where all are 0."""
    if not (hue or saturation or value):
        return None
    drawn = (generator.uniform(-1, 1, 3) * (hue, saturation, value)).tolist()
    return ColourChange(hue=drawn[0], saturation=1 + drawn[1], value=1 + drawn[2])


def change_colours(image: UInt8, change: ColourChange) -> UInt8:
    """The changed (H, W, 3) RGB image; what would be darker than black or lighter than 255 is cut off."""
    return np.asarray(cv2.transform(image, colour_matrix(change)), np.uint8)


def colour_matrix(change: ColourChange) -> Float32:
    """(3, 3) from RGB to RGB: the hue rotates (I, Q), the saturation is a factor on it, the value one on all three."""
    angle = 2 * np.pi * change.hue
    cos, sin = change.saturation * np.cos(angle), change.saturation * np.sin(angle)
    # the tints stand in (I, Q) the other way round than on the circle of HSV
    tint = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return np.asarray(change.value * (_RGB_FROM_YIQ @ tint @ _YIQ_FROM_RGB), np.float32)
