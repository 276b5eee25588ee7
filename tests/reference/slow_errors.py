"""Types of errors and their cost, written as loops over one detection at a time, each AP from its definition."""

import math

from tests.reference.slow_bootstrap import slow_average_precision as average_precision
from tests.reference.slow_matching import slow_assign, slow_overlap
from yolo.detection_sets import EvaluationData

KINDS = ("class", "location", "both", "duplicate", "background", "missed")

# (class, score, image, place, true positive): what an AP is made of
Row = tuple[int, float, int, int, bool]


def slow_average_precision(rows: list[Row], label: int, objects: int) -> float:
    """AP of a class; the quotients as pycocotools compares them: 7 of 25 does not reach 0.28000000000000003."""
    own = sorted((row for row in rows if row[0] == label), key=lambda row: (-row[1], row[2], row[3]))
    return average_precision([row[4] for row in own], objects)


def slow_errors(problem: EvaluationData) -> tuple[list[str], list[int], list[int], dict[str, list[float]]]:
    """Kind of each detection ("" for none), the object it is about, the missed objects, and kind -> cost per class.

    Beside the six kinds there are "false_positive" and "false_negative". NaN for classes without objects.
    """
    detections, truths = problem.detections, problem.truths
    ignored = (truths.iscrowd | truths.difficult).tolist()
    matched = slow_assign(detections, truths, ignored, threshold=0.5)
    kinds, nearest = [""] * len(detections), [-1] * len(detections)
    for place, taken in enumerate(matched):
        if taken < 0:
            kinds[place], nearest[place] = _kind(problem, place)
    found = {taken for taken in matched if taken >= 0 and not ignored[taken]}
    explained = {about for kind, about in zip(kinds, nearest, strict=True) if kind in ("class", "location")}
    countable = [index for index in range(len(truths)) if not ignored[index]]
    missed = [index for index in countable if index not in found | explained]

    labels = detections.labels.tolist()
    rows: list[Row] = []
    for place, taken in enumerate(matched):
        if taken < 0 or not ignored[taken]:
            rows.append(_row(problem, place, labels[place], taken >= 0))
    costs: dict[str, list[float]] = {}
    for kind in (*KINDS, "false_positive", "false_negative"):
        corrected, gone = _correct(problem, kind, rows, kinds, nearest, found)
        gone = missed if kind == "missed" else gone
        costs[kind] = [
            _cost(label, rows, corrected, [int(truths.labels[index]) for index in countable],
                  [int(truths.labels[index]) for index in countable if index not in gone])
            for label in range(problem.num_classes)
        ]  # fmt: skip
    return kinds, nearest, missed, costs


def _row(problem: EvaluationData, place: int, label: int, hit: bool) -> Row:
    detections = problem.detections
    return label, float(detections.scores[place]), int(detections.image_index[place]), place, hit


def _kind(problem: EvaluationData, place: int) -> tuple[str, int]:
    detections, truths = problem.detections, problem.truths
    own, other = (0.0, -1), (0.0, -1)
    for truth in range(len(truths)):
        if truths.iscrowd[truth] or truths.difficult[truth]:
            continue
        if truths.image_index[truth] != detections.image_index[place]:
            continue
        iou = slow_overlap(_xywh(problem, "detections", place), _xywh(problem, "truths", truth), False)
        if iou > 0 and truths.labels[truth] == detections.labels[place]:
            own = max(own, (iou, truth))
        elif iou > 0:
            other = max(other, (iou, truth))
    if max(own[0], other[0]) >= 0.5:
        return ("duplicate", own[1]) if own[0] >= other[0] else ("class", other[1])
    if own[0] >= 0.1:
        return "location", own[1]
    return ("both", other[1]) if other[0] >= 0.1 else ("background", -1)


def _xywh(problem: EvaluationData, which: str, index: int) -> list[float]:
    part = getattr(problem, which)
    return [*part.boxes[index, :2].tolist(), *part.sizes_wh[index].tolist()]


def _correct(
    problem: EvaluationData, kind: str, rows: list[Row], kinds: list[str], nearest: list[int], found: set[int]
) -> tuple[list[Row], list[int]]:
    """The detections that are left, and the objects that need not be found any more."""
    truths = problem.truths
    if kind in ("missed", "false_negative"):
        return rows, [index for index in range(len(truths)) if index not in found]
    if kind == "false_positive":
        return [row for row in rows if row[4]], []
    corrected, done = [], set(found)
    for row in sorted(rows, key=lambda row: (-row[1], row[2], row[3])):
        if kinds[row[3]] != kind:
            corrected.append(row)
        elif kind in ("class", "location") and nearest[row[3]] not in done:
            done.add(nearest[row[3]])
            corrected.append(_row(problem, row[3], int(truths.labels[nearest[row[3]]]), True))
    return corrected, []


def _cost(label: int, rows: list[Row], corrected: list[Row], before: list[int], after: list[int]) -> float:
    if label not in before:
        return math.nan
    old = slow_average_precision(rows, label, before.count(label))
    new = slow_average_precision(corrected, label, after.count(label)) if label in after else 1.0
    return new - old
