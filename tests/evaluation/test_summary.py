from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.coco_arrays import random_flat_problem
from tests.reference.slow_matching import as_problem, random_sets, slow_confusions
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.matching import match
from yolo.evaluation.summary import confusion_matrix, summarise

LEFT, RIGHT, FAR = [0, 0, 10, 10], [20, 0, 10, 10], [80, 80, 10, 10]


def sets(
    found: list[tuple[int, float, list[int]]], objects: list[tuple[int, list[int]]], *, crowd: bool = False
) -> tuple[DetectionSet, TruthSet]:
    """One image: `found` holds (class, score, xywh), `objects` (class, xywh); crowd marks the first object."""
    num_found, num_objects = len(found), len(objects)
    return (
        DetectionSet.from_xywh(
            [box for _, _, box in found],
            [score for _, score, _ in found],
            [label for label, _, _ in found],
            np.zeros(num_found),
        ),
        TruthSet.from_xywh(
            [box for _, box in objects],
            [label for label, _ in objects],
            np.zeros(num_objects),
            iscrowd=np.arange(num_objects) < int(crowd),
        ),
    )


def matrix(problem: tuple[DetectionSet, TruthSet], score_threshold: float = 0.5) -> list[list[int]]:
    matches = match(as_problem(problem, images=3, classes=2))
    rows: list[list[int]] = confusion_matrix(matches, score_threshold).tolist()
    return rows


def test_hand_computed_matrix() -> None:
    # cat (0) on the left seen as cat; dog (1) on the right seen as cat; a dog far away not seen; a dog seen
    # where there is nothing; a second cat box on the left object, which is taken; one score too low
    problem = sets(
        found=[
            (0, 0.9, LEFT),
            (0, 0.8, RIGHT),
            (1, 0.7, [50, 50, 10, 10]),
            (0, 0.5, [0, 0, 10, 9]),
            (1, 0.49, FAR),
        ],
        objects=[(0, LEFT), (1, RIGHT), (1, FAR)],
    )
    assert matrix(problem) == [[1, 0, 0], [1, 0, 1], [1, 1, 0]]


def test_its_own_class_comes_before_a_higher_score_of_another() -> None:
    # matched across classes by score the object would be a miss here and found in the table beside it
    problem = sets(found=[(1, 0.9, LEFT), (0, 0.8, LEFT)], objects=[(0, LEFT)])
    assert matrix(problem) == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_a_detection_below_the_threshold_takes_nothing() -> None:
    problem = sets(found=[(1, 0.9, LEFT), (0, 0.4, LEFT)], objects=[(0, LEFT)])
    assert matrix(problem) == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_leftovers_meet_by_descending_score_at_the_highest_overlap() -> None:
    # both dogs overlap the tall cat enough; the short cat has IoU 1.0 with the first and is the better for it
    tall, short = [0, 0, 10, 10], [0, 0, 10, 8]
    problem = sets(found=[(1, 0.7, tall), (1, 0.9, short)], objects=[(0, short), (0, tall)])
    assert matrix(problem) == [[0, 2, 0], [0, 0, 0], [0, 0, 0]]
    # with a single object the better score takes it
    single = sets(found=[(1, 0.7, tall), (1, 0.9, short)], objects=[(0, tall)])
    assert matrix(single) == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_of_two_wrong_classes_the_better_score_takes_the_object() -> None:
    # a dog at 0.9 and a bird at 0.7 on one cat, in both orders of the classes
    for dog, bird in ((1, 2), (2, 1)):
        problem = sets(found=[(bird, 0.7, LEFT), (dog, 0.9, LEFT)], objects=[(0, LEFT)])
        counts = confusion_matrix(match(as_problem(problem, classes=3)), 0.5)
        assert (counts[0, dog], counts[3, bird], counts.sum()) == (1, 1, 2)


def test_a_second_box_on_a_found_object_is_background_whatever_its_class() -> None:
    problem = sets(found=[(0, 0.9, LEFT), (0, 0.8, LEFT), (1, 0.7, LEFT)], objects=[(0, LEFT)])
    assert matrix(problem) == [[1, 0, 0], [0, 0, 0], [1, 1, 0]]


def test_the_iou_of_half_has_to_be_among_the_thresholds() -> None:
    matches = match(as_problem(sets(found=[], objects=[])), iou_thresholds=np.array([0.75]))
    with pytest.raises(ValueError, match=r"0\.5 is none of"):
        confusion_matrix(matches, 0.5)


def test_a_crowd_is_no_row_and_is_taken_by_its_own_class_only() -> None:
    problem = sets(found=[(0, 0.9, LEFT), (0, 0.8, LEFT), (1, 0.7, LEFT)], objects=[(0, LEFT)], crowd=True)
    assert matrix(problem) == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_a_threshold_of_nan_leaves_no_detection() -> None:
    assert matrix(sets(found=[(0, 0.9, LEFT)], objects=[(0, LEFT)]), float("nan")) == [
        [0, 0, 1],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_nothing_at_all() -> None:
    assert matrix(sets(found=[], objects=[])) == [[0] * 3] * 3


@given(
    seed=st.integers(0, 2**32 - 1), num_found=st.integers(0, 25), num_objects=st.integers(0, 12),
    threshold=st.sampled_from([0.0, 0.4, 0.8]),
)  # fmt: skip
def test_equal_to_plain_loops(seed: int, num_found: int, num_objects: int, threshold: float) -> None:
    detections, truths = random_sets(seed, num_found, num_objects)
    expected = slow_confusions(detections[detections.scores >= threshold], truths, 2)
    assert matrix((detections, truths), threshold) == expected


@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.0, 0.4]))
def test_equal_to_plain_loops_with_more_classes(seed: int, threshold: float) -> None:
    problem = random_flat_problem(seed, num_images=2, num_classes=4, coarse=True)
    # an area below 0 is out of all ranges, which the loops do not know
    detections = problem.detections[problem.detections.sizes_wh.prod(axis=1) >= 0]
    problem = replace(problem, detections=detections, truths=problem.truths[problem.truths.area >= 0])
    kept = detections[detections.scores >= threshold]
    # the loops go by score and then by place, the matrix in the order of the classes on equal scores
    order = np.lexsort((kept.labels, -kept.scores))
    expected = slow_confusions(kept[order], problem.truths, 4)
    assert confusion_matrix(match(problem), threshold).tolist() == expected


@given(seed=st.integers(0, 2**32 - 1), coarse=st.booleans())
def test_rows_are_recall_and_columns_precision_of_the_tables(seed: int, coarse: bool) -> None:
    result = summarise(random_flat_problem(seed, num_images=3, coarse=coarse))
    counts = result.confusion_matrix
    for index, one in enumerate(result.per_class):
        assert counts[index].sum() == one.instances
        if one.instances and not np.isnan(result.score_threshold):
            assert counts[index, index] / counts[index].sum() == pytest.approx(one.recall, abs=1e-15)
            assert counts[index, index] / max(counts[:, index].sum(), 1) == pytest.approx(one.precision, abs=1e-15)
