"""Replicates of an evaluation, against copies of images that are really made and evaluated."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.problems import BOX, one_class, problem_of
from tests.reference.slow_bootstrap import (
    SUMMARY_NAMES,
    random_problem,
    slow_average_precision,
    slow_envelope,
    slow_replicate,
    untied,
)
from yolo.detection_sets import EvaluationData
from yolo.evaluation import replicates
from yolo.evaluation.average_precision import RECALL_POINTS
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.replicates import (
    ClassVerdicts,
    Weights,
    average_precision,
    class_replicates,
    class_verdicts,
    draw_weights,
    mean_over_classes,
    operating_point,
    recall,
)
from yolo.evaluation.summary import summarise

LIMITS = (1, 3, 7)


def check_against_copies(
    problem: EvaluationData,
    weights: Weights,
    *,
    score_threshold: float,
    limits: tuple[int, int, int] = (1, 10, 100),
    distinct_on_image: bool = False,
) -> None:
    matches = match(problem, max_detections=limits[-1])
    drawn = class_replicates(matches, weights, score_threshold=score_threshold, max_detections=limits)
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
@settings(max_examples=15)
def test_replicates_are_evaluations_of_the_copied_images(seed: int, distinct: bool) -> None:
    problem = random_problem(seed, distinct_on_image=distinct)
    weights = draw_weights(len(problem.images), replicates=4, seed=seed)
    check_against_copies(problem, weights, score_threshold=0.5, limits=LIMITS, distinct_on_image=distinct)


@pytest.mark.parametrize("seed", range(2))
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
    drawn = class_replicates(match(problem), once, score_threshold=result.score_threshold)
    for name in (*SUMMARY_NAMES, "precision", "recall", "f1"):
        np.testing.assert_allclose(mean_over_classes(drawn[name])[0], getattr(result, name), rtol=0, atol=1e-12)


def test_the_number_of_threads_and_the_size_of_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem(3, num_images=30)
    matches, weights = match(problem), draw_weights(30, replicates=20, seed=1)
    results = []
    for cores, elements in ((1, 1 << 20), (3, 1 << 20), (2, 1)):
        monkeypatch.setattr(replicates, "available_cores", lambda count=cores: count)
        monkeypatch.setattr(replicates, "_BATCH_ELEMENTS", elements)
        results.append(class_replicates(matches, weights, score_threshold=0.5))
    for name, values in results[0].items():
        for other in results[1:]:
            np.testing.assert_array_equal(values, other[name])


def test_a_class_that_is_not_drawn_is_left_out_of_the_mean() -> None:
    # class 0 on image 0 is found, class 1 on image 1 is not
    problem = problem_of([(0, 0.9, BOX, 0)], [(0, BOX, 0), (1, BOX, 1)], sizes_hw=[(0, 0)] * 2)
    weights = np.array([[1, 1], [2, 0], [0, 2]], np.uint16)
    drawn = class_replicates(match(problem), weights, score_threshold=0.5)
    np.testing.assert_array_equal(drawn["map_50"], [[1, 0], [1, np.nan], [np.nan, 0]])
    assert mean_over_classes(drawn["map_50"]).tolist() == [0.5, 1.0, 0.0]
    assert mean_over_classes(drawn["recall"]).tolist() == [0.5, 1.0, 0.0]
    # 1,600 px² is medium
    assert np.isnan(drawn["map_small"]).all()
    np.testing.assert_array_equal(drawn["map_medium"], drawn["map_50"])


@pytest.mark.parametrize(("num_images", "num_objects"), [(0, 0), (3, 0), (3, 2)])
def test_nothing_found(num_images: int, num_objects: int) -> None:
    problem = one_class([], [0] * num_objects, num_images=num_images)
    weights = np.ones((2, num_images), np.uint16)
    drawn = class_replicates(match(problem), weights, score_threshold=math.nan)
    expected = 0.0 if num_objects else math.nan
    for name in ("map_50_95", "ar_1", "precision", "recall", "f1", "map_medium"):
        np.testing.assert_array_equal(drawn[name], np.full((2, 1), expected))


def test_a_fault_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(replicates, "class_verdicts", broken)
    with pytest.raises(MemoryError):
        class_replicates(match(random_problem(1)), np.ones((1, 6), np.uint16), score_threshold=0.5)


def test_thresholds_that_the_numbers_need() -> None:
    matches = match(random_problem(1), iou_thresholds=np.array([0.6]))
    with pytest.raises(ValueError, match="is none of"):
        class_replicates(matches, np.ones((1, 6), np.uint16), score_threshold=0.5)


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


def test_replicates_of_average_precision_are_too_high_on_average() -> None:
    """Why they are centred: objects of their own on 60 images, detections right or wrong at random."""
    generator = np.random.default_rng(0)
    right, scores = generator.random(120) < 0.5, generator.random(120)
    found = [(place % 60, float(scores[place]), bool(right[place])) for place in range(120)]
    problem = one_class(found, range(60), num_images=60)
    weights = draw_weights(60, replicates=500, seed=0)
    drawn = class_replicates(match(problem), weights, score_threshold=0.5)
    assert drawn["map_50"].mean() > summarise(problem).map_50 + 0.01
    # and recall is not: the mean of 500 with a standard deviation below 0.06
    assert drawn["ar_100"].mean() == pytest.approx(summarise(problem).ar_100, abs=0.01)


def match_half(found: list[tuple[int, float, bool]], objects: list[int], *, num_images: int) -> Matches:
    """`one_class` matched at IoU 0.5 alone."""
    return match(one_class(found, objects, num_images=num_images), iou_thresholds=np.array([0.5]))


def verdicts_of(matches: Matches) -> ClassVerdicts:
    """The first class."""
    return class_verdicts(matches, matches.verdicts(), 0)


def test_by_hand() -> None:
    # image 0: found with 0.9; image 1: a false positive with 0.8, then found with 0.7
    matches = match_half([(0, 0.9, True), (1, 0.8, False), (1, 0.7, True)], [0, 1], num_images=2)
    verdicts = verdicts_of(matches)
    weights = np.array([[1, 1], [2, 1], [1, 3], [0, 2], [2, 0]], np.uint16)
    expected = [
        # precision 1 up to recall 1/2: points 0..0.50; then 2/3: the other 50
        (51 + 50 * 2 / 3) / 101,
        # T T F T: precision 1 up to recall 2/3: points 0..0.66; then 3/4
        (67 + 34 * 3 / 4) / 101,
        # T F F F T T T: precision 1 up to 1/4: points 0..0.25; then 4/7 throughout, the last copy's
        (26 + 75 * 4 / 7) / 101,
        # F F T T: 1/2 throughout
        1 / 2,
        1.0,
    ]
    assert average_precision(verdicts, weights)[:, 0].tolist() == pytest.approx(expected, abs=1e-15)
    assert recall(verdicts, weights, (1, 100)).tolist() == [
        # with one detection of each image the one with 0.7 is not looked at
        [1 / 2, 1], [2 / 3, 1], [1 / 4, 1], [0, 1], [1, 1],
    ]  # fmt: skip
    precision, found, f1 = operating_point(matches, matches.at(0.5), 0, weights, score_threshold=0.8)
    assert precision.tolist() == [1 / 2, 2 / 3, 1 / 4, 0, 1]
    assert found.tolist() == [1 / 2, 2 / 3, 1 / 4, 0, 1]
    assert f1.tolist() == pytest.approx([1 / 2, 2 / 3, 1 / 4, 0, 1])


verdict_lists = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=25)


@given(verdict_lists)
def test_the_envelope_at_every_copy_is_that_at_the_last(rows: list[tuple[bool, int]]) -> None:
    """The fact that weights rest on: copies of a true positive next to each other need not be told apart."""
    hit, weight = (np.array(column) for column in zip(*rows, strict=True))
    hit = hit.astype(bool)
    envelope = np.array(slow_envelope(hit.repeat(weight).tolist()))
    hits, misses = (hit * weight).cumsum(), (~hit * weight).cumsum()
    own = np.where(hit, hits / np.maximum(hits + misses, 1), 0.0)  # at the last copy, and only of true positives
    from_last_copies = np.maximum.accumulate(own[::-1])[::-1]
    true_positive = hit.repeat(weight)
    np.testing.assert_array_equal(envelope[true_positive], from_last_copies.repeat(weight)[true_positive])


@given(verdict_lists, st.integers(0, 3))
def test_average_precision_of_a_list_that_is_really_repeated(rows: list[tuple[bool, int]], missed: int) -> None:
    """Each detection on an image of its own, equal scores in their order, and an image with objects nobody finds."""
    detections = [(index, 0.5, right) for index, (right, _) in enumerate(rows)]
    objects = [index for index, (right, _) in enumerate(rows) if right] + [len(rows)]
    weight = np.array([count for _, count in rows] + [missed])
    matches = match_half(detections, objects, num_images=len(rows) + 1)
    actual = average_precision(verdicts_of(matches), weight[None].astype(np.uint16))[0, 0]

    hits = np.array([right for right, _ in rows]).repeat(weight[:-1]).tolist()
    instances = int(weight[objects].sum())
    if instances == 0:
        assert math.isnan(actual)
        return
    assert actual == pytest.approx(slow_average_precision(hits, instances), abs=1e-14)


@pytest.mark.parametrize("instances", [1, 2, 3, 7, 25, 50, 99, 100, 101, 200, 300, 777])
def test_recall_points_are_reached_as_pycocotools_reaches_them(instances: int) -> None:
    """All detections right, `instances` objects: precision is 1 up to the last hit, so AP counts the points reached."""
    for found in {1, instances // 3, instances // 2, instances - 1, instances} - {0}:
        rows = [(index, 0.5, True) for index in range(found)]
        matches = match_half(rows, list(range(instances)), num_images=instances)
        actual = average_precision(verdicts_of(matches), np.ones((1, instances), np.uint16))[0, 0]
        assert actual == pytest.approx(np.count_nonzero(found / instances >= RECALL_POINTS) / 101, abs=1e-15)


def test_few_detections_are_exceptions() -> None:
    """The running sum over usual detections is worth its name: what counts at one threshold mostly counts at all."""
    problem = random_problem(2, num_images=50)
    verdicts = verdicts_of(match(problem))
    assert all(len(one.exceptions) < len(verdicts.usual) / 4 for one in verdicts.thresholds)


@pytest.mark.parametrize("found", [[], [(0, 0.5, True)]])
def test_without_objects_there_are_no_numbers(found: list[tuple[int, float, bool]]) -> None:
    matches = match_half(found, [], num_images=2)
    verdicts, weights = verdicts_of(matches), np.ones((3, 2), np.uint16)
    assert np.isnan(average_precision(verdicts, weights)).all()
    assert np.isnan(recall(verdicts, weights, (1, 100))).all()
    for values in operating_point(matches, matches.at(0.5), 0, weights, score_threshold=0.1):
        assert np.isnan(values).all()
