"""The original loss as literal loops over plain floats, following darknet's detection layer step by step.

Slow and obvious on purpose. `raw` is indexed here in the package's own order, B·(x, y, w, h, confidence) + C.
"""

import math
from typing import NamedTuple


class SlowObject(NamedTuple):
    """An object with centre and size relative to the image."""

    image: int
    label: int
    x: float
    y: float
    w: float
    h: float


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """IoU of two boxes given as centre and size."""
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def slow_loss(
    raw: list[list[list[list[float]]]],
    objects: list[SlowObject],
    side: int,
    num_boxes: int,
    num_classes: int,
    scales: tuple[float, float, float, float] = (5.0, 1.0, 0.5, 1.0),
) -> dict[str, float]:
    """The five terms, each 1/2 * scale * squares / N."""
    coord, obj, noobj, class_scale = scales
    terms = {"coord_xy": 0.0, "coord_wh": 0.0, "conf_obj": 0.0, "conf_noobj": 0.0, "class_prob": 0.0}
    for n in range(len(raw)):
        owner: dict[tuple[int, int], SlowObject] = {}
        for item in objects:
            if item.image == n:
                cell = (min(int(item.y * side), side - 1), min(int(item.x * side), side - 1))
                owner.setdefault(cell, item)  # the first object keeps the cell
        for row in range(side):
            for col in range(side):
                values = raw[n][row][col]
                boxes = [values[5 * j : 5 * j + 5] for j in range(num_boxes)]
                truth = owner.get((row, col))
                best = -1
                if truth is not None:
                    wanted = (truth.x, truth.y, truth.w, truth.h)
                    best_iou, best_rmse = 0.0, 20.0
                    for j, (x, y, w, h, _) in enumerate(boxes):
                        box = ((x + col) / side, (y + row) / side, w * w, h * h)
                        iou = overlap(box, wanted)
                        rmse = math.sqrt(sum((p - t) ** 2 for p, t in zip(box, wanted, strict=True)))
                        if best_iou > 0 or iou > 0:
                            if iou > best_iou:
                                best_iou, best = iou, j
                        elif rmse < best_rmse:
                            best_rmse, best = rmse, j
                    x, y, w, h, confidence = boxes[best]
                    target_x, target_y = truth.x * side - col, truth.y * side - row
                    terms["coord_xy"] += coord * ((x - target_x) ** 2 + (y - target_y) ** 2)
                    terms["coord_wh"] += coord * ((w - math.sqrt(truth.w)) ** 2 + (h - math.sqrt(truth.h)) ** 2)
                    terms["conf_obj"] += obj * (confidence - best_iou) ** 2
                    for c in range(num_classes):
                        target = 1.0 if c == truth.label else 0.0
                        terms["class_prob"] += class_scale * (values[5 * num_boxes + c] - target) ** 2
                for j, box in enumerate(boxes):
                    if j != best:
                        terms["conf_noobj"] += noobj * box[4] ** 2
    return {name: value / 2 / len(raw) for name, value in terms.items()}
