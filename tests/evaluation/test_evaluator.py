import json
import math
import pickle

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.coco_arrays import pycocotools_arrays
from tests.reference.coco_oracle import COCO_NUMBERS, found, random_problem
from yolo.detection_sets import ImageTable
from yolo.errors import DataError
from yolo.evaluation import Evaluator
from yolo.evaluation.coco import CocoProtocol, CocoResult
from yolo.evaluation.summary import summarise
from yolo.structures import Detections, GroundTruth

LEFT, RIGHT = [0.0, 0.0, 40.0, 40.0], [100.0, 0.0, 140.0, 40.0]
NOTHING_FOUND, NO_OBJECTS = found([], [], []), GroundTruth.empty()


def text(evaluator: Evaluator) -> str:
    return json.dumps(evaluator.compute().to_dict(), allow_nan=False)


@given(seed=st.integers(0, 2**32 - 1))
def test_perfect_detections_have_map_exactly_one(seed: int) -> None:
    problem = random_problem(seed, num_images=4, num_classes=3, coarse=False)
    evaluator = Evaluator(problem.class_names)
    for image_id, truth in problem.truths.items():
        plain = GroundTruth.from_boxes(truth.boxes, truth.labels)
        evaluator.update(image_id, found(truth.boxes, np.linspace(1, 0.5, len(truth)), truth.labels), plain)
    result = evaluator.compute()
    if result.num_objects:
        assert result.map_50_95 == result.map_50 == result.map_75 == result.ar_100 == 1.0
        assert result.precision == result.recall == result.f1 == 1.0
        assert np.trace(result.confusion_matrix) == result.confusion_matrix.sum() == result.num_objects


@given(
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.integers(1, 4),
    coarse=st.booleans(),
    limits=st.sampled_from([(1, 10, 100), (2, 3, 7)]),
)
def test_every_number_is_that_of_pycocotools(
    seed: int, num_classes: int, coarse: bool, limits: tuple[int, int, int]
) -> None:
    images = random_problem(seed, num_images=4, num_classes=num_classes, coarse=coarse, max_found=20)
    evaluator, protocol = images.evaluator(limits), CocoProtocol(max_detections=limits)
    arrays, result = pycocotools_arrays(evaluator.problem(), protocol), evaluator.compute()
    expected = CocoResult(protocol, evaluator.class_names, arrays.precision, arrays.recall, arrays.scores).stats
    expected = np.where(expected < 0, np.nan, expected)
    np.testing.assert_allclose([getattr(result, name) for name in COCO_NUMBERS], expected, rtol=0, atol=1e-12)
    own = np.where(arrays.precision < 0, np.nan, arrays.precision)[..., 0, 2]  # (T, R, C)
    expected = np.stack([own[0].mean(axis=0), own[5].mean(axis=0), own.mean(axis=(0, 1))], axis=1)
    ours = [(one.ap_50, one.ap_75, one.ap_50_95) for one in result.per_class]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_hand_computed_numbers() -> None:
    evaluator = Evaluator(["cat", "dog", "bird"])
    # Cats: two objects; found with 0.9 (IoU 1), a false one with 0.6, and with 0.5 one of IoU 36/40 = 0.9.
    evaluator.update(
        "a",
        found([LEFT, [200, 200, 240, 240], [100, 0, 136, 40]], [0.9, 0.6, 0.5], [0, 0, 0]),
        GroundTruth.from_boxes([LEFT, RIGHT], [0, 0]),
    )
    # Dogs: one object, found as a cat with 0.4; a difficult dog found as a dog counts neither way.
    evaluator.update(
        "b",
        found([LEFT, RIGHT], [0.4, 0.8], [0, 1]),
        GroundTruth.from_boxes([LEFT, RIGHT], [1, 1], difficult=[False, True]),
    )
    # Birds: none, but one is detected.
    evaluator.update("c", found([LEFT], [0.7], [2]), NO_OBJECTS)
    result = evaluator.compute()
    cat, dog, bird = result.per_class

    # Precision 1, 1/2, 2/3, 2/4: recall 0.50 at 1, and 1.00 at 2/3. At IoU 0.95 only the first is right.
    ap = (51 + 50 * 2 / 3) / 101
    assert cat.ap_50 == pytest.approx(ap)
    assert cat.ap_75 == pytest.approx(ap)
    assert cat.ap_50_95 == pytest.approx((9 * ap + 51 / 101) / 10)
    assert (dog.ap_50, dog.ap_50_95) == (0, 0)
    assert math.isnan(bird.ap_50)
    assert result.map_50 == pytest.approx(ap / 2)
    assert result.ar_1 == pytest.approx(0.5 / 2)
    assert result.ar_100 == pytest.approx((9 * 1 + 0.5) / 10 / 2)

    # F1 of the cats is 2/3 from 0.9 down, 2/4 from 0.6, 4/5 from 0.5, 4/6 from 0.4; that of the dogs is 0.
    assert result.score_threshold == cat.best_threshold == 0.5
    assert (cat.precision, cat.recall, cat.f1) == pytest.approx((2 / 3, 1, 4 / 5))
    assert (dog.precision, dog.recall, dog.f1) == (0, 0, 0)
    assert (result.precision, result.recall, result.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))

    assert [(one.images, one.instances, one.detections) for one in result.per_class] == [
        (1, 2, 4),
        (1, 1, 1),
        (0, 0, 1),
    ]
    assert (result.num_images, result.num_objects) == (3, 3)
    # the dog found as a cat scores too little
    assert result.confusion_matrix.tolist() == [[2, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0]]
    assert result.precision_curves.shape == result.f1_curves.shape == (3, 101)
    np.testing.assert_allclose(result.precision_curves.mean(axis=1), [ap, 0, math.nan])


