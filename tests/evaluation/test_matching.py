import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_matching import as_problem, make_sets, random_sets, slow_assign
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.matched import match_problem
from yolo.evaluation.matching import AREA_RANGES, IOU_THRESHOLDS, match_subsets

BOX = [0.0, 0.0, 10.0, 10.0]


def matches(sets: tuple[DetectionSet, TruthSet], *, threshold: float = 0.5) -> list[int]:
    """The object taken by each detection."""
    matched = match_problem(as_problem(sets), iou_thresholds=np.array([threshold]))
    taken: list[int] = matched.matched[:, 0].tolist()
    return taken


def verdicts(sets: tuple[DetectionSet, TruthSet], area: str = "all") -> str:
    """T true positive, F false positive, i ignored, one letter per detection, at IoU 0.5."""
    result = match_problem(as_problem(sets), area_range=AREA_RANGES[area])
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
    result = match_problem(as_problem(sets))
    first, second = result.true_positive
    assert first.tolist() == (IOU_THRESHOLDS <= 0.6).tolist()
    assert second.tolist() == (IOU_THRESHOLDS > 0.6).tolist()


def test_nothing_to_match() -> None:
    assert matches(make_sets(found=[], objects=[])) == []
    assert matches(make_sets(found=[], objects=[BOX])) == []
    assert verdicts(make_sets(found=[(0.5, BOX)], objects=[])) == "F"


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_found=st.integers(0, 25),
    num_objects=st.integers(0, 12),
    largest=st.sampled_from([12.0, 1000.0]),
)
def test_equal_to_plain_loops(seed: int, num_found: int, num_objects: int, largest: float) -> None:
    detections, truths = random_sets(seed, num_found, num_objects)
    problem = as_problem((detections, truths), images=3, classes=2)
    matched = match_problem(problem, area_range=(0.0, largest))
    ignored = truths.reusable | (truths.area > largest)
    outside = detections.sizes_wh.prod(axis=1) > largest
    counts = np.append(~ignored, False)
    np.testing.assert_array_equal(matched.counted, ~ignored)
    for column, threshold in enumerate(IOU_THRESHOLDS.tolist()):
        expected = slow_assign(detections, truths, ignored.tolist(), threshold=threshold)
        assert matched.matched[:, column].tolist() == expected
        np.testing.assert_array_equal(matched.true_positive[:, column], counts[expected])
        np.testing.assert_array_equal(matched.false_positive[:, column], (np.array(expected, int) < 0) & ~outside)


def test_subsets_of_objects_are_matched_each_on_its_own() -> None:
    # in the first subset the crowd-free object 0 counts, in the second object 1; the other one is taken if need be
    sets = make_sets(found=[(0.9, BOX), (0.8, [0, 0, 10, 9])], objects=[BOX, [0, 0, 10, 9]])
    counted = np.array([[True, False], [False, True]])
    matching = match_subsets(
        as_problem(sets),
        iou_thresholds=np.array([0.5]),
        counted=counted,
        inside=np.ones((2, 2), bool),
        max_detections=100,
    )
    assert matching.taken[:, 0].tolist() == [[0, 1], [1, 0]]
    assert [matching.true_positive(area, 0).tolist() for area in (0, 1)] == [[True, False], [True, False]]
    assert not matching.false_positive(0).any()
