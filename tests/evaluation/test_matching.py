import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tests.reference.coco_arrays import random_flat_problem
from tests.reference.slow_matching import as_problem, make_sets, random_sets, slow_assign, slow_overlap
from tests.reference.slow_voc import file_box
from tests.reference.slow_voc import slow_overlap as slow_file_overlap
from yolo.detection_sets import DetectionSet, Problem, TruthSet
from yolo.evaluation import matching as candidates
from yolo.evaluation.coco import match_problem
from yolo.evaluation.matching import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    Pairs,
    coco_overlap,
    find_pairs,
    match_subsets,
    place_in_run,
    rank_detections,
    sort_by_group,
    stable_order,
    starts_run,
    voc_overlap,
)

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


BOX_CANDIDATES, HALF = [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]


def pairs_of(sets: tuple[DetectionSet, TruthSet], *, least: float = 0.5) -> Pairs:
    detections, truths = sets
    found, wanted = (sort_by_group(part.image_index * 2 + part.labels) for part in sets)
    return find_pairs(found, wanted, coco_overlap(detections, truths), least=least)


def all_overlaps(
    sets: tuple[DetectionSet, TruthSet], *, voc: bool = False, plus_one: bool = True
) -> NDArray[np.float64]:
    """(K, M)."""
    detections, truths = sets
    overlap = voc_overlap(detections, truths, plus_one=plus_one) if voc else coco_overlap(detections, truths)
    found, wanted = (grid.ravel() for grid in np.indices((len(detections), len(truths))))
    return overlap(found, wanted).reshape(len(detections), len(truths))


def test_pairs_come_by_detection_then_by_overlap_then_by_object() -> None:
    # the first detection overlaps all three, equally the last two; the second one the half only
    sets = make_sets(found=[(0.5, BOX_CANDIDATES), (0.9, HALF)], objects=[BOX_CANDIDATES, HALF, [0.0, 5.0, 10.0, 5.0]])
    pairs = pairs_of(sets)
    assert pairs.detection.tolist() == [0, 0, 0, 1, 1]
    assert pairs.truth.tolist() == [1, 2, 0, 0, 1]
    assert pairs.overlap.tolist() == [0.5, 0.5, 1.0, 0.5, 1.0]


def test_pairs_are_all_those_of_a_group_that_overlap_enough() -> None:
    for seed in range(20):
        detections, truths = random_sets(seed, 30, 15)
        overlap = all_overlaps((detections, truths))
        for least in (0.0, 0.3, 0.5):
            pairs = pairs_of((detections, truths), least=least)
            same = (detections.labels[:, None] == truths.labels) & (
                detections.image_index[:, None] == truths.image_index
            )
            expected = set(zip(*(one.tolist() for one in np.nonzero(same & (overlap >= least))), strict=True))
            got = list(zip(pairs.detection.tolist(), pairs.truth.tolist(), strict=True))
            assert set(got) == expected
            assert len(got) == len(expected)
            np.testing.assert_array_equal(pairs.overlap, overlap[pairs.detection, pairs.truth])


def test_overlaps_are_those_of_plain_arithmetic_to_the_last_bit() -> None:
    generator = np.random.default_rng(0)
    boxes = generator.uniform(-3, 9, (2, 40, 4)).round(2)
    detections = DetectionSet.from_xywh(boxes[0], np.ones(40), np.zeros(40), np.zeros(40))
    crowd = generator.random(40) < 0.3
    truths = TruthSet.from_xywh(boxes[1], np.zeros(40), np.zeros(40), iscrowd=crowd)
    expected = [
        [slow_overlap(a, b, is_crowd) for b, is_crowd in zip(boxes[1].tolist(), crowd.tolist(), strict=True)]
        for a in boxes[0].tolist()
    ]
    np.testing.assert_array_equal(all_overlaps((detections, truths)), expected)
    for plus_one in (True, False):
        expected = [
            [slow_file_overlap(file_box(a), file_box(b), plus_one) for b in truths.boxes.tolist()]
            for a in detections.boxes.tolist()
        ]
        np.testing.assert_array_equal(all_overlaps((detections, truths), voc=True, plus_one=plus_one), expected)


def test_without_plus_one_the_boxes_of_the_file_are_a_pixel_smaller() -> None:
    # 9 x 4 of 9 x 9 pixels; a box of a single pixel has no area and overlaps nothing
    pixel = [3.0, 3.0, 1.0, 1.0]
    sets = make_sets(found=[(0.5, HALF), (0.5, pixel)], objects=[BOX_CANDIDATES, pixel])
    assert all_overlaps(sets, voc=True, plus_one=False).tolist() == [[36 / 81, 0], [0, 0]]
    assert all_overlaps(sets, voc=True).tolist() == [[0.5, 1 / 50], [1 / 100, 1]]


