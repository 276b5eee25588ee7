"""From the network's `raw` tensor to detections in pixels of the original image: decode, suppress, restore.

Decoding: score = confidence x class probability, and every class of a box whose score passes is a candidate of its own.
Suppression is per class. Restoring undoes the letterbox or stretch. A batch takes every step together, on the CPU: they
are many small steps, which there cost less than their launches on a GPU would. A GPU is waited for once, when `raw` is
copied, and no step asks it how many candidates there are.

Shape letters: N batch, S grid side, B predictors per cell, C classes, P = S·S·B predictors, K candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo.boxes import clip_to_image
from yolo.grid import GridParts, GridSpec
from yolo.postprocess.suppression import suppress_batch
from yolo.postprocess.tiles import Tiling
from yolo.structures import Detections, ImageGeometry

# Far more than an image has objects, few enough for a quick suppression.
MAX_CANDIDATES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessSettings:
    """What is kept of the candidates."""

    score_threshold: float  # candidates must score more than this
    iou_threshold: float  # suppress what overlaps a better one of its class by more than this
    max_detections: int  # per image
    class_thresholds: tuple[float, ...] | None = None  # C scores, one a class, that a candidate must reach as well
    classes: tuple[int, ...] | None = None  # labels that are wanted; None for all
    class_agnostic: bool = False  # suppress what overlaps a better one of any class
    tiling: Tiling | None = None  # how images are cut before they are detected on; None for not at all

    def changed(self, **values: Any) -> PostprocessSettings:
        """These settings with those of the values in place of their own that are not None."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})


