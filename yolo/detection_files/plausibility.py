"""Boxes and scores that look like something else than the format says: told, never changed.

A share of boxes decides, because single odd boxes are what detectors make. Shape letters: K boxes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import GroundTruthFiles, TruthPart
from yolo.detection_sets import DetectionSet

_FEWEST = 5  # boxes that say anything about a file
_NEARLY_ALL = 0.98
_MANY = 0.3
_OVERSHOOT = 1.02  # of the image's side: detectors that do not clip go a little over
_LARGEST_FRACTION = 1.5
_SMALLEST_PICTURE = 16  # pixels; in smaller ones fractions and pixels look alike
_COCO_LIMIT = 100
_SUSPECT_XYXY = (
    "the boxes look like x1, y1, x2, y2 where x, y, width, height is expected: most reach beyond their image as they "
    "stand, and fit it as corners; if so every number here is wrong: write the boxes again as width and height"
)
_SUSPECT_XYWH = (
    "the boxes look like x, y, width, height where the corners xmin, ymin, xmax, ymax are expected: many end before "
    "they begin, and fit their image as width and height; if so every number here is wrong: write the corners"
)
_SUSPECT_FRACTIONS = (
    "the boxes look like fractions of the image (nearly all numbers are 0 to 1) where pixels are expected; if so "
    "every number here is wrong: multiply by width and height"
)


class _Boxes(NamedTuple):
    """Boxes on images whose size is known."""

    corners: Float64  # (K, 4)
    sides: Float64  # (K, 2) width and height
    limits: Float64  # (K, 2) width and height of the image


def remark_odd_truths(part: TruthPart, remarks: Remarks) -> None:
    """Look at annotated boxes."""
    truths = part.truths
    own = _on_known_images(truths.boxes, truths.sizes_wh, part.sizes_hw, truths.image_index)
    _remark_on_form(own, remarks, "truth")


def remark_odd_detections(detections: DetectionSet, truth: GroundTruthFiles, remarks: Remarks) -> bool:
    """Look at detections: the form of boxes, empty ones, scores, repetitions, crowds of them.

    Returns:
        Whether the boxes look like another form.
    """
    own = _on_known_images(detections.boxes, detections.sizes_wh, truth.images.sizes_hw, detections.image_index)
    suspicious = _remark_on_form(own, remarks, "detection")

    def place(row: int) -> str:
        image = truth.images.image_ids[int(detections.image_index[row])]
        name = truth.class_names[int(detections.labels[row])]
        return f"image {image}, {name}, score {detections.scores[row]:.6g}, box {_text(detections.boxes[row])}"

    if not len(detections):
        remarks.add("no_detections", "there is not one detection")
        return False
    remarks.add_rows(
        "score_outside_range",
        "a score is not in 0 to 1: it is kept, and ranks as it stands; calibration and thresholds expect 0 to 1",
        (detections.scores < 0) | (detections.scores > 1),
        place,
    )
    remarks.add_rows(
        "empty_box",
        "a detected box has no width or no height, or a negative one: it is kept, and can match nothing",
        (detections.sizes_wh <= 0).any(axis=1),
        place,
    )
    remarks.add_rows(
        "repeated_detection",
        "a detection is there already, with the same image, class, score and box: it is kept, and counts as false",
        _repeats(detections),
        place,
    )
    _remark_on_numbers(detections, truth, remarks)
    return suspicious


def _on_known_images(boxes: Float64, sides: Float64, sizes_hw: Int32, image_index: Int64) -> _Boxes:
    limits = sizes_hw[image_index][:, ::-1].astype(np.float64)
    known = (limits > 0).all(axis=1)
    return _Boxes(boxes[known], sides[known], limits[known])


def _remark_on_form(boxes: _Boxes, remarks: Remarks, what: str) -> bool:
    count = len(boxes.limits)
    if count < _FEWEST:
        return False
    low, high, limits = boxes.corners[:, :2], boxes.corners[:, 2:], boxes.limits * _OVERSHOOT
    fits_as_corners = ((boxes.sides > low) & (boxes.sides <= limits)).all(axis=1)
    reaches_out = (high > limits).any(axis=1)
    fits_as_sides = ((high >= 0) & (low + high <= limits)).all(axis=1)
    inverted = (high < low).any(axis=1)
    small = (np.abs(np.concatenate((low, boxes.sides), axis=1)) <= _LARGEST_FRACTION).all(axis=1)
    large_picture = (boxes.limits >= _SMALLEST_PICTURE).all(axis=1)
    if (small & large_picture).mean() >= _NEARLY_ALL:
        remarks.add(f"{what}_boxes_look_normalised", _SUSPECT_FRACTIONS, count=count)
    elif fits_as_corners.mean() >= _NEARLY_ALL and reaches_out.mean() >= _MANY:
        remarks.add(f"{what}_boxes_look_like_xyxy", _SUSPECT_XYXY, count=count)
    elif fits_as_sides.mean() >= _NEARLY_ALL and inverted.mean() >= _MANY:
        remarks.add(f"{what}_boxes_look_like_xywh", _SUSPECT_XYWH, count=count)
    else:
        return False
    return True


def _repeats(detections: DetectionSet) -> Bool:
    """(K,) whether an earlier detection is the same in everything."""
    columns = [detections.image_index, detections.labels]
    numbers = (detections.scores, *detections.boxes.T, *detections.sizes_wh.T)
    columns += [(np.ascontiguousarray(column) + 0.0).view(np.int64) for column in numbers]  # -0.0 becomes 0.0
    mixed = np.zeros(len(detections), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    repeated = np.zeros(len(detections), bool)
    earlier, later = order[:-1], order[1:]
    alike = np.flatnonzero(mixed[earlier] == mixed[later])  # nearly always the same; looked at one by one
    earlier, later = earlier[alike], later[alike]
    same = np.ones(len(alike), bool)
    for column in columns:
        same &= column[earlier] == column[later]
    repeated[later[same]] = True
    return repeated


def _remark_on_numbers(detections: DetectionSet, truth: GroundTruthFiles, remarks: Remarks) -> None:
    """Say where there are more of a class on an image than COCO's numbers look at."""
    group = detections.image_index * len(truth.class_names) + detections.labels
    groups, counts = np.unique(group, return_counts=True)
    for place in np.flatnonzero(counts > _COCO_LIMIT).tolist():
        image, label = divmod(int(groups[place]), len(truth.class_names))
        remarks.add(
            "beyond_detection_limit",
            f"a detection is not among the best {_COCO_LIMIT} of its class and image: COCO's numbers leave it out",
            f"image {truth.images.image_ids[image]}, {truth.class_names[label]}: {counts[place]:,} detections",
            int(counts[place]) - _COCO_LIMIT,
        )


def _text(box: Float64) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box.tolist()) + ")"
