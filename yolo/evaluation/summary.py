"""From all detections and all objects to the result: every number of the evaluation comes together here.

Shape letters: K detections, M objects, C classes, T IoU thresholds, R recall points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import Problem
from yolo.evaluation.coco import CocoProtocol, accumulate, match_by_protocol
from yolo.evaluation.confusion import count_confusions
from yolo.evaluation.matching import CocoMatching
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
_ALL = 0  # place in AREA_RANGES

_COCO_NUMBERS = (
    *("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)


def summarise(problem: Problem, *, max_detections: tuple[int, int, int] = (1, 10, 100)) -> EvaluationResult:
    """Compute every number of the evaluation.

    Args:
        problem: what is evaluated.
        max_detections: limits on detections per image and class, ascending.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    protocol = CocoProtocol(max_detections=max_detections)
    matching = match_by_protocol(problem, protocol)
    coco = accumulate(matching, protocol)
    numbers = zip(_COCO_NUMBERS, coco.stats.tolist(), strict=True)
    # (C, T, R), NaN instead of -1 for classes without objects
    precision = coco.precision[..., _ALL, -1].transpose(2, 0, 1)
    precision = np.where(precision < 0, np.nan, precision)
    scored = _verdicts_at_50(matching)
    threshold = best_threshold(scored, np.arange(problem.num_classes))
    point = at_threshold(scored, threshold)
    hits, misses = counts_by_threshold(scored)
    return EvaluationResult(
        **{name: float("nan") if value < 0 else value for name, value in numbers},
        precision=_mean(point.precision),
        recall=_mean(point.recall),
        f1=_mean(point.f1),
        score_threshold=threshold,
        per_class=_class_results(problem, scored, precision, point),
        precision_curves=precision[:, _IOU_50].copy(),  # a view would keep the whole array
        f1_curves=f1_curves(scored),
        true_positives=hits,
        false_positives=misses,
        confusion_matrix=_confusions(matching, scored, threshold),
        num_images=len(problem.images),
        num_objects=int(scored.instances.sum()),
    )


def _verdicts_at_50(matching: CocoMatching) -> ScoredVerdicts:
    by_class, rows = matching.ranking.by_class, matching.positions
    hit, miss = np.zeros(len(by_class), np.bool_), matching.inside[_ALL, by_class]
    hit[rows] = matching.true_positive(_ALL, _IOU_50)
    miss[rows] = matching.false_positive(_ALL, _IOU_50)
    return ScoredVerdicts(
        scores=matching.problem.detections.scores[by_class],
        bounds=matching.ranking.bounds,
        true_positive=hit,
        false_positive=miss,
        instances=matching.instances(_ALL),
    )


def _confusions(matching: CocoMatching, scored: ScoredVerdicts, threshold: float) -> Int64:
    problem, kept = matching.problem, scored.scores >= threshold
    hit = scored.true_positive[matching.positions] & kept[matching.positions]
    return count_confusions(
        problem.detections,
        problem.truths,
        num_classes=problem.num_classes,
        found=matching.taken[_ALL, _IOU_50, hit],
        leftover=matching.ranking.by_class[scored.false_positive & kept],
        counted=matching.counted[_ALL],
    )


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
            best_threshold=_best_of_class(scored, index),
        )
        for index, name in enumerate(problem.class_names)
    )


def _best_of_class(scored: ScoredVerdicts, index: int) -> float:
    """NaN where no detection is right: no threshold is better than another."""
    if not scored.true_positive[scored.of_class(index)].any():
        return float("nan")
    return best_threshold(scored, np.array([index]))


def _mean(values: Float64) -> float:
    """Mean of the entries that are not NaN; NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
