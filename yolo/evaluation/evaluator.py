"""The evaluator: collect detections image by image, then compute every number at once.

Holds state and checks what comes in; the numbers come from `summary`. Average precision does not add up over
batches, so nothing is averaged before `compute`.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from yolo.detection_sets import DetectionSet, ImageTable, Problem, TruthSet
from yolo.evaluation.intake import FoundOnImage, take_in
from yolo.evaluation.matching import xyxy_to_xywh
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise
from yolo.image_ids import coco_image_ids
from yolo.structures import Detections, GroundTruth


class Evaluator:
    """Measures detections against ground truth.

    Memory grows with the detections and objects, 28 bytes for each detection. The order of the images does
    not matter, so shards evaluated apart and merged give the same result to the last bit.

    Args:
        class_names: names of the classes, at least one.
        max_detections: limits on detections per image and class, three ascending numbers. All results use
            the last one, except `ar_1` and `ar_10`, which use the first two.

    Raises:
        ValueError: no class names, or limits that are not three ascending numbers from 1.
    """

    def __init__(
        self, class_names: tuple[str, ...] | list[str], *, max_detections: tuple[int, int, int] = (1, 10, 100)
    ) -> None:
        if not class_names:
            raise ValueError("class_names must name at least one class")
        few, some, many = max_detections
        if not 1 <= few < some < many:
            raise ValueError(f"max_detections must be three ascending numbers from 1, got {max_detections}")
        self.class_names = tuple(class_names)
        self.max_detections = max_detections
        self._found: dict[str, FoundOnImage] = {}
        self._truth: dict[str, GroundTruth] = {}

    def __len__(self) -> int:
        """Images so far."""
        return len(self._found)

    def update(self, image_id: str, detections: Detections, ground_truth: GroundTruth) -> None:
        """Add one image; both may be empty. Boxes of both are in pixels of the same image.

        Raises:
            ValueError: the image was added before, or a detection is not finite.
            DataError: a class index that `class_names` does not reach, or an object that is not finite.
        """
        if image_id in self._found:
            raise ValueError(f"image {image_id!r} was evaluated twice")
        found = take_in(image_id, detections, ground_truth, len(self.class_names))
        self._found[image_id] = found
        self._truth[image_id] = ground_truth

    def merge(self, other: Evaluator) -> Self:
        """Add the images of another evaluator, as of another process, to this one.

        Returns:
            This evaluator.

        Raises:
            ValueError: an image is in both, or the evaluators differ in classes or limits.
        """
        if (self.class_names, self.max_detections) != (other.class_names, other.max_detections):
            raise ValueError("evaluators can be merged only if class names and max_detections are equal")
        twice = self._found.keys() & other._found.keys()
        if twice:
            raise ValueError(f"image {min(twice)!r} was evaluated twice, in both evaluators")
        self._found.update(other._found)
        self._truth.update(other._truth)
        return self

    def reset(self) -> None:
        """Forget all images."""
        self._found.clear()
        self._truth.clear()

    def compute(self) -> EvaluationResult:
        """All numbers over the images so far; NaN where there is nothing to be found."""
        # Equal scores are ranked in the order of their images; pycocotools sorts images by id.
        ids = sorted(self._found, key=coco_image_ids(self._found).__getitem__)
        problem = Problem(
            images=ImageTable.of_ids(ids),
            class_names=self.class_names,
            truths=_gather_truths([self._truth[image_id] for image_id in ids]),
            detections=_gather_detections([self._found[image_id] for image_id in ids]),
        )
        return summarise(problem, max_detections=self.max_detections)


def _gather_detections(images: list[FoundOnImage]) -> DetectionSet:
    # an empty head, because nothing can be concatenated of no images
    return DetectionSet.from_xywh(
        xyxy_to_xywh(np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes for one in images)])),
        np.concatenate([np.zeros(0), *(one.scores for one in images)]),
        np.concatenate([np.zeros(0, np.int64), *(one.labels for one in images)]),
        np.repeat(np.arange(len(images)), [len(one.scores) for one in images]),
    )


def _gather_truths(images: list[GroundTruth]) -> TruthSet:
    every = GroundTruth.concatenate(images)
    return TruthSet.from_xywh(
        xyxy_to_xywh(every.boxes),
        every.labels,
        np.repeat(np.arange(len(images)), [len(one) for one in images]),
        iscrowd=every.iscrowd,
        difficult=every.difficult,
        area=every.area,
    )
