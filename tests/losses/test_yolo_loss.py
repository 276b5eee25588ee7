import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import ops

from tests.reference.slow_loss import SlowObject, slow_loss
from yolo import boxes as box_ops
from yolo.grid import GridParts, GridSpec
from yolo.losses.yolo_loss import YoloLoss, ciou_parts
from yolo.structures import GroundTruth, Targets

SIZE = (100, 100)
MODERN: dict[str, Any] = {
    "coord": "iou",
    "confidence": "cross_entropy",
    "class_prob": "cross_entropy",
    "ignore_iou": 0.5,
    "objects_per_cell": 2,
}
TERMS = ("coord_xy", "coord_wh", "conf_obj", "conf_noobj", "class_prob")


def grid(side: int = 3, boxes: int = 2, classes: int = 2, coding: Any = "linear") -> GridSpec:
    return GridSpec(grid_size=side, boxes_per_cell=boxes, num_classes=classes, coding=coding)


def targets(*images: list[tuple[list[float], int]]) -> Targets:
    """One list of (xyxy in 100 px, label) per image."""
    return Targets.from_ground_truths(
        [GroundTruth.from_boxes([box for box, _ in objects], [label for _, label in objects]) for objects in images]
    )


def terms_of(loss: YoloLoss, spec: GridSpec, raw: torch.Tensor, wanted: Targets) -> dict[str, float]:
    return loss(spec, raw, wanted, SIZE).to_floats()


def test_by_hand() -> None:
    """One 3x3 grid, one object, all predictions 0 except one box; B = 2, C = 2."""
    spec = grid()
    raw = torch.zeros(1, 3, 3, spec.depth)
    # object: centre (50, 50), 36 x 64 pixels -> cell (1, 1), offset (.5, .5), roots (.6, .8)
    # predictor 1 of that cell answers exactly that with confidence .9; class values (.2, .7), object's class is 1
    raw[0, 1, 1] = torch.tensor([0, 0, 0, 0, 0.3, 0.5, 0.5, 0.6, 0.8, 0.9, 0.2, 0.7])
    terms = terms_of(YoloLoss(), spec, raw, targets([([32.0, 18.0, 68.0, 82.0], 1)]))
    assert terms["coord_xy"] == pytest.approx(0, abs=1e-10)
    assert terms["coord_wh"] == pytest.approx(0, abs=1e-10)
    assert terms["conf_obj"] == pytest.approx(0.5 * (0.9 - 1.0) ** 2, rel=1e-5)  # target is the IoU, 1
    assert terms["conf_noobj"] == pytest.approx(0.5 * 0.5 * 0.3**2)  # the other box of the object's cell
    assert terms["class_prob"] == pytest.approx(0.5 * (0.2**2 + 0.3**2))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 7))
def test_equals_the_slow_loops(seed: int, side: int, boxes: int, classes: int, num_objects: int) -> None:
    generator = np.random.default_rng(seed)
    spec = grid(side, boxes, classes)
    raw = torch.from_numpy(generator.normal(0.3, 0.4, (2, side, side, spec.depth)))
    objects = []
    for image in sorted(generator.integers(0, 2, num_objects).tolist()):
        x, y, w, h = generator.uniform((0.05, 0.05, 0.02, 0.02), (0.95, 0.95, 0.8, 0.8))
        objects.append(SlowObject(image, int(generator.integers(classes)), x, y, w, h))
    lists: tuple[list[tuple[list[float], int]], ...] = ([], [])
    for o in objects:
        half_w, half_h = 50 * o.w, 50 * o.h
        box = [100 * o.x - half_w, 100 * o.y - half_h, 100 * o.x + half_w, 100 * o.y + half_h]
        lists[o.image].append((box, o.label))
    terms = terms_of(YoloLoss(), spec, raw, targets(*lists))
    assert terms == pytest.approx(slow_loss(raw.tolist(), objects, side, boxes, classes), rel=2e-4, abs=1e-5)


def test_a_batch_without_objects_costs_only_confidence() -> None:
    for loss in (YoloLoss(), YoloLoss(**MODERN)):
        spec = grid(coding="logistic")
        raw = torch.randn(2, 3, 3, spec.depth, requires_grad=True)
        result = loss(spec, raw, targets([], []), SIZE)
        result.total.backward()
        values = result.to_floats()
        assert values.pop("conf_noobj") > 0
        assert set(values.values()) == {0.0}
        assert raw.grad is not None
        assert raw.grad.isfinite().all()


