"""The multi-part YOLO loss, as the five terms of the paper's equation 3, each with its name.

Every term is half the weighted sum over the batch divided by the number of images; the half is darknet's (its
`delta` is lambda * (target - output)). Two readings of each term can be chosen:

    term          squared (the paper, darknet)             modern
    coord_xy      (x - x^)^2 + (y - y^)^2                  `iou`: the centre-distance part of CIoU
    coord_wh      (sqrt w - sqrt w^)^2 + the same of h     `iou`: 1 - IoU and the aspect part of CIoU
    conf_obj      (C - IoU)^2                              `cross_entropy` with the target IoU
    conf_noobj    C^2                                      `cross_entropy` with the target 0
    class_prob    sum over classes (p - p^)^2              `cross_entropy`, one per class

The target IoU is a constant for the gradient; `rescore=False` makes the target 1 instead. So is the softmax that
a grid may put on its class values: darknet passes their gradient straight through. Who is responsible is decided in
`assignment`; nothing here knows of thresholds or NMS. Computed in float32 whatever the precision of `raw`.

Shape letters: N batch, S grid side, B predictors per cell, C classes, T objects of the batch.
Source: Redmon et al. 2016, equation 3; darknet src/detection_layer.c.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from yolo import boxes as box_ops
from yolo.grid import GridParts, GridSpec
from yolo.losses.assignment import Assignment, PredictorRule, assign_targets, ignore_mask, sum_in_cell
from yolo.structures import Targets

CoordLoss = Literal["squared", "iou"]
ValueLoss = Literal["squared", "cross_entropy"]


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The five terms, weighted, each a scalar."""

    coord_xy: Tensor
    coord_wh: Tensor
    conf_obj: Tensor
    conf_noobj: Tensor
    class_prob: Tensor

    @property
    def total(self) -> Tensor:
        """What training minimises: the sum. Times the number of images, its gradient is minus darknet's delta."""
        return self.coord_xy + self.coord_wh + self.conf_obj + self.conf_noobj + self.class_prob

    def to_tensor(self) -> Tensor:
        """The terms in the order of `TERM_NAMES`, (5,), without gradient."""
        return torch.stack([getattr(self, field.name).detach() for field in fields(self)])

    def to_floats(self) -> dict[str, float]:
        """Terms by name, for logs; waits for the device once."""
        return dict(zip(TERM_NAMES, self.to_tensor().tolist(), strict=True))


TERM_NAMES = tuple(field.name for field in fields(LossTerms))


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloLoss:
    """The loss as a function of (raw, targets), with its weights and readings; the defaults are the paper's."""

    lambda_coord: float = 5.0  # weight of both coordinate terms
    lambda_obj: float = 1.0  # weight of the responsible predictors' confidence
    lambda_noobj: float = 0.5  # weight of all other predictors' confidence
    lambda_class: float = 1.0  # weight of the class term
    coord: CoordLoss = "squared"
    confidence: ValueLoss = "squared"
    class_prob: ValueLoss = "squared"
    ignore_iou: float | None = None  # predictors that overlap any object by more are not trained towards confidence 0
    objects_per_cell: int = 1  # objects of a cell that may be assigned
    cells_per_object: Literal[1, 3] = 1  # cells that find an object: its own, or with `GridSpec.with_neighbours`
    rescore: bool = True  # the target confidence of a responsible predictor is its IoU (darknet's rescore=1), else 1
    rule: PredictorRule = "best"  # which predictor becomes responsible, see `assignment`

    def __call__(self, grid: GridSpec, raw: Tensor, targets: Targets, size_hw: tuple[int, int]) -> LossTerms:
        """Compute the terms of a batch.

        Args:
            grid: the grid of `raw`.
            raw: (N, S, S, D) network output, any float type.
            targets: the objects of the batch, boxes in pixels of the input.
            size_hw: height and width of the input.
        """
        raw = raw.float()
        num_images = len(raw)
        objects = _relative_to_image(targets, size_hw)
        wanted = grid.encode(objects.boxes, (1, 1))
        relative = objects
        if self.cells_per_object == 3:
            wanted, on_grid = grid.with_neighbours(wanted)
            relative = _repeated(objects, on_grid)  # from here on T counts an object once for each of its cells
        own_raw = grid.split(raw[relative.image_index, wanted.row, wanted.col])  # (T, …): their cells
        own = _activate(grid, own_raw)
        own_boxes = grid.decode_cells(own, row=wanted.row, col=wanted.col)  # (T, B, 4)
        assignment = assign_targets(
            grid,
            own_boxes.detach(),
            relative,
            row=wanted.row,
            col=wanted.col,
            num_images=num_images,
            objects_per_cell=min(self.objects_per_cell, grid.boxes_per_cell),
            rule=self.rule,
        )
        weight = assignment.assigned.float()  # (T,)
        half_per_image = 0.5 / num_images

        if self.coord == "squared":
            xy = _squared(_responsible(own.offset_xy, assignment), wanted.offset_xy)
            wh = _squared(_responsible(own.size_wh, assignment), wanted.size_wh)
        else:
            xy, wh = ciou_parts(_responsible(own_boxes, assignment), relative.boxes)
        parts = own_raw if self.confidence == "cross_entropy" else own
        wanted_confidence = assignment.iou if self.rescore else torch.ones_like(assignment.iou)
        conf_obj = _value_loss(
            _responsible(parts.confidence[..., None], assignment).squeeze(-1), wanted_confidence, self.confidence
        )
        class_rows = own_raw if self.class_prob == "cross_entropy" else own
        class_term = _value_loss(
            class_rows.class_probs, _class_targets(grid, relative, assignment, num_images), self.class_prob
        ).sum(dim=-1)
        where = (relative.image_index, assignment.row, assignment.col, assignment.predictor)
        return LossTerms(
            coord_xy=self.lambda_coord * half_per_image * (weight * xy).sum(),
            coord_wh=self.lambda_coord * half_per_image * (weight * wh).sum(),
            conf_obj=self.lambda_obj * half_per_image * (weight * conf_obj).sum(),
            conf_noobj=self.lambda_noobj * half_per_image * self._conf_noobj(grid, raw, objects, where, weight),
            class_prob=self.lambda_class * half_per_image * (assignment.owns_class.float() * class_term).sum(),
        )

    def darknet_cost(self, terms: LossTerms, num_images: int) -> Tensor:
        """What darknet prints for these terms of `num_images` images: the sum of its squared deltas.

        It is not what darknet minimises: the weight of each term enters squared, and the sum over the images is not
        halved. Only the squared readings have it.
        """
        weighted = (
            self.lambda_coord * (terms.coord_xy + terms.coord_wh)
            + self.lambda_obj * terms.conf_obj
            + self.lambda_noobj * terms.conf_noobj
            + self.lambda_class * terms.class_prob
        )
        return 2 * num_images * weighted

    def _conf_noobj(
        self, grid: GridSpec, raw: Tensor, targets: Targets, where: tuple[Tensor, ...], weight: Tensor
    ) -> Tensor:
        """Sum over every predictor that is neither responsible nor ignored, object cells included.

        Args:
            grid: of `raw`.
            raw: (N, S, S, D).
            targets: every object once, boxes relative to the image.
            where: image, row, column and number of chosen predictors, (T,) each.
            weight: (T,) 1 where the predictor is responsible and 0 where not.
        """
        parts = grid.split(raw)
        activated = grid.activate(parts)
        boxes = grid.decode_boxes(GridParts(*(part.detach() for part in activated)))  # (N, S, S, B, 4)
        ignored = ignore_mask(boxes, targets, targets.max_per_image, ignore_iou=self.ignore_iou)
        responsible = torch.zeros_like(ignored, dtype=torch.float32)
        responsible.index_put_(where, weight, accumulate=True)
        counts = ~(ignored | (responsible > 0))
        value = (parts if self.confidence == "cross_entropy" else activated).confidence
        return (counts * _value_loss(value, torch.zeros_like(value), self.confidence)).sum()


