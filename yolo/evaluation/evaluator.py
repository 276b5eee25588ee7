"""The evaluator: collect detections image by image, then compute every number at once.

Holds state and checks what comes in; the numbers come from `summary`. Average precision does not add up over
batches, so nothing is averaged before `compute`.

What evaluators take in and hold: detections and ground truth image by image, checked, as arrays of their own.

The state behind `update`, `merge` and `reset` of both evaluators; they add the rule.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import DetectionSet, ImageTable, Problem, TruthSet, coco_image_ids
from yolo.errors import DataError
from yolo.evaluation.matching import xyxy_to_xywh
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise
from yolo.structures import Detections, GroundTruth


class FoundOnImage(NamedTuple):
    """Detections of one image."""

    boxes: NDArray[np.float32]  # (K, 4) xyxy
    scores: NDArray[np.float32]  # (K,)
    labels: NDArray[np.int64]  # (K,)


class EvaluatedImages:
    """Images with what is on them and what was found, in no particular order.

    Args:
        class_names: names of the classes, at least one.

    Raises:
        ValueError: no class names.
    """

    def __init__(self, class_names: tuple[str, ...]) -> None:
        if not class_names:
            raise ValueError("class_names must name at least one class")
        self.class_names = class_names
        self._found: dict[str, FoundOnImage] = {}
        self._truth: dict[str, GroundTruth] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, image_id: str, detections: Detections, ground_truth: GroundTruth) -> None:
        """Add one image; both may be empty.

        Raises:
            ValueError: the image was added before, or a detection is not finite.
            DataError: a class index that `class_names` does not reach, or an object that is not finite.
        """
        if image_id in self._found:
            raise ValueError(f"image {image_id!r} was evaluated twice")
        found = take_in(image_id, detections, ground_truth, len(self.class_names))
        self._found[image_id] = found
        self._truth[image_id] = ground_truth

    def merge(self, other: EvaluatedImages) -> None:
        """Add all images of another.

        Raises:
            ValueError: an image is in both.
        """
        twice = self._found.keys() & other._found.keys()
        if twice:
            raise ValueError(f"image {min(twice)!r} was evaluated twice, in both evaluators")
        self._found.update(other._found)
        self._truth.update(other._truth)

    def clear(self) -> None:
        """Forget all images."""
        self._found.clear()
        self._truth.clear()

    def problem(self, images: ImageTable | None = None) -> Problem:
        """All images as one problem, in pycocotools' order of images: it decides between equal scores.

        Args:
            images: paths and sizes, in any order; images that were not evaluated are left out.

        Raises:
            ValueError: an evaluated image is not among `images`.
        """
        ids = sorted(self._found, key=coco_image_ids(self._found).__getitem__)
        return Problem(
            images=ImageTable.of_ids(ids) if images is None else _select_images(images, ids),
            class_names=self.class_names,
            truths=_gather_truths([self._truth[image_id] for image_id in ids]),
            detections=_gather_detections([self._found[image_id] for image_id in ids]),
        )


def take_in(image_id: str, detections: Detections, ground_truth: GroundTruth, num_classes: int) -> FoundOnImage:
    """The detections of an image as arrays that share no memory with them.

    Raises:
        ValueError: a detection is not finite.
        DataError: a class index from `num_classes` on, or an object that is not finite.
    """
    found = FoundOnImage(
        # copies: a view would keep the tensors of the whole batch alive
        np.array(detections.boxes.detach().float().cpu().numpy(), np.float32),
        np.array(detections.scores.detach().float().cpu().numpy(), np.float32),
        np.array(detections.labels.cpu().numpy(), np.int64),
    )
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise ValueError(f"image {image_id!r}: a detection has a box or score that is not finite")
    if not (np.isfinite(ground_truth.boxes).all() and np.isfinite(ground_truth.area).all()):
        raise DataError(f"image {image_id!r}: an annotated box or area is not finite; correct the annotation")
    _check_labels(image_id, found.labels, num_classes, "a detection")
    _check_labels(image_id, ground_truth.labels, num_classes, "an annotated object")
    return found


def _check_labels(image_id: str, labels: NDArray[np.int64], num_classes: int, what: str) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"image {image_id!r}: {what} has class {wrong[0]} (counted from 0), but there are "
            f"{num_classes} class names; check that weights and dataset have the same classes"
        )


def _select_images(images: ImageTable, ids: list[str]) -> ImageTable:
    place = {image_id: index for index, image_id in enumerate(images.image_ids)}
    if missing := [image_id for image_id in ids if image_id not in place]:
        raise ValueError(f"{len(missing)} evaluated images are not in the table of images, such as {missing[0]!r}")
    chosen = [place[image_id] for image_id in ids]
    return ImageTable(ids, [images.paths[index] for index in chosen], images.sizes_hw[np.array(chosen, np.int64)])


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
