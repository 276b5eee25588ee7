"""From all detections and all objects to the result: every number of the evaluation comes together here.

The confusion matrix counts what objects of each class were taken for, at IoU 0.5 and one score threshold, from the
same matching as precision and recall, so that they agree: on the diagonal stand the true positives; divided by the
sum of the row they are the recall of the class, divided by the sum of the column its precision. (Tools that match once
more, whatever the class, show other numbers in the matrix than in the table beside it.)

What is left over then meets across classes: false positives by descending score each take the missed object of
another class on their image that they overlap most, by IoU of at least 0.5, the last one on equal IoUs. Such a
pair is one count off the diagonal. False positives without a partner are background taken for something, missed
objects without one are something taken for background. Crowd regions and difficult objects are in no row, and
detections that took one are in no column.

Shape letters: K detections, M objects, C classes, T IoU thresholds, R recall points.
"""

from __future__ import annotations

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.detection_sets import EvaluationData
from yolo.evaluation.average_precision import mean_known
from yolo.evaluation.coco import CocoProtocol, accumulate
from yolo.evaluation.matching import Matches, match, match_greedily
from yolo.evaluation.overlaps import coco_overlap, find_pairs, sort_by_group
from yolo.evaluation.result import ClassResult, EvaluationResult
from yolo.evaluation.thresholds import ScoredVerdicts
from yolo.thresholds import SCORE_POINTS

MATCH_IOU = 0.5
_IOU_50, _IOU_75 = 0, 5  # places in IOU_THRESHOLDS
_ALL = 0  # place in AREA_RANGES

