"""The grid: the only file that knows how the last axis of `raw`, S×S×(B·5+C), is ordered.

Per cell `raw` holds B times (x, y, w, h, confidence), then C class values. Axis 1 is the row of the cell (y,
from the top), axis 2 its column (x). x and y are the centre's offset in its cell, w and h square roots of the
size relative to the whole image (the root is what the network answers, as in darknet, so no root is ever
taken of a prediction; darknet's option sqrt=0 makes them the sizes themselves).

Three codings of the same numbers:
    linear    the original: the network's outputs are these numbers.
    logistic  a sigmoid of the outputs is.
    wide      likewise, but offsets reach half a cell beyond the cell on each side (2 * sigmoid - 1/2), so that cells
              beside the one that holds an object's centre can find it as well (`with_neighbours`).

darknet's networks answer with one flat vector of three blocks, each in the order of the cells: all class values,
all confidences, all boxes. `from_blocks` makes `raw` of that, `to_blocks` is its inverse.

Shape letters: N batch, S grid side, B predictors per cell, C classes, T objects; D = B·5+C.
Source: Redmon et al. 2016, section 2; darknet src/detection_layer.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from yolo.boxes import xyxy_to_cxcywh

Coding = Literal["linear", "logistic", "wide"]

_XY, _WH, _CONFIDENCE = slice(0, 2), slice(2, 4), 4
_VALUES_PER_BOX = 5
_CODINGS = get_args(Coding)
_BEYOND = 0.5  # cells by which a centre of the wide coding may lie outside its cell


class GridParts(NamedTuple):
    """The named parts of `raw`, with its leading axes (…): (N, S, S) for a batch, (T,) for single cells."""

    offset_xy: Tensor  # (…, B, 2) centre from the cell's corner, in cells: 0..1, or -1/2..3/2 in the wide coding
    size_wh: Tensor  # (…, B, 2) square root (where the grid has `root_sizes`) of width and height over the image's
    confidence: Tensor  # (…, B) Pr(object) * IoU
    class_probs: Tensor  # (…, C) Pr(class | object), one vector for all B boxes of a cell


class CellTargets(NamedTuple):
    """Where objects belong on the grid and what the predictor responsible for them should answer."""

    row: Tensor  # (T,) int64
    col: Tensor  # (T,) int64
    offset_xy: Tensor  # (T, 2)
    size_wh: Tensor  # (T, 2)


@dataclass(frozen=True, kw_only=True)
class GridSpec:
    """A grid and its coding."""

    grid_size: int  # S, cells along each side
    boxes_per_cell: int  # B, predictors per cell
    num_classes: int  # C
    coding: Coding = "logistic"  # see the head of this file
    root_sizes: bool = True  # w and h are square roots (darknet's sqrt=1, the paper) and not the sizes themselves
    class_softmax: bool = False  # the class values of a cell pass a softmax (darknet's softmax=1); only with `linear`

    def __post_init__(self) -> None:
        for name in ("grid_size", "boxes_per_cell", "num_classes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.coding not in _CODINGS:
            raise ValueError(f"coding must be one of {', '.join(_CODINGS)}, got {self.coding!r}")
        if self.class_softmax and self.coding != "linear":
            raise ValueError("class_softmax needs the linear coding: in others a sigmoid bounds the class values")

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
            size_wh=boxes[..., _WH],
            confidence=boxes[..., _CONFIDENCE],
            class_probs=raw[..., num_box_values:],
        )

    def join(self, parts: GridParts) -> Tensor:
        """The tensor (…, D) that `split` would take apart into `parts`."""
        boxes = torch.cat((parts.offset_xy, parts.size_wh, parts.confidence[..., None]), dim=-1)  # (…, B, 5)
        return torch.cat((boxes.flatten(-2), parts.class_probs), dim=-1)

    @property
    def num_values(self) -> int:
        """K = S·S·D, the length of darknet's flat output."""
        return self.grid_size**2 * self.depth

    def from_blocks(self, flat: Tensor) -> Tensor:
        """The flat output (…, K) of darknet, its three blocks one after the other, as raw (…, S, S, D)."""
        if flat.shape[-1] != self.num_values:
            raise ValueError(f"expected S·S·(B·5+C) = {self.num_values} values, got shape {tuple(flat.shape)}")
        side, boxes = self.grid_size, self.boxes_per_cell
        lengths = [side * side * count for count in (self.num_classes, boxes, boxes * (_VALUES_PER_BOX - 1))]
        class_probs, confidence, coordinates = flat.split(lengths, dim=-1)
        box = coordinates.unflatten(-1, (side, side, boxes, _VALUES_PER_BOX - 1))  # (…, S, S, B, 4)
        return self.join(
            GridParts(
                offset_xy=box[..., _XY],
                size_wh=box[..., _WH],
                confidence=confidence.unflatten(-1, (side, side, boxes)),
                class_probs=class_probs.unflatten(-1, (side, side, self.num_classes)),
            )
        )

    def to_blocks(self, raw: Tensor) -> Tensor:
        """The flat output (…, K) that `from_blocks` makes raw (…, S, S, D) of."""
        parts = self.split(raw)
        box = torch.cat((parts.offset_xy, parts.size_wh), dim=-1)  # (…, S, S, B, 4)
        blocks = (parts.class_probs.flatten(-3), parts.confidence.flatten(-3), box.flatten(-4))
        return torch.cat(blocks, dim=-1)

    def with_classes_of(self, raw: Tensor, other: GridSpec, theirs: Tensor, labels: Mapping[int, int]) -> Tensor:
        """What a grid with the same predictors and other classes answers, in this grid's layout.

        Args:
            raw: (…, D) of this grid, whose class values stay where the other grid does not have the class.
            other: with the same B.
            theirs: (…, D') of `other`, with the same leading axes.
            labels: this grid's label -> the other's, of the classes that both have.

        Returns:
            (…, D): the box values of `theirs`, its class values at the labels of this grid, and the rest of `raw`.
        """
        if other.boxes_per_cell != self.boxes_per_cell:
            raise ValueError(f"B must be {self.boxes_per_cell} in both grids, got {other.boxes_per_cell}")
        its = other.split(theirs)
        class_probs = self.split(raw).class_probs.clone()
        class_probs[..., list(labels)] = its.class_probs[..., list(labels.values())]
        return self.join(its._replace(class_probs=class_probs))

    @property
    def has_logits(self) -> bool:
        """Whether the network's confidences and class values are logits."""
        return self.coding != "linear"

    def activate(self, parts: GridParts) -> GridParts:
        """From the network's outputs to the numbers they stand for."""
        if self.has_logits:
            return self._widen(GridParts(*(part.sigmoid() for part in parts)))
        return parts._replace(class_probs=parts.class_probs.softmax(dim=-1)) if self.class_softmax else parts

    def activate_raw(self, raw: Tensor) -> GridParts:
        """The activated parts of `raw` (…, D), faster than `activate` of its `split` for a whole grid."""
        # one pass over contiguous memory
        return self._widen(self.split(raw.sigmoid())) if self.has_logits else self.activate(self.split(raw))

    def invert(self, parts: GridParts) -> GridParts:
        """What the network has to answer for these numbers; they are inside the open range of the coding."""
        if not self.has_logits:
            return parts
        if self.coding == "wide":
            parts = parts._replace(offset_xy=(parts.offset_xy + _BEYOND) / (1 + 2 * _BEYOND))
        return GridParts(*(part.logit() for part in parts))

    def _widen(self, bounded: GridParts) -> GridParts:
        """Stretch offsets in 0..1 to the range of the coding."""
        if self.coding != "wide":
            return bounded
        return bounded._replace(offset_xy=bounded.offset_xy * (1 + 2 * _BEYOND) - _BEYOND)

    def size_of(self, size_wh: Tensor) -> Tensor:
        """Width and height relative to the image from the part `size_wh`, any shape."""
        return size_wh.square() if self.root_sizes else size_wh

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
        size = torch.stack((w, h), dim=-1)
        last = self.grid_size - 1
        col, row = x.floor().clamp(0, last), y.floor().clamp(0, last)
        return CellTargets(
            row=row.long(),
            col=col.long(),
            offset_xy=torch.stack((x - col, y - row), dim=-1),
            size_wh=size.clamp_min(0).sqrt() if self.root_sizes else size,
        )

    def with_neighbours(self, owners: CellTargets) -> tuple[CellTargets, Tensor]:
        """Three cells for each object: the owner, the nearer one beside it and the nearer one above or below it.

        Args:
            owners: (T,) from `encode`.

        Returns:
            The targets of all owners, of all cells beside them, and of all above or below them, (3·T,), and whether
            the cell is on the grid, (3·T,) bool. Rows and columns of those that are not are cut to the grid.
        """
        last = self.grid_size - 1
        beside, above = (torch.where(offset < 0.5, -1, 1) for offset in owners.offset_xy.unbind(-1))
        still = torch.zeros_like(beside)
        step_col, step_row = torch.cat((still, beside, still)), torch.cat((still, still, above))
        col, row = owners.col.repeat(3) + step_col, owners.row.repeat(3) + step_row
        on_grid = (col >= 0) & (col <= last) & (row >= 0) & (row <= last)
        step = torch.stack((step_col, step_row), dim=-1)
        targets = CellTargets(
            row=row.clamp(0, last),
            col=col.clamp(0, last),
            offset_xy=owners.offset_xy.repeat(3, 1) - step,
            size_wh=owners.size_wh.repeat(3, 1),
        )
        return targets, on_grid

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
        half = self.size_of(parts.size_wh) / 2
        return torch.cat((centre - half, centre + half), dim=-1)
