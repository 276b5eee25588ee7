"""The bootstrap taken at its word: images that were drawn several times are copied, and all is evaluated anew."""

from dataclasses import replace

import numpy as np

from tests.reference.coco_oracle import COCO_NUMBERS
from yolo.arrays import Float64
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.matching import match
from yolo.evaluation.summary import summarise

SUMMARY_NAMES = COCO_NUMBERS


def untied(problem: EvaluationData) -> EvaluationData:
    """Equal scores made different in the order in which they are evaluated: by image, then by place.

    On copied images two equal scores of one image would alternate: first copy of both, second copy of both. The
    bootstrap keeps the copies of each together instead, and so do images copied from this problem.
    """
    found = problem.detections
    order = sorted(range(len(found)), key=lambda row: (-found.scores[row], found.image_index[row], row))
    scores = np.zeros(len(found))
    for place, row in enumerate(order):
        scores[row] = 1 - place / max(len(found), 1)
    return replace(problem, detections=replace(found, scores=scores))


def copied(problem: EvaluationData, weights: list[int]) -> EvaluationData:
    """Image i is there weights[i] times. Copies of a detection lie next to each other, each on an image of its own."""
    first = np.append(0, np.cumsum(weights))
    parts: list[tuple[list[int], list[int]]] = []
    for columns in (problem.truths, problem.detections):
        rows, images = [], []
        for row, image in enumerate(columns.image_index.tolist()):
            for copy in range(weights[image]):
                rows.append(row)
                images.append(int(first[image]) + copy)
        parts.append((rows, images))
    (truth_rows, truth_images), (found_rows, found_images) = parts
    truths = problem.truths[np.array(truth_rows, np.int64)]
    found = problem.detections[np.array(found_rows, np.int64)]
    return EvaluationData(
        images=ImageTable.of_ids([str(index) for index in range(sum(weights))]),
        class_names=problem.class_names,
        truths=TruthSet(
            truths.boxes,
            truths.sizes_wh,
            truths.labels,
            np.array(truth_images, np.int64),
            truths.iscrowd,
            truths.difficult,
            truths.area,
        ),
        detections=DetectionSet(
            found.boxes, found.sizes_wh, found.scores, found.labels, np.array(found_images, np.int64)
        ),
    )


def slow_replicate(
    problem: EvaluationData,
    weights: list[int],
    *,
    score_threshold: float,
    max_detections: tuple[int, int, int] = (1, 10, 100),
    distinct_on_image: bool = False,
) -> tuple[dict[str, float], Float64, Float64]:
    """The headline numbers, and (C,) AP50 and (C,) AP50-95 of the classes."""
    enlarged = copied(problem, weights)
    result = summarise(
        enlarged if distinct_on_image else copied(untied(problem), weights), max_detections=max_detections
    )
    headline = {name: getattr(result, name) for name in SUMMARY_NAMES}
    point = _operating_point(enlarged, score_threshold, max_detections[-1])
    headline.update(zip(("precision", "recall", "f1"), point, strict=True))
    return (
        headline,
        np.array([one.ap_50 for one in result.per_class]),
        np.array([one.ap_50_95 for one in result.per_class]),
    )


def _operating_point(
    problem: EvaluationData, score_threshold: float, max_detections: int
) -> tuple[float, float, float]:
    matches = match(problem, iou_thresholds=np.array([0.5]), max_detections=max_detections)
    detections, points = matches.problem.detections, []
    _, true_positive, false_positive = matches.at(0.5)
    for index in range(problem.num_classes):
        instances = sum(
            bool(counted) and label == index
            for counted, label in zip(matches.counted[0], problem.truths.labels.tolist(), strict=True)
        )
        if not instances:
            continue
        hits = misses = 0
        for row in range(len(detections)):
            if detections.labels[row] == index and detections.scores[row] >= score_threshold:
                hits += int(true_positive[row])
                misses += int(false_positive[row])
        precision, recall = hits / max(hits + misses, 1), hits / instances
        points.append((precision, recall, 2 * precision * recall / max(precision + recall, 1e-300)))
    if not points:
        return float("nan"), float("nan"), float("nan")
    precisions, recalls, f1s = zip(*points, strict=True)
    return sum(precisions) / len(points), sum(recalls) / len(points), sum(f1s) / len(points)


def slow_envelope(hits: list[bool]) -> list[float]:
    """The best precision after this detection or a later one; every detection that is not a hit counts against."""
    precision = [sum(hits[: place + 1]) / (place + 1) for place in range(len(hits))]
    return [max(precision[place:]) for place in range(len(hits))]


def slow_average_precision(hits: list[bool], instances: int) -> float:
    """Mean of the envelope at the 101 recall points, 0 at those that are not reached."""
    envelope, total = slow_envelope(hits), 0.0
    for point in np.linspace(0.0, 1.0, 101).tolist():
        for place in range(len(hits)):
            if sum(hits[: place + 1]) / instances >= point:
                total += envelope[place]
                break
    return total / 101


def random_problem(
    seed: int,
    *,
    num_images: int = 6,
    num_classes: int = 3,
    max_objects: int = 4,
    max_found: int = 10,
    distinct_on_image: bool = False,
) -> EvaluationData:
    """Coarse boxes, scores on few values, crowds, difficult objects, areas on the bounds of ranges, empty images.

    `distinct_on_image`: scores are equal only on different images.
    """
    generator = np.random.default_rng(seed)
    truth_images = np.repeat(np.arange(num_images), generator.integers(0, max_objects + 1, num_images))
    found_images = np.repeat(np.arange(num_images), generator.integers(0, max_found + 1, num_images))
    boxes, found = (_random_boxes(generator, len(images)) for images in (truth_images, found_images))
    # rare classes are absent from many replicates
    frequency = 2.0 ** -np.arange(num_classes)
    labels, found_labels = (
        generator.choice(num_classes, len(images), p=frequency / frequency.sum())
        for images in (truth_images, found_images)
    )
    for row, image in enumerate(found_images.tolist()):
        own = np.flatnonzero(truth_images == image)
        if own.size and generator.random() < 0.8:
            source = int(generator.choice(own))
            shift = 8.0 * generator.integers(-1, 2, 4) * (generator.random(4) < 0.25)
            found[row] = np.maximum(boxes[source] + shift, [0, 0, 8, 8])
            found_labels[row] = labels[source]
    scores = generator.integers(1, 11, len(found)) / 10
    if distinct_on_image:
        counts = np.bincount(found_images, minlength=num_images)
        scores = np.concatenate([generator.permutation(max_found)[:count] + 1.0 for count in counts]) / max_found
    area = boxes[:, 2] * boxes[:, 3]
    return EvaluationData(
        images=ImageTable.of_ids([f"image {index}" for index in range(num_images)]),
        class_names=tuple(f"class {index}" for index in range(num_classes)),
        truths=TruthSet.from_xywh(
            boxes,
            labels,
            truth_images,
            iscrowd=generator.random(len(boxes)) < 0.12,
            difficult=generator.random(len(boxes)) < 0.12,
            area=np.where(generator.random(len(boxes)) < 0.3, generator.choice([1024.0, 9216.0, 900.0]), area),
        ),
        detections=DetectionSet.from_xywh(found, scores, found_labels, found_images),
    )


def _random_boxes(generator: np.random.Generator, count: int) -> Float64:
    corner = 8.0 * generator.integers(0, 3, (count, 2))
    return np.concatenate((corner, generator.choice([16.0, 32.0, 64.0, 96.0, 104.0], (count, 2))), axis=1)
