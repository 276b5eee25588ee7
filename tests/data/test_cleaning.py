import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.slow_cleaning import Box, slow_clean
from yolo.data.cleaning import BoxPolicy, clean_objects
from yolo.formats.issues import MAX_ISSUES_PER_KIND, ReadReport
from yolo.formats.objects import RawObject, RawSource, object_columns, sizes_array
from yolo.structures import GroundTruth

SIZE_HW = (20, 40)


def _source(rows: list[RawObject], *, inclusive: float = 0.0, sizes: list[tuple[int, int]] | None = None) -> RawSource:
    sizes = sizes or [SIZE_HW]
    objects, numbers = object_columns(rows)
    return RawSource(
        image_ids=[str(number) for number in range(len(sizes))],
        paths=[f"{number}.jpg" for number in range(len(sizes))],
        sizes_hw=sizes_array(sizes),
        objects=objects,
        numbers=numbers,
        class_names=("a", "b"),
        place=lambda image, number: (f"{image}.xml", f"object {number}"),
        inclusive=inclusive,
    )


def _clean(*boxes: Box, policy: BoxPolicy = "fix") -> tuple[GroundTruth, ReadReport]:
    account = ReadReport("train")
    rows = [RawObject(*box, 0, 0, number) for number, box in enumerate(boxes, start=1)]
    truth, _ = clean_objects(_source(rows), policy=policy, report=account)
    return truth, account


def test_a_good_box_stays_as_it_is() -> None:
    truth, account = _clean((1.5, 2, 30, 20))
    np.testing.assert_array_equal(truth.boxes, [[1.5, 2, 30, 20]])
    np.testing.assert_allclose(truth.area, [28.5 * 18])
    assert truth.boxes.dtype == truth.area.dtype == np.float32
    assert not account.issues


@pytest.mark.parametrize("policy", ["fix", "drop"])
def test_up_to_a_pixel_over_the_border_is_cut_silently(policy: BoxPolicy) -> None:
    truth, account = _clean((-1, -1, 41, 21), policy=policy)
    np.testing.assert_array_equal(truth.boxes, [[0, 0, 40, 20]])
    assert not account.issues


def test_a_click_without_a_drag_in_voc_is_dropped_as_equal_corners() -> None:
    report = ReadReport("train")  # xmin 5, ymin 6, xmax 5, ymax 9 covers the pixel columns 4 to 5
    truth, _ = clean_objects(_source([RawObject(4, 5, 5, 9, 0, 0, 1)], inclusive=1.0), policy="fix", report=report)
    assert not len(truth)
    assert str(report.issues[0]) == "0.xml, object 1: box (4, 5, 5, 9) has equal corners in the file"


def test_more_than_a_pixel_is_cut_and_told() -> None:
    assert _clean((-1.01, 3, 10, 9))[1].objects_clipped == 1
    truth, account = _clean((-2, 3, 10, 99))
    np.testing.assert_array_equal(truth.boxes, [[0, 3, 10, 20]])
    assert account.objects_clipped == 1
    (issue,) = account.issues
    assert str(issue) == "0.xml, object 1: box (-2, 3, 10, 99) cut to (0, 3, 10, 20) in an image of 40 x 20"
    assert (issue.image, issue.box) == ("0.jpg", (-2, 3, 10, 99))


def test_swapped_corners_are_put_in_order_and_told() -> None:
    truth, account = _clean((9, 3, 4, 8), (1, 8, 2, 3))
    np.testing.assert_array_equal(truth.boxes, [[4, 3, 9, 8], [1, 3, 2, 8]])
    assert account.objects_repaired == {"inverted": 2}
    assert account.issues[0].message == "box (9, 3, 4, 8) put in order: (4, 3, 9, 8) in an image of 40 x 20"


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((math.nan, 0, 1, 1), "not_finite"),
        ((0, 0, math.inf, 1), "not_finite"),
        ((5, 5, 5, 9), "degenerate"),  # no width
        ((50, 5, 60, 9), "degenerate"),  # right of the image: nothing is left of it
        ((-9, 5, 0, 9), "degenerate"),  # ends on the left border
        ((20, 5, 20 + 1e-9, 9), "degenerate"),  # float32 does not tell the corners apart
    ],
)
def test_a_faulty_box_is_dropped_alone(box: Box, kind: str) -> None:
    for policy in ("fix", "drop", "strict"):
        truth, account = _clean((1, 1, 9, 9), box, (2, 2, 9, 9), policy=policy)
        np.testing.assert_array_equal(truth.boxes, [[1, 1, 9, 9], [2, 2, 9, 9]])
        assert account.objects_dropped == {kind: 1}
        assert account.issues[0].line_or_object == "object 2"


