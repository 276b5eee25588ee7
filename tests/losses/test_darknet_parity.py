"""The loss against numbers that darknet itself made, and its other options by hand."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.reference.darknet_layout import cxcywh_to_xyxy, to_blocks
from tests.reference.golden import golden_npz
from yolo.boxes import iou, rmse
from yolo.grid import GridSpec
from yolo.losses.yolo_loss import YoloLoss
from yolo.structures import GroundTruth, Targets

CASES = (
    "tiny",
    "tiny_all_empty",
    "tiny_forced",
    "tiny_no_overlap",
    "tiny_perfect",
    "tiny_rescore0",
    "tiny_scales",
    "tiny_softmax",
    "tiny_sqrt0",
    "yolo3",
)


def relative_targets(rows: Any, num_images: int) -> Targets:
    """Targets relative to the image from rows (image, class, x, y, w, h)."""
    images = []
    for image in range(num_images):
        own = rows[rows[:, 0] == image]
        boxes = cxcywh_to_xyxy(torch.from_numpy(own[:, 2:6]))
        images.append(GroundTruth.from_boxes(boxes.numpy(), own[:, 1]))
    return Targets.from_ground_truths(images)


@pytest.mark.parametrize("case", CASES)
def test_cost_and_gradient_equal_darknet(case: str) -> None:
    golden = {
        key.removeprefix(f"{case}__"): v for key, v in golden_npz("detection_loss.npz").items() if f"{case}__" in key
    }
    params = json.loads(str(golden["params"]))
    spec = GridSpec(
        grid_size=params["side"],
        boxes_per_cell=params["num"],
        num_classes=params["classes"],
        coding="linear",
        root_sizes=bool(params["sqrt"]),
        class_softmax=bool(params["softmax"]),
    )
    loss = YoloLoss(
        lambda_coord=params["coord_scale"],
        lambda_obj=params["object_scale"],
        lambda_noobj=params["noobject_scale"],
        lambda_class=params["class_scale"],
        rescore=bool(params["rescore"]),
        rule="forced" if params["forced"] else "best",
    )
    flat = torch.from_numpy(golden["output"]).requires_grad_()
    count = params["batch"]
    terms = loss(spec, spec.from_blocks(flat), relative_targets(golden["gt"], count), (1, 1))
    assert loss.darknet_cost(terms, count).item() == pytest.approx(float(golden["cost"]), rel=1e-4, abs=1e-8)
    (terms.total * count).backward()
    assert flat.grad is not None
    delta = golden["delta"]
    assert np.abs(-flat.grad.numpy() - delta).max() <= 1e-5 * max(1, np.abs(delta).max())
    if "layer_output" in golden:  # the softmax shows in the layer's output
        seen = to_blocks(spec, spec.join(spec.activate_raw(spec.from_blocks(flat.detach()))))
        assert np.abs(seen.numpy() - golden["layer_output"]).max() < 1e-5


def test_iou_and_rmse_equal_darknet() -> None:
    golden = golden_npz("box_ops.npz")
    a, b = (cxcywh_to_xyxy(torch.from_numpy(golden[name])) for name in "ab")
    assert iou(a, b).numpy() == pytest.approx(golden["iou"], abs=1e-5)
    assert rmse(a, b).numpy() == pytest.approx(golden["rmse"], abs=1e-5)


def one_object(box: list[float]) -> Targets:
    return Targets.from_ground_truths([GroundTruth.from_boxes([box], [1])])


def grid(**options: Any) -> GridSpec:
    return GridSpec(grid_size=1, boxes_per_cell=2, num_classes=2, coding="linear", **options)


def test_forced_teaches_small_objects_to_predictor_1() -> None:
    for box, predictor in (([0.4, 0.4, 0.6, 0.6], 1), ([0.1, 0.1, 0.9, 0.9], 0)):
        raw = torch.zeros(1, 1, 1, 12, requires_grad=True)
        terms = YoloLoss(rule="forced")(grid(), raw, one_object(box), (1, 1))
        terms.coord_wh.backward()
        assert raw.grad is not None
        moved = grid().split(raw.grad).size_wh[0, 0, 0].abs().sum(dim=-1) > 0
        assert moved.tolist() == [predictor == 0, predictor == 1]


def test_random_gives_every_predictor_its_turn() -> None:
    torch.manual_seed(0)
    raw, chosen = torch.zeros(1, 1, 1, 12), set()
    for _ in range(20):
        leaf = raw.clone().requires_grad_()
        YoloLoss(rule="random")(grid(), leaf, one_object([0.2, 0.2, 0.8, 0.8]), (1, 1)).coord_wh.backward()
        assert leaf.grad is not None
        chosen.add(int(grid().split(leaf.grad).size_wh[0, 0, 0].abs().sum(dim=-1).argmax()))
    assert chosen == {0, 1}


def test_without_rescore_the_target_is_one() -> None:
    raw = torch.zeros(1, 1, 1, 12)
    terms = YoloLoss(rescore=False)(grid(), raw, one_object([0.2, 0.2, 0.8, 0.8]), (1, 1))
    assert float(terms.conf_obj) == pytest.approx(0.5)  # half of (1 - 0)²
    assert float(YoloLoss()(grid(), raw, one_object([0.2, 0.2, 0.8, 0.8]), (1, 1)).conf_obj) == 0


def test_plain_sizes_are_compared_as_they_are() -> None:
    raw = torch.zeros(1, 1, 1, 12)
    terms = YoloLoss(lambda_coord=1)(grid(root_sizes=False), raw, one_object([0.1, 0.3, 0.9, 0.7]), (1, 1))
    assert float(terms.coord_wh) == pytest.approx(0.5 * (0.8**2 + 0.4**2))
    terms = YoloLoss(lambda_coord=1)(grid(), raw, one_object([0.1, 0.3, 0.9, 0.7]), (1, 1))
    assert float(terms.coord_wh) == pytest.approx(0.5 * (0.8 + 0.4))


def test_a_class_softmax_passes_the_gradient_straight_through() -> None:
    raw = torch.zeros(1, 1, 1, 12, requires_grad=True)
    terms = YoloLoss()(grid(class_softmax=True), raw, one_object([0.2, 0.2, 0.8, 0.8]), (1, 1))
    terms.class_prob.backward()
    assert raw.grad is not None
    # softmax of two zeros is 1/2 each; the object is of class 1: p - t = (.5, -.5)
    assert raw.grad[0, 0, 0, -2:].tolist() == pytest.approx([0.5, -0.5])


def test_the_printed_cost_has_squared_weights() -> None:
    raw = torch.zeros(1, 1, 1, 12)
    wanted = one_object([0.1, 0.1, 0.9, 0.9])
    plain = YoloLoss(lambda_coord=1)
    heavy = replace(plain, lambda_coord=5)
    coord = float(plain(grid(), raw, wanted, (1, 1)).coord_wh)
    costs = [float(loss.darknet_cost(loss(grid(), raw, wanted, (1, 1)), 1)) for loss in (plain, heavy)]
    xy = float(plain(grid(), raw, wanted, (1, 1)).coord_xy)
    assert costs[1] - costs[0] == pytest.approx(2 * (25 - 1) * (coord + xy), rel=1e-5)
