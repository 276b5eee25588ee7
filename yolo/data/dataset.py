"""Annotated images as samples for torch's loader.

Keys say everything: which image, which epoch, with mosaic or without. No state changes in a worker, so a sample
is the same in any worker. An image that cannot be read becomes a `SkippedImage`, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from torch.utils.data import Dataset

from yolo.data.cache import ImageCache
from yolo.errors import ImageReadError
from yolo.geometry import ResizeMode, place_boxes, place_image, plan_resize
from yolo.images import read_image
from yolo.randomness import sample_generator
from yolo.structures import AnnotatedImage, Sample, SkippedImage


class SampleKey(NamedTuple):
    """What is asked of the dataset."""

    epoch: int
    image_index: int
    with_mosaic: bool = False
    repeat: int = 0  # how often the epoch has drawn this image before


class Augment(Protocol):
    """Augmentation of one sample; see `transforms.presets.TrainTransform`.

    Attributes:
        wants_original: it takes the image as it is in the file and places it on the input itself.
    """

    wants_original: bool

    def __call__(
        self,
        sample: Sample,
        generator: np.random.Generator,
        load_another: Callable[[np.random.Generator], Sample | None],
        *,
        with_mosaic: bool,
    ) -> Sample:
        """Return a changed copy of `sample`."""


class DetectionDataset(Dataset[Sample | SkippedImage]):
    """Samples of a split.

    Args:
        images: the annotated images.
        input_hw: height and width of the network's input.
        resize: how images are placed on it.
        augment: changes a placed sample; None for validation.
        seed: of the run.
        cache: keeps placed images; None to decode every time.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        *,
        input_hw: tuple[int, int],
        resize: ResizeMode,
        augment: Augment | None = None,
        seed: int = 0,
        cache: ImageCache | None = None,
    ) -> None:
        self.images = images
        self.input_hw = input_hw
        self.resize: ResizeMode = resize
        self.augment = augment
        self.seed = seed
        self.cache = cache

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey) -> Sample | SkippedImage:
        """The sample of a key, or the reason why there is none."""
        try:
            as_it_is = self.augment is not None and self.augment.wants_original
            sample = self.load_original(key.image_index) if as_it_is else self.load(key.image_index)
        except ImageReadError as error:
            return SkippedImage(str(self.images[key.image_index].path), str(error))
        if self.augment is None:
            return sample
        generator = sample_generator(self.seed, key.epoch, key.image_index, repeat=key.repeat)
        return self.augment(sample, generator, self._load_another, with_mosaic=key.with_mosaic)

    def load(self, index: int) -> Sample:
        """The placed, not augmented sample; ImageReadError if the file cannot be read."""
        annotated = self.images[index]
        geometry = plan_resize(annotated.size_hw, self.input_hw, self.resize)
        placed = self.cache.get(index) if self.cache else None
        if placed is None:
            placed = place_image(self.load_original(index).image, geometry, self.resize)
            if self.cache:
                self.cache.put(index, placed)
        return Sample(placed, place_boxes(annotated.ground_truth, geometry), index, geometry)

    def load_original(self, index: int) -> Sample:
        """The image as it is in the file, boxes in its own pixels; ImageReadError if the file cannot be read."""
        annotated = self.images[index]
        image = read_image(annotated.path)
        if image.shape[:2] != annotated.size_hw:
            raise ImageReadError(f"{annotated.path}: changed its size since the dataset was read")
        return Sample(image, annotated.ground_truth, index)

    def _load_another(self, generator: np.random.Generator) -> Sample | None:
        index = int(generator.integers(len(self.images)))
        try:
            return self.load(index)
        except ImageReadError:
            # counted when its own turn comes: every epoch visits every image
            return None
