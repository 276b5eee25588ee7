import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_matching import random_sets, slow_assign
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation.confusion import confusion_matrix

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
    rows: list[list[int]] = confusion_matrix(*problem, num_classes=2, score_threshold=score_threshold).tolist()
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


def test_the_higher_score_takes_the_object_even_with_the_wrong_class() -> None:
    problem = sets(found=[(1, 0.9, LEFT), (0, 0.8, LEFT)], objects=[(0, LEFT)])
    assert matrix(problem) == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_on_equal_overlap_a_detection_takes_the_object_of_its_class() -> None:
    # one box annotated as both classes, in both orders
    for objects in ([(0, LEFT), (1, LEFT)], [(1, LEFT), (0, LEFT)]):
        problem = sets(found=[(0, 0.9, LEFT), (1, 0.8, LEFT)], objects=objects)
        assert matrix(problem) == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_crowd_is_no_row_and_excuses_its_own_class_only() -> None:
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


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num_found=st.integers(0, 20), num_objects=st.integers(0, 10))
def test_equal_to_plain_loops_and_every_object_and_detection_is_counted_once(
    seed: int, num_found: int, num_objects: int
) -> None:
    detections, truths = random_sets(seed, num_found, num_objects)
    got = confusion_matrix(detections, truths, num_classes=2, score_threshold=0.4)
    kept = detections[detections.scores >= 0.4]
    ignored = truths.reusable
    expected = np.zeros((3, 3), np.int64)
    matched = slow_assign(kept, truths, ignored.tolist(), threshold=0.5, per_class=False)
    for label, truth in zip(kept.labels.tolist(), matched, strict=True):
        if truth < 0:
            expected[2, label] += 1
        elif not ignored[truth]:
            expected[truths.labels[truth], label] += 1
    for truth in range(num_objects):
        if truth not in matched and not ignored[truth]:
            expected[truths.labels[truth], 2] += 1
    np.testing.assert_array_equal(got, expected)
    assert got[:2].sum() == (~ignored).sum()
