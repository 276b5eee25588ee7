import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.problems import problem_of
from tests.reference.slow_errors import slow_average_precision
from tests.reference.slow_matching import random_sets, slow_assign
from yolo.detection_sets import EvaluationData, ImageTable
from yolo.evaluation.breakdown import Breakdown, break_down
from yolo.evaluation.summary import summarise

NAMES = ("size", "relative_size", "aspect", "crowding")


def broken_down(problem: EvaluationData) -> dict[str, Breakdown]:
    return {one.name: one for one in break_down(problem, summarise(problem))}


def random_problem(seed: int, *, scale: float = 1.0) -> EvaluationData:
    """Three images of 20 × 25 times `scale` pixels, two classes, boxes of 2 to 5 times `scale`."""
    generator = np.random.default_rng(seed)
    detections, truths = random_sets(seed, *generator.integers(0, 21, 2).tolist())
    return EvaluationData(
        ImageTable(["a", "b", "c"], [""] * 3, np.tile((np.array([[20, 25]]) * scale).astype(np.int32), (3, 1))),
        ("cat", "dog"),
        replace(truths, boxes=truths.boxes * scale, sizes_wh=truths.sizes_wh * scale, area=truths.area * scale**2),
        replace(detections, boxes=detections.boxes * scale, sizes_wh=detections.sizes_wh * scale),
    )


@given(seed=st.integers(0, 100_000), scale=st.sampled_from([4.0, 8.0, 16.0, 32.0]))
def test_sizes_are_those_of_coco(seed: int, scale: float) -> None:
    # at scale 8 and 16 some boxes have exactly 32² pixels, at 32 some have 96²
    problem = random_problem(seed, scale=scale)
    result = summarise(problem)
    bins = break_down(problem, result)[0].bins
    expected = [result.map_small, result.map_medium, result.map_large]
    np.testing.assert_array_equal([one.ap_50_95 for one in bins], expected)


def test_the_edges_of_the_bins() -> None:
    assert {name: [one.low for one in part.bins] for name, part in broken_down(random_problem(0)).items()} == {
        "size": [0.0, 32.0**2, 96.0**2],
        "relative_size": [0.0, 0.05, 0.1, 0.2, 0.4],
        "aspect": [0.0, 0.5, 0.8, 1.25, 2.0],
        "crowding": [1.0, 2.0, 5.0, 10.0, 20.0],
    }


def test_sizes_by_hand() -> None:
    # A small object (30 × 30) found, a large one (100 × 100) missed, and a wrong detection of 50 × 50 that scores most.
    problem = problem_of(
        [(0, 0.5, [0, 0, 30, 30], 0), (0, 0.9, [400, 0, 50, 50], 0)],
        [(0, [0, 0, 30, 30], 0), (0, [200, 200, 100, 100], 0)],
    )
    small, medium, large = broken_down(problem)["size"].bins
    assert (small.instances, small.ap_50, small.ap_50_95, small.recall) == (1, 1.0, 1.0, 1.0)
    assert (medium.instances, *map(math.isnan, (medium.ap_50, medium.ap_50_95, medium.recall))) == (0, True, True, True)
    assert (large.instances, large.ap_50, large.recall) == (1, 0.0, 0.0)
    assert (small.label, small.low, small.high) == ("small (up to 32²)", 0.0, 1024.0)
    assert (large.low, large.high) == (9216.0, math.inf)


def test_aspects_by_hand() -> None:
    # One wide object (40 × 10). The wide detection of 0.9 is wrong, the tall one of 0.8 wrong too but of another bin,
    # the one of 0.7 is right: precision 1/2 in the bin.
    found = [(0, 0.9, [100, 0, 40, 10], 0), (0, 0.8, [200, 0, 10, 40], 0), (0, 0.7, [0, 0, 40, 10], 0)]
    problem = problem_of(found, [(0, [0, 0, 40, 10], 0)])
    bins = broken_down(problem)["aspect"].bins
    assert [one.instances for one in bins] == [0, 0, 0, 0, 1]
    assert (bins[4].ap_50, bins[4].recall) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("size", "place"),
    [((49, 100), 0), ((50, 100), 1), ((80, 100), 2), ((100, 100), 2), ((125, 100), 3), ((200, 100), 4), ((9, 0), 4),
     ((0, 9), 0), ((0, 0), 2)],
)  # fmt: skip
def test_the_low_end_of_an_aspect_is_included(size: tuple[float, float], place: int) -> None:
    problem = problem_of([], [(0, [0, 0, *size], 0)])
    assert [one.instances for one in broken_down(problem)["aspect"].bins].index(1) == place


