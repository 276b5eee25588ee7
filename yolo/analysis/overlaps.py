"""How detections and objects of one image overlap, whatever their classes: the nearest of each.

Matching asks who took what; here nothing is taken, and pairs far below a matching threshold are seen too. Pairs are
made a bounded number at a time and reduced at once, so an image with a million detections costs time, not memory.
The arithmetic is that of `evaluation.matching`, so an IoU is the same number there and here.

Shape letters: K detections, M objects, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import DetectionSet, TruthSet

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# some 150 bytes each
_PAIRS_AT_ONCE = 300_000


class Nearest(NamedTuple):
    """For each detection the object that it overlaps most; -1 and 0 where it overlaps none."""

    own: Int64  # (K,) index of an object of its class
    own_iou: Float64  # (K,)
    other: Int64  # (K,) index of an object of another class
    other_iou: Float64  # (K,)


class NearestDetection(NamedTuple):
    """For each object the detection of any class that overlaps it most; -1 and 0 where none does."""

    detection: Int64  # (M,)
    iou: Float64  # (M,)


def nearest_objects(detections: DetectionSet, truths: TruthSet, among: Bool) -> Nearest:
    """The nearest object of the same class and of another one; the last of equal IoUs.

    Args:
        detections: K detections.
        truths: M objects.
        among: (M,) objects to look at.
    """
    count = len(detections)
    nearest = Nearest(np.full(count, -1), np.zeros(count), np.full(count, -1), np.zeros(count))
    places = np.flatnonzero(among)
    truths = truths[places]
    for detection, truth, overlap in overlapping_pairs(detections, truths):
        is_own = detections.labels[detection] == truths.labels[truth]
        for mask, best, best_iou in (
            (is_own, nearest.own, nearest.own_iou),
            (~is_own, nearest.other, nearest.other_iou),
        ):
            row, place = _last_highest(detection[mask], overlap[mask])
            best[row] = places[truth[mask][place]]
            best_iou[row] = overlap[mask][place]
    return nearest


def nearest_detections(detections: DetectionSet, truths: TruthSet) -> NearestDetection:
    """The detection of any class that overlaps each object most; any one of equal IoUs."""
    nearest = NearestDetection(np.full(len(truths), -1), np.zeros(len(truths)))
    for detection, truth, overlap in overlapping_pairs(detections, truths):
        np.maximum.at(nearest.iou, truth, overlap)
        best = overlap == nearest.iou[truth]
        nearest.detection[truth[best]] = detection[best]
    return nearest


def highest_overlap(detections: DetectionSet, truths: TruthSet) -> Float64:
    """(K,) highest overlap with any object: IoU, of crowd regions the share of the detection inside."""
    highest = np.zeros(len(detections))
    for detection, _, overlap in overlapping_pairs(detections, truths):
        np.maximum.at(highest, detection, overlap)
    return highest


def overlapping_pairs(detections: DetectionSet, truths: TruthSet) -> Iterator[tuple[Int64, Int64, Float64]]:
    """Yield (detection, object, overlap) of pairs of one image that overlap, all pairs of a detection together.

    Overlap is IoU, and of crowd regions the share of the detection inside, as COCO has it.
    """
    by_image = np.argsort(detections.image_index, kind="stable")
    truth_order = np.argsort(truths.image_index, kind="stable")
    truth_images = truths.image_index[truth_order]
    first = np.searchsorted(truth_images, detections.image_index[by_image], side="left")
    count = np.searchsorted(truth_images, detections.image_index[by_image], side="right") - first
    filled = np.cumsum(count)
    cuts = np.searchsorted(filled, np.arange(0, filled[-1] if len(filled) else 0, _PAIRS_AT_ONCE), side="right")
    for begin, end in pairwise(np.unique(np.append(cuts, len(count))).tolist()):
        part, runs = by_image[begin:end], count[begin:end]
        detection = np.repeat(part, runs)
        start = np.repeat(first[begin:end] - (filled[begin:end] - runs), runs)  # of the run, less what came before
        truth = truth_order[start + np.arange(filled[end - 1] - len(detection), filled[end - 1])]
        touches, intersection = _intersection(detections.boxes, detection, truths.boxes, truth)
        detection, truth = detection[touches], truth[touches]
        own_area = detections.sizes_wh[detection].prod(axis=1)
        union = own_area + truths.sizes_wh[truth].prod(axis=1) - intersection
        yield detection, truth, intersection / np.where(truths.iscrowd[truth], own_area, union)


def _intersection(boxes: Float64, row: Int64, other_boxes: Float64, other_row: Int64) -> tuple[Bool, Float64]:
    """(P,) whether two boxes overlap, and the common area of those that do."""
    dx1, dy1, dx2, dy2 = boxes[row].T
    tx1, ty1, tx2, ty2 = other_boxes[other_row].T
    width = np.minimum(dx2, tx2) - np.maximum(dx1, tx1)
    height = np.minimum(dy2, ty2) - np.maximum(dy1, ty1)
    touches = (width > 0) & (height > 0)
    area: Float64 = width[touches] * height[touches]
    return touches, area


def _last_highest(group: Int64, values: Float64) -> tuple[Int64, Int64]:
    """Of each run of equal `group`: the group, and the place of its highest value, the last of equal ones.

    >>> group, place = _last_highest(np.array([4, 4, 4, 2]), np.array([0.3, 0.3, 0.1, 0.2]))
    >>> group.tolist(), place.tolist()
    ([4, 2], [1, 3])
    """
    if not group.size:
        return group, group
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    highest = np.repeat(np.maximum.reduceat(values, starts), np.diff(np.append(starts, len(group))))
    candidates = np.where(values == highest, np.arange(len(group)), -1)
    return group[starts], np.maximum.reduceat(candidates, starts)
