"""The confusion matrix: what objects of each class were taken for.

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
from numpy.typing import NDArray

from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.candidates import coco_overlap, find_pairs, sort_by_group
from yolo.evaluation.matched import Matched
from yolo.evaluation.matching import take_turns

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

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
