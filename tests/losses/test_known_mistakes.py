"""Mistakes that copies of the YOLOv1 loss are known for, each in a plain loss of its own, on a case that tells.

`plain_loss` without a mistake is the loss, in value and gradient; with any of them it is another one. The batch has
what the mistakes need: two objects in a cell, a centre on a line of the grid, a cell whose boxes miss its object,
two boxes that fit equally well, and an image without objects.
"""

import math
from itertools import product
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.reference.darknet_layout import cxcywh_to_xyxy
from yolo.boxes import iou
from yolo.grid import GridParts, GridSpec
from yolo.losses.yolo_loss import YoloLoss
from yolo.structures import GroundTruth, Targets

SIDE = 4
GRID = GridSpec(grid_size=SIDE, boxes_per_cell=2, num_classes=3, coding="linear")
Cell = tuple[int, int]

MISTAKES = (
    "other boxes of an object's cell are not taught",
    "the target IoU has a gradient",
    "the target confidence is 1",
    "the target is the best IoU with any object",
    "no factor 1/2",
    "not divided by the number of images",
    "images without objects are left out",
    "sizes in cells",
    "the root is taken of what is predicted",
    "boxes are compared in units of the cell",
    "the width stands for x and y in the IoU",
    "without overlap box 0 is responsible",
    "on ties the last box is responsible",
    "rows and columns are exchanged",
    "a centre on a line belongs to the cell before",
    "the last object of a cell counts",
    "classes of all objects of a cell",
    "classes are taught in every cell",
    "classes are taught once for each box",
    "weights 2 and 1 for the confidences",
)


class Object(NamedTuple):
    label: int
    x: float
    y: float
    w: float
    h: float


OBJECTS = [
    Object(0, 0.35, 0.40, 0.30, 0.20),
    Object(1, 0.45, 0.30, 0.50, 0.40),  # of the same cell
    Object(2, 0.50, 0.10, 0.25, 0.15),  # its centre is on the line before column 2
    Object(1, 0.10, 0.80, 0.04, 0.04),  # neither box of its cell meets it, box 1 is nearer
    Object(0, 0.90, 0.85, 0.16, 0.25),  # both boxes are the same
]


def batch() -> Tensor:
    """Two images, the second of which shows nothing."""
    torch.manual_seed(3)
    raw = 0.3 + 0.2 * torch.rand(2, SIDE, SIDE, GRID.depth)
    parts = GRID.split(raw)  # views
    parts.offset_xy[0, 3, 0] = torch.tensor([[3.0, 0.2], [1.5, 0.2]])
    parts.size_wh[0, 3, 0] = 0.2
    parts.offset_xy[0, 3, 3], parts.size_wh[0, 3, 3] = 0.5, 0.45
    # the better box for the first object of this cell is better still for the second
    parts.offset_xy[0, 1, 1, 0], parts.size_wh[0, 1, 1, 0] = torch.tensor([0.8, 0.3]), torch.tensor([0.7, 0.6])
    return raw


def plain_loss(raw: Tensor, mistake: str = "") -> Tensor:
    """Half the weighted squares per image, by loops over images and cells."""
    total = torch.zeros(())
    for image, objects in zip(raw, (OBJECTS, []), strict=True):
        owners: dict[Cell, list[Object]] = {}
        for one in objects:
            owners.setdefault(cell_of(one, mistake), []).append(one)
        for cell in product(range(SIDE), range(SIDE)):
            if objects or mistake != "images without objects are left out":
                total = total + cell_loss(GRID.split(image[cell]), owners.get(cell, []), cell, mistake)
    total = total if mistake == "not divided by the number of images" else total / len(raw)
    return total if mistake == "no factor 1/2" else total / 2


def cell_of(one: Object, mistake: str) -> Cell:
    x, y = one.x * SIDE, one.y * SIDE
    if mistake == "a centre on a line belongs to the cell before":
        return math.ceil(y) - 1, math.ceil(x) - 1
    return (int(x), int(y)) if mistake == "rows and columns are exchanged" else (int(y), int(x))


def cell_loss(parts: GridParts, objects: list[Object], cell: Cell, mistake: str) -> Tensor:
    weight_obj, weight_noobj = (2.0, 1.0) if mistake == "weights 2 and 1 for the confidences" else (1.0, 0.5)
    nothing = weight_noobj * parts.confidence.square()  # (B,)
    if not objects:
        is_taught = mistake == "classes are taught in every cell"
        return nothing.sum() + (parts.class_probs.square().sum() if is_taught else 0)
    one = objects[-1 if mistake == "the last object of a cell counts" else 0]
    ious, rmse = overlaps(parts, one, cell, mistake)
    chosen = choose(ious, rmse, mistake)
    target = target_confidence(ious[chosen], parts, cell, chosen, mistake)
    others = nothing.sum() - nothing[chosen]
    total = weight_obj * (parts.confidence[chosen] - target).square()
    total = total + (0 if mistake == "other boxes of an object's cell are not taught" else others)
    total = total + class_loss(parts.class_probs, objects, one, mistake)
    return total + 5 * coord_loss(parts, one, cell, chosen, mistake)