def test_images_of_a_class_are_those_with_an_object_that_counts() -> None:
    evaluator = Evaluator(["cat", "dog"])
    evaluator.update("two cats", NOTHING_FOUND, GroundTruth.from_boxes([LEFT, RIGHT], [0, 0]))
    evaluator.update("a cat and a dog", NOTHING_FOUND, GroundTruth.from_boxes([LEFT, RIGHT], [0, 1]))
    evaluator.update("a crowd", NOTHING_FOUND, GroundTruth.from_boxes([LEFT], [1], iscrowd=[True]))
    evaluator.update("difficult", NOTHING_FOUND, GroundTruth.from_boxes([LEFT], [1], difficult=[True]))
    evaluator.update("another cat", NOTHING_FOUND, GroundTruth.from_boxes([LEFT], [0]))
    result = evaluator.compute()
    assert [(one.images, one.instances) for one in result.per_class] == [(3, 4), (1, 1)]
    assert (result.num_images, result.num_objects) == (5, 5)


def test_no_image_at_all() -> None:
    result = Evaluator(["cat"]).compute()
    assert all(math.isnan(getattr(result, name)) for name in COCO_NUMBERS)
    assert math.isnan(result.f1)
    assert math.isnan(result.score_threshold)
    assert result.num_images == result.num_objects == 0


def test_detections_on_images_without_objects_lower_precision() -> None:
    evaluator = Evaluator(["cat"])
    evaluator.update("a", found([LEFT], [0.5], [0]), GroundTruth.from_boxes([LEFT], [0]))
    assert evaluator.compute().map_50 == 1
    evaluator.update("b", found([LEFT], [0.9], [0]), NO_OBJECTS)
    assert evaluator.compute().map_50 == pytest.approx(0.5)


@given(seed=st.integers(0, 2**32 - 1), shards=st.integers(1, 4))
def test_merged_shards_equal_one_evaluator(seed: int, shards: int) -> None:
    problem = random_problem(seed, num_images=7, num_classes=2, coarse=True)
    whole, parts = Evaluator(problem.class_names), [Evaluator(problem.class_names) for _ in range(shards)]
    for place, (image_id, truth) in enumerate(problem.truths.items()):
        for evaluator in (whole, parts[place % shards]):
            evaluator.update(image_id, problem.detections[image_id], truth)
    merged = Evaluator(problem.class_names)
    for part in reversed(parts):
        merged.merge(pickle.loads(pickle.dumps(part)))  # as it comes from another process
    assert len(merged) == len(whole) == 7
    assert text(merged) == text(whole)


def test_every_rank_gets_the_images_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem(3, num_images=7, num_classes=2, coarse=True)
    ranks = [Evaluator(problem.class_names) for _ in range(3)]
    for place, (image_id, truth) in enumerate(problem.truths.items()):
        ranks[place % 3].update(image_id, problem.detections[image_id], truth)
    assert ranks[1].merge_ranks() is ranks[1]
    assert len(ranks[1]) == 2, "without a process group nothing happens"
    sent = [pickle.dumps(one) for one in ranks]

    def all_gather_object(parts: list[object], own: object) -> None:
        assert pickle.dumps(own) in sent
        parts[:] = [pickle.loads(one) for one in sent]

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    monkeypatch.setattr(dist, "all_gather_object", all_gather_object)
    for rank, evaluator in enumerate(ranks):
        monkeypatch.setattr(dist, "get_rank", lambda own=rank: own)
        assert text(evaluator.merge_ranks()) == json.dumps(problem.evaluate().to_dict())


def test_an_image_is_evaluated_once_and_evaluators_of_other_settings_are_not_merged() -> None:
    first, second = Evaluator(["cat"]), Evaluator(["cat"])
    for evaluator in (first, second):
        evaluator.update("x", NOTHING_FOUND, NO_OBJECTS)
    with pytest.raises(ValueError, match="'x' was evaluated twice"):
        first.update("x", NOTHING_FOUND, NO_OBJECTS)
    with pytest.raises(ValueError, match="'x' was evaluated twice"):
        first.merge(second)
    with pytest.raises(ValueError, match="class names"):
        first.merge(Evaluator(["dog"]))
    with pytest.raises(ValueError, match="max_detections"):
        first.merge(Evaluator(["cat"], max_detections=(1, 10, 300)))


