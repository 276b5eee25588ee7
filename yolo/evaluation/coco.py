"""COCO's evaluation with any IoU thresholds, area ranges and limits on detections: the arrays of pycocotools.

`summary` makes the result of an evaluation of it; this is for who wants the arrays or another protocol. Equal to
pycocotools, to 1e-12, except where the header of `matching` says so. The recall points are always 0, 0.01, ..., 1.

Shape letters: T IoU thresholds, R = 101 recall points, C classes, A area ranges, L limits on detections.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from yolo.arrays import Float64
from yolo.detection_sets import EvaluationData
from yolo.evaluation.average_precision import RECALL_POINTS, curves
from yolo.evaluation.matching import AREA_RANGES, IOU_THRESHOLDS, AreaRange, Matches, match


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoProtocol:
    """What is varied in COCO's evaluation; the defaults are COCO's for boxes.

    Raises:
        ValueError: nothing of one kind, or limits that do not ascend from 1.
    """

    iou_thresholds: tuple[float, ...] = tuple(IOU_THRESHOLDS.tolist())  # T
    # name -> smallest and largest area in pixels² that counts, both included
    area_ranges: Mapping[str, AreaRange] = field(default_factory=lambda: dict(AREA_RANGES))
    # L limits on the detections of each class and image, ascending; matching uses the last one
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
    """The arrays that pycocotools has in `COCOeval.eval`; -1 for classes without objects in an area range."""

    protocol: CocoProtocol
    class_names: tuple[str, ...]
    precision: Float64  # (T, R, C, A, L) best precision at a recall or a higher one; 0 if it is not reached
    recall: Float64  # (T, C, A, L) share of the objects that is found
    scores: Float64  # (T, R, C, A, L) lowest score that has to be kept to reach a recall; 0 if it is not reached

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


def evaluate_coco(problem: EvaluationData, protocol: CocoProtocol | None = None) -> CocoResult:
    """Every number that pycocotools gives.

    Args:
        problem: what is evaluated. Its images are in pycocotools' order, by ascending id: of equal scores the one
            on the earlier image goes first.
        protocol: COCO's own if None.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    protocol = CocoProtocol() if protocol is None else protocol
    matches = match(
        problem,
        iou_thresholds=np.array(protocol.iou_thresholds),
        area_ranges=protocol.area_ranges,
        max_detections=protocol.max_detections[-1],
    )
    return accumulate(matches, protocol)


def accumulate(matches: Matches, protocol: CocoProtocol) -> CocoResult:
    """The second half of `evaluate_coco`; the protocol is the one that the matches were made by."""
    limits, problem = protocol.max_detections, matches.problem
    shape = (len(matches.areas), len(limits), len(matches.iou_thresholds), problem.num_classes)
    # written part by part, (A, L, T, C, R), and seen in pycocotools' order of axes
    precision, scores = (np.empty((*shape, len(RECALL_POINTS))).transpose(2, 4, 3, 0, 1) for _ in range(2))
    recall = np.empty(shape).transpose(2, 3, 0, 1)
    rank = matches.ranking.rank[matches.ranking.by_class]
    for area in range(len(matches.areas)):
        verdicts, instances = matches.verdicts(area), matches.instances(area)
        for place, limit in enumerate(limits):
            own = curves(verdicts.select(rank < limit) if limit < limits[-1] else verdicts, instances)
            precision[..., area, place], recall[..., area, place], scores[..., area, place] = own
    return CocoResult(protocol, problem.class_names, precision, recall, scores)


def _mean(values: Float64) -> float:
    """Mean of the entries that are not -1; -1 if there is none."""
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0
