"""The Pascal VOC devkit's rule as loops over plain numbers, in the coordinates of its files."""

import math
from pathlib import Path

import numpy as np

from yolo.structures import Detections, GroundTruth

Box = tuple[float, ...]  # xmin, ymin, xmax, ymax as in a VOC file: pixels from 1, both ends included

# np.arange(0, 1.1, 0.1), written out
ELEVEN_RECALLS = (0.0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.6000000000000001, 0.7000000000000001, 0.8, 0.9, 1.0)


def slow_overlap(a: Box, b: Box, plus_one: bool) -> float:
    """IoU of two boxes of a file."""
    extra = 1 if plus_one else 0
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.0
    area_a = (a[2] - a[0] + extra) * (a[3] - a[1] + extra)
    area_b = (b[2] - b[0] + extra) * (b[3] - b[1] + extra)
    return width * height / (area_a + area_b - width * height)


def slow_curve(
    found: list[tuple[str, float, Box]],
    objects: dict[str, list[tuple[Box, bool]]],
    *,
    match_iou: float,
    plus_one: bool,
    strict: bool,
) -> tuple[list[float], list[float], int]:
    """Precision and recall of one class after each detection, and npos.

    `found` holds (image, score, box), `objects` (box, whether it is difficult) by image.
    """
    npos = sum(not difficult for boxes in objects.values() for _, difficult in boxes)
    used = {image: [False] * len(boxes) for image, boxes in objects.items()}
    precision, recall = [], []
    hits = misses = 0
    for image, _, box in sorted(found, key=lambda detection: -detection[1]):
        best_iou, best = -math.inf, -1
        for place, (truth, _) in enumerate(objects[image]):
            iou = slow_overlap(box, truth, plus_one)
            if iou > best_iou:
                best_iou, best = iou, place
        if best_iou > match_iou or (best_iou == match_iou and not strict):
            difficult = objects[image][best][1]
            if not difficult and not used[image][best]:
                used[image][best] = True
                hits += 1
            elif not difficult:
                misses += 1
        else:
            misses += 1
        precision.append(hits / max(hits + misses, np.finfo(np.float64).eps))
        recall.append(hits / npos if npos else math.nan)
    return precision, recall, npos


def slow_ap(precision: list[float], recall: list[float], npos: int, interpolation: str) -> float:
    """Average precision of one class."""
    if npos == 0:
        return math.nan
    if interpolation == "11-point":
        best = [
            max((p for p, r in zip(precision, recall, strict=True) if r >= least), default=0.0)
            for least in ELEVEN_RECALLS
        ]
        return sum(best) / 11
    recalls, envelope = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for place in range(len(envelope) - 1, 0, -1):
        envelope[place - 1] = max(envelope[place - 1], envelope[place])
    return sum((recalls[k + 1] - recalls[k]) * envelope[k + 1] for k in range(len(recalls) - 1))


def file_box(xyxy: list[float]) -> Box:
    """Our box as a VOC file has it."""
    x1, y1, x2, y2 = xyxy
    return x1 + 1, y1 + 1, x2, y2


def found_of_class(detections: dict[str, Detections], label: int) -> list[tuple[str, float, Box]]:
    """What `slow_curve` takes, straight from our detections."""
    return [
        (image, one.scores[k].item(), file_box(one.boxes[k].tolist()))
        for image, one in detections.items()
        for k in range(len(one))
        if one.labels[k] == label
    ]


def found_in_file(path: Path) -> list[tuple[str, float, Box]]:
    """What `slow_curve` takes, from a detection file."""
    rows = [line.split(" ") for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [(image, float(score), tuple(map(float, box))) for image, score, *box in rows]


def objects_of_class(truths: dict[str, GroundTruth], label: int) -> dict[str, list[tuple[Box, bool]]]:
    """What `slow_curve` takes; crowd regions are as difficult objects."""
    return {
        image: [
            (file_box(truth.boxes[j].tolist()), bool(truth.difficult[j] or truth.iscrowd[j]))
            for j in range(len(truth))
            if truth.labels[j] == label
        ]
        for image, truth in truths.items()
    }
