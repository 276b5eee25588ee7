"""Every number equal to the one of the real pycocotools, to 1e-12."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.coco_oracle import COCO_NUMBERS, Problem, found, pycocotools_results, random_problem
from yolo.structures import Detections, GroundTruth


def assert_equal_to_pycocotools(problem: Problem, max_detections: tuple[int, int, int] = (1, 10, 100)) -> None:
    numbers, per_class = pycocotools_results(problem, max_detections)
    result = problem.evaluate(max_detections)
    for name in COCO_NUMBERS:
        assert getattr(result, name) == pytest.approx(numbers[name], abs=1e-12, nan_ok=True), name
    ours = [(one.ap_50, one.ap_75, one.ap_50_95) for one in result.per_class]
    np.testing.assert_allclose(ours, per_class, rtol=0, atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_images=st.integers(1, 6),
    num_classes=st.integers(1, 4),
    coarse=st.booleans(),
)
def test_random_problems(seed: int, num_images: int, num_classes: int, coarse: bool) -> None:
    assert_equal_to_pycocotools(random_problem(seed, num_images=num_images, num_classes=num_classes, coarse=coarse))


@pytest.mark.parametrize("coarse", [True, False])
def test_many_images_and_classes(coarse: bool) -> None:
    assert_equal_to_pycocotools(random_problem(1, num_images=40, num_classes=30, coarse=coarse, max_objects=20))


@pytest.mark.parametrize("seed", range(4))
def test_more_detections_than_the_limit(seed: int) -> None:
    crowded = random_problem(seed, num_images=2, num_classes=1, coarse=True, max_objects=30, max_found=300)
    assert_equal_to_pycocotools(crowded)


@pytest.mark.parametrize("seed", range(4))
def test_other_limits(seed: int) -> None:
    problem = random_problem(seed, num_images=4, num_classes=2, coarse=seed % 2 == 0, max_found=30)
    assert_equal_to_pycocotools(problem, (2, 3, 7))


BOX = [[10.0, 10.0, 50.0, 50.0]]
EMPTY = found([], [], [])


@pytest.mark.parametrize(
    ("truth", "detections"),
    [
        (GroundTruth.from_boxes(BOX, [0]), EMPTY),
        (GroundTruth.empty(), found(BOX, [0.5], [0])),
        (GroundTruth.empty(), EMPTY),
        (GroundTruth.from_boxes(BOX, [0], iscrowd=[True]), found(BOX * 3, [0.5, 0.5, 0.4], [0, 0, 1])),
        (GroundTruth.from_boxes(BOX, [1]), found(BOX, [0.5], [0])),
        # a detection without area, a reversed one and an object without area
        (GroundTruth.from_boxes([[5, 5, 5, 9]], [0]), found([[5, 5, 5, 9], [9, 9, 5, 5]], [0.5, 0.4], [0, 0])),
    ],
    ids=["nothing found", "nothing to find", "nothing at all", "only a crowd", "other class", "degenerate"],
)
def test_images_with_little_on_them(truth: GroundTruth, detections: Detections) -> None:
    assert_equal_to_pycocotools(Problem({"1": truth}, {"1": detections}, 2))
    full = random_problem(3, num_images=1, num_classes=2, coarse=True)
    (image_id,) = full.truths
    both = Problem(
        {image_id: full.truths[image_id], f"{image_id}0": truth},
        {image_id: full.detections[image_id], f"{image_id}0": detections},
        2,
    )
    assert_equal_to_pycocotools(both)