@pytest.mark.parametrize(("box", "kind"), [((9, 1, 2, 9), "inverted"), ((-2, 1, 2, 9), "clipped")])
def test_the_policy_drop_drops_what_could_be_mended(box: Box, kind: str) -> None:
    truth, account = _clean((1, 1, 9, 9), box, policy="drop")
    assert len(truth) == 1
    assert account.objects_dropped == account.counts == {kind: 1}
    assert not account.objects_repaired
    assert any(", dropped: 1, e.g. 0.xml, object 2" in line for line in account.summary_lines())


def test_duplicates_are_those_of_class_box_and_crowd_on_one_image() -> None:
    same = RawObject(1, 1, 9, 9, 0, 0, 1)
    rows = [
        same,
        same._replace(label=1),
        same._replace(iscrowd=True),
        same._replace(difficult=True, number=4),  # a flag does not make it another object
        same._replace(x1=9, x2=1, number=5),  # the same once in order
        same._replace(image=1),
    ]
    account = ReadReport("train")
    truth, kept = clean_objects(_source(rows, sizes=[SIZE_HW] * 2), policy="fix", report=account)
    assert [rows[row].image for row in kept] == [0, 0, 0, 1]
    assert truth.labels.tolist() == [0, 1, 0, 0]
    assert [issue.line_or_object for issue in account.issues] == ["object 4", "object 5"]


def test_minus_zero_is_zero() -> None:
    truth, account = _clean((0.0, 0.0, 4, 4), (-0.0, 0.0, 4, 4))
    assert len(truth) == 1
    assert account.objects_dropped == {"duplicate": 1}


def test_an_area_beyond_float32_is_replaced_by_the_box_s() -> None:
    account = ReadReport("train")
    rows = [RawObject(0, 0, 4, 5, 0, 0, 1, area=area) for area in (7.5, math.nan)]
    rows.append(RawObject(0, 0, 4, 6, 0, 0, 1, area=1e300))
    truth, _ = clean_objects(_source([rows[0], rows[1]._replace(x2=3), rows[2]]), policy="fix", report=account)
    assert truth.area.tolist() == [7.5, 15, 24]


def test_nothing_at_all_is_fine() -> None:
    truth, account = _clean()
    assert len(truth) == 0
    assert account.counts == {}


def test_so_many_issues_of_a_kind_are_kept_and_all_are_counted() -> None:
    boxes = [(0.0, float(number), 0.0, 1.0) for number in range(MAX_ISSUES_PER_KIND + 10)]
    _, account = _clean(*boxes, (-5, 1, 4, 4))
    assert account.counts == {"degenerate": MAX_ISSUES_PER_KIND + 10, "clipped": 1}
    assert len(account.issues) == MAX_ISSUES_PER_KIND + 1
    assert any(f": {MAX_ISSUES_PER_KIND + 10} ({MAX_ISSUES_PER_KIND} are listed)" in s for s in account.summary_lines())


def test_a_hundred_thousand_boxes_on_one_image_take_no_time() -> None:
    table = np.zeros((100_000, 10))
    table[:, 2:4] = 4, 4  # all the same: the worst case for the search for duplicates
    account = ReadReport("train")
    truth, _ = clean_objects(_source(table), policy="fix", report=account)  # type: ignore[arg-type]
    assert len(truth) == 1
    assert account.objects_dropped == {"duplicate": 99_999}


_side = st.one_of(
    st.sampled_from([-1e308, -3.0, -1.0, -0.0, 0.0, 1.0, 5.0, 20.0, 21.0, 40.0, 41.5, 1e308, math.nan, math.inf]),
    st.floats(-5, 50),
)
_rows = st.lists(
    st.builds(
        RawObject, _side, _side, _side, _side, st.integers(0, 1), st.integers(0, 1), st.just(1), iscrowd=st.booleans()
    ),
    max_size=20,
)


@given(_rows, st.sampled_from(["fix", "drop", "strict"]), st.sampled_from([0.0, 1.0]))
def test_all_at_once_is_the_same_as_one_by_one(rows: list[RawObject], policy: BoxPolicy, inclusive: float) -> None:
    rows = [row._replace(number=number) for number, row in enumerate(sorted(rows, key=lambda row: row.image))]
    sizes = [(20, 40), (5, 1000)]
    account = ReadReport("train")
    truth, left = clean_objects(_source(rows, inclusive=inclusive, sizes=sizes), policy=policy, report=account)
    kept, dropped, mended = slow_clean(rows, sizes, policy=policy, inclusive=inclusive)
    np.testing.assert_array_equal(truth.boxes, np.reshape([box for _, box in kept], (-1, 4)).astype(np.float32))
    assert left.tolist() == [row for row, _ in kept]
    assert truth.labels.tolist() == [rows[row].label for row, _ in kept]
    assert truth.iscrowd.tolist() == [rows[row].iscrowd for row, _ in kept]
    assert account.objects_dropped == Counter(kind for _, kind in dropped)
    assert account.objects_repaired == Counter(kind for _, kind in mended)
    told = {(issue.line_or_object, issue.kind) for issue in account.issues}
    assert told == {(f"object {row}", kind) for row, kind in dropped + mended}
