"""The oracle: the real pycocotools on files written by `coco_json`, and random problems that are hard to get right."""

import contextlib
import io
import math
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from yolo.arrays import Float64
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import EvaluationResult
from yolo.formats.coco_write import ground_truth_dict, write_predictions
from yolo.structures import AnnotatedImage, Detections, GroundTruth

COCO_NUMBERS = (
    *("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)


@dataclass(frozen=True)
class Problem:
    """Images by id, with what is on them and what was found."""

    truths: dict[str, GroundTruth]
    detections: dict[str, Detections]
    num_classes: int

    @property
    def class_names(self) -> list[str]:
        return [f"class {index}" for index in range(self.num_classes)]

    def evaluate(self, max_detections: tuple[int, int, int] = (1, 10, 100)) -> EvaluationResult:
        evaluator = Evaluator(self.class_names, max_detections=max_detections)
        for image_id, truth in self.truths.items():
            evaluator.update(image_id, self.detections[image_id], truth)
        return evaluator.compute()


def found(boxes: Any, scores: Any, labels: Any) -> Detections:
    return Detections(
        torch.as_tensor(np.asarray(boxes, np.float32).reshape(-1, 4)),
        torch.as_tensor(np.asarray(scores, np.float32).reshape(-1)),
        torch.as_tensor(np.asarray(labels, np.int64).reshape(-1)),
        (480, 640),
    )


def random_problem(
    seed: int, *, num_images: int, num_classes: int, coarse: bool, max_objects: int = 6, max_found: int = 12
) -> Problem:
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
    return Problem(truths, detections, num_classes)


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


def pycocotools_results(
    problem: Problem, max_detections: tuple[int, int, int] = (1, 10, 100)
) -> tuple[dict[str, float], Float64]:
    """The 12 numbers, and (C, 3) AP50, AP75 and AP50-95 of each class; -1 is turned into NaN."""
    from pycocotools.cocoeval import COCOeval

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        coco_truth, coco_found = _load(problem)
        run = COCOeval(coco_truth, coco_found, "bbox")
        run.params.maxDets = list(max_detections)
        run.evaluate()
        run.accumulate()
        precision, recall = run.eval["precision"], run.eval["recall"]  # (T, R, C, A, L), (T, C, A, L)
        if max_detections[-1] == 100:
            run.summarize()
            stats = run.stats.tolist()
        else:  # its own summary looks for 100 literally
            stats = [_mean(precision[part, :, :, area, 2]) for part, area in _PRECISION_PARTS]
            stats += [_mean(recall[:, :, area, limit]) for area, limit in _RECALL_PARTS]
    numbers = {name: math.nan if value == -1 else float(value) for name, value in zip(COCO_NUMBERS, stats, strict=True)}
    own = precision[:, :, :, 0, 2]
    per_class = np.stack([own[0].mean(0), own[5].mean(0), own.mean((0, 1))], axis=1)
    return numbers, np.where(per_class < 0, np.nan, per_class)


_ALL = slice(None)
_PRECISION_PARTS = ((_ALL, 0), (slice(0, 1), 0), (slice(5, 6), 0), (_ALL, 1), (_ALL, 2), (_ALL, 3))
_RECALL_PARTS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2))


def _mean(values: Float64) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def _load(problem: Problem) -> tuple[Any, Any]:
    from pycocotools.coco import COCO

    images = [
        AnnotatedImage(image_id, Path(f"{image_id}.jpg"), (480, 640), truth)
        for image_id, truth in problem.truths.items()
    ]
    coco_truth = COCO()
    coco_truth.dataset = ground_truth_dict(images, problem.class_names)
    coco_truth.createIndex()
    if any(len(one) for one in problem.detections.values()):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "predictions.json"
            write_predictions(path, problem.detections)
            return coco_truth, coco_truth.loadRes(str(path))
    # loadRes fails on an empty list
    coco_found = COCO()
    coco_found.dataset = {**coco_truth.dataset, "annotations": []}
    coco_found.createIndex()
    return coco_truth, coco_found
