"""Random images that are hard to evaluate right, with what is on them and what was found; see also `coco_arrays`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from yolo.arrays import Float64
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import EvaluationResult
from yolo.structures import Detections, GroundTruth

COCO_NUMBERS = (
    *("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)


@dataclass(frozen=True)
class EvaluationData:
    """Images by id, with what is on them and what was found."""

    truths: dict[str, GroundTruth]
    detections: dict[str, Detections]
    num_classes: int

    @property
    def class_names(self) -> list[str]:
        return [f"class {index}" for index in range(self.num_classes)]

    def evaluator(self, max_detections: tuple[int, int, int] = (1, 10, 100)) -> Evaluator:
        """One that has seen all images."""
        evaluator = Evaluator(self.class_names, max_detections=max_detections)
        for image_id, truth in self.truths.items():
            evaluator.update(image_id, self.detections[image_id], truth)
        return evaluator

    def evaluate(self) -> EvaluationResult:
        return self.evaluator().compute()


def found(boxes: Any, scores: Any, labels: Any) -> Detections:
    return Detections(
        torch.as_tensor(np.asarray(boxes, np.float32).reshape(-1, 4)),
        torch.as_tensor(np.asarray(scores, np.float32).reshape(-1)),
        torch.as_tensor(np.asarray(labels, np.int64).reshape(-1)),
        (480, 640),
    )


def random_problem(
    seed: int, *, num_images: int, num_classes: int, coarse: bool, max_objects: int = 6, max_found: int = 12
) -> EvaluationData:
    """Objects and detections that overlap a lot.

    `coarse` puts boxes on a grid of 8 pixels and scores on tenths: equal IoUs, equal scores, IoUs that meet a
    threshold exactly, and areas on the bounds 32² and 96².
    """
    generator = np.random.default_rng(seed)
    # numbers and words: both kinds of image id, and integers whose order differs from that of their strings
    prefix = "" if generator.random() < 0.5 else "image "
    ids = [f"{prefix}{index}" for index in generator.permutation(num_images) + 8]
    truths, detections = {}, {}
    for image_id in ids:
        num_objects, num_found = (int(generator.integers(0, most + 1)) for most in (max_objects, max_found))
        truth = _random_truth(generator, num_objects, num_classes, coarse)
        truths[image_id] = truth
        detections[image_id] = _random_found(generator, num_found, num_classes, truth, coarse)
    return EvaluationData(truths, detections, num_classes)


def _random_boxes(generator: np.random.Generator, count: int, coarse: bool) -> Float64:
    if coarse:
        corner = 8.0 * generator.integers(0, 3, (count, 2))
        size = generator.choice([8.0, 16.0, 32.0, 64.0, 96.0], (count, 2))
    else:
        corner, size = generator.uniform(0, 60, (count, 2)), generator.uniform(1, 130, (count, 2))
    return np.concatenate((corner, corner + size), axis=1)


def _random_truth(generator: np.random.Generator, count: int, num_classes: int, coarse: bool) -> GroundTruth:
    boxes = _random_boxes(generator, count, coarse)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # COCO's area is that of the mask: not the box's, and at times exactly on the bound of a range
    area = np.where(generator.random(count) < 0.3, generator.choice([1024.0, 9216.0, 1023.9], count), area * 0.9)
    labels = generator.integers(0, num_classes, count)
    return GroundTruth.from_boxes(boxes, labels, iscrowd=generator.random(count) < 0.15, area=area)


def _random_found(
    generator: np.random.Generator, count: int, num_classes: int, truth: GroundTruth, coarse: bool
) -> Detections:
    boxes = _random_boxes(generator, count, coarse)
    labels, scores = generator.integers(0, num_classes, count), generator.random(count)
    if coarse:
        scores = scores.round(1)
    if len(truth):
        source = generator.integers(0, len(truth), count)
        near = generator.random(count) < 0.8
        shift = 8.0 * generator.integers(-1, 2, (count, 4)) * (generator.random((count, 4)) < 0.3)
        boxes[near] = (truth.boxes[source] + (shift if coarse else shift * generator.random((count, 4))))[near]
        labels[near] = truth.labels[source][near]
    return found(boxes, scores, labels)
