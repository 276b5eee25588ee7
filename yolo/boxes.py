"""Box formats and the IoU family, on tensors.

Boxes are `xyxy` in the last axis unless a name says otherwise; units cancel in IoU, so pixels and fractions of
the image both work. The IoU functions broadcast like arithmetic: (…, 4) with (…, 4) gives (…); for all pairs
pass `a[:, None]` and `b[None]`. No epsilon distorts small boxes: a quotient with denominator 0
is 0. GIoU: Rezatofighi et al. 2019; DIoU and CIoU: Zheng et al. 2020.
"""

import math

import torch
from torch import Tensor


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Corners to centre and size, (…, 4) -> (…, 4).

    >>> xyxy_to_cxcywh(torch.tensor([0.0, 0.0, 4.0, 2.0]))
    tensor([2., 1., 4., 2.])
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)


def area(boxes: Tensor) -> Tensor:
    """Area of each box, (…, 4) -> (…)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1) * (y2 - y1)


def clip_to_image(boxes: Tensor, size_hw: tuple[int, int] | Tensor) -> Tensor:
    """Move corners that lie outside [0, width] x [0, height] onto the border.

    Args:
        boxes: (…, 4).
        size_hw: of the image; or a tensor (…, 2) with that of each box.
    """
    height, width = torch.as_tensor(size_hw, dtype=boxes.dtype, device=boxes.device).unbind(-1)
    return boxes.clamp_min(0).minimum(torch.stack((width, height, width, height), dim=-1))


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union in [0, 1]; touching boxes have 0."""
    intersection, union = _intersection_and_union(a, b)
    return _divide(intersection, union)


def intersection_over_area(a: Tensor, b: Tensor) -> Tensor:
    """Share of `a` that lies inside `b`, in [0, 1]: what COCO uses for crowd regions `b`."""
    return _divide(_intersection_and_union(a, b)[0], area(a))


def rmse(a: Tensor, b: Tensor) -> Tensor:
    """Root of the summed squared differences of centres and sizes; darknet calls it so although it takes no mean."""
    difference = xyxy_to_cxcywh(a) - xyxy_to_cxcywh(b)
    return difference.square().sum(dim=-1).sqrt()


def centre_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared distance of the centres over the squared diagonal of the enclosing box, in [0, 1]."""
    dx, dy = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2).unbind(-1)
    x1, y1, x2, y2 = _enclosing(a, b).unbind(-1)
    return _divide(dx**2 + dy**2, (x2 - x1) ** 2 + (y2 - y1) ** 2)


def aspect_penalty(a: Tensor, b: Tensor, overlap: Tensor) -> Tensor:
    """The term alpha * v of CIoU; alpha is a constant for the gradient, as its authors define it.

    Args:
        a: (…, 4) boxes.
        b: (…, 4) boxes.
        overlap: (…) their IoU.
    """
    v = (4 / math.pi**2) * (_aspect_angle(a) - _aspect_angle(b)) ** 2
    alpha = _divide(v, 1 - overlap + v).detach()
    return alpha * v


def _aspect_angle(boxes: Tensor) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(-1)
    # the gradient divides by the squares of both sides: this square is not yet 0
    lowest = torch.finfo(boxes.dtype).tiny ** 0.5
    return torch.atan2(x2 - x1, (y2 - y1).clamp_min(lowest))


def _intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp_min(0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp_min(0)
    intersection = width * height
    return intersection, area(a) + area(b) - intersection


def _enclosing(a: Tensor, b: Tensor) -> Tensor:
    top_left = torch.minimum(a[..., :2], b[..., :2])
    bottom_right = torch.maximum(a[..., 2:], b[..., 2:])
    return torch.cat((top_left, bottom_right), dim=-1)


def _divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, 0 with a finite gradient where the denominator is 0."""
    positive = denominator > 0
    safe = torch.where(positive, denominator, torch.ones_like(denominator))
    return torch.where(positive, numerator / safe, torch.zeros_like(numerator))
