"""Precision, recall and average precision of one class, from the verdicts on its detections.

Average precision here is COCO's: the mean of the precision envelope read at 101 recalls. The 11-point and the
area rule of Pascal VOC are left out.

Shape letters: K detections of the class by descending score, T thresholds, R = 101 recall points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

RECALL_POINTS: Float64 = np.linspace(0.0, 1.0, 101)


def precision_envelope(true_positive: Bool, false_positive: Bool) -> Float64:
    """(T, K) the best precision at this detection's recall or a higher one.

    >>> hit = np.array([[True, False, False, True]])
    >>> precision_envelope(hit, ~hit).tolist()
    [[1.0, 0.5, 0.5, 0.5]]
    """
    hits, misses = true_positive.cumsum(axis=-1), false_positive.cumsum(axis=-1)
    precision = hits / np.maximum(hits + misses, 1)
    envelope: Float64 = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return envelope


def precision_at_recalls(true_positive: Bool, false_positive: Bool, num_instances: int) -> Float64:
    """Precision envelope at the 101 recall points, 0 at recalls that are not reached.

    Args:
        true_positive: (T, K) by descending score.
        false_positive: (T, K); neither flag where a detection is ignored.
        num_instances: objects to be found, at least 1.

    Returns:
        (T, R); its mean over R is the average precision at each threshold.
    """
    num_thresholds, num_detections = true_positive.shape
    envelope = precision_envelope(true_positive, false_positive)
    envelope = np.concatenate((envelope, np.zeros((num_thresholds, 1))), axis=1)  # (T, K+1), 0 past the end

    # Recall points in whole objects, so that the search below compares integers. Comparing the same quotients
    # as pycocotools does keeps its rounding.
    needed = np.searchsorted(np.arange(num_instances + 1) / num_instances, RECALL_POINTS)  # (R,)
    # One search for all thresholds: shift the counts of each into a range of its own.
    row = np.arange(num_thresholds)[:, None]
    shift = row * (num_instances + 2)
    hits = true_positive.cumsum(axis=-1) + shift
    place = np.searchsorted(hits.ravel(), (needed + shift).ravel()).reshape(num_thresholds, -1)
    picked: Float64 = envelope[row, place - row * num_detections]
    return picked
