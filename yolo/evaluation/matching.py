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

Most detections overlap no object of their class and image by the lowest threshold: what they count for follows from
their area, and they are not looked at. The others take turns all at once, first the best of every group, then the
second best of every group, and so on, for all IoU thresholds and area ranges together. So there are as many steps as
the fullest group has detections with a candidate, and each is a handful of operations on arrays.

Where it departs from pycocotools. An annotation with id 0: pycocotools notes the id of the object that a detection
took and reads 0 as "none", so that detection is false there. Here it is true, as in pycocotools once ids start at
1. `difficult`: pycocotools does not read the key `ignore` of a file; where no object is difficult nothing differs.

Shape letters: K detections and M objects, P pairs, S detections with a candidate, A area ranges or other subsets of
the objects, T thresholds, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.detection_sets import EvaluationData
from yolo.evaluation.average_precision import MatchFlags, place_in_run, starts_run
from yolo.evaluation.overlaps import Grouped, Pairs, coco_overlap, find_pairs, sort_by_group

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

_DIGIT_BITS = 16  # numpy sorts integers of this many bits by radix


class Ranking(NamedTuple):
    """The k detections that take part, in the order of their turns, as places in the `DetectionSet`."""

    by_class: Int64  # (k,) by class, then by descending score
    scores: Float64  # (k,) of each in `by_class`
    bounds: Int64  # (C+1,) class c owns by_class[bounds[c]:bounds[c + 1]]
    by_group: Int64  # (k,) by class, then by image, then by descending score
    group: Int64  # (k,) class * images + image of each in `by_group`: ascending
    rank: Int32  # (K,) place of every detection among those of its class and image by score, 0 = best

    def select(self, kept: Bool) -> Ranking:
        """The order of those of the (K,) detections that are kept, as places among them."""
        place = np.cumsum(kept) - 1
        in_class, in_group = kept[self.by_class], kept[self.by_group]
        return Ranking(
            place[self.by_class[in_class]],
            self.scores[in_class],
            np.append(0, np.cumsum(in_class))[self.bounds],
            place[self.by_group[in_group]],
            self.group[in_group],
            self.rank[kept],
        )


class Outcome(NamedTuple):
    """What every detection took and counts for at one IoU threshold; neither flag where it counts for nothing."""

    taken: Int32  # (K,) object, -1 for none
    true_positive: Bool  # (K,)
    false_positive: Bool  # (K,)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Who found what at each IoU threshold in each area range; only the S detections near an object are stored."""

    problem: EvaluationData  # with those of its detections only that take part
    max_detections: int  # limit on the detections of each class and image; others do not take part
    iou_thresholds: Float64  # (T,)
    areas: tuple[str, ...]  # names of the A area ranges or other subsets of the objects
    ranking: Ranking  # the order of turns; of equal scores the one on the earlier image goes first
    rows: Int64  # (S,) detections that have a candidate, by class, then by descending score
    positions: Int64  # (S,) their places in `ranking.by_class`, ascending
    taken: Int32  # (A, T, S) the object taken, -1 for none
    counted: Bool  # (A, M) objects that a detector is asked to find
    inside: Bool  # (A, K) of an area in the range; others count for nothing unless they take an object

    def instances(self, area: int = 0) -> Int64:
        """(C,) objects to be found, per class."""
        labels = self.problem.truths.labels[self.counted[area]]
        return np.bincount(labels, minlength=self.problem.num_classes)

    def of_class(self, index: int) -> Int64:
        """Places of the detections of a class by descending score."""
        return self.ranking.by_class[self.ranking.bounds[index] : self.ranking.bounds[index + 1]]

    def column(self, iou: float) -> int:
        """The place of an IoU threshold.

        Raises:
            ValueError: it is not one of `iou_thresholds`.
        """
        places = np.flatnonzero(np.isclose(self.iou_thresholds, iou, rtol=0, atol=1e-9))
        if not places.size:
            raise ValueError(f"IoU {iou} is none of {self.iou_thresholds.tolist()}")
        return int(places[0])

    def at(self, iou: float, area: int = 0) -> Outcome:
        """What every detection took and counts for at one IoU threshold; raises as `column`."""
        column = self.column(iou)
        taken, tp = np.full(len(self.inside[area]), -1, np.int32), np.zeros(len(self.inside[area]), np.bool_)
        fp = self.inside[area].copy()
        taken[self.rows] = self.taken[area, column]
        tp[self.rows], fp[self.rows] = (flags[0] for flags in self._flags(area, slice(column, column + 1)))
        return Outcome(taken, tp, fp)

    def verdicts(self, area: int = 0) -> MatchFlags:
        """What the detections count for at all IoU thresholds."""
        return MatchFlags(
            self.ranking.scores,
            self.ranking.bounds,
            self.inside[area, self.ranking.by_class],
            self.positions,
            *self._flags(area, slice(None)),
        )

    def _flags(self, area: int, columns: slice) -> tuple[Bool, Bool]:
        """(t, S) true positive and (t, S) false positive."""
        taken = self.taken[area, columns]
        # the flag appended is what index -1 reads
        return np.append(self.counted[area], False)[taken], (taken < 0) & self.inside[area, self.rows]


