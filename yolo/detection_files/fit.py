"""Whether detections would fit the objects far better in another form, or under other class names: told, never changed.

What boxes look like (`plausibility`) does not always say it: those of a detector that does not clip reach out of the
image in any form, and centres look like corners. Where the objects are does. Only the best detections are looked at,
and the remark says what would fit; the numbers are those of the files as they stand.

Shape letters: K detections, M objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import GroundTruthFiles
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.overlaps import coco_overlap, find_pairs, sort_by_group

_LOOKED_AT = 5_000  # detections: enough to tell, and no matter of time
_FEWEST = 5  # detections on objects that say anything about a file
_MATCH_IOU = 0.5
_LEAST_SHARE = 0.2  # of the detections looked at, that another form puts on objects
_TIMES = 4  # as many as the form of the file does
_MOST_AGREEING = 0.2  # of the detections on objects, that are of the object's class
_MOSTLY = 0.7

# boxes and scores (K,) in the columns of the file -> (K, 4) xyxy
Reading = Callable[[Float64, Float64], Float64]

_WRONG = "if so every number here is wrong: write {}"


def remark_on_fit(detections: DetectionSet, truth: GroundTruthFiles, remarks: Remarks, *, form: str) -> None:
    """Compare the best detections with the objects.

    Args:
        detections: as read.
        truth: the objects, and the sizes of their images.
        remarks: receives what is odd.
        form: of the files: `coco`, `comp4` or `yolo`.
    """
    if len(detections) > _LOOKED_AT:
        detections = detections[np.sort(np.argsort(-detections.scores, kind="stable")[:_LOOKED_AT])]
    truths = truth.truths[~truth.truths.iscrowd]
    with np.errstate(over="ignore", invalid="ignore"):  # scores taken for sides may be of any size
        detection, nearest = _on_objects(detections, truths)
        if _remark_on_form(detections, truths, truth, remarks, form=form, stated=len(detection)):
            return
    if len(detection) >= _FEWEST:
        _remark_on_classes(detections.labels[detection], truths.labels[nearest], truth.class_names, remarks)


def _on_objects(detections: DetectionSet, truths: TruthSet) -> tuple[Int64, Int64]:
    """The detections that lie on an object of any class, and for each the one that it overlaps most."""
    overlap = coco_overlap(detections, truths)
    groups = (sort_by_group(detections.image_index), sort_by_group(truths.image_index))
    pairs = find_pairs(*groups, overlap, least=_MATCH_IOU)
    last = np.append(np.diff(pairs.place) > 0, True)[: len(pairs.place)]  # pairs come by overlap
    return pairs.detection[last], pairs.truth[last]


def _remark_on_form(
    detections: DetectionSet, truths: TruthSet, truth: GroundTruthFiles, remarks: Remarks, *, form: str, stated: int
) -> bool:
    """Say so if another form puts many more detections on objects; returns whether one does."""
    least = max(_FEWEST, _LEAST_SHARE * len(detections), _TIMES * stated)
    columns = _columns(detections, truth, form)
    for name, (expected, reading, wanted) in _READINGS[form].items():
        boxes = reading(columns, detections.scores)
        other = DetectionSet.from_xyxy(boxes, detections.scores, detections.labels, detections.image_index)
        if form == "yolo":
            other = _in_pixels(other, truth)
        count = len(_on_objects(other, truths)[0])
        if count >= least:
            remarks.add(
                f"detections_fit_as_{name}",
                f"the boxes look like {expected}: of the best {len(detections):,} detections {count:,} lie on objects "
                f"if read so, {stated:,} as they stand; {_WRONG.format(wanted)}",
                count=len(detections),
            )
            return True
    if truth.format != "coco":
        return False
    corners = np.concatenate((truths.boxes[:, :2], truths.sizes_wh), axis=1)
    count = len(_on_objects(detections, replace(truths, boxes=corners, sizes_wh=corners[:, 2:] - corners[:, :2]))[0])
    if count >= least:
        remarks.add(
            "truths_fit_as_corners",
            f"the annotated boxes look like x1, y1, x2, y2: {count:,} of the best {len(detections):,} detections lie "
            f"on objects if these are read so, {stated:,} as they stand; {_WRONG.format('x, y, width, height')}",
            count=len(truths),
        )
    return count >= least


def _columns(detections: DetectionSet, truth: GroundTruthFiles, form: str) -> Float64:
    """(K, 4) the boxes as their files have them, but for comp4's 1."""
    low, sides = detections.boxes[:, :2], detections.sizes_wh
    if form == "coco":
        return np.concatenate((low, sides), axis=1)
    if form == "comp4":
        return detections.boxes
    limits = truth.images.sizes_hw[detections.image_index][:, ::-1].astype(np.float64)
    return np.concatenate(((low + sides / 2) / limits, sides / limits), axis=1)


def _in_pixels(detections: DetectionSet, truth: GroundTruthFiles) -> DetectionSet:
    limits = truth.images.sizes_hw[detections.image_index][:, ::-1].astype(np.float64)
    return replace(detections, boxes=detections.boxes * np.tile(limits, 2), sizes_wh=detections.sizes_wh * limits)


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


def _remark_on_classes(found: Int64, wanted: Int64, class_names: tuple[str, ...], remarks: Remarks) -> None:
    """Say so if hardly a detection is of the class of its object, and most of a class are of one other.

    Args:
        found: (K,) classes of the detections that lie on objects.
        wanted: (K,) classes of these objects.
        class_names: C names.
        remarks: receives it.
    """
    agreeing = int((found == wanted).sum())
    if agreeing > _MOST_AGREEING * len(found):
        return
    counts = np.zeros((len(class_names), len(class_names)), np.int64)
    np.add.at(counts, (found, wanted), 1)
    partner = counts.argmax(axis=1)
    best = counts.max(axis=1)
    if best.sum() < _MOSTLY * len(found):
        return
    shown = np.argsort(-best, kind="stable")[:3]
    message = (
        f"the classes look mixed up: of {len(found):,} detections that lie on objects, {agreeing:,} are of the class "
        f"of their object, and most of a class lie on one other class; {_WRONG.format('the class of each detection')} "
        "in the numbering of the ground truth"
    )
    for place in shown[best[shown] > 0].tolist():
        names = f"{class_names[place]!r} lie on {class_names[int(partner[place])]!r}"
        remarks.add("classes_look_mixed_up", message, f"{best[place]:,} of {counts[place].sum():,} {names}", count=0)
    remarks.add("classes_look_mixed_up", message, count=len(found))
