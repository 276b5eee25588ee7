import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.evaluation.operating_point import ScoredVerdicts, at_threshold, best_threshold, f1_curves


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
    assert best_threshold(TWO_CLASSES, np.array([0, 1])) == 0.4
    assert best_threshold(TWO_CLASSES, np.array([0])) == 0.4
    assert best_threshold(TWO_CLASSES, np.array([1])) == 0.6


def test_hand_computed_rates() -> None:
    point = at_threshold(TWO_CLASSES, 0.4)
    np.testing.assert_allclose(point.precision, [2 / 3, 1])
    np.testing.assert_allclose(point.recall, [1, 1])
    np.testing.assert_allclose(point.f1, [4 / 5, 1])
    below = at_threshold(TWO_CLASSES, 0.95)
    assert below.precision.tolist() == below.recall.tolist() == below.f1.tolist() == [0, 0]


def test_hand_computed_curve() -> None:
    first, second = f1_curves(TWO_CLASSES)
    for threshold, expected in ((0, 4 / 5), (40, 4 / 5), (41, 1 / 2), (80, 1 / 2), (81, 2 / 3), (91, 0), (100, 0)):
        assert first[threshold] == pytest.approx(expected), threshold
    assert second[0] == pytest.approx(2 / 3)
    assert second[60] == 1


def test_equal_scores_are_kept_or_dropped_together() -> None:
    # after the first of the two F1 would be 1, but no threshold can part them
    tied = make([[(0.5, "T"), (0.5, "F"), (0.7, "F")]], [1])
    assert best_threshold(tied, np.array([0])) == 0.5
    assert at_threshold(tied, 0.5).precision.tolist() == [1 / 3]


def test_a_class_without_objects_takes_no_part() -> None:
    verdicts = make([[(0.9, "F")], [(0.2, "T")]], [0, 1])
    assert best_threshold(verdicts, np.array([0, 1])) == 0.2
    assert math.isnan(best_threshold(verdicts, np.array([0])))
    assert math.isnan(at_threshold(verdicts, 0.2).f1[0])
    assert np.isnan(f1_curves(verdicts)[0]).all()


def test_objects_without_detections() -> None:
    verdicts = make([[]], [3])
    threshold = best_threshold(verdicts, np.array([0]))
    assert math.isnan(threshold)
    point = at_threshold(verdicts, threshold)
    assert (point.precision[0], point.recall[0], point.f1[0]) == (0, 0, 0)
    assert f1_curves(verdicts).tolist() == [[0.0] * 101]


detections_of_a_class = st.lists(
    st.tuples(st.integers(0, 10).map(lambda tenths: tenths / 10), st.sampled_from("TFi")), max_size=12
)


@given(classes=st.lists(detections_of_a_class, min_size=1, max_size=3), extra=st.integers(0, 2))
def test_no_threshold_is_better_and_none_as_good_is_higher(classes: list[list[tuple[float, str]]], extra: int) -> None:
    instances = [sum(letter == "T" for _, letter in one) + extra for one in classes]
    verdicts = make(classes, instances)
    best = best_threshold(verdicts, np.arange(len(classes)))
    counted = [index for index, count in enumerate(instances) if count]
    if not any(classes[index] for index in counted):
        assert math.isnan(best)
        return

    def mean_f1(threshold: float) -> float:
        return float(np.nanmean(at_threshold(verdicts, threshold).f1))

    for threshold in {score for index in counted for score, _ in classes[index]}:
        assert mean_f1(threshold) <= mean_f1(best) + 1e-12
        if threshold > best:
            assert mean_f1(threshold) < mean_f1(best) + 1e-12
