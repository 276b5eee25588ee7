"""Which detections and objects could be matched: all pairs of one group that overlap enough. All rules start here.

A group is one class of one image, or a whole image for confusions between classes. Both sides come sorted by
group, so the detections of an object's group are one slice, and nothing is looked at but pairs of one group. Of
COCO-like detections nine of ten overlap nothing of their class enough: from here on they cost nothing.

The two overlaps are written in the order of operations of pycocotools and of the VOC devkit, in float64, because
rounding decides where an IoU meets a threshold exactly. Boxes of no or negative width or height overlap nothing.

Left out: who takes what of the pairs (`matching`, `voc_rule`).

Shape letters: K detections and M objects, k and m of them in a group order, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import DetectionSet, TruthSet

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

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
