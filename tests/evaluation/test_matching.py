import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_matching import make_sets, random_sets, slow_assign
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation import matching
from yolo.evaluation.matching import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    assign,
    find_pairs,
    judge,
    rank_in_group,
)

BOX = [0.0, 0.0, 10.0, 10.0]


def matches(sets: tuple[DetectionSet, TruthSet], *, threshold: float = 0.5) -> list[int]:
    """The object taken by each detection."""
    detections, truths = sets
    matched = assign(
        find_pairs(detections, truths),
        num_detections=len(detections),
        ignored=truths.reusable,
        reusable=truths.reusable,
        thresholds=np.array([threshold]),
    )
    taken: list[int] = matched[:, 0].tolist()
    return taken


def verdicts(sets: tuple[DetectionSet, TruthSet], area: str = "all") -> str:
    """T true positive, F false positive, i ignored, one letter per detection, at IoU 0.5."""
    result = judge(find_pairs(*sets), *sets, area_range=AREA_RANGES[area])
    hits, misses = result.true_positive[:, 0], result.false_positive[:, 0]
    return "".join("T" if hit else "F" if miss else "i" for hit, miss in zip(hits, misses, strict=True))


def test_the_higher_score_takes_the_object_and_the_other_one_is_false() -> None:
    sets = make_sets(found=[(0.6, BOX), (0.9, [0, 0, 10, 8])], objects=[BOX])
    assert matches(sets) == [-1, 0]
    assert verdicts(sets) == "FT"


def test_of_equal_scores_the_first_goes_first() -> None:
    assert matches(make_sets(found=[(0.5, [0, 0, 10, 8]), (0.5, BOX)], objects=[BOX])) == [0, -1]


def test_the_highest_iou_is_taken_whatever_the_order_of_the_objects() -> None:
    # IoU 0.8, 1.0 and 0.6 with the detection
    objects = [[0.0, 0.0, 10.0, 8.0], BOX, [0.0, 0.0, 10.0, 6.0]]
    assert matches(make_sets(found=[(0.5, BOX)], objects=objects)) == [1]


def test_the_last_of_equal_ious_is_taken() -> None:
    # both halves, left and right, cover exactly half of the detection
    halves = [[0.0, 0.0, 5.0, 10.0], [5.0, 0.0, 5.0, 10.0]]
    assert matches(make_sets(found=[(0.5, BOX)], objects=halves)) == [1]


def test_a_taken_object_is_passed_over_for_the_next_best() -> None:
    objects = [BOX, [0.0, 0.0, 10.0, 8.0]]
    assert matches(make_sets(found=[(0.9, BOX), (0.8, BOX), (0.7, BOX)], objects=objects)) == [0, 1, -1]


@pytest.mark.parametrize(("threshold", "taken"), [(0.5, [0]), (0.55, [-1])])
def test_an_iou_equal_to_the_threshold_is_enough(threshold: float, taken: list[int]) -> None:
    # 50 of 100 pixels
    assert matches(make_sets(found=[(0.5, [0, 0, 10, 5])], objects=[BOX]), threshold=threshold) == taken


def test_touching_boxes_and_boxes_without_area_do_not_overlap() -> None:
    found = [(0.9, [10.0, 0.0, 10.0, 10.0]), (0.8, [3.0, 3.0, 0.0, 0.0]), (0.7, [9.0, 9.0, -8.0, -8.0])]
    assert matches(make_sets(found=found, objects=[BOX, [3.0, 3.0, 0.0, 0.0]])) == [-1, -1, -1]


def test_a_crowd_is_taken_many_times_by_the_share_of_the_detection_inside() -> None:
    # IoU of the small boxes with the crowd would be 0.01; the last one is inside by two fifths only
    found = [(0.9, [1.0, 1.0, 1.0, 1.0]), (0.8, [5.0, 5.0, 1.0, 1.0]), (0.7, [8.0, 0.0, 5.0, 1.0])]
    sets = make_sets(found=found, objects=[BOX], crowd=(0,))
    assert matches(sets) == [0, 0, -1]
    assert verdicts(sets) == "iiF"


