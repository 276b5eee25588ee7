"""Every number equal to the one of the real pycocotools, to 1e-12, for any protocol."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.coco_arrays import pycocotools_arrays, random_flat_problem
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.coco import CocoProtocol, CocoResult, evaluate_coco

LEFT, RIGHT = [0.0, 0.0, 40.0, 40.0], [100.0, 0.0, 40.0, 40.0]
NO_OBJECTS = TruthSet.from_xywh([], [], [])
NOTHING_FOUND = DetectionSet.from_xywh([], [], [], [])
SEEDS = st.integers(0, 2**32 - 1)

PROTOCOLS = st.builds(
    CocoProtocol,
    # 0 admits boxes that do not touch, 1 those that differ by rounding; in any order
    iou_thresholds=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.55, 0.75, 0.9, 1.0]), min_size=1, unique=True).map(tuple),
    area_ranges=st.dictionaries(
        st.sampled_from(["all", "small", "tiny", "huge"]),
        st.sampled_from([(0.0, 1e10), (0.0, 1024.0), (1024.0, 9216.0), (9216.0, 1e10), (64.0, 64.0), (-1e9, 1e10)]),
        min_size=1,
    ),
    max_detections=st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True).map(
        lambda one: tuple(sorted(one))
    ),
)


def assert_equal_to_pycocotools(problem: EvaluationData, protocol: CocoProtocol | None = None) -> CocoResult:
    protocol = protocol or CocoProtocol()
    expected = pycocotools_arrays(problem, protocol)
    result = evaluate_coco(problem, protocol)
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(getattr(result, name), getattr(expected, name), rtol=0, atol=1e-12, err_msg=name)
    if len(expected.stats):
        np.testing.assert_allclose(result.stats, expected.stats, rtol=0, atol=1e-12)
    return result


@given(
    seed=SEEDS,
    num_images=st.integers(1, 6),
    num_classes=st.integers(1, 5),
    num_objects=st.integers(0, 20),
    num_found=st.integers(0, 60),
    coarse=st.booleans(),
)
def test_random_problems(
    seed: int, num_images: int, num_classes: int, num_objects: int, num_found: int, coarse: bool
) -> None:
    problem = random_flat_problem(
        seed,
        num_images=num_images,
        num_classes=num_classes,
        num_objects=num_objects,
        num_found=num_found,
        coarse=coarse,
    )
    assert_equal_to_pycocotools(problem)


@given(seed=SEEDS, protocol=PROTOCOLS, coarse=st.booleans())
def test_any_protocol(seed: int, protocol: CocoProtocol, coarse: bool) -> None:
    assert_equal_to_pycocotools(random_flat_problem(seed, num_images=3, num_classes=2, coarse=coarse), protocol)


@pytest.mark.parametrize("seed", range(3))
def test_limits_cut_between_equal_scores(seed: int) -> None:
    problem = random_flat_problem(seed, num_images=2, num_classes=1, num_objects=30, num_found=300, coarse=True)
    assert_equal_to_pycocotools(problem)
    assert_equal_to_pycocotools(problem, CocoProtocol(max_detections=(3, 50)))


def test_many_images_and_classes() -> None:
    problem = random_flat_problem(1, num_images=60, num_classes=40, num_objects=500, num_found=3000, coarse=True)
    assert_equal_to_pycocotools(problem)


def problem_of(truths: TruthSet, detections: DetectionSet, *, images: int = 1, classes: int = 2) -> EvaluationData:
    table = ImageTable.of_ids([str(index + 1) for index in range(images)])
    return EvaluationData(table, tuple("abcd"[:classes]), truths, detections)


def on_first_image(boxes: list[list[float]], labels: list[int], *, crowd: bool = False) -> TruthSet:
    return TruthSet.from_xywh(boxes, labels, [0] * len(boxes), iscrowd=[crowd] * len(boxes))


def found_there(boxes: list[list[float]], labels: list[int]) -> DetectionSet:
    return DetectionSet.from_xywh(boxes, [0.5] * len(boxes), labels, [0] * len(boxes))


@pytest.mark.parametrize(
    ("truths", "detections"),
    [
        (on_first_image([LEFT], [0]), found_there([], [])),
        (on_first_image([], []), found_there([LEFT], [0])),
        (on_first_image([], []), found_there([], [])),
        (on_first_image([LEFT], [0], crowd=True), found_there([LEFT, LEFT], [0, 1])),
        (on_first_image([LEFT], [1]), found_there([LEFT], [0])),
        (on_first_image([[5, 5, 0, 4]], [0]), found_there([[5, 5, 0, 4], [9, 9, -4, -4]], [0, 0])),
    ],
    ids=["nothing found", "nothing to find", "nothing at all", "only a crowd", "other class", "no area"],
)
def test_little_or_nothing(truths: TruthSet, detections: DetectionSet) -> None:
    assert_equal_to_pycocotools(problem_of(truths, detections))
    assert_equal_to_pycocotools(problem_of(truths, detections, images=3, classes=4))


def test_no_image_and_no_class() -> None:
    result = evaluate_coco(problem_of(NO_OBJECTS, NOTHING_FOUND, images=0))
    assert (result.precision == -1).all()
    assert result.stats.tolist() == [-1] * 12
    nothing = problem_of(NO_OBJECTS, NOTHING_FOUND, images=0, classes=0)
    assert evaluate_coco(nothing).precision.shape == (10, 101, 0, 4, 3)


@given(seed=SEEDS, coarse=st.booleans())
def test_the_order_of_images_in_the_detections_does_not_matter(seed: int, coarse: bool) -> None:
    # but on one image it does, where scores are equal
    problem = random_flat_problem(seed, coarse=coarse)
    sorted_order = np.argsort(problem.detections.image_index, kind="stable")
    ascending = replace(problem, detections=problem.detections[sorted_order])
    first, second = evaluate_coco(problem), evaluate_coco(ascending)
    np.testing.assert_array_equal(first.precision, second.precision)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_annotation_id_0_is_a_match_here_and_none_in_pycocotools() -> None:
    # two objects, both found. pycocotools notes the ids of the objects that were taken, 0 and 1, and reads 0 as none
    problem = problem_of(
        TruthSet.from_xywh([LEFT, RIGHT], [0, 0], [0, 0]),
        DetectionSet.from_xywh([LEFT, RIGHT], [0.9, 0.8], [0, 0], [0, 0]),
        classes=1,
    )
    protocol = CocoProtocol()
    assert evaluate_coco(problem).stats[0] == 1.0
    assert pycocotools_arrays(problem, protocol, first_id=1).stats[0] == pytest.approx(1.0)
    # false, then true: precision 1/2 up to recall 0.5, nothing beyond
    at_fault = pycocotools_arrays(problem, protocol, first_id=0).stats[0]
    assert at_fault == pytest.approx(51 / 101 / 2)


def test_difficult_objects_are_ignored_here_and_count_in_pycocotools() -> None:
    # the difficult object is not found, the other one is. pycocotools reads the key `ignore` of a file and then
    # puts `iscrowd` in its place
    problem = problem_of(
        TruthSet.from_xywh([LEFT, RIGHT], [0, 0], [0, 0], difficult=[False, True]),
        DetectionSet.from_xywh([LEFT], [0.9], [0], [0]),
        classes=1,
    )
    assert evaluate_coco(problem).stats[0] == 1.0
    assert pycocotools_arrays(problem, CocoProtocol()).stats[0] == pytest.approx(51 / 101)


def test_float64_decides_not_float32() -> None:
    # the two scores are equal in float32, and 8192 / 16384.001 falls short of 0.5 by less than float32 can say
    scores = [0.5, 0.5 + 1e-12]
    problem = problem_of(
        TruthSet.from_xywh([[0, 0, 128, 128]], [0], [0]),
        DetectionSet.from_xywh([[0, 0, 128, 128], [0, 0, 128, 64 - 1e-9]], scores, [0, 0], [0, 0]),
        classes=1,
    )
    # the better score goes first, falls short, and precision is 1/2
    assert evaluate_coco(problem).stats[1] == pytest.approx(0.5)
    assert_equal_to_pycocotools(problem)


def test_numbers_of_other_protocols() -> None:
    problem = random_flat_problem(3, coarse=True)
    standard = evaluate_coco(problem)
    only_half = evaluate_coco(problem, CocoProtocol(iou_thresholds=(0.5,), max_detections=(100,)))
    assert only_half.stats[[0, 1]].tolist() == [standard.stats[1]] * 2
    assert only_half.stats[[2, 7]].tolist() == [-1, -1]
    assert only_half.stats[6] == only_half.stats[8]
    strange = evaluate_coco(problem, CocoProtocol(area_ranges={"odd": (0.0, 1e10)}))
    assert strange.stats.tolist() == [-1] * 12
    np.testing.assert_array_equal(strange.precision[:, :, :, 0], standard.precision[:, :, :, 0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_detections": ()}, "needs IoU thresholds, area ranges and limits"),
        ({"iou_thresholds": ()}, "needs IoU thresholds, area ranges and limits"),
        ({"area_ranges": {}}, "needs IoU thresholds, area ranges and limits"),
        ({"max_detections": (0, 1)}, "ascending numbers from 1"),
        ({"max_detections": (10, 1)}, "ascending numbers from 1"),
        ({"max_detections": (1, 1)}, "ascending numbers from 1"),
        ({"iou_thresholds": (0.5, float("nan"))}, "finite"),
    ],
)
def test_protocols_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CocoProtocol(**values)
