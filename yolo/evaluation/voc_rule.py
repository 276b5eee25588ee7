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

Candidates and their overlap come from `candidates`, as for COCO's rule; the order of turns from `ranking`. The
devkit sorts by score alone, here stably: equal scores keep the order of the detections, that is of the lines.

Left out: everything with names. Source: the VOC2007 and VOC2012 devkits and the Python port in
py-faster-rcnn.

Shape letters: K detections and M objects of all images, k detections of one class by descending score.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import Problem
from yolo.evaluation.average_precision import precision_envelope
from yolo.evaluation.candidates import Grouped, Pairs, find_pairs, sort_by_group, voc_overlap
from yolo.evaluation.ranking import Ranking, starts_run

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

Interpolation = Literal["11-point", "all-point"]
# by the devkit that asks for it
INTERPOLATIONS: dict[str, Interpolation] = {"voc07": "11-point", "voc10": "all-point"}

# 0.3, 0.6 and 0.7 come out one bit too high, as from np.arange(0, 1.1, 0.1): a recall of exactly 3/10 does not
# reach its point. The Python port has it so, and published numbers depend on it.
RECALL_POINTS: Float64 = np.array([0.1 * step for step in range(11)])


def meet(problem: Problem, ranking: Ranking, *, match_iou: float, plus_one: bool, strict: bool) -> Int64:
    """The object that each detection meets with enough IoU, -1 for none.

    Args:
        problem: what is evaluated.
        ranking: who takes part.
        match_iou: IoU to pass, above 0.
        plus_one: whether widths and heights of the VOC file's boxes get 1 added.
        strict: whether an IoU equal to `match_iou` is too little.

    Returns:
        (K,) place of the object.
    """
    truths = problem.truths
    pairs = find_pairs(
        Grouped(ranking.by_group, ranking.group),
        sort_by_group(truths.labels * max(len(problem.images), 1) + truths.image_index),
        voc_overlap(problem.detections, truths, plus_one=plus_one),
        least=match_iou,
    )
    best = best_of_each(pairs)
    if strict:
        best = best[pairs.overlap[best] > match_iou]
    matched = np.full(len(problem.detections), -1, np.int64)
    matched[pairs.detection[best]] = pairs.truth[best]
    return matched


def best_of_each(pairs: Pairs) -> Int64:
    """Which pair of each detection has the highest overlap, the first object on equal ones."""
    new_place = starts_run(pairs.place)
    new_overlap = new_place | starts_run(pairs.overlap)
    # where the run of equal overlaps of one detection begins, that each pair is in
    begins = np.maximum.accumulate(np.where(new_overlap, np.arange(len(new_overlap)), 0))
    best: Int64 = begins[np.append(new_place[1:], True)] if len(begins) else begins
    return best


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
