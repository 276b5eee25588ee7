"""From all detections and all objects to the result: every number of the evaluation comes together here.

Shape letters: K detections, M objects, C classes, T IoU thresholds, R recall points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import Problem
from yolo.evaluation.average_precision import RECALL_POINTS, precision_at_recalls
from yolo.evaluation.confusion import confusion_matrix
from yolo.evaluation.matched import Matched, match_areas
from yolo.evaluation.operating_point import (
    OperatingPoint,
    ScoredVerdicts,
    at_threshold,
    best_threshold,
    counts_by_threshold,
    f1_curves,
)
from yolo.evaluation.result import ClassResult, EvaluationResult

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_IOU_50, _IOU_75 = 0, 5  # places in IOU_THRESHOLDS


class AreaScores(NamedTuple):
    """Scores of the objects of one area range; NaN for classes that have none there."""

    precision: Float64  # (C, T, R) precision envelope
    recall: Float64  # (L, C, T) final recall with each of the limits on detections per image and class


def summarise(problem: Problem, *, max_detections: tuple[int, int, int] = (1, 10, 100)) -> EvaluationResult:
    """Compute every number of the evaluation.

    Args:
        problem: what is evaluated.
        max_detections: limits on detections per image and class, ascending.
    """
    by_area = match_areas(problem, max_detections=max_detections[-1])
    areas = {name: _score_area(matched, max_detections) for name, matched in by_area.items()}
    everything = by_area["all"]
    detections, truths = everything.problem.detections, problem.truths
    by_class = everything.by_class
    scored = ScoredVerdicts(
        scores=detections.scores[by_class],
        bounds=everything.bounds,
        true_positive=everything.true_positive[by_class, _IOU_50],
        false_positive=everything.false_positive[by_class, _IOU_50],
        instances=everything.instances,
    )
    threshold = best_threshold(scored, np.arange(problem.num_classes))
    point = at_threshold(scored, threshold)
    precision = areas["all"].precision
    hits, misses = counts_by_threshold(scored)
    return EvaluationResult(
        **_coco_numbers(areas),
        precision=_mean(point.precision),
        recall=_mean(point.recall),
        f1=_mean(point.f1),
        score_threshold=threshold,
        per_class=_class_results(problem, scored, precision, point),
        precision_curves=precision[:, _IOU_50],
        f1_curves=f1_curves(scored),
        true_positives=hits,
        false_positives=misses,
        confusion_matrix=confusion_matrix(
            detections, truths, num_classes=problem.num_classes, score_threshold=threshold
        ),
        num_images=len(problem.images),
        num_objects=int(scored.instances.sum()),
    )


def _score_area(matched: Matched, max_detections: tuple[int, ...]) -> AreaScores:
    instances = matched.instances
    num_classes, num_thresholds = len(instances), len(matched.iou_thresholds)
    precision = np.full((num_classes, num_thresholds, len(RECALL_POINTS)), np.nan)
    recall = np.full((len(max_detections), num_classes, num_thresholds), np.nan)
    for index in np.flatnonzero(instances).tolist():
        own = matched.of_class(index)
        hit, miss = matched.true_positive[own], matched.false_positive[own]  # (k, T)
        precision[index] = precision_at_recalls(hit.T, miss.T, int(instances[index]))
        for place, limit in enumerate(max_detections):
            recall[place, index] = hit[matched.rank[own] < limit].sum(axis=0) / instances[index]
    return AreaScores(precision, recall)


def _coco_numbers(areas: dict[str, AreaScores]) -> dict[str, float]:
    everything = areas["all"]
    sizes = ("small", "medium", "large")
    return {
        "map_50_95": _mean(everything.precision),
        "map_50": _mean(everything.precision[:, _IOU_50]),
        "map_75": _mean(everything.precision[:, _IOU_75]),
        **{f"map_{size}": _mean(areas[size].precision) for size in sizes},
        "ar_1": _mean(everything.recall[0]),
        "ar_10": _mean(everything.recall[1]),
        "ar_100": _mean(everything.recall[-1]),
        **{f"ar_{size}": _mean(areas[size].recall[-1]) for size in sizes},
    }


def _class_results(
    problem: Problem, scored: ScoredVerdicts, precision: Float64, point: OperatingPoint
) -> tuple[ClassResult, ...]:
    truths, num_classes = problem.truths, problem.num_classes
    counted = ~truths.reusable
    occurrences = np.unique(truths.image_index[counted] * num_classes + truths.labels[counted])
    images = np.bincount(occurrences % num_classes, minlength=num_classes)
    return tuple(
        ClassResult(
            name=name,
            images=int(images[index]),
            instances=int(scored.instances[index]),
            detections=int(scored.bounds[index + 1] - scored.bounds[index]),
            ap_50=float(precision[index, _IOU_50].mean()),
            ap_75=float(precision[index, _IOU_75].mean()),
            ap_50_95=float(precision[index].mean()),
            precision=float(point.precision[index]),
            recall=float(point.recall[index]),
            f1=float(point.f1[index]),
            best_threshold=best_threshold(scored, np.array([index])),
        )
        for index, name in enumerate(problem.class_names)
    )


def _mean(values: Float64) -> float:
    """Mean of the entries that are not NaN; NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
