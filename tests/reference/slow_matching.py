"""The matching rule written as loops over one image at a time, with `difficult` and with all classes together."""

import numpy as np

from yolo.detection_sets import DetectionSet, TruthSet


def slow_overlap(detection: list[float], truth: list[float], iscrowd: bool) -> float:
    """IoU of two xywh boxes; for crowds the share of the detection inside."""
    (dx, dy, dw, dh), (tx, ty, tw, th) = detection, truth
    width = min(dw + dx, tw + tx) - max(dx, tx)
    height = min(dh + dy, th + ty) - max(dy, ty)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (dw * dh if iscrowd else dw * dh + tw * th - both)


def _xywh(columns: DetectionSet | TruthSet, index: int) -> list[float]:
    left, top, _, _ = columns.boxes[index].tolist()
    return [left, top, *columns.sizes_wh[index].tolist()]


def slow_assign(
    detections: DetectionSet, truths: TruthSet, ignored: list[bool], *, threshold: float, per_class: bool
) -> list[int]:
    """The object each detection takes, -1 for none."""
    matched, taken = [-1] * len(detections), [False] * len(truths)
    reusable = (truths.iscrowd | truths.difficult).tolist()
    for detection in sorted(range(len(detections)), key=lambda index: -float(detections.scores[index])):
        best: tuple[bool, float, bool, int] | None = None
        for truth in range(len(truths)):
            same_class = bool(detections.labels[detection] == truths.labels[truth])
            if (
                detections.image_index[detection] != truths.image_index[truth]
                or (not same_class and (per_class or reusable[truth]))
                or (taken[truth] and not reusable[truth])
            ):
                continue
            overlap = slow_overlap(
                _xywh(detections, detection),
                _xywh(truths, truth),
                bool(truths.iscrowd[truth]),
            )
            if overlap >= min(threshold, 1 - 1e-10):
                candidate = (not ignored[truth], overlap, same_class, truth)
                best = candidate if best is None else max(best, candidate)
        if best is not None:
            matched[detection] = best[-1]
            taken[best[-1]] = True
    return matched


def make_sets(
    *,
    found: list[tuple[float, list[float]]],
    objects: list[list[float]],
    crowd: tuple[int, ...] = (),
    difficult: tuple[int, ...] = (),
    area: list[float] | None = None,
) -> tuple[DetectionSet, TruthSet]:
    """One image, one class: `found` holds (score, xywh), `objects` xywh, the rest indices of objects."""
    boxes = np.array(objects, np.float64).reshape(-1, 4)
    places = np.arange(len(boxes))
    return (
        DetectionSet.from_xywh(
            [box for _, box in found], [score for score, _ in found], np.zeros(len(found)), np.zeros(len(found))
        ),
        TruthSet.from_xywh(
            boxes,
            np.zeros(len(boxes)),
            np.zeros(len(boxes)),
            iscrowd=np.isin(places, crowd),
            difficult=np.isin(places, difficult),
            area=area,
        ),
    )


def random_sets(seed: int, num_found: int, num_objects: int) -> tuple[DetectionSet, TruthSet]:
    """Three images, two classes; boxes on a coarse grid, so that scores, IoUs and areas are often equal."""
    generator = np.random.default_rng(seed)

    def boxes(count: int) -> list[list[float]]:
        corner, size = generator.integers(0, 3, (count, 2)), generator.integers(2, 6, (count, 2))
        rows: list[list[float]] = np.concatenate((corner, size), axis=1).astype(float).tolist()
        return rows

    found = [(float(generator.integers(1, 6)) / 5, box) for box in boxes(num_found)]
    detections, truths = make_sets(found=found, objects=boxes(num_objects))
    return (
        DetectionSet(
            detections.boxes,
            detections.sizes_wh,
            detections.scores,
            generator.integers(0, 2, num_found),
            np.sort(generator.integers(0, 3, num_found)),
        ),
        TruthSet(
            truths.boxes,
            truths.sizes_wh,
            generator.integers(0, 2, num_objects),
            np.sort(generator.integers(0, 3, num_objects)),
            iscrowd=generator.random(num_objects) < 0.2,
            difficult=generator.random(num_objects) < 0.2,
            area=truths.area,
        ),
    )
