"""The oracle for flat problems: the arrays of the real pycocotools, and problems that are hard to get right."""

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo.arrays import Float64
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.coco import CocoProtocol


@dataclass(frozen=True)
class CocoArrays:
    """What `COCOeval.eval` holds, and its summary."""

    precision: Float64
    recall: Float64
    scores: Float64
    stats: Float64


def random_flat_problem(
    seed: int, *, num_images: int = 4, num_classes: int = 3, num_objects: int = 12, num_found: int = 40, coarse: bool
) -> EvaluationData:
    """Images, classes, objects and detections that may lack one another, in any order.

    `coarse` puts boxes on a grid of 8 pixels, also of no and of negative width and height, and scores on tenths:
    equal scores on one image and across images, equal IoUs, IoUs that meet a threshold exactly.
    """
    generator = np.random.default_rng(seed)
    truth_boxes, found_boxes = (_boxes(generator, count, coarse) for count in (num_objects, num_found))
    images, labels = (generator.integers(0, most, num_objects) for most in (num_images, num_classes))
    found_images, found_labels = (generator.integers(0, most, num_found) for most in (num_images, num_classes))
    scores = generator.random(num_found)
    if num_objects:
        source, near = generator.integers(0, num_objects, num_found), generator.random(num_found) < 0.8
        shift = 8.0 * generator.integers(-1, 2, (num_found, 4)) * (generator.random((num_found, 4)) < 0.3)
        moved = truth_boxes[source] + (shift if coarse else shift * generator.random((num_found, 4)))
        found_boxes = np.where(near[:, None], moved, found_boxes)
        found_images = np.where(near, images[source], found_images)
        found_labels = np.where(near, labels[source], found_labels)
    # the area of a mask is not that of the box, and at times exactly on the bound of a range
    area = truth_boxes[:, 2] * truth_boxes[:, 3] * 0.9
    area = np.where(generator.random(num_objects) < 0.3, generator.choice([1024.0, 9216.0, 0.0], num_objects), area)
    crowd = generator.random(num_objects) < 0.15
    return EvaluationData(
        ImageTable.of_ids([str(index + 1) for index in range(num_images)]),
        tuple(f"class {index}" for index in range(num_classes)),
        TruthSet.from_xywh(truth_boxes, labels, images, iscrowd=crowd, area=area),
        DetectionSet.from_xywh(found_boxes, scores.round(1) if coarse else scores, found_labels, found_images),
    )


def _boxes(generator: np.random.Generator, count: int, coarse: bool) -> Float64:
    if coarse:
        sides = [8.0, 16.0, 32.0, 64.0, 96.0, 104.0, 0.0, -8.0]
        size = generator.choice(sides, (count, 2), p=[0.15] * 6 + [0.05] * 2)
        return np.concatenate((8.0 * generator.integers(0, 3, (count, 2)), size), axis=1)
    return np.concatenate((generator.uniform(0, 60, (count, 2)), generator.uniform(1, 130, (count, 2))), axis=1)


def pycocotools_arrays(problem: EvaluationData, protocol: CocoProtocol, *, first_id: int = 1) -> CocoArrays:
    """All that pycocotools gives; annotation ids count from `first_id`. Its summary is that of its own protocol."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        truth = COCO()
        truth.dataset = _dataset(problem, first_id)
        truth.createIndex()
        run = COCOeval(truth, _load_found(truth, problem), "bbox")
        run.params.iouThrs = np.array(protocol.iou_thresholds)
        run.params.areaRng = [list(one) for one in protocol.area_ranges.values()]
        run.params.areaRngLbl = list(protocol.area_ranges)
        run.params.maxDets = list(protocol.max_detections)
        run.evaluate()
        run.accumulate()
        is_standard = len(protocol.iou_thresholds) == 10 and protocol.max_detections == (1, 10, 100)
        if is_standard:
            run.summarize()
    stats = np.array(run.stats if is_standard else [])
    return CocoArrays(run.eval["precision"], run.eval["recall"], run.eval["scores"], stats)


def _rows(part: DetectionSet | TruthSet) -> list[dict[str, Any]]:
    boxes = np.concatenate((part.boxes[:, :2], part.sizes_wh), axis=1).tolist()
    places = zip(boxes, (part.labels + 1).tolist(), (part.image_index + 1).tolist(), strict=True)
    return [{"bbox": box, "category_id": label, "image_id": image} for box, label, image in places]


def _dataset(problem: EvaluationData, first_id: int) -> dict[str, Any]:
    truths = problem.truths
    annotations = _rows(truths)
    for place, one in enumerate(annotations):
        one |= {
            "id": place + first_id,
            "iscrowd": int(truths.iscrowd[place]),
            "ignore": int(truths.difficult[place]),
            "area": float(truths.area[place]),
        }
    return {
        "info": {},
        "images": [{"id": index + 1} for index in range(len(problem.images))],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(problem.class_names)],
        "annotations": annotations,
    }


def _load_found(truth: Any, problem: EvaluationData) -> Any:
    rows = _rows(problem.detections)
    for row, score in zip(rows, problem.detections.scores.tolist(), strict=True):
        row["score"] = score
    if rows:
        return truth.loadRes(rows)
    # loadRes fails on an empty list
    found = type(truth)()
    found.dataset = {**truth.dataset, "annotations": []}
    found.createIndex()
    return found
