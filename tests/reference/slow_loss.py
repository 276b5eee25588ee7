"""The original loss as literal loops over plain floats, following darknet's detection layer step by step.

Slow and obvious on purpose. `raw` is indexed here in the package's own order, B·(x, y, w, h, confidence) + C.
"""

import math
from typing import NamedTuple

Cell = tuple[int, int]


class SlowObject(NamedTuple):
    """An object with centre and size relative to the image."""

    image: int
    label: int
    x: float
    y: float
    w: float
    h: float


class Scales(NamedTuple):
    """The weights of the paper."""

    coord: float = 5.0
    obj: float = 1.0
    noobj: float = 0.5
    class_prob: float = 1.0


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """IoU of two boxes given as centre and size."""
    ax, ay, aw, ah = a
    bx, by, bw, bh = b
    width = min(ax + aw / 2, bx + bw / 2) - max(ax - aw / 2, bx - bw / 2)
    height = min(ay + ah / 2, by + bh / 2) - max(ay - ah / 2, by - bh / 2)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (aw * ah + bw * bh - width * height)


def owners(objects: list[SlowObject], image: int, side: int) -> dict[Cell, SlowObject]:
    """The object of each cell; the first one keeps it."""
    owner: dict[Cell, SlowObject] = {}
    for item in objects:
        if item.image == image:
            owner.setdefault((min(int(item.y * side), side - 1), min(int(item.x * side), side - 1)), item)
    return owner


def responsible(boxes: list[list[float]], truth: SlowObject, cell: Cell, side: int) -> tuple[int, float]:
    """The responsible predictor and its IoU: the highest IoU, else the smallest distance, the first on ties."""
    row, col = cell
    wanted = (truth.x, truth.y, truth.w, truth.h)
    best, best_iou, best_rmse = -1, 0.0, 20.0
    for j, (x, y, w, h, _) in enumerate(boxes):
        box = ((x + col) / side, (y + row) / side, w * w, h * h)
        iou = overlap(box, wanted)
        rmse = math.sqrt(sum((p - t) ** 2 for p, t in zip(box, wanted, strict=True)))
        if best_iou > 0 or iou > 0:
            if iou > best_iou:
                best_iou, best = iou, j
        elif rmse < best_rmse:
            best_rmse, best = rmse, j
    return best, best_iou


def slow_loss(
    raw: list[list[list[list[float]]]], objects: list[SlowObject], side: int, num_boxes: int, num_classes: int
) -> dict[str, float]:
    """The five terms, each 1/2 * scale * squares / N."""
    scales = Scales()
    terms = dict.fromkeys(("coord_xy", "coord_wh", "conf_obj", "conf_noobj", "class_prob"), 0.0)
    for n, image in enumerate(raw):
        owner = owners(objects, n, side)
        for cell in [(row, col) for row in range(side) for col in range(side)]:
            values = image[cell[0]][cell[1]]
            boxes = [values[5 * j : 5 * j + 5] for j in range(num_boxes)]
            truth = owner.get(cell)
            best = -1
            if truth is not None:
                best, iou = responsible(boxes, truth, cell, side)
                x, y, w, h, confidence = boxes[best]
                dx, dy = x - (truth.x * side - cell[1]), y - (truth.y * side - cell[0])
                dw, dh = w - math.sqrt(truth.w), h - math.sqrt(truth.h)
                one_hot = [float(c == truth.label) for c in range(num_classes)]
                misses = [p - t for p, t in zip(values[5 * num_boxes :], one_hot, strict=True)]
                terms["coord_xy"] += scales.coord * (dx**2 + dy**2)
                terms["coord_wh"] += scales.coord * (dw**2 + dh**2)
                terms["conf_obj"] += scales.obj * (confidence - iou) ** 2
                terms["class_prob"] += scales.class_prob * sum(m**2 for m in misses)
            others = [box[4] for j, box in enumerate(boxes) if j != best]
            terms["conf_noobj"] += scales.noobj * sum(c**2 for c in others)
    return {name: value / 2 / len(raw) for name, value in terms.items()}