def postprocess(
    grid: GridSpec, raw: Tensor, geometries: Sequence[ImageGeometry], settings: PostprocessSettings
) -> list[Detections]:
    """Detections of each image of a batch, on the CPU, in pixels of the original image, by falling score.

    Args:
        grid: the grid of `raw`.
        raw: (N, S, S, D) network output.
        geometries: how each image was placed on the input, length N.
        settings: what is kept.
    """
    if not geometries:
        return []
    found = _decode(
        grid,
        raw.float().cpu(),
        input_hw=geometries[0].input_hw,
        score_threshold=settings.score_threshold,
        # who asks for more detections than decoding keeps by default gets them
        max_candidates=max(MAX_CANDIDATES, settings.max_detections),
        classes=settings.classes,
    )
    if settings.class_thresholds is not None:
        # before the limit on their number: what is not wanted of one class takes no place of another
        lowest = torch.tensor(settings.class_thresholds)
        found = found[found.scores >= lowest[found.labels]]
    kept = suppress_batch(
        found.boxes,
        found.scores,
        torch.zeros_like(found.labels) if settings.class_agnostic else found.labels,
        found.counts(len(geometries)),
        iou_threshold=settings.iou_threshold,
        max_detections=settings.max_detections,
    )
    return _restore(found[torch.cat(kept)], geometries)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Candidates of all images of a batch, image after image, each image by falling score."""

    boxes: Tensor  # (K, 4) float32 xyxy
    scores: Tensor  # (K,) float32
    labels: Tensor  # (K,) int64
    image: Tensor  # (K,) int64, which image of the batch

    def __getitem__(self, index: Tensor) -> _Candidates:
        return _Candidates(self.boxes[index], self.scores[index], self.labels[index], self.image[index])

    def counts(self, num_images: int) -> list[int]:
        """How many each image has, N numbers."""
        counts: list[int] = self.image.bincount(minlength=num_images).tolist()
        return counts

    def split(self, sizes_hw: Sequence[tuple[int, int]]) -> list[Detections]:
        """One `Detections` per image, N sizes."""
        counts = self.counts(len(sizes_hw))
        columns = (column.split(counts) for column in (self.boxes, self.scores, self.labels))
        return [
            Detections(boxes, scores, labels, size_hw)
            for boxes, scores, labels, size_hw in zip(*columns, sizes_hw, strict=True)
        ]


def decode(
    grid: GridSpec,
    raw: Tensor,
    *,
    input_hw: tuple[int, int],
    score_threshold: float,
    max_candidates: int = MAX_CANDIDATES,
    classes: tuple[int, ...] | None = None,
) -> list[Detections]:
    """Candidates of each image of a batch.

    Args:
        grid: the grid of `raw`.
        raw: (N, S, S, D) network output, on the CPU.
        input_hw: height and width of the network's input.
        score_threshold: candidates must score more than this.
        max_candidates: keep at most this many per image, the best ones.
        classes: labels that are wanted; None for all. Others take no place among the candidates.

    Returns:
        One `Detections` per image in pixels of the input, ordered by falling score; equal scores keep the
        order row, column, predictor, class. Boxes may reach beyond the input: suppression compares what the
        network answered, as darknet's does.
    """
    found = _decode(
        grid,
        raw.float(),
        input_hw=input_hw,
        score_threshold=score_threshold,
        max_candidates=max_candidates,
        classes=classes,
    )
    return found.split([input_hw] * len(raw))


def _decode(
    grid: GridSpec,
    raw: Tensor,
    *,
    input_hw: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
    classes: tuple[int, ...] | None,
) -> _Candidates:
    """The candidates of `decode` together."""
    height, width = input_hw
    parts = grid.activate_raw(raw)
    scores = parts.confidence[..., None] * parts.class_probs[..., None, :]  # (N, S, S, B, C)
    if classes is not None:
        unwanted = torch.ones(grid.num_classes, dtype=torch.bool)
        unwanted[list(classes)] = False
        scores = scores.masked_fill(unwanted, -torch.inf)  # which passes no threshold
    chosen = _best_passing(scores, score_threshold, max_candidates)  # (K)
    # numpy's is one step where torch's is a dozen; post-processing is on the CPU
    places = np.unravel_index(chosen, tuple(scores.shape))
    image, row, col, predictor, label = (torch.from_numpy(place) for place in places)  # each (K)
    # only the boxes of candidates are decoded: they are few among all predictors
    own = GridParts(
        offset_xy=parts.offset_xy[image, row, col, predictor][:, None],  # (K, 1, 2)
        size_wh=parts.size_wh[image, row, col, predictor][:, None],
        confidence=parts.confidence[image, row, col, predictor][:, None],
        class_probs=parts.class_probs[image, row, col],
    )
    unit = raw.new_tensor((width, height, width, height))
    boxes = grid.decode_cells(own, row=row, col=col).squeeze(1) * unit  # (K, 4)
    return _Candidates(boxes, scores.flatten()[torch.from_numpy(chosen)], label, image)


def _best_passing(scores: Tensor, score_threshold: float, most: int) -> NDArray[np.intp]:
    """Flat indices of the scores (N, ...) above the threshold, image after image, the best first, equal ones in order.

    Args:
        scores: of all images.
        score_threshold: what passes is higher.
        most: at most this many of an image, the best.
    """
    flat = scores.numpy().reshape(-1)
    # a network whose answers overflow (darknet's batch norms in their first updates) has not found anything
    passing = np.flatnonzero((flat > score_threshold) & np.isfinite(flat))
    image = passing // max(1, scores[0].numel()) if len(scores) else passing
    order = np.lexsort((-flat[passing], image))  # keeps the order of equal ones
    passing, image = passing[order], image[order]
    rank = np.arange(len(image)) - np.searchsorted(image, image)
    return passing[rank < most]


def suppress(
    detections: Detections, *, iou_threshold: float, max_detections: int, class_agnostic: bool = False
) -> Detections:
    """Remove every detection that overlaps a better one of its class.

    Args:
        detections: K candidates in any order.
        iou_threshold: in [0, 1]; removed is what has an IoU strictly greater than this.
        max_detections: keep at most this many, the best ones.
        class_agnostic: remove what overlaps a better one of any class.

    Returns:
        Detections ordered by falling score; equal scores keep their order.
    """
    best_first = detections[detections.scores.argsort(descending=True, stable=True)]
    (kept,) = suppress_batch(
        best_first.boxes,
        best_first.scores,
        torch.zeros_like(best_first.labels) if class_agnostic else best_first.labels,
        [len(best_first)],
        iou_threshold=iou_threshold,
        max_detections=max_detections,
    )
    return best_first[kept]


def restore(detections: Detections, geometry: ImageGeometry) -> Detections:
    """Undo the letterbox or stretch that `geometry` records, and clip to the original image.

    Detections that lay wholly in the padding are dropped: nothing of them is left on the image.
    """
    of_one = torch.zeros_like(detections.labels)
    (restored,) = _restore(_Candidates(detections.boxes, detections.scores, detections.labels, of_one), [geometry])
    return restored


def _restore(found: _Candidates, geometries: Sequence[ImageGeometry]) -> list[Detections]:
    """`restore` of a batch."""
    numbers = [(*one.offset_xy * 2, *one.scale_xy * 2, *one.original_hw) for one in geometries]
    offset, scale, size_hw = torch.tensor(numbers, dtype=torch.float32)[found.image].split((4, 4, 2), dim=1)
    boxes = clip_to_image((found.boxes - offset) / scale, size_hw)
    on_image = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    return replace(found, boxes=boxes)[on_image].split([one.original_hw for one in geometries])
