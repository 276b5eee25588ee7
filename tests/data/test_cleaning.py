import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.data.account import DataAccount
from yolo.data.cleaning import Box, RawObject, clean_objects
from yolo.structures import GroundTruth

SIZE_HW = (20, 40)


def _clean(*boxes: Box) -> tuple[GroundTruth, DataAccount]:
    account = DataAccount("train")
    objects = [RawObject(f"object {number}", 0, box) for number, box in enumerate(boxes, start=1)]
    return clean_objects(objects, SIZE_HW, path=Path("a.xml"), account=account), account


def test_a_good_box_stays_as_it_is() -> None:
    truth, account = _clean((1.5, 2, 30, 20))
    np.testing.assert_array_equal(truth.boxes, [[1.5, 2, 30, 20]])
    np.testing.assert_allclose(truth.area, [28.5 * 18])
    assert not account.issues


def test_up_to_a_pixel_over_the_border_is_cut_silently() -> None:
    truth, account = _clean((-1, -1, 41, 21))
    np.testing.assert_array_equal(truth.boxes, [[0, 0, 40, 20]])
    assert not account.issues


def test_more_than_a_pixel_is_cut_and_told() -> None:
    truth, account = _clean((-2, 3, 10, 99))
    np.testing.assert_array_equal(truth.boxes, [[0, 3, 10, 20]])
    assert account.objects_clipped == 1
    assert str(account.issues[0]) == (
        "a.xml, object 1: box (-2, 3, 10, 99) cut to (0, 3, 10, 20) in an image of 40 x 20"
    )


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((math.nan, 0, 1, 1), "not_finite"),
        ((0, 0, math.inf, 1), "not_finite"),
        ((5, 0, 4, 9), "inverted"),
        ((0, 9, 4, 5), "inverted"),
        ((5, 5, 5, 9), "degenerate"),  # no width
        ((50, 5, 60, 9), "degenerate"),  # right of the image: nothing is left of it
        ((-9, 5, 0, 9), "degenerate"),  # ends on the left border
        ((20, 5, 20 + 1e-9, 9), "degenerate"),  # float32 does not tell the corners apart
    ],
)
def test_an_unfit_box_goes_and_the_others_stay(box: Box, kind: str) -> None:
    truth, account = _clean((0, 0, 5, 5), box, (6, 6, 9, 9))
    assert len(truth) == 2
    assert account.objects_dropped == {kind: 1}
    assert account.issues[0].line_or_object == "object 2"


def test_exact_duplicates_go_but_not_boxes_of_another_class() -> None:
    account = DataAccount("train")
    box = (0.0, 0.0, 5.0, 5.0)
    objects = [RawObject("1", 0, box), RawObject("2", 1, box), RawObject("3", 0, box)]
    truth = clean_objects(objects, SIZE_HW, path=Path("a.txt"), account=account)
    assert truth.labels.tolist() == [0, 1]
    assert account.objects_dropped == {"duplicate": 1}
    assert account.issues[0].line_or_object == "3"


def test_flags_and_a_stated_area_are_kept() -> None:
    objects = [RawObject("1", 2, (0, 0, 4, 4), difficult=True, iscrowd=True, area=7.0)]
    truth = clean_objects(objects, SIZE_HW, path=Path("a"), account=DataAccount("train"))
    assert (truth.difficult.tolist(), truth.iscrowd.tolist(), truth.area.tolist()) == ([True], [True], [7.0])


def test_no_objects_are_an_empty_ground_truth() -> None:
    truth, _ = _clean()
    assert truth.boxes.shape == (0, 4)


@given(st.lists(st.tuples(*[st.floats(width=32)] * 4), max_size=8))
def test_whatever_comes_in_only_usable_boxes_come_out(boxes: list[Box]) -> None:
    truth, account = _clean(*boxes)
    x1, y1, x2, y2 = truth.boxes.T
    assert ((x1 >= 0) & (y1 >= 0) & (x2 <= 40) & (y2 <= 20) & (x2 > x1) & (y2 > y1)).all()
    assert len(truth) + account.objects_dropped.total() == len(boxes)
