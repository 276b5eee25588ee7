from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo.boxes import iou
from yolo.geometry import ResizeMode, place_boxes, plan_resize
from yolo.grid import GridParts, GridSpec
from yolo.postprocess.pipeline import MAX_CANDIDATES, PostprocessSettings, decode, postprocess, restore, suppress
from yolo.structures import Detections, GroundTruth

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


def kept(**changes: Any) -> list[int]:
    """Labels of what is kept of `raw()`: one box, which scores 0.4 as class 0 and 0.2 as class 1."""
    settings = PostprocessSettings(score_threshold=0.0, iou_threshold=0.5, max_detections=10, **changes)
    (found,) = postprocess(GRID, raw(), [plan_resize(SIZE, SIZE, "stretch")], settings)
    return found.labels.tolist()


def test_classes_that_are_not_wanted_are_left_out() -> None:
    assert kept() == [0, 1]
    assert kept(classes=(1,)) == [1]
    assert kept(classes=(1, 0)) == [0, 1]
    assert kept(classes=()) == []


def test_unwanted_classes_take_no_place_among_the_candidates() -> None:
    wanted = decode(GRID, raw(), input_hw=SIZE, score_threshold=0.0, max_candidates=1, classes=(1,))
    assert wanted[0].labels.tolist() == [1]


def test_class_agnostic_suppression_keeps_the_best_of_all_classes() -> None:
    assert kept(class_agnostic=True) == [0]
    # what is not wanted does not suppress either
    assert kept(class_agnostic=True, classes=(1,)) == [1]


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


def test_of_very_many_candidates_the_best_4096_compete_or_as_many_as_are_wanted() -> None:
    # 48 x 48 cells x 2 classes = 4608 candidates, none of which overlaps another of its class
    grid = GridSpec(grid_size=48, boxes_per_cell=1, num_classes=2, coding="linear")
    cells = torch.zeros(1, 48, 48, grid.depth)
    grid.split(cells).size_wh[:] = 0.1
    grid.split(cells).confidence[:] = torch.linspace(0.5, 1, 48 * 48).view(1, 48, 48, 1)
    grid.split(cells).class_probs[:] = 1.0
    (found,) = decode(grid, cells, input_hw=SIZE, score_threshold=0.1)
    assert MAX_CANDIDATES == len(found) == 4096
    assert found.scores.min() > 0.55  # the weakest are left out
    geometry = plan_resize(SIZE, SIZE, "stretch")
    for wanted, expected in ((300, 300), (4500, 4500), (5000, 4608)):
        limits = PostprocessSettings(score_threshold=0.1, iou_threshold=0.5, max_detections=wanted)
        (kept,) = postprocess(grid, cells, [geometry], limits)
        assert len(kept) == expected


def make(boxes: Sequence[Sequence[float]], scores: list[float], labels: list[int]) -> Detections:
    return Detections(
        torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels, dtype=torch.int64), (100, 100)
    )


def slow_suppress(found: Detections, iou_threshold: float) -> list[int]:
    """Indices kept, best first: the definition, two loops."""
    order = sorted(range(len(found)), key=lambda k: (-float(found.scores[k]), k))
    kept: list[int] = []
    for k in order:
        same = [j for j in kept if found.labels[j] == found.labels[k]]
        if all(float(iou(found.boxes[j].double(), found.boxes[k].double())) <= iou_threshold for j in same):
            kept.append(k)
    return kept


def test_a_chain_keeps_its_ends() -> None:
    # A-B overlap, B-C overlap, A-C do not: A suppresses B, and B, gone, cannot suppress C
    boxes = [[0.0, 0.0, 10.0, 10.0], [4.0, 0.0, 14.0, 10.0], [8.0, 0.0, 18.0, 10.0]]
    found = suppress(make(boxes, [0.9, 0.8, 0.7], [0, 0, 0]), iou_threshold=0.3, max_detections=10)
    assert found.boxes.tolist() == [boxes[0], boxes[2]]


