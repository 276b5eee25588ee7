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

What errors cost: mend those of one kind, leave everything else as it is, and compute AP at IoU 0.5 again.

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

How detections and objects of one image overlap, whatever their classes: the nearest of each.

Matching asks who took what; here nothing is taken, and pairs far below a matching threshold are seen too. Pairs are
made a bounded number at a time and reduced at once, so an image with a million detections costs time, not memory.
The arithmetic is that of `evaluation.matching`, so an IoU is the same number there and here.

Shape letters: K detections, M objects, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int64
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.average_precision import Verdicts, curves
from yolo.evaluation.coco import Matched


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
    return _average_precisions_error_costs(judged.scores[order], hit, miss, judged.bounds, instances)


def fewer_objects(judged: Judged, instances: Int64, left: Int64) -> Float64:
    """(C,) AP of each class if only `left` (C,) of its objects had to be found; NaN for classes without objects."""
    order = judged.by_class
    hit, miss = (flags[None, order] for flags in (judged.true_positive, judged.false_positive))
    result: Float64 = _average_precisions_error_costs(judged.scores[order], hit, miss, judged.bounds, left)[0]
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
    result: Float64 = _average_precisions_error_costs(
        judged.scores[order], hit[None, order], miss[None, order], bounds, instances
    )[0]
    return result


def _by_score(judged: Judged, places: Int64) -> Int64:
    """Detections by descending score; of equal scores the one on the earlier image first, as in COCO's ranking."""
    return places[np.lexsort((judged.images[places], -judged.scores[places]))]


def _average_precisions_error_costs(scores: Float64, hit: Bool, miss: Bool, bounds: Int64, instances: Int64) -> Float64:
    """(V, C) AP at 101 recalls, from (V, K) verdicts by class and descending score; NaN for classes without objects."""
    everything = np.arange(len(scores))
    verdicts = Verdicts(scores, bounds, np.zeros(len(scores), np.bool_), everything, hit, miss)
    result: Float64 = curves(verdicts, instances).precision.mean(axis=1)
    result[:, instances == 0] = np.nan
    return result


# some 150 bytes each
_PAIRS_AT_ONCE = 300_000


class Nearest(NamedTuple):
    """For each detection the object that it overlaps most; -1 and 0 where it overlaps none."""

    own: Int64  # (K,) index of an object of its class
    own_iou: Float64  # (K,)
    other: Int64  # (K,) index of an object of another class
    other_iou: Float64  # (K,)


class NearestDetection(NamedTuple):
    """For each object the detection of any class that overlaps it most; -1 and 0 where none does."""

    detection: Int64  # (M,)
    iou: Float64  # (M,)


def nearest_objects(detections: DetectionSet, truths: TruthSet, among: Bool) -> Nearest:
    """The nearest object of the same class and of another one; the last of equal IoUs.

    Args:
        detections: K detections.
        truths: M objects.
        among: (M,) objects to look at.
    """
    count = len(detections)
    nearest = Nearest(np.full(count, -1), np.zeros(count), np.full(count, -1), np.zeros(count))
    places = np.flatnonzero(among)
    truths = truths[places]
    for detection, truth, overlap in overlapping_pairs(detections, truths):
        is_own = detections.labels[detection] == truths.labels[truth]
        for mask, best, best_iou in (
            (is_own, nearest.own, nearest.own_iou),
            (~is_own, nearest.other, nearest.other_iou),
        ):
            row, place = _last_highest(detection[mask], overlap[mask])
            best[row] = places[truth[mask][place]]
            best_iou[row] = overlap[mask][place]
    return nearest


def nearest_detections(detections: DetectionSet, truths: TruthSet) -> NearestDetection:
    """The detection of any class that overlaps each object most; any one of equal IoUs."""
    nearest = NearestDetection(np.full(len(truths), -1), np.zeros(len(truths)))
    for detection, truth, overlap in overlapping_pairs(detections, truths):
        np.maximum.at(nearest.iou, truth, overlap)
        best = overlap == nearest.iou[truth]
        nearest.detection[truth[best]] = detection[best]
    return nearest


def highest_overlap(detections: DetectionSet, truths: TruthSet) -> Float64:
    """(K,) highest overlap with any object: IoU, of crowd regions the share of the detection inside."""
    highest = np.zeros(len(detections))
    for detection, _, overlap in overlapping_pairs(detections, truths):
        np.maximum.at(highest, detection, overlap)
    return highest


def overlapping_pairs(detections: DetectionSet, truths: TruthSet) -> Iterator[tuple[Int64, Int64, Float64]]:
    """Yield (detection, object, overlap) of pairs of one image that overlap, all pairs of a detection together.

    Overlap is IoU, and of crowd regions the share of the detection inside, as COCO has it.
    """
    by_image = np.argsort(detections.image_index, kind="stable")
    truth_order = np.argsort(truths.image_index, kind="stable")
    truth_images = truths.image_index[truth_order]
    first = np.searchsorted(truth_images, detections.image_index[by_image], side="left")
    count = np.searchsorted(truth_images, detections.image_index[by_image], side="right") - first
    filled = np.cumsum(count)
    cuts = np.searchsorted(filled, np.arange(0, filled[-1] if len(filled) else 0, _PAIRS_AT_ONCE), side="right")
    for begin, end in pairwise(np.unique(np.append(cuts, len(count))).tolist()):
        part, runs = by_image[begin:end], count[begin:end]
        detection = np.repeat(part, runs)
        start = np.repeat(first[begin:end] - (filled[begin:end] - runs), runs)  # of the run, less what came before
        truth = truth_order[start + np.arange(filled[end - 1] - len(detection), filled[end - 1])]
        touches, intersection = _intersection(detections.boxes, detection, truths.boxes, truth)
        detection, truth = detection[touches], truth[touches]
        own_area = detections.sizes_wh[detection].prod(axis=1)
        union = own_area + truths.sizes_wh[truth].prod(axis=1) - intersection
        yield detection, truth, intersection / np.where(truths.iscrowd[truth], own_area, union)


def _intersection(boxes: Float64, row: Int64, other_boxes: Float64, other_row: Int64) -> tuple[Bool, Float64]:
    """(P,) whether two boxes overlap, and the common area of those that do."""
    dx1, dy1, dx2, dy2 = boxes[row].T
    tx1, ty1, tx2, ty2 = other_boxes[other_row].T
    width = np.minimum(dx2, tx2) - np.maximum(dx1, tx1)
    height = np.minimum(dy2, ty2) - np.maximum(dy1, ty1)
    touches = (width > 0) & (height > 0)
    area: Float64 = width[touches] * height[touches]
    return touches, area


def _last_highest(group: Int64, values: Float64) -> tuple[Int64, Int64]:
    """Of each run of equal `group`: the group, and the place of its highest value, the last of equal ones.

    >>> group, place = _last_highest(np.array([4, 4, 4, 2]), np.array([0.3, 0.3, 0.1, 0.2]))
    >>> group.tolist(), place.tolist()
    ([4, 2], [1, 3])
    """
    if not group.size:
        return group, group
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    highest = np.repeat(np.maximum.reduceat(values, starts), np.diff(np.append(starts, len(group))))
    candidates = np.where(values == highest, np.arange(len(group)), -1)
    return group[starts], np.maximum.reduceat(candidates, starts)


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
