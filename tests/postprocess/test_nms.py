from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo.boxes import iou
from yolo.postprocess import nms
from yolo.postprocess.nms import suppress
from yolo.structures import Detections


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


def test_classes_do_not_suppress_each_other() -> None:
    same = [[0.0, 0.0, 10.0, 10.0]] * 2
    assert len(suppress(make(same, [0.9, 0.8], [0, 1]), iou_threshold=0.5, max_detections=10)) == 2


def test_exactly_the_threshold_stays() -> None:
    # 10x10 and its left half: IoU exactly 1/2
    boxes = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 5.0, 10.0]]
    assert len(suppress(make(boxes, [0.9, 0.8], [0, 0]), iou_threshold=0.5, max_detections=10)) == 2
    assert len(suppress(make(boxes, [0.9, 0.8], [0, 0]), iou_threshold=0.49, max_detections=10)) == 1


def test_ties_keep_the_first() -> None:
    boxes = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0]]
    found = suppress(make(boxes, [0.5, 0.5], [0, 0]), iou_threshold=0.5, max_detections=10)
    assert found.boxes.tolist() == [boxes[0]]


def test_empty_and_max_detections() -> None:
    assert len(suppress(make([], [], []), iou_threshold=0.5, max_detections=5)) == 0
    apart = [[float(20 * k), 0.0, 20 * k + 9.0, 9.0] for k in range(4)]
    found = suppress(make(apart, [0.1, 0.4, 0.3, 0.2], [0] * 4), iou_threshold=0.5, max_detections=2)
    assert found.scores.tolist() == pytest.approx([0.4, 0.3])


@pytest.mark.parametrize("one_call_up_to", [0, 10**6])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 40), threshold=st.floats(0, 1))
def test_equals_the_definition(one_call_up_to: int, seed: int, count: int, threshold: float) -> None:
    torch.manual_seed(seed)
    corner = torch.rand(count, 2) * 40
    boxes = torch.cat((corner, corner + 1 + torch.rand(count, 2) * 40), dim=1)
    scores = (torch.rand(count) * 8).round() / 8  # many ties
    found = Detections(boxes, scores, torch.randint(0, 3, (count,)), (100, 100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nms, "_ONE_CALL_UP_TO", one_call_up_to)
        kept = suppress(found, iou_threshold=threshold, max_detections=1000)
    expected = found[torch.tensor(slow_suppress(found, threshold), dtype=torch.int64)]
    assert torch.equal(kept.boxes, expected.boxes)
    assert torch.equal(kept.labels, expected.labels)
