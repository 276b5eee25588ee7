"""Intervals of the bootstrap: shares whose interval is known, and what a reader relies on."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.problems import one_class
from tests.reference.slow_bootstrap import SUMMARY_NAMES, random_problem
from yolo.detection_sets import EvaluationData, TruthSet
from yolo.evaluation.bootstrap import (
    Interval,
    Intervals,
    bootstrap_intervals,
    percentile_interval,
)
from yolo.evaluation.matching import match
from yolo.evaluation.replicates import class_replicates, draw_weights
from yolo.evaluation.summary import summarise


def intervals_of(problem: EvaluationData, *, replicates: int = 200, level: float = 0.95, seed: int = 0) -> Intervals:
    return bootstrap_intervals(match(problem), summarise(problem), replicates=replicates, level=level, seed=seed)


def one_object_each(found: list[bool]) -> EvaluationData:
    """One object on each image; a detection with score 0.9 where it is found."""
    rows = [(image, 0.9, True) for image, is_found in enumerate(found) if is_found]
    return one_class(rows, range(len(found)), num_images=len(found))


def test_the_interval_of_a_share_is_that_of_a_share() -> None:
    # 60 of 100 objects found, one on each image: recall is the mean of 100 draws of 0 or 1,
    # its standard error sqrt(0.6 * 0.4 / 100) = 0.049, the 95 % interval 0.6 -+ 1.96 * 0.049
    intervals = intervals_of(one_object_each([index % 5 < 3 for index in range(100)]), replicates=2000)
    for name in ("ar_100", "recall", "ar_medium"):
        assert intervals.headline[name] == pytest.approx((0.504, 0.696), abs=0.012)
    # every detection is right, so AP is the share of recall points that is reached, next to recall itself
    assert intervals.headline["map_50"] == pytest.approx((0.504, 0.696), abs=0.022)
    assert intervals.class_ap_50[0] == intervals.headline["map_50"]
    assert intervals.headline["precision"] == (1.0, 1.0)


def test_images_that_are_alike_leave_nothing_to_chance() -> None:
    intervals = intervals_of(one_object_each([True] * 7))
    for name, interval in intervals.headline.items():
        if name.endswith(("small", "large")):  # the objects have 1,600 px²
            assert all(math.isnan(end) for end in interval)
        else:
            assert interval == (1.0, 1.0)


def test_names_order_and_what_was_asked_for() -> None:
    problem = random_problem(1, num_images=30)
    result, intervals = summarise(problem), intervals_of(problem, replicates=300, seed=7)
    assert set(intervals.headline) == {*SUMMARY_NAMES, "precision", "recall", "f1"}
    assert (intervals.replicates, intervals.level, intervals.seed) == (300, 0.95, 7)
    assert len(intervals.class_ap_50) == len(intervals.class_ap_50_95) == 3
    for name, (low, high) in intervals.headline.items():
        assert 0 <= low < getattr(result, name) < high <= 1, name
    for one, interval in zip(result.per_class, intervals.class_ap_50_95, strict=True):
        assert interval.low <= one.ap_50_95 <= interval.high


def test_centred_on_the_number_with_the_spread_of_the_replicates() -> None:
    problem = random_problem(5, num_images=40)
    result, matches = summarise(problem), match(problem)
    intervals = bootstrap_intervals(matches, result, replicates=100, level=0.8, seed=2)
    weights = draw_weights(40, replicates=100, seed=2)
    drawn = class_replicates(matches, weights, score_threshold=result.score_threshold)
    first, second, _ = result.per_class
    for values, number, interval in (
        (drawn["map_50_95"].mean(axis=1), result.map_50_95, intervals.headline["map_50_95"]),
        (drawn["map_50"][:, 1], second.ap_50, intervals.class_ap_50[1]),
        (drawn["map_50_95"][:, 0], first.ap_50_95, intervals.class_ap_50_95[0]),
    ):
        expected = np.quantile(values - values.mean(), [0.1, 0.9]) + number
        assert interval == pytest.approx(tuple(expected), abs=1e-12)


def test_no_interval_reaches_beyond_0_and_1() -> None:
    low, high = intervals_of(one_object_each([True] * 19 + [False]), level=0.99).headline["recall"]
    assert 0.7 < low < 0.95
    assert high == 1
    assert intervals_of(one_object_each([True] + [False] * 19), level=0.99).headline["recall"].low == 0


def test_a_higher_level_is_wider() -> None:
    problem = random_problem(2, num_images=30)
    narrow, wide = (intervals_of(problem, level=level).headline["map_50"] for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_seed_decides() -> None:
    problem = random_problem(4, num_images=20)
    first, again, other = (intervals_of(problem, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.headline["map_50_95"] != other.headline["map_50_95"]


def test_four_times_the_images_halve_the_interval() -> None:
    widths = []
    for repeats in (1, 4):
        low, high = intervals_of(one_object_each([True, True, False] * 20 * repeats), replicates=1000).headline[
            "recall"
        ]
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.15)


def test_a_rare_class_is_judged_by_the_replicates_that_have_it() -> None:
    # class 1 is on one image of 12: not drawn in (11/12)^12 = 35 % of the replicates
    problem = one_object_each([True] * 12)
    labels = np.array([0] * 11 + [1])
    problem = replace(
        problem,
        class_names=("common", "rare"),
        truths=replace(problem.truths, labels=labels),
        detections=replace(problem.detections, labels=labels),
    )
    assert (draw_weights(12, replicates=200, seed=0)[:, 11] == 0).any()
    intervals = intervals_of(problem)
    assert intervals.class_ap_50 == (Interval(1.0, 1.0), Interval(1.0, 1.0))
    assert intervals.headline["map_50"] == Interval(1.0, 1.0)


def test_nothing_to_measure() -> None:
    empty = replace(one_object_each([False] * 3), truths=TruthSet.from_xyxy([], [], []))
    for interval in intervals_of(empty).headline.values():
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
    missed = intervals_of(one_object_each([False] * 3))
    assert missed.headline["map_50_95"] == missed.headline["f1"] == (0.0, 0.0)
    assert math.isnan(intervals_of(one_object_each([])).headline["map_50"].low), "no image at all"


def test_as_many_replicates_as_the_size_allows() -> None:
    problem = one_object_each([True, False])
    assert bootstrap_intervals(match(problem), summarise(problem)).replicates == 1000


def test_limits_on_detections_are_those_of_the_result() -> None:
    problem = random_problem(9, num_images=20)
    limits = (1, 2, 3)
    result, matches = summarise(problem, max_detections=limits), match(problem, max_detections=3)
    intervals = bootstrap_intervals(matches, result, replicates=300, max_detections=limits)
    for name in ("ar_1", "ar_10", "ar_100"):
        assert intervals.headline[name].low < getattr(result, name) < intervals.headline[name].high


def test_a_result_of_another_problem() -> None:
    problem, other = one_object_each([True] * 3), one_object_each([True] * 4)
    with pytest.raises(ValueError, match="another problem"):
        bootstrap_intervals(match(problem), summarise(other))


def test_percentiles() -> None:
    values = np.append(np.arange(101.0), np.nan)
    assert percentile_interval(values, 0.9, bounds=(0, 100)) == pytest.approx((5, 95))
    assert percentile_interval(values, 0.9, bounds=(10, 90)) == (10, 90)
    assert all(math.isnan(end) for end in percentile_interval(np.array([np.nan]), 0.9, bounds=(0, 1)))


@pytest.mark.parametrize(
    ("replicates", "level"), [(0, 0.95), (-1, 0.95), (10, 0.0), (10, 1.0), (10, 95.0), (9, math.nan)]
)
def test_arguments_without_meaning(replicates: int, level: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        intervals_of(one_object_each([True]), replicates=replicates, level=level)
