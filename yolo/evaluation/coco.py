"""COCO's evaluation with any IoU thresholds, area ranges and limits on detections: the arrays of pycocotools.

`summary` makes the result of an evaluation of it; this is for who wants the arrays or another protocol. Equal to
pycocotools, to 1e-12, except where the header of `matching` says so. The recall points are always 0, 0.01, ..., 1.

Shape letters: T IoU thresholds, R = 101 recall points, C classes, A area ranges, L limits on detections.

A problem whose detections have been matched with its objects: what every analysis starts from.

The matching is that of `matching`, written out here for all detections, also those that took nothing.

Shape letters: K detections, M objects, C classes, T IoU thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.detection_sets import Problem
from yolo.evaluation.average_precision import RECALL_POINTS, Verdicts, curves
from yolo.evaluation.matching import AREA_RANGES, IOU_THRESHOLDS, AreaRange, CocoMatching, match_coco


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoProtocol:
    """What is varied in COCO's evaluation; the defaults are COCO's for boxes.

    Attributes:
        iou_thresholds: T thresholds.
        area_ranges: name -> smallest and largest area in pixels² that counts, both included.
        max_detections: L limits on the detections of each class and image, ascending. Matching uses the last one.

    Raises:
        ValueError: nothing of one kind, or limits that do not ascend from 1.
    """

    iou_thresholds: tuple[float, ...] = tuple(IOU_THRESHOLDS.tolist())
    area_ranges: Mapping[str, AreaRange] = field(default_factory=lambda: dict(AREA_RANGES))
    max_detections: tuple[int, ...] = (1, 10, 100)

    def __post_init__(self) -> None:
        limits = self.max_detections
        if not (self.iou_thresholds and self.area_ranges and limits):
            raise ValueError("a protocol needs IoU thresholds, area ranges and limits on detections")
        if limits[0] < 1 or list(limits) != sorted(set(limits)):
            raise ValueError(f"max_detections must be ascending numbers from 1, got {limits}")
        if not all(map(math.isfinite, self.iou_thresholds)):
            raise ValueError(f"IoU thresholds must be finite, got {self.iou_thresholds}")


@dataclass(frozen=True, slots=True, eq=False)
class CocoResult:
    """The arrays that pycocotools has in `COCOeval.eval`; -1 for classes without objects in an area range.

    Attributes:
        protocol: how they were made.
        class_names: C names.
        precision: (T, R, C, A, L) best precision at a recall or a higher one; 0 if it is not reached.
        recall: (T, C, A, L) share of the objects that is found.
        scores: (T, R, C, A, L) lowest score that has to be kept to reach a recall; 0 if it is not reached.
    """

    protocol: CocoProtocol
    class_names: tuple[str, ...]
    precision: Float64
    recall: Float64
    scores: Float64

    @property
    def stats(self) -> Float64:
        """(12,) COCO's numbers in pycocotools' order.

        AP, AP50, AP75, AP of small, medium and large objects; recall with the first, the second and the last
        limit; recall for small, medium and large objects. -1 where there is nothing to be found, or where the
        protocol has no such IoU threshold, area range or limit.
        """
        sizes = ("small", "medium", "large")
        limits = len(self.protocol.max_detections)
        return np.array(
            [
                *(self._mean_precision("all", iou) for iou in (None, 0.5, 0.75)),
                *(self._mean_precision(size, None) for size in sizes),
                *(self._mean_recall("all", place) for place in (0, 1 if limits > 1 else None, limits - 1)),
                *(self._mean_recall(size, limits - 1) for size in sizes),
            ]
        )

    def _mean_precision(self, area: str, iou: float | None) -> float:
        if area not in self.protocol.area_ranges:
            return -1.0
        values = self.precision[:, :, :, list(self.protocol.area_ranges).index(area), -1]
        return _mean(values if iou is None else values[np.array(self.protocol.iou_thresholds) == iou])

    def _mean_recall(self, area: str, limit: int | None) -> float:
        if area not in self.protocol.area_ranges or limit is None:
            return -1.0
        return _mean(self.recall[:, :, list(self.protocol.area_ranges).index(area), limit])


def evaluate_coco(problem: Problem, protocol: CocoProtocol | None = None) -> CocoResult:
    """Every number that pycocotools gives.

    Args:
        problem: what is evaluated. Its images are in pycocotools' order, by ascending id: of equal scores the one
            on the earlier image goes first.
        protocol: COCO's own if None.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    protocol = CocoProtocol() if protocol is None else protocol
    return accumulate(match_by_protocol(problem, protocol), protocol)


def match_by_protocol(problem: Problem, protocol: CocoProtocol) -> CocoMatching:
    """The first half of `evaluate_coco`."""
    return match_coco(
        problem,
        iou_thresholds=np.array(protocol.iou_thresholds),
        area_ranges=tuple(protocol.area_ranges.values()),
        max_detections=protocol.max_detections[-1],
    )


def accumulate(matching: CocoMatching, protocol: CocoProtocol) -> CocoResult:
    """The second half of `evaluate_coco`."""
    problem, by_class = matching.problem, matching.ranking.by_class
    shape = (len(protocol.area_ranges), len(protocol.max_detections), len(protocol.iou_thresholds), problem.num_classes)
    # written part by part, (A, L, T, C, R), and seen in pycocotools' order of axes
    precision, scores = (np.empty((*shape, len(RECALL_POINTS))).transpose(2, 4, 3, 0, 1) for _ in range(2))
    recall = np.empty(shape).transpose(2, 3, 0, 1)
    own_scores, rank = problem.detections.scores[by_class], matching.ranking.rank[by_class]
    for area in range(len(protocol.area_ranges)):
        verdicts = Verdicts(
            scores=own_scores,
            bounds=matching.ranking.bounds,
            missing=matching.inside[area, by_class],
            positions=matching.positions,
            true_positive=matching.true_positive(area),
            false_positive=matching.false_positive(area),
        )
        instances = matching.instances(area)
        for place, limit in enumerate(protocol.max_detections):
            few = limit < protocol.max_detections[-1]
            own = curves(verdicts.select(rank < limit) if few else verdicts, instances)
            precision[..., area, place], recall[..., area, place], scores[..., area, place] = own
    return CocoResult(protocol, problem.class_names, precision, recall, scores)


def _mean(values: Float64) -> float:
    """Mean of the entries that are not -1; -1 if there is none."""
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


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
