"""Labels that are probably wrong: where a detector that is usually right is sure, and the annotation says otherwise.

    not_annotated   a detection where nothing is annotated, or nothing near
    wrong_class     a detection on an object of another class that its own class did not find
    inexact_box     a detection of the right class whose box fits the annotated one badly, and no other fits better
    no_object       an annotated object that no detection of any class touches, though low scores are in the file

How sure (0..1) is how far the detection is to be believed (`_reliability`), times how plain the case is. It ranks; it
is no probability: a confident mistake of the detector looks the same as a wrong label. A detector that is seldom right
accuses nobody. Crowd regions and difficult objects, and whatever overlaps them, are left alone.

The limits below are judgement; `tests/evaluation/test_label_errors.py` plants wrong labels and looks for them.

Shape letters: K detections, M objects, C classes.

Single detections and objects worth looking at: the worst errors.

Labels that are probably wrong are cases too; `suspects` finds them. Nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.evaluation.coco import Matched
from yolo.evaluation.errors import (
    BACKGROUND_IOU,
    ERROR_KINDS,
    FOREGROUND_IOU,
    ErrorAnalysis,
    Nearest,
    highest_overlap,
    missed_objects,
    nearest_detections,
    nearest_objects,
)

# cases of one kind on an image before other images have their turn
_PER_IMAGE: Final = 3


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to look at.

    Attributes:
        kind: of the worst errors a name of `ERROR_KINDS`; of suspicious labels "not_annotated", "wrong_class",
            "inexact_box" or "no_object".
        image: place in the image table.
        detection: place in the detections of the matched problem, -1 where it is about an object alone.
        truth: place in the objects, -1 where it is about a detection alone.
        score: by which cases of a kind are ranked, the highest first: the score of the detection, or how sure it is
            that the label is wrong, 0..1.
        iou: between detection and object, 0 where one is missing.
        message: one sentence for people, names as they are.
    """

    kind: str
    image: int
    detection: int
    truth: int
    score: float
    iou: float
    message: str


def worst_cases(matched: Matched, errors: ErrorAnalysis, *, most: int = 24) -> dict[str, tuple[Case, ...]]:
    """The errors that a person should see first, of every kind; an empty tuple where there are none.

    Detections that score less than the threshold of `errors` do no harm and are left out. Wrong detections are ranked
    by score. Missed objects are ranked by how plain they are: by the area of the box relative to that of the image, or
    to the largest annotated box if the size of an image with a missed object is unknown. After three cases of a kind
    on one image the other images have their turn.

    Args:
        matched: what `errors` was made of.
        errors: from `analyse_errors`.
        most: cases of each kind.
    """
    detections, truths = matched.problem.detections, matched.problem.truths
    kept = detections.scores >= errors.score_threshold
    result = {}
    for code, kind in enumerate(ERROR_KINDS[:-1]):
        wrong = np.flatnonzero(kept & (errors.kind == code))
        scores, images = detections.scores[wrong], detections.image_index[wrong]
        chosen = wrong[_take_in_turns(scores, images, most)]
        result[kind] = tuple(_wrong_case(matched, errors, kind, place) for place in chosen.tolist())
    missed = np.flatnonzero(missed_objects(matched, errors.kind, errors.nearest, kept))
    plainness = _plainness(matched, missed)
    chosen = _take_in_turns(plainness, truths.image_index[missed], most)
    result["missed"] = _missed_cases(matched, missed[chosen], plainness[chosen], errors.score_threshold)
    return result


def describe_detection(matched: Matched, place: int) -> str:
    """Class and score of a detection, as in "dog 0.93"."""
    detections = matched.problem.detections
    return f"{matched.problem.class_names[detections.labels[place]]} {detections.scores[place]:.2f}"


