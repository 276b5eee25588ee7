"""What a source of annotations says before any rule is applied: flat arrays, one row per object.

All formats are read into this. Left out: the rules for boxes (cleaning.py) and for classes (classes.py).
T objects on n images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.data.account import Box, DataIssue, printable
from yolo.structures import Bool, Int64

Float64 = NDArray[np.float64]
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