def test_three_cells_find_an_object_by_hand() -> None:
    """A 3x3 grid, B = 1, C = 1; the centre is left of and above the middle of cell (1, 1)."""
    spec = grid(boxes=1, classes=1)
    raw = torch.zeros(1, 3, 3, spec.depth)
    raw[..., 4] = 0.1  # confidence of all
    # 36 x 36 pixels around (40, 44): offsets (.2, .32) in the owner cell
    for row, col, x, y in ((1, 1, 0.2, 0.32), (1, 0, 1.2, 0.32), (0, 1, 0.2, 1.32)):
        raw[0, row, col] = torch.tensor([x, y, 0.6, 0.6, 0.7, 0.4])
    wanted = targets([([22.0, 26.0, 58.0, 62.0], 0)])
    terms = terms_of(YoloLoss(cells_per_object=3), spec, raw, wanted)
    assert terms["coord_xy"] == pytest.approx(0, abs=1e-9)
    assert terms["coord_wh"] == pytest.approx(0, abs=1e-9)
    assert terms["conf_obj"] == pytest.approx(3 * 0.5 * 0.3**2, rel=1e-4)
    assert terms["conf_noobj"] == pytest.approx(6 * 0.5 * 0.5 * 0.1**2, rel=1e-4)
    assert terms["class_prob"] == pytest.approx(3 * 0.5 * 0.6**2, rel=1e-4)


def test_the_cell_that_holds_a_centre_is_not_taken_by_a_neighbour() -> None:
    """Two objects in cells side by side, each the other's neighbour; with one object per cell, each keeps its own."""
    spec = grid(boxes=1)
    raw = torch.zeros(1, 3, 3, spec.depth)
    objects = [([28.0, 45.0, 36.0, 55.0], 0), ([34.0, 45.0, 38.0, 55.0], 1)]  # centres 32 and 36: cells (1, 0), (1, 1)
    raw[0, 1, 0, :2], raw[0, 1, 1, :2] = torch.tensor([0.96, 0.5]), torch.tensor([0.08, 0.5])
    own = terms_of(YoloLoss(lambda_coord=1), spec, raw, targets(objects))
    assert own["coord_xy"] == pytest.approx(0, abs=1e-9)
    terms = terms_of(YoloLoss(lambda_coord=1, cells_per_object=3), spec, raw, targets(objects))
    # so do the cells below, (2, 0) and (2, 1): they answer 0 where (.96, -.5) and (.08, -.5) is asked
    assert terms["coord_xy"] == pytest.approx(0.5 * (0.96**2 + 0.5**2 + 0.08**2 + 0.5**2), rel=1e-4)


def test_ignored_objects_and_cells_off_the_grid_are_in_no_term() -> None:
    spec = grid(side=1, boxes=1, coding="wide")
    raw = torch.randn(1, 1, 1, spec.depth)
    wanted = targets([([10.0, 10.0, 40.0, 40.0], 1)])
    assert terms_of(YoloLoss(cells_per_object=3), spec, raw, wanted) == terms_of(YoloLoss(), spec, raw, wanted)
    crowd = GroundTruth.from_boxes([[0.0, 0, 100, 100]], [0], iscrowd=[True])
    raw = torch.full((1, 3, 3, grid().depth), 0.4)
    terms = terms_of(YoloLoss(cells_per_object=3), grid(), raw, Targets.from_ground_truths([crowd]))
    assert terms == dict.fromkeys(TERMS, 0.0)


def test_an_ignored_object_is_in_no_term() -> None:
    spec = grid()
    truth = GroundTruth.from_boxes([[0.0, 0, 100, 100]], [0], iscrowd=[True])
    raw = torch.full((1, 3, 3, spec.depth), 0.4)  # every box lies inside the crowd
    terms = terms_of(YoloLoss(), spec, raw, Targets.from_ground_truths([truth]))
    assert terms == dict.fromkeys(TERMS, 0.0)


