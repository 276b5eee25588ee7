"""Whether boxes, scores and classes of files look like something else than their format says: reported, never changed.

Two ways of looking. How boxes lie in their images needs nothing else, but those of a detector that does not clip
reach out of the image in any form, and centres look like corners. Where the objects are tells these apart; only the
best detections are looked at. A share of boxes decides, because single odd boxes are what detectors make. Shape
letters: K boxes or detections, M objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from yolo.arrays import Float64, Int32, Int64
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.overlaps import coco_overlap, find_pairs, sort_by_group
from yolo.formats.issues import ReadReport
from yolo.formats.objects import repeated_rows
from yolo.formats.paths import LARGEST_FRACTION

FEWEST = 5  # boxes that say anything about a file
# of all boxes, how they lie in their images
NEARLY_ALL = 0.98  # fit the image in another form
MANY = 0.3  # do not fit it as they stand
OVERSHOOT = 1.02  # of the image's side: detectors that do not clip go a little over
# of the best detections, where the objects are
LOOKED_AT = 5_000  # enough to tell, and takes no time
MATCH_IOU = 0.5
LEAST_SHARE = 0.2  # that another form puts on objects, and
TIMES = 4  # as many as the form of the file does
MOST_AGREEING = 0.2  # of the class of their object, and
MOSTLY = 0.7  # on one other class each

_COCO_LIMIT = 100  # detections of a class on an image that COCO's numbers look at
_WRONG = "if so every number here is wrong: write {}"

_PLACING_TEXTS = {
    "normalised": "the boxes look like fractions of the image (nearly all numbers are 0 to 1) where pixels are "
    "expected; if so every number here is wrong: multiply by width and height",
    "like_xyxy": "the boxes look like x1, y1, x2, y2 where x, y, width, height is expected: most reach beyond their "
    "image as they stand, and fit it as corners; if so every number here is wrong: write width and height",
    "like_xywh": "the boxes look like x, y, width, height where the corners xmin, ymin, xmax, ymax are expected: many "
    "end before they begin, and fit their image as width and height; if so every number here is wrong: write corners",
}

# boxes and scores (K,) in the columns of the file -> (K, 4) xyxy
Reading = Callable[[Float64, Float64], Float64]


def check_truth_boxes(truths: TruthSet, images: ImageTable, report: ReadReport) -> None:
    """Look at how annotated boxes lie in their images."""
    _check_placing(truths, images.sizes_hw, report, "truth")


def check_detections(problem: EvaluationData, report: ReadReport, *, truth_format: str, form: str) -> None:
    """Look at detections: scores, empty boxes, repetitions, crowds of them, the form of boxes, the classes.

    Args:
        problem: detections as read, objects, images.
        report: receives what is odd.
        truth_format: of the files of the objects.
        form: of the files of detections: `gridyolo`, `coco`, `comp4` or `yolo`.
    """
    detections = problem.detections
    if not len(detections):
        report.warn("no_detections", "there are no detections")
        return
    is_odd = _check_placing(detections, problem.images.sizes_hw, report, "detection")
    _check_values(problem, report)
    if is_odd:
        return
    if len(detections) > LOOKED_AT:
        detections = detections[np.sort(np.argsort(-detections.scores, kind="stable")[:LOOKED_AT])]
    truths = problem.truths[~problem.truths.iscrowd]
    with np.errstate(over="ignore", invalid="ignore"):  # scores taken for sides may be of any size
        detection, nearest = _on_objects(detections, truths)
        best = replace(problem, detections=detections, truths=truths)
        if _check_form(best, report, truth_format=truth_format, form=form, stated=len(detection)):
            return
    if len(detection) >= FEWEST:
        _check_classes(detections.labels[detection], truths.labels[nearest], problem.class_names, report)


def _check_placing(boxes: TruthSet | DetectionSet, sizes_hw: Int32, report: ReadReport, what: str) -> bool:
    """Say so if boxes fit their images in another form only; returns whether they do."""
    limits = sizes_hw[boxes.image_index][:, ::-1].astype(np.float64)
    known = (limits > 0).all(axis=1)
    low, high = boxes.boxes[known, :2], boxes.boxes[known, 2:]
    sides, limits = boxes.sizes_wh[known], limits[known]
    count, within = len(limits), limits * OVERSHOOT
    if count < FEWEST:
        return False
    fits_as_corners = ((sides > low) & (sides <= within)).all(axis=1)
    reaches_out = (high > within).any(axis=1)
    fits_as_sides = ((high >= 0) & (low + high <= within)).all(axis=1)
    inverted = (high < low).any(axis=1)
    small = (np.abs(np.concatenate((low, sides), axis=1)) <= LARGEST_FRACTION).all(axis=1)
    if small.mean() >= NEARLY_ALL:
        kind = "normalised"
    elif fits_as_corners.mean() >= NEARLY_ALL and reaches_out.mean() >= MANY:
        kind = "like_xyxy"
    elif fits_as_sides.mean() >= NEARLY_ALL and inverted.mean() >= MANY:
        kind = "like_xywh"
    else:
        return False
    report.warn(f"{what}_boxes_look_{kind}", _PLACING_TEXTS[kind], count=count)
    return True


def _check_values(problem: EvaluationData, report: ReadReport) -> None:
    detections, image_ids = problem.detections, problem.images.image_ids

    def place(row: int) -> str:
        name = problem.class_names[int(detections.labels[row])]
        box = ", ".join(f"{value:.6g}" for value in detections.boxes[row].tolist())
        image_id = image_ids[int(detections.image_index[row])]
        return f"image {image_id}, {name}, score {detections.scores[row]:.6g}, box ({box})"

    report.warn_rows(
        "score_outside_range",
        "a score is not in 0 to 1: it is kept, and ranks as it stands; calibration and thresholds expect 0 to 1",
        (detections.scores < 0) | (detections.scores > 1),
        place,
    )
    report.warn_rows(
        "empty_box",
        "a detected box has no width or no height, or a negative one: it is kept, and can match nothing",
        (detections.sizes_wh <= 0).any(axis=1),
        place,
    )
    columns = detections.image_index, detections.labels, detections.scores, *detections.boxes.T, *detections.sizes_wh.T
    report.warn_rows(
        "repeated_detection",
        "a detection repeats another one of the same image, class, score and box: it is kept, and counts as a false "
        "positive",
        repeated_rows(columns),
        place,
    )
    groups, counts = np.unique(detections.image_index * problem.num_classes + detections.labels, return_counts=True)
    for row in np.flatnonzero(counts > _COCO_LIMIT).tolist():
        image, label = divmod(int(groups[row]), problem.num_classes)
        report.warn(
            "beyond_detection_limit",
            f"a detection is not among the best {_COCO_LIMIT} of its class and image: COCO's numbers leave it out",
            f"image {image_ids[image]}, {problem.class_names[label]}: {counts[row]:,} detections",
            count=int(counts[row]) - _COCO_LIMIT,
        )


def _on_objects(detections: DetectionSet, truths: TruthSet) -> tuple[Int64, Int64]:
    """The detections that lie on an object of any class, and for each the one that it overlaps most."""
    overlap = coco_overlap(detections, truths)
    groups = (sort_by_group(detections.image_index), sort_by_group(truths.image_index))
    pairs = find_pairs(*groups, overlap, least=MATCH_IOU)
    last = np.append(np.diff(pairs.place) > 0, True)[: len(pairs.place)]  # pairs come by overlap
    return pairs.detection[last], pairs.truth[last]


def _check_form(best: EvaluationData, report: ReadReport, *, truth_format: str, form: str, stated: int) -> bool:
    """Say so if another form puts many more detections on objects; returns whether one does."""
    detections, truths = best.detections, best.truths
    limits = best.images.sizes_hw[detections.image_index][:, ::-1].astype(np.float64)
    least = max(FEWEST, LEAST_SHARE * len(detections), TIMES * stated)
    columns = _columns(detections, limits, form)
    for name, (expected, reading, wanted) in _READINGS[form].items():
        boxes = reading(columns, detections.scores)
        other = DetectionSet.from_xyxy(boxes, detections.scores, detections.labels, detections.image_index)
        if form == "yolo":
            other = replace(other, boxes=other.boxes * np.tile(limits, 2), sizes_wh=other.sizes_wh * limits)
        count = len(_on_objects(other, truths)[0])
        if count >= least:
            report.warn(
                f"detections_fit_as_{name}",
                f"the boxes look like {expected}: of the best {len(detections):,} detections {count:,} lie on objects "
                f"if read so, {stated:,} as they stand; {_WRONG.format(wanted)}",
                count=len(detections),
            )
            return True
    if truth_format != "coco":
        return False
    corners = np.concatenate((truths.boxes[:, :2], truths.sizes_wh), axis=1)
    count = len(_on_objects(detections, replace(truths, boxes=corners, sizes_wh=corners[:, 2:] - corners[:, :2]))[0])
    if count >= least:
        report.warn(
            "truths_fit_as_corners",
            f"the annotated boxes look like x1, y1, x2, y2: {count:,} of the best {len(detections):,} detections lie "
            f"on objects if these are read so, {stated:,} as they stand; {_WRONG.format('x, y, width, height')}",
            count=len(truths),
        )
    return count >= least


def _columns(detections: DetectionSet, limits: Float64, form: str) -> Float64:
    """(K, 4) the boxes as their files have them, but for comp4's 1."""
    low, sides = detections.boxes[:, :2], detections.sizes_wh
    if form == "coco":
        return np.concatenate((low, sides), axis=1)
    if form in ("comp4", "gridyolo"):
        return detections.boxes
    return np.concatenate(((low + sides / 2) / limits, sides / limits), axis=1)


