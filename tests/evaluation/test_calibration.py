"""Calibration: bins by hand, temperatures that are known, and what cannot be measured."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.evaluation.problems import BOX, one_class, problem_of
from tests.reference.slow_bootstrap import random_problem
from yolo.arrays import Float64
from yolo.evaluation.calibration import Calibration, apply_temperature, bin_scores, calibrate, fit_temperature
from yolo.evaluation.matching import match


def calibration_of(rows: list[tuple[float, bool]], *, num_bins: int = 15) -> Calibration:
    """Of detections (score, right), each on an image of its own with one object."""
    found = [(image, score, right) for image, (score, right) in enumerate(rows)]
    return calibrate(match(one_class(found, range(len(rows)), num_images=len(rows))), num_bins=num_bins)


def likelihood(scores: Float64, right: NDArray[np.bool_], temperature: float) -> float:
    chance = scores.clip(1e-6, 1 - 1e-6)
    logit = (np.log(chance) - np.log1p(-chance)) / temperature
    return float(-np.logaddexp(0, np.where(right, -logit, logit)).sum())


def test_by_hand() -> None:
    # two bins: 0.1 wrong, 0.3 right | 0.6 right, 0.8 wrong, 1.0 right
    result = calibration_of([(0.1, False), (0.3, True), (0.6, True), (0.8, False), (1.0, True)], num_bins=2)
    assert result.edges.tolist() == [0.0, 0.5, 1.0]
    assert result.counts.tolist() == [2, 3]
    assert result.mean_score.tolist() == pytest.approx([0.2, 0.8])
    assert result.precision.tolist() == pytest.approx([1 / 2, 2 / 3])
    # gaps 0.3 and 0.8 - 2/3 = 2/15
    assert result.ece == pytest.approx((2 * 0.3 + 3 * 2 / 15) / 5)
    assert result.mce == pytest.approx(0.3)
    assert result.brier == pytest.approx((0.01 + 0.49 + 0.16 + 0.64 + 0) / 5)
    assert (result.num_detections, result.num_shown, result.note) == (5, 5, "")
    assert result.ece_shown == result.ece


def test_a_bin_has_its_lower_edge_and_the_last_one_both() -> None:
    edges = np.linspace(0, 1, 5)
    bins = bin_scores(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.array([False, True, True, True, True]), edges)
    assert bins.counts.tolist() == [1, 1, 1, 2]
    assert bins.mean_score.tolist() == [0.0, 0.25, 0.5, 0.875]


def test_empty_bins_have_no_rates_and_no_weight() -> None:
    result = calibration_of([(0.9, True)], num_bins=3)
    np.testing.assert_array_equal(result.mean_score, [np.nan, np.nan, 0.9])
    np.testing.assert_array_equal(result.precision, [np.nan, np.nan, 1.0])
    assert result.ece == result.mce == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.integers(1, 20))
def test_against_one_bin_after_the_other(rows: list[tuple[float, bool]], num_bins: int) -> None:
    result = calibration_of(rows, num_bins=num_bins)
    ece, largest = 0.0, 0.0
    for index in range(num_bins):
        low, high = result.edges[index], result.edges[index + 1]
        own = [(s, right) for s, right in rows if low <= s < high or (index == num_bins - 1 and s == high)]
        assert result.counts[index] == len(own)
        if own:
            gap = abs(sum(s for s, _ in own) - sum(right for _, right in own)) / len(own)
            ece, largest = ece + gap * len(own) / len(rows), max(largest, gap)
    assert result.ece == pytest.approx(ece, abs=1e-12)
    assert result.mce == pytest.approx(largest, abs=1e-12)
    assert result.counts.sum() == result.num_detections == len(rows)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(true_temperature: float) -> None:
    generator = np.random.default_rng(0)
    chance = generator.uniform(0.02, 0.98, 20_000)
    right = generator.random(20_000) < chance
    too_sure = apply_temperature(chance, 1 / true_temperature)  # undone by the temperature
    temperature, note = fit_temperature(too_sure, right)
    assert temperature == pytest.approx(true_temperature, rel=0.04)
    assert note == ""


def test_the_temperature_lowers_the_error() -> None:
    generator = np.random.default_rng(1)
    chance = generator.uniform(0.02, 0.98, 600)
    rows = list(zip(apply_temperature(chance, 1 / 3).tolist(), (generator.random(600) < chance).tolist(), strict=True))
    result = calibration_of(rows)
    assert result.temperature == pytest.approx(3, rel=0.2)
    assert result.ece > 0.1
    assert result.ece_after < result.ece / 2


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=20))
def test_no_other_temperature_is_likelier(rows: list[tuple[float, bool]]) -> None:
    scores, right = np.array([s for s, _ in rows]), np.array([one for _, one in rows])
    temperature, note = fit_temperature(scores, right)
    if math.isnan(temperature):
        assert "0.5" in note
        return
    assert 0.01 <= temperature <= 100
    best = likelihood(scores, right, temperature)
    for other in [*np.geomspace(0.01, 100, 41).tolist(), temperature * 1.01, temperature / 1.01]:
        if 0.01 <= other <= 100:
            assert best >= likelihood(scores, right, other) - 1e-9 * abs(best)


def test_scores_that_tell_nothing_and_scores_that_tell_all() -> None:
    backwards = calibration_of([(0.9, False), (0.1, True)])
    assert backwards.temperature == 100
    assert "no temperature helps" in backwards.note
    clear_cut = calibration_of([(0.6, True), (0.4, False)])
    assert clear_cut.temperature == 0.01
    assert "cold" in clear_cut.note
    assert clear_cut.ece_after == pytest.approx(0, abs=1e-12)


def test_every_score_one_half() -> None:
    result = calibration_of([(0.5, True), (0.5, False), (0.5, False)])
    assert math.isnan(result.temperature)
    assert math.isnan(result.ece_after)
    assert result.ece == pytest.approx(0.5 - 1 / 3)
    assert "0.5" in result.note


def test_extreme_scores_stay_finite() -> None:
    result = calibration_of([(1.0, False), (0.0, True), (1.0, True), (1.0, True), (0.0, False), (0.0, False)])
    # logit of 1 - 1e-6 is 13.8; two of three are right at 1, one of three at 0, so sigmoid(13.8 / T) = 2/3: T = 19.93
    assert result.temperature == pytest.approx(math.log(999_999) / math.log(2), rel=1e-6)
    assert result.ece == pytest.approx(1 / 3)
    assert result.ece_after == pytest.approx(0, abs=1e-6)


def test_scores_outside_are_clipped_and_counted() -> None:
    result = calibration_of([(1.25, True), (-0.5, False), (0.7, True)])
    assert result.counts.sum() == 3
    assert result.brier == pytest.approx(0.09 / 3)
    assert result.note.startswith("2 scores outside 0..1 were clipped")


def test_the_mass_of_low_scores_is_measured_apart() -> None:
    # 98 detections of 0.01 that are wrong, two of 0.9 of which one is right
    result = calibration_of([(0.01, False)] * 98 + [(0.9, True), (0.9, False)])
    assert result.ece == pytest.approx((98 * 0.01 + 2 * 0.4) / 100)
    assert (result.num_shown, result.num_detections) == (2, 100)
    assert result.ece_shown == pytest.approx(0.4)
    assert calibration_of([(0.05, False)]).num_shown == 1
    assert math.isnan(calibration_of([(0.04, False)]).ece_shown)


def test_nothing_that_counts() -> None:
    result = calibration_of([])
    assert result.num_detections == result.num_shown == 0
    assert result.counts.tolist() == [0] * 15
    for value in (result.ece, result.mce, result.brier, result.temperature, result.ece_after, result.ece_shown):
        assert math.isnan(value)
    assert "nothing to measure" in result.note


def test_detections_that_do_not_count_are_left_out() -> None:
    matches = match(random_problem(0, num_images=60))
    _, hit, miss = matches.at(0.5)
    used = hit | miss
    assert 0 < used.sum() < len(used)
    result = calibrate(matches)
    assert result.num_detections == result.counts.sum() == used.sum()
    scores, right = matches.problem.detections.scores[used], hit[used]
    assert result.brier == pytest.approx(((scores - right) ** 2).mean())


def test_the_outcome_is_that_at_half_overlap() -> None:
    # IoU 0.6: right at 0.5 and wrong at 0.75, whatever the order of the thresholds
    problem = problem_of([(0, 0.9, [0, 0, 40, 24], 0)], [(0, BOX, 0)])
    result = calibrate(match(problem, iou_thresholds=np.array([0.75, 0.5])))
    assert np.nanmax(result.precision) == 1
    with pytest.raises(ValueError, match="is none of"):
        calibrate(match(problem, iou_thresholds=np.array([0.75])))


def test_no_bins() -> None:
    with pytest.raises(ValueError, match="num_bins"):
        calibration_of([], num_bins=0)


def test_fifteen_bins_unless_asked_for_others() -> None:
    assert len(calibrate(match(random_problem(0, num_images=2))).counts) == 15
