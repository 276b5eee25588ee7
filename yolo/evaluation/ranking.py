"""Who takes a turn when: detections by class and descending score, and their rank on their image.

Sorting is most of what an evaluation of many detections costs. It is done once: the floats by a comparison sort,
images and classes by a radix sort of whole numbers on top of it.

Shape letters: K detections of all images, k of them that take part, C classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import DetectionSet, Problem

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

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