def _as_corners(columns: Float64, scores: Float64) -> Float64:
    return columns


def _as_left_top_sides(columns: Float64, scores: Float64) -> Float64:
    return np.concatenate((columns[:, :2], columns[:, :2] + columns[:, 2:]), axis=1)


def _as_centre_sides(columns: Float64, scores: Float64) -> Float64:
    centre, half = columns[:, :2], columns[:, 2:] / 2
    return np.concatenate((centre - half, centre + half), axis=1)


def _as_score_first(columns: Float64, scores: Float64) -> Float64:
    """Of lines `class score cx cy w h`: the score is in the place of cx, and `scores` has the h."""
    return _as_centre_sides(np.column_stack((columns[:, 1:], scores)), scores)


# for each form of files: name -> what the boxes look like, how to read them so, what to write
_READINGS: dict[str, dict[str, tuple[str, Reading, str]]] = {
    "gridyolo": {},  # nobody else writes it
    "coco": {
        "corners": ("x1, y1, x2, y2", _as_corners, "x, y, width, height"),
        "centres": ("centre x, centre y, width, height", _as_centre_sides, "the left and top edge, width, height"),
    },
    "comp4": {
        "sides": ("x, y, width, height", _as_left_top_sides, "xmin, ymin, xmax, ymax"),
        "centres": ("centre x, centre y, width, height", _as_centre_sides, "xmin, ymin, xmax, ymax"),
    },
    "yolo": {
        "corners": ("x1, y1, x2, y2", _as_corners, "centre x, centre y, width, height"),
        "sides": ("left, top, width, height", _as_left_top_sides, "centre x, centre y, width, height"),
        "score_first": ("class, score, cx, cy, w, h", _as_score_first, "class, cx, cy, w, h, score"),
    },
}


