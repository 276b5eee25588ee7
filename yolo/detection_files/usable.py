"""Which detections take part: those that are finite, on images and of classes of the ground truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import usable_boxes


class RawDetections(NamedTuple):
    """K detections of a file; boxes in whatever form it has."""

    boxes: Float64  # (K, 4)
    scores: Float64  # (K,)
    image_index: Int64  # (K,) -1 for an unknown image
    labels: Int64  # (K,) -1 for an unknown class


def usable_detections(
    raw: RawDetections,
    remarks: Remarks,
    *,
    place: Callable[[int], str],
    image: Callable[[int], str],
    label: Callable[[int], str],
) -> Int64:
    """The rows that take part, in their order; the others are counted.

    Args:
        raw: the detections.
        remarks: receives the counts.
        place: where in the files the detection of a row is.
        image: how the file calls its image.
        label: how the file calls its class.
    """
    unknown_image, unknown_class = raw.image_index < 0, raw.labels < 0
    remarks.add_rows(
        "unknown_image",
        "a detection is on an image that is not in the ground truth: it is left out",
        unknown_image,
        lambda row: f"{place(row)}, image {image(row)}",
    )
    remarks.add_rows(
        "unknown_class",
        "a detection is of a class that is not in the ground truth: it is left out",
        unknown_class & ~unknown_image,
        lambda row: f"{place(row)}, class {label(row)}",
    )
    known = ~(unknown_image | unknown_class)
    finite = np.isfinite(raw.scores) & usable_boxes(raw.boxes)
    remarks.add_rows(
        "not_finite",
        "a detection has a score or a box that is not a finite number: it is left out (pycocotools would let a box "
        "of NaN match anything)",
        known & ~finite,
        lambda row: f"{place(row)}, image {image(row)}, score {raw.scores[row]:.6g}, box {raw.boxes[row].tolist()}",
    )
    return np.flatnonzero(known & finite)
