"""The matching rule and the confusion matrix written as loops over one detection at a time, with `difficult`."""

import numpy as np

from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet


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


def _turns(detections: DetectionSet) -> list[int]:
    return sorted(range(len(detections)), key=lambda index: -float(detections.scores[index]))


def slow_assign(detections: DetectionSet, truths: TruthSet, ignored: list[bool], *, threshold: float) -> list[int]:
    """The object each detection takes, -1 for none."""
    matched, taken = [-1] * len(detections), [False] * len(truths)
    reusable = (truths.iscrowd | truths.difficult).tolist()
    for detection in _turns(detections):
        best: tuple[bool, float, int] | None = None
        for truth in range(len(truths)):
            if (
                detections.image_index[detection] != truths.image_index[truth]
                or detections.labels[detection] != truths.labels[truth]
                or (taken[truth] and not reusable[truth])
            ):
                continue
            overlap = slow_overlap(_xywh(detections, detection), _xywh(truths, truth), bool(truths.iscrowd[truth]))
            if overlap >= min(threshold, 1 - 1e-10):
                candidate = (not ignored[truth], overlap, truth)
                best = candidate if best is None else max(best, candidate)
        if best is not None:
            matched[detection] = best[-1]
            taken[best[-1]] = True
    return matched


def slow_confusions(detections: DetectionSet, truths: TruthSet, num_classes: int) -> list[list[int]]:
    """The confusion matrix of all detections given, at IoU 0.5."""
    ignored = (truths.iscrowd | truths.difficult).tolist()
    matched = slow_assign(detections, truths, ignored, threshold=0.5)
    matrix = [[0] * (num_classes + 1) for _ in range(num_classes + 1)]
    missed = [truth for truth in range(len(truths)) if not ignored[truth] and truth not in matched]
    for detection in _turns(detections):
        label, truth = int(detections.labels[detection]), matched[detection]
        if truth >= 0:
            matrix[label][label] += not ignored[truth]
            continue
        candidates = [
            (slow_overlap(_xywh(detections, detection), _xywh(truths, other), False), other)
            for other in missed
            if truths.image_index[other] == detections.image_index[detection] and truths.labels[other] != label
        ]
        overlap, other = max(candidates, default=(0.0, -1))
        if overlap >= 0.5:
            matrix[truths.labels[other]][label] += 1
            missed.remove(other)
        else:
            matrix[num_classes][label] += 1
    for truth in missed:
        matrix[truths.labels[truth]][num_classes] += 1
    return matrix


def as_problem(sets: tuple[DetectionSet, TruthSet], *, images: int = 1, classes: int = 1) -> EvaluationData:
    """Images and classes are numbered."""
    detections, truths = sets
    table = ImageTable.of_ids([str(index) for index in range(images)])
    return EvaluationData(table, tuple(str(index) for index in range(classes)), truths, detections)


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
