"""Labels that are probably wrong: where a detector that is usually right contradicts the annotation confidently.

    not_annotated   a detection where nothing is annotated, or nothing near
    wrong_class     a detection on an object of another class that its own class did not find
    inexact_box     a detection of the right class whose box fits the annotated one badly, and no other fits better
    no_object       an annotated object that no detection of any class touches, though low scores are in the file

The confidence of a candidate (0..1) is the reliability of the detection (`_reliability`) times how clear the case is.
It ranks candidates and is no probability: a confident mistake of the detector looks the same as a wrong label. A
detector that is seldom right says nothing about labels. Crowd regions and difficult objects, and whatever overlaps
them, are left out.

The limits below are judgement; `tests/evaluation/test_label_errors.py` plants wrong labels and looks for them.

Shape letters: K detections, k of them that score enough, M objects, C classes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int32, Int64
from yolo.detection_sets import DetectionSet
from yolo.evaluation.errors import BACKGROUND_IOU, FOREGROUND_IOU, ErrorAnalysis
from yolo.evaluation.examples import Example, describe_detection
from yolo.evaluation.matching import Matches
from yolo.evaluation.overlaps import Nearest, nearest_detections, nearest_objects

_LEAST_CONFIDENCE: Final = 0.2  # below it nothing is listed
_NEAR_IOU: Final = 0.3  # an object that overlaps as much may be the one that was meant
_SAME_PLACE_IOU: Final = 0.7  # a box of another class that fits as well is on the object
_FITS_IOU: Final = 0.6
_TIGHT_IOU: Final = 0.75
_PRIOR: Final = 5.0  # a class counts as if it had this many detections of average precision more
_NEIGHBOURS: Final = 25  # detections on either side, at least, that say how often a score is right
_SMALL_SIDE: Final = 32.0  # pixels: smaller objects are easily missed
_FEW, _USUAL_SHARE = 3.0, 0.02  # wrong labels to be expected between two classes: so many, or that share of the objects
_NO_OBJECT_WEIGHT: Final = 0.5  # that nothing was found says less than that something was
_LOW_SCORE: Final = 0.2  # of the threshold: detections that score less show that nothing was held back
_CANDIDATES_PER_EXAMPLE: Final = 20  # bounds the search where thousands of detections lie on one place


class _Confident(NamedTuple):
    """The k detections that score enough, with what became of them at IoU 0.5."""

    places: Int64  # (k,)
    labels: Int64  # (k,)
    taken: Int32  # (k,) object, -1 for none
    true_positive: Bool  # (k,)
    false_positive: Bool  # (k,)
    near: Nearest
    reliability: Float64  # (k,)


class _Candidates(NamedTuple):
    """What may be label errors of one kind; -1 where there is no detection or no object."""

    detection: Int64
    truth: Int64
    iou: Float64
    confidence: Float64


def find_label_errors(matches: Matches, errors: ErrorAnalysis, *, most: int = 200) -> tuple[Example, ...]:
    """Labels that are probably wrong, of all kinds, the most confident first; one for each place and each object.

    Args:
        matches: what `errors` was made of; has IoU 0.5 and 0.75 among its thresholds.
        errors: from `analyse_errors`; detections that score less than its threshold say nothing about labels.
        most: examples to return.
    """
    places = np.flatnonzero(matches.problem.detections.scores >= errors.score_threshold)
    if not places.size:
        return ()
    detections, truths = matches.problem.detections[places], matches.problem.truths
    outcome = matches.at(FOREGROUND_IOU)
    hit, wrong = outcome.true_positive[places], outcome.false_positive[places]
    reliability = _reliability(detections, hit, hit | wrong)
    reliability[nearest_objects(detections, truths, truths.reusable).highest_iou >= BACKGROUND_IOU] = 0.0
    near = nearest_objects(detections, truths, matches.counted[0])
    confident = _Confident(places, detections.labels, outcome.taken[places], hit, wrong, near, reliability)
    return _rank(
        matches,
        {
            "not_annotated": _not_annotated(confident),
            "wrong_class": _wrong_class(matches, confident),
            "inexact_box": _inexact_box(matches, confident),
            "no_object": _no_object(matches, hit, errors.score_threshold),
        },
        most,
    )


def _reliability(detections: DetectionSet, hit: Bool, judged: Bool) -> Float64:
    """(k,) the reliability of each detection: how often such are right, times how typical it is.

    How often: the lower one of two shares. One is of its class at its score or above. The other is of all classes at
    about its score, because the best detections say little of those that just suffice. How typical: the root of the
    share of right detections of its class that score no more; mistakes, unlike wrong labels, mostly score low.
    Classes are drawn towards the average of all, because some have few detections.

    `hit` (k,) are the true positives, `judged` (k,) the true and false positives.
    """
    order = np.argsort(-detections.scores, kind="stable")
    labels, hit, judged = detections.labels[order], hit[order], judged[order]
    hits, count = (np.append(0, flags.cumsum()) for flags in (hit, judged))
    reach = max(_NEIGHBOURS, len(order) // 50)
    low, high = (np.clip(np.arange(len(order)) + shift, 0, len(order)) for shift in (-reach, reach + 1))
    nearby = _share(hits[high] - hits[low], count[high] - count[low])
    own_hits, own_total = _up_to_each(labels, hit)
    own_count, _ = _up_to_each(labels, judged)
    right = _share(own_hits, own_count, _share(hits[1:], count[1:]))
    lower = _share(own_total - own_hits + hit, own_total, _share(hits[-1] - hits[1:] + hit, hits[-1]))
    reliability = np.empty(len(order))
    reliability[order] = np.minimum(right, nearby) * np.sqrt(lower)
    return reliability


def _share(part: Int64, whole: Int64, prior: Float64 | None = None) -> Float64:
    """Part of whole, 0 of nothing; with a prior as if `_PRIOR` more were known to have that share."""
    if prior is None:
        return part / np.maximum(whole, 1)
    return (part + _PRIOR * prior) / (whole + _PRIOR)


def _up_to_each(labels: Int64, flags: Bool) -> tuple[Int64, Int64]:
    """How many flags of its own class there are up to each place, itself included, and in all.

    >>> [part.tolist() for part in _up_to_each(np.array([1, 0, 1]), np.array([True, True, True]))]
    [[1, 1, 2], [2, 1, 2]]
    """
    by_class = np.argsort(labels, kind="stable")
    total = np.bincount(labels, flags).astype(np.int64)
    before = np.cumsum(total) - total
    result = np.empty(len(labels), np.int64)
    result[by_class] = flags[by_class].cumsum() - before[labels[by_class]]
    return result, total[labels]


def _not_annotated(confident: _Confident) -> _Candidates:
    alone = np.clip((_NEAR_IOU - confident.near.highest_iou) / (_NEAR_IOU - BACKGROUND_IOU), 0.0, 1.0)
    confidence = confident.reliability * alone * confident.false_positive
    return _Candidates(confident.places, np.full(len(confidence), -1), np.zeros(len(confidence)), confidence)


def _wrong_class(matches: Matches, confident: _Confident) -> _Candidates:
    near = confident.near
    found = np.zeros(matches.counted.shape[1] + 1, np.bool_)  # the last one is what -1 reads
    found[confident.taken] = True
    candidate = confident.false_positive & (near.other_iou >= _SAME_PLACE_IOU) & ~found[near.other]
    candidate &= near.own_iou < FOREGROUND_IOU  # on an object of its own class it is but a duplicate
    rarity = _rarity(matches, confident, np.flatnonzero(candidate))
    return _Candidates(confident.places, near.other, near.other_iou, confident.reliability * candidate * rarity)


def _rarity(matches: Matches, confident: _Confident, rows: Int64) -> Float64:
    """(k,) 1 for classes that are seldom taken for each other; what is often mixed up is the detector's mistake."""
    num_classes, objects = matches.problem.num_classes, confident.near.other[rows]
    annotated, detected = matches.problem.truths.labels[objects], confident.labels[rows]
    pair = annotated * num_classes + detected
    # each object once, whatever lies on it
    _, once = np.unique(objects * num_classes + detected, return_index=True)
    count = np.bincount(pair[once], minlength=num_classes**2)
    expected = np.maximum(_FEW, _USUAL_SHARE * matches.instances()[annotated])
    rarity = np.ones(len(confident.places))
    rarity[rows] = np.minimum(1.0, expected / count[pair])
    return rarity