def test_an_overlapping_predictor_is_ignored_above_ignore_iou() -> None:
    # two boxes of one cell fit the object; one is responsible, the other would be punished by the paper's rule
    spec = grid()
    raw = torch.zeros(1, 3, 3, spec.depth)
    raw[0, 1, 1, :10] = torch.tensor([0.5, 0.5, 0.6, 0.6, 0.8, 0.5, 0.5, 0.6, 0.59, 0.8])
    wanted = targets([([32.0, 32, 68, 68], 0)])
    assert terms_of(YoloLoss(), spec, raw, wanted)["conf_noobj"] == pytest.approx(0.5 * 0.5 * 0.8**2)
    assert terms_of(YoloLoss(ignore_iou=0.5), spec, raw, wanted)["conf_noobj"] == 0


def test_a_second_object_of_a_cell_is_lost_or_finds_the_free_predictor() -> None:
    spec = grid()
    raw = torch.rand(1, 3, 3, spec.depth)
    wanted = targets([([30.0, 30, 70, 70], 0), ([34.0, 34, 66, 66], 1)])
    alone = targets([([30.0, 30, 70, 70], 0)])
    original = YoloLoss()
    assert terms_of(original, spec, raw, wanted) == pytest.approx(terms_of(original, spec, raw, alone))
    two = YoloLoss(objects_per_cell=2)
    assert terms_of(two, spec, raw, wanted)["coord_xy"] > terms_of(two, spec, raw, alone)["coord_xy"]
    # both predictors are responsible now: 16 others remain
    raw_grad = raw.clone().requires_grad_()
    two(spec, raw_grad, wanted, SIZE).conf_noobj.backward()
    assert raw_grad.grad is not None
    assert int((spec.split(raw_grad.grad).confidence != 0).sum()) == 16


def test_objects_of_a_cell_share_one_class_target() -> None:
    # class values are exactly the two objects' classes together: no class loss, counted once for the cell
    spec = grid()
    raw = torch.zeros(1, 3, 3, spec.depth)
    raw[0, 1, 1, 10:] = 1.0
    wanted = targets([([30.0, 30, 70, 70], 0), ([34.0, 34, 66, 66], 1)])
    assert terms_of(YoloLoss(objects_per_cell=2), spec, raw, wanted)["class_prob"] == 0
    raw[0, 1, 1, 10:] = 0.0
    assert terms_of(YoloLoss(objects_per_cell=2), spec, raw, wanted)["class_prob"] == pytest.approx(0.5 * 2)


def test_perfect_predictions_cost_nothing() -> None:
    spec = grid(4, 2, 3)
    wanted = targets([([10.0, 12, 40, 60], 2), ([60.0, 55, 90, 95], 0)], [([5.0, 50, 35, 80], 1)])
    cells = spec.encode(wanted.boxes, SIZE)
    raw = torch.zeros(2, 4, 4, spec.depth)
    for t in range(len(wanted)):
        here = GridParts(
            offset_xy=torch.stack((cells.offset_xy[t], torch.zeros(2))),
            size_wh=torch.stack((cells.size_wh[t], torch.zeros(2))),
            confidence=torch.tensor([1.0, 0.0]),
            class_probs=torch.nn.functional.one_hot(wanted.labels[t], 3).float(),
        )
        raw[wanted.image_index[t], cells.row[t], cells.col[t]] = spec.join(here)
    assert YoloLoss()(spec, raw, wanted, SIZE).total.item() == pytest.approx(0, abs=1e-9)


def test_ciou_parts_sum_to_the_ciou_loss() -> None:
    a, b = torch.rand(2, 20, 4).sort(dim=-1).values
    distance, rest = ciou_parts(a, b)
    torch.testing.assert_close(distance + rest, ops.complete_box_iou_loss(a, b, eps=0.0))
    torch.testing.assert_close(distance, box_ops.centre_distance(a, b))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, MODERN])
def test_half_precision_is_finite_even_at_extremes(dtype: torch.dtype, options: dict[str, Any]) -> None:
    spec = grid(coding="logistic")
    raw = torch.full((1, 3, 3, spec.depth), 40.0, dtype=dtype)
    raw[0, 0] = -40.0
    raw.requires_grad_()
    total = YoloLoss(**options)(spec, raw, targets([([0.0, 0, 1, 1], 0), ([0.0, 0, 100, 100], 1)]), SIZE).total
    total.backward()
    assert total.dtype == torch.float32
    assert math.isfinite(total.item())
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
