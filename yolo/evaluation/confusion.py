"""The confusion matrix: what objects of each class were taken for.

At IoU 0.5 and one score threshold. The matching is that of `matching`, over all classes of an image together:
detections by descending score each take the free object they overlap most, whatever its class (the one of
their own class on equal overlaps). Detections without an object are background taken for something, objects
without a detection are something taken for background. Crowd regions and difficult objects are no row; a
detection of their class that took one is not counted.

Shape letters: C classes, K detections, M objects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.matching import assign, find_pairs

MATCH_IOU = 0.5


def confusion_matrix(
    detections: DetectionSet, truths: TruthSet, *, num_classes: int, score_threshold: float
) -> NDArray[np.int64]:
    """Count (what it is, what it was taken for).

    Args:
        detections: K detections; those that score less than the threshold are left out, all if it is NaN.
        truths: M objects.
        num_classes: C.
        score_threshold: lowest score that counts as a detection.

    Returns:
        (C+1, C+1) row = annotated class, column = detected class, last = background.
    """
    kept = detections[detections.scores >= score_threshold]
    ignored = truths.reusable
    pairs = find_pairs(kept, truths, per_class=False, min_iou=MATCH_IOU)
    matched = assign(
        pairs,
        num_detections=len(kept),
        ignored=ignored,
        reusable=ignored,
        thresholds=np.array([MATCH_IOU]),
    )[:, 0]

    # index -1 of the appended arrays stands for "no object"
    row = np.append(truths.labels, num_classes)[matched]
    counts = np.append(~ignored, True)[matched]
    missed = ~ignored
    missed[matched[matched >= 0]] = False

    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    np.add.at(matrix, (row[counts], kept.labels[counts]), 1)
    matrix[:, num_classes] += np.bincount(truths.labels[missed], minlength=num_classes + 1)
    return matrix
