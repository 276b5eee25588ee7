"""darknet's two suppressions, step by step, in the order in which it leaves its list of boxes.

`yolo.postprocess.pipeline.suppress` keeps the same detections faster; these are for comparing with darknet
itself, whose results also depend on the order of its list. darknet sorts with the C library's qsort, which keeps the
order of equal keys where it merges (glibc); so does this.

Shape letters: K boxes, C classes.
Source: darknet src/box.c (do_nms_sort, do_nms_obj).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from yolo.boxes import iou


class SuppressedList(NamedTuple):
    """darknet's list after a suppression."""

    order: Tensor  # (K,) int64, the place in the given list of what is now at each place
    confidence: Tensor  # (K,) in the new order; 0 where `nms_by_confidence` suppressed
    scores: Tensor  # (K, C) in the new order; 0 where suppressed


def nms_by_class(boxes: Tensor, confidence: Tensor, scores: Tensor, *, iou_threshold: float) -> SuppressedList:
    """Suppress per class by falling score: darknet's do_nms_sort.

    Args:
        boxes: (K, 4) xyxy in any unit.
        confidence: (K,); boxes where it is exactly 0 go to the end and are left out.
        scores: (K, C) confidence x class probability; 0 means that the box is not of the class.
        iou_threshold: suppressed is what has an IoU strictly greater than this with a better box of the class.
    """
    order, count = _zeros_to_the_end(confidence)
    scores = scores.clone()
    overlaps = iou(boxes[:, None], boxes[None]) > iou_threshold  # (K, K)
    for label in range(scores.shape[1]):
        order = _sort(order, count, scores[:, label])
        for place in range(count):
            box = order[place]
            if scores[box, label] != 0:
                later = order[place + 1 : count]
                scores[later[overlaps[box, later]], label] = 0
    return SuppressedList(order, confidence[order], scores[order])


def nms_by_confidence(boxes: Tensor, confidence: Tensor, scores: Tensor, *, iou_threshold: float) -> SuppressedList:
    """Suppress across classes by falling confidence: darknet's do_nms_obj. Arguments as in `nms_by_class`."""
    order, count = _zeros_to_the_end(confidence)
    confidence, scores = confidence.clone(), scores.clone()
    order = _sort(order, count, confidence)
    overlaps = iou(boxes[:, None], boxes[None]) > iou_threshold
    for place in range(count):
        box = order[place]
        if confidence[box] != 0:
            later = order[place + 1 : count]
            hit = later[overlaps[box, later]]
            confidence[hit] = 0
            scores[hit] = 0
    return SuppressedList(order, confidence[order], scores[order])


def _zeros_to_the_end(confidence: Tensor) -> tuple[Tensor, int]:
    """Indices with those of confidence 0 swapped behind the others, as darknet swaps them; the number of others."""
    order = list(range(len(confidence)))
    place, last = 0, len(order) - 1
    while place <= last:
        if confidence[order[place]] == 0:
            order[place], order[last] = order[last], order[place]
            last -= 1
        else:
            place += 1
    return torch.tensor(order, dtype=torch.int64), last + 1


def _sort(order: Tensor, count: int, keys: Tensor) -> Tensor:
    """The first `count` of `order` by falling key, equal keys in their order; the rest as it was."""
    head = order[:count]
    return torch.cat((head[keys[head].argsort(descending=True, stable=True)], order[count:]))
