"""One class with weights on its images: cases by hand, and lists of verdicts that are really repeated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.slow_bootstrap import random_problem, slow_average_precision, slow_envelope
from yolo.analysis.weighted_class import _points_reached, average_precision, class_verdicts, operating_point, recall
from yolo.detection_sets import DetectionSet, ImageTable, Problem, TruthSet
from yolo.evaluation.average_precision import RECALL_POINTS
from yolo.evaluation.matched import Matched, match_areas, match_problem

BOX = [0.0, 0.0, 10.0, 10.0]
AWAY = [50.0, 50.0, 60.0, 60.0]


def one_class(rows: list[tuple[int, float, bool]], object_images: list[int], num_images: int) -> Matched:
    """`rows` holds (image, score, lies on the object)."""
    return match_problem(
        Problem(
            ImageTable.of_ids([str(index) for index in range(num_images)]),
            ("thing",),
            TruthSet.from_xyxy([BOX] * len(object_images), [0] * len(object_images), object_images),
            DetectionSet.from_xyxy(
                [BOX if right else AWAY for _, _, right in rows],
                [score for _, score, _ in rows],
                [0] * len(rows),
                [image for image, _, _ in rows],
            ),
        ),
        iou_thresholds=np.array([0.5]),
    )


def test_by_hand() -> None:
    # image 0: found with 0.9; image 1: a false positive with 0.8, then found with 0.7
    matched = one_class([(0, 0.9, True), (1, 0.8, False), (1, 0.7, True)], [0, 1], 2)
    verdicts = class_verdicts(matched, 0)
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
    precision, found, f1 = operating_point(matched, 0, weights, iou=0.5, score_threshold=0.8)
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
    matched = one_class(detections, objects, len(rows) + 1)
    actual = average_precision(class_verdicts(matched, 0), weight[None].astype(np.uint16))[0, 0]

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
        matched = one_class([(index, 0.5, True) for index in range(found)], list(range(instances)), instances)
        actual = average_precision(class_verdicts(matched, 0), np.ones((1, instances), np.uint16))[0, 0]
        assert actual == pytest.approx(np.count_nonzero(found / instances >= RECALL_POINTS) / 101, abs=1e-15)


def test_all_quotients_of_small_counts_reach_their_points() -> None:
    for instances in range(1, 400):
        reached = _points_reached(np.array([instances]))[0]
        quotients = np.arange(instances + 1) / instances
        np.testing.assert_array_equal(reached, np.searchsorted(RECALL_POINTS, quotients, side="right"))


def test_few_detections_are_exceptions() -> None:
    """The running sum over usual detections is worth its name: what counts at one threshold mostly counts at all."""
    problem = random_problem(2, num_images=50)
    verdicts = class_verdicts(match_areas(problem)["all"], 0)
    assert all(len(one.exceptions) < len(verdicts.usual) / 4 for one in verdicts.thresholds)


def test_a_class_without_anything() -> None:
    matched = one_class([], [], 2)
    verdicts, weights = class_verdicts(matched, 0), np.ones((3, 2), np.uint16)
    assert np.isnan(average_precision(verdicts, weights)).all()
    assert np.isnan(recall(verdicts, weights, (1, 100))).all()
    for values in operating_point(matched, 0, weights, iou=0.5, score_threshold=0.5):
        assert np.isnan(values).all()


def test_detections_without_objects_have_no_numbers() -> None:
    matched = one_class([(0, 0.5, True)], [], 1)
    weights = np.ones((1, 1), np.uint16)
    assert np.isnan(average_precision(class_verdicts(matched, 0), weights)).all()
    assert np.isnan(operating_point(matched, 0, weights, iou=0.5, score_threshold=0.1)[0]).all()