def _inexact_box(matches: Matches, confident: _Confident) -> _Candidates:
    """Weighed by the share of found objects that are found tightly: boxes of a sloppy detector say nothing."""
    near = confident.near
    tight = matches.at(_TIGHT_IOU).true_positive[confident.places]
    tightness = tight.sum() / max(confident.true_positive.sum(), 1)
    best = np.zeros(matches.counted.shape[1] + 1)
    np.maximum.at(best, near.own, near.own_iou)
    candidate = (near.own >= 0) & (near.own_iou >= _NEAR_IOU) & (near.own_iou == best[near.own])
    # what took another object is about that one
    candidate &= (confident.taken == near.own) | (confident.taken < 0)
    clarity = np.clip((_FITS_IOU - near.own_iou) / (_FITS_IOU - FOREGROUND_IOU), 0.0, 1.0)
    confidence = confident.reliability * candidate * clarity * tightness
    return _Candidates(confident.places, near.own, near.own_iou, confidence)


def _no_object(matches: Matches, hit: Bool, score_threshold: float) -> _Candidates:
    """Needs a detector that reports low scores too, and touches nearly every object with something."""
    truths, detections = matches.problem.truths, matches.problem.detections
    places = np.flatnonzero(matches.counted[0])
    if detections.scores.min() > _LOW_SCORE * score_threshold:
        places = places[:0]
    absent = np.full(len(places), -1), places, np.zeros(len(places))
    if not places.size:
        return _Candidates(*absent, np.zeros(0))
    touched = nearest_detections(detections, truths[places])[1] >= BACKGROUND_IOU
    labels, num_classes = truths.labels[places], matches.problem.num_classes
    count, hits = (np.bincount(labels, weights, num_classes) for weights in (np.ones(len(labels)), touched))
    share = (hits + _PRIOR * touched.mean()) / (count + _PRIOR)
    clarity = np.minimum(np.sqrt(np.abs(truths.sizes_wh[places].prod(axis=1))) / _SMALL_SIDE, 1.0)
    return _Candidates(*absent, _NO_OBJECT_WEIGHT * share[labels] * hit.mean() * clarity * ~touched)


