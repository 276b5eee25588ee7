"""The steps one by one; the rule as a whole is tested in `test_voc`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference.slow_matching import as_problem
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.ranking import rank_detections
from yolo.evaluation.voc_rule import (
    RECALL_POINTS,
    average_precision,
    judge,
    meet,
    precision_after_each,
    recall_after_each,
)

Placed = tuple[int, Sequence[float]]  # class and box

BOX, HALF, FAR = [0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]


def met(found: Sequence[Placed], objects: Sequence[Placed], **options: Any) -> list[int]:
    """The object of each detection, all of one image, at any IoU unless told."""
    labels, boxes = [label for label, _ in found], [box for _, box in found]
    detections = DetectionSet.from_xyxy(boxes, np.ones(len(boxes)), labels, np.zeros(len(boxes)))
    truths = TruthSet.from_xyxy([box for _, box in objects], [label for label, _ in objects], np.zeros(len(objects)))
    problem = as_problem((detections, truths), classes=9)
    ranking = rank_detections(problem, max_detections=None, ties_by_image=False)
    places: list[int] = meet(
        problem, ranking, **{"match_iou": 0.01, "plus_one": True, "strict": True, **options}
    ).tolist()
    return places


def flags(letters: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """True and false positives of T, F and i for ignored."""
    return np.array([one == "T" for one in letters], bool), np.array([one == "F" for one in letters], bool)


def test_each_detection_meets_the_best_object_of_its_class() -> None:
    # HALF has 50 of the 100 pixels of BOX
    objects = [(7, HALF), (3, BOX), (7, BOX), (7, FAR)]
    assert met([(7, BOX), (3, HALF), (7, HALF), (5, BOX)], objects) == [2, 1, 0, -1]


def test_the_first_of_equal_ious_is_met() -> None:
    assert met([(0, BOX), (0, HALF)], [(0, HALF), (0, BOX), (0, BOX), (0, HALF)]) == [1, 0]
    # though an object that overlaps less comes before, and one after
    assert met([(0, BOX)], [(0, HALF), (0, [0, 0, 10, 8]), (0, [0, 2, 10, 10]), (0, HALF)]) == [1]


def test_ious_that_differ_in_the_last_digits_are_not_equal() -> None:
    almost = float(np.nextafter(10, 0))
    assert met([(0, BOX)], [(0, [0, 0, 10, almost]), (0, BOX)]) == [1]
    assert met([(0, BOX)], [(0, BOX), (0, [0, 0, 10, almost])]) == [0]


def test_an_iou_of_exactly_the_threshold_passes_only_if_not_strict() -> None:
    found, objects = [(0, HALF)], [(0, BOX)]
    assert met(found, objects, match_iou=0.5, strict=True) == [-1]
    assert met(found, objects, match_iou=0.5, strict=False) == [0]
    assert met(found, objects, match_iou=0.5, strict=False, plus_one=False) == [-1]


def test_nothing_to_meet() -> None:
    assert met([], []) == met([], [(0, BOX)]) == []
    assert met([(0, BOX)], []) == [-1]


def test_the_first_to_claim_an_object_is_true_and_ignored_objects_count_for_nothing() -> None:
    hit, miss = judge(np.array([2, -1, 0, 2, 1, 0, 1]), np.array([False, True, False]))
    assert hit.tolist() == flags("TFTFiFi")[0].tolist()
    assert miss.tolist() == flags("TFTFiFi")[1].tolist()


def test_curves_have_an_entry_for_each_detection() -> None:
    hit, miss = flags("iTFiT")
    assert precision_after_each(hit, miss).tolist() == [0, 1, 1 / 2, 1 / 2, 2 / 3]
    assert recall_after_each(hit, 4).tolist() == [0, 1 / 4, 1 / 4, 1 / 4, 2 / 4]
    assert np.isnan(recall_after_each(hit, 0)).all()


def test_recall_points_are_numpys_to_the_last_bit() -> None:
    np.testing.assert_array_equal(RECALL_POINTS, np.arange(0.0, 1.1, 0.1))


@pytest.mark.parametrize(("hits", "points"), [(2, 3), (3, 3), (4, 5), (5, 6), (6, 6), (7, 7), (8, 9), (10, 11)])
def test_recalls_of_exactly_3_6_and_7_tenths_do_not_reach_their_point(hits: int, points: int) -> None:
    # all right, of ten objects; 2 of 10 reach the points 0, .1 and .2
    hit, miss = flags("T" * hits)
    assert average_precision(hit, miss, 10, interpolation="11-point") == points / 11


def test_all_point_is_the_area_under_the_envelope_and_11_point_reads_it_at_11_recalls() -> None:
    # precision 1, 1/2, 2/3, 1/2, 3/5 at recall 1/4, 1/4, 2/4, 2/4, 3/4
    hit, miss = flags("TFTFT")
    expected = (1 + 2 / 3 + 3 / 5) / 4
    assert average_precision(hit, miss, 4, interpolation="all-point") == pytest.approx(expected, abs=1e-15)
    # recall 0, .1, .2 at precision 1; .3, .4, .5 at 2/3; .6, .7 at 3/5; .8, .9, 1 not reached
    expected = (3 + 3 * 2 / 3 + 2 * 3 / 5) / 11
    assert average_precision(hit, miss, 4, interpolation="11-point") == pytest.approx(expected, abs=1e-15)


def test_the_envelope_reaches_back_over_worse_precision() -> None:
    # precision 0, 1/2, 2/3 at recall 0, 1/4, 2/4: the envelope is 2/3 up to 2/4
    hit, miss = flags("FTT")
    assert average_precision(hit, miss, 4, interpolation="all-point") == pytest.approx(2 / 3 * 2 / 4)
    # recall 0, .1, .2, .3, .4 and .5
    assert average_precision(hit, miss, 4, interpolation="11-point") == pytest.approx(2 / 3 * 6 / 11)


@pytest.mark.parametrize("letters", ["", "i", "F", "iFi"])
def test_no_true_positive_is_zero_and_no_object_is_nan(letters: str) -> None:
    hit, miss = flags(letters)
    assert average_precision(hit, miss, 3, interpolation="11-point") == 0
    assert average_precision(hit, miss, 3, interpolation="all-point") == 0
    assert math.isnan(average_precision(hit, miss, 0, interpolation="11-point"))
    assert math.isnan(average_precision(hit, miss, 0, interpolation="all-point"))
