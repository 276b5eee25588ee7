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

Which detections and objects could be matched: all pairs of one group that overlap enough. All rules start here.

A group is one class of one image, or a whole image for confusions between classes. Both sides come sorted by
group, so the detections of an object's group are one slice, and nothing is looked at but pairs of one group. Of
COCO-like detections nine of ten overlap nothing of their class enough: from here on they cost nothing.

The two overlaps are written in the order of operations of pycocotools and of the VOC devkit, in float64, because
rounding decides where an IoU meets a threshold exactly. Boxes of no or negative width or height overlap nothing.

Left out: who takes what of the pairs (`matching`, `voc_rule`).

Shape letters: K detections and M objects, k and m of them in a group order, P pairs.

Who takes a turn when: detections by class and descending score, and their rank on their image.

Sorting is most of what an evaluation of many detections costs. It is done once: the floats by a comparison sort,
images and classes by a radix sort of whole numbers on top of it.

Shape letters: K detections of all images, k of them that take part, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.detection_sets import DetectionSet, Problem, TruthSet

# two index arrays (P,) into detections and objects -> (P,)
Overlap = Callable[[Int64, Int64], Float64]

# pairs examined at a time: bounds the memory, some 200 bytes each
_PAIRS_AT_ONCE = 100_000


class Grouped(NamedTuple):
    """Detections or objects sorted by group."""

    members: Int64  # (k,) places in the set
    group: Int64  # (k,) ascending


class Pairs(NamedTuple):
    """Pairs that overlap enough, by detection in the order of its group, then by overlap, then by object."""

    place: Int64  # (P,) place of the detection in the group order, ascending
    detection: Int64  # (P,) place in the set
    truth: Int64  # (P,) place in the set
    overlap: Float64  # (P,)


def sort_by_group(group: Int64) -> Grouped:
    """All of a set by group, in their own order within each."""
    members = np.argsort(group, kind="stable")
    return Grouped(members, group[members])


def find_pairs(detections: Grouped, truths: Grouped, overlap: Overlap, *, least: float) -> Pairs:
    """All pairs of one group that overlap by at least `least`."""
    first, last = (np.searchsorted(detections.group, truths.group, side=side) for side in ("left", "right"))
    kept: list[tuple[Int64, Int64, Float64]] = []
    for truth_place, place in _enumerate_runs(first, last):
        truth = truths.members[truth_place]
        value = overlap(detections.members[place], truth)
        near = np.flatnonzero(value >= least)
        kept.append((place[near], truth[near], value[near]))
    if not kept:
        nothing = np.zeros(0, np.int64)
        return Pairs(nothing, nothing, nothing, np.zeros(0))
    place, truth, value = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    order = np.lexsort((truth, value, place))
    place = place[order]
    return Pairs(place, detections.members[place], truth[order], value[order])


def coco_overlap(detections: DetectionSet, truths: TruthSet) -> Overlap:
    """IoU as pycocotools has it; for crowd regions the share of the detection inside."""
    own_area = detections.sizes_wh[:, 0] * detections.sizes_wh[:, 1]
    truth_area = truths.sizes_wh[:, 0] * truths.sizes_wh[:, 1]

    def overlap(detection: Int64, truth: Int64) -> Float64:
        width, height = _sides(detections.boxes[detection], truths.boxes[truth])
        own = own_area[detection]
        with np.errstate(over="ignore"):
            both = width * height
            union = np.where(truths.iscrowd[truth], own, own + truth_area[truth] - both)
        return _ratio(both, union, (width > 0) & (height > 0))

    return overlap


def voc_overlap(detections: DetectionSet, truths: TruthSet, *, plus_one: bool) -> Overlap:
    """IoU as the devkit has it of the boxes in a VOC file: pixels counted from 1, both ends included.

    Args:
        detections: with our boxes (x1, y1, x2, y2), which are (x1 + 1, y1 + 1, x2, y2) in a file.
        truths: likewise.
        plus_one: whether widths and heights of the file's boxes get 1 added.
    """
    extra = float(plus_one)
    shift = np.array([1.0, 1.0, 0.0, 0.0])

    def overlap(detection: Int64, truth: Int64) -> Float64:
        found, wanted = detections.boxes[detection] + shift, truths.boxes[truth] + shift
        width, height = (side + extra for side in _sides(found, wanted))
        areas = [(box[:, 2] - box[:, 0] + extra) * (box[:, 3] - box[:, 1] + extra) for box in (found, wanted)]
        both = width * height
        return _ratio(both, areas[0] + areas[1] - both, (width > 0) & (height > 0))

    return overlap


