"""Comparing two detectors: hand-made differences, p-values that mean what they say, problems that do not fit."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.problems import AWAY, BOX, one_class
from tests.reference.slow_bootstrap import copied, random_problem, slow_replicate
from yolo.detection_sets import EvaluationData, ImageTable, TruthSet
from yolo.evaluation import comparison as comparison_module
from yolo.evaluation.bootstrap import bootstrap_intervals
from yolo.evaluation.comparison import HEADLINE, compare, default_paired_replicates, holm, p_value_of
from yolo.evaluation.matching import AREA_RANGES, match
from yolo.evaluation.replicates import class_replicates, draw_weights, mean_over_classes
from yolo.evaluation.summary import summarise


def found_on(images: list[int], num_images: int, *, wrong: tuple[int, ...] = (), score: float = 0.9) -> EvaluationData:
    """One object on each image; it is found on `images`; a false positive of score 0.8 on each of `wrong`."""
    found = [(image, score, True) for image in images] + [(image, 0.8, False) for image in wrong]
    return one_class(found, range(num_images), num_images=num_images)


def with_detections_of(problem: EvaluationData, other: EvaluationData) -> EvaluationData:
    return replace(problem, detections=other.detections)


def test_identical_detections_do_not_differ() -> None:
    problem = random_problem(1, num_images=20)
    comparison = compare(problem, problem, replicates=100)
    for one in (*comparison.headline, *comparison.class_ap_50, *comparison.class_ap_50_95):
        assert one.a == one.b
        assert (one.interval, one.p_value, one.p_adjusted) == ((0.0, 0.0), 1.0, 1.0)
    assert not comparison.images
    assert (comparison.num_better, comparison.num_worse, comparison.num_images) == (0, 0, 20)


def test_a_clearly_better_detector() -> None:
    a, b = found_on(list(range(0, 60, 2)), 60), found_on(list(range(55)), 60)
    comparison = compare(a, b, replicates=400, seed=3)
    assert tuple(one.name for one in comparison.headline) == HEADLINE
    by_name = {one.name: one for one in comparison.headline}
    for name in ("map_50_95", "map_50", "map_75", "map_medium", "ar_100", "recall"):
        one = by_name[name]
        assert one.interval.low > 0.2
        # of 400 replicates not one goes the other way
        assert one.p_value == pytest.approx(2 / 401)
    assert by_name["recall"].a == 0.5
    assert by_name["recall"].b == 55 / 60
    # found by B only: the odd images below 55; by A only: the even one of those from 55 on, 56 and 58
    assert (comparison.num_better, comparison.num_worse) == (27, 2)
    # both are right whenever they answer
    assert by_name["precision"].p_value == 1
    for name in ("map_small", "map_large"):
        assert math.isnan(by_name[name].p_value)
        assert math.isnan(by_name[name].p_adjusted)
        assert math.isnan(by_name[name].interval.low)
    assert (comparison.level, comparison.replicates, comparison.seed) == (0.95, 400, 3)


def test_the_other_way_round() -> None:
    a = random_problem(1, num_images=25)
    b = with_detections_of(a, replace_scores(a, seed=5))
    forth, back = compare(a, b, replicates=150), compare(b, a, replicates=150)
    for one, other in zip((*forth.headline, *forth.class_ap_50), (*back.headline, *back.class_ap_50), strict=True):
        assert (one.a, one.b) == (other.b, other.a)
        assert one.interval == pytest.approx((-other.interval.high, -other.interval.low), abs=1e-12)
        assert one.p_value == other.p_value
    assert (forth.num_better, forth.num_worse) == (back.num_worse, back.num_better)
    assert {one.image: one.change for one in forth.images} == {one.image: -one.change for one in back.images}


def replace_scores(problem: EvaluationData, *, seed: int) -> EvaluationData:
    scores = np.random.default_rng(seed).integers(1, 11, len(problem.detections)) / 10
    return replace(problem, detections=replace(problem.detections, scores=scores))


def test_differences_are_those_of_copied_images() -> None:
    """Both detectors see the same draw, so a replicate is two evaluations of the same copies."""
    a = random_problem(6, num_images=12)
    b = with_detections_of(a, replace_scores(a, seed=2))
    comparison = compare(a, b, replicates=8, level=0.5, seed=9)
    thresholds = [summarise(one).score_threshold for one in (a, b)]
    assert comparison.score_thresholds == tuple(thresholds)
    drawn = []
    for weights in draw_weights(12, replicates=8, seed=9).tolist():
        of_a, of_b = (
            slow_replicate(one, weights, score_threshold=threshold)
            for one, threshold in zip((a, b), thresholds, strict=True)
        )
        drawn.append(
            [of_b[0][name] - of_a[0][name] for name in HEADLINE] + [*(of_b[1] - of_a[1]), *(of_b[2] - of_a[2])]
        )
    for column, one in enumerate((*comparison.headline, *comparison.class_ap_50, *comparison.class_ap_50_95)):
        values = np.array([row[column] for row in drawn])
        expected = np.quantile(values[~np.isnan(values)], [0.25, 0.75]) + (one.b - one.a) - np.nanmean(values)
        assert one.interval == pytest.approx(tuple(expected), abs=1e-12)


def test_pairing_takes_out_what_both_share() -> None:
    """B finds one object more than A of a hundred: the difference is far surer than either number."""
    a, b = found_on(list(range(50)), 100), found_on(list(range(55)), 100)
    by_name = {one.name: one for one in compare(a, b, replicates=500).headline}
    low, high = by_name["recall"].interval
    alone = bootstrap_intervals(match(a), summarise(a), replicates=500).headline["recall"]
    assert high - low < (alone.high - alone.low) / 2
    # the five that only B finds are missing from a replicate with a chance of 0.95^100 = 0.6 %
    assert by_name["recall"].p_value < 0.05


def test_images_by_hand() -> None:
    # A finds 0, 1, 2 and is wrong on 3; B finds 0, 2, 3 and is wrong twice on 4
    a = found_on([0, 1, 2], 6, wrong=(3,), score=0.8)
    b = found_on([0, 2, 3], 6, wrong=(4, 4), score=0.8)
    comparison = compare(a, b, replicates=10)
    assert comparison.score_thresholds == (0.8, 0.8)
    assert [(one.image, one.found, one.wrong, one.objects, one.change) for one in comparison.images] == [
        (3, (0, 1), (1, 0), 1, 2),
        (1, (1, 0), (0, 0), 1, -1),
        (4, (0, 0), (0, 2), 1, -2),
    ]
    assert (comparison.num_better, comparison.num_worse, comparison.num_images) == (1, 2, 6)


def test_an_image_behind_the_last_object() -> None:
    a, b = found_on([0], 2, wrong=(1,), score=0.8), found_on([0], 2, score=0.8)
    a, b = (replace(one, truths=one.truths[:1]) for one in (a, b))
    (change,) = compare(a, b, replicates=5).images
    assert (change.image, change.objects, change.change) == (1, 0, 1)


def test_each_detector_keeps_its_own_threshold() -> None:
    """Scores of B are halved: nothing but the threshold changes."""
    a = found_on([0, 1, 2, 3], 6, wrong=(4, 5))
    b = replace(a, detections=replace(a.detections, scores=a.detections.scores / 2))
    comparison = compare(a, b, replicates=50)
    assert comparison.score_thresholds == (0.9, 0.45)
    assert all(one.p_value == 1 for one in comparison.headline if not math.isnan(one.p_value))
    assert not comparison.images


def test_a_detector_that_finds_nothing() -> None:
    a = found_on([], 8)
    comparison = compare(a, found_on(list(range(8)), 8), replicates=99)
    by_name = {one.name: one for one in comparison.headline}
    assert (by_name["map_50"].a, by_name["map_50"].b) == (0.0, 1.0)
    assert by_name["map_50"].interval == (1.0, 1.0)
    assert by_name["f1"].p_value == pytest.approx(0.02)
    assert math.isnan(comparison.score_thresholds[0])
    assert comparison.num_better == 8
    nothing = compare(a, a, replicates=20)
    assert nothing.headline[0].p_value == 1


def test_no_images_at_all() -> None:
    comparison = compare(found_on([], 0), found_on([], 0), replicates=5)
    assert all(math.isnan(one.p_value) for one in comparison.headline)
    assert not comparison.images


def test_p_values_by_hand() -> None:
    # of 9 replicates 1 is at most 0: twice (1 + 1) / (9 + 1)
    assert p_value_of(np.array([1, 2, 3, 4, 5, 6, 7, 8, -1.0])) == pytest.approx(0.4)
    # zeros count on both sides: 3 are at most 0, 8 at least
    assert p_value_of(np.array([0, 0, 1, 1, 1, 1, 1, 1, -1.0])) == pytest.approx(0.8)
    assert p_value_of(np.array([-1.0, np.nan, -1.0, -1.0])) == pytest.approx(0.5)
    assert p_value_of(np.array([1.0])) == 1
    assert math.isnan(p_value_of(np.array([np.nan])))


def test_the_last_bit_of_a_sum_is_no_difference() -> None:
    for rounding in (3e-16, 9e-13):
        one = comparison_module._difference("x", (0.5, 0.5 + rounding), np.full(99, rounding), 0.95)
        assert (one.interval, one.p_value) == ((0.0, 0.0), 1.0)
    small_but_real = comparison_module._difference("x", (0.5, 0.5 + 1.2e-12), np.full(99, 1.2e-12), 0.95)
    assert small_but_real.p_value == 0.02


def test_holm_by_hand() -> None:
    # 4 * 0.01, 3 * 0.02, 2 * 0.022 < 0.06, 1 * 0.3
    assert holm([0.02, 0.01, 0.3, 0.022]) == pytest.approx([0.06, 0.04, 0.3, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    adjusted = holm([math.nan, 0.04])
    assert math.isnan(adjusted[0])
    assert adjusted[1] == 0.04


def test_classes_are_corrected_for_their_number_and_headlines_are_not() -> None:
    a = random_problem(8, num_images=40)
    b = with_detections_of(a, replace_scores(a, seed=1))
    comparison = compare(a, b, replicates=200)
    for classes in (comparison.class_ap_50, comparison.class_ap_50_95):
        assert [one.name for one in classes] == list(a.class_names)
        assert [one.p_adjusted for one in classes] == holm([one.p_value for one in classes])
        smallest = min(classes, key=lambda one: one.p_value)
        assert smallest.p_adjusted == pytest.approx(min(1, 3 * smallest.p_value))
    assert all(one.p_adjusted == one.p_value for one in comparison.headline if not math.isnan(one.p_value))
    results = summarise(a), summarise(b)
    assert [one.a for one in comparison.class_ap_50_95] == [one.ap_50_95 for one in results[0].per_class]
    assert [one.b for one in comparison.class_ap_50] == [one.ap_50 for one in results[1].per_class]


def test_p_values_of_equal_detectors_are_spread_evenly_and_of_a_better_one_small() -> None:
    """Two detectors that find each object with the same chance, 60 times; then one that finds more."""
    generator = np.random.default_rng(0)
    p_values: dict[float, list[float]] = {0.6: [], 0.8: []}
    for chance, collected in p_values.items():
        for seed in range(60):
            drawn = []
            for own in (0.6, chance):
                problem = found_on(np.flatnonzero(generator.random(80) < own).tolist(), 80)
                matches = match(problem, area_ranges={"all": AREA_RANGES["all"]}, iou_thresholds=np.array([0.5, 0.75]))
                weights = draw_weights(80, replicates=100, seed=seed)
                drawn.append(mean_over_classes(class_replicates(matches, weights, score_threshold=0.5)["recall"]))
            collected.append(p_value_of(drawn[1] - drawn[0]))
    equal = np.array(p_values[0.6])
    # of 60 evenly spread values 6 are expected below 0.1, with a standard deviation of 2.3, and 30 below 0.5 (3.9)
    assert 1 <= np.count_nonzero(equal < 0.1) <= 12
    assert 19 <= np.count_nonzero(equal < 0.5) <= 41
    assert np.median(p_values[0.8]) < 0.05


def test_rare_classes_that_are_not_drawn() -> None:
    """A class on one image only: replicates without it say nothing about it."""
    a = random_problem(3, num_images=10, num_classes=6)
    comparison = compare(a, with_detections_of(a, replace_scores(a, seed=4)), replicates=60)
    for one, result in zip(comparison.class_ap_50, summarise(a).per_class, strict=True):
        assert math.isnan(one.p_value) == (result.instances == 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ("other",)}, "classes differ: 'thing' is only in A"),
        ({"class_names": ("thing", "other")}, "classes differ: 'other' is only in B"),
        ({"images": ImageTable.of_ids(["image 0", "image 2", "image 9"])}, "images differ: 'image 1' is only in A"),
        ({"images": ImageTable.of_ids(["image 1", "image 0", "image 2"])}, "images differ: they are in another order"),
        ({"truths": TruthSet.from_xywh([BOX], [0], [0])}, "A has 3 objects, B has 1"),
        (
            {"truths": TruthSet.from_xywh([BOX, AWAY, BOX], [0] * 3, range(3))},
            "1 objects differ in boxes, the first on image 'image 1'",
        ),
        (
            {"truths": TruthSet.from_xywh([BOX] * 3, [0] * 3, range(3), iscrowd=[False, False, True])},
            "1 objects differ in iscrowd, the first on image 'image 2'",
        ),
        ({"truths": TruthSet.from_xywh([BOX] * 3, [0] * 3, range(3), area=[5, 5, 1600])}, "2 objects differ in area"),
    ],
)
def test_problems_that_are_not_the_same(change: dict[str, object], message: str) -> None:
    a = found_on([0], 3)
    with pytest.raises(ValueError, match=message):
        compare(a, replace(a, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(("replicates", "level"), [(0, 0.9), (5, 0.0)])
def test_bad_arguments(replicates: int, level: float) -> None:
    a = found_on([0], 3)
    with pytest.raises(ValueError, match="must be"):
        compare(a, a, replicates=replicates, level=level)


def test_replicates_by_themselves() -> None:
    a = found_on([0, 1], 3)
    assert compare(a, a).replicates == default_paired_replicates(2, 1) == 1000
    # enough for the smallest p-value of one of 80 classes to survive Holm's correction at 0.05
    assert 80 * 2 / (default_paired_replicates(500_000, 80) + 1) < 0.05
    assert default_paired_replicates(10**9, 80) == 200


def test_numbers_by_size_use_a_thousand_replicates_at_most() -> None:
    comparison = compare(found_on([], 2), found_on([0, 1], 2), replicates=1999)
    by_name = {one.name: one for one in comparison.headline}
    assert by_name["map_50"].p_value == pytest.approx(2 / 2000)
    assert by_name["map_medium"].p_value == pytest.approx(2 / 1001)
    assert by_name["map_medium"].interval == (1.0, 1.0)


def test_copies_of_the_images_double_nothing_but_the_evidence() -> None:
    a, b = found_on(list(range(8)), 20), found_on(list(range(3, 14)), 20)
    twice = [copied(one, [4] * 20) for one in (a, b)]
    few, many = compare(a, b, replicates=600), compare(*twice, replicates=600)
    one, other = ({diff.name: diff for diff in each.headline}["recall"] for each in (few, many))
    assert (one.a, one.b) == (other.a, other.b)
    assert other.p_value < one.p_value
    assert other.interval.high - other.interval.low < one.interval.high - one.interval.low
