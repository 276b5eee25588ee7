import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.coco_arrays import random_flat_problem
from tests.reference.coco_oracle import found, random_problem
from tests.reference.slow_voc import file_box, found_of_class, objects_of_class, slow_ap, slow_curve
from yolo.detection_sets import coco_image_ids
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.voc import evaluate_voc
from yolo.structures import Detections, GroundTruth


def small_problem(seed: int) -> tuple[dict[str, Detections], dict[str, GroundTruth]]:
    """Five images, three classes; boxes of 1 to 6 whole pixels, scores in tenths: ties of all kinds."""
    generator = np.random.default_rng(seed)

    def boxes(count: int) -> Any:
        corner, size = generator.integers(0, 4, (count, 2)), generator.integers(1, 7, (count, 2))
        return np.concatenate((corner, corner + size), axis=1)

    detections, truths = {}, {}
    for place in range(5):
        num_found, num_objects = int(generator.integers(0, 9)), int(generator.integers(1, 5))
        truth = GroundTruth.from_boxes(
            boxes(num_objects),
            generator.integers(0, 3, num_objects),
            difficult=generator.random(num_objects) < 0.2,
            iscrowd=generator.random(num_objects) < 0.1,
        )
        found_boxes, labels = boxes(num_found), generator.integers(0, 3, num_found)
        # most are an object moved by a pixel at one side, or not at all
        source, near = generator.integers(0, num_objects, num_found), generator.random(num_found) < 0.7
        moved = truth.boxes[source] + np.eye(4)[generator.integers(0, 4, num_found)] * (source % 2)[:, None]
        found_boxes[near], labels[near] = moved[near], truth.labels[source][near]
        truths[f"image {place}"] = truth
        detections[f"image {place}"] = found(found_boxes, generator.integers(1, 10, num_found) / 10, labels)
    return detections, truths


def assert_equal_to_loops(
    detections: dict[str, Detections], truths: dict[str, GroundTruth], class_names: list[str], **options: Any
) -> None:
    evaluator = Evaluator(class_names)
    for image_id, truth in truths.items():
        evaluator.update(image_id, detections[image_id], truth)
    result = evaluate_voc(evaluator.problem(), **options)
    interpolation = options.pop("interpolation")
    numbers = coco_image_ids(truths)  # the order of the images decides between equal scores
    in_order = {image_id: detections[image_id] for image_id in sorted(numbers, key=numbers.__getitem__)}
    aps = []
    for label in range(len(class_names)):
        precision, recall, npos = slow_curve(
            found_of_class(in_order, label), objects_of_class(truths, label), **options
        )
        aps.append(slow_ap(precision, recall, npos, interpolation))
        np.testing.assert_allclose(result.precision[label], precision, rtol=0, atol=1e-12)
        np.testing.assert_allclose(result.recall[label], recall, rtol=0, atol=1e-12)
        assert (result.npos[label], result.num_detections[label]) == (npos, len(precision))
    np.testing.assert_allclose(result.ap_per_class, aps, rtol=0, atol=1e-12)
    known = [ap for ap in aps if not math.isnan(ap)]
    assert result.mean_ap == pytest.approx(sum(known) / len(known), abs=1e-12) if known else math.isnan(result.mean_ap)


OPTIONS = st.fixed_dictionaries(
    {
        "interpolation": st.sampled_from(["11-point", "all-point"]),
        # thresholds that coarse boxes meet exactly
        "match_iou": st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.75, 1.0]),
        "plus_one": st.booleans(),
        "strict": st.booleans(),
    }
)


@given(seed=st.integers(0, 2**32 - 1), options=OPTIONS)
def test_equal_to_plain_loops_on_small_whole_boxes(seed: int, options: dict[str, Any]) -> None:
    assert_equal_to_loops(*small_problem(seed), ["a", "b", "c"], **options)


@given(seed=st.integers(0, 2**32 - 1), coarse=st.booleans(), options=OPTIONS)
def test_equal_to_plain_loops_on_boxes_of_any_size(seed: int, coarse: bool, options: dict[str, Any]) -> None:
    problem = random_problem(seed, num_images=6, num_classes=2, coarse=coarse)
    assert_equal_to_loops(problem.detections, problem.truths, problem.class_names, **options)


@given(seed=st.integers(0, 2**32 - 1), interpolation=st.sampled_from(["11-point", "all-point"]))
def test_perfect_detections_have_ap_exactly_one(seed: int, interpolation: Any) -> None:
    problem = random_problem(seed, num_images=4, num_classes=3, coarse=False)
    evaluator = Evaluator(problem.class_names)
    for image_id, truth in problem.truths.items():
        plain = GroundTruth.from_boxes(truth.boxes, truth.labels)
        evaluator.update(image_id, found(truth.boxes, np.linspace(1, 0.5, len(truth)), truth.labels), plain)
    result = evaluate_voc(evaluator.problem(), interpolation=interpolation)
    assert set(result.ap_per_class[result.npos > 0].tolist()) <= {1.0}
    assert result.mean_ap == 1 or not result.npos.any()


@given(seed=st.integers(0, 2**32 - 1), coarse=st.booleans(), options=OPTIONS)
def test_flat_problems_keep_the_order_of_their_detections(seed: int, coarse: bool, options: dict[str, Any]) -> None:
    # as lines of files: images in any order, equal scores on different images
    problem = random_flat_problem(seed, coarse=coarse)
    detections, truths = problem.detections, problem.truths
    result = evaluate_voc(problem, **options)
    interpolation = options.pop("interpolation")
    for label in range(problem.num_classes):
        columns = (detections.labels, detections.image_index, detections.scores, detections.boxes)
        found_rows = [
            (str(image), score, file_box(box))
            for own, image, score, box in zip(*(one.tolist() for one in columns), strict=True)
            if own == label
        ]
        objects = {
            str(image): [
                (file_box(truths.boxes[j].tolist()), bool(truths.reusable[j]))
                for j in np.flatnonzero((truths.image_index == image) & (truths.labels == label)).tolist()
            ]
            for image in range(len(problem.images))
        }
        precision, recall, npos = slow_curve(found_rows, objects, **options)
        np.testing.assert_allclose(result.precision[label], precision, rtol=0, atol=1e-12)
        np.testing.assert_allclose(result.recall[label], recall, rtol=0, atol=1e-12)
        expected = slow_ap(precision, recall, npos, interpolation)
        np.testing.assert_allclose(result.ap_per_class[label], expected, rtol=0, atol=1e-12)
