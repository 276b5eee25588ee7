import numpy as np
import pytest
import torch

from yolo.structures import Batch, GroundTruth, ImageGeometry, SkippedImage, Targets


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
