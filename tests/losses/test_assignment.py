import pytest
import torch

from yolo import boxes as box_ops
from yolo.grid import GridSpec
from yolo.losses.assignment import Assignment, assign_targets, ignore_mask, sum_in_cell
from yolo.structures import GroundTruth, Targets

GRID = GridSpec(grid_size=2, boxes_per_cell=2, num_classes=1)


def assign(
    boxes: list[list[float]], objects: Targets, *, row: list[int], col: list[int], per_cell: int = 2
) -> Assignment:
    return assign_targets(
        GRID,
        torch.tensor(boxes).reshape(-1, 2, 4),
        objects,
        row=torch.tensor(row, dtype=torch.int64),
        col=torch.tensor(col, dtype=torch.int64),
        num_images=2,
        objects_per_cell=per_cell,
    )


def objects(*per_image: list[list[float]], crowd: bool = False) -> Targets:
    return Targets.from_ground_truths(
        [GroundTruth.from_boxes(boxes, [0] * len(boxes), iscrowd=[crowd] * len(boxes)) for boxes in per_image]
    )


def test_the_highest_iou_is_responsible_and_the_first_on_ties() -> None:
    wanted = objects([[0.0, 0, 0.4, 0.4], [0.6, 0.6, 1, 1]], [])
    predicted = [[0, 0, 0.2, 0.2], [0, 0, 0.39, 0.39], [0.6, 0.6, 1, 1], [0.6, 0.6, 1, 1]]
    result = assign(predicted, wanted, row=[0, 1], col=[0, 1])
    assert result.predictor.tolist() == [1, 0]
    assert result.assigned.tolist() == [True, True]


def test_no_overlap_falls_back_to_distance() -> None:
    wanted = objects([[0.0, 0, 0.1, 0.1]], [])
    result = assign([[0.8, 0.8, 0.9, 0.9], [0.3, 0.3, 0.4, 0.4]], wanted, row=[0], col=[0])
    assert result.predictor.tolist() == [1]
    assert result.iou.tolist() == [0.0]


def test_three_objects_of_a_cell_in_order_of_arrival() -> None:
    # all three prefer predictor 0; the second gets 1, the third nothing; one of them carries the class
    wanted = objects([[0.0, 0, 0.4, 0.4]] * 3, [])
    result = assign([[0, 0, 0.4, 0.4], [0, 0, 0.2, 0.2]] * 3, wanted, row=[0] * 3, col=[0] * 3)
    assert result.assigned.tolist() == [True, True, False]
    assert result.predictor[:2].tolist() == [0, 1]
    assert result.owns_class.tolist() == [True, False, False]


def test_the_same_cell_of_two_images_is_two_cells() -> None:
    wanted = objects([[0.0, 0, 0.4, 0.4]], [[0.0, 0, 0.4, 0.4]])
    result = assign([[0, 0, 0.4, 0.4], [0, 0, 0.2, 0.2]] * 2, wanted, row=[0, 0], col=[0, 0], per_cell=1)
    assert result.assigned.tolist() == [True, True]


def test_ignored_objects_take_no_predictor() -> None:
    truth = GroundTruth.from_boxes([[0.0, 0, 0.4, 0.4]] * 2, [0, 0], difficult=[True, False])
    wanted = Targets.from_ground_truths([truth, GroundTruth.empty()])
    result = assign([[0, 0, 0.4, 0.4], [0, 0, 0.2, 0.2]] * 2, wanted, row=[0, 0], col=[0, 0], per_cell=1)
    assert result.assigned.tolist() == [False, True]


def test_nothing_to_assign() -> None:
    result = assign([], objects([], []), row=[], col=[])
    assert result.predictor.shape == (0,)


def test_the_ignore_mask_of_more_objects_than_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    share, held = box_ops.intersection_over_area, []

    def recorded(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        held.append(b.shape[2])
        return share(a, b)

    monkeypatch.setattr(box_ops, "intersection_over_area", recorded)
    predicted = torch.zeros(1, 2, 2, 2, 4)
    predicted[0, 1, 0, 1] = torch.tensor([0.5, 0.5, 0.9, 0.9])
    many = [[0.1, 0.1, 0.2, 0.2]] * 40 + [[0.5, 0.5, 0.9, 0.88]]
    mask = ignore_mask(predicted, objects(many), 41, ignore_iou=0.5)
    assert mask.nonzero().tolist() == [[0, 1, 0, 1]]
    assert held == [16, 16, 9]
    assert not ignore_mask(predicted, objects(many), 41, ignore_iou=None).any()


def test_what_lies_in_a_crowd_is_ignored_at_any_iou() -> None:
    predicted = torch.zeros(1, 2, 2, 2, 4)
    predicted[..., 2:] = 0.01
    predicted[0, 0, 0, 0] = torch.tensor([0.5, 0.5, 0.52, 0.52])
    mask = ignore_mask(predicted, objects([[0.4, 0.4, 1, 1]], crowd=True), 1, ignore_iou=None)
    assert mask.nonzero().tolist() == [[0, 0, 0, 0]]


def test_sum_in_cell() -> None:
    values = torch.tensor([[1.0], [2.0], [4.0]])
    assert sum_in_cell(values, torch.tensor([5, 3, 5]), 8).tolist() == [[5.0], [2.0], [5.0]]


def test_a_box_is_ignored_if_more_than_half_of_it_lies_in_a_crowd() -> None:
    predicted = torch.zeros(1, 2, 2, 2, 4)
    # strips as high as the crowd, of which 0.45, 0.5 and 0.55 of their width lie in it
    for predictor, share in enumerate((0.45, 0.5, 0.55)):
        predicted[0, 0].view(-1, 4)[predictor] = torch.tensor([0.5 - share / 4, 0, 0.75 - share / 4, 1])
    mask = ignore_mask(predicted, objects([[0.0, 0, 0.5, 1]], crowd=True), 1, ignore_iou=None)
    assert mask.flatten().nonzero().tolist() == [[2]]


def test_forced_gives_objects_below_a_tenth_of_the_image_to_predictor_one() -> None:
    wanted = objects([[0.0, 0, 0.3, 0.32], [0.5, 0.5, 0.8, 0.84]], [])  # 0.096 and 0.102 of the image
    result = assign_targets(
        GRID,
        torch.zeros(2, 2, 4),
        wanted,
        row=torch.tensor([0, 1]),
        col=torch.tensor([0, 1]),
        num_images=2,
        rule="forced",
    )
    assert result.predictor.tolist() == [1, 0]
