"""The grid: the only file that knows how the last axis of `raw`, S×S×(B·5+C), is ordered.

Per cell `raw` holds B times (x, y, w, h, confidence), then C class values. Axis 1 is the row of the cell (y,
from the top), axis 2 its column (x). x and y are the centre's offset in its cell, w and h square roots of the
size relative to the whole image (the root is what the network answers, as in darknet, so no root is ever
taken of a prediction).

Two codings of the same numbers:
    linear    the original: the network's outputs are these numbers.
    logistic  the modern one: a sigmoid of the outputs is.

Shape letters: N batch, S grid side, B predictors per cell, C classes, T objects; D = B·5+C.
Source: Redmon et al. 2016, section 2; darknet src/detection_layer.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from yolo.boxes import xyxy_to_cxcywh

Coding = Literal["linear", "logistic"]

_XY, _WH, _CONFIDENCE = slice(0, 2), slice(2, 4), 4
_VALUES_PER_BOX = 5


class GridParts(NamedTuple):
    """The named parts of `raw`, with its leading axes (…): (N, S, S) for a batch, (T,) for single cells."""

    offset_xy: Tensor  # (…, B, 2) centre in the cell, 0..1
    sqrt_wh: Tensor  # (…, B, 2) square root of width and height relative to the image
    confidence: Tensor  # (…, B) Pr(object) * IoU
    class_probs: Tensor  # (…, C) Pr(class | object), one vector for all B boxes of a cell


class CellTargets(NamedTuple):
    """Where objects belong on the grid and what the predictor responsible for them should answer."""

    row: Tensor  # (T,) int64
    col: Tensor  # (T,) int64
    offset_xy: Tensor  # (T, 2)
    sqrt_wh: Tensor  # (T, 2)


@dataclass(frozen=True, kw_only=True)
class GridSpec:
    """A grid and its coding.

    Attributes:
        grid_size: S, cells along each side.
        boxes_per_cell: B, predictors per cell.
        num_classes: C.
        coding: `linear` or `logistic`, see the head of this file.
    """

    grid_size: int
    boxes_per_cell: int
    num_classes: int
    coding: Coding = "logistic"

    def __post_init__(self) -> None:
        for name in ("grid_size", "boxes_per_cell", "num_classes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.coding not in ("linear", "logistic"):
            raise ValueError(f"coding must be 'linear' or 'logistic', got {self.coding!r}")

    @property
    def depth(self) -> int:
        """D = B·5+C, the length of the last axis of `raw`."""
        return self.boxes_per_cell * _VALUES_PER_BOX + self.num_classes

    def split(self, raw: Tensor) -> GridParts:
        """Views of the parts of `raw` (…, D), no copy and no activation. Inverse of `join`."""
        if raw.shape[-1] != self.depth:
            raise ValueError(f"raw must end in B·5+C = {self.depth} values, got shape {tuple(raw.shape)}")
        num_box_values = self.boxes_per_cell * _VALUES_PER_BOX
        boxes = raw[..., :num_box_values].unflatten(-1, (self.boxes_per_cell, _VALUES_PER_BOX))  # (…, B, 5)
        return GridParts(
            offset_xy=boxes[..., _XY],
            sqrt_wh=boxes[..., _WH],
            confidence=boxes[..., _CONFIDENCE],
            class_probs=raw[..., num_box_values:],
        )

    def join(self, parts: GridParts) -> Tensor:
        """The tensor (…, D) that `split` would take apart into `parts`."""
        boxes = torch.cat((parts.offset_xy, parts.sqrt_wh, parts.confidence[..., None]), dim=-1)  # (…, B, 5)
        return torch.cat((boxes.flatten(-2), parts.class_probs), dim=-1)

    def activate(self, parts: GridParts) -> GridParts:
        """From the network's outputs to the numbers they stand for."""
        return GridParts(*(self.activate_part(part) for part in parts))

    def activate_part(self, part: Tensor) -> Tensor:
        """One part of the network's outputs, or `raw` itself, as the numbers it stands for."""
        return part if self.coding == "linear" else part.sigmoid()

    def encode(self, boxes: Tensor, size_hw: tuple[int, int]) -> CellTargets:
        """Owner cell and regression target of each object.

        Args:
            boxes: (T, 4) xyxy in pixels of an image of `size_hw`. A centre on the right or bottom border, or
                outside, belongs to the nearest cell.
            size_hw: height and width of that image.
        """
        height, width = size_hw
        scale = boxes.new_tensor((width, height, width, height))
        cx, cy, w, h = xyxy_to_cxcywh(boxes / scale).unbind(-1)
        x, y = cx * self.grid_size, cy * self.grid_size
        last = self.grid_size - 1
        col, row = x.floor().clamp(0, last), y.floor().clamp(0, last)
        return CellTargets(
            row=row.long(),
            col=col.long(),
            offset_xy=torch.stack((x - col, y - row), dim=-1),
            sqrt_wh=torch.stack((w, h), dim=-1).clamp_min(0).sqrt(),
        )

    def decode_boxes(self, parts: GridParts) -> Tensor:
        """Boxes of a whole grid.

        Args:
            parts: activated parts with leading axes (N, S, S).

        Returns:
            (N, S, S, B, 4) xyxy relative to the image. Nothing is clamped.
        """
        side = torch.arange(self.grid_size, device=parts.offset_xy.device)
        return self.decode_cells(parts, row=side[:, None], col=side[None, :])

    def decode_cells(self, parts: GridParts, *, row: Tensor, col: Tensor) -> Tensor:
        """Boxes of the cells at `row` and `col`.

        Args:
            parts: activated parts with leading axes (…).
            row: broadcastable to (…).
            col: broadcastable to (…).

        Returns:
            (…, B, 4) xyxy relative to the image.
        """
        corner = torch.stack(torch.broadcast_tensors(col, row), dim=-1)[..., None, :]  # (…, 1, 2)
        centre = (parts.offset_xy + corner) / self.grid_size
        half = parts.sqrt_wh**2 / 2
        return torch.cat((centre - half, centre + half), dim=-1)
