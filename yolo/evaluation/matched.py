"""A problem whose detections have been matched with its objects: what every number and every analysis starts from.

Shape letters: K detections, M objects, C classes, T IoU thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import Problem
from yolo.evaluation.matching import AREA_RANGES, IOU_THRESHOLDS, find_pairs, judge, rank_in_group

Float64 = NDArray[np.float64]
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
        by_class: (K,) detections by class, then by descending score, the earlier one first on equal scores.
        bounds: (C+1,) class c owns by_class[bounds[c]:bounds[c + 1]].
    """

    problem: Problem
    max_detections: int
    rank: Int64
    iou_thresholds: Float64
    area_range: tuple[float, float]
    matched: Int64
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
    area_range: tuple[float, float] = AREA_RANGES["all"],
    max_detections: int = 100,
) -> Matched:
    """Match at every IoU threshold, objects of one area range."""
    areas = {"": area_range}
    return match_areas(problem, iou_thresholds=iou_thresholds, area_ranges=areas, max_detections=max_detections)[""]


def match_areas(
    problem: Problem,
    *,
    iou_thresholds: Float64 = IOU_THRESHOLDS,
    area_ranges: Mapping[str, tuple[float, float]] = AREA_RANGES,
    max_detections: int = 100,
) -> dict[str, Matched]:
    """Match once for each area range; what they have in common is computed and kept once."""
    problem, rank = _limit_detections(problem, max_detections)
    detections, truths = problem.detections, problem.truths
    by_class = np.lexsort((-detections.scores, detections.labels))
    bounds = np.searchsorted(detections.labels[by_class], np.arange(problem.num_classes + 1))
    pairs = find_pairs(detections, truths, min_iou=float(iou_thresholds.min(initial=1.0)))
    result = {}
    for name, area_range in area_ranges.items():
        verdicts = judge(pairs, detections, truths, area_range=area_range, thresholds=iou_thresholds)
        result[name] = Matched(
            problem=problem,
            max_detections=max_detections,
            rank=rank,
            iou_thresholds=iou_thresholds,
            area_range=area_range,
            matched=verdicts.matched,
            true_positive=verdicts.true_positive,
            false_positive=verdicts.false_positive,
            counted=verdicts.counted,
            by_class=by_class,
            bounds=bounds,
        )
    return result


def _limit_detections(problem: Problem, max_detections: int) -> tuple[Problem, Int64]:
    """Keep the best of each class and image; with the rank of each, 0 = best."""
    detections = problem.detections
    rank = rank_in_group(detections.image_index * problem.num_classes + detections.labels, detections.scores)
    kept = rank < max_detections
    return replace(problem, detections=detections[kept]), rank[kept]
