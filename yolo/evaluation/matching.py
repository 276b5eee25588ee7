"""Which detection found which object, by COCO's rule: the matching behind every number but those of Pascal VOC.

COCO's protocol, number for number as pycocotools has it. Within a group (one class of one image) detections take
turns by descending score, the earlier one first on equal scores. Each takes the free object with the highest IoU
of at least the threshold, the last one on equal IoUs. Objects that count go before ignored ones, whatever their
IoU. Ignored are
    crowd regions   overlap is the share of the detection inside the region; taken any number of times,
    difficult       (Pascal VOC) ordinary IoU; taken any number of times, as in the VOC devkit,
    out of range    objects outside the area range under evaluation; ordinary IoU; taken once.
A detection that took an ignored object counts neither for nor against, and so does one that took nothing and
is itself outside the area range.

Where the speed comes from. Most detections overlap no object of their class and image by the lowest threshold:
what they count for follows from their area, and they are not looked at (`candidates`). The others take turns all
at once: first the best of every group, then the second best of every group, and so on, for all IoU thresholds and
area ranges together. So there are as many steps as the fullest group has detections with a candidate, some
dozens, and each is a handful of operations on arrays.

Where it departs from pycocotools. An annotation with id 0: pycocotools notes the id of the object that a detection
took and reads 0 as "none", so that detection is false there. Here it is true, as in pycocotools once ids start at
1. `difficult`: pycocotools passes over the key `ignore` of a file; where no object is difficult nothing differs.

Left out here: averages, and what to do with the result.

Shape letters: K detections and M objects, P pairs, S detections with a candidate, A area ranges, T thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import Problem
from yolo.evaluation.candidates import Grouped, Pairs, coco_overlap, find_pairs, sort_by_group
from yolo.evaluation.ranking import Ranking, place_in_run, rank_detections, stable_order, starts_run

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
AreaRange = tuple[float, float]

IOU_THRESHOLDS: Float64 = np.linspace(0.5, 0.95, 10)

# pixels², both ends belong to the range, so 1024 is small and medium
AREA_RANGES: dict[str, AreaRange] = {
    "all": (0.0, 1e5**2),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}

# a threshold of 1 has to admit IoUs that fell just short of 1 by rounding
_HIGHEST_THRESHOLD = 1 - 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class CocoMatching:
    """What every detection took and counts for, kept for the S detections only that overlap some object.

    Attributes:
        problem: with all its detections.
        ranking: who takes part, and when.
        iou_thresholds: (T,).
        rows: (S,) detections that have a candidate, by class, then by descending score.
        positions: (S,) their places in `ranking.by_class`, ascending.
        taken: (A, T, S) the object taken, -1 for none.
        counted: (A, M) objects that a detector is asked to find.
        inside: (A, K) detections of an area in the range. Others count for nothing unless they take an object.
    """

    problem: Problem
    ranking: Ranking
    iou_thresholds: Float64
    rows: Int64
    positions: Int64
    taken: Int32
    counted: Bool
    inside: Bool

    def instances(self, area: int) -> Int64:
        """(C,) objects to be found, per class."""
        labels = self.problem.truths.labels[self.counted[area]]
        return np.bincount(labels, minlength=self.problem.num_classes)

    def true_positive(self, area: int, column: int | slice = slice(None)) -> Bool:
        """(T, S), or (S,) at one threshold."""
        # the flag appended is what index -1 reads
        flags: Bool = np.append(self.counted[area], False)[self.taken[area, column]]
        return flags

    def false_positive(self, area: int, column: int | slice = slice(None)) -> Bool:
        """(T, S), or (S,) at one threshold."""
        flags: Bool = (self.taken[area, column] < 0) & self.inside[area, self.rows]
        return flags


def xyxy_to_xywh(boxes: NDArray[np.float32]) -> Float64:
    """(…, 4) corners to left, top, width, height in float64.

    >>> xyxy_to_xywh(np.array([1, 2, 4, 8], np.float32)).tolist()
    [1.0, 2.0, 3.0, 6.0]
    """
    corners = boxes.astype(np.float64)
    return np.concatenate((corners[..., :2], corners[..., 2:] - corners[..., :2]), axis=-1)


def match_coco(
    problem: Problem, *, iou_thresholds: Float64, area_ranges: Sequence[AreaRange], max_detections: int
) -> CocoMatching:
    """Match at all IoU thresholds and area ranges.

    Args:
        problem: what is evaluated.
        iou_thresholds: (T,) in any order.
        area_ranges: smallest and largest area in pixels² that counts, both included.
        max_detections: limit on the detections of each class and image.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    detections, truths = problem.detections, problem.truths
    own_area = detections.sizes_wh[:, 0] * detections.sizes_wh[:, 1]
    return match_subsets(
        problem,
        iou_thresholds=iou_thresholds,
        counted=np.array([_inside(truths.area, one) & ~truths.reusable for one in area_ranges]),
        inside=np.array([_inside(own_area, one) for one in area_ranges]),
        max_detections=max_detections,
    )


