import pytest
import torch

from yolo.grid import GridParts, GridSpec
from yolo.postprocess.decode import decode

GRID = GridSpec(grid_size=2, boxes_per_cell=1, num_classes=2, coding="linear")
SIZE = (100, 200)


def raw(confidence: float = 0.8, class_probs: tuple[float, float] = (0.5, 0.25)) -> torch.Tensor:
    """One image whose cell (row 1, column 0) holds a box of half the image around (50, 75) px; all else is 0."""
    values = torch.zeros(1, 2, 2, GRID.depth)
    parts = GridParts(
        offset_xy=torch.tensor([[0.5, 0.5]]),
        size_wh=torch.full((1, 2), 0.5**0.5),
        confidence=torch.tensor([confidence]),
        class_probs=torch.tensor(class_probs),
    )
    values[0, 1, 0] = GRID.join(parts)
    return values


def test_by_hand() -> None:
    (found,) = decode(GRID, raw(), input_hw=SIZE, score_threshold=0.1)
    # score = confidence x class probability, each class of its own; the box may leave the image
    assert found.labels.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx([0.4, 0.2])
    assert found.boxes[0].tolist() == pytest.approx([0, 50, 100, 100], abs=1e-4)
    assert found.size_hw == SIZE


def test_the_threshold_is_strict_and_per_class() -> None:
    values = raw(confidence=0.5, class_probs=(0.5, 1.0))
    (found,) = decode(GRID, values, input_hw=SIZE, score_threshold=0.25)
    assert found.labels.tolist() == [1]


def test_nothing_passes() -> None:
    (found,) = decode(GRID, torch.zeros(1, 2, 2, GRID.depth), input_hw=SIZE, score_threshold=0.0)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_no_images() -> None:
    assert decode(GRID, torch.zeros(0, 2, 2, GRID.depth), input_hw=SIZE, score_threshold=0.0) == []


def test_the_best_candidates_are_kept_in_order() -> None:
    torch.manual_seed(0)
    values = torch.rand(2, 2, 2, GRID.depth)
    few = decode(GRID, values, input_hw=SIZE, score_threshold=0.0, max_candidates=3)
    every = decode(GRID, values, input_hw=SIZE, score_threshold=0.0)
    for some, all_of_them in zip(few, every, strict=True):
        assert torch.equal(some.scores, all_of_them.scores[:3])
        assert all_of_them.scores.diff().max() <= 0


def test_equal_scores_keep_the_order_of_cells() -> None:
    values = torch.ones(1, 2, 2, GRID.depth)
    (found,) = decode(GRID, values, input_hw=SIZE, score_threshold=0.5)
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert found.labels.tolist() == [0, 1] * 4
    # boxes around the far corner of each cell, row by row
    assert centres[::2].tolist() == [[100, 50], [200, 50], [100, 100], [200, 100]]


def test_what_is_not_finite_is_no_detection() -> None:
    values = raw()
    for bad in (float("inf"), float("nan")):
        values[0, 0, 0] = bad
        (found,) = decode(GRID, values, input_hw=SIZE, score_threshold=0.1)
        assert found.scores.tolist() == pytest.approx([0.4, 0.2])
