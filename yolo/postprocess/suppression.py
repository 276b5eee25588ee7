"""Non-maximum suppression of a whole batch, bit for bit what torchvision's `nms` keeps of each class of each image.

torchvision knows no classes. Calling it for each class of each image costs more in calls than in boxes; so does moving
boxes about one image after the other. Here all boxes of a batch are moved at once, each class to a place of its own
where no other can overlap it, and there is one call for each image. Moving is used only where it is exact in float64,
so that every IoU keeps its last bit; images with other boxes, such as infinite ones, take a call for each class.

Shape letters: N images, K candidates of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from yolo.light_torchvision import nms

# Few candidates: moving classes apart and one call is faster. Many: one call per class is quadratic in less.
_ONE_CALL_UP_TO = 2000


def suppress_batch(
    boxes: Tensor, scores: Tensor, labels: Tensor, counts: Sequence[int], *, iou_threshold: float, max_detections: int
) -> list[Tensor]:
    """Which candidates no better one of their class and image overlaps.

    Args:
        boxes: (K, 4) float32 xyxy on the CPU, image after image, each image by falling score.
        scores: (K,) float32.
        labels: (K,) int64.
        counts: candidates of each image, N numbers whose sum is K.
        iou_threshold: in [0, 1]; removed is what has an IoU strictly greater than this, computed in float64.
        max_detections: keep at most this many of each image, the best ones.

    Returns:
        N tensors of int64 indices into the K candidates, in their order.
    """
    boxes, scores = boxes.double(), scores.double()
    moved, is_exact = _move_classes_apart(boxes, labels)
    kept = []
    for start, stop in pairwise(accumulate(counts, initial=0)):
        own = slice(start, stop)
        if stop - start <= _ONE_CALL_UP_TO and (is_exact is None or bool(is_exact[own].all())):
            indices: Tensor = nms(moved[own], scores[own], iou_threshold)
        else:
            indices = _nms_per_class(boxes[own], scores[own], labels[own], iou_threshold)
        kept.append(indices[:max_detections] + start)  # nms answers by falling score, ties in their order
    return kept


def _move_classes_apart(boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
    """The boxes (K, 4), each class moved by a multiple of more than their span; and which (K,) are exact, None: all."""
    if not len(boxes):
        return boxes, None
    finite = boxes[boxes.isfinite().all(dim=1)]
    low, high = (float(value) for value in finite.aminmax()) if len(finite) else (0.0, 0.0)
    # a power of two beyond the span: its multiples cost the fewest digits
    step = math.ldexp(1.0, math.frexp(high - low + 1)[1])
    shift = (labels * step)[:, None]
    moved = boxes + shift
    is_exact = (moved - shift == boxes).all(dim=1) & boxes.isfinite().all(dim=1)
    return moved, None if bool(is_exact.all()) else is_exact


def _nms_per_class(boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    order = labels.argsort(stable=True)
    counts = labels.bincount().tolist()
    columns = (column.split(counts) for column in (order, boxes[order], scores[order]))
    kept = [
        members[nms(own_boxes, own_scores, iou_threshold)]
        for members, own_boxes, own_scores in zip(*columns, strict=True)
    ]
    return torch.cat([labels[:0], *kept]).sort().values
