"""Assignment: which predictor is responsible for which object, and which are ignored.

Returns indices and masks only; the loss puts numbers on them. Everything here is without gradient, vectorised
over objects, with no read of device values by the host.

The rule of the paper and of darknet: the cell that holds an object's centre owns it; of that cell's predictors
the one whose box has the highest IoU is responsible, the first one on ties; where no box meets the object at
all, the one with the smallest root mean square distance (darknet src/detection_layer.c). darknet gives a cell to the
first object that claims it. `objects_per_cell` > 1 lets later objects of a cell choose among the predictors that
are still free, so that crowded cells lose fewer objects.

darknet's two other rules choose the predictor without looking at its box: `forced`, by the size of the object,
and `random`, which it uses for the first images of a training.

Shape letters: N batch, S grid side, B predictors per cell, C classes, T objects of the batch.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from yolo import boxes as box_ops
from yolo.grid import GridSpec
from yolo.structures import Targets

# Pairs of all predictors with this many objects of an image are held at a time: bounds the memory.
_OBJECTS_AT_A_TIME = 16

PredictorRule = Literal["best", "forced", "random"]
# `forced`: predictor 1 learns objects that cover less than this share of the image, predictor 0 the others.
_SMALL_OBJECT_AREA = 0.1
# A predictor is ignored if more than this share of its box lies inside an ignored object.
_IGNORED_SHARE = 0.5


class Assignment(NamedTuple):
    """The predictor responsible for each object of a batch."""

    row: Tensor  # (T,) int64, row of the owner cell
    col: Tensor  # (T,) int64, its column
    predictor: Tensor  # (T,) int64 in [0, B), the responsible one
    iou: Tensor  # (T,) float32, IoU of its box with the object
    assigned: Tensor  # (T,) bool; False for ignored objects and for those that found no free predictor
    owns_class: Tensor  # (T,) bool; True for the one object per cell that carries the cell's class term
    cell: Tensor  # (T,) int64, the owner cell counted through the whole batch, in [0, N·S·S)


@torch.no_grad()
def assign_targets(
    grid: GridSpec,
    predicted_boxes: Tensor,
    targets: Targets,
    *,
    row: Tensor,
    col: Tensor,
    num_images: int,
    objects_per_cell: int = 1,
    rule: PredictorRule = "best",
) -> Assignment:
    """Find the responsible predictor of every object.

    Args:
        grid: the grid.
        predicted_boxes: (T, B, 4) xyxy relative to the image, the boxes of each object's owner cell.
        targets: the objects; `targets.boxes` (T, 4) in the unit of `predicted_boxes`.
        row: (T,) row of each object's owner cell.
        col: (T,) column of each object's owner cell.
        num_images: N.
        objects_per_cell: how many objects of a cell may find a predictor, 1 to B.
        rule: how the first object of a cell gets its predictor; those after it always choose the best that is left.
    """
    num_cells = num_images * grid.grid_size**2
    cell = (targets.image_index * grid.grid_size + row) * grid.grid_size + col  # (T,)
    ious = box_ops.iou(predicted_boxes, targets.boxes[:, None])  # (T, B)
    preference = _preference(ious, predicted_boxes, targets.boxes)
    place = _place_in_cell(cell, counted=~targets.ignored)
    predictor = _choose(rule, preference, targets.boxes)

    # Later objects of a cell choose among the predictors that earlier ones left. B is small: a round for each.
    taken = torch.zeros_like(ious, dtype=torch.bool)  # (T, B), as seen by each object
    for this_place in range(1, objects_per_cell):
        just_chosen = _one_hot(predictor, grid.boxes_per_cell) & (place == this_place - 1)[:, None]
        taken = taken | (sum_in_cell(just_chosen.float(), cell, num_cells) > 0)
        free_choice = preference.masked_fill(taken, -torch.inf).argmax(dim=1)
        predictor = torch.where(place == this_place, free_choice, predictor)

    return Assignment(
        row=row,
        col=col,
        predictor=predictor,
        iou=ious.gather(1, predictor[:, None]).squeeze(1),
        assigned=(place >= 0) & (place < objects_per_cell),
        owns_class=place == 0,
        cell=cell,
    )


@torch.no_grad()
def ignore_mask(predicted_boxes: Tensor, targets: Targets, max_objects: int, *, ignore_iou: float | None) -> Tensor:
    """Predictors whose confidence is not trained towards 0, responsible or not.

    Those whose box overlaps any object of the image by more than `ignore_iou`, and those that lie for more than
    half inside an ignored object (a crowd region, a difficult object).

    Args:
        predicted_boxes: (N, S, S, B, 4) xyxy relative to the image.
        targets: the objects, `boxes` in the same unit.
        max_objects: upper bound of the objects on any image of the batch.
        ignore_iou: in [0, 1]; None for only those that lie in ignored objects.

    Returns:
        (N, S, S, B) bool.
    """
    boxes, is_ignored, exists = _pad(targets, len(predicted_boxes), max_objects)  # (N, M, …)
    flat = predicted_boxes.flatten(1, 3)[:, :, None]  # (N, P, 1, 4) with P = S·S·B
    mask = torch.zeros(flat.shape[:2], dtype=torch.bool, device=flat.device)
    for start in range(0, max_objects, _OBJECTS_AT_A_TIME):
        some = slice(start, start + _OBJECTS_AT_A_TIME)
        objects = boxes[:, None, some]  # (N, 1, m, 4)
        inside = box_ops.intersection_over_area(flat, objects) > _IGNORED_SHARE
        hit = inside & is_ignored[:, None, some]
        if ignore_iou is not None:
            hit = hit | (box_ops.iou(flat, objects) > ignore_iou)
        mask = mask | (hit & exists[:, None, some]).any(dim=-1)
    return mask.view(predicted_boxes.shape[:4])


def sum_in_cell(values: Tensor, cell: Tensor, num_cells: int) -> Tensor:
    """For each object the sum of `values` (T, k) over all objects of its cell, itself included: (T, k)."""
    table = values.new_zeros(num_cells, values.shape[1])  # grows with the batch, unlike pairs of objects
    return table.index_add_(0, cell, values)[cell]


def _choose(rule: PredictorRule, preference: Tensor, object_boxes: Tensor) -> Tensor:
    """(T,) predictors by one of darknet's three rules."""
    if rule == "forced" and preference.shape[1] < 2:
        raise ValueError("the rule 'forced' chooses between predictors 0 and 1: the grid has only one per cell")
    if rule == "forced":
        return (box_ops.area(object_boxes) < _SMALL_OBJECT_AREA).long()
    if rule == "random":
        return torch.randint(preference.shape[1], preference.shape[:1], device=preference.device)
    return preference.argmax(dim=1)