def _take_in_turns(scores: Float64, images: Int64, most: int) -> Int64:
    """At most `most` places by descending score, no more than three of an image before the others had a turn.

    >>> _take_in_turns(np.array([0.9, 0.8, 0.7, 0.6, 0.1]), np.array([5, 5, 5, 5, 2]), 4).tolist()
    [0, 1, 2, 4]
    """
    order = np.argsort(-scores, kind="stable")
    by_image = order[np.argsort(images[order], kind="stable")]
    is_first = np.append(True, np.diff(images[by_image]) != 0)[: len(by_image)]
    start = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    turn = np.empty(len(order), np.int64)
    turn[by_image] = (np.arange(len(order)) - start) // _PER_IMAGE
    chosen = order[np.argsort(turn[order], kind="stable")][:most]
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def _wrong_case(matched: Matched, errors: ErrorAnalysis, kind: str, place: int) -> Case:
    detections, truths = matched.problem.detections, matched.problem.truths
    truth = int(errors.nearest[place])
    iou = float(errors.nearest_iou[place])
    annotated = matched.problem.class_names[truths.labels[truth]] if truth >= 0 else ""
    ends = {
        "class": f"where {annotated} is annotated (IoU {iou:.2f})",
        "location": f"with a box that fits the annotated one badly (IoU {iou:.2f})",
        "both": f"which overlaps an annotated {annotated} a little (IoU {iou:.2f})",
        "duplicate": f"once more: the object has a better detection (IoU {iou:.2f})",
        "background": "where nothing is annotated",
    }
    return Case(
        kind=kind,
        image=int(detections.image_index[place]),
        detection=place,
        truth=truth,
        score=float(detections.scores[place]),
        iou=iou if truth >= 0 else 0.0,
        message=f"found {describe_detection(matched, place)} {ends[kind]}",
    )


def _plainness(matched: Matched, missed: Int64) -> Float64:
    """Area of missed objects relative to their images, 0..1; to the largest object where an image's size is unknown."""
    truths = matched.problem.truths
    area = np.abs(truths.sizes_wh.prod(axis=1))
    height, width = matched.problem.images.sizes_hw[truths.image_index[missed]].astype(np.float64).T
    whole = height * width
    if not whole.all():
        whole = np.full(len(missed), area[matched.counted].max(initial=0.0))
    plainness: Float64 = np.minimum(area[missed] / np.where(whole > 0, whole, 1.0), 1.0)
    return plainness


def _missed_cases(matched: Matched, missed: Int64, plainness: Float64, score_threshold: float) -> tuple[Case, ...]:
    """One case for each missed object, with the detection that overlaps it most."""
    detections, truths = matched.problem.detections, matched.problem.truths
    nearby = np.flatnonzero(np.isin(detections.image_index, truths.image_index[missed]))
    near = nearest_detections(detections[nearby], truths[missed])
    cases = []
    for place, truth in enumerate(missed.tolist()):
        found = int(nearby[near.detection[place]]) if near.detection[place] >= 0 else -1
        iou = float(near.iou[place])
        if found < 0:
            rest = "no detection overlaps it"
        else:
            low = "" if detections.scores[found] >= score_threshold else ", which scores too little"
            rest = f"the nearest detection is {describe_detection(matched, found)} (IoU {iou:.2f}){low}"
        width, height = np.abs(truths.sizes_wh[truth])
        name = matched.problem.class_names[truths.labels[truth]]
        cases.append(
            Case(
                kind="missed",
                image=int(truths.image_index[truth]),
                detection=found,
                truth=truth,
                score=float(plainness[place]),
                iou=iou,
                message=f"{name} of {width:.0f} × {height:.0f} pixels not found; {rest}",
            )
        )
    return tuple(cases)


SUSPECT_KINDS: Final = ("not_annotated", "wrong_class", "inexact_box", "no_object")

_LEAST_SURETY: Final = 0.2  # below it nothing is listed
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
_CANDIDATES_PER_CASE: Final = 20  # bounds the search where thousands of detections lie on one place


class _Accused(NamedTuple):
    """Suspects of one kind."""

    detection: Int64
    truth: Int64
    iou: Float64
    surety: Float64