def _sides(found: Float64, wanted: Float64) -> tuple[Float64, Float64]:
    """(P,) width and (P,) height of what two boxes share; not positive where they do not meet."""
    low, high = np.maximum(found[:, :2], wanted[:, :2]), np.minimum(found[:, 2:], wanted[:, 2:])
    shared = high - low
    return shared[:, 0], shared[:, 1]


def _ratio(both: Float64, union: Float64, meets: NDArray[np.bool_]) -> Float64:
    ratio = np.zeros(len(both))
    # sides of 1e-160 pixels have no area in float64, and pycocotools divides by it as well
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(both, union, out=ratio, where=meets)
    return ratio


def _enumerate_runs(first: Int64, last: Int64) -> Iterator[tuple[Int64, Int64]]:
    """Yield (i, j) for all first[i] <= j < last[i] as two arrays, in order, a bounded number of them at a time."""
    count = last - first
    some = np.flatnonzero(count)
    filled = np.cumsum(count[some]) // _PAIRS_AT_ONCE
    for part in np.split(some, np.flatnonzero(np.diff(filled)) + 1) if len(some) else ():
        i = np.repeat(part, count[part])
        start = np.cumsum(count[part]) - count[part]
        yield i, np.arange(len(i)) + np.repeat(first[part] - start, count[part])


_DIGIT_BITS = 16  # numpy sorts whole numbers of this many bits by radix


class Ranking(NamedTuple):
    """The detections that take part, in two orders. All hold places in the `DetectionSet`."""

    by_class: Int64  # (k,) by class, then by descending score
    bounds: Int64  # (C+1,) class c owns by_class[bounds[c]:bounds[c + 1]]
    by_group: Int64  # (k,) by class, then by image, then by descending score
    group: Int64  # (k,) class * images + image of each in `by_group`: ascending
    rank: Int32  # (K,) place of every detection among those of its class and image by score, 0 = best


def rank_detections(problem: Problem, *, max_detections: int | None, ties_by_image: bool) -> Ranking:
    """Put detections in the order of their turns.

    Args:
        problem: what is evaluated.
        max_detections: as many of each class and image take part, the best ones; None for all.
        ties_by_image: whether of equal scores the one on the earlier image goes first (COCO), or whether their
            own order decides alone (Pascal VOC).

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    check_places(problem)
    detections, num_images = problem.detections, max(len(problem.images), 1)
    by_score = _order_by_score(detections, ties_by_image=ties_by_image)
    by_class = _reorder(by_score, detections.labels)
    by_group = _reorder(_reorder(by_score, detections.image_index), detections.labels)
    group = detections.labels[by_group] * num_images + detections.image_index[by_group]
    place = place_in_run(group)
    rank = np.empty(len(detections), np.int32)
    rank[by_group] = place
    if max_detections is not None and place.max(initial=0) >= max_detections:
        kept = place < max_detections
        by_group, group = by_group[kept], group[kept]
        by_class = by_class[rank[by_class] < max_detections]
    per_class = np.bincount(detections.labels[by_class], minlength=problem.num_classes)
    bounds = np.concatenate(([0], np.cumsum(per_class)))
    return Ranking(by_class, bounds, by_group, group, rank)


def check_places(problem: Problem) -> None:
    """Refuse what would end up in the account of another class or image.

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
    """The places of whole numbers from 0 on in ascending order, the earlier one first on equal ones.

    >>> stable_order(np.array([70000, 1, 70000, 0])).tolist()
    [3, 1, 0, 2]
    """
    order = np.argsort(values.astype(np.uint16), kind="stable")
    highest = int(values.max(initial=0))
    for shift in range(_DIGIT_BITS, highest.bit_length(), _DIGIT_BITS):
        order = order[np.argsort((values[order] >> shift).astype(np.uint16), kind="stable")]
    return order


def starts_run(values: Int64 | NDArray[np.float64]) -> Bool:
    """True where a value differs from the one before."""
    edges = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=edges[1:])
    return edges


def place_in_run(values: Int64) -> Int64:
    """0, 1, 2, ... within each run of equal values.

    >>> place_in_run(np.array([5, 5, 7, 5])).tolist()
    [0, 1, 0, 0]
    """
    first = np.flatnonzero(starts_run(values))
    place: Int64 = np.arange(len(values)) - np.repeat(first, np.diff(first, append=len(values)))
    return place


def _reorder(order: Int64, values: Int64) -> Int64:
    """The same places by ascending value, in the order given where values are equal."""
    return order[stable_order(values[order])]


def _order_by_score(detections: DetectionSet, *, ties_by_image: bool) -> Int64:
    image = detections.image_index
    if ties_by_image and (image[1:] < image[:-1]).any():
        start = stable_order(image)
        return start[np.argsort(-detections.scores[start], kind="stable")]
    return np.argsort(-detections.scores, kind="stable")


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
