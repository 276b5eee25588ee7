"""What errors cost: mend those of one kind, leave everything else as it is, and compute AP at IoU 0.5 again.

The oracles of TIDE (Bolya et al. 2020). Nothing is matched anew: a mended detection keeps its score, and
its verdict is known.

    class       it becomes a true positive of the object's class, if nothing found the object and no better detection
                is mended to the same object; else it is removed
    location    likewise, of its own class
    both, duplicate, background     it is removed
    missed      the object is removed from those to be found

Where the paper is silent or differs. (1) If the object has been found, the paper keeps the better of the two
detections; here the one that was right all along stays, whatever its score. (2) A class whose objects were all removed
has AP 1 then: nothing is left to be found, nothing need be reported.
(3) A detection that changes class does not count against the limit of detections per class and image.

No cost is negative beyond rounding, so nothing is clipped: removing a false positive, turning one into a true positive,
adding a true positive and asking for fewer objects each leave every recall with the same precision or a higher one.

Shape letters: K detections, M objects, C classes, V variants of the verdicts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.average_precision import Verdicts, curves

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Judged(NamedTuple):
    """All detections with what became of them at one IoU threshold."""

    labels: Int64  # (K,)
    scores: Float64  # (K,)
    images: Int64  # (K,)
    true_positive: Bool  # (K,)
    false_positive: Bool  # (K,)
    by_class: Int64  # (K,) by class, then by descending score
    bounds: Int64  # (C+1,) class c owns by_class[bounds[c]:bounds[c + 1]]


def removed(judged: Judged, wrong: Bool, instances: Int64) -> Float64:
    """AP of each class without some false positives.

    Args:
        judged: K detections.
        wrong: (V, K) the false positives to remove, in V variants.
        instances: (C,) objects to be found.

    Returns:
        (V, C); NaN for classes without objects.
    """
    order = judged.by_class
    hit = np.tile(judged.true_positive[order], (len(wrong), 1))
    miss = (judged.false_positive & ~wrong)[:, order]
    return _average_precisions(judged.scores[order], hit, miss, judged.bounds, instances)


def fewer_objects(judged: Judged, instances: Int64, left: Int64) -> Float64:
    """(C,) AP of each class if only `left` (C,) of its objects had to be found; NaN for classes without objects."""
    order = judged.by_class
    hit, miss = (flags[None, order] for flags in (judged.true_positive, judged.false_positive))
    result: Float64 = _average_precisions(judged.scores[order], hit, miss, judged.bounds, left)[0]
    result[(left == 0) & (instances > 0)] = 1.0
    return result


def corrected(judged: Judged, wrong: Bool, labels: Int64, nearest: Int64, found: Bool, instances: Int64) -> Float64:
    """AP of each class if wrong detections found the object that they are about.

    Args:
        judged: K detections.
        wrong: (K,) false positives to mend.
        labels: (K,) their classes when mended; only those of `wrong` are read.
        nearest: (K,) the object that each is about; only those of `wrong` are read.
        found: (M,) objects that a true positive has.
        instances: (C,) objects to be found.

    Returns:
        (C,); NaN for classes without objects.
    """
    order = _by_score(judged, np.flatnonzero(wrong))
    free = order[~found[nearest[order]]]
    mended = free[np.unique(nearest[free], return_index=True)[1]]  # the best of each object
    hit = judged.true_positive.copy()
    hit[mended] = True
    miss = judged.false_positive & ~wrong
    new_labels = judged.labels.copy()
    new_labels[mended] = labels[mended]
    order = _by_score(judged, np.flatnonzero(hit | miss))
    order = order[np.argsort(new_labels[order], kind="stable")]
    bounds = np.searchsorted(new_labels[order], np.arange(len(instances) + 1))
    result: Float64 = _average_precisions(judged.scores[order], hit[None, order], miss[None, order], bounds, instances)[
        0
    ]
    return result


def _by_score(judged: Judged, places: Int64) -> Int64:
    """Detections by descending score; of equal scores the one on the earlier image first, as in COCO's ranking."""
    return places[np.lexsort((judged.images[places], -judged.scores[places]))]


def _average_precisions(scores: Float64, hit: Bool, miss: Bool, bounds: Int64, instances: Int64) -> Float64:
    """(V, C) AP at 101 recalls, from (V, K) verdicts by class and descending score; NaN for classes without objects."""
    everything = np.arange(len(scores))
    verdicts = Verdicts(scores, bounds, np.zeros(len(scores), np.bool_), everything, hit, miss)
    result: Float64 = curves(verdicts, instances).precision.mean(axis=1)
    result[:, instances == 0] = np.nan
    return result
