"""The whole training recipe for images, on one screen.

Order: mosaic of four or scale and translate of one; flips; hue, saturation, value. Validation and prediction
see the placed image as it is.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from yolo.config import AugmentConfig
from yolo.structures import Sample
from yolo.transforms.albumentations_adapter import AlbumentationsPipeline, import_albumentations
from yolo.transforms.crop import crop_ground_truth, crop_image, draw_crop
from yolo.transforms.mosaic import NUM_TILES, mosaic

# Loads a random other sample of the dataset, or None where that image cannot be read.
LoadAnother = Callable[[np.random.Generator], Sample | None]


class TrainTransform:
    """Augmentation of one sample, with all draws from the generator it is given.

    Args:
        config: strengths and probabilities.
    """

    wants_original = False

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config
        album = import_albumentations()
        self._pipeline = AlbumentationsPipeline(
            [
                album.HorizontalFlip(p=config.flip_horizontal),
                album.VerticalFlip(p=config.flip_vertical),
                album.ColorJitter(
                    brightness=(1 - config.value, 1 + config.value),
                    contrast=(1, 1),
                    saturation=(1 - config.saturation, 1 + config.saturation),
                    hue=(-config.hue, config.hue),
                    p=float(config.value > 0 or config.saturation > 0 or config.hue > 0),
                ),
            ]
        )

    def __call__(
        self, sample: Sample, generator: np.random.Generator, load_another: LoadAnother, *, with_mosaic: bool
    ) -> Sample:
        """Augment `sample`; `with_mosaic` is False near the end of training."""
        others: list[Sample] = []
        if with_mosaic and generator.uniform() < self.config.mosaic:
            loaded = [load_another(generator) for _ in range(NUM_TILES - 1)]
            others = [other for other in loaded if other is not None]
        if len(others) == NUM_TILES - 1:
            sample = mosaic([sample, *others], generator, scale=self.config.scale)
        elif self.config.scale > 0 or self.config.translate > 0:
            sample = self._scale_and_translate(sample, generator)
        return self._pipeline(sample, generator)

    def _scale_and_translate(self, sample: Sample, generator: np.random.Generator) -> Sample:
        size_hw = sample.image.shape[:2]
        crop = draw_crop(generator, size_hw, size_hw, scale=self.config.scale, translate=self.config.translate)
        return replace(
            sample,
            image=crop_image(sample.image, crop),
            ground_truth=crop_ground_truth(sample.ground_truth, crop),
            geometry=None,
        )