def _activate(grid: GridSpec, own_raw: GridParts) -> GridParts:
    """`grid.activate`, with a class softmax that passes the gradient straight through."""
    own = grid.activate(own_raw)
    if not grid.class_softmax:
        return own
    through = own.class_probs.detach() + (own_raw.class_probs - own_raw.class_probs.detach())
    return own._replace(class_probs=through)


def ciou_parts(predicted: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """CIoU loss of box pairs (…, 4), in two: the part of the centres' distance, and the rest.

    Returns:
        (…) the normalised squared centre distance, whose gradient moves x and y, and (…) 1 - IoU plus the aspect
        term, most of whose gradient moves w and h. Their sum is 1 - CIoU.
    """
    overlap = box_ops.iou(predicted, wanted)
    distance = box_ops.centre_distance(predicted, wanted)
    return distance, 1 - overlap + box_ops.aspect_penalty(predicted, wanted, overlap)


def _squared(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Summed squared difference over the last axis, (T, 2) -> (T,)."""
    return (predicted - wanted).square().sum(dim=-1)


def _value_loss(value: Tensor, wanted: Tensor, kind: ValueLoss) -> Tensor:
    """Elementwise loss; `value` is a logit for cross-entropy and an activated number for squares."""
    if kind == "squared":
        return (value - wanted).square()
    # doubled, so that the common factor 1/2 leaves the cross-entropy whole
    return 2 * F.binary_cross_entropy_with_logits(value, wanted, reduction="none")


def _responsible(values: Tensor, assignment: Assignment) -> Tensor:
    """The responsible predictor's row of each object, (T, B, k) -> (T, k)."""
    index = assignment.predictor[:, None, None].expand(-1, 1, values.shape[-1])
    return values.gather(1, index).squeeze(1)


def _class_targets(grid: GridSpec, targets: Targets, assignment: Assignment, num_images: int) -> Tensor:
    """(T, C): the classes of all assigned objects of an object's cell, 1 where present."""
    one_hot = F.one_hot(targets.labels, grid.num_classes).float() * assignment.assigned.float()[:, None]
    return sum_in_cell(one_hot, assignment.cell, num_images * grid.grid_size**2).clamp_max(1)


def _relative_to_image(targets: Targets, size_hw: tuple[int, int]) -> Targets:
    height, width = size_hw
    scale = targets.boxes.new_tensor((width, height, width, height))
    return replace(targets, boxes=targets.boxes / scale)


def _repeated(targets: Targets, counts: Tensor) -> Targets:
    """All objects three times, one after the other; those whose cell does not count, (3·T,), are in no term."""
    return replace(
        targets,
        boxes=targets.boxes.repeat(3, 1),
        labels=targets.labels.repeat(3),
        image_index=targets.image_index.repeat(3),
        ignored=targets.ignored.repeat(3) | ~counts,
    )
