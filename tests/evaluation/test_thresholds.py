import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yolo.evaluation import Evaluator
from yolo.evaluation.thresholds import ScoredVerdicts, threshold_table
from yolo.structures import Detections, GroundTruth
from yolo.thresholds import SCORE_POINTS, ThresholdTable


def table_of(scores_hit: list[tuple[float, bool]], instances: int) -> ThresholdTable:
    """One class; a detection that hits lies on an object of its own, another far away."""
    hits = [place for place, (_, hit) in enumerate(scores_hit) if hit]
    objects = [[20 * place, 0, 20 * place + 10, 10] for place in hits]
    objects += [[20 * place, 500, 20 * place + 10, 510] for place in range(instances - len(hits))]
    boxes = [
        [20 * place, 0 if hit else 900, 20 * place + 10, 10 if hit else 910]
        for place, (_, hit) in enumerate(scores_hit)
    ]
    evaluator = Evaluator(["a", "never seen"])
    detections = Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor([score for score, _ in scores_hit], dtype=torch.float32),
        torch.zeros(len(boxes), dtype=torch.int64),
        (1000, 1000),
    )
    evaluator.update("1", detections, GroundTruth.from_boxes(objects, [0] * len(objects)))
    return threshold_table(evaluator.compute())


# By falling score: hit, hit, miss, hit, miss. Precision 1, 1, 2/3, 3/4, 3/5 and recall 1/4, 2/4, 2/4, 3/4, 3/4.
MIXED = [(0.9, True), (0.8, True), (0.6, False), (0.5, True), (0.3, False)]


def test_best_f1_is_exact_and_nan_for_a_class_without_objects() -> None:
    # F1 = 2 * hits / (kept + objects): 2/5, 4/6, 4/7, 6/8, 6/9: highest with four kept
    chosen = table_of(MIXED, 4).best_f1()
    assert chosen.values[0] == pytest.approx(0.5)
    assert math.isnan(chosen.values[1])
    assert chosen.out_of_reach == ()


def test_wanted_precision_takes_the_lowest_threshold_that_has_it() -> None:
    table = table_of(MIXED, 4)
    # 3/4 down to the score 0.5; the float32 of 0.6 and 0.3 lie a little above
    assert table.for_precision(0.75).values[0] == pytest.approx(0.31)
    assert table.for_precision(0.9).values[0] == pytest.approx(0.61)
    assert table.for_precision(0.6).values[0] == 0.0


def test_wanted_recall_takes_the_highest_threshold_that_has_it() -> None:
    table = table_of(MIXED, 4)
    assert table.for_recall(0.5).values[0] == pytest.approx(0.8)
    assert table.for_recall(0.75).values[0] == pytest.approx(0.5)


def test_out_of_reach_is_named_and_answered_by_what_comes_closest() -> None:
    recall = table_of(MIXED, 4).for_recall(0.9)
    assert recall.out_of_reach == ("a",)
    assert recall.values[0] == 0.0
    precision = table_of([(0.9, False), (0.5, True)], 1).for_precision(0.9)
    assert precision.out_of_reach == ("a",)
    assert precision.values[0] == 0.0  # 1 of 2; above 0.5 it is 0 of 1


def test_a_class_without_a_right_detection_has_no_best_threshold_and_no_precision() -> None:
    table = table_of([(0.9, False), (0.4, False)], 2)
    assert math.isnan(table.best_f1().values[0])
    precision = table.for_precision(0.5)
    assert (precision.values[0], precision.out_of_reach) == (math.inf, ("a",))
    assert table.for_recall(0.5).values[0] == 0.0


def test_nothing_detected_chooses_nothing() -> None:
    table = table_of([], 3)
    for chosen in (table.best_f1(), table.for_precision(0.9), table.for_recall(0.9)):
        assert np.isnan(chosen.values).all()
        assert chosen.out_of_reach == ()


def test_there_and_back_through_json() -> None:
    table = table_of(MIXED, 4)
    back = ThresholdTable.from_dict(json.loads(json.dumps(table.to_dict(), allow_nan=False)))
    assert back.class_names == table.class_names
    for name in ("instances", "best", "true_positives", "false_positives"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))


@pytest.mark.parametrize("change", [{"true_positives": [[1, 2]]}, {"best": [0.5]}, {"instances": "x"}])
def test_a_table_of_another_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        ThresholdTable.from_dict(table_of(MIXED, 4).to_dict() | change)


@given(st.lists(st.tuples(st.integers(1, 99), st.booleans()), max_size=12), st.integers(0, 3), st.integers(0, 20))
def test_no_other_grid_threshold_serves_better(found: list[tuple[int, bool]], more: int, wanted: int) -> None:
    # halves of a hundredth, so that no score lies on a threshold
    scored = [((score + 0.5) / 100, hit) for score, hit in found]
    instances = sum(hit for _, hit in scored) + more
    if not instances or not scored:
        return
    table, goal = table_of(scored, instances), wanted / 20

    def at(threshold: float) -> tuple[float, float]:
        kept = [hit for score, hit in scored if score >= threshold]
        return (sum(kept) / len(kept) if kept else -1.0), sum(kept) / instances

    grid = np.linspace(0, 1, 101)
    reach = [t for t in grid if at(t)[0] >= goal]
    chosen = table.for_precision(goal)
    assert chosen.values[0] == (reach[0] if reach else pytest.approx(chosen.values[0]))
    assert bool(chosen.out_of_reach) == (not reach)
    reach = [t for t in grid if at(t)[1] >= goal - 1e-9]
    chosen = table.for_recall(goal)
    assert chosen.values[0] == (reach[-1] if reach else 0.0)
    assert bool(chosen.out_of_reach) == (not reach)


