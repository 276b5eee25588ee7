"""The evaluator: collect detections image by image, then compute every number at once.

Holds state and checks what comes in; the numbers come from `summary`. Average precision does not add up over
batches, so nothing is averaged before `compute`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import torch.distributed as dist

from yolo.arrays import Float32, Int64
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet, coco_image_ids, xyxy_to_xywh
from yolo.errors import DataError
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise
from yolo.structures import Detections, GroundTruth


class _Found(NamedTuple):
    """Detections of one image, as arrays that share no memory with the tensors of a batch."""

    boxes: Float32  # (K, 4) xyxy
    scores: Float32  # (K,)
    labels: Int64  # (K,)


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
        self._found: dict[str, _Found] = {}
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
        found = _Found(
            # copies: a view would keep the tensors of the whole batch alive
            np.array(detections.boxes.detach().float().cpu().numpy(), np.float32),
            np.array(detections.scores.detach().float().cpu().numpy(), np.float32),
            np.array(detections.labels.cpu().numpy(), np.int64),
        )
        if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
            raise ValueError(f"image {image_id!r}: a detection has a box or score that is not finite")
        if not (np.isfinite(ground_truth.boxes).all() and np.isfinite(ground_truth.area).all()):
            raise DataError(f"image {image_id!r}: an annotated box or area is not finite; correct the annotation")
        _check_labels(image_id, found.labels, len(self.class_names), "a detection")
        _check_labels(image_id, ground_truth.labels, len(self.class_names), "an annotated object")
        self._found[image_id], self._truth[image_id] = found, ground_truth

    def merge(self, other: Evaluator) -> Self:
        """Add the images of another evaluator, as of another process, to this one.

        Returns:
            This evaluator.

        Raises:
            ValueError: an image is in both, or the evaluators differ in classes or limits.
        """
        if (self.class_names, self.max_detections) != (other.class_names, other.max_detections):
            raise ValueError("evaluators can be merged only if class names and max_detections are equal")
        if twice := self._found.keys() & other._found.keys():
            raise ValueError(f"image {min(twice)!r} was evaluated twice, in both evaluators")
        self._found.update(other._found)
        self._truth.update(other._truth)
        return self

    def merge_ranks(self) -> Self:
        """Add the images of all other ranks of a `torch.distributed` group to this one; called by all of them.

        Without a process group nothing happens. No image may be given to two ranks: samplers must not repeat some to
        even out the shares.

        Returns:
            This evaluator.

        Raises:
            ValueError: as `merge`.
        """
        if dist.is_available() and dist.is_initialized():
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, self)
            for rank, other in enumerate(parts):
                if rank != dist.get_rank():
                    self.merge(other)
        return self

    def reset(self) -> None:
        """Forget all images."""
        self._found.clear()
        self._truth.clear()

    def problem(self, images: ImageTable | None = None) -> EvaluationData:
        """The images so far as a problem, in pycocotools' order of images: it decides between equal scores.

        Args:
            images: paths and sizes, in any order; images that were not evaluated are left out.

        Raises:
            ValueError: an evaluated image is not among `images`.
        """
        ids = sorted(self._found, key=coco_image_ids(self._found).__getitem__)
        found = [self._found[image_id] for image_id in ids]
        truths = [self._truth[image_id] for image_id in ids]
        every = GroundTruth.concatenate(truths)
        return EvaluationData(
            images=ImageTable.of_ids(ids) if images is None else images.select(ids),
            class_names=self.class_names,
            truths=TruthSet.from_xywh(
                xyxy_to_xywh(every.boxes),
                every.labels,
                np.repeat(np.arange(len(ids)), [len(one) for one in truths]),
                iscrowd=every.iscrowd,
                difficult=every.difficult,
                area=every.area,
            ),
            # an empty head, because nothing can be concatenated of no images
            detections=DetectionSet.from_xywh(
                xyxy_to_xywh(np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes for one in found)])),
                np.concatenate([np.zeros(0), *(one.scores for one in found)]),
                np.concatenate([np.zeros(0, np.int64), *(one.labels for one in found)]),
                np.repeat(np.arange(len(found)), [len(one.scores) for one in found]),
            ),
        )

    def compute(self) -> EvaluationResult:
        """All numbers over the images so far; NaN where there is nothing to be found."""
        return summarise(self.problem(), max_detections=self.max_detections)


def _check_labels(image_id: str, labels: Int64, num_classes: int, what: str) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"image {image_id!r}: {what} has class {wrong[0]} (counted from 0), but there are "
            f"{num_classes} class names; check that weights and dataset have the same classes"
        )