def match(
    problem: EvaluationData,
    *,
    iou_thresholds: Float64 = IOU_THRESHOLDS,
    area_ranges: Mapping[str, AreaRange] = AREA_RANGES,
    max_detections: int = 100,
) -> Matches:
    """Match at all IoU thresholds and area ranges.

    Args:
        problem: what is evaluated.
        iou_thresholds: (T,) in any order.
        area_ranges: name -> smallest and largest area in pixels² that counts, both included.
        max_detections: limit on the detections of each class and image; the others are not in the result.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    own_area = problem.detections.sizes_wh[:, 0] * problem.detections.sizes_wh[:, 1]
    ranges = area_ranges.values()
    return match_subsets(
        problem,
        subsets=tuple(area_ranges),
        counted=np.array([_inside(problem.truths.area, one) & ~problem.truths.reusable for one in ranges]),
        inside=np.array([_inside(own_area, one) for one in ranges]),
        iou_thresholds=iou_thresholds,
        max_detections=max_detections,
    )


def match_subsets(
    problem: EvaluationData,
    *,
    subsets: tuple[str, ...],
    counted: Bool,
    inside: Bool,
    iou_thresholds: Float64 = IOU_THRESHOLDS,
    max_detections: int = 100,
) -> Matches:
    """As `match`, with any subsets of the objects in place of area ranges.

    Args:
        problem: what is evaluated.
        subsets: their A names.
        counted: (A, M) objects that count in each subset, none of them a crowd region or difficult.
        inside: (A, K) detections that are false positives there if they take nothing.
        iou_thresholds: as for `match`, which raises the same errors.
        max_detections: likewise.
    """
    ranking = rank_detections(problem, ties_by_image=True)
    kept = ranking.rank < max_detections
    if not kept.all():
        problem, inside = replace(problem, detections=problem.detections[kept]), inside[:, kept]
        ranking = ranking.select(kept)
    truths = problem.truths
    limits = np.minimum(iou_thresholds, _HIGHEST_THRESHOLD)
    pairs = find_pairs(
        Grouped(ranking.by_group, ranking.group),
        sort_by_group(truths.labels * max(len(problem.images), 1) + truths.image_index),
        coco_overlap(problem.detections, truths),
        least=float(limits.min(initial=1.0)),
    )
    taken = match_greedily(pairs, ranking.group, counted=counted, reusable=truths.reusable, limits=limits)

    position_of = np.empty(len(problem.detections), np.int32)
    position_of[ranking.by_class] = np.arange(len(ranking.by_class), dtype=np.int32)
    rows = pairs.detection[starts_run(pairs.place)]
    positions = position_of[rows].astype(np.int64)
    order = np.argsort(positions)
    return Matches(
        problem=problem,
        max_detections=max_detections,
        iou_thresholds=iou_thresholds,
        areas=subsets,
        ranking=ranking,
        rows=rows[order],
        positions=positions[order],
        taken=np.ascontiguousarray(taken[order].transpose(1, 2, 0)),
        counted=counted,
        inside=inside,
    )


def match_greedily(pairs: Pairs, group: Int64, *, counted: Bool, reusable: Bool, limits: Float64) -> Int32:
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


def rank_detections(problem: EvaluationData, *, ties_by_image: bool) -> Ranking:
    """Put detections in the order of their turns.

    Sorting is most of what an evaluation of many detections costs: the scores are sorted by comparison once, images
    and classes by radix on top of it.

    Args:
        problem: what is evaluated.
        ties_by_image: whether of equal scores the one on the earlier image goes first (COCO), or whether their
            own order decides alone (Pascal VOC).

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    _check_indices(problem)
    detections, num_images = problem.detections, max(len(problem.images), 1)
    by_score = _order_by_score(detections.scores, detections.image_index if ties_by_image else None)
    by_class = _reorder(by_score, detections.labels)
    by_group = _reorder(_reorder(by_score, detections.image_index), detections.labels)
    group = detections.labels[by_group] * num_images + detections.image_index[by_group]
    rank = np.empty(len(detections), np.int32)
    rank[by_group] = place_in_run(group)
    bounds = np.append(0, np.cumsum(np.bincount(detections.labels, minlength=problem.num_classes)))
    return Ranking(by_class, detections.scores[by_class], bounds, by_group, group, rank)


def _check_indices(problem: EvaluationData) -> None:
    """Refuse what would be counted for another class or image.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    for what, part in (("detection", problem.detections), ("object", problem.truths)):
        for column, values, count in (
            ("label", part.labels, problem.num_classes),
            ("image_index", part.image_index, len(problem.images)),
        ):
            if len(values) and not (values.min() >= 0 and values.max() < count):
                wrong = values[(values < 0) | (values >= count)][0]
                raise ValueError(f"{column} {wrong} of some {what} is not one of 0 to {count - 1}")
    if np.isnan(problem.detections.scores).any():
        raise ValueError("the score of some detection is not a number")


def stable_order(values: Int64) -> Int64:
    """The places of integers from 0 on in ascending order, the earlier one first on equal ones.

    >>> stable_order(np.array([70000, 1, 70000, 0])).tolist()
    [3, 1, 0, 2]
    """
    order = np.argsort(values.astype(np.uint16), kind="stable")
    highest = int(values.max(initial=0))
    for shift in range(_DIGIT_BITS, highest.bit_length(), _DIGIT_BITS):
        order = order[np.argsort((values[order] >> shift).astype(np.uint16), kind="stable")]
    return order


def _reorder(order: Int64, values: Int64) -> Int64:
    """The same places by ascending value, in the order given where values are equal."""
    return order[stable_order(values[order])]


def _order_by_score(scores: Float64, images: Int64 | None) -> Int64:
    """Places by descending score; of equal ones the one on the earlier image first, if images are given."""
    if images is not None and (images[1:] < images[:-1]).any():
        start = stable_order(images)
        return start[np.argsort(-scores[start], kind="stable")]
    return np.argsort(-scores, kind="stable")


def _inside(area: Float64, area_range: AreaRange) -> Bool:
    low, high = area_range
    return ~((area < low) | (area > high))
