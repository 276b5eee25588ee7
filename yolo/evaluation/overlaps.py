"""How much boxes overlap, which pairs of one group do, and what lies nearest.

A group is one class of one image, or a whole image where classes do not matter. Both sides are sorted by group, so the
detections of an object's group are one slice. Pairs are made a bounded number at a time: an image with a million
detections costs time, not memory.

The overlaps are written in the order of operations of pycocotools and of the VOC devkit, in float64, because rounding
decides where an IoU meets a threshold exactly. Boxes of no or negative width or height overlap nothing.

Shape letters: K detections and M objects, k and m of them in a group order, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.detection_sets import DetectionSet, TruthSet

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


class Nearest(NamedTuple):
    """For each detection the object that it overlaps most; -1 and 0 where it overlaps none."""

    own: Int64  # (K,) index of an object of its class
    own_iou: Float64  # (K,)
    other: Int64  # (K,) index of an object of another class
    other_iou: Float64  # (K,)

    @property
    def highest_iou(self) -> Float64:
        """(K,) with an object of any class."""
        return np.maximum(self.own_iou, self.other_iou)


def coco_overlap(detections: DetectionSet, truths: TruthSet) -> Overlap:
    """IoU as pycocotools has it; for crowd regions the share of the detection inside."""
    own_area = detections.sizes_wh[:, 0] * detections.sizes_wh[:, 1]
    truth_area = truths.sizes_wh[:, 0] * truths.sizes_wh[:, 1]

    def overlap(detection: Int64, truth: Int64) -> Float64:
        width, height = _shared_sides(detections.boxes[detection], truths.boxes[truth])
        own = own_area[detection]
        with np.errstate(over="ignore"):
            both = width * height
            union = np.where(truths.iscrowd[truth], own, own + truth_area[truth] - both)
        return _ratio(both, union, (width > 0) & (height > 0))

    return overlap


def voc_overlap(detections: DetectionSet, truths: TruthSet, *, plus_one: bool) -> Overlap:
    """IoU as the devkit has it of the boxes in a VOC file: pixels counted from 1, both ends included.

    Our box (x1, y1, x2, y2) is (x1 + 1, y1 + 1, x2, y2) in a file; `plus_one` adds 1 to widths and heights there.
    """
    extra = float(plus_one)
    shift = np.array([1.0, 1.0, 0.0, 0.0])

    def overlap(detection: Int64, truth: Int64) -> Float64:
        found, wanted = detections.boxes[detection] + shift, truths.boxes[truth] + shift
        width, height = (side + extra for side in _shared_sides(found, wanted))
        areas = [(box[:, 2] - box[:, 0] + extra) * (box[:, 3] - box[:, 1] + extra) for box in (found, wanted)]
        both = width * height
        return _ratio(both, areas[0] + areas[1] - both, (width > 0) & (height > 0))

    return overlap


def _shared_sides(found: Float64, wanted: Float64) -> tuple[Float64, Float64]:
    """(P,) width and (P,) height of what two boxes share; not positive where they do not meet."""
    shared = np.minimum(found[:, 2:], wanted[:, 2:]) - np.maximum(found[:, :2], wanted[:, :2])
    return shared[:, 0], shared[:, 1]


def _ratio(both: Float64, union: Float64, meets: Bool) -> Float64:
    ratio = np.zeros(len(both))
    # sides of 1e-160 pixels have no area in float64, and pycocotools divides by it as well
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(both, union, out=ratio, where=meets)
    return ratio


def sort_by_group(group: Int64) -> Grouped:
    """All of a set by group, in their own order within each."""
    members = np.argsort(group, kind="stable")
    return Grouped(members, group[members])


def find_pairs(detections: Grouped, truths: Grouped, overlap: Overlap, *, least: float) -> Pairs:
    """All pairs of one group that overlap by at least `least`."""
    kept: list[tuple[Int64, Int64, Float64]] = []
    for place, truth, value in _every_pair(detections, truths, overlap):
        near = np.flatnonzero(value >= least)
        kept.append((place[near], truth[near], value[near]))
    if not kept:
        nothing = np.zeros(0, np.int64)
        return Pairs(nothing, nothing, nothing, np.zeros(0))
    place, truth, value = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    order = np.lexsort((truth, value, place))
    place = place[order]
    return Pairs(place, detections.members[place], truth[order], value[order])


def nearest_objects(detections: DetectionSet, truths: TruthSet, among: Bool) -> Nearest:
    """Of the objects `among` (M,) the one that each detection overlaps most; the last of equal IoUs."""
    count, places = len(detections), np.flatnonzero(among)
    truths = truths[places]
    nearest = Nearest(np.full(count, -1), np.zeros(count), np.full(count, -1), np.zeros(count))
    for detection, truth, overlap in _pairs_on_images(detections, truths):
        own = detections.labels[detection] == truths.labels[truth]
        _keep_highest(nearest.own, nearest.own_iou, detection[own], places[truth[own]], overlap[own])
        _keep_highest(nearest.other, nearest.other_iou, detection[~own], places[truth[~own]], overlap[~own])
    return nearest


def nearest_detections(detections: DetectionSet, truths: TruthSet) -> tuple[Int64, Float64]:
    """(M,) the detection of any class that overlaps each object most, the last of equal IoUs, and (M,) the IoU.

    -1 and 0 where none overlaps it.
    """
    nearest, iou = np.full(len(truths), -1), np.zeros(len(truths))
    for detection, truth, overlap in _pairs_on_images(detections, truths):
        _keep_highest(nearest, iou, truth, detection, overlap)
    return nearest, iou


def _keep_highest(best: Int64, highest: Float64, row: Int64, value: Int64, overlap: Float64) -> None:
    """Update in place the highest overlap of each row and the value it comes with, the largest of equal ones."""
    before = highest[row]
    np.maximum.at(highest, row, overlap)
    best[row[highest[row] > before]] = -1
    top = overlap == highest[row]
    np.maximum.at(best, row[top], value[top])


def _pairs_on_images(detections: DetectionSet, truths: TruthSet) -> Iterator[tuple[Int64, Int64, Float64]]:
    """Yield (detection, object, overlap) of pairs of one image that overlap at all, whatever their classes."""
    found = sort_by_group(detections.image_index)
    for place, truth, value in _every_pair(found, sort_by_group(truths.image_index), coco_overlap(detections, truths)):
        near = np.flatnonzero(value > 0)
        yield found.members[place[near]], truth[near], value[near]


def _every_pair(detections: Grouped, truths: Grouped, overlap: Overlap) -> Iterator[tuple[Int64, Int64, Float64]]:
    """Yield (place of the detection in its group order, object, overlap) of all pairs of one group, in pieces."""
    first, last = (np.searchsorted(detections.group, truths.group, side=side) for side in ("left", "right"))
    count = last - first
    some = np.flatnonzero(count)
    filled = np.cumsum(count[some]) // _PAIRS_AT_ONCE
    for part in np.split(some, np.flatnonzero(np.diff(filled)) + 1) if len(some) else ():
        start = np.cumsum(count[part]) - count[part]
        place = np.arange(int(count[part].sum())) + np.repeat(first[part] - start, count[part])
        truth = np.repeat(truths.members[part], count[part])
        yield place, truth, overlap(detections.members[place], truth)
