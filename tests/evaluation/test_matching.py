import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.reference.coco_arrays import random_flat_problem
from tests.reference.slow_matching import as_problem, make_sets, random_sets, slow_assign
from yolo.detection_sets import DetectionSet, EvaluationData, TruthSet
from yolo.evaluation.average_precision import place_in_run, starts_run
from yolo.evaluation.coco import CocoProtocol, evaluate_coco
from yolo.evaluation.matching import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    Matches,
    match,
    match_subsets,
    rank_detections,
    stable_order,
)

BOX = [0.0, 0.0, 10.0, 10.0]


def taken_by(sets: tuple[DetectionSet, TruthSet], *, threshold: float = 0.5) -> list[int]:
    """The object taken by each detection."""
    taken: list[int] = match(as_problem(sets), iou_thresholds=np.array([threshold])).at(threshold).taken.tolist()
    return taken


def verdicts(sets: tuple[DetectionSet, TruthSet], area: str = "all") -> str:
    """T true positive, F false positive, i ignored, one letter per detection, at IoU 0.5."""
    _, hits, misses = match(as_problem(sets)).at(0.5, list(AREA_RANGES).index(area))
    return "".join("T" if hit else "F" if miss else "i" for hit, miss in zip(hits, misses, strict=True))


def test_the_higher_score_takes_the_object_and_the_other_one_is_false() -> None:
    sets = make_sets(found=[(0.6, BOX), (0.9, [0, 0, 10, 8])], objects=[BOX])
    assert taken_by(sets) == [-1, 0]
    assert verdicts(sets) == "FT"


def test_of_equal_scores_the_first_goes_first() -> None:
    assert taken_by(make_sets(found=[(0.5, [0, 0, 10, 8]), (0.5, BOX)], objects=[BOX])) == [0, -1]


def test_the_highest_iou_is_taken_whatever_the_order_of_the_objects() -> None:
    # IoU 0.8, 1.0 and 0.6 with the detection
    objects = [[0.0, 0.0, 10.0, 8.0], BOX, [0.0, 0.0, 10.0, 6.0]]
    assert taken_by(make_sets(found=[(0.5, BOX)], objects=objects)) == [1]


def test_the_last_of_equal_ious_is_taken() -> None:
    # both halves, left and right, cover exactly half of the detection
    halves = [[0.0, 0.0, 5.0, 10.0], [5.0, 0.0, 5.0, 10.0]]
    assert taken_by(make_sets(found=[(0.5, BOX)], objects=halves)) == [1]


def test_a_taken_object_is_passed_over_for_the_next_best() -> None:
    objects = [BOX, [0.0, 0.0, 10.0, 8.0]]
    assert taken_by(make_sets(found=[(0.9, BOX), (0.8, BOX), (0.7, BOX)], objects=objects)) == [0, 1, -1]


@pytest.mark.parametrize(("threshold", "taken"), [(0.5, [0]), (0.55, [-1])])
def test_an_iou_equal_to_the_threshold_is_enough(threshold: float, taken: list[int]) -> None:
    # 50 of 100 pixels
    assert taken_by(make_sets(found=[(0.5, [0, 0, 10, 5])], objects=[BOX]), threshold=threshold) == taken


@pytest.mark.parametrize(("missing", "taken"), [(0.9e-10, [0]), (1.1e-10, [-1])])
def test_a_threshold_of_1_admits_what_falls_short_by_rounding(missing: float, taken: list[int]) -> None:
    assert taken_by(make_sets(found=[(0.5, [0, 0, 10, 10 - 10 * missing])], objects=[BOX]), threshold=1.0) == taken


def test_touching_boxes_and_boxes_without_area_do_not_overlap() -> None:
    found = [(0.9, [10.0, 0.0, 10.0, 10.0]), (0.8, [3.0, 3.0, 0.0, 0.0]), (0.7, [9.0, 9.0, -8.0, -8.0])]
    assert taken_by(make_sets(found=found, objects=[BOX, [3.0, 3.0, 0.0, 0.0]])) == [-1, -1, -1]


