"""Why detections are wrong and objects are not found, and how much average precision each kind of error costs.

The kinds of TIDE (Bolya et al. 2020), at IoU 0.5 and, for background, 0.1. Only objects that count are
looked at: crowd regions and difficult objects explain nothing, and a detection that counts neither for nor against
(it took one of those) is not an error. Of a false positive,

    IoU >= 0.5 with some object     the object with the highest IoU decides, one of its class on equal IoUs:
                                    of its class    duplicate (had it been free, this were no false positive)
                                    of another      class
    else IoU >= 0.1                 with an object of its class     location, whatever overlaps more
                                    with others only                both
    else                            background

so every false positive has exactly one kind. The paper leaves open which of several goes first. An object is missed
if no true positive found it and no class or location error is about it.

The cost of a kind is the rise of AP at IoU 0.5 when its errors are corrected and everything else stays. Nothing is
matched again: a corrected detection keeps its score, and its verdict is known.

    class       it becomes a true positive of the object's class, if nothing found the object and no better detection
                is corrected to the same object; else it is removed
    location    likewise, of its own class
    both, duplicate, background     it is removed
    missed      the object is removed from those to be found

Where the paper is silent or differs. (1) If the object has been found, the paper keeps the better of the two
detections; here the one that was right all along stays, whatever its score. (2) A class whose objects were all removed
has AP 1 then: nothing is left to be found, nothing need be reported. (3) A detection that changes class does not count
against the limit of detections per class and image. No cost is negative beyond rounding, so nothing is clipped.

Shape letters: K detections, M objects, C classes, V variants of the verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int64
from yolo.evaluation.average_precision import MatchFlags, curves, mean_known
from yolo.evaluation.matching import Matches, Outcome
from yolo.evaluation.overlaps import nearest_objects

# in the order of reports
ERROR_KINDS: Final = ("class", "location", "both", "duplicate", "background", "missed")
NO_ERROR = -1

FOREGROUND_IOU: Final = 0.5
BACKGROUND_IOU: Final = 0.1

_CLASS, _LOCATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(len(ERROR_KINDS))


@dataclass(frozen=True, slots=True, eq=False)
class ErrorAnalysis:
    """The errors at IoU 0.5, every detection at most one kind. Costs are NaN without objects to be found.

    `counts` are the errors of the detector if it kept no other detections than those at `score_threshold`: an object
    is missed there if nothing that scores as much found it or explains it.
    """

    kind: NDArray[np.int8]  # (K,) place in `ERROR_KINDS`, NO_ERROR for true positives and what does not count
    nearest: Int64  # (K,) the object that an error is about, -1 for background and detections without an error
    nearest_iou: Float64  # (K,) IoU with it, else the highest with any object of the image that counts
    missed: Bool  # (M,) objects that count and no detection found, at any score, nor explains
    score_threshold: float  # the one behind `counts`; NaN where nothing was detected
    counts: dict[str, int]  # of each kind at `score_threshold`
    all_counts: dict[str, int]  # of each kind at any score
    ap_cost: dict[str, float]  # rise of mAP at IoU 0.5 if errors of the kind, and only these, were corrected
    class_ap_cost: dict[str, Float64]  # kind -> (C,) likewise for each class
    false_positive_cost: float  # the rise if every false positive were gone
    false_negative_cost: float  # the rise if every object had been found
    class_counts: dict[str, Int64]  # kind -> (C,) `counts` by class of the detection (of the object: missed)


def analyse_errors(matches: Matches, *, score_threshold: float) -> ErrorAnalysis:
    """Find the kind of every error, count them and compute what they cost.

    Args:
        matches: has IoU 0.5 among its thresholds, and objects of every size first.
        score_threshold: lowest score that counts as a detection in `counts`; NaN keeps none.
    """
    detections, truths = matches.problem.detections, matches.problem.truths
    outcome = matches.at(FOREGROUND_IOU)
    kind, nearest, nearest_iou = _kinds(matches, outcome.false_positive)
    missed = missed_objects(matches, kind, nearest, np.ones(len(detections), np.bool_))
    kept = detections.scores >= score_threshold
    missed_at_threshold = missed_objects(matches, kind, nearest, kept)

    num_classes = matches.problem.num_classes
    class_counts = {
        name: np.bincount(detections.labels[kept & (kind == code)], minlength=num_classes)
        for code, name in enumerate(ERROR_KINDS)
    }
    class_counts["missed"] = np.bincount(truths.labels[missed_at_threshold], minlength=num_classes)
    all_counts = {name: int((kind == code).sum()) for code, name in enumerate(ERROR_KINDS)}
    all_counts["missed"] = int(missed.sum())
    class_cost = _costs(matches, outcome, kind, nearest, missed)
    return ErrorAnalysis(
        kind=kind,
        nearest=nearest,
        nearest_iou=nearest_iou,
        missed=missed,
        score_threshold=score_threshold,
        counts={name: int(values.sum()) for name, values in class_counts.items()},
        all_counts=all_counts,
        ap_cost={name: mean_known(class_cost[name]) for name in ERROR_KINDS},
        class_ap_cost={name: class_cost[name] for name in ERROR_KINDS},
        false_positive_cost=mean_known(class_cost["false_positive"]),
        false_negative_cost=mean_known(class_cost["false_negative"]),
        class_counts=class_counts,
    )


def missed_objects(matches: Matches, kind: NDArray[np.int8], nearest: Int64, kept: Bool) -> Bool:
    """(M,) objects that count and none of the detections `kept` (K,) found or explains.

    Detections that score less never change what became of better ones, so `kept` may be a score threshold.
    """
    taken, tp, _ = matches.at(FOREGROUND_IOU)
    missed: Bool = matches.counted[0].copy()
    missed[taken[kept & tp]] = False
    missed[nearest[kept & ((kind == _CLASS) | (kind == _LOCATION))]] = False
    return missed


def _kinds(matches: Matches, false_positive: Bool) -> tuple[NDArray[np.int8], Int64, Float64]:
    """`kind`, `nearest` and `nearest_iou` of an `ErrorAnalysis`."""
    near = nearest_objects(matches.problem.detections, matches.problem.truths, matches.counted[0])
    highest = near.highest_iou
    is_good = highest >= FOREGROUND_IOU
    own_is_nearest = near.own_iou >= near.other_iou
    rules = {
        _DUPLICATE: is_good & own_is_nearest,
        _CLASS: is_good & ~own_is_nearest,
        _LOCATION: near.own_iou >= BACKGROUND_IOU,
        _BOTH: near.other_iou >= BACKGROUND_IOU,
    }
    kind = np.select(list(rules.values()), list(rules), _BACKGROUND).astype(np.int8)
    kind[~false_positive] = NO_ERROR
    about_own = (kind == _DUPLICATE) | (kind == _LOCATION)
    about_other = (kind == _CLASS) | (kind == _BOTH)
    nearest = np.where(about_own, near.own, np.where(about_other, near.other, -1))
    return kind, nearest, np.where(about_own, near.own_iou, np.where(about_other, near.other_iou, highest))


def _costs(
    matches: Matches, outcome: Outcome, kind: NDArray[np.int8], nearest: Int64, missed: Bool
) -> dict[str, Float64]:
    """(C,) the rise of AP at IoU 0.5 with the errors of each kind corrected; NaN for classes without objects."""
    detections, truths, instances = matches.problem.detections, matches.problem.truths, matches.instances()
    found = np.zeros(len(truths), np.bool_)
    found[outcome.taken[outcome.true_positive]] = True

    codes = (NO_ERROR, _BOTH, _DUPLICATE, _BACKGROUND)  # of the first nothing is removed: none of them is wrong
    removed = np.stack([*(kind == code for code in codes), outcome.false_positive])
    order, scores, bounds, *_ = matches.ranking
    fp = (outcome.false_positive & ~removed)[:, order]
    tp = np.tile(outcome.true_positive[order], (len(removed), 1))
    base, both, duplicate, background, false_positive = _average_precisions(scores, bounds, tp, fp, instances)

    def fewer_objects(left: Int64) -> Float64:
        result: Float64 = _average_precisions(scores, bounds, tp[:1], fp[:1], left)[0]
        result[(left == 0) & (instances > 0)] = 1.0
        return result

    is_class = kind == _CLASS
    right_labels = detections.labels.copy()
    right_labels[is_class] = truths.labels[nearest[is_class]]
    num_found, num_missed = (np.bincount(truths.labels[flags], minlength=len(instances)) for flags in (found, missed))
    after = {
        "class": _corrected(matches, outcome, is_class, right_labels, nearest, found),
        "location": _corrected(matches, outcome, kind == _LOCATION, detections.labels, nearest, found),
        "both": both,
        "duplicate": duplicate,
        "background": background,
        "missed": fewer_objects(instances - num_missed),
        "false_positive": false_positive,
        "false_negative": fewer_objects(num_found),
    }
    return {name: value - base for name, value in after.items()}


def _corrected(
    matches: Matches, outcome: Outcome, wrong: Bool, right_labels: Int64, nearest: Int64, found: Bool
) -> Float64:
    """(C,) AP if `wrong` (K,) detections were of class `right_labels` (K,) and found their `nearest` object (K,).

    `found` (M,) are the objects that a true positive has. NaN for classes without objects.
    """
    detections, instances = matches.problem.detections, matches.instances()

    def by_score(places: Int64) -> Int64:
        """By descending score; of equal scores the one on the earlier image first, as in COCO's ranking."""
        return places[np.lexsort((detections.image_index[places], -detections.scores[places]))]

    order = by_score(np.flatnonzero(wrong))
    free = order[~found[nearest[order]]]
    corrected = free[np.unique(nearest[free], return_index=True)[1]]  # the best of each object
    tp, labels = outcome.true_positive.copy(), detections.labels.copy()
    tp[corrected] = True
    labels[corrected] = right_labels[corrected]
    fp = outcome.false_positive & ~wrong
    order = by_score(np.flatnonzero(tp | fp))
    order = order[np.argsort(labels[order], kind="stable")]
    bounds = np.searchsorted(labels[order], np.arange(len(instances) + 1))
    tp, fp = tp[None, order], fp[None, order]
    result: Float64 = _average_precisions(detections.scores[order], bounds, tp, fp, instances)[0]
    return result


def _average_precisions(scores: Float64, bounds: Int64, tp: Bool, fp: Bool, instances: Int64) -> Float64:
    """(V, C) AP at 101 recalls, from (V, K) verdicts by class and descending score; NaN for classes without objects."""
    everything = np.arange(len(scores))
    verdicts = MatchFlags(scores, bounds, np.zeros(len(scores), np.bool_), everything, tp, fp)
    result: Float64 = curves(verdicts, instances).precision.mean(axis=1)
    result[:, instances == 0] = np.nan
    return result