def find_suspects(matched: Matched, errors: ErrorAnalysis, *, most: int = 200) -> tuple[Case, ...]:
    """Labels that are probably wrong, of all kinds, the surest first; one case for each place and each object.

    Args:
        matched: what `errors` was made of; has IoU 0.5 and 0.75 among its thresholds.
        errors: from `analyse_errors`; detections that score less than its threshold accuse nobody.
        most: cases to return.
    """
    confident = np.flatnonzero(matched.problem.detections.scores >= errors.score_threshold)
    if not confident.size:
        return ()
    detections, truths = matched.problem.detections[confident], matched.problem.truths
    reliability = _reliability(matched, confident)
    reliability[highest_overlap(detections, truths[truths.reusable]) >= BACKGROUND_IOU] = 0.0
    near = nearest_objects(detections, truths, matched.counted)
    accused = {
        "not_annotated": _not_annotated(matched, confident, near, reliability),
        "wrong_class": _wrong_class(matched, confident, near, reliability),
        "inexact_box": _inexact_box(matched, confident, near, reliability),
        "no_object": _no_object(matched, confident, errors.score_threshold),
    }
    return _rank(matched, accused, most)


def _reliability(matched: Matched, confident: Int64) -> Float64:
    """How much each of the confident detections is to be believed: how often such are right, times how typical it is.

    How often: the lower one of two shares. One is of its class at its score or above. The other is of all classes at
    about its score, because the best detections say little of those that just suffice. How typical: the root of the
    share of right detections of its class that score no more; mistakes, unlike wrong labels, mostly score low.
    Classes are drawn towards the average of all, because some have few detections.
    """
    column = matched.at(FOREGROUND_IOU)
    hit = matched.true_positive[confident, column]
    judged = hit | matched.false_positive[confident, column]
    labels, scores = matched.problem.detections.labels[confident], matched.problem.detections.scores[confident]
    order = np.argsort(-scores, kind="stable")
    labels, hit, judged = labels[order], hit[order], judged[order]

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


def _not_annotated(matched: Matched, confident: Int64, near: Nearest, reliability: Float64) -> _Accused:
    highest = np.maximum(near.own_iou, near.other_iou)
    alone = np.clip((_NEAR_IOU - highest) / (_NEAR_IOU - BACKGROUND_IOU), 0.0, 1.0)
    surety = reliability * alone * matched.false_positive[confident, matched.at(FOREGROUND_IOU)]
    return _Accused(confident, np.full(len(confident), -1), np.zeros(len(confident)), surety)


def _wrong_class(matched: Matched, confident: Int64, near: Nearest, reliability: Float64) -> _Accused:
    column = matched.at(FOREGROUND_IOU)
    found = np.zeros(len(matched.counted) + 1, np.bool_)  # the last one is what -1 reads
    found[matched.matched[confident, column]] = True
    accuses = matched.false_positive[confident, column] & (near.other_iou >= _SAME_PLACE_IOU) & ~found[near.other]
    # on an object of its own class it is but a duplicate
    accuses &= near.own_iou < FOREGROUND_IOU
    surety = reliability * accuses * _rarity(matched, confident, near, accuses)
    return _Accused(confident, near.other, near.other_iou, surety)


def _rarity(matched: Matched, confident: Int64, near: Nearest, accuses: Bool) -> Float64:
    """(k,) 1 for classes that are seldom taken for each other; what is often mixed up is the detector's mistake."""
    rarity = np.ones(len(confident))
    rows = np.flatnonzero(accuses)
    num_classes = matched.problem.num_classes
    annotated, detected = matched.problem.truths.labels[near.other[rows]], matched.problem.detections.labels[confident]
    pair = annotated * num_classes + detected[rows]
    # each object once, whatever lies on it
    _, once = np.unique(near.other[rows] * num_classes + detected[rows], return_index=True)
    count = np.bincount(pair[once], minlength=num_classes**2)
    expected = np.maximum(_FEW, _USUAL_SHARE * matched.instances[annotated])
    rarity[rows] = np.minimum(1.0, expected / count[pair])
    return rarity


