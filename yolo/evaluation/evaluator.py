"""The evaluator: collect detections image by image, then compute every number at once.

Holds state and checks what comes in; the numbers come from `summary`. Average precision does not add up over
batches, so nothing is averaged before `compute`.
"""

from __future__ import annotations

from typing import Self

from yolo.detection_sets import ImageTable, Problem
from yolo.evaluation.intake import EvaluatedImages
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise
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
        self._images = EvaluatedImages(tuple(class_names))
        few, some, many = max_detections
        if not 1 <= few < some < many:
            raise ValueError(f"max_detections must be three ascending numbers from 1, got {max_detections}")
        self.class_names = tuple(class_names)
        self.max_detections = max_detections

    def __len__(self) -> int:
        """Images so far."""
        return len(self._images)

    def update(self, image_id: str, detections: Detections, ground_truth: GroundTruth) -> None:
        """Add one image; both may be empty. Boxes of both are in pixels of the same image.

        Raises:
            ValueError: the image was added before, or a detection is not finite.
            DataError: a class index that `class_names` does not reach, or an object that is not finite.
        """
        self._images.add(image_id, detections, ground_truth)

    def merge(self, other: Evaluator) -> Self:
        """Add the images of another evaluator, as of another process, to this one.

        Returns:
            This evaluator.

        Raises:
            ValueError: an image is in both, or the evaluators differ in classes or limits.
        """
        if (self.class_names, self.max_detections) != (other.class_names, other.max_detections):
            raise ValueError("evaluators can be merged only if class names and max_detections are equal")
        self._images.merge(other._images)
        return self

    def reset(self) -> None:
        """Forget all images."""
        self._images.clear()

    def problem(self, images: ImageTable | None = None) -> Problem:
        """The images so far as a problem, for what more there is to be found out about them.

        Args:
            images: paths and sizes, in any order; images that were not evaluated are left out. The order in the
                problem is pycocotools' own, by ascending id.

        Raises:
            ValueError: an evaluated image is not among `images`.
        """
        return self._images.problem(images)

    def compute(self) -> EvaluationResult:
        """All numbers over the images so far; NaN where there is nothing to be found."""
        return summarise(self.problem(), max_detections=self.max_detections)
