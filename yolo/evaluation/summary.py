"""From all detections and all objects to the result: every number of the evaluation comes together here.

Shape letters: K detections, M objects, C classes, T IoU thresholds, R recall points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.average_precision import RECALL_POINTS, precision_at_recalls
from yolo.evaluation.confusion import confusion_matrix
from yolo.evaluation.matching import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    DetectionSet,
    TruthSet,
    Verdicts,
    find_pairs,
    judge,
    rank_in_group,
)
from yolo.evaluation.operating_point import (
    OperatingPoint,
    ScoredVerdicts,
    at_threshold,
    best_threshold,
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


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Everything to be evaluated.

    Attributes:
        detections: of all images; at most `max_detections[-1]` of each class and image.
        rank: (K,) place of each among those of its class and image, by score.
        truths: of all images.
        class_names: C names.
        max_detections: limits on detections per image and class, ascending.
        num_images: images evaluated, with or without anything on them.
    """

    detections: DetectionSet
    rank: Int64
    truths: TruthSet
    class_names: tuple[str, ...]
    max_detections: tuple[int, ...]
    num_images: int

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)


def limit_detections(detections: DetectionSet, max_detections: int) -> tuple[DetectionSet, Int64]:
    """Keep the best of each class and image; returns them and the rank of each, 0 = best."""
    num_classes = 1 + detections.labels.max(initial=0)
    group = detections.image_index * num_classes + detections.labels
    rank = rank_in_group(group, detections.scores)
    kept = rank < max_detections
    return detections[kept], rank[kept]


def summarise(problem: Problem) -> EvaluationResult:
    """Compute every number of the evaluation."""
    detections, truths = problem.detections, problem.truths
    pairs = find_pairs(detections, truths)
    by_score = np.lexsort((-detections.scores, detections.labels))
    bounds = np.searchsorted(detections.labels[by_score], np.arange(problem.num_classes + 1))

    areas: dict[str, AreaScores] = {}
    for name, area_range in AREA_RANGES.items():
        verdicts = judge(pairs, detections, truths, area_range=area_range)
        areas[name] = _score_area(problem, verdicts, by_score, bounds)
        if name == "all":
            scored = ScoredVerdicts(
                scores=detections.scores[by_score],
                bounds=bounds,
                true_positive=verdicts.true_positive[by_score, _IOU_50],
                false_positive=verdicts.false_positive[by_score, _IOU_50],
                instances=_count_instances(problem, verdicts),
            )
    threshold = best_threshold(scored, np.arange(problem.num_classes))
    point = at_threshold(scored, threshold)
    precision = areas["all"].precision
    return EvaluationResult(
        **_coco_numbers(areas),
        precision=_mean(point.precision),
        recall=_mean(point.recall),
        f1=_mean(point.f1),
        score_threshold=threshold,
        per_class=_class_results(problem, scored, precision, point),
        precision_curves=precision[:, _IOU_50],
        f1_curves=f1_curves(scored),
        confusion_matrix=confusion_matrix(
            detections, truths, num_classes=problem.num_classes, score_threshold=threshold
        ),
        num_images=problem.num_images,
        num_objects=int(scored.instances.sum()),
    )


def _score_area(problem: Problem, verdicts: Verdicts, by_score: Int64, bounds: Int64) -> AreaScores:
    instances = _count_instances(problem, verdicts)
    num_thresholds = len(IOU_THRESHOLDS)
    precision = np.full((problem.num_classes, num_thresholds, len(RECALL_POINTS)), np.nan)
    recall = np.full((len(problem.max_detections), problem.num_classes, num_thresholds), np.nan)
    for index in np.flatnonzero(instances):
        own = by_score[bounds[index] : bounds[index + 1]]
        hit, miss = verdicts.true_positive[own], verdicts.false_positive[own]  # (k, T)
        precision[index] = precision_at_recalls(hit.T, miss.T, int(instances[index]))
        for place, limit in enumerate(problem.max_detections):
            recall[place, index] = hit[problem.rank[own] < limit].sum(axis=0) / instances[index]
    return AreaScores(precision, recall)


def _count_instances(problem: Problem, verdicts: Verdicts) -> Int64:
    """(C,) objects that count, per class."""
    return np.bincount(problem.truths.labels[verdicts.counted], minlength=problem.num_classes)


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
