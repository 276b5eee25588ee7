import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import nms

from yolo.postprocess import suppression
from yolo.postprocess.suppression import suppress_batch

Box = tuple[float, float, float, float]
# few distinct numbers: boxes that are equal, nested, touch, are lines or points, or turned inside out; and hostile ones
COORDINATE = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 1e-30, 1e-7, 0.1, -3.0, 300.7, 1e20, math.inf, math.nan])
BOX = st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
CANDIDATE = st.tuples(BOX, st.integers(0, 3), st.sampled_from([0.2, 0.5, 0.9]))
IMAGES = st.lists(st.lists(CANDIDATE, max_size=12), min_size=1, max_size=4)


def reference(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> list[int]:
    """Per class by torchvision, unmoved, in float64."""
    kept: list[int] = []
    for label in range(20):
        members = [index for index, other in enumerate(labels.tolist()) if other == label]
        if members:
            chosen = nms(boxes[members].double(), scores[members].double(), threshold)
            kept += [members[index] for index in chosen.tolist()]
    return sorted(kept)


def check(images: Sequence[Sequence[tuple[Box, int, float]]], threshold: float) -> None:
    best_first = [sorted(image, key=lambda one: -one[2]) for image in images]
    flat = [one for image in best_first for one in image]
    boxes = torch.tensor([box for box, _, _ in flat], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([label for _, label, _ in flat], dtype=torch.int64)
    scores = torch.tensor([score for _, _, score in flat], dtype=torch.float32)
    counts = [len(image) for image in images]
    kept = suppress_batch(boxes, scores, labels, counts, iou_threshold=threshold, max_detections=1000)
    start = 0
    for indices, count in zip(kept, counts, strict=True):
        own = slice(start, start + count)
        assert (indices - start).tolist() == reference(boxes[own], scores[own], labels[own], threshold)
        start += count


@pytest.mark.parametrize("one_call_up_to", [0, 2000])
@settings(max_examples=150, deadline=None)
@given(images=IMAGES, threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
# 1e-7 lost to a move of 16 would be a line, which overlaps nothing
@example(images=[[((0, 0, 1e-7, 10), 3, 0.9), ((0, 0, 1e-7, 10), 3, 0.5)]], threshold=0.5)
@example(images=[[((0, 0, 2, 1), 0, 0.9), ((0, 0, 1, 1), 0, 0.9), ((0, 0, 1, 1), 1, 0.9)]], threshold=0.5)
def test_equals_torchvision_for_each_class_of_each_image(
    one_call_up_to: int, images: list[list[tuple[Box, int, float]]], threshold: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suppression, "_ONE_CALL_UP_TO", one_call_up_to)
        check(images, threshold)


def test_equals_torchvision_on_a_batch_of_ordinary_boxes() -> None:
    generator = torch.Generator().manual_seed(0)
    images = []
    for _ in range(4):
        corner = torch.rand(392, 2, generator=generator) * 300
        boxes = torch.cat((corner, corner + torch.rand(392, 2, generator=generator) * 90), dim=1).tolist()
        labels = torch.randint(0, 20, (392,), generator=generator).tolist()
        scores = ((torch.rand(392, generator=generator) * 50).round() / 50).tolist()
        images.append([(tuple(box), label, score) for box, label, score in zip(boxes, labels, scores, strict=True)])
    check(images, 0.5)


def test_the_best_of_each_image_are_kept() -> None:
    boxes = torch.tensor([[float(20 * k), 0.0, 20 * k + 9.0, 9.0] for k in range(5)])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.9, 0.8])
    kept = suppress_batch(boxes, scores, torch.zeros(5).long(), [3, 0, 2], iou_threshold=0.5, max_detections=2)
    assert [indices.tolist() for indices in kept] == [[0, 1], [], [3, 4]]


def test_what_is_far_apart_costs_one_call_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
        calls.append(len(boxes))
        kept: Tensor = nms(boxes, scores, threshold)
        return kept

    monkeypatch.setattr(suppression, "nms", counted)
    boxes = torch.rand(12, 4) * 320
    labels = torch.arange(12) % 3
    suppress_batch(boxes, torch.ones(12), labels, [8, 4], iou_threshold=0.5, max_detections=9)
    assert calls == [8, 4]
    boxes[0] = math.inf  # this image takes a call for each class, the other does not
    suppress_batch(boxes, torch.ones(12), labels, [8, 4], iou_threshold=0.5, max_detections=9)
    assert calls[2:] == [3, 3, 2, 4]
