import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.reference.coco_arrays import random_flat_problem
from tests.reference.slow_matching import as_problem
from yolo.detection_sets import DetectionSet, Problem, TruthSet
from yolo.evaluation.ranking import place_in_run, rank_detections, stable_order, starts_run


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