def test_reset_forgets_everything() -> None:
    evaluator = Evaluator(["cat"])
    evaluator.update("x", NOTHING_FOUND, GroundTruth.from_boxes([LEFT], [0]))
    evaluator.reset()
    assert text(evaluator) == text(Evaluator(["cat"]))
    evaluator.update("x", NOTHING_FOUND, NO_OBJECTS)
    assert evaluator.compute().num_images == 1


def test_compute_can_be_called_at_any_time() -> None:
    problem = random_problem(5, num_images=3, num_classes=2, coarse=False)
    evaluator = Evaluator(problem.class_names)
    for image_id, truth in problem.truths.items():
        evaluator.update(image_id, problem.detections[image_id], truth)
        evaluator.compute()
    assert text(evaluator) == json.dumps(problem.evaluate().to_dict())


@pytest.mark.parametrize(
    ("detections", "truth", "error", "message"),
    [
        (found([LEFT], [0.5], [1]), NO_OBJECTS, DataError, r"'x': a detection has class 1"),
        (found([LEFT], [0.5], [-1]), NO_OBJECTS, DataError, r"'x': a detection has class -1"),
        (NOTHING_FOUND, GroundTruth.from_boxes([LEFT], [7]), DataError, r"'x': an annotated object has class 7"),
        (NOTHING_FOUND, GroundTruth.from_boxes([[0, 0, math.nan, 1]], [0]), DataError, "'x': an annotated box"),
        (found([LEFT], [math.nan], [0]), NO_OBJECTS, ValueError, "'x': a detection .* not finite"),
        (found([[0, 0, math.inf, 1]], [0.5], [0]), NO_OBJECTS, ValueError, "'x': a detection .* not finite"),
    ],
)
def test_hostile_input_is_refused_and_leaves_nothing_behind(
    detections: Detections, truth: GroundTruth, error: type[Exception], message: str
) -> None:
    evaluator = Evaluator(["cat"])
    with pytest.raises(error, match=message):
        evaluator.update("x", detections, truth)
    assert len(evaluator) == 0
    evaluator.update("x", NOTHING_FOUND, NO_OBJECTS)


def test_what_is_done_to_the_tensors_later_does_not_matter() -> None:
    detections = found([LEFT], [0.5], [0])
    evaluator = Evaluator(["cat"])
    evaluator.update("x", detections, GroundTruth.from_boxes([LEFT], [0]))
    detections.boxes.zero_()
    assert evaluator.compute().map_50_95 == 1


def test_half_precision_detections_are_taken() -> None:
    boxes, scores = torch.tensor([LEFT], dtype=torch.bfloat16), torch.tensor([0.5], dtype=torch.bfloat16)
    evaluator = Evaluator(["cat"])
    evaluator.update("x", Detections(boxes, scores, torch.tensor([0]), (50, 50)), GroundTruth.from_boxes([LEFT], [0]))
    assert evaluator.compute().map_50_95 == 1


@pytest.mark.parametrize("limits", [(0, 10, 100), (10, 10, 100), (100, 10, 1)])
def test_limits_have_to_ascend_and_a_class_is_needed(limits: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Evaluator(["cat"], max_detections=limits)
    with pytest.raises(ValueError, match="at least one class"):
        Evaluator([])


def test_the_problem_has_images_in_pycocotools_order_with_their_paths() -> None:
    evaluator = Evaluator(["cat"])
    for image_id in ("10", "9", "11"):
        evaluator.update(image_id, found([LEFT], [int(image_id) / 20], [0]), GroundTruth.from_boxes([LEFT], [0]))
    problem = evaluator.problem()
    assert list(problem.images.image_ids) == ["9", "10", "11"]
    assert problem.detections.scores.tolist() == pytest.approx([0.45, 0.5, 0.55])
    assert problem.detections.image_index.tolist() == problem.truths.image_index.tolist() == [0, 1, 2]
    table = ImageTable(
        ["11", "8", "9", "10"], ["k.jpg", "h.jpg", "i.jpg", "j.jpg"], np.arange(8, dtype=np.int32).reshape(4, 2)
    )
    images = evaluator.problem(table).images
    assert list(images.image_ids) == ["9", "10", "11"]
    assert list(images.paths) == ["i.jpg", "j.jpg", "k.jpg"]
    assert images.sizes_hw.tolist() == [[4, 5], [6, 7], [0, 1]]
    assert json.dumps(summarise(evaluator.problem(table)).to_dict()) == text(evaluator)


def test_a_table_without_an_evaluated_image_is_refused() -> None:
    evaluator = Evaluator(["cat"])
    evaluator.update("a", NOTHING_FOUND, NO_OBJECTS)
    with pytest.raises(ValueError, match="1 evaluated images are not in the table of images, such as 'a'"):
        evaluator.problem(ImageTable.of_ids(["b"]))
    assert len(Evaluator(["cat"]).problem(ImageTable.of_ids(["b"])).images) == 0
