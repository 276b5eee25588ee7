"""The steps one by one; the rule as a whole is tested in `test_voc`."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from yolo.evaluation import voc_rule
from yolo.evaluation.voc_rule import (
    RECALL_POINTS,
    average_precision,
    best_objects,
    judge,
    precision_after_each,
    recall_after_each,
)

Placed = tuple[int, Sequence[float]]  # group and box

BOX, HALF, FAR = [0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]


def meet(found: Sequence[Placed], objects: Sequence[Placed], *, plus_one: bool = True) -> tuple[list[int], list[float]]:
    """Object and IoU of each detection."""
    best, iou = best_objects(
        np.array([box for _, box in found], np.float32).reshape(-1, 4),
        np.array([group for group, _ in found], np.int64),
        truth_boxes=np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        truth_group=np.array([group for group, _ in objects], np.int64),
        plus_one=plus_one,
    )
    return best.tolist(), iou.tolist()


def flags(letters: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """True and false positives of T, F and i for ignored."""
    return np.array([one == "T" for one in letters], bool), np.array([one == "F" for one in letters], bool)


def test_each_detection_meets_the_best_object_of_its_group() -> None:
    # HALF has 50 of the 100 pixels of BOX
    objects = [(7, HALF), (3, BOX), (7, BOX), (7, FAR)]
    assert meet([(7, BOX), (3, HALF), (7, HALF), (5, BOX)], objects) == ([2, 1, 0, -1], [1, 0.5, 1, 0])


def test_without_plus_one_the_boxes_of_the_file_are_a_pixel_smaller() -> None:
    # 9 x 4 of 9 x 9 pixels
    assert meet([(0, HALF)], [(0, BOX)], plus_one=False) == ([0], [36 / 81])


def test_without_plus_one_boxes_of_a_single_pixel_have_no_area_and_overlap_nothing() -> None:
    pixel = [(0, [3, 3, 4, 4])]
    assert meet(pixel, pixel, plus_one=True) == ([0], [1])
    assert meet(pixel, pixel, plus_one=False) == ([0], [0])


@pytest.mark.parametrize("plus_one", [True, False])
def test_boxes_turned_inside_out_overlap_nothing(plus_one: bool) -> None:
    assert meet([(0, [8, 8, 2, 2])], [(0, BOX)], plus_one=plus_one) == ([0], [0])


def test_the_largest_boxes_there_are_give_no_warning() -> None:
    huge = float(np.finfo(np.float32).max)
    (_, (iou,)) = meet([(0, [-huge, -huge, huge, huge])], [(0, BOX)])
    assert 0 <= iou < 1e-70


def test_the_first_of_equal_ious_is_met_and_the_first_object_if_none_overlaps() -> None:
    assert meet([(0, BOX), (0, [20, 0, 30, 9])], [(0, HALF), (0, BOX), (0, BOX)]) == ([1, 0], [1, 0])


def test_ious_that_differ_in_the_last_digits_are_not_equal() -> None:
    # heights 10 - 1e-6, as near as float32 has them, and 10
    almost = float(np.nextafter(np.float32(10), np.float32(0)))
    assert meet([(0, BOX)], [(0, [0, 0, 10, almost]), (0, BOX)])[0] == [1]


def test_nothing_to_meet() -> None:
    assert meet([], []) == meet([], [(0, BOX)]) == ([], [])
    assert meet([(0, BOX)], []) == ([-1], [0])


def test_pairs_do_not_depend_on_how_many_are_examined_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)

    def boxes(count: int) -> list[Placed]:
        corner, size = generator.integers(0, 4, (count, 2)), generator.integers(1, 7, (count, 2))
        rows: list[list[int]] = np.concatenate((corner, corner + size), axis=1).tolist()
        return list(zip(generator.integers(0, 4, count).tolist(), rows, strict=True))

    found, objects = boxes(60), boxes(20)
    whole = meet(found, objects)
    for limit in (1, 7, 50):
        monkeypatch.setattr(voc_rule, "_PAIRS_AT_ONCE", limit)
        assert meet(found, objects) == whole


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
