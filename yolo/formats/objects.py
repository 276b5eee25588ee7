"""What the readers of all formats yield, `RawSource`, and what training makes of it, `AnnotatedImages`.

`AnnotatedImages` are a few large buffers in place of millions of Python objects: loader workers that are forked share
these for good, because reading an array writes nothing, while counting references would copy Python objects one by
one. Left out: the policies for boxes (data/cleaning.py, engine/ground_truth_files.py) and classes (data/classes.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.detection_sets import TruthSet
from yolo.errors import printable, printable_text
from yolo.formats.issues import DataIssue
from yolo.structures import AnnotatedImage, GroundTruth

# How many pixels a box may reach over its image without a word: VOC's 1-based pixels and rounding in exporters move
# borders by up to one.
SILENT_CLIP = 1.0 + 1e-6


class RawObject(NamedTuple):
    """One object as annotated; numbers only, so that many make an array."""

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


class RecordFiles(NamedTuple):
    """The annotation files of a source, of the formats whose copies keep what is not read."""

    format: Literal["coco", "voc"]
    paths: Sequence[str]  # one (COCO), or one for each image, which need not exist (VOC)


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Where n images and the T objects on them stand in the files that they were read from."""

    sources: tuple[RecordFiles | None, ...]
    source_of_image: Int64  # (n,) place in `sources`
    image_numbers: Int64  # (n,) place in COCO's `images`, or in the paths of the source
    object_numbers: Int64  # (T,) place in COCO's `annotations`; in the file of the image, from 1, in other formats

    def take(self, images: Any, objects: Any) -> Records:
        """Those of some images and objects, by mask or index array."""
        return Records(
            self.sources, self.source_of_image[images], self.image_numbers[images], self.object_numbers[objects]
        )


@dataclass(frozen=True, slots=True, eq=False)
class RawSource:
    """The images of one source and the objects on them as they are annotated, before any policy. T objects, n images.

    Image files that are not there, and sizes that are not known, are for evaluations only. Of `objects`, boxes may be
    anything, NaN included, and `area` is NaN where none is stated.
    """

    image_ids: Sequence[str]
    paths: Sequence[str]  # n image files; "" where there is none
    sizes_hw: Int32  # (n, 2) pixels, EXIF orientation applied; 0 where unknown
    objects: TruthSet  # by image
    numbers: Int64  # (T,) which object of its file each is, for messages
    class_names: tuple[str, ...]  # what the labels of `objects` mean
    place: Callable[[int, int], tuple[str, str]]  # (image, number) -> annotation file, and line or object in it
    file_names: Sequence[str] = ()  # n names by which detections may name an image; empty for `paths`
    category_ids: tuple[int, ...] | None = None  # COCO's id of each class; None where there is none
    # How much the format's lower corners were moved to cover the pixel they name: 1 for VOC, whose corners are the
    # first and the last pixel inside. Swapped corners are put in order with it.
    inclusive: float = 0.0
    files: RecordFiles | None = None  # None for formats without such copies
    image_numbers: Int64 | None = None  # (n,) which record of `files` each image is

    def issue(self, row: int, kind: str, message: str) -> DataIssue:
        """The issue of the object in that row."""
        image = int(self.objects.image_index[row])
        path, where = self.place(image, int(self.numbers[row]))
        x1, y1, x2, y2 = self.objects.boxes[row].tolist()
        return DataIssue(
            printable(path),
            printable(where),
            kind,
            printable_text(message),
            printable(self.paths[image]),
            (x1, y1, x2, y2),
        )

    def with_objects(self, rows: Any, **changed: Any) -> RawSource:
        """Only these objects, by mask or index array, with other columns where `changed` has some."""
        return replace(self, objects=replace(self.objects[rows], **changed), numbers=self.numbers[rows])


def object_columns(rows: Sequence[RawObject] | Float64) -> tuple[TruthSet, Int64]:
    """`objects` and `numbers` of a `RawSource`, from rows with the columns of `RawObject`."""
    table = np.asarray(rows, np.float64).reshape(-1, len(RawObject._fields))
    _, _, _, _, labels, images, numbers, difficult, iscrowd, area = table.T
    with np.errstate(over="ignore", invalid="ignore"):
        objects = TruthSet.from_xyxy(
            table[:, :4],
            labels.astype(np.int64),
            images.astype(np.int64),
            iscrowd=iscrowd != 0,
            difficult=difficult != 0,
            area=area,
        )
    return objects, numbers.astype(np.int64)


def repeated_rows(columns: Sequence[Int64 | Float64]) -> Bool:
    """(K,) whether an earlier row is the same in all columns, each (K,) int64 or float64."""
    bits = [(column + 0.0 if column.dtype == np.float64 else column).view(np.int64) for column in columns]  # no -0.0
    mixed = np.zeros(len(bits[0]), np.uint64)
    for column in bits:
        mixed = (mixed ^ column.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    # equal sums are nearly always equal rows; the rows of equal sums are sorted by everything
    alike = mixed[order][1:] == mixed[order][:-1]
    rows = np.sort(order[np.append(alike, False) | np.append(False, alike)] if len(order) else order)
    rows = rows[np.lexsort([column[rows] for column in bits])]
    same = np.ones(max(0, len(rows) - 1), bool)
    for column in bits:
        same &= column[rows][1:] == column[rows][:-1]
    repeated = np.zeros(len(order), bool)
    repeated[rows[1:][same]] = True
    return repeated


def sizes_array(sizes: Sequence[tuple[int, int]]) -> Int32:
    """(n, 2) int32 from pairs of height and width."""
    return np.asarray(sizes, np.int32).reshape(-1, 2)


class StringArray(Sequence[str]):
    """Strings in one buffer; file names that are not Unicode survive.

    >>> StringArray(["a", "bc"])[1]
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
    """A sequence of `AnnotatedImage`, stored flat. T objects on n images."""

    image_ids: StringArray  # n ids, each once
    paths: StringArray  # n image files
    sizes_hw: Int32  # (n, 2) height and width in pixels, EXIF orientation applied
    offsets: Int64  # (n + 1,) the objects of image k are rows offsets[k] to offsets[k + 1] of `objects`
    objects: GroundTruth  # the T objects of all images
    records: Records | None = None  # where they were read; None for images that were not

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
            image_ids=StringArray(image.image_id for image in images),
            paths=StringArray(os.fspath(image.path) for image in images),
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
        rows = np.repeat(self.offsets[indices], counts) + within
        return AnnotatedImages(
            image_ids=StringArray(self.image_ids[int(index)] for index in indices),
            paths=StringArray(self.paths[int(index)] for index in indices),
            sizes_hw=self.sizes_hw[indices],
            offsets=np.concatenate([np.zeros(1, np.int64), ends]),
            objects=self.objects[rows],
            records=None if self.records is None else self.records.take(indices, rows),
        )


def _place(index: int, length: int) -> int:
    """An index from the start, for one that may count from the end."""
    place = index + length if index < 0 else index
    if not 0 <= place < length:
        raise IndexError(f"there are {length}, none at {index}")
    return place
