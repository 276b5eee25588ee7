import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.slow_matching import random_sets, slow_overlap
from yolo.analysis import overlaps
from yolo.analysis.overlaps import highest_overlap, nearest_detections, nearest_objects
from yolo.detection_sets import DetectionSet, TruthSet


def test_nearest_of_each_by_hand() -> None:
    # the detection overlaps the objects by 0.2, 0.8, 0.5 and, of the other class, 0.4
    detections = DetectionSet.from_xywh([[0, 0, 10, 10]], [0.5], [0], [0])
    objects = [[0, 0, 10, 2], [0, 0, 10, 8], [0, 0, 10, 5], [0, 0, 10, 4]]
    truths = TruthSet.from_xywh(objects, [0, 0, 0, 1], [0] * 4)
    everything = np.ones(4, np.bool_)
    assert [column.tolist() for column in nearest_objects(detections, truths, everything)] == [[1], [0.8], [3], [0.4]]
    among = np.array([True, False, True, False])
    assert [column.tolist() for column in nearest_objects(detections, truths, among)] == [[2], [0.5], [-1], [0.0]]


def test_the_detection_that_overlaps_most_need_not_come_last() -> None:
    detections = DetectionSet.from_xywh([[0, 0, 10, 2], [0, 0, 10, 8], [0, 0, 10, 5]], [0.5] * 3, [0, 1, 0], [0] * 3)
    truths = TruthSet.from_xywh([[0, 0, 10, 10], [50, 50, 1, 1]], [0, 0], [0, 0])
    assert [column.tolist() for column in nearest_detections(detections, truths)] == [[1, -1], [0.8, 0.0]]


def test_of_a_crowd_region_the_share_of_the_detection_counts() -> None:
    detections = DetectionSet.from_xywh([[90, 0, 20, 10]], [0.5], [0], [0])
    crowd = TruthSet.from_xywh([[0, 0, 100, 100]], [0], [0], iscrowd=[True])
    assert highest_overlap(detections, crowd).tolist() == [0.5]


def test_nothing() -> None:
    nothing, nobody = DetectionSet.from_xywh([], [], [], []), TruthSet.from_xywh([], [], [])
    someone = TruthSet.from_xywh([[0, 0, 1, 1]], [0], [0])
    assert nearest_detections(nothing, someone).detection.tolist() == [-1]
    assert nearest_objects(nothing, nobody, np.zeros(0, np.bool_)).own.shape == (0,)
    assert highest_overlap(nothing, someone).shape == (0,)


def xywh(part: DetectionSet | TruthSet, index: int) -> list[float]:
    return [*part.boxes[index, :2].tolist(), *part.sizes_wh[index].tolist()]


@given(seed=st.integers(0, 100_000), at_once=st.integers(1, 30))
def test_equal_to_loops_however_many_pairs_at_once(seed: int, at_once: int) -> None:
    generator = np.random.default_rng(seed)
    detections, truths = random_sets(seed, *generator.integers(0, 15, 2).tolist())
    detections = detections[generator.permutation(len(detections))]
    table = np.zeros((len(detections) + 1, len(truths) + 1))
    for row in range(len(detections)):
        for column in np.flatnonzero(truths.image_index == detections.image_index[row]).tolist():
            table[row, column] = slow_overlap(xywh(detections, row), xywh(truths, column), bool(truths.iscrowd[column]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "_PAIRS_AT_ONCE", at_once)
        assert highest_overlap(detections, truths).tolist() == table[:-1].max(axis=1).tolist()
        near = nearest_detections(detections, truths)
        assert near.iou.tolist() == table[:, :-1].max(axis=0).tolist()
        assert table[near.detection, np.arange(len(truths))].tolist() == near.iou.tolist()
        own = nearest_objects(detections, truths, np.ones(len(truths), np.bool_))
    same = detections.labels[:, None] == truths.labels
    for mask, index, iou in ((same, own.own, own.own_iou), (~same, own.other, own.other_iou)):
        expected = np.where(mask, table[:-1, :-1], 0.0)
        assert iou.tolist() == expected.max(axis=1, initial=0.0).tolist()
        last = [max(np.flatnonzero((line == line.max()) & (line > 0)).tolist(), default=-1) if line.size else -1
                for line in expected]  # fmt: skip
        assert index.tolist() == last
