"""Single detections and objects worth looking at: the worst errors.

Labels that are probably wrong are cases too; `suspects` finds them. Nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.errors import ERROR_KINDS, ErrorAnalysis, missed_objects
from yolo.analysis.overlaps import nearest_detections
from yolo.evaluation.matched import Matched

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

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
