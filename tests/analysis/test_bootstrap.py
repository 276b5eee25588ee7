"""Replicates of an evaluation, against copies of images that are really made and evaluated."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_bootstrap import SUMMARY_NAMES, random_problem, slow_replicate, untied
from yolo.analysis import bootstrap
from yolo.analysis.bootstrap import (
    automatic_replicates,
    centred,
    check_arguments,
    class_replicates,
    draw_weights,
    mean_over_classes,
    percentile_interval,
)
from yolo.analysis.weighted_class import Weights
from yolo.detection_sets import DetectionSet, ImageTable, Problem, TruthSet
from yolo.evaluation.matched import match_areas
from yolo.evaluation.summary import summarise

LIMITS = (1, 3, 7)


def check_against_copies(
    problem: Problem,
    weights: Weights,
    *,
    score_threshold: float,
    limits: tuple[int, int, int] = (1, 10, 100),
    distinct_on_image: bool = False,
) -> None:
    by_area = match_areas(problem, max_detections=limits[-1])
    drawn = class_replicates(by_area, weights, score_threshold=score_threshold, max_detections=limits)
    for row, counts in enumerate(weights.tolist()):
        headline, ap_50, ap_50_95 = slow_replicate(
            problem,
            counts,
            score_threshold=score_threshold,
            max_detections=limits,
            distinct_on_image=distinct_on_image,
        )
        assert headline.keys() == drawn.keys()
        for name, expected in headline.items():
            actual = mean_over_classes(drawn[name])[row]
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(drawn["map_50"][row], ap_50, rtol=0, atol=1e-12)
        np.testing.assert_allclose(drawn["map_50_95"][row], ap_50_95, rtol=0, atol=1e-12)


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=40)
def test_replicates_are_evaluations_of_the_copied_images(seed: int, distinct: bool) -> None:
    problem = random_problem(seed, distinct_on_image=distinct)
    weights = draw_weights(len(problem.images), replicates=4, seed=seed)
    check_against_copies(problem, weights, score_threshold=0.5, limits=LIMITS, distinct_on_image=distinct)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("distinct", [True, False])
def test_larger_problems_with_many_ties(seed: int, distinct: bool) -> None:
    problem = random_problem(
        seed, num_images=40, num_classes=2, max_objects=6, max_found=12, distinct_on_image=distinct
    )
    weights = draw_weights(len(problem.images), replicates=3, seed=seed)
    check_against_copies(problem, weights, score_threshold=0.3, distinct_on_image=distinct)


def test_the_oracle_keeps_the_evaluation_of_equal_scores() -> None:
    for seed in range(5):
        problem = random_problem(seed, num_images=20)
        result, other = summarise(problem), summarise(untied(problem))
        assert [getattr(result, name) for name in SUMMARY_NAMES] == pytest.approx(
            [getattr(other, name) for name in SUMMARY_NAMES], abs=1e-15
        )


def test_extreme_weights() -> None:
    problem = random_problem(11)
    rows = [np.ones(6), np.zeros(6), *(6 * np.eye(6)), [0, 0, 1, 1, 0, 4], np.full(6, 50)]
    check_against_copies(problem, np.array(rows, np.uint16), score_threshold=0.4, limits=LIMITS)


def test_every_image_once_is_the_evaluation_itself() -> None:
    problem = random_problem(5, num_images=60, num_classes=4)
    result = summarise(problem)
    once = np.ones((1, 60), np.uint16)
    drawn = class_replicates(match_areas(problem), once, score_threshold=result.score_threshold)
    for name in (*SUMMARY_NAMES, "precision", "recall", "f1"):
        np.testing.assert_allclose(mean_over_classes(drawn[name])[0], getattr(result, name), rtol=0, atol=1e-12)


def test_the_number_of_threads_and_the_size_of_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem(3, num_images=30)
    by_area, weights = match_areas(problem), draw_weights(30, replicates=20, seed=1)
    results = []
    for cores, elements in ((1, 1 << 20), (3, 1 << 20), (2, 1)):
        monkeypatch.setattr(bootstrap, "_cores", lambda count=cores: count)
        monkeypatch.setattr(bootstrap, "_BATCH_ELEMENTS", elements)
        results.append(class_replicates(by_area, weights, score_threshold=0.5))
    for name, values in results[0].items():
        for other in results[1:]:
            np.testing.assert_array_equal(values, other[name])


def test_a_class_that_is_not_drawn_is_left_out_of_the_mean() -> None:
    # class 0 on image 0 is found, class 1 on image 1 is not
    box = [0.0, 0.0, 40.0, 40.0]
    problem = Problem(
        ImageTable.of_ids(["a", "b"]),
        ("found", "missed"),
        TruthSet.from_xyxy([box, box], [0, 1], [0, 1]),
        DetectionSet.from_xyxy([box], [0.9], [0], [0]),
    )
    weights = np.array([[1, 1], [2, 0], [0, 2]], np.uint16)
    drawn = class_replicates(match_areas(problem), weights, score_threshold=0.5)
    np.testing.assert_array_equal(drawn["map_50"], [[1, 0], [1, np.nan], [np.nan, 0]])
    assert mean_over_classes(drawn["map_50"]).tolist() == [0.5, 1.0, 0.0]
    assert mean_over_classes(drawn["recall"]).tolist() == [0.5, 1.0, 0.0]
    # 1,600 px² is medium
    assert np.isnan(drawn["map_small"]).all()
    np.testing.assert_array_equal(drawn["map_medium"], drawn["map_50"])


@pytest.mark.parametrize(("num_images", "num_objects"), [(0, 0), (3, 0), (3, 2)])
def test_nothing_found(num_images: int, num_objects: int) -> None:
    problem = Problem(
        ImageTable.of_ids([str(index) for index in range(num_images)]),
        ("thing",),
        TruthSet.from_xyxy(np.tile([0.0, 0.0, 9.0, 9.0], (num_objects, 1)), np.zeros(num_objects), [0] * num_objects),
        DetectionSet.from_xyxy([], [], [], []),
    )
    weights = np.ones((2, num_images), np.uint16)
    drawn = class_replicates(match_areas(problem), weights, score_threshold=math.nan)
    expected = 0.0 if num_objects else math.nan
    for name in ("map_50_95", "ar_1", "precision", "recall", "f1", "map_small"):
        np.testing.assert_array_equal(drawn[name], np.full((2, 1), expected))


def test_a_fault_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(bootstrap, "class_verdicts", broken)
    with pytest.raises(MemoryError):
        class_replicates(match_areas(random_problem(1)), np.ones((1, 6), np.uint16), score_threshold=0.5)


def test_thresholds_that_the_numbers_need() -> None:
    by_area = match_areas(random_problem(1), iou_thresholds=np.array([0.6]))
    with pytest.raises(ValueError, match="is none of"):
        class_replicates(by_area, np.ones((1, 6), np.uint16), score_threshold=0.5)


def test_weights_are_a_drawing_with_replacement() -> None:
    weights = draw_weights(50, replicates=400, seed=3)
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    # each count is binomial (50, 1/50): mean 1, variance 49/50; of 20,000 counts
    assert abs(weights.var() - 0.98) < 0.06
    # every image alike: the mean of 400 counts has a standard error of 0.05
    assert np.abs(weights.mean(axis=0) - 1).max() < 0.25
    assert (weights[0] != weights[1]).any()


def test_more_replicates_begin_with_the_same_ones() -> None:
    few, many = (draw_weights(9, replicates=count, seed=4) for count in (3, 8))
    np.testing.assert_array_equal(few, many[:3])
    assert (draw_weights(9, replicates=3, seed=5) != few).any()


def test_percentiles() -> None:
    values = np.append(np.arange(101.0), np.nan)
    assert percentile_interval(values, 0.9, bounds=(0, 100)) == pytest.approx((5, 95))
    assert percentile_interval(values, 0.9, bounds=(10, 90)) == (10, 90)
    assert all(math.isnan(end) for end in percentile_interval(np.array([np.nan]), 0.9, bounds=(0, 1)))


def test_centred_replicates_keep_their_spread() -> None:
    values = np.array([0.1, np.nan, 0.3, 0.8])
    moved = centred(values, 0.2)
    assert np.nanmean(moved) == pytest.approx(0.2)
    np.testing.assert_allclose(moved - values, [-0.2, np.nan, -0.2, -0.2])
    assert np.isnan(centred(np.full(3, np.nan), math.nan)).all()


def test_replicates_of_average_precision_are_too_high_on_average() -> None:
    """Why they are centred: objects of their own on 60 images, detections right or wrong at random."""
    generator = np.random.default_rng(0)
    box, away = [0.0, 0.0, 40.0, 40.0], [90.0, 90.0, 99.0, 99.0]
    right = generator.random(120) < 0.5
    images = np.arange(120) % 60
    problem = Problem(
        ImageTable.of_ids([str(index) for index in range(60)]),
        ("thing",),
        TruthSet.from_xyxy([box] * 60, [0] * 60, range(60)),
        DetectionSet.from_xyxy([box if one else away for one in right], generator.random(120), [0] * 120, images),
    )
    weights = draw_weights(60, replicates=500, seed=0)
    drawn = class_replicates(match_areas(problem), weights, score_threshold=0.5)
    assert drawn["map_50"].mean() > summarise(problem).map_50 + 0.01
    # and recall is not: the mean of 500 with a standard deviation below 0.06
    assert drawn["ar_100"].mean() == pytest.approx(summarise(problem).ar_100, abs=0.01)


def test_large_problems_get_fewer_replicates() -> None:
    counts = [automatic_replicates(10**power) for power in range(10)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (1000, 200)


@pytest.mark.parametrize(
    ("replicates", "level"), [(0, 0.95), (-1, 0.95), (10, 0.0), (10, 1.0), (10, 95.0), (9, math.nan)]
)
def test_arguments_without_meaning(replicates: int, level: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        check_arguments(replicates, level)
