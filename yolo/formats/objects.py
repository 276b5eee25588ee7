"""What a source of annotations says before any rule is applied: flat arrays, one row per object.

All formats are read into this. Left out: the rules for boxes (cleaning.py) and for classes (classes.py).
T objects on n images.

The annotated images of a split in flat arrays: a few large buffers in place of millions of Python objects.

Loader workers that are forked share these buffers for good, because reading an array writes nothing; Python objects
they would copy one by one, by counting references. `images[k]` makes an ordinary `AnnotatedImage` when asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int64
from yolo.errors import printable
from yolo.formats.issues import Box, DataIssue
from yolo.structures import AnnotatedImage, GroundTruth

# The annotation file, and the line or object in it, of object `number` of image `image`.
Place = Callable[[int, int], tuple[str, str]]


class RawObject(NamedTuple):
    """One object as the annotation has it; numbers only, so that many make an array."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: int
    image: int
    number: int
    difficult: bool = False
    iscrowd: bool = False
    area: float = np.nan


@dataclass(frozen=True, slots=True, eq=False)
class RawObjects:
    """Objects as annotated.

    Attributes:
        boxes: (T, 4) float64, xyxy pixels of its image; anything, NaN included.
        labels: (T,) int64, place of the class in the names of the source.
        image_index: (T,) int64, ascending.
        numbers: (T,) int64, which object of its file it is, for messages.
        difficult: (T,) bool.
        iscrowd: (T,) bool.
        area: (T,) float64 pixels², NaN where none is stated.
    """

    boxes: Float64
    labels: Int64
    image_index: Int64
    numbers: Int64
    difficult: Bool
    iscrowd: Bool
    area: Float64

    @classmethod
    def of(cls, rows: Sequence[RawObject] | Sequence[Sequence[float]] | Float64) -> RawObjects:
        """From rows with the columns of `RawObject`."""
        table = np.asarray(rows, np.float64).reshape(-1, len(RawObject._fields))
        _, _, _, _, labels, images, numbers, difficult, iscrowd, area = table.T
        return cls(
            boxes=table[:, :4],
            labels=labels.astype(np.int64),
            image_index=images.astype(np.int64),
            numbers=numbers.astype(np.int64),
            difficult=difficult != 0,
            iscrowd=iscrowd != 0,
            area=area,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> RawObjects:
        """Select by mask, slice or index array."""
        return RawObjects(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class RawSource:
    """The images of one source, and what is annotated on them.

    Attributes:
        image_ids: n ids.
        paths: n image files.
        sizes_hw: (n, 2) int32, pixels, EXIF orientation applied.
        objects: on these images.
        class_names: what the labels of `objects` mean.
        place: where an object stands, for messages.
        inclusive: how much the format's lower corners were moved to cover the pixel they name: 1 for VOC, whose
            corners are the first and the last pixel inside, else 0. Swapped corners are put in order with it.
    """

    image_ids: Sequence[str]
    paths: Sequence[str]
    sizes_hw: NDArray[np.int32]
    objects: RawObjects
    class_names: tuple[str, ...]
    place: Place
    inclusive: float = 0.0

    def issue(self, row: int, kind: str, message: str) -> DataIssue:
        """The issue of the object in that row."""
        image = int(self.objects.image_index[row])
        path, where = self.place(image, int(self.objects.numbers[row]))
        x1, y1, x2, y2 = self.objects.boxes[row].tolist()
        box: Box = (x1, y1, x2, y2)
        return DataIssue(printable(path), printable(where), kind, printable(message), printable(self.paths[image]), box)


def sizes_array(sizes: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
    """(n, 2) int32 from pairs of height and width."""
    return np.asarray(sizes, np.int32).reshape(-1, 2)


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