def test_a_crowd_is_taken_many_times_by_the_share_of_the_detection_inside() -> None:
    # IoU of the small boxes with the crowd would be 0.01; the last one is inside by two fifths only
    found = [(0.9, [1.0, 1.0, 1.0, 1.0]), (0.8, [5.0, 5.0, 1.0, 1.0]), (0.7, [8.0, 0.0, 5.0, 1.0])]
    sets = make_sets(found=found, objects=[BOX], crowd=(0,))
    assert taken_by(sets) == [0, 0, -1]
    assert verdicts(sets) == "iiF"


def test_an_object_that_counts_goes_before_an_ignored_one_with_higher_iou() -> None:
    # the detection lies wholly in the crowd and has IoU 0.6 with the object
    sets = make_sets(found=[(0.9, BOX), (0.8, BOX)], objects=[BOX, [0.0, 0.0, 10.0, 6.0]], crowd=(0,))
    assert taken_by(sets) == [1, 0]
    assert verdicts(sets) == "Ti"


def test_a_difficult_object_may_be_taken_many_times_by_ordinary_iou() -> None:
    # the last one lies inside, but with IoU 0.25: unlike with a crowd, that is too little
    found = [(0.9, BOX), (0.8, BOX), (0.7, [0.0, 0.0, 5.0, 5.0])]
    assert verdicts(make_sets(found=found, objects=[BOX], difficult=(0,))) == "iiF"


def test_an_object_out_of_the_area_range_is_taken_once() -> None:
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
    first, second = match(as_problem(sets)).verdicts().true_positive.T
    assert first.tolist() == (IOU_THRESHOLDS <= 0.6).tolist()
    assert second.tolist() == (IOU_THRESHOLDS > 0.6).tolist()


def test_nothing_to_match() -> None:
    assert taken_by(make_sets(found=[], objects=[])) == []
    assert taken_by(make_sets(found=[], objects=[BOX])) == []
    assert verdicts(make_sets(found=[(0.5, BOX)], objects=[])) == "F"


@given(
    seed=st.integers(0, 2**32 - 1),
    num_found=st.integers(0, 25),
    num_objects=st.integers(0, 12),
    largest=st.sampled_from([12.0, 1000.0]),
)
def test_equal_to_plain_loops(seed: int, num_found: int, num_objects: int, largest: float) -> None:
    detections, truths = random_sets(seed, num_found, num_objects)
    problem = as_problem((detections, truths), images=3, classes=2)
    matches = match(problem, area_ranges={"up to largest": (0.0, largest)})
    ignored = truths.reusable | (truths.area > largest)
    outside = detections.sizes_wh.prod(axis=1) > largest
    counts = np.append(~ignored, False)
    np.testing.assert_array_equal(matches.counted[0], ~ignored)
    for threshold in IOU_THRESHOLDS.tolist():
        expected = slow_assign(detections, truths, ignored.tolist(), threshold=threshold)
        taken, hit, miss = matches.at(threshold)
        assert taken.tolist() == expected
        np.testing.assert_array_equal(hit, counts[expected])
        np.testing.assert_array_equal(miss, (np.array(expected, int) < 0) & ~outside)


def test_subsets_of_objects_are_matched_each_on_its_own() -> None:
    # in the first subset the crowd-free object 0 counts, in the second object 1; the other one is taken if need be
    sets = make_sets(found=[(0.9, BOX), (0.8, [0, 0, 10, 9])], objects=[BOX, [0, 0, 10, 9]])
    counted = np.array([[True, False], [False, True]])
    matches = match_subsets(
        as_problem(sets), subsets=("first", "second"), counted=counted, inside=np.ones((2, 2), bool)
    )
    outcomes = [matches.at(0.5, subset) for subset in (0, 1)]
    assert [one.taken.tolist() for one in outcomes] == [[0, 1], [1, 0]]
    assert [one.true_positive.tolist() for one in outcomes] == [[True, False], [True, False]]
    assert not outcomes[0].false_positive.any()


