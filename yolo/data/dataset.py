"""Annotated images as samples for torch's loader.

Keys say everything: which image, which epoch, which other images it may be mixed with. No state changes in a worker,
so a sample is the same in any worker. An image that cannot be read becomes a `SkippedImage`, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple, Protocol

import numpy as np
from torch.utils.data import Dataset

from yolo.data.cache import ImageCache, ImageFile, fit_to_size, read_placed
from yolo.errors import ImageReadError
from yolo.geometry import ResizeMode
from yolo.images import FULL_DEPTH, decode_image
from yolo.randomness import sample_generator
from yolo.structures import AnnotatedImage, Sample, SkippedImage


class SampleKey(NamedTuple):
    """What is asked of the dataset."""

    epoch: int
    image_index: int
    with_mosaic: bool = False  # whether it may be mixed with others at all
    repeat: int = 0  # how often the epoch has drawn this image before
    partners: tuple[int, ...] = ()  # the images it may be mixed with, in the order of their use


class Augment(Protocol):
    """Augmentation of one sample; see `transforms.augment.TrainTransform`.

    Attributes:
        wants_original: it takes the image as it is in the file and places it on the input itself.
    """

    wants_original: bool

    def __call__(
        self,
        sample: Sample,
        generator: np.random.Generator,
        load_partners: Callable[[], Sequence[Sample]],
        *,
        with_mosaic: bool,
    ) -> Sample:
        """Return a changed copy of `sample`; nothing that it is given may be written to."""


class Watch(Protocol):
    """Who wants to know which image is read; see `watched.ReadingWatch`."""

    def read(self, image: int, read: Callable[[], Sample]) -> Sample:
        """What `read` gives of an image, by its place; ImageReadError if it must not be read, or takes too long."""

    def end(self) -> None:
        """No image is read."""


@dataclass(eq=False)
class DetectionDataset(Dataset[Sample | SkippedImage]):
    """Samples of a split."""

    images: Sequence[AnnotatedImage]
    _: KW_ONLY
    input_hw: tuple[int, int]  # height and width of the network's input
    resize: ResizeMode  # how images are placed on it
    bit_depth: int = FULL_DEPTH  # bits that the samples of 16-bit images use
    augment: Augment | None = None  # changes a placed sample; None for validation, whose images are decoded in full
    seed: int = 0  # of the run
    cache: ImageCache | None = None  # keeps placed images; None to decode every time
    watch: Watch | None = None  # in whose sight images are read

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey) -> Sample | SkippedImage:
        """The sample of a key, or the reason why there is none."""
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: list[SampleKey]) -> list[Sample | SkippedImage]:
        """The samples of a batch; torch asks for them in this way. An image that several samples need is read once."""
        last_use = {index: place for place, key in enumerate(keys) for index in (key.image_index, *key.partners)}
        read: dict[int, Sample | SkippedImage] = {}

        def load(index: int) -> Sample | SkippedImage:
            if index not in read:
                read[index] = self._read(index)
            return read[index]

        samples = []
        for place, key in enumerate(keys):
            samples.append(self._make(key, load))
            for index in (key.image_index, *key.partners):
                if last_use[index] == place:
                    read.pop(index, None)
        if self.watch is not None:
            self.watch.end()
        return samples

    def load(self, index: int) -> Sample:
        """The placed, not augmented sample; ImageReadError if the file cannot be read."""
        annotated = self.images[index]
        file = ImageFile(index, annotated.path, annotated.size_hw, self.bit_depth)
        placed = self.cache.get(file) if self.cache else None
        if placed is None:
            placed = read_placed(file, self.input_hw, self.resize, may_reduce=self.may_reduce)
            if self.cache:
                self.cache.put(file, placed)
        ground_truth, note = fit_to_size(annotated, placed.size_hw)
        geometry = placed.geometry(self.resize) if placed.reduction == 1 else None
        return Sample(placed.pixels, placed.place(ground_truth, self.resize), index, geometry, note)

    def load_original(self, index: int) -> Sample:
        """The image as it is in the file, boxes in its own pixels; ImageReadError if the file cannot be read."""
        annotated = self.images[index]
        file = ImageFile(index, annotated.path, annotated.size_hw)
        image = decode_image(file.data, name=str(annotated.path), bit_depth=self.bit_depth)
        ground_truth, note = fit_to_size(annotated, (image.shape[0], image.shape[1]))
        return Sample(image, ground_truth, index, note=note)

    @property
    def may_reduce(self) -> bool:
        """Whether images may be decoded to a smaller size: in training only, so that measured numbers stay."""
        return self.augment is not None

    def _read(self, index: int) -> Sample | SkippedImage:
        as_it_is = self.augment is not None and self.augment.wants_original
        return self.read(index, self.load_original if as_it_is else self.load)

    def read(self, index: int, load: Callable[[int], Sample]) -> Sample | SkippedImage:
        """The sample that `load` or `load_original` gives, or the reason why there is none."""
        try:
            return load(index) if self.watch is None else self.watch.read(index, lambda: load(index))
        except ImageReadError as error:
            return SkippedImage(str(self.images[index].path), str(error))

    def _make(self, key: SampleKey, load: Callable[[int], Sample | SkippedImage]) -> Sample | SkippedImage:
        sample = load(key.image_index)
        if self.augment is None or isinstance(sample, SkippedImage):
            return sample

        def load_partners() -> list[Sample]:
            # one that cannot be read is reported when its own turn comes: every epoch visits every image
            return [one for one in map(load, key.partners) if isinstance(one, Sample)]

        generator = sample_generator(self.seed, key.epoch, key.image_index, repeat=key.repeat)
        return self.augment(sample, generator, load_partners, with_mosaic=key.with_mosaic)
