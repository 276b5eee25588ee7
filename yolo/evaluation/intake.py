"""What evaluators take in: one image's detections as arrays of their own, checked against its ground truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.errors import DataError
from yolo.structures import Detections, GroundTruth


class FoundOnImage(NamedTuple):
    """Detections of one image or, with their images, of all."""

    boxes: NDArray[np.float32]  # (K, 4) xyxy
    scores: NDArray[np.float32]  # (K,)
    labels: NDArray[np.int64]  # (K,)


def take_in(image_id: str, detections: Detections, ground_truth: GroundTruth, num_classes: int) -> FoundOnImage:
    """The detections of an image as arrays that share no memory with them.

    Raises:
        ValueError: a detection is not finite.
        DataError: a class index from `num_classes` on, or an object that is not finite.
    """
    found = FoundOnImage(
        # copies: a view would keep the tensors of the whole batch alive
        np.array(detections.boxes.detach().float().cpu().numpy(), np.float32),
        np.array(detections.scores.detach().float().cpu().numpy(), np.float32),
        np.array(detections.labels.cpu().numpy(), np.int64),
    )
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise ValueError(f"image {image_id!r}: a detection has a box or score that is not finite")
    if not (np.isfinite(ground_truth.boxes).all() and np.isfinite(ground_truth.area).all()):
        raise DataError(f"image {image_id!r}: an annotated box or area is not finite; correct the annotation")
    _check_labels(image_id, found.labels, num_classes, "a detection")
    _check_labels(image_id, ground_truth.labels, num_classes, "an annotated object")
    return found


def _check_labels(image_id: str, labels: NDArray[np.int64], num_classes: int, what: str) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"image {image_id!r}: {what} has class {wrong[0]} (counted from 0), but there are "
            f"{num_classes} class names; check that weights and dataset have the same classes"
        )
