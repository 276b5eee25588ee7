import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.slow_matching import make_sets, random_sets, slow_overlap
from tests.reference.slow_voc import file_box
from tests.reference.slow_voc import slow_overlap as slow_file_overlap
from yolo.arrays import Float64
from yolo.detection_sets import DetectionSet, TruthSet
from yolo.evaluation import overlaps
from yolo.evaluation.overlaps import (
    Pairs,
    coco_overlap,
    find_pairs,
    nearest_detections,
    nearest_objects,
    sort_by_group,
    voc_overlap,
)

BOX, HALF = [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]


def pairs_of(sets: tuple[DetectionSet, TruthSet], *, least: float = 0.5) -> Pairs:
    detections, truths = sets
    found, wanted = (sort_by_group(part.image_index * 2 + part.labels) for part in sets)
    return find_pairs(found, wanted, coco_overlap(detections, truths), least=least)


def all_overlaps(sets: tuple[DetectionSet, TruthSet], *, voc: bool = False, plus_one: bool = True) -> Float64:
    """(K, M)."""
    detections, truths = sets
    overlap = voc_overlap(detections, truths, plus_one=plus_one) if voc else coco_overlap(detections, truths)
    found, wanted = (grid.ravel() for grid in np.indices((len(detections), len(truths))))
    return overlap(found, wanted).reshape(len(detections), len(truths))


def test_pairs_come_by_detection_then_by_overlap_then_by_object() -> None:
    # the first detection overlaps all three, equally the last two; the second one the half only
    sets = make_sets(found=[(0.5, BOX), (0.9, HALF)], objects=[BOX, HALF, [0.0, 5.0, 10.0, 5.0]])
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
    sets = make_sets(found=[(0.5, HALF), (0.5, pixel)], objects=[BOX, pixel])
    assert all_overlaps(sets, voc=True, plus_one=False).tolist() == [[36 / 81, 0], [0, 0]]
    assert all_overlaps(sets, voc=True).tolist() == [[0.5, 1 / 50], [1 / 100, 1]]


@pytest.mark.parametrize(
    "box", [[3.0, 3.0, 0.0, 5.0], [8.0, 8.0, -6.0, -6.0], [8.0, 2.0, -6.0, 2.0], [10.0, 0.0, 9.0, 9.0]]
)
def test_boxes_of_no_or_negative_size_or_that_touch_overlap_nothing(box: list[float]) -> None:
    for crowd in ((), (0,)):
        assert all_overlaps(make_sets(found=[(0.5, box)], objects=[BOX], crowd=crowd)).tolist() == [[0]]
    assert all_overlaps(make_sets(found=[(0.5, box)], objects=[BOX]), voc=True, plus_one=False).tolist() == [[0]]


def test_the_largest_and_the_smallest_boxes_give_no_warning() -> None:
    huge = float(np.finfo(np.float32).max)
    sets = make_sets(found=[(0.5, [-huge, -huge, 2 * huge, 2 * huge])], objects=[BOX])
    assert 0 <= all_overlaps(sets)[0, 0] < 1e-70
    assert 0 <= all_overlaps(sets, voc=True)[0, 0] < 1e-70
    tiny = [0.0, 0.0, 1e-200, 1e-200]
    assert len(pairs_of(make_sets(found=[(0.5, tiny)], objects=[tiny])).place) <= 1


@pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_pair(sizes: tuple[int, int]) -> None:
    found, objects = sizes
    assert len(pairs_of(make_sets(found=[(0.5, BOX)] * found, objects=[BOX] * objects)).place) == 0


def test_pairs_do_not_depend_on_how_many_are_examined_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = random_sets(0, 60, 30)
    whole = pairs_of(sets)
    assert len(whole.detection) > 20
    for limit in (1, 7, 50):
        monkeypatch.setattr(overlaps, "_PAIRS_AT_ONCE", limit)
        for expected, got in zip(whole, pairs_of(sets), strict=True):
            np.testing.assert_array_equal(got, expected)


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
    assert nearest_objects(detections, crowd, crowd.iscrowd).highest_iou.tolist() == [0.5]


def test_nothing_is_nearest() -> None:
    nothing, nobody = DetectionSet.from_xywh([], [], [], []), TruthSet.from_xywh([], [], [])
    someone = TruthSet.from_xywh([[0, 0, 1, 1]], [0], [0])
    assert nearest_detections(nothing, someone)[0].tolist() == [-1]
    assert nearest_objects(nothing, nobody, np.zeros(0, np.bool_)).own.shape == (0,)


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
        nearest, iou = nearest_detections(detections, truths)
        assert iou.tolist() == table[:, :-1].max(axis=0).tolist()
        assert table[nearest, np.arange(len(truths))].tolist() == iou.tolist()
        own = nearest_objects(detections, truths, np.ones(len(truths), np.bool_))
        assert own.highest_iou.tolist() == table[:-1].max(axis=1).tolist()
    same = detections.labels[:, None] == truths.labels
    for mask, index, iou in ((same, own.own, own.own_iou), (~same, own.other, own.other_iou)):
        expected = np.where(mask, table[:-1, :-1], 0.0)
        assert iou.tolist() == expected.max(axis=1, initial=0.0).tolist()
        last = [max(np.flatnonzero((line == line.max()) & (line > 0)).tolist(), default=-1) if line.size else -1
                for line in expected]  # fmt: skip
        assert index.tolist() == last