def test_an_object_that_counts_goes_before_an_ignored_one_with_higher_iou() -> None:
    # the detection lies wholly in the crowd and has IoU 0.6 with the object
    sets = make_sets(found=[(0.9, BOX), (0.8, BOX)], objects=[BOX, [0.0, 0.0, 10.0, 6.0]], crowd=(0,))
    assert matches(sets) == [1, 0]
    assert verdicts(sets) == "Ti"


def test_a_difficult_object_excuses_any_number_of_detections_by_ordinary_iou() -> None:
    # the last one lies inside, but with IoU 0.25: unlike a crowd, this is no excuse
    found = [(0.9, BOX), (0.8, BOX), (0.7, [0.0, 0.0, 5.0, 5.0])]
    assert verdicts(make_sets(found=found, objects=[BOX], difficult=(0,))) == "iiF"


def test_an_object_out_of_the_area_range_excuses_one_detection() -> None:
    # area 100 is small. Seen as medium, the second detection finds the object taken, but is small itself; the
    # third one, of 32 by 32, touches nothing and is on the bound of both ranges
    found = [(0.9, BOX), (0.8, BOX), (0.7, [50.0, 50.0, 32.0, 32.0])]
    sets = make_sets(found=found, objects=[BOX])
    assert verdicts(sets, "small") == "TFF"
    assert verdicts(sets, "medium") == "iiF"
    assert verdicts(sets, "large") == "iii"


def test_the_annotated_area_decides_not_that_of_the_box() -> None:
    sets = make_sets(found=[(0.9, BOX)], objects=[BOX], area=[9216.0])
    assert [verdicts(sets, area) for area in ("small", "medium", "large")] == ["i", "T", "T"]


def test_each_threshold_is_matched_on_its_own() -> None:
    # The first detection has IoU 0.6 with the object, the second one 1.0: beyond 0.6 the object is left to it.
    sets = make_sets(found=[(0.9, [0, 0, 10, 6]), (0.8, BOX)], objects=[BOX])
    result = judge(find_pairs(*sets), *sets)
    first, second = result.true_positive
    assert first.tolist() == (IOU_THRESHOLDS <= 0.6).tolist()
    assert second.tolist() == (IOU_THRESHOLDS > 0.6).tolist()


def test_nothing_to_match() -> None:
    assert matches(make_sets(found=[], objects=[])) == []
    assert matches(make_sets(found=[], objects=[BOX])) == []
    assert verdicts(make_sets(found=[(0.5, BOX)], objects=[])) == "F"


def test_rank_in_group_counts_each_group_from_its_best_score() -> None:
    group, scores = np.array([2, 1, 2, 1, 2]), np.array([0.5, 0.1, 0.7, 0.1, 0.5])
    assert rank_in_group(group, scores).tolist() == [1, 0, 0, 1, 2]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_found=st.integers(0, 25),
    num_objects=st.integers(0, 12),
    per_class=st.booleans(),
)
def test_equal_to_plain_loops(seed: int, num_found: int, num_objects: int, per_class: bool) -> None:
    detections, truths = random_sets(seed, num_found, num_objects)
    ignored = truths.reusable | (truths.area > 12)
    matched = assign(
        find_pairs(detections, truths, per_class=per_class),
        num_detections=num_found,
        ignored=ignored,
        reusable=truths.reusable,
        thresholds=IOU_THRESHOLDS,
    )
    for column, threshold in enumerate(IOU_THRESHOLDS.tolist()):
        expected = slow_assign(detections, truths, ignored.tolist(), threshold=threshold, per_class=per_class)
        assert matched[:, column].tolist() == expected


def test_pairs_do_not_depend_on_how_many_are_examined_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = random_sets(0, 60, 30)
    whole = find_pairs(*sets)
    assert len(whole.detection) > 20
    for limit in (1, 7, 50):
        monkeypatch.setattr(matching, "_PAIRS_AT_ONCE", limit)
        for expected, got in zip(whole, find_pairs(*sets), strict=True):
            np.testing.assert_array_equal(got, expected)
