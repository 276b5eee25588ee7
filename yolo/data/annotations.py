"""The annotated images of a split in flat arrays: a few large buffers in place of millions of Python objects.

Loader workers that are forked share these buffers for good, because reading an array writes nothing; Python objects
they would copy one by one, by counting references. `images[k]` makes an ordinary `AnnotatedImage` when asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from yolo.structures import AnnotatedImage, GroundTruth, Int64


class Texts(Sequence[str]):
    """Strings in one buffer; what is no Unicode, such as some file names, survives.

    >>> Texts(["a", "bc"])[1]
    'bc'
    """

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        index = _place(index, len(self))
        start = int(self._ends[index - 1]) if index else 0
        return self._bytes[start : int(self._ends[index])].decode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImages(Sequence[AnnotatedImage]):
    """A sequence of `AnnotatedImage`, stored flat. T objects on n images.

    Attributes:
        image_ids: n ids, each once.
        paths: n image files.
        sizes_hw: (n, 2) int32, height and width in pixels, EXIF orientation applied.
        offsets: (n + 1,) int64; the objects of image k are rows offsets[k] to offsets[k + 1] of `objects`.
        objects: the T objects of all images.
    """

    image_ids: Texts
    paths: Texts
    sizes_hw: NDArray[np.int32]
    offsets: Int64
    objects: GroundTruth

    def __post_init__(self) -> None:
        count = len(self.image_ids)
        if len(self.paths) != count or self.sizes_hw.shape != (count, 2) or self.offsets.shape != (count + 1,):
            raise ValueError(f"expected {count} paths and sizes and {count + 1} offsets")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.objects):
            raise ValueError(f"the offsets must run from 0 to {len(self.objects)}")

    @classmethod
    def of(cls, images: Iterable[AnnotatedImage]) -> AnnotatedImages:
        """Flatten single images."""
        images = list(images)
        counts = [len(image.ground_truth) for image in images]
        return cls(
            image_ids=Texts(image.image_id for image in images),
            paths=Texts(os.fspath(image.path) for image in images),
            sizes_hw=np.asarray([image.size_hw for image in images], np.int32).reshape(-1, 2),
            offsets=np.cumsum([0, *counts], dtype=np.int64),
            objects=GroundTruth.concatenate([image.ground_truth for image in images]),
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    @overload
    def __getitem__(self, index: int) -> AnnotatedImage: ...
    @overload
    def __getitem__(self, index: slice) -> AnnotatedImages: ...
    def __getitem__(self, index: int | slice) -> AnnotatedImage | AnnotatedImages:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        index = _place(index, len(self))
        height, width = self.sizes_hw[index].tolist()
        objects = self.objects[int(self.offsets[index]) : int(self.offsets[index + 1])]
        return AnnotatedImage(self.image_ids[index], Path(self.paths[index]), (height, width), objects)

    def __iter__(self) -> Iterator[AnnotatedImage]:
        return (self[index] for index in range(len(self)))

    @property
    def image_index(self) -> Int64:
        """(T,) int64: which image each object is on, ascending."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def take(self, indices: Int64) -> AnnotatedImages:
        """The images of those places, in that order."""
        counts = np.diff(self.offsets)[indices]
        ends = np.cumsum(counts)
        within = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
        return AnnotatedImages(
            image_ids=Texts(self.image_ids[int(index)] for index in indices),
            paths=Texts(self.paths[int(index)] for index in indices),
            sizes_hw=self.sizes_hw[indices],
            offsets=np.concatenate([np.zeros(1, np.int64), ends]),
            objects=self.objects[np.repeat(self.offsets[indices], counts) + within],
        )


def _place(index: int, length: int) -> int:
    """An index from the start, for one that may count from the end."""
    place = index + length if index < 0 else index
    if not 0 <= place < length:
        raise IndexError(f"there are {length}, none at {index}")
    return place