def _preference(ious: Tensor, predicted_boxes: Tensor, object_boxes: Tensor) -> Tensor:
    """(T, B), higher is better: IoU where any predictor overlaps the object, else minus the RMSE."""
    rmse = box_ops.rmse(predicted_boxes, object_boxes[:, None])
    any_overlap = (ious > 0).any(dim=1, keepdim=True)
    return torch.where(any_overlap, ious, -rmse)


def _place_in_cell(cell: Tensor, *, counted: Tensor) -> Tensor:
    """(T,) how many counted objects of the same cell come earlier in the batch; -1 for objects not counted."""
    count = len(cell)
    # Objects that are not counted get cells of their own behind all others.
    key = torch.where(counted, cell, cell.new_full((), torch.iinfo(torch.int64).max))
    order = torch.argsort(key, stable=True)
    sorted_key = key[order]
    position = torch.arange(count, device=cell.device)
    starts = torch.ones_like(counted)
    starts[1:] = sorted_key[1:] != sorted_key[:-1]
    first = torch.where(starts, position, position.new_zeros(())).cummax(dim=0).values if count else position
    place = torch.empty_like(position).scatter_(0, order, position - first)
    return torch.where(counted, place, place.new_full((), -1))


def _one_hot(index: Tensor, length: int) -> Tensor:
    return index[:, None] == torch.arange(length, device=index.device)


def _pad(targets: Targets, num_images: int, max_objects: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N, M, 4), ignored (N, M) and existence (N, M), from the flat lists."""
    device = targets.boxes.device
    position = torch.arange(len(targets), device=device)
    # image_index ascends, so an object's place on its image is its distance from the image's first object
    first = torch.searchsorted(targets.image_index, torch.arange(num_images, device=device))
    slot = (targets.image_index, position - first[targets.image_index])
    boxes = torch.zeros(num_images, max_objects, 4, device=device, dtype=targets.boxes.dtype)
    ignored = torch.zeros(num_images, max_objects, device=device, dtype=torch.bool)
    exists = torch.zeros_like(ignored)
    boxes[slot], ignored[slot] = targets.boxes, targets.ignored
    exists[slot] = torch.ones_like(targets.ignored)
    return boxes, ignored, exists
