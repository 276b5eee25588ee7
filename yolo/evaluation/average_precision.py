"""Precision and recall from verdicts: COCO's numbers for all classes and IoU thresholds at once.

Average precision here is COCO's: the mean of the precision envelope read at 101 recalls. The 11-point and the
area rule of Pascal VOC are in `voc`.

The envelope at a recall is the best precision from there on. Precision is locally best at true positives only, so
nothing else is looked at, and of the true positives of a class only the best between two recall points matters.
How many detections came before a true positive follows from a running count of those that have no candidate,
which is the same for all thresholds, and a correction for the others.

Shape letters: K detections by class and descending score, S of them with a candidate, C classes, T thresholds,
R = 101 recall points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int64

RECALL_POINTS: Float64 = np.linspace(0.0, 1.0, 101)


class MatchFlags(NamedTuple):
    """What the detections of all classes count for, by class, then by descending score.

    Detections at `positions` have a candidate and a verdict at each threshold; others found nothing at any.
    """

    scores: Float64  # (K,)
    bounds: Int64  # (C+1,) class c owns bounds[c] to bounds[c + 1]
    missing: Bool  # (K,) false positive if nothing is found; False where the detection counts for nothing then
    positions: Int64  # (S,) ascending
    true_positive: Bool  # (T, S)
    false_positive: Bool  # (T, S)

    def select(self, kept: Bool) -> MatchFlags:
        """Those of the (K,) detections that are kept."""
        rows, place = kept[self.positions], np.concatenate(([0], np.cumsum(kept)))
        return MatchFlags(
            self.scores[kept],
            place[self.bounds],
            self.missing[kept],
            place[self.positions[rows]],
            self.true_positive[:, rows],
            self.false_positive[:, rows],
        )


class Curves(NamedTuple):
    """-1 for classes without objects to be found."""

    precision: Float64  # (T, R, C) precision envelope, 0 at recalls that are not reached
    recall: Float64  # (T, C) of all detections
    scores: Float64  # (T, R, C) lowest score that has to be kept to reach the recall, 0 if it is not reached


def precision_envelope(true_positive: Bool, false_positive: Bool) -> Float64:
    """(T, K) the best precision at this detection's recall or a higher one.

    >>> tp = np.array([[True, False, False, True]])
    >>> precision_envelope(tp, ~tp).tolist()
    [[1.0, 0.5, 0.5, 0.5]]
    """
    tp, fp = true_positive.cumsum(axis=-1), false_positive.cumsum(axis=-1)
    precision = tp / np.maximum(tp + fp, 1)
    envelope: Float64 = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return envelope


def curves(verdicts: MatchFlags, instances: Int64) -> Curves:
    """Precision and recall of all classes and thresholds, with (C,) objects to be found."""
    num_thresholds, num_classes = len(verdicts.true_positive), len(instances)
    row, class_index, precision, place = _at_true_positives(verdicts)
    curve = row * num_classes + class_index  # ascending
    found = np.bincount(curve, minlength=num_thresholds * num_classes).reshape(num_thresholds, num_classes)
    first = (np.cumsum(found) - found.ravel()).reshape(found.shape)  # where the true positives of a curve begin

    # the true positive that first reaches each recall point, and whether there is one
    needed = np.maximum(objects_needed(instances), 1)  # (C, R)
    reached = needed <= found[:, :, None]  # (T, C, R)
    start = first[:, :, None] + np.minimum(needed - 1, found[:, :, None])
    # the best from one start to the next, then from each start on; a curve ends where the next one begins
    best = np.maximum.reduceat(np.append(precision, 0.0), start.ravel()).reshape(start.shape)
    best[~reached] = 0.0
    best = np.maximum.accumulate(best[..., ::-1], axis=-1)[..., ::-1]

    scores = np.where(reached, np.append(verdicts.scores[place], 0.0)[start], 0.0)
    # the highest score reaches recall 0, whatever became of that detection
    begin, end = verdicts.bounds[:-1], verdicts.bounds[1:]
    scores[:, :, 0] = np.where(end > begin, np.append(verdicts.scores, 0.0)[begin], 0.0)
    absent = instances == 0
    recall = found / np.maximum(instances, 1)
    for values in (best, scores, recall):
        values[:, absent] = -1.0
    return Curves(best.transpose(0, 2, 1), recall, scores.transpose(0, 2, 1))


def objects_needed(instances: Int64) -> Int64:
    """(C, R) how many of the objects have to be found to reach each recall point; anything where there are none.

    >>> objects_needed(np.array([3]))[0, [0, 1, 33, 34, 100]].tolist()
    [0, 1, 1, 2, 3]
    """
    count = np.maximum(instances, 1)[:, None]
    needed = np.ceil(RECALL_POINTS * count).astype(np.int64)
    # The product is rounded. Comparing the quotients, as pycocotools does, keeps its rounding instead.
    needed -= (needed > 0) & ((needed - 1) / count >= RECALL_POINTS)
    needed += needed / count < RECALL_POINTS
    return needed


def _at_true_positives(verdicts: MatchFlags) -> tuple[Int64, Int64, Float64, Int64]:
    """Threshold, class, precision and place of every true positive, by threshold, class and descending score."""
    tp, bounds = verdicts.true_positive, verdicts.bounds
    # running counts of the detections that count, the first entry before the first detection
    others = np.concatenate(([0], np.cumsum(verdicts.missing)))
    judged = (tp | verdicts.false_positive).view(np.int8)
    correction = np.zeros((len(tp), len(verdicts.positions) + 1), np.int32)
    np.cumsum(judged - verdicts.missing[verdicts.positions].view(np.int8), axis=1, out=correction[:, 1:])
    begin = np.searchsorted(verdicts.positions, bounds)
    before = others[bounds] + correction[:, begin]  # (T, C+1)

    flat = np.flatnonzero(tp)
    row, column = np.divmod(flat, max(tp.shape[1], 1))
    class_index = (np.searchsorted(begin, np.arange(tp.shape[1]), side="right") - 1)[column]
    place = verdicts.positions[column]
    counted = others[place + 1] + correction[row, column + 1] - before[row, class_index]
    num_tp = place_in_run(row * len(bounds) + class_index) + 1
    return row, class_index, num_tp / np.maximum(counted, 1), place


def starts_run(values: Int64 | Float64) -> Bool:
    """True where a value differs from the one before."""
    edges = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=edges[1:])
    return edges


def place_in_run(values: Int64) -> Int64:
    """0, 1, 2, ... within each run of equal values.

    >>> place_in_run(np.array([5, 5, 7, 5])).tolist()
    [0, 1, 0, 0]
    """
    first = np.flatnonzero(starts_run(values))
    place: Int64 = np.arange(len(values)) - np.repeat(first, np.diff(first, append=len(values)))
    return place


def mean_known(values: Float64) -> float:
    """Mean of the entries that are not NaN, as of classes that have objects; NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