@pytest.mark.parametrize(
    "box", [[3.0, 3.0, 0.0, 5.0], [8.0, 8.0, -6.0, -6.0], [8.0, 2.0, -6.0, 2.0], [10.0, 0.0, 9.0, 9.0]]
)
def test_boxes_of_no_or_negative_size_or_that_touch_overlap_nothing(box: list[float]) -> None:
    for crowd in ((), (0,)):
        assert all_overlaps(make_sets(found=[(0.5, box)], objects=[BOX_CANDIDATES], crowd=crowd)).tolist() == [[0]]
    assert all_overlaps(make_sets(found=[(0.5, box)], objects=[BOX_CANDIDATES]), voc=True, plus_one=False).tolist() == [
        [0]
    ]


def test_the_largest_and_the_smallest_boxes_give_no_warning() -> None:
    huge = float(np.finfo(np.float32).max)
    sets = make_sets(found=[(0.5, [-huge, -huge, 2 * huge, 2 * huge])], objects=[BOX_CANDIDATES])
    assert 0 <= all_overlaps(sets)[0, 0] < 1e-70
    assert 0 <= all_overlaps(sets, voc=True)[0, 0] < 1e-70
    tiny = [0.0, 0.0, 1e-200, 1e-200]
    assert len(pairs_of(make_sets(found=[(0.5, tiny)], objects=[tiny])).place) <= 1


@pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_pair(sizes: tuple[int, int]) -> None:
    found, objects = sizes
    assert (
        len(pairs_of(make_sets(found=[(0.5, BOX_CANDIDATES)] * found, objects=[BOX_CANDIDATES] * objects)).place) == 0
    )


def test_pairs_do_not_depend_on_how_many_are_examined_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = random_sets(0, 60, 30)
    whole = pairs_of(sets)
    assert len(whole.detection) > 20
    for limit in (1, 7, 50):
        monkeypatch.setattr(candidates, "_PAIRS_AT_ONCE", limit)
        for expected, got in zip(whole, pairs_of(sets), strict=True):
            np.testing.assert_array_equal(got, expected)


def problem_of(rows: list[tuple[int, int, float]], *, images: int = 9, classes: int = 2) -> Problem:
    """Class, image and score of each detection."""
    labels, image_index, scores = zip(*rows, strict=True) if rows else ((), (), ())
    detections = DetectionSet.from_xywh([[0, 0, 9, 9]] * len(rows), scores, labels, image_index)
    return as_problem((detections, TruthSet.from_xywh([], [], [])), images=images, classes=classes)


# by class, then by score: 5; 1 and 3 of equal score on images 4 and 2; 0. Then the other class: 2, 4
ROWS = [(0, 4, 0.1), (0, 4, 0.5), (1, 0, 0.3), (0, 2, 0.5), (1, 0, 0.3), (0, 4, 0.9)]


def test_hand_computed_orders() -> None:
    ranking = rank_detections(problem_of(ROWS), max_detections=None, ties_by_image=True)
    assert ranking.by_class.tolist() == [5, 3, 1, 0, 2, 4]
    assert ranking.bounds.tolist() == [0, 4, 6]
    assert ranking.by_group.tolist() == [3, 5, 1, 0, 2, 4]
    assert ranking.group.tolist() == [2, 4, 4, 4, 9, 9]
    assert ranking.rank.tolist() == [2, 1, 0, 0, 1, 0]


def test_own_order_decides_between_equal_scores_where_the_image_does_not() -> None:
    ranking = rank_detections(problem_of(ROWS), max_detections=None, ties_by_image=False)
    assert ranking.by_class.tolist() == [5, 1, 3, 0, 2, 4]


def test_the_limit_is_by_class_and_image() -> None:
    ranking = rank_detections(problem_of(ROWS), max_detections=1, ties_by_image=True)
    assert ranking.by_class.tolist() == [5, 3, 2]
    assert ranking.by_group.tolist() == [3, 5, 2]
    assert ranking.bounds.tolist() == [0, 2, 3]
    assert ranking.rank.tolist() == [2, 1, 0, 0, 1, 0]


@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 5), ties_by_image=st.booleans())
def test_equal_to_sorting_tuples(seed: int, limit: int, ties_by_image: bool) -> None:
    problem = random_flat_problem(seed, coarse=True)
    ranking = rank_detections(problem, max_detections=limit, ties_by_image=ties_by_image)
    columns = (problem.detections.labels, problem.detections.image_index, problem.detections.scores)
    rows = [(label, image, -score) for label, image, score in zip(*(one.tolist() for one in columns), strict=True)]
    in_groups: dict[tuple[int, int], list[int]] = {}
    for index in sorted(range(len(rows)), key=lambda index: rows[index]):
        in_groups.setdefault(rows[index][:2], []).append(index)
    kept = [index for group in in_groups.values() for index in group[:limit]]
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
        rank_detections(problem_of([*ROWS, row]), max_detections=None, ties_by_image=True)


def test_objects_are_checked_as_well() -> None:
    problem = as_problem((DetectionSet.from_xywh([], [], [], []), TruthSet.from_xywh([[0, 0, 1, 1]], [5], [0])))
    with pytest.raises(ValueError, match="label 5 of some object"):
        rank_detections(problem, max_detections=None, ties_by_image=True)