def problem_of(rows: list[tuple[int, int, float]], *, images: int = 9, classes: int = 2) -> EvaluationData:
    """Class, image and score of each detection."""
    labels, image_index, scores = zip(*rows, strict=True) if rows else ((), (), ())
    detections = DetectionSet.from_xywh([[0, 0, 9, 9]] * len(rows), scores, labels, image_index)
    return as_problem((detections, TruthSet.from_xywh([], [], [])), images=images, classes=classes)


# by class, then by score: 5; 1 and 3 of equal score on images 4 and 2; 0. Then the other class: 2, 4
ROWS = [(0, 4, 0.1), (0, 4, 0.5), (1, 0, 0.3), (0, 2, 0.5), (1, 0, 0.3), (0, 4, 0.9)]


def test_hand_computed_orders() -> None:
    ranking = rank_detections(problem_of(ROWS), ties_by_image=True)
    assert ranking.by_class.tolist() == [5, 3, 1, 0, 2, 4]
    assert ranking.bounds.tolist() == [0, 4, 6]
    assert ranking.by_group.tolist() == [3, 5, 1, 0, 2, 4]
    assert ranking.group.tolist() == [2, 4, 4, 4, 9, 9]
    assert ranking.rank.tolist() == [2, 1, 0, 0, 1, 0]


def test_own_order_decides_between_equal_scores_where_the_image_does_not() -> None:
    ranking = rank_detections(problem_of(ROWS), ties_by_image=False)
    assert ranking.by_class.tolist() == [5, 1, 3, 0, 2, 4]


def test_the_limit_is_by_class_and_image() -> None:
    matches = match(problem_of(ROWS), max_detections=1)
    assert matches.problem.detections.scores.tolist() == [0.3, 0.5, 0.9]
    ranking = matches.ranking
    assert ranking.by_class.tolist() == [2, 1, 0]
    assert ranking.by_group.tolist() == [1, 2, 0]
    assert ranking.group.tolist() == [2, 4, 9]
    assert ranking.bounds.tolist() == [0, 2, 3]
    assert ranking.rank.tolist() == [0, 0, 0]


@given(seed=st.integers(0, 2**32 - 1), ties_by_image=st.booleans())
def test_equal_to_sorting_tuples(seed: int, ties_by_image: bool) -> None:
    problem = random_flat_problem(seed, coarse=True)
    ranking = rank_detections(problem, ties_by_image=ties_by_image)
    columns = (problem.detections.labels, problem.detections.image_index, problem.detections.scores)
    rows = [(label, image, -score) for label, image, score in zip(*(one.tolist() for one in columns), strict=True)]
    in_groups: dict[tuple[int, int], list[int]] = {}
    for index in sorted(range(len(rows)), key=lambda index: rows[index]):
        in_groups.setdefault(rows[index][:2], []).append(index)
    kept = [index for group in in_groups.values() for index in group]
    assert ranking.by_group.tolist() == kept
    assert all(ranking.rank[index] == place for group in in_groups.values() for place, index in enumerate(group))
    turn = {index: (rows[index][0], rows[index][2], rows[index][1] * ties_by_image, index) for index in kept}
    assert ranking.by_class.tolist() == sorted(kept, key=turn.__getitem__)


@pytest.mark.parametrize("high", [3, 70_000, 2**40])
def test_stable_order_is_numpys(high: int) -> None:
    values = np.random.default_rng(high).integers(0, high, 300) // 2 * 2
    values[::7] = values[0]
    np.testing.assert_array_equal(stable_order(values), np.argsort(values, kind="stable"))


