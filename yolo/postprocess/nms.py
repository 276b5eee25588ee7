"""Non-maximum suppression, per class."""

import torch
from torch import Tensor
from torchvision.ops import nms

from yolo.structures import Detections

# Few candidates: moving classes apart and one call is faster. Many: one call per class is quadratic in less.
_ONE_CALL_UP_TO = 2000
# Beyond this many pixels, moving classes apart would cost even float64 boxes digits that decide.
_WIDEST_SPAN = 1e7


def suppress(detections: Detections, *, iou_threshold: float, max_detections: int) -> Detections:
    """Remove every detection that overlaps a better one of its class.

    Args:
        detections: K candidates in any order.
        iou_threshold: in [0, 1]; removed is what has an IoU strictly greater than this.
        max_detections: keep at most this many, the best ones.

    Returns:
        Detections ordered by falling score; equal scores keep their order.
    """
    best_first = detections[detections.scores.argsort(descending=True, stable=True)]
    if len(best_first) <= _ONE_CALL_UP_TO and _span(best_first) < _WIDEST_SPAN:
        kept = _nms_with_offsets(best_first, iou_threshold)
    else:
        kept = _nms_per_class(best_first, iou_threshold)
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
