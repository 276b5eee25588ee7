from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.formats.objects import AnnotatedImages, StringArray
from yolo.structures import AnnotatedImage, GroundTruth

ANY_TEXT = st.lists(st.text(st.characters(categories=None), max_size=6), max_size=6)


def image(name: str, *labels: int) -> AnnotatedImage:
    boxes = [[label, 0, label + 10, 20] for label in labels]
    truth = GroundTruth.from_boxes(boxes, labels, difficult=[label % 2 == 1 for label in labels])
    return AnnotatedImage(name, Path("images") / f"{name}.jpg", (30, 40 + len(labels)), truth)


@given(ANY_TEXT)
def test_texts_come_back_whatever_they_hold(texts: list[str]) -> None:
    flat = StringArray(texts)
    assert list(flat) == texts
    assert flat[1:] == texts[1:]
    assert len(flat) == len(texts)
    if texts:
        assert flat[-1] == texts[-1]
    with pytest.raises(IndexError):
        flat[len(texts)]


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6))
def test_flat_images_are_the_images(labels: list[list[int]]) -> None:
    images = [image(f"i{k}", *row) for k, row in enumerate(labels)]
    flat = AnnotatedImages.of(images)
    assert len(flat) == len(images)
    for one, other in zip(flat, images, strict=True):
        assert (one.image_id, one.path, one.size_hw) == (other.image_id, other.path, other.size_hw)
        for name in ("boxes", "labels", "difficult", "iscrowd", "area"):
            np.testing.assert_array_equal(getattr(one.ground_truth, name), getattr(other.ground_truth, name))
    assert flat.image_index.tolist() == [k for k, row in enumerate(labels) for _ in row]


def test_taking_keeps_objects_with_their_images() -> None:
    flat = AnnotatedImages.of([image("a", 1, 2), image("b"), image("c", 3), image("d", 4, 5, 6)])
    taken = flat.take(np.array([3, 1, 0]))
    assert list(taken.image_ids) == ["d", "b", "a"]
    assert [one.ground_truth.labels.tolist() for one in taken] == [[4, 5, 6], [], [1, 2]]
    assert taken.offsets.tolist() == [0, 3, 3, 5]
    assert [one.image_id for one in flat[1:3]] == ["b", "c"]
    assert len(flat.take(np.array([], np.int64))) == 0


def test_an_object_costs_little_and_no_python_object() -> None:
    """(T, 4) float32, a label of 8 bytes, two flags of 1 byte, an area of 4 bytes: 30 bytes an object."""
    flat = AnnotatedImages.of([image("a", *range(100))])
    arrays = [getattr(flat.objects, name) for name in ("boxes", "labels", "difficult", "iscrowd", "area")]
    assert sum(array.nbytes for array in arrays) == 30 * 100


def test_offsets_that_do_not_fit_are_refused() -> None:
    flat = AnnotatedImages.of([image("a", 1)])
    with pytest.raises(ValueError, match="from 0 to 1"):
        AnnotatedImages(flat.image_ids, flat.paths, flat.sizes_hw, np.array([0, 2]), flat.objects)
    with pytest.raises(ValueError, match="1 paths"):
        AnnotatedImages(flat.image_ids, StringArray([]), flat.sizes_hw, flat.offsets, flat.objects)