@given(values=arrays.arrays(np.int64, st.integers(0, 30), elements=st.integers(0, 2)))
def test_runs(values: np.ndarray) -> None:
    listed = values.tolist()
    assert starts_run(values).tolist() == [k == 0 or listed[k - 1] != one for k, one in enumerate(listed)]
    place: list[int] = []
    for k, one in enumerate(listed):
        place.append(place[-1] + 1 if k and listed[k - 1] == one else 0)
    assert place_in_run(values).tolist() == place


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((2, 0, 0.5), "label 2 of some detection is not one of 0 to 1"),
        ((-1, 0, 0.5), "label -1 of some detection"),
        ((0, 9, 0.5), "image_index 9 of some detection is not one of 0 to 8"),
        ((0, -1, 0.5), "image_index -1 of some detection"),
        ((0, 0, float("nan")), "score of some detection is not a number"),
    ],
)
def test_what_the_problem_does_not_have_is_refused(row: tuple[int, int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_detections(problem_of([*ROWS, row]), ties_by_image=True)


def test_objects_are_checked_as_well() -> None:
    problem = as_problem((DetectionSet.from_xywh([], [], [], []), TruthSet.from_xywh([[0, 0, 1, 1]], [5], [0])))
    with pytest.raises(ValueError, match="label 5 of some object"):
        rank_detections(problem, ties_by_image=True)


def test_columns_are_found_by_their_threshold() -> None:
    matches = match(as_problem(make_sets(found=[], objects=[])))
    assert [matches.column(iou) for iou in (0.5, 0.75, 0.95)] == [0, 5, 9]
    with pytest.raises(ValueError, match=r"IoU 0\.4 is none of"):
        matches.at(0.4)


def assert_consistent(matches: Matches, area: int) -> None:
    detections, truths = matches.problem.detections, matches.problem.truths
    for index in range(matches.problem.num_classes):
        own = matches.of_class(index)
        assert (detections.labels[own] == index).all()
        assert (np.diff(detections.scores[own]) <= 0).all()
    assert sorted(matches.ranking.by_class.tolist()) == list(range(len(detections)))
    assert (matches.ranking.rank < matches.max_detections).all()
    for iou in IOU_THRESHOLDS.tolist():
        taken, hit, miss = matches.at(iou, area)
        np.testing.assert_array_equal(hit, np.append(matches.counted[area], False)[taken])
        assert not (miss & (taken >= 0)).any()
        place = np.flatnonzero(taken >= 0)
        np.testing.assert_array_equal(truths.labels[taken[place]], detections.labels[place])
        np.testing.assert_array_equal(truths.image_index[taken[place]], detections.image_index[place])
        assert len(set(taken[hit].tolist())) == hit.sum(), "an object was found twice"


@given(seed=st.integers(0, 2**32 - 1), coarse=st.booleans(), max_detections=st.integers(1, 8))
def test_what_is_matched_agrees_with_itself_and_with_recall(seed: int, coarse: bool, max_detections: int) -> None:
    problem = random_flat_problem(seed, num_images=2, coarse=coarse)
    result = evaluate_coco(problem, CocoProtocol(max_detections=(max_detections,)))
    matches = match(problem, max_detections=max_detections)
    for area in range(len(AREA_RANGES)):
        assert_consistent(matches, area)
        for index, instances in enumerate(matches.instances(area).tolist()):
            if instances:
                found = [matches.at(iou, area).true_positive[matches.of_class(index)].sum() for iou in IOU_THRESHOLDS]
                np.testing.assert_array_equal(result.recall[:, index, area, 0], np.array(found) / instances)


@given(seed=st.integers(0, 2**32 - 1))
def test_limiting_is_leaving_out(seed: int) -> None:
    # the detections that the limit leaves, given alone, are matched in the same way
    limited = match(random_flat_problem(seed, coarse=True), max_detections=2)
    alone = match(limited.problem)
    for one, other in zip(limited.ranking, alone.ranking, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("rows", "positions", "taken", "counted", "inside"):
        np.testing.assert_array_equal(getattr(limited, name), getattr(alone, name), err_msg=name)
