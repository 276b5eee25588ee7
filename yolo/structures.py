"""The few types that travel between the layers: ground truth, samples, batches, detections.

Checked shapes, no maths. Boxes are `xyxy`, absolute pixels of the image named, float32.
Shape letters: N batch, S grid side, B predictors per cell, C classes, M objects of one image,
T objects of a batch, K detections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo.arrays import Bool, Float32, Int64

_COLUMNS = ("labels", "difficult", "iscrowd", "area")  # of a ground truth, beside the boxes
_TARGETS = ("boxes", "labels", "image_index", "ignored")


def _check_rows(owner: Any, count: str, columns: Sequence[str]) -> None:
    """ValueError unless `boxes` is (n, 4) and each of the columns (n,); `count` is the name of n in messages."""
    rows = len(owner.boxes)
    if owner.boxes.shape != (rows, 4):
        raise ValueError(f"boxes must be ({count}, 4), got {tuple(owner.boxes.shape)}")
    for name in columns:
        shape = getattr(owner, name).shape
        if shape != (rows,):
            raise ValueError(f"{name} must be ({rows},), got {tuple(shape)}")


def _box_areas(boxes: Float32) -> Float32:
    x1, y1, x2, y2 = boxes.T
    return np.asarray((x2 - x1) * (y2 - y1))


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """What is annotated on one image."""

    boxes: Float32  # (M, 4) xyxy, pixels of the image it belongs to
    labels: Int64  # (M,) 0-based class index
    difficult: Bool  # (M,) the `difficult` flag of Pascal VOC
    iscrowd: Bool  # (M,) the `iscrowd` flag of COCO
    area: Float32  # (M,) pixels²: COCO's `area` field where there is one, else the area of the box

    def __post_init__(self) -> None:
        _check_rows(self, "M", _COLUMNS)

    @classmethod
    def from_boxes(
        cls, boxes: Any, labels: Any, *, difficult: Any = None, iscrowd: Any = None, area: Any = None
    ) -> GroundTruth:
        """Build from anything array-like; absent flags are False, an absent area is the box's own."""
        boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        count = len(boxes)

        def flags(values: Any) -> Bool:
            return np.zeros(count, bool) if values is None else np.asarray(values, bool).reshape(-1)

        return cls(
            boxes=boxes,
            labels=np.asarray(labels, dtype=np.int64).reshape(-1),
            difficult=flags(difficult),
            iscrowd=flags(iscrowd),
            area=_box_areas(boxes) if area is None else np.asarray(area, dtype=np.float32).reshape(-1),
        )

    @classmethod
    def empty(cls) -> GroundTruth:
        """The ground truth of a background image."""
        return cls.from_boxes(np.zeros((0, 4)), np.zeros(0))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> GroundTruth:
        """Select objects by mask, slice or index array; order follows the index."""
        return GroundTruth(
            self.boxes[index], self.labels[index], self.difficult[index], self.iscrowd[index], self.area[index]
        )

    def with_boxes(self, boxes: Float32) -> GroundTruth:
        """The same objects with other boxes; `area` is scaled by the change of the box area."""
        boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        ratio = _box_areas(boxes) / np.maximum(_box_areas(self.boxes), 1e-9)
        area = (self.area * ratio).astype(np.float32)
        return GroundTruth(boxes, self.labels, self.difficult, self.iscrowd, area)

    @staticmethod
    def concatenate(parts: list[GroundTruth]) -> GroundTruth:
        """All objects of several ground truths, in order."""
        parts = parts or [GroundTruth.empty()]
        return GroundTruth(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", *_COLUMNS)))


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """One image of a dataset: where it is and what is on it."""

    image_id: str  # unique in its dataset; COCO's own id, else the path without suffix below the image folder
    path: Path
    size_hw: tuple[int, int]  # in pixels, EXIF orientation applied
    ground_truth: GroundTruth  # in pixels of that size


@dataclass(frozen=True, slots=True)
class ImageGeometry:
    """How an image was placed on the network's input: input_xy = original_xy * scale_xy + offset_xy.

    Coordinates are continuous, pixel k covers [k, k+1]. Letterbox and stretch are both of this form.
    """

    original_hw: tuple[int, int]
    input_hw: tuple[int, int]
    scale_xy: tuple[float, float]
    offset_xy: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ImageNote:
    """Something odd about an image that was used all the same."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One image as the network will see it."""

    image: NDArray[Any]  # (H, W, 3) RGB: uint8, or float32 in [0, 1] from an augmentation that counts in fractions
    ground_truth: GroundTruth  # in pixels of `image`
    index: int  # place in the dataset
    geometry: ImageGeometry | None = None  # how `image` came from the file; None where several files were mixed
    note: ImageNote | None = None  # what was odd about the file

    def __post_init__(self) -> None:
        image = self.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.float32):
            raise ValueError(f"image must be (H, W, 3) uint8 or float32, got {image.shape} {image.dtype}")


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that was left out of a batch, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one training or validation step receives."""

    images: Tensor  # (N, 3, H, W) RGB, uint8 or float32 in [0, 1]
    targets: Targets  # the objects of all N images
    indices: tuple[int, ...]  # place of each image in the dataset, length N
    geometries: tuple[ImageGeometry | None, ...]  # how each image was placed, length N
    skipped: tuple[SkippedImage, ...] = ()  # images that could not be read; they are not among the N
    notes: tuple[ImageNote, ...] = ()  # what was odd about some of the N

    def __post_init__(self) -> None:
        count = len(self.indices)
        if self.images.ndim != 4 or self.images.shape[:2] != (count, 3):
            raise ValueError(f"images must be ({count}, 3, H, W), got {tuple(self.images.shape)}")
        if len(self.geometries) != count:
            raise ValueError(f"expected {count} geometries, got {len(self.geometries)}")

    def __len__(self) -> int:
        return len(self.indices)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=non_blocking),
            targets=self.targets.to(device, non_blocking=non_blocking),
        )

    def split(self, parts: int, *, smallest: int = 1) -> list[Batch]:
        """At most `parts` batches of one size, the last perhaps smaller; `skipped` and `notes` stay with the first.

        A last one of fewer than `smallest` images is added to the one before.
        """
        size = max(1, -(-len(self) // parts))
        starts = list(range(0, len(self), size))
        if len(starts) > 1 and len(self) - starts[-1] < smallest:
            del starts[-1]
        return [self._slice(start, stop) for start, stop in pairwise([*starts, len(self)])]

    def _slice(self, start: int, stop: int) -> Batch:
        return Batch(
            images=self.images[start:stop],
            targets=self.targets.of_images(start, stop),
            indices=self.indices[start:stop],
            geometries=self.geometries[start:stop],
            skipped=() if start else self.skipped,
            notes=() if start else self.notes,
        )

    def pin_memory(self) -> Batch:
        """Page-locked copy, called by torch's DataLoader."""
        return replace(self, images=self.images.pin_memory(), targets=self.targets.pin_memory())


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The objects of a batch, flat, so that the loss costs what the objects cost."""

    boxes: Tensor  # (T, 4) float32, xyxy, pixels of the network's input
    labels: Tensor  # (T,) int64
    image_index: Tensor  # (T,) int64, which of the N images an object is on, ascending
    ignored: Tensor  # (T,) bool: crowd regions and difficult objects, in no term of the loss
    max_per_image: int  # the most objects on any one image, known on the host so that nobody waits for the device

    def __post_init__(self) -> None:
        _check_rows(self, "T", _TARGETS[1:])

    @classmethod
    def from_ground_truths(cls, ground_truths: Sequence[GroundTruth]) -> Targets:
        """Flatten the ground truth of N images; crowd and difficult objects become ignored ones."""
        counts = [len(one) for one in ground_truths]
        together = GroundTruth.concatenate(list(ground_truths))
        return cls(
            boxes=torch.from_numpy(together.boxes),
            labels=torch.from_numpy(together.labels),
            image_index=torch.repeat_interleave(torch.tensor(counts, dtype=torch.int64)),
            ignored=torch.from_numpy(together.iscrowd | together.difficult),
            max_per_image=max(counts, default=0),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def of_images(self, start: int, stop: int) -> Targets:
        """The objects of the images `start` to `stop` (exclusive), counted from 0 again."""
        own = (self.image_index >= start) & (self.image_index < stop)
        part = self._mapped(lambda values: values[own])
        return replace(part, image_index=part.image_index - start)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Targets:
        """The same targets on another device."""
        return self._mapped(lambda values: values.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Targets:
        """Page-locked copy, so that the copy to a GPU waits for nothing."""
        return self._mapped(torch.Tensor.pin_memory)

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Targets:
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in _TARGETS}
        return replace(self, **changed)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector found on one image."""

    boxes: Tensor  # (K, 4) float32, xyxy, pixels of the image
    scores: Tensor  # (K,) float32, confidence x class probability
    labels: Tensor  # (K,) int64, 0-based class index
    size_hw: tuple[int, int]  # of the image the boxes belong to

    def __post_init__(self) -> None:
        _check_rows(self, "K", ("scores", "labels"))
        if self.labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64, got {self.labels.dtype}")

    @classmethod
    def empty(cls, size_hw: tuple[int, int]) -> Detections:
        """Nothing found."""
        return cls(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), size_hw)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Detections:
        """Select detections by mask, slice or index tensor; order follows the index."""
        return Detections(self.boxes[index], self.scores[index], self.labels[index], self.size_hw)

    def to(self, device: torch.device | str) -> Detections:
        """The same detections on another device."""
        return Detections(self.boxes.to(device), self.scores.to(device), self.labels.to(device), self.size_hw)

    def to_dict(self) -> dict[str, Tensor]:
        """The dict that torchvision and torchmetrics exchange: `boxes`, `scores`, `labels`."""
        return {"boxes": self.boxes, "scores": self.scores, "labels": self.labels}
