"""Which detection found which object: the one matching rule behind every number of the evaluation.

COCO's protocol, number for number as pycocotools has it, for all images, classes and IoU thresholds at once.
Within a group (one class of one image, or a whole image for the confusion matrix) detections take turns by
descending score, the earlier one first on equal scores. Each takes the free object with the highest IoU of
at least the threshold, the last one on equal IoUs. Objects that count go before ignored ones, whatever their
IoU. Ignored are
    crowd regions   overlap is the share of the detection inside the region; taken any number of times,
    difficult       (Pascal VOC) ordinary IoU; taken any number of times, as in the VOC devkit,
    out of range    objects outside the area range under evaluation; ordinary IoU; taken once.
A detection that took an ignored object counts neither for nor against, and so does one that took nothing and
is itself outside the area range.

Left out here: sorting by score across images, averages, and what to do with the result. Boxes are `xywh` in
float64 because pycocotools' own arithmetic is repeated step by step.

Shape letters: K detections and M objects of all images, P candidate pairs, T thresholds.
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

IOU_THRESHOLDS: Float64 = np.linspace(0.5, 0.95, 10)

# pixels², both ends belong to the range, so 1024 is small and medium
AREA_RANGES: dict[str, tuple[float, float]] = {
    "all": (0.0, 1e5**2),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}

# a threshold of 1 has to admit IoUs that fell just short of 1 by rounding
_HIGHEST_THRESHOLD = 1 - 1e-10

# candidates examined at a time: bounds the memory, some 100 bytes each
_PAIRS_AT_ONCE = 1_000_000


class Pairs(NamedTuple):
    """Detections and objects that overlap enough, by turn, then detection, then the preferred object last."""

    detection: Int64  # (P,) index into the detections
    truth: Int64  # (P,) index into the objects
    iou: Float64  # (P,)
    turn: Int64  # (P,) how many detections of the group with candidates come before


class Verdicts(NamedTuple):
    """What became of each detection at each threshold; neither flag is set where it is ignored."""

    matched: Int64  # (K, T) index of the object taken, -1 for none
    true_positive: Bool  # (K, T)
    false_positive: Bool  # (K, T)
    counted: Bool  # (M,) objects that count, those a detector is asked to find


def xyxy_to_xywh(boxes: NDArray[np.float32]) -> Float64:
    """(…, 4) corners to left, top, width, height in float64.

    >>> xyxy_to_xywh(np.array([1, 2, 4, 8], np.float32)).tolist()
    [1.0, 2.0, 3.0, 6.0]
    """
    corners = boxes.astype(np.float64)
    return np.concatenate((corners[..., :2], corners[..., 2:] - corners[..., :2]), axis=-1)


def rank_in_group(group: Int64, scores: Float64) -> Int64:
    """(K,) place of each detection among those of its group by descending score, 0 first, stable on ties.

    >>> rank_in_group(np.array([7, 7, 3]), np.array([0.1, 0.9, 0.5])).tolist()
    [1, 0, 0]
    """
    order = np.lexsort((-scores, group))
    rank = np.empty(len(group), np.int64)
    rank[order] = _place_in_run(group[order])
    return rank


def find_pairs(detections: DetectionSet, truths: TruthSet, *, per_class: bool = True, min_iou: float = 0.5) -> Pairs:
    """All candidates: pairs of one group whose IoU is at least `min_iou`.

    Args:
        detections: K detections.
        truths: M objects.
        per_class: pair only detections and objects of one class. If False, any class of the same image, but a
            crowd region or difficult object still excuses its own class only, and an object of the
            detection's class is preferred on equal IoUs.
        min_iou: the lowest threshold that will be asked for.
    """
    num_classes = 1 + max(detections.labels.max(initial=0), truths.labels.max(initial=0))
    detection_group, truth_group = (
        part.image_index * num_classes + part.labels if per_class else part.image_index for part in (detections, truths)
    )
    by_score = np.lexsort((-detections.scores, detection_group))
    by_group = np.argsort(truth_group, kind="stable")
    sorted_truth_group = truth_group[by_group]
    first = np.searchsorted(sorted_truth_group, detection_group[by_score], side="left")
    last = np.searchsorted(sorted_truth_group, detection_group[by_score], side="right")

    reusable = truths.reusable
    kept: list[tuple[Int64, Int64, Float64]] = []
    for place, truth_place in _enumerate_runs(first, last):
        detection, truth = by_score[place], by_group[truth_place]
        iou = _overlap(detections, detection, truths, truth)
        same_class = detections.labels[detection] == truths.labels[truth]
        near = (iou >= min(min_iou, _HIGHEST_THRESHOLD)) & (same_class | ~reusable[truth])
        kept.append((place[near], truth[near], iou[near]))
    place, truth, iou = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    detection = by_score[place]
    is_first = _starts_run(place)
    turn = _place_in_run(detection_group[detection[is_first]])[np.cumsum(is_first) - 1]  # (P,)
    same_class = detections.labels[detection] == truths.labels[truth]
    order = np.lexsort((truth, same_class, iou, place, turn))
    return Pairs(detection[order], truth[order], iou[order], turn[order])


def assign(
    pairs: Pairs, *, num_detections: int, ignored: Bool, reusable: Bool, thresholds: Float64
) -> NDArray[np.int64]:
    """Let the detections of all groups take their objects, turn by turn.

    Args:
        pairs: from `find_pairs`.
        num_detections: K.
        ignored: (M,) objects that do not count.
        reusable: (M,) objects that may be taken again, a part of the ignored ones.
        thresholds: (T,) IoU a pair has to reach, none below the `min_iou` the pairs were found with.

    Returns:
        (K, T) index of the object each detection took at each threshold, -1 for none.
    """
    matched = np.full((num_detections, len(thresholds)), -1, np.int64)
    taken = np.zeros((len(ignored), len(thresholds)), np.bool_)
    limits = np.minimum(thresholds, _HIGHEST_THRESHOLD)

    # Within a detection: ignored objects first, then by IoU. The last eligible pair is then the one to take.
    is_first = _starts_run(pairs.detection)
    order = np.argsort(2 * np.cumsum(is_first) + ~ignored[pairs.truth], kind="stable")
    truth, iou = pairs.truth[order], pairs.iou[order]

    bounds = np.flatnonzero(_starts_run(pairs.turn, closed=True))
    for begin, end in pairwise(bounds.tolist()):
        candidate = truth[begin:end]
        free = ~taken[candidate] | reusable[candidate, None]  # (p, T)
        eligible = free & (iou[begin:end, None] >= limits)
        place = np.where(eligible, np.arange(begin, end, dtype=np.int32)[:, None], np.int32(-1))
        starts = np.flatnonzero(is_first[begin:end])
        chosen = np.maximum.reduceat(place, starts, axis=0)  # (detections of this turn, T)
        row, column = np.nonzero(chosen >= 0)
        found = truth[chosen[row, column]]
        matched[pairs.detection[begin + starts[row]], column] = found
        taken[found, column] = True
    return matched


def judge(
    pairs: Pairs,
    detections: DetectionSet,
    truths: TruthSet,
    *,
    area_range: tuple[float, float] = AREA_RANGES["all"],
    thresholds: Float64 = IOU_THRESHOLDS,
) -> Verdicts:
    """True positive, false positive or ignored, for every detection and threshold.

    Args:
        pairs: from `find_pairs` on the same detections and objects.
        detections: K detections.
        truths: M objects.
        area_range: smallest and largest area in pixels² that counts, both included.
        thresholds: (T,) IoU thresholds.
    """
    reusable = truths.reusable
    ignored = reusable | _outside(truths.area, area_range)
    matched = assign(pairs, num_detections=len(detections), ignored=ignored, reusable=reusable, thresholds=thresholds)
    width, height = detections.sizes_wh.T
    outside = _outside(width * height, area_range)
    is_matched = matched >= 0
    # the flag appended is what index -1 reads; it is masked by `is_matched`
    counts = np.append(~ignored, False)[matched]
    return Verdicts(matched, is_matched & counts, ~is_matched & ~outside[:, None], ~ignored)


def _overlap(detections: DetectionSet, detection: Int64, truths: TruthSet, truth: Int64) -> Float64:
    """(P,) IoU of pairs; for crowd regions the share of the detection inside."""
    dx1, dy1, dx2, dy2 = detections.boxes[detection].T
    tx1, ty1, tx2, ty2 = truths.boxes[truth].T
    width = np.minimum(dx2, tx2) - np.maximum(dx1, tx1)
    height = np.minimum(dy2, ty2) - np.maximum(dy1, ty1)
    touches = (width > 0) & (height > 0)
    intersection = np.where(touches, width * height, 0.0)
    own_area = detections.sizes_wh[detection].prod(axis=1)
    union = np.where(truths.iscrowd[truth], own_area, own_area + truths.sizes_wh[truth].prod(axis=1) - intersection)
    result: Float64 = intersection / np.where(touches, union, 1.0)
    return result


def _outside(area: Float64, area_range: tuple[float, float]) -> Bool:
    low, high = area_range
    return (area < low) | (area > high)


def _starts_run(values: Int64, *, closed: bool = False) -> Bool:
    """True where a value differs from the one before; `closed` adds a True behind the last."""
    edges = np.ones(len(values) + 1, np.bool_)
    edges[1:-1] = values[1:] != values[:-1]
    return edges if closed and len(values) else edges[: len(values)]


def _place_in_run(values: Int64) -> Int64:
    """0, 1, 2, ... within each run of equal values."""
    is_first = _starts_run(values)
    place: Int64 = np.arange(len(values)) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    return place


def _enumerate_runs(first: Int64, last: Int64) -> Iterator[tuple[Int64, Int64]]:
    """Yield (i, j) for all first[i] <= j < last[i] as two arrays, in order, a bounded number at a time."""
    count = last - first
    filled = np.cumsum(count) // _PAIRS_AT_ONCE
    for part in np.split(np.arange(len(count)), np.flatnonzero(np.diff(filled)) + 1):
        i = np.repeat(part, count[part])
        j = np.arange(len(i)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        yield i, first[i] + j
