"""From all detections and all objects to the result: every number of the evaluation comes together here.

Shape letters: K detections, M objects, C classes, T IoU thresholds, R recall points.

The confusion matrix: what objects of each class were taken for.

At IoU 0.5 and one score threshold, from the same matching as precision and recall, so that they agree: on the
diagonal stand the true positives; divided by the sum of the row they are the recall of the class, divided by the
sum of the column its precision. (Tools that match once more, whatever the class, show other numbers in the matrix
than in the table beside it.)

What is left over then meets across classes: false positives by descending score each take the missed object of
another class on their image that they overlap most, by IoU of at least 0.5, the last one on equal IoUs. Such a
pair is one count off the diagonal. False positives without a partner are background taken for something, missed
objects without one are something taken for background. Crowd regions and difficult objects are no row, and the
detections that they excuse no column.

Shape letters: C classes, K detections, M objects.
"""

from __future__ import annotations

import numpy as np

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.detection_sets import DetectionSet, Problem, TruthSet
from yolo.evaluation.coco import CocoProtocol, Matched, accumulate, match_by_protocol
from yolo.evaluation.matching import CocoMatching, coco_overlap, find_pairs, sort_by_group, take_turns
from yolo.evaluation.result import ClassResult, EvaluationResult
from yolo.evaluation.thresholds import (
    OperatingPoint,
    ScoredVerdicts,
    at_threshold,
    best_threshold,
    counts_by_threshold,
    f1_curves,
)

MATCH_IOU = 0.5


def confusion_matrix(matched: Matched, *, score_threshold: float) -> Int64:
    """Count (what it is, what it was taken for).

    Args:
        matched: with the IoU threshold 0.5.
        score_threshold: detections that score less are left out, all if it is NaN.

    Returns:
        (C+1, C+1) row = annotated class, column = detected class, last = background.

    Raises:
        ValueError: 0.5 is none of the IoU thresholds.
    """
    column = matched.at(MATCH_IOU)
    kept = matched.by_class[matched.problem.detections.scores[matched.by_class] >= score_threshold]
    hit = matched.true_positive[kept, column]
    return count_confusions(
        matched.problem.detections,
        matched.problem.truths,
        num_classes=matched.problem.num_classes,
        found=matched.matched[kept[hit], column],
        leftover=kept[matched.false_positive[kept, column]],
        counted=matched.counted,
    )


def count_confusions(
    detections: DetectionSet, truths: TruthSet, *, num_classes: int, found: Int32, leftover: Int64, counted: Bool
) -> Int64:
    """`confusion_matrix` from the verdicts.

    Args:
        detections: all of them.
        truths: M objects.
        num_classes: C.
        found: objects that some detection of their class found.
        leftover: false positives; of equal scores the earlier one goes first.
        counted: (M,) objects that a detector is asked to find.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    np.add.at(matrix, (truths.labels[found], truths.labels[found]), 1)
    missed = counted.copy()
    missed[found] = False
    taken_for, partner = _meet_across_classes(detections, leftover, truths, np.flatnonzero(missed))
    row = np.append(truths.labels, num_classes)[partner]
    np.add.at(matrix, (row, detections.labels[taken_for]), 1)
    missed[partner[partner >= 0]] = False
    matrix[:, num_classes] += np.bincount(truths.labels[missed], minlength=num_classes + 1)
    return matrix


def _meet_across_classes(
    detections: DetectionSet, leftover: Int64, truths: TruthSet, missed: Int64
) -> tuple[Int64, Int64]:
    """The leftover detections, in some order, and the missed object of another class that each takes, or -1."""
    # only images that have both
    both = np.intersect1d(detections.image_index[leftover], truths.image_index[missed])
    somewhere = np.isin(detections.image_index[leftover], both)
    alone, leftover = leftover[~somewhere], leftover[somewhere]
    found, wanted = detections[leftover], truths[missed]
    order = np.lexsort((-found.scores, found.image_index))
    found, leftover = found[order], leftover[order]
    # of one class there are none left that overlap enough: the detection would have found the object
    overlap = coco_overlap(found, wanted)
    pairs = find_pairs(sort_by_group(found.image_index), sort_by_group(wanted.image_index), overlap, least=MATCH_IOU)
    free, none = np.ones((1, len(wanted)), np.bool_), np.zeros(len(wanted), np.bool_)
    taken = take_turns(pairs, found.image_index, counted=free, reusable=none, limits=np.array([MATCH_IOU]))[:, 0, 0]
    partner = np.full(len(leftover) + len(alone), -1, np.int64)
    rows = np.unique(pairs.place)
    partner[rows[taken >= 0]] = missed[taken[taken >= 0]]
    return np.concatenate((leftover, alone)), partner


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
