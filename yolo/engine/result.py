"""`Result`: what a detector found on one image, with what it needs to be shown, saved and passed on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from yolo.structures import Detections


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Time that an image took, in seconds; in a batch its share of it."""

    preprocess: float = 0.0  # resizing and moving to the device
    inference: float = 0.0  # the network
    postprocess: float = 0.0  # decoding, suppression, restoring


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What was found on one image, by falling score.

    It has a length, is iterated over detection by detection, and indexed as tensors are.
    """

    detections: Detections  # in pixels of the image
    class_names: tuple[str, ...]  # of the detector, by label
    category_ids: tuple[int, ...] | None = None  # of the COCO dataset it was trained on, by label
    image: NDArray[np.uint8] | None = None  # (H, W, 3) RGB
    source: str | None = None  # path, address or device that it is from; None for an array
    frame: int | None = None  # number of the frame in its video or stream, from 0
    time: float | None = None  # seconds from the start of the video or stream
    fps: float | None = None  # of the video
    track_ids: Tensor | None = None  # (K,) int64, where objects are tracked; -1 for none
    seconds: StageSeconds = StageSeconds()

    @property
    def boxes(self) -> Tensor:
        """(K, 4) float32, x1 y1 x2 y2 in pixels of the image."""
        return self.detections.boxes

    @property
    def scores(self) -> Tensor:
        """(K,) float32."""
        return self.detections.scores

    @property
    def labels(self) -> Tensor:
        """(K,) int64, indices into `class_names`."""
        return self.detections.labels

    @property
    def names(self) -> list[str]:
        """Class name of each detection."""
        return [self.class_names[label] for label in self.labels.tolist()]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.detections.size_hw

    def __len__(self) -> int:
        return len(self.detections)

    def __getitem__(self, index: Any) -> Result:
        """Select detections by mask, slice or index tensor; order follows the index."""
        track_ids = None if self.track_ids is None else self.track_ids[index]
        return replace(self, detections=self.detections[index], track_ids=track_ids)
