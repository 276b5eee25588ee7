"""How darknet lays out boxes and its flat output, for comparisons with its numbers."""

import torch
from torch import Tensor

from yolo.grid import GridSpec


def cxcywh_to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """Centre and size to corners, (…, 4) -> (…, 4)."""
    cx, cy, w, h = boxes_cxcywh.unbind(-1)
    return torch.stack((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), dim=-1)


def to_blocks(grid: GridSpec, raw: Tensor) -> Tensor:
    """Inverse of `GridSpec.from_blocks`: raw (…, S, S, D) to darknet's three blocks (…, K)."""
    parts = grid.split(raw)
    coordinates = torch.cat((parts.offset_xy, parts.size_wh), dim=-1)
    blocks = (parts.class_probs.flatten(-3), parts.confidence.flatten(-3), coordinates.flatten(-4))
    return torch.cat(blocks, dim=-1)