def test_crowding_evaluates_the_images_of_a_bin_alone() -> None:
    # Image a has one object, found below a wrong detection; image b has two, found; c none, with a wrong detection.
    a, b = [0, 0, 9, 9], [50, 0, 9, 9]
    problem = problem_of(
        [(0, 0.9, b, 0), (0, 0.8, a, 0), (0, 0.7, a, 1), (0, 0.6, b, 1), (0, 0.95, a, 2)],
        [(0, a, 0), (0, a, 1), (0, b, 1), (0, [99, 99, 9, 9], 0)],
        sizes_hw=[(0, 0)] * 3,
        difficult=[False, False, False, True],
    )
    one, few, *others = broken_down(problem)["crowding"].bins
    assert (one.instances, one.ap_50) == (1, 0.5)
    assert (few.instances, few.ap_50, few.recall) == (2, 1.0, 1.0)
    assert [bin_.instances for bin_ in others] == [0, 0, 0], "the difficult object is not counted"


def test_relative_size_by_hand() -> None:
    # 30 × 30 on 300 × 300 pixels is 10 %, on 100 × 100 it is 30 %, and there a wrong detection of 30 % scores more
    problem = problem_of(
        [(0, 0.9, [0, 0, 30, 30], 1), (0, 0.95, [60, 60, 30, 30], 1)],
        [(0, [0, 0, 30, 30], 0), (0, [0, 0, 30, 30], 1)],
        sizes_hw=[(300, 300), (100, 100)],
    )
    bins = broken_down(problem)["relative_size"].bins
    assert [one.instances for one in bins] == [0, 0, 1, 1, 0]
    assert [one.ap_50 for one in bins[2:4]] == [0.0, 0.5]


def test_relative_size_needs_the_sizes_of_all_images_with_something_on_them() -> None:
    problem = random_problem(1)
    assert tuple(broken_down(problem)) == NAMES
    sizes = problem.images.sizes_hw.copy()
    sizes[1] = 0
    unknown = replace(problem, images=replace(problem.images, sizes_hw=sizes))
    assert tuple(broken_down(unknown)) == ("size", "aspect", "crowding")
    elsewhere = replace(
        unknown,
        truths=problem.truths[problem.truths.image_index != 1],
        detections=problem.detections[problem.detections.image_index != 1],
    )
    assert tuple(broken_down(elsewhere)) == NAMES


@given(seed=st.integers(0, 100_000))
def test_every_object_is_in_one_bin_and_recall_is_that_of_all(seed: int) -> None:
    problem = random_problem(seed, scale=3.0)  # no area is exactly 32² or 96²
    result = summarise(problem)
    for breakdown in break_down(problem, result):
        assert sum(one.instances for one in breakdown.bins) == result.num_objects
        found = [one.recall * one.instances for one in breakdown.bins if one.instances]
        assert all(math.isnan(one.ap_50) == (one.instances == 0) for one in breakdown.bins)
        assert all(one.low < one.high for one in breakdown.bins)
        if breakdown.name == "crowding":
            total = sum(one.recall * one.instances for one in result.per_class if one.instances)
            assert sum(found) == pytest.approx(total)


@given(seed=st.integers(0, 100_000))
def test_aspects_equal_the_slow_rule(seed: int) -> None:
    problem = random_problem(seed)
    detections, truths = problem.detections, problem.truths
    for one in broken_down(problem)["aspect"].bins:
        of_truth, of_detection = (
            (sizes[:, 0] / sizes[:, 1]).tolist() for sizes in (truths.sizes_wh, detections.sizes_wh)
        )
        outside = [not one.low <= value < one.high for value in of_truth]
        ignored = [flag or bool(always) for flag, always in zip(outside, truths.reusable, strict=True)]
        matched = slow_assign(detections, truths, ignored, threshold=0.5)
        rows = [
            (int(detections.labels[place]), float(detections.scores[place]), int(detections.image_index[place]), place,
             taken >= 0)
            for place, taken in enumerate(matched)
            if (not ignored[taken] if taken >= 0 else one.low <= of_detection[place] < one.high)
        ]  # fmt: skip
        counted = [int(label) for label, flag in zip(truths.labels, ignored, strict=True) if not flag]
        expected = [slow_average_precision(rows, label, counted.count(label)) for label in set(counted)]
        assert one.ap_50 == pytest.approx(np.mean(expected) if expected else math.nan, abs=1e-12, nan_ok=True)


def test_a_limit_on_detections_holds_in_every_bin() -> None:
    detections, truths = random_sets(8, 60, 12)
    problem = EvaluationData(ImageTable.of_ids(["a", "b", "c"]), ("cat", "dog"), truths, detections)
    result = summarise(problem, max_detections=(1, 2, 3))
    limited = {one.name: one for one in break_down(problem, result, max_detections=3)}
    expected = [result.map_small, result.map_medium, result.map_large]
    np.testing.assert_array_equal([one.ap_50_95 for one in limited["size"].bins], expected)
    assert limited["size"].bins[0].ap_50_95 != broken_down(problem)["size"].bins[0].ap_50_95


def test_nothing_at_all() -> None:
    for breakdown in broken_down(problem_of([], [], sizes_hw=[])).values():
        assert not any(one.instances for one in breakdown.bins)
