"""The Pascal VOC devkit's rule on arrays: whom a detection meets, what it counts for, average precision.

The rule, for each class: the detections of all images take turns by descending score. Each looks at the one
object of its class and image with the highest IoU, the first one on equal IoUs, whether it is free or not. If the
IoU does not pass the threshold the detection is false; a difficult object makes it count neither for nor against,
any number of times; a free object makes it true; a taken one makes it false. There is no second choice.

The boxes that the rule sees are those of a VOC file: pixels counted from 1, both ends included. Our box
(x1, y1, x2, y2), continuous from 0, is (x1 + 1, y1 + 1, x2, y2) there, for detections as for objects. The devkit
takes the width as xmax - xmin + 1, which is x2 - x1 again: with `plus_one` the IoU is that of our continuous
boxes. Without it the rule is applied to the numbers of the file as they stand, with widths and heights one pixel
smaller, as programs do that forget the 1. The arithmetic is done on the numbers of the file, in float64 and in the
devkit's order of operations.

Left out: sorting, and everything with names. Source: the VOC2007 and VOC2012 devkits and the Python port in
py-faster-rcnn.

Shape letters: K detections and M objects of all images, k detections of one class by descending score.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.average_precision import precision_envelope

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

Interpolation = Literal["11-point", "all-point"]

# 0.3, 0.6 and 0.7 come out one bit too high, as from np.arange(0, 1.1, 0.1): a recall of exactly 3/10 does not
# reach its point. The Python port has it so, and published numbers depend on it.
RECALL_POINTS: Float64 = np.array([0.1 * step for step in range(11)])

# candidates examined at a time: bounds the memory, some 200 bytes each
_PAIRS_AT_ONCE = 200_000


def best_objects(
    boxes: Float32, group: Int64, *, truth_boxes: Float32, truth_group: Int64, plus_one: bool
) -> tuple[Int64, Float64]:
    """The object that each detection meets: of its group the one with the highest IoU, the first on equal IoUs.

    Args:
        boxes: (K, 4) xyxy of the detections.
        group: (K,) a number for each class of each image.
        truth_boxes: (M, 4) xyxy of the objects.
        truth_group: (M,).
        plus_one: whether widths and heights of the VOC file's boxes get 1 added.

    Returns:
        (K,) index of the object, -1 if the group has none, and (K,) the IoU, 0 where the boxes do not overlap.
    """
    extra = float(plus_one)
    best, best_iou = np.full(len(boxes), -1, np.int64), np.zeros(len(boxes))
    by_group = np.argsort(truth_group, kind="stable")
    first, last = (np.searchsorted(truth_group[by_group], group, side=side) for side in ("left", "right"))
    candidates = np.flatnonzero(last > first)
    filled = np.cumsum((last - first)[candidates]) // _PAIRS_AT_ONCE
    for part in np.split(candidates, np.flatnonzero(np.diff(filled)) + 1) if len(candidates) else ():
        count = last[part] - first[part]
        start = np.cumsum(count) - count  # where the pairs of each detection begin
        row = np.repeat(np.arange(len(part)), count)
        truth = by_group[np.arange(len(row)) - start[row] + first[part][row]]
        iou = _file_iou(boxes[part][row], truth_boxes[truth], extra)
        highest = np.maximum.reduceat(iou, start)
        equal = np.flatnonzero(iou == highest[row])
        _, earliest = np.unique(row[equal], return_index=True)
        best[part], best_iou[part] = truth[equal[earliest]], highest
    return best, best_iou


def judge(matched: Int64, reusable: Bool) -> tuple[Bool, Bool]:
    """What each detection counts for.

    Args:
        matched: (K,) the object each detection meets with enough IoU, -1 for none, in the order of their turns.
        reusable: (M,) difficult objects and crowd regions.

    Returns:
        (K,) true positive and (K,) false positive; neither where a difficult object or crowd region was met.
    """
    claims = np.flatnonzero(matched >= 0)
    ignored = np.zeros(len(matched), np.bool_)
    ignored[claims] = reusable[matched[claims]]
    claims = claims[~ignored[claims]]
    _, earliest = np.unique(matched[claims], return_index=True)
    hit = np.zeros(len(matched), np.bool_)
    hit[claims[earliest]] = True
    return hit, ~(hit | ignored)


def precision_after_each(true_positive: Bool, false_positive: Bool) -> Float64:
    """(k,) share of the detections up to this one that are right, of those that count; 0 before the first of them."""
    hits = true_positive.cumsum()
    precision: Float64 = hits / np.maximum(hits + false_positive.cumsum(), 1)
    return precision


def recall_after_each(true_positive: Bool, npos: int) -> Float64:
    """(k,) share of the objects that is found up to this detection; NaN if there are none to be found."""
    return true_positive.cumsum() / npos if npos else np.full(len(true_positive), math.nan)


def average_precision(true_positive: Bool, false_positive: Bool, npos: int, *, interpolation: Interpolation) -> float:
    """Average precision of one class, 0..1; 0 without detections, NaN without objects to be found.

    Args:
        true_positive: (k,) by descending score.
        false_positive: (k,); neither flag where a detection counts neither for nor against.
        npos: objects to be found.
        interpolation: mean of the best precision at a recall of at least 0, 0.1, ..., 1, or the area under the
            precision envelope over recall.

    >>> hit = np.array([True, False, True])
    >>> round(average_precision(hit, ~hit, 2, interpolation="all-point"), 4)  # 1/2 * 1 + 1/2 * 2/3
    0.8333
    """
    if not npos:
        return math.nan
    if not true_positive.any():
        return 0.0
    envelope = precision_envelope(true_positive, false_positive)
    if interpolation == "all-point":
        # recall rises by 1 / npos at each true positive and nowhere else
        return float(envelope[true_positive].sum() / npos)
    place = np.searchsorted(recall_after_each(true_positive, npos), RECALL_POINTS, side="left")
    return float(np.append(envelope, 0.0)[place].sum() / len(RECALL_POINTS))


def _file_iou(detection: Float32, truth: Float32, extra: float) -> Float64:
    """(P,) IoU of our boxes (P, 4) as the devkit computes it on their numbers in a VOC file; 0 if they do not meet."""
    shift = np.array([1.0, 1.0, 0.0, 0.0])
    dx1, dy1, dx2, dy2 = (detection + shift).T
    tx1, ty1, tx2, ty2 = (truth + shift).T
    width = np.minimum(dx2, tx2) - np.maximum(dx1, tx1) + extra
    height = np.minimum(dy2, ty2) - np.maximum(dy1, ty1) + extra
    meets = (width > 0) & (height > 0)
    both = np.where(meets, width * height, 0.0)
    detection_area = (dx2 - dx1 + extra) * (dy2 - dy1 + extra)
    truth_area = (tx2 - tx1 + extra) * (ty2 - ty1 + extra)
    iou: Float64 = both / np.where(meets, detection_area + truth_area - both, 1.0)
    return iou