def make(classes: list[list[tuple[float, str]]], instances: list[int]) -> ScoredVerdicts:
    """Detections of each class as (score, T or F or i), in any order."""
    ordered = [sorted(one, key=lambda pair: -pair[0]) for one in classes]
    flat = [pair for one in ordered for pair in one]
    letters = np.array([letter for _, letter in flat], dtype=str)
    return ScoredVerdicts(
        scores=np.array([score for score, _ in flat], np.float64),
        bounds=np.cumsum([0, *(len(one) for one in ordered)]),
        true_positive=letters == "T",
        false_positive=letters == "F",
        instances=np.array(instances),
    )


# Class 0, two objects: F1 is 2/(1+2) from 0.9 down, 2/4 from 0.8, 4/5 from 0.4.
# Class 1, one object: F1 is 1 from 0.6 down, 2/3 from 0.3.
# Their mean is 1/3 (0.9), 1/4 (0.8), 3/4 (0.6), 9/10 (0.4), 0.4 + 1/3 (0.3).
TWO_CLASSES = make([[(0.9, "T"), (0.8, "F"), (0.4, "T")], [(0.6, "T"), (0.3, "F")]], [2, 1])


def test_hand_computed_best_threshold() -> None:
    assert TWO_CLASSES.best_threshold(np.array([0, 1])) == 0.4
    assert TWO_CLASSES.best_threshold(np.array([0])) == 0.4
    assert TWO_CLASSES.best_threshold(np.array([1])) == 0.6


def test_hand_computed_counts() -> None:
    hits, misses = TWO_CLASSES.counts_at(np.array([0.95, 0.4]))
    assert (hits.tolist(), misses.tolist()) == ([[0, 2], [0, 1]], [[0, 1], [0, 0]])
    assert TWO_CLASSES.f1(hits, misses).tolist() == [[0, 4 / 5], [0, 1]]


def test_hand_computed_curve() -> None:
    first, second = TWO_CLASSES.f1(*TWO_CLASSES.counts_at(SCORE_POINTS))
    for threshold, expected in ((0, 4 / 5), (40, 4 / 5), (41, 1 / 2), (80, 1 / 2), (81, 2 / 3), (91, 0), (100, 0)):
        assert first[threshold] == pytest.approx(expected), threshold
    assert second[0] == pytest.approx(2 / 3)
    assert second[60] == 1


def test_equal_scores_are_kept_or_dropped_together() -> None:
    # after the first of the two F1 would be 1, but no threshold can part them
    tied = make([[(0.5, "T"), (0.5, "F"), (0.7, "F")]], [1])
    assert tied.best_threshold(np.array([0])) == 0.5
    assert [one.tolist() for one in tied.counts_at(np.array([0.5]))] == [[[1]], [[2]]]


def test_a_class_without_objects_takes_no_part() -> None:
    verdicts = make([[(0.9, "F")], [(0.2, "T")]], [0, 1])
    assert verdicts.best_threshold(np.array([0, 1])) == 0.2
    assert math.isnan(verdicts.best_threshold(np.array([0])))
    assert np.isnan(verdicts.f1(*verdicts.counts_at(SCORE_POINTS))[0]).all()
    np.testing.assert_array_equal(verdicts.best_thresholds(), [math.nan, 0.2])


def test_objects_without_detections() -> None:
    verdicts = make([[]], [3])
    threshold = verdicts.best_threshold(np.array([0]))
    assert math.isnan(threshold)
    assert verdicts.f1(*verdicts.counts_at(SCORE_POINTS)).tolist() == [[0.0] * 101]
    assert math.isnan(verdicts.best_thresholds()[0])


detections_of_a_class = st.lists(
    st.tuples(st.integers(0, 10).map(lambda tenths: tenths / 10), st.sampled_from("TFi")), max_size=12
)


@given(classes=st.lists(detections_of_a_class, min_size=1, max_size=3), extra=st.integers(0, 2))
def test_no_threshold_is_better_and_none_as_good_is_higher(classes: list[list[tuple[float, str]]], extra: int) -> None:
    instances = [sum(letter == "T" for _, letter in one) + extra for one in classes]
    verdicts = make(classes, instances)
    best = verdicts.best_threshold(np.arange(len(classes)))
    counted = [index for index, count in enumerate(instances) if count]
    if not any(classes[index] for index in counted):
        assert math.isnan(best)
        return

    def mean_f1(threshold: float) -> float:
        return float(np.nanmean(verdicts.f1(*verdicts.counts_at(np.array([threshold])))))

    for threshold in {score for index in counted for score, _ in classes[index]}:
        assert mean_f1(threshold) <= mean_f1(best) + 1e-12
        if threshold > best:
            assert mean_f1(threshold) < mean_f1(best) + 1e-12
