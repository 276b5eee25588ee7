from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from yolo.structures import Batch, Detections, GroundTruth, ImageGeometry, SkippedImage, Targets


def batch_of(counts: list[int]) -> Batch:
    """Images full of their own number, with that many objects of their own number."""
    truths = [
        GroundTruth.from_boxes(np.full((count, 4), image), [image] * count, difficult=[True] * count)
        for image, count in enumerate(counts)
    ]
    return Batch(
        images=torch.arange(len(counts), dtype=torch.float32)[:, None, None, None].expand(-1, 3, 4, 5),
        targets=Targets.from_ground_truths(truths),
        indices=tuple(range(10, 10 + len(counts))),
        geometries=tuple(ImageGeometry((k, k), (4, 5), (1, 1), (0, 0)) for k in range(len(counts))),
        skipped=(SkippedImage("a.jpg", "broken"),),
    )


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [(1, [5]), (2, [3, 2]), (3, [2, 2, 1]), (4, [2, 2, 1]), (5, [1, 1, 1, 1, 1]), (64, [1, 1, 1, 1, 1])],
)
def test_a_batch_splits_into_parts_that_make_it_up(parts: int, sizes: list[int]) -> None:
    counts = [2, 0, 1, 0, 3]
    batch = batch_of(counts)
    split = batch.split(parts)
    assert [len(part) for part in split] == sizes
    assert [part.skipped for part in split] == [batch.skipped] + [()] * (len(sizes) - 1)
    assert torch.equal(torch.cat([part.images for part in split]), batch.images)
    assert tuple(index for part in split for index in part.indices) == batch.indices
    assert tuple(geometry for part in split for geometry in part.geometries) == batch.geometries
    assert torch.equal(torch.cat([part.targets.boxes for part in split]), batch.targets.boxes)
    assert all(bool(part.targets.ignored.all()) for part in split)
    image = 0
    for part in split:
        # an object's image is counted from the start of its own part
        assert part.targets.labels.tolist() == (part.targets.image_index + image).tolist()
        assert len(part.targets) == sum(counts[image : image + len(part)])
        assert part.targets.max_per_image >= max(counts[image : image + len(part)])
        image += len(part)


def test_an_empty_batch_has_no_parts() -> None:
    assert batch_of([]).split(3) == []


def test_a_split_changes_nothing() -> None:
    batch = batch_of([1, 1])
    batch.split(2)
    assert batch.targets.image_index.tolist() == [0, 1]


def found(boxes: torch.Tensor, num_scores: int, labels: torch.Tensor) -> Detections:
    return Detections(boxes, torch.zeros(num_scores), labels, (4, 5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GroundTruth.from_boxes(np.zeros((2, 4)), [0]), r"labels must be \(2,\), got \(1,\)"),
        (
            lambda: replace(GroundTruth.empty(), boxes=np.zeros((0, 5), np.float32)),
            r"boxes must be \(M, 4\), got \(0, 5\)",
        ),
        (lambda: found(torch.zeros(2, 5), 2, torch.tensor([0, 1])), r"boxes must be \(K, 4\), got \(2, 5\)"),
        (lambda: found(torch.zeros(2, 4), 1, torch.tensor([0, 1])), r"scores must be \(2,\), got \(1,\)"),
        (lambda: found(torch.zeros(2, 4), 2, torch.zeros(2)), "labels must be int64, got torch.float32"),
        (lambda: replace(batch_of([1]).targets, ignored=torch.zeros(2)), r"ignored must be \(1,\), got \(2,\)"),
        (lambda: replace(batch_of([1]), indices=()), r"images must be \(0, 3, H, W\), got \(1, 3, 4, 5\)"),
        (lambda: replace(batch_of([1]), geometries=()), "expected 1 geometries, got 0"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_detections_are_chosen_by_index_and_handed_on_as_a_dict() -> None:
    detections = Detections(torch.arange(8.0).view(2, 4), torch.tensor([0.25, 0.75]), torch.tensor([3, 1]), (4, 5))
    best = detections[detections.scores.argsort(descending=True)].to("cpu")
    assert (len(best), best.size_hw) == (2, (4, 5))
    assert {name: values.tolist() for name, values in best.to_dict().items()} == {
        "boxes": [[4, 5, 6, 7], [0, 1, 2, 3]],
        "scores": [0.75, 0.25],
        "labels": [1, 3],
    }
    assert len(Detections.empty((4, 5))) == 0
