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


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


_PER_OBJECT = ("labels", "difficult", "iscrowd", "area")


def _box_areas(boxes: Float32) -> Float32:
    x1, y1, x2, y2 = boxes.T
    return np.asarray((x2 - x1) * (y2 - y1))


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """What is annotated on one image.

    Attributes:
        boxes: (M, 4) float32, xyxy, pixels of the image it belongs to.
        labels: (M,) int64, 0-based class index.
        difficult: (M,) bool, the `difficult` flag of Pascal VOC.
        iscrowd: (M,) bool, the `iscrowd` flag of COCO.
        area: (M,) float32, pixels²: COCO's `area` field where there is one, else the area of the box.
    """

    boxes: Float32
    labels: Int64
    difficult: Bool
    iscrowd: Bool
    area: Float32

    def __post_init__(self) -> None:
        # made several times for every sample: texts are written for errors only
        count = len(self.boxes)
        if self.boxes.shape != (count, 4):
            raise ValueError(f"boxes must be (M, 4), got {self.boxes.shape}")
        columns: tuple[NDArray[Any], ...] = (self.labels, self.difficult, self.iscrowd, self.area)
        for name, values in zip(_PER_OBJECT, columns, strict=True):
            if values.shape != (count,):
                raise ValueError(f"{name} must be ({count},), got {values.shape}")

    @classmethod
    def from_boxes(
        cls,
        boxes: Any,
        labels: Any,
        *,
        difficult: Any = None,
        iscrowd: Any = None,
        area: Any = None,
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
        return GroundTruth(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", *_PER_OBJECT))
        )


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """One image of a dataset: where it is and what is on it.

    Attributes:
        image_id: unique in its dataset; COCO's own id, else the path without suffix below the image folder.
        path: the image file.
        size_hw: height and width in pixels, EXIF orientation applied.
        ground_truth: boxes in pixels of that size.
    """

    image_id: str
    path: Path
    size_hw: tuple[int, int]
    ground_truth: GroundTruth


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
    """One image as the network will see it.

    Attributes:
        image: (H, W, 3) RGB: uint8, or float32 in [0, 1] from an augmentation that counts in fractions.
        ground_truth: boxes in pixels of `image`.
        index: place in the dataset.
        geometry: how `image` came from the file; None where augmentation mixed several files.
        note: what was odd about the file, for people; None where nothing was.
    """

    image: NDArray[Any]
    ground_truth: GroundTruth
    index: int
    geometry: ImageGeometry | None = None
    note: ImageNote | None = None

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
    """What one training or validation step receives.

    Attributes:
        images: (N, 3, H, W) RGB, uint8 or float32 in [0, 1].
        targets: the objects of all N images.
        indices: place of each image in the dataset, length N.
        geometries: how each image was placed, length N.
        skipped: images that could not be read; they are not among the N.
        notes: what was odd about some of the N.
    """

    images: Tensor
    targets: Targets
    indices: tuple[int, ...]
    geometries: tuple[ImageGeometry | None, ...]
    skipped: tuple[SkippedImage, ...] = ()
    notes: tuple[ImageNote, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.indices)
        _check(
            self.images.ndim == 4 and self.images.shape[:2] == (count, 3),
            f"images must be ({count}, 3, H, W), got {tuple(self.images.shape)}",
        )
        _check(len(self.geometries) == count, f"expected {count} geometries, got {len(self.geometries)}")

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
    """The objects of a batch, flat, so that the loss costs what the objects cost.

    Attributes:
        boxes: (T, 4) float32, xyxy, pixels of the network's input.
        labels: (T,) int64.
        image_index: (T,) int64, which of the N images an object is on, ascending.
        ignored: (T,) bool: crowd regions and difficult objects, in no term of the loss.
        max_per_image: the most objects on any one image, known on the host so that nobody waits for the device.
    """

    boxes: Tensor
    labels: Tensor
    image_index: Tensor
    ignored: Tensor
    max_per_image: int

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check(self.boxes.shape == (count, 4), f"boxes must be (T, 4), got {tuple(self.boxes.shape)}")
        for name in ("labels", "image_index", "ignored"):
            shape = tuple(getattr(self, name).shape)
            _check(shape == (count,), f"{name} must be ({count},), got {shape}")

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
        return Targets(
            boxes=self.boxes[own],
            labels=self.labels[own],
            image_index=self.image_index[own] - start,
            ignored=self.ignored[own],
            max_per_image=self.max_per_image,
        )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Targets:
        """The same targets on another device."""
        return self._mapped(lambda values: values.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Targets:
        """Page-locked copy, so that the copy to a GPU waits for nothing."""
        return self._mapped(torch.Tensor.pin_memory)

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Targets:
        names = ("boxes", "labels", "image_index", "ignored")
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in names}
        return replace(self, **changed)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector found on one image.

    Attributes:
        boxes: (K, 4) float32, xyxy, pixels of the image.
        scores: (K,) float32, confidence x class probability.
        labels: (K,) int64, 0-based class index.
        size_hw: height and width of the image the boxes belong to.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    size_hw: tuple[int, int]

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check(self.boxes.shape == (count, 4), f"boxes must be (K, 4), got {tuple(self.boxes.shape)}")
        for name in ("scores", "labels"):
            shape = tuple(getattr(self, name).shape)
            _check(shape == (count,), f"{name} must be ({count},), got {shape}")
        _check(self.labels.dtype == torch.int64, f"labels must be int64, got {self.labels.dtype}")

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