def _rank(matches: Matches, kinds: dict[str, _Candidates], most: int) -> tuple[Example, ...]:
    detections, truths = matches.problem.detections, matches.problem.truths
    kind_of = np.repeat(np.array(list(kinds)), [len(one.confidence) for one in kinds.values()])
    columns = _Candidates(*(np.concatenate(parts) for parts in zip(*kinds.values(), strict=True)))
    listed = np.flatnonzero(columns.confidence >= _LEAST_CONFIDENCE)
    order = listed[np.argsort(-columns.confidence[listed], kind="stable")][: _CANDIDATES_PER_EXAMPLE * most]
    examples: list[Example] = []
    places: dict[int, list[Float64]] = {}  # image -> boxes that are listed
    for row in order.tolist():
        if len(examples) >= most:
            break
        detection, truth = int(columns.detection[row]), int(columns.truth[row])
        image = int(detections.image_index[detection] if detection >= 0 else truths.image_index[truth])
        box = detections.boxes[detection] if truth < 0 else truths.boxes[truth]
        before = places.setdefault(image, [])
        if before and _highest_iou(box, np.stack(before)) >= FOREGROUND_IOU:
            continue
        before.append(box)
        kind, iou, confidence = str(kind_of[row]), float(columns.iou[row]), float(columns.confidence[row])
        message = _message(matches, kind, detection, truth, iou)
        examples.append(Example(kind, image, detection, truth, confidence, iou, message))
    return tuple(examples)


def _highest_iou(box: Float64, boxes: Float64) -> float:
    """IoU of a box (4,) with the nearest of some (n, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.maximum(sides, 0.0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return float((common / np.maximum(areas - common, np.finfo(np.float64).tiny)).max())


def _message(matches: Matches, kind: str, detection: int, truth: int, iou: float) -> str:
    annotated = matches.problem.class_names[matches.problem.truths.labels[truth]] if truth >= 0 else ""
    if kind == "no_object":
        return f"{annotated} is annotated where nothing was detected, not even with a low score"
    found = describe_detection(matches, detection)
    if kind == "not_annotated":
        return f"{found} may be an object that is not annotated"
    if kind == "wrong_class":
        return f"annotated as {annotated}, but may be {found} (IoU {iou:.2f})"
    return f"the box of the annotated {annotated} may be inexact: {found} is elsewhere (IoU {iou:.2f})"