def overlaps(parts: GridParts, one: Object, cell: Cell, mistake: str) -> tuple[Tensor, Tensor]:
    """IoU and distance of the cell's boxes (B,) with an object."""
    row, col = cell
    centre = (parts.offset_xy + torch.tensor([col, row])) / SIDE
    size = parts.size_wh if mistake == "the root is taken of what is predicted" else parts.size_wh.square()
    if mistake == "boxes are compared in units of the cell":
        centre = parts.offset_xy
    if mistake == "the width stands for x and y in the IoU":
        centre = size[:, :1].expand(-1, 2)
    boxes, wanted = torch.cat((centre, size), dim=1), torch.tensor(one[1:])
    return iou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(wanted)), (boxes - wanted).square().sum(dim=1).sqrt()


def choose(ious: Tensor, rmse: Tensor, mistake: str) -> int:
    if not (ious > 0).any():
        return 0 if mistake == "without overlap box 0 is responsible" else int(rmse.argmin())
    best = torch.nonzero(ious == ious.max()).squeeze(1)
    return int(best[-1 if mistake == "on ties the last box is responsible" else 0])


def target_confidence(own: Tensor, parts: GridParts, cell: Cell, chosen: int, mistake: str) -> Tensor:
    if mistake == "the target confidence is 1":
        return torch.ones(())
    if mistake == "the target is the best IoU with any object":
        return torch.stack([overlaps(parts, one, cell, "")[0][chosen] for one in OBJECTS]).max().detach()
    return own if mistake == "the target IoU has a gradient" else own.detach()


def class_loss(class_probs: Tensor, objects: list[Object], one: Object, mistake: str) -> Tensor:
    target = torch.zeros(GRID.num_classes)
    target[[other.label for other in objects] if mistake == "classes of all objects of a cell" else one.label] = 1
    times = GRID.boxes_per_cell if mistake == "classes are taught once for each box" else 1
    return times * (class_probs - target).square().sum()


def coord_loss(parts: GridParts, one: Object, cell: Cell, chosen: int, mistake: str) -> Tensor:
    row, col = cell
    wanted_xy = torch.tensor([one.x * SIDE - col, one.y * SIDE - row])
    wanted_wh = torch.tensor([one.w, one.h]) * (SIDE if mistake == "sizes in cells" else 1)
    size = parts.size_wh[chosen]
    size = size.abs().sqrt() if mistake == "the root is taken of what is predicted" else size
    return (parts.offset_xy[chosen] - wanted_xy).square().sum() + (size - wanted_wh.sqrt()).square().sum()


def targets() -> Targets:
    boxes = cxcywh_to_xyxy(torch.tensor([one[1:] for one in OBJECTS]))
    truth = GroundTruth.from_boxes(boxes.numpy(), [one.label for one in OBJECTS])
    return Targets.from_ground_truths([truth, GroundTruth.empty()])


def loss_and_gradient(mistake: str | None) -> tuple[Tensor, Tensor]:
    """Of `plain_loss` with a mistake ("" for none), or of the package (None)."""
    raw = batch().requires_grad_()
    loss = YoloLoss()(GRID, raw, targets(), (1, 1)).total if mistake is None else plain_loss(raw, mistake)
    loss.backward()
    assert raw.grad is not None
    return loss.detach(), raw.grad


def test_the_plain_loss_without_a_mistake_is_the_loss() -> None:
    for own, plain in zip(loss_and_gradient(None), loss_and_gradient(""), strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_known_mistake_would_show(mistake: str) -> None:
    _, own = loss_and_gradient(None)
    _, wrong = loss_and_gradient(mistake)
    # the smallest wrong gradient is a hundred times what rounding does
    assert (own - wrong).abs().max() > 1e-3


def test_roots_have_finite_gradients_where_a_root_of_the_prediction_has_none() -> None:
    zero = torch.zeros(1, SIDE, SIDE, GRID.depth, requires_grad=True)
    wanted = Targets.from_ground_truths([GroundTruth.from_boxes([[0.3, 0.3, 0.6, 0.6]], [0])])
    YoloLoss()(GRID, zero, wanted, (1, 1)).total.backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
    size = torch.zeros(1, requires_grad=True)
    (0.5 - size.sqrt()).square().sum().backward()
    assert size.grad is not None
    assert not size.grad.isfinite().all()


def test_the_answer_of_the_network_and_the_targets_are_left_alone() -> None:
    raw, wanted = batch(), targets()
    YoloLoss(objects_per_cell=2, ignore_iou=0.5)(GRID, raw, wanted, (1, 1))
    assert torch.equal(raw, batch())
    assert torch.equal(wanted.boxes, targets().boxes)
    assert torch.equal(wanted.labels, targets().labels)
