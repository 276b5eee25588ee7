import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import ops

from yolo import boxes as box_ops

coordinate = st.floats(-50, 50, width=32)
box = st.tuples(coordinate, coordinate, st.floats(0.125, 50, width=32), st.floats(0.125, 50, width=32)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
boxes = st.lists(box, min_size=1, max_size=6).map(torch.tensor)


def test_iou_of_half_overlapping_squares() -> None:
    # two 2x2 squares, the second shifted by 1 in x: intersection 2, union 6
    a, b = torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 0, 3, 2])
    assert box_ops.iou(a, b).item() == pytest.approx(2 / 6)
    # centres 1 apart, diagonal of the 3x2 enclosing box squared is 13
    assert box_ops.centre_distance(a, b).item() == pytest.approx(1 / 13)
    # same aspect
    assert box_ops.aspect_penalty(a, b, box_ops.iou(a, b)).item() == 0


def test_touching_and_distant_boxes_have_no_overlap() -> None:
    a = torch.tensor([0.0, 0, 2, 2])
    assert box_ops.iou(a, torch.tensor([2.0, 0, 4, 2])).item() == 0
    assert box_ops.iou(a, torch.tensor([5.0, 0, 7, 2])).item() == 0


def test_small_boxes_are_not_distorted_by_an_epsilon() -> None:
    tiny = torch.tensor([0.5, 0.5, 0.5 + 1e-4, 0.5 + 1e-4])
    assert box_ops.iou(tiny, tiny).item() == pytest.approx(1.0)


def test_degenerate_boxes_give_zero_and_finite_gradients() -> None:
    point = torch.tensor([1.0, 1, 1, 1], requires_grad=True)
    other = torch.tensor([1.0, 1, 1, 1])
    overlap = box_ops.iou(point, other)
    for value in (overlap, box_ops.centre_distance(point, other), box_ops.aspect_penalty(point, other, overlap)):
        assert value.item() == 0
        (gradient,) = torch.autograd.grad(value, point, retain_graph=True)
        assert gradient.isfinite().all()


def test_empty_input_keeps_its_shape() -> None:
    none, some = torch.zeros(0, 4), torch.rand(3, 4)
    assert box_ops.iou(none, none).shape == (0,)
    assert box_ops.iou(none[:, None], some[None]).shape == (0, 3)


def test_aspect_penalty_of_a_turned_box() -> None:
    # 4x1 against 1x4 around one centre: IoU 1/7, angles atan(4) and atan(1/4)
    a, b = torch.tensor([-2.0, -0.5, 2, 0.5]), torch.tensor([-0.5, -2.0, 0.5, 2])
    v = 4 / math.pi**2 * (math.atan(4) - math.atan(0.25)) ** 2
    expected = v * v / (1 - 1 / 7 + v)
    assert box_ops.aspect_penalty(a, b, box_ops.iou(a, b)).item() == pytest.approx(expected, rel=1e-5)


def test_clip_moves_corners_onto_the_border() -> None:
    clipped = box_ops.clip_to_image(torch.tensor([[-3.0, 2, 30, 50]]), (20, 10))
    assert clipped.tolist() == [[0.0, 2.0, 10.0, 20.0]]


def test_intersection_over_area() -> None:
    # half of the first box lies in the second
    a, b = torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, -5, 9, 9])
    assert box_ops.intersection_over_area(a, b).item() == pytest.approx(0.5)


@given(boxes, boxes)
def test_iou_and_ciou_equal_torchvision_on_all_pairs(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(box_ops.iou(a[:, None], b[None]), ops.box_iou(a, b), atol=1e-5, rtol=1e-4)
    pairs = (a[:, None], b[None])
    ciou = box_ops.iou(*pairs) - box_ops.centre_distance(*pairs)
    ciou = ciou - box_ops.aspect_penalty(*pairs, box_ops.iou(*pairs))
    torch.testing.assert_close(ciou, ops.complete_box_iou(a, b), atol=1e-4, rtol=1e-3)


@given(boxes)
def test_a_box_equals_itself(a: torch.Tensor) -> None:
    overlap = box_ops.iou(a, a)
    torch.testing.assert_close(overlap, torch.ones(len(a)), atol=1e-4, rtol=1e-4)
    assert box_ops.centre_distance(a, a).max() < 1e-6  # far from 0 the sums of corners round
    assert box_ops.aspect_penalty(a, a, overlap).abs().max() < 1e-4