_COCO_NUMBERS = (
    *("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)


def summarise(problem: EvaluationData, *, max_detections: tuple[int, int, int] = (1, 10, 100)) -> EvaluationResult:
    """Compute every number of the evaluation.

    Args:
        problem: what is evaluated.
        max_detections: limits on detections per image and class, ascending.

    Raises:
        ValueError: a label or image that the problem does not have, or a score that is not a number.
    """
    return summarise_matches(match(problem, max_detections=max_detections[-1]), max_detections=max_detections)


def summarise_matches(matches: Matches, *, max_detections: tuple[int, int, int] = (1, 10, 100)) -> EvaluationResult:
    """As `summarise`, of what `match` made with the last limit and COCO's thresholds and area ranges."""
    problem = matches.problem
    coco = accumulate(matches, CocoProtocol(max_detections=max_detections))
    numbers = zip(_COCO_NUMBERS, coco.stats.tolist(), strict=True)
    # (C, T, R), NaN instead of -1 for classes without objects
    precision = coco.precision[..., _ALL, -1].transpose(2, 0, 1)
    precision = np.where(precision < 0, np.nan, precision)
    outcome, order = matches.at(MATCH_IOU), matches.ranking.by_class
    scored = ScoredVerdicts(
        scores=matches.ranking.scores,
        bounds=matches.ranking.bounds,
        true_positive=outcome.true_positive[order],
        false_positive=outcome.false_positive[order],
        instances=matches.instances(),
    )
    threshold = scored.best_threshold(np.arange(problem.num_classes))
    tp, fp = scored.counts_at(SCORE_POINTS)
    per_class = _class_results(matches, scored, precision, threshold)
    return EvaluationResult(
        **{name: float("nan") if value < 0 else value for name, value in numbers},
        precision=mean_known(np.array([one.precision for one in per_class])),
        recall=mean_known(np.array([one.recall for one in per_class])),
        f1=mean_known(np.array([one.f1 for one in per_class])),
        score_threshold=threshold,
        per_class=per_class,
        precision_curves=precision[:, _IOU_50].copy(),  # a view would keep the whole array
        f1_curves=scored.f1(tp, fp),
        true_positives=tp,
        false_positives=fp,
        confusion_matrix=confusion_matrix(matches, threshold),
        num_images=len(problem.images),
        num_objects=int(scored.instances.sum()),
    )


def _class_results(
    matches: Matches, scored: ScoredVerdicts, precision: Float64, threshold: float
) -> tuple[ClassResult, ...]:
    truths, num_classes = matches.problem.truths, matches.problem.num_classes
    counted = ~truths.reusable
    occurrences = np.unique(truths.image_index[counted] * num_classes + truths.labels[counted])
    images = np.bincount(occurrences % num_classes, minlength=num_classes)
    tp, fp = scored.counts_at(np.array([threshold]))  # (C, 1)
    instances = scored.instances[:, None]
    precision_at = np.where(instances > 0, tp / np.maximum(tp + fp, 1), np.nan)
    recall_at = np.where(instances > 0, tp / np.maximum(instances, 1), np.nan)
    columns = {
        "images": images,
        "instances": scored.instances,
        "detections": np.diff(scored.bounds),
        "ap_50": precision[:, _IOU_50].mean(axis=-1),
        "ap_75": precision[:, _IOU_75].mean(axis=-1),
        "ap_50_95": np.array([one.mean() for one in precision]),
        "precision": precision_at[:, 0],
        "recall": recall_at[:, 0],
        "f1": scored.f1(tp, fp)[:, 0],
        "best_threshold": scored.best_thresholds(),
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return tuple(
        ClassResult(name=name, **dict(zip(columns, row, strict=True)))
        for name, row in zip(matches.problem.class_names, rows, strict=True)
    )


def confusion_matrix(matches: Matches, score_threshold: float) -> Int64:
    """Count (what it is, what it was taken for).

    Args:
        matches: with IoU 0.5 among the thresholds.
        score_threshold: detections that score less are left out, all if it is NaN.

    Returns:
        (C+1, C+1) row = annotated class, column = detected class, last = background.
    """
    detections, truths, outcome = matches.problem.detections, matches.problem.truths, matches.at(MATCH_IOU)
    num_classes, counted = matches.problem.num_classes, matches.counted[_ALL]
    kept = detections.scores >= score_threshold
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    missed = counted.copy()
    found = outcome.taken[outcome.true_positive & kept]
    np.add.at(matrix, (truths.labels[found], truths.labels[found]), 1)
    missed[found] = False
    taken_for, partner = _meet_across_classes(matches, outcome.false_positive & kept, np.flatnonzero(missed))
    row = np.append(truths.labels, num_classes)[partner]
    np.add.at(matrix, (row, detections.labels[taken_for]), 1)
    missed[partner[partner >= 0]] = False
    matrix[:, num_classes] += np.bincount(truths.labels[missed], minlength=num_classes + 1)
    return matrix


def _meet_across_classes(matches: Matches, is_leftover: Bool, missed: Int64) -> tuple[Int64, Int64]:
    """The leftover detections, in some order, and the missed object of another class that each takes, or -1."""
    detections, truths, by_class = matches.problem.detections, matches.problem.truths, matches.ranking.by_class
    leftover = by_class[is_leftover[by_class]]
    # only images that have both
    both = np.intersect1d(detections.image_index[leftover], truths.image_index[missed])
    somewhere = np.isin(detections.image_index[leftover], both)
    alone, leftover = leftover[~somewhere], leftover[somewhere]
    leftover = leftover[np.lexsort((-detections.scores[leftover], detections.image_index[leftover]))]
    found, wanted = detections[leftover], truths[missed]
    # of one class there are none left that overlap enough: the detection would have found the object
    overlap = coco_overlap(found, wanted)
    pairs = find_pairs(sort_by_group(found.image_index), sort_by_group(wanted.image_index), overlap, least=MATCH_IOU)
    free, none = np.ones((1, len(wanted)), np.bool_), np.zeros(len(wanted), np.bool_)
    taken = match_greedily(pairs, found.image_index, counted=free, reusable=none, limits=np.array([MATCH_IOU]))[:, 0, 0]
    partner = np.full(len(leftover) + len(alone), -1, np.int64)
    rows = np.unique(pairs.place)
    partner[rows[taken >= 0]] = missed[taken[taken >= 0]]
    return np.concatenate((leftover, alone)), partner