def _check_classes(found: Int64, wanted: Int64, class_names: tuple[str, ...], report: ReadReport) -> None:
    """Say so if hardly a detection is of the class of its object, and most of a class are of one other.

    Args:
        found: (K,) classes of the detections that lie on objects.
        wanted: (K,) classes of these objects.
        class_names: C names.
        report: receives it.
    """
    agreeing = int((found == wanted).sum())
    if agreeing > MOST_AGREEING * len(found):
        return
    counts = np.zeros((len(class_names), len(class_names)), np.int64)
    np.add.at(counts, (found, wanted), 1)
    partner, best = counts.argmax(axis=1), counts.max(axis=1)
    if best.sum() < MOSTLY * len(found):
        return
    shown = np.argsort(-best, kind="stable")[:3]
    examples = [
        f"{best[label]:,} of {counts[label].sum():,} {class_names[label]!r} lie on {class_names[int(partner[label])]!r}"
        for label in shown[best[shown] > 0].tolist()
    ]
    report.warn(
        "classes_look_mixed_up",
        f"the classes look mixed up: of {len(found):,} detections that lie on objects, {agreeing:,} are of the class "
        f"of their object, and most of a class lie on one other class; {_WRONG.format('the class of each detection')} "
        "in the numbering of the ground truth",
        *examples,
        count=len(found),
    )
