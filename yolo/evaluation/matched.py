"""A problem whose detections have been matched with its objects: what every analysis starts from.

The matching is that of `matching`, written out here for all detections, also those that took nothing.

Shape letters: K detections, M objects, C classes, T IoU thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import Problem
from yolo.evaluation.matching import AREA_RANGES, IOU_THRESHOLDS, AreaRange, CocoMatching, match_coco

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Who found what, by COCO's rule (see `matching`), for objects of one area range.

    Attributes:
        problem: its detections are those that take part: at most `max_detections` of each class and image.
        max_detections: the limit.
        rank: (K,) place of a detection among those of its class and image by score, 0 = best.
        iou_thresholds: (T,).
        area_range: smallest and largest area in pixels² that counts, both included.
        matched: (K, T) index of the object that a detection took, -1 for none.
        true_positive: (K, T).
        false_positive: (K, T); neither flag where a detection counts neither for nor against.
        counted: (M,) objects that a detector is asked to find.
        by_class: (K,) detections by class, then by descending score; of equal scores the one on the earlier image
            goes first, and on one image the earlier one.
        bounds: (C+1,) class c owns by_class[bounds[c]:bounds[c + 1]].
    """

    problem: Problem
    max_detections: int
    rank: Int32
    iou_thresholds: Float64
    area_range: AreaRange
    matched: Int32
    true_positive: Bool
    false_positive: Bool
    counted: Bool
    by_class: Int64
    bounds: Int64

    @property
    def instances(self) -> Int64:
        """(C,) objects to be found, per class."""
        labels = self.problem.truths.labels[self.counted]
        return np.bincount(labels, minlength=self.problem.num_classes)

    def of_class(self, index: int) -> Int64:
        """Places of the detections of a class by descending score."""
        return self.by_class[self.bounds[index] : self.bounds[index + 1]]

    def at(self, iou: float) -> int:
        """The column of an IoU threshold.

        Raises:
            ValueError: it is none of `iou_thresholds`.
        """
        places = np.flatnonzero(np.isclose(self.iou_thresholds, iou, rtol=0, atol=1e-9))
        if not places.size:
            raise ValueError(f"IoU {iou} is none of {self.iou_thresholds.tolist()}")
        return int(places[0])


def match_problem(
    problem: Problem,
    *,
    iou_thresholds: Float64 = IOU_THRESHOLDS,
    area_range: AreaRange = AREA_RANGES["all"],
    max_detections: int = 100,
) -> Matched:
    """Match at every IoU threshold, objects of one area range.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    areas = {"": area_range}
    return match_areas(problem, iou_thresholds=iou_thresholds, area_ranges=areas, max_detections=max_detections)[""]


def match_areas(
    problem: Problem,
    *,
    iou_thresholds: Float64 = IOU_THRESHOLDS,
    area_ranges: Mapping[str, AreaRange] = AREA_RANGES,
    max_detections: int = 100,
) -> dict[str, Matched]:
    """Match once for each area range; what they have in common is computed and kept once.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    matching = match_coco(
        problem,
        iou_thresholds=iou_thresholds,
        area_ranges=tuple(area_ranges.values()),
        max_detections=max_detections,
    )
    ranking = matching.ranking
    taking_part = ranking.rank < max_detections
    if taking_part.all():
        limited, place, rank = problem, None, ranking.rank
    else:
        limited = replace(problem, detections=problem.detections[taking_part])
        place, rank = np.cumsum(taking_part) - 1, ranking.rank[taking_part]
    by_class = ranking.by_class if place is None else place[ranking.by_class]
    rows = matching.rows if place is None else place[matching.rows]
    result = {}
    for area, (name, area_range) in enumerate(area_ranges.items()):
        matched, hit, miss = _of_all_detections(matching, area, rows, taking_part)
        result[name] = Matched(
            problem=limited,
            max_detections=max_detections,
            rank=rank,
            iou_thresholds=iou_thresholds,
            area_range=area_range,
            matched=matched,
            true_positive=hit,
            false_positive=miss,
            counted=matching.counted[area],
            by_class=by_class,
            bounds=ranking.bounds,
        )
    return result


def _of_all_detections(matching: CocoMatching, area: int, rows: Int64, taking_part: Bool) -> tuple[Int32, Bool, Bool]:
    """(K, T) object taken, true positive and false positive; `rows` are the places of those with a candidate."""
    shape = (int(taking_part.sum()), len(matching.iou_thresholds))
    matched, hit = np.full(shape, -1, np.int32), np.zeros(shape, np.bool_)
    miss = np.repeat(matching.inside[area, taking_part, None], shape[1], axis=1)
    matched[rows], hit[rows] = matching.taken[area].T, matching.true_positive(area).T
    miss[rows] = matching.false_positive(area).T
    return matched, hit, miss