def _inexact_box(matched: Matched, confident: Int64, near: Nearest, reliability: Float64) -> _Accused:
    """Weighed by the share of found objects that are found tightly: boxes of a sloppy detector accuse nobody."""
    loose, tight = matched.at(FOREGROUND_IOU), matched.at(_TIGHT_IOU)
    hit = matched.true_positive[confident]
    tightness = hit[:, tight].sum() / max(hit[:, loose].sum(), 1)
    best = np.zeros(len(matched.counted) + 1)
    np.maximum.at(best, near.own, near.own_iou)
    accuses = (near.own >= 0) & (near.own_iou >= _NEAR_IOU) & (near.own_iou == best[near.own])
    # what took another object is about that one
    taken = matched.matched[confident, loose]
    accuses &= (taken == near.own) | (taken < 0)
    plain = np.clip((_FITS_IOU - near.own_iou) / (_FITS_IOU - FOREGROUND_IOU), 0.0, 1.0)
    return _Accused(confident, near.own, near.own_iou, reliability * accuses * plain * tightness)


def _no_object(matched: Matched, confident: Int64, score_threshold: float) -> _Accused:
    """Needs a detector that reports low scores too, and touches nearly every object with something."""
    truths, detections = matched.problem.truths, matched.problem.detections
    places = np.flatnonzero(matched.counted)
    if not places.size or detections.scores.min() > _LOW_SCORE * score_threshold:
        return _Accused(*(np.zeros(0, np.int64),) * 2, *(np.zeros(0),) * 2)
    touched = nearest_detections(detections, truths[places]).iou >= BACKGROUND_IOU
    labels, num_classes = truths.labels[places], matched.problem.num_classes
    count, hits = (np.bincount(labels, weights, num_classes) for weights in (np.ones(len(labels)), touched))
    share = (hits + _PRIOR * touched.mean()) / (count + _PRIOR)
    hit = matched.true_positive[confident, matched.at(FOREGROUND_IOU)]
    plain = np.minimum(np.sqrt(np.abs(truths.sizes_wh[places].prod(axis=1))) / _SMALL_SIDE, 1.0)
    surety = _NO_OBJECT_WEIGHT * share[labels] * hit.mean() * plain * ~touched
    return _Accused(np.full(len(places), -1), places, np.zeros(len(places)), surety)


def _rank(matched: Matched, accused: dict[str, _Accused], most: int) -> tuple[Case, ...]:
    detections, truths = matched.problem.detections, matched.problem.truths
    kinds = np.repeat(np.arange(len(accused)), [len(one.surety) for one in accused.values()])
    columns = _Accused(*(np.concatenate(parts) for parts in zip(*accused.values(), strict=True)))
    listed = np.flatnonzero(columns.surety >= _LEAST_SURETY)
    order = listed[np.argsort(-columns.surety[listed], kind="stable")][: _CANDIDATES_PER_CASE * most]
    cases: list[Case] = []
    places: dict[int, list[Float64]] = {}  # image -> boxes that are listed
    for row in order.tolist():
        if len(cases) >= most:
            break
        detection, truth = int(columns.detection[row]), int(columns.truth[row])
        image = int(detections.image_index[detection] if detection >= 0 else truths.image_index[truth])
        box = detections.boxes[detection] if truth < 0 else truths.boxes[truth]
        before = places.setdefault(image, [])
        if before and _highest_iou(box, np.stack(before)) >= FOREGROUND_IOU:
            continue
        before.append(box)
        kind, iou = SUSPECT_KINDS[kinds[row]], float(columns.iou[row])
        surety = float(columns.surety[row])
        cases.append(Case(kind, image, detection, truth, surety, iou, _message(matched, kind, detection, truth, iou)))
    return tuple(cases)


def _highest_iou(box: Float64, boxes: Float64) -> float:
    """IoU of a box (4,) with the nearest of some (n, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.maximum(sides, 0.0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return float((common / np.maximum(areas - common, np.finfo(np.float64).tiny)).max())


def _message(matched: Matched, kind: str, detection: int, truth: int, iou: float) -> str:
    annotated = matched.problem.class_names[matched.problem.truths.labels[truth]] if truth >= 0 else ""
    if kind == "no_object":
        return f"{annotated} is annotated where nothing was detected, not even with a low score"
    found = describe_detection(matched, detection)
    if kind == "not_annotated":
        return f"{found} may be an object that is not annotated"
    if kind == "wrong_class":
        return f"annotated as {annotated}, but may be {found} (IoU {iou:.2f})"
    return f"the box of the annotated {annotated} may be inexact: {found} is elsewhere (IoU {iou:.2f})"