def match_subsets(
    problem: Problem, *, iou_thresholds: Float64, counted: Bool, inside: Bool, max_detections: int
) -> CocoMatching:
    """As `match_coco`, with any subsets of the objects in place of area ranges.

    Args:
        problem: what is evaluated.
        iou_thresholds: (T,) in any order.
        counted: (A, M) objects that count in each subset, none of them a crowd region or difficult.
        inside: (A, K) detections that are false positives there if they take nothing.
        max_detections: limit on the detections of each class and image.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    detections, truths = problem.detections, problem.truths
    ranking = rank_detections(problem, max_detections=max_detections, ties_by_image=True)
    limits = np.minimum(iou_thresholds, _HIGHEST_THRESHOLD)
    pairs = find_pairs(
        Grouped(ranking.by_group, ranking.group),
        sort_by_group(truths.labels * max(len(problem.images), 1) + truths.image_index),
        coco_overlap(detections, truths),
        least=float(limits.min(initial=1.0)),
    )
    taken = take_turns(pairs, ranking.group, counted=counted, reusable=truths.reusable, limits=limits)

    position_of = np.empty(len(detections), np.int32)
    position_of[ranking.by_class] = np.arange(len(ranking.by_class), dtype=np.int32)
    rows = pairs.detection[starts_run(pairs.place)]
    positions = position_of[rows].astype(np.int64)
    order = np.argsort(positions)
    return CocoMatching(
        problem=problem,
        ranking=ranking,
        iou_thresholds=iou_thresholds,
        rows=rows[order],
        positions=positions[order],
        taken=np.ascontiguousarray(taken[order].transpose(1, 2, 0)),
        counted=counted,
        inside=inside,
    )


def take_turns(pairs: Pairs, group: Int64, *, counted: Bool, reusable: Bool, limits: Float64) -> Int32:
    """Let the detections of all groups take their objects, turn by turn.

    Args:
        pairs: their detections take turns within a group by `place`; of equally good objects the last one is taken.
        group: (k,) group of each place.
        counted: (A, M) objects that count.
        reusable: (M,) objects that may be taken again; none of them counts.
        limits: (T,) overlap that a pair has to reach.

    Returns:
        (S, A, T) place of the object that each of the S detections in `pairs` took, -1 for none.
    """
    is_first = starts_run(pairs.place)
    row = np.cumsum(is_first) - 1  # (P,)
    turn = place_in_run(group[pairs.place[is_first]])  # (S,)
    row_order, pair_order = stable_order(turn), stable_order(turn[row])
    row_bounds = np.append(0, np.cumsum(np.bincount(turn)))
    pair_bounds = np.append(0, np.cumsum(np.bincount(turn[row])))
    truth, overlap, row = pairs.truth[pair_order].astype(np.int32), pairs.overlap[pair_order], row[pair_order]

    result = np.full((len(turn), len(counted), len(limits)), -1, np.int32)
    taken = np.zeros((counted.shape[1], len(counted), len(limits)), np.bool_)
    for (begin, end), (row_begin, row_end) in zip(pairwise(pair_bounds), pairwise(row_bounds), strict=True):
        candidate, size = truth[begin:end], end - begin
        free = ~taken[candidate] | reusable[candidate, None, None]  # (p, A, T)
        free &= (overlap[begin:end, None] >= limits)[:, None]
        # objects that count go before all others, so the highest number is that of the one to take
        number = np.arange(size, dtype=np.int32)[:, None] + np.int32(size) * counted.T[candidate]  # (p, A)
        number = np.where(free, number[:, :, None].astype(np.int32), np.int32(-1))
        starts = np.flatnonzero(starts_run(row[begin:end]))
        best = np.maximum.reduceat(number, starts, axis=0)  # (detections of this turn, A, T)
        some = best >= 0
        found = np.where(some, candidate[best % size], np.int32(-1))
        result[row_order[row_begin:row_end]] = found
        _, area, column = np.nonzero(some)
        taken[found[some], area, column] = True
    return result


def _inside(area: Float64, area_range: AreaRange) -> Bool:
    low, high = area_range
    return ~((area < low) | (area > high))
