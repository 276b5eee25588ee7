"""From the network's `raw` tensor to detections in pixels of the original image: decode, suppress, restore.

Decoding: score = confidence x class probability, and every class of a box whose score passes is a candidate of its own.
Suppression is per class. Restoring undoes the letterbox or stretch. All of it runs on the CPU: it is many small steps,
which there cost less than their launches on a GPU would.

Shape letters: N batch, S grid side, B predictors per cell, C classes, P = S·S·B predictors, K candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from yolo.boxes import clip_to_image
from yolo.grid import GridParts, GridSpec
from yolo.structures import Detections, ImageGeometry

# Far more than an image has objects, few enough for a quick suppression.
MAX_CANDIDATES = 4096
# Few candidates: moving classes apart and one call is faster. Many: one call per class is quadratic in less.
_ONE_CALL_UP_TO = 2000
# Beyond this many pixels, moving classes apart would cost even float64 boxes digits that decide.
_WIDEST_SPAN = 1e7


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessSettings:
    """What is kept of the candidates."""

    score_threshold: float  # candidates must score more than this
    iou_threshold: float  # suppress what overlaps a better one of its class by more than this
    max_detections: int  # per image
    class_thresholds: tuple[float, ...] | None = None  # C scores, one a class, that a candidate must reach as well
    classes: tuple[int, ...] | None = None  # labels that are wanted; None for all
    class_agnostic: bool = False  # suppress what overlaps a better one of any class

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
    candidates = decode(
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
        candidates = [found[found.scores >= lowest[found.labels]] for found in candidates]
    return [
        restore(
            suppress(
                found,
                iou_threshold=settings.iou_threshold,
                max_detections=settings.max_detections,
                class_agnostic=settings.class_agnostic,
            ),
            geometry,
        )
        for found, geometry in zip(candidates, geometries, strict=True)
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
    height, width = input_hw
    parts = grid.activate_raw(raw.float())
    scores = parts.confidence[..., None] * parts.class_probs[..., None, :]  # (N, S, S, B, C)
    if classes is not None:
        unwanted = torch.ones(grid.num_classes, dtype=torch.bool)
        unwanted[list(classes)] = False
        scores = scores.masked_fill(unwanted, -torch.inf)  # which passes no threshold
    unit = raw.new_tensor((width, height, width, height), dtype=torch.float32)
    found = []
    for image, flat in enumerate(scores.flatten(1)):
        chosen = _best_passing(flat, score_threshold)[:max_candidates]  # (K)
        # numpy's is one step where torch's is a dozen; post-processing is on the CPU
        places = np.unravel_index(chosen.numpy(), tuple(scores.shape[1:]))
        row, col, predictor, label = (torch.from_numpy(place) for place in places)  # each (K)
        # only the boxes of candidates are decoded: they are few among all predictors
        own = GridParts(
            offset_xy=parts.offset_xy[image, row, col, predictor][:, None],  # (K, 1, 2)
            size_wh=parts.size_wh[image, row, col, predictor][:, None],
            confidence=parts.confidence[image, row, col, predictor][:, None],
            class_probs=parts.class_probs[image, row, col],
        )
        boxes = grid.decode_cells(own, row=row, col=col).squeeze(1) * unit  # (K, 4)
        found.append(Detections(boxes=boxes, scores=flat[chosen], labels=label, size_hw=input_hw))
    return found


def _best_passing(flat: Tensor, score_threshold: float) -> Tensor:
    """Indices of the scores above the threshold, the best first, equal ones in their order."""
    # a network whose answers overflow (darknet's batch norms in their first updates) has not found anything
    passing = torch.nonzero((flat > score_threshold) & flat.isfinite()).squeeze(1)
    return passing[flat[passing].argsort(descending=True, stable=True)]


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
    rivals = replace(best_first, labels=torch.zeros_like(best_first.labels)) if class_agnostic else best_first
    if len(rivals) <= _ONE_CALL_UP_TO and _span(rivals) < _WIDEST_SPAN:
        kept = _nms_with_offsets(rivals, iou_threshold)
    else:
        kept = _nms_per_class(rivals, iou_threshold)
    return best_first[kept[:max_detections]]


def _span(detections: Detections) -> float:
    """Width of the range of all coordinates; NaN where one of them is not finite."""
    if not len(detections):
        return 0.0
    low, high = detections.boxes.aminmax()
    return float(high) - float(low)


def _nms_with_offsets(best_first: Detections, iou_threshold: float) -> Tensor:
    """All classes at once: each class is moved to a place of its own, where no other class can overlap it."""
    # float64, because an offset of many image sizes would cost float32 boxes their last digits
    boxes = best_first.boxes.double()
    moved = boxes + (best_first.labels * (_span(best_first) + 1))[:, None]
    kept: Tensor = nms(moved, best_first.scores.double(), iou_threshold)
    return kept.sort().values


def _nms_per_class(best_first: Detections, iou_threshold: float) -> Tensor:
    kept = []
    for label in best_first.labels.unique():
        members = torch.nonzero(best_first.labels == label).squeeze(1)
        boxes, scores = best_first.boxes[members].double(), best_first.scores[members].double()
        kept.append(members[nms(boxes, scores, iou_threshold)])
    return torch.cat([best_first.labels[:0], *kept]).sort().values


def restore(detections: Detections, geometry: ImageGeometry) -> Detections:
    """Undo the letterbox or stretch that `geometry` records, and clip to the original image.

    Detections that lay wholly in the padding are dropped: nothing of them is left on the image.
    """
    offset = detections.boxes.new_tensor(geometry.offset_xy * 2)
    scale = detections.boxes.new_tensor(geometry.scale_xy * 2)
    boxes = clip_to_image((detections.boxes - offset) / scale, geometry.original_hw)
    on_image = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    return Detections(boxes, detections.scores, detections.labels, geometry.original_hw)[on_image]
