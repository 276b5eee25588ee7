"""Why detections are wrong and objects are not found, and how much average precision each kind of error costs.

The kinds of TIDE (Bolya et al. 2020), at IoU 0.5 and, for background, 0.1. Only objects that count are
looked at: crowd regions and difficult objects explain nothing, and a detection that counts neither for nor against
(it took one of those) is no error. Of a false positive,

    IoU >= 0.5 with some object     the object with the highest IoU decides, one of its class on equal IoUs:
                                    of its class    duplicate (had it been free, this were no false positive)
                                    of another      class
    else IoU >= 0.1                 with an object of its class     location, whatever overlaps more
                                    with others only                both
    else                            background

so every false positive has exactly one kind. The paper leaves open which of several goes first. An object is missed
if no true positive found it and no class or location error is about it.

Left out here: mending (`error_costs`), single cases (`cases`).

Shape letters: K detections, M objects, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.error_costs import Judged, corrected, fewer_objects, removed
from yolo.analysis.overlaps import nearest_objects
from yolo.evaluation.matched import Matched

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# in the order in which they are told
ERROR_KINDS: Final = ("class", "location", "both", "duplicate", "background", "missed")
NO_ERROR = -1

FOREGROUND_IOU: Final = 0.5
BACKGROUND_IOU: Final = 0.1

_CLASS, _LOCATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(len(ERROR_KINDS))


@dataclass(frozen=True, slots=True, eq=False)
class ErrorAnalysis:
    """The errors at IoU 0.5, every detection at most one kind. Costs are NaN without objects to be found.

    Attributes:
        kind: (K,) place in `ERROR_KINDS`, NO_ERROR for true positives and detections that do not count.
        nearest: (K,) the object that an error is about, -1 for background and for detections without an error.
        nearest_iou: (K,) IoU with it, else the highest with any object of the image that counts.
        missed: (M,) objects that count and no detection found, at any score, nor explains as a class or location error.
        score_threshold: the one behind `counts`; NaN where nothing was detected.
        counts: errors of each kind at `score_threshold`, those of the detector if it kept no other detections; an
            object is missed there if nothing that scores as much found it or explains it.
        all_counts: errors of each kind at any score.
        ap_cost: kind -> how much mAP at IoU 0.5 would rise if errors of this kind, and only these, were mended.
        class_ap_cost: kind -> (C,) likewise for each class.
        false_positive_cost: the rise if every false positive were gone.
        false_negative_cost: the rise if every object had been found.
        class_counts: kind -> (C,) errors at `score_threshold` by class of the detection (of the object: missed).
    """

    kind: NDArray[np.int8]
    nearest: Int64
    nearest_iou: Float64
    missed: Bool
    score_threshold: float
    counts: dict[str, int]
    all_counts: dict[str, int]
    ap_cost: dict[str, float]
    class_ap_cost: dict[str, Float64]
    false_positive_cost: float
    false_negative_cost: float
    class_counts: dict[str, Int64]


def analyse_errors(matched: Matched, *, score_threshold: float) -> ErrorAnalysis:
    """Find the kind of every error, count them and compute what they cost.

    Args:
        matched: has IoU 0.5 among its thresholds.
        score_threshold: lowest score that counts as a detection in `counts`; NaN keeps none.
    """
    detections, truths = matched.problem.detections, matched.problem.truths
    column = matched.at(FOREGROUND_IOU)
    kind, nearest, nearest_iou = _kinds(matched, matched.false_positive[:, column])
    everything = np.ones(len(detections), np.bool_)
    missed = missed_objects(matched, kind, nearest, everything)
    kept = detections.scores >= score_threshold
    missed_at_threshold = missed_objects(matched, kind, nearest, kept)

    num_classes = matched.problem.num_classes
    class_counts = {
        name: np.bincount(detections.labels[kept & (kind == code)], minlength=num_classes)
        for code, name in enumerate(ERROR_KINDS)
    }
    class_counts["missed"] = np.bincount(truths.labels[missed_at_threshold], minlength=num_classes)
    all_counts = {name: int((kind == code).sum()) for code, name in enumerate(ERROR_KINDS)}
    all_counts["missed"] = int(missed.sum())
    base, mended = _average_precisions(matched, kind, nearest, missed)
    class_cost = {name: value - base for name, value in mended.items()}
    return ErrorAnalysis(
        kind=kind,
        nearest=nearest,
        nearest_iou=nearest_iou,
        missed=missed,
        score_threshold=score_threshold,
        counts={name: int(values.sum()) for name, values in class_counts.items()},
        all_counts=all_counts,
        ap_cost={name: _mean(class_cost[name]) for name in ERROR_KINDS},
        class_ap_cost={name: class_cost[name] for name in ERROR_KINDS},
        false_positive_cost=_mean(class_cost["false_positive"]),
        false_negative_cost=_mean(class_cost["false_negative"]),
        class_counts=class_counts,
    )


def missed_objects(matched: Matched, kind: NDArray[np.int8], nearest: Int64, kept: Bool) -> Bool:
    """(M,) objects that count and none of the detections `kept` (K,) found or explains.

    Detections that score less never change what became of better ones, so `kept` may be a score threshold.
    """
    column = matched.at(FOREGROUND_IOU)
    missed = matched.counted.copy()
    missed[matched.matched[kept & matched.true_positive[:, column], column]] = False
    missed[nearest[kept & ((kind == _CLASS) | (kind == _LOCATION))]] = False
    return missed


def _kinds(matched: Matched, false_positive: Bool) -> tuple[NDArray[np.int8], Int64, Float64]:
    """`kind`, `nearest` and `nearest_iou` of an `ErrorAnalysis`."""
    near = nearest_objects(matched.problem.detections, matched.problem.truths, matched.counted)
    is_good = np.maximum(near.own_iou, near.other_iou) >= FOREGROUND_IOU
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
    highest = np.maximum(near.own_iou, near.other_iou)
    return kind, nearest, np.where(about_own, near.own_iou, np.where(about_other, near.other_iou, highest))


def _average_precisions(
    matched: Matched, kind: NDArray[np.int8], nearest: Int64, missed: Bool
) -> tuple[Float64, dict[str, Float64]]:
    """(C,) AP at IoU 0.5 as it is, and with the errors of each kind mended."""
    detections, truths = matched.problem.detections, matched.problem.truths
    column, instances = matched.at(FOREGROUND_IOU), matched.instances
    hit, miss = matched.true_positive[:, column], matched.false_positive[:, column]
    judged = Judged(
        detections.labels, detections.scores, detections.image_index, hit, miss, matched.by_class, matched.bounds
    )
    nothing = np.zeros_like(miss)
    gone = np.stack([nothing, *(kind == code for code in (_BOTH, _DUPLICATE, _BACKGROUND)), miss])
    base, both, duplicate, background, false_positive = removed(judged, gone, instances)

    found = np.zeros(len(truths), np.bool_)
    found[matched.matched[hit, column]] = True
    is_class, is_location = kind == _CLASS, kind == _LOCATION
    right_labels = detections.labels.copy()
    right_labels[is_class] = truths.labels[nearest[is_class]]
    num_found, num_missed = (np.bincount(truths.labels[flags], minlength=len(instances)) for flags in (found, missed))
    return base, {
        "class": corrected(judged, is_class, right_labels, nearest, found, instances),
        "location": corrected(judged, is_location, detections.labels, nearest, found, instances),
        "both": both,
        "duplicate": duplicate,
        "background": background,
        "missed": fewer_objects(judged, instances, instances - num_missed),
        "false_positive": false_positive,
        "false_negative": fewer_objects(judged, instances, num_found),
    }


def _mean(values: Float64) -> float:
    """Mean of the classes with objects; NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
