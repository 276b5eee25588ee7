"""Errors that a person should see first: single detections and objects of every kind. Nothing is drawn here.

Shape letters: K detections, M objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.evaluation.average_precision import place_in_run
from yolo.evaluation.errors import ERROR_KINDS, ErrorAnalysis, missed_objects
from yolo.evaluation.matching import Matches
from yolo.evaluation.overlaps import nearest_detections

# examples of one kind on an image before other images have their turn
_PER_IMAGE: Final = 3


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to look at."""

    kind: str  # of an error a name of `ERROR_KINDS`, else that of a label error
    image: int  # place in the image table
    detection: int  # place in the detections of the matched problem, -1 where it is about an object alone
    truth: int  # place in the objects, -1 where it is about a detection alone
    # ranks the examples of a kind, the highest first: the score of a wrong detection, the share of the image that a
    # missed object takes, or the confidence that a label is wrong, 0..1
    score: float
    iou: float  # between detection and object, 0 where one is missing
    message: str  # one sentence for people, names as they are


def error_examples(matches: Matches, errors: ErrorAnalysis, *, most: int = 24) -> dict[str, tuple[Example, ...]]:
    """The errors that a person should see first, at most so many of every kind; an empty tuple where there are none.

    Detections that score less than the threshold of `errors` do no harm and are left out. Wrong detections are ranked
    by score, missed objects by the area of the box relative to that of the image, or to the largest annotated box if
    the size of an image with a missed object is unknown. After three examples of a kind on one image the other images
    have their turn. `matches` is what `errors` was made of.
    """
    detections, truths = matches.problem.detections, matches.problem.truths
    kept = detections.scores >= errors.score_threshold
    result = {}
    for code, kind in enumerate(ERROR_KINDS[:-1]):
        wrong = np.flatnonzero(kept & (errors.kind == code))
        scores, images = detections.scores[wrong], detections.image_index[wrong]
        chosen = wrong[_take_in_turns(scores, images, most)]
        result[kind] = tuple(_wrong_example(matches, errors, kind, place) for place in chosen.tolist())
    missed = np.flatnonzero(missed_objects(matches, errors.kind, errors.nearest, kept))
    image_share = _image_share(matches, missed)
    chosen = _take_in_turns(image_share, truths.image_index[missed], most)
    result["missed"] = _missed_examples(matches, missed[chosen], image_share[chosen], errors.score_threshold)
    return result


def describe_detection(matches: Matches, place: int) -> str:
    """Class and score of a detection, as in "dog 0.93"."""
    detections = matches.problem.detections
    return f"{matches.problem.class_names[detections.labels[place]]} {detections.scores[place]:.2f}"


def _take_in_turns(scores: Float64, images: Int64, most: int) -> Int64:
    """At most `most` places by descending score, no more than three of an image before the others had a turn.

    >>> _take_in_turns(np.array([0.9, 0.8, 0.7, 0.6, 0.1]), np.array([5, 5, 5, 5, 2]), 4).tolist()
    [0, 1, 2, 4]
    """
    order = np.argsort(-scores, kind="stable")
    by_image = order[np.argsort(images[order], kind="stable")]
    turn = np.empty(len(order), np.int64)
    turn[by_image] = place_in_run(images[by_image]) // _PER_IMAGE
    chosen = order[np.argsort(turn[order], kind="stable")][:most]
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def _wrong_example(matches: Matches, errors: ErrorAnalysis, kind: str, place: int) -> Example:
    detections, truths = matches.problem.detections, matches.problem.truths
    truth = int(errors.nearest[place])
    iou = float(errors.nearest_iou[place])
    annotated = matches.problem.class_names[truths.labels[truth]] if truth >= 0 else ""
    ends = {
        "class": f"where {annotated} is annotated (IoU {iou:.2f})",
        "location": f"with an inexact box (IoU {iou:.2f})",
        "both": f"which overlaps an annotated {annotated} a little (IoU {iou:.2f})",
        "duplicate": f"again: a duplicate of a better detection (IoU {iou:.2f})",
        "background": "where nothing is annotated",
    }
    return Example(
        kind=kind,
        image=int(detections.image_index[place]),
        detection=place,
        truth=truth,
        score=float(detections.scores[place]),
        iou=iou if truth >= 0 else 0.0,
        message=f"found {describe_detection(matches, place)} {ends[kind]}",
    )


def _image_share(matches: Matches, missed: Int64) -> Float64:
    """Area of missed objects relative to their images, 0..1; to the largest object where an image's size is unknown."""
    truths = matches.problem.truths
    area = np.abs(truths.sizes_wh.prod(axis=1))
    height, width = matches.problem.images.sizes_hw[truths.image_index[missed]].astype(np.float64).T
    whole = height * width
    if not whole.all():
        whole = np.full(len(missed), area[matches.counted[0]].max(initial=0.0))
    image_share: Float64 = np.minimum(area[missed] / np.where(whole > 0, whole, 1.0), 1.0)
    return image_share


def _missed_examples(
    matches: Matches, missed: Int64, image_share: Float64, score_threshold: float
) -> tuple[Example, ...]:
    """One example for each missed object, with the detection that overlaps it most."""
    detections, truths = matches.problem.detections, matches.problem.truths
    nearby = np.flatnonzero(np.isin(detections.image_index, truths.image_index[missed]))
    near, near_iou = nearest_detections(detections[nearby], truths[missed])
    examples = []
    for place, truth in enumerate(missed.tolist()):
        found = int(nearby[near[place]]) if near[place] >= 0 else -1
        iou = float(near_iou[place])
        if found < 0:
            rest = "no detection overlaps it"
        else:
            low = "" if detections.scores[found] >= score_threshold else ", which scores too little"
            rest = f"the nearest detection is {describe_detection(matches, found)} (IoU {iou:.2f}){low}"
        width, height = np.abs(truths.sizes_wh[truth])
        name = matches.problem.class_names[truths.labels[truth]]
        examples.append(
            Example(
                kind="missed",
                image=int(truths.image_index[truth]),
                detection=found,
                truth=truth,
                score=float(image_share[place]),
                iou=iou,
                message=f"{name} of {width:.0f} × {height:.0f} pixels not found; {rest}",
            )
        )
    return tuple(examples)