def test_ties_keep_the_first() -> None:
    boxes = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0]]
    found = suppress(make(boxes, [0.5, 0.5], [0, 0]), iou_threshold=0.5, max_detections=10)
    assert found.boxes.tolist() == [boxes[0]]


def test_empty_and_max_detections() -> None:
    assert len(suppress(make([], [], []), iou_threshold=0.5, max_detections=5)) == 0
    apart = [[float(20 * k), 0.0, 20 * k + 9.0, 9.0] for k in range(4)]
    found = suppress(make(apart, [0.1, 0.4, 0.3, 0.2], [0] * 4), iou_threshold=0.5, max_detections=2)
    assert found.scores.tolist() == pytest.approx([0.4, 0.3])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 40), threshold=st.floats(0, 1))
def test_equals_the_definition(seed: int, count: int, threshold: float) -> None:
    torch.manual_seed(seed)
    corner = torch.rand(count, 2) * 40
    boxes = torch.cat((corner, corner + 1 + torch.rand(count, 2) * 40), dim=1)
    scores = (torch.rand(count) * 8).round() / 8  # many ties
    found = Detections(boxes, scores, torch.randint(0, 3, (count,)), (100, 100))
    kept = suppress(found, iou_threshold=threshold, max_detections=1000)
    expected = found[torch.tensor(slow_suppress(found, threshold), dtype=torch.int64)]
    assert torch.equal(kept.boxes, expected.boxes)
    assert torch.equal(kept.labels, expected.labels)


def test_a_batch_gives_what_its_images_give() -> None:
    torch.manual_seed(0)
    values = torch.rand(5, 2, 2, GRID.depth)
    GRID.split(values).confidence[1] = 0  # an image with nothing
    geometries = [plan_resize((50 + 10 * index, 70), SIZE, "letterbox") for index in range(5)]
    limits = PostprocessSettings(score_threshold=0.1, iou_threshold=0.3, max_detections=3)
    together = postprocess(GRID, values, geometries, limits)
    for index, found in enumerate(together):
        (alone,) = postprocess(GRID, values[index : index + 1], [geometries[index]], limits)
        assert found.size_hw == alone.size_hw == (50 + 10 * index, 70)
        assert torch.equal(found.boxes, alone.boxes)
        assert torch.equal(found.scores, alone.scores)
        assert torch.equal(found.labels, alone.labels)
    assert [len(found) for found in together] == [3, 0, 3, 1, 2]


@given(
    st.integers(20, 900),
    st.integers(20, 900),
    st.sampled_from([64, 320]),
    st.sampled_from(["letterbox", "stretch"]),
)
def test_restore_undoes_placing(height: int, width: int, size: int, mode: ResizeMode) -> None:
    geometry = plan_resize((height, width), (size, size), mode)
    boxes = np.array([[0.1 * width, 0.2 * height, 0.7 * width, 0.9 * height]], np.float32)
    placed = place_boxes(GroundTruth.from_boxes(boxes, [0]), geometry).boxes
    found = Detections(torch.from_numpy(placed), torch.ones(1), torch.zeros(1, dtype=torch.int64), (size, size))
    restored = restore(found, geometry)
    assert restored.size_hw == (height, width)
    torch.testing.assert_close(restored.boxes, torch.from_numpy(boxes), atol=2e-3, rtol=1e-4)


def test_what_lies_in_the_padding_is_dropped_and_the_rest_is_clipped() -> None:
    # 100x200 on 64: scaled by 0.32 to 32x64, 16 rows of padding above and below
    geometry = plan_resize((100, 200), (64, 64), "letterbox")
    boxes = torch.tensor([[0.0, 0, 64, 10], [0, 10, 32, 32]])
    found = Detections(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64), (64, 64))
    restored = restore(found, geometry)
    assert restored.boxes.tolist() == [[0.0, 0.0, 100.0, 50.0]]
