from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from tests.evaluation.problems import one_class, problem_of
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.errors import analyse_errors
from yolo.evaluation.examples import Example
from yolo.evaluation.label_errors import _Candidates, _rank, find_label_errors
from yolo.evaluation.matching import match
from yolo.evaluation.summary import summarise

KINDS = ("not_annotated", "wrong_class", "inexact_box", "no_object")
NUM_IMAGES, NUM_CLASSES, PER_IMAGE = 300, 4, 6


class Planted(NamedTuple):
    """Objects whose label was spoiled, as (image, box of the true object)."""

    problem: EvaluationData
    wrong: list[tuple[int, list[float]]]


def find(problem: EvaluationData, *, most: int = 200) -> tuple[Example, ...]:
    matches = match(problem)
    errors = analyse_errors(matches, score_threshold=summarise(problem).score_threshold)
    return find_label_errors(matches, errors, most=most)


def true_objects(generator: np.random.Generator) -> TruthSet:
    """Six objects on each image, each in a field of its own of 100 × 100 pixels."""
    corners = np.stack((np.arange(PER_IMAGE) * 100.0, np.zeros(PER_IMAGE)), axis=1)
    offset = generator.uniform(5, 20, (NUM_IMAGES, PER_IMAGE, 2))
    sizes = generator.uniform(30, 70, (NUM_IMAGES, PER_IMAGE, 2))
    boxes = np.concatenate((corners + offset, sizes), axis=-1).reshape(-1, 4)
    labels = generator.integers(0, NUM_CLASSES, len(boxes))
    return TruthSet.from_xywh(boxes, labels, np.repeat(np.arange(NUM_IMAGES), PER_IMAGE))


def detect(generator: np.random.Generator, objects: TruthSet) -> DetectionSet:
    """A decent detector: nine of ten objects at high scores, some of a wrong class, and a tail of low scores."""
    count = len(objects)
    boxes = np.concatenate((objects.boxes[:, :2], objects.sizes_wh), axis=1)
    boxes = boxes + generator.normal(0, 2.5, boxes.shape)
    confused = generator.random(count) < 0.05
    labels = np.where(confused, (objects.labels + 1) % NUM_CLASSES, objects.labels)
    scores = np.where(confused, generator.beta(2, 4, count), generator.beta(8, 2, count))
    found = generator.random(count) < 0.9
    noise = boxes[generator.permutation(count)] + generator.normal(0, 8, boxes.shape)
    return DetectionSet.from_xywh(
        np.concatenate((boxes[found], boxes[~found], noise)),
        np.concatenate((scores[found], generator.uniform(0.01, 0.1, (~found).sum()), generator.beta(1, 8, count))),
        np.concatenate((labels[found], labels[~found], generator.integers(0, NUM_CLASSES, count))),
        np.concatenate((objects.image_index[found], objects.image_index[~found], objects.image_index)),
    )


def on_all_images(truths: TruthSet, detections: DetectionSet) -> EvaluationData:
    images = ImageTable.of_ids([str(index) for index in range(NUM_IMAGES)])
    return EvaluationData(images, tuple(f"class {index}" for index in range(NUM_CLASSES)), truths, detections)


def plant(seed: int, kind: str, count: int = 40) -> Planted:
    """Spoil the labels of `count` objects in one way; the detector does not know."""
    generator = np.random.default_rng(seed)
    objects = true_objects(generator)
    detections = detect(generator, objects)
    spoiled = generator.choice(len(objects), count, replace=False)
    wrong = [(int(objects.image_index[index]), objects.boxes[index].tolist()) for index in spoiled.tolist()]
    if kind == "not_annotated":
        truths = objects[np.setdiff1d(np.arange(len(objects)), spoiled)]
    elif kind == "wrong_class":
        labels = objects.labels.copy()
        labels[spoiled] = (labels[spoiled] + generator.integers(1, NUM_CLASSES, count)) % NUM_CLASSES
        truths = replace(objects, labels=labels)
    elif kind == "inexact_box":
        boxes = np.concatenate((objects.boxes[:, :2], objects.sizes_wh), axis=1)
        boxes[spoiled, 2] *= 0.42
        truths = TruthSet.from_xywh(boxes, objects.labels, objects.image_index)
    else:  # objects where there is nothing, below all others
        boxes = np.stack([[100.0 * (index % 6) + 20, 200.0, 40.0, 40.0] for index in spoiled.tolist()])
        truths = TruthSet.from_xywh(
            np.concatenate((np.concatenate((objects.boxes[:, :2], objects.sizes_wh), axis=1), boxes)),
            np.concatenate((objects.labels, objects.labels[spoiled])),
            np.concatenate((objects.image_index, objects.image_index[spoiled])),
        )
        wrong = [(int(objects.image_index[index]), [box[0], 200.0, box[0] + 40, 240.0])
                 for index, box in zip(spoiled.tolist(), boxes.tolist(), strict=True)]  # fmt: skip
    return Planted(on_all_images(truths, detections), wrong)


def is_planted(case: Example, planted: Planted) -> bool:
    """Whether the box of a case lies on a spoiled object."""
    detections, truths = planted.problem.detections, planted.problem.truths
    x1, y1, x2, y2 = (detections.boxes[case.detection] if case.detection >= 0 else truths.boxes[case.truth]).tolist()
    return any(
        image == case.image and left < (x1 + x2) / 2 < right and top < (y1 + y2) / 2 < bottom
        for image, (left, top, right, bottom) in planted.wrong
    )


@pytest.mark.parametrize("kind", KINDS)
def test_planted_errors_come_first(kind: str) -> None:
    planted = plant(1, kind)
    of_kind = [case for case in find(planted.problem) if case.kind == kind]
    # nine of ten spoiled objects can be noticed at all, because the detector finds no more
    first = of_kind[: round(0.7 * len(planted.wrong))]
    assert len(first) == round(0.7 * len(planted.wrong))
    assert sum(is_planted(case, planted) for case in first) >= 0.8 * len(first)


def test_planted_errors_are_most_of_all_that_is_listed() -> None:
    planted = plant(4, "not_annotated")
    cases = find(planted.problem, most=35)
    assert len(cases) == 35
    assert sum(is_planted(case, planted) for case in cases) >= 28
    assert [case.score for case in cases] == sorted((case.score for case in cases), reverse=True)
    assert all(0 <= case.score <= 1 for case in cases)


def test_a_random_detector_finds_no_label_errors() -> None:
    generator = np.random.default_rng(1)
    objects = true_objects(generator)
    detections = detect(generator, objects)
    count = len(detections)
    shuffled = replace(
        detections,
        scores=generator.random(count),
        labels=generator.integers(0, NUM_CLASSES, count),
        image_index=generator.integers(0, NUM_IMAGES, count),
    )
    cases = find(on_all_images(objects, shuffled), most=10_000)
    assert sum(case.score > 0.4 for case in cases) <= 2


# --- single images beside fifty on which the detector is right -------------------------------------------------------

BOX = [0.0, 0.0, 50.0, 50.0]
CAT, DOG = 0, 1
Found = list[tuple[int, float, list[float]]]  # class, score, xywh


def beside_good_ones(
    found: Found, objects: list[tuple[int, list[float]]],
    *, flags: Sequence[str] = (), fit: float = 50.0,
) -> list[tuple[str, str]]:  # fmt: skip
    """Kind and message of what `listed_beside_good_ones`."""
    return [(case.kind, case.message) for case in listed_beside_good_ones(found, objects, flags=flags, fit=fit)]


def listed_beside_good_ones(
    found: Found, objects: list[tuple[int, list[float]]],
    *, flags: Sequence[str] = (), fit: float = 50.0,
) -> tuple[Example, ...]:  # fmt: skip
    """What is listed on image 50, after fifty images with a cat found at 0.5 to 0.99.

    `flags` are those of the first of the objects. `fit` is the width of the detections on the good images.
    """
    good = 50
    problem = problem_of(
        [(CAT, 0.5 + image / 100, [0, 0, fit, 50], image) for image in range(good)] + [(*one, good) for one in found],
        [(CAT, BOX, image) for image in range(good)] + [(*one, good) for one in objects],
        sizes_hw=[(0, 0)] * (good + 1),
        **{name: np.arange(good + len(objects)) == good for name in flags},
    )
    matches = match(problem)
    cases = find_label_errors(matches, analyse_errors(matches, score_threshold=0.5))
    assert all(case.image == good for case in cases)
    return cases


def test_each_kind_has_its_sentence() -> None:
    assert beside_good_ones([(CAT, 0.95, BOX)], []) == [
        ("not_annotated", "cat 0.95 may be an object that is not annotated")
    ]
    assert beside_good_ones([(CAT, 0.95, [0, 0, 50, 40])], [(DOG, BOX)]) == [
        ("wrong_class", "annotated as dog, but may be cat 0.95 (IoU 0.80)")
    ]
    assert beside_good_ones([(CAT, 0.95, [0, 0, 50, 20])], [(CAT, BOX)]) == [
        ("inexact_box", "the box of the annotated cat may be inexact: cat 0.95 is elsewhere (IoU 0.40)")
    ]
    assert beside_good_ones([(CAT, 0.05, [300, 0, 50, 50])], [(CAT, BOX)]) == [
        ("no_object", "cat is annotated where nothing was detected, not even with a low score")
    ]


def test_low_scores_say_nothing() -> None:
    assert not beside_good_ones([(CAT, 0.49, BOX)], [])
    # right detections score 0.5 to 0.99: the one at 0.51 is not typical
    assert not beside_good_ones([(CAT, 0.51, BOX)], [])


def test_an_object_near_by_may_be_meant() -> None:
    # IoU 0.32 with a dog: neither not annotated nor its class
    assert not beside_good_ones([(CAT, 0.95, [0, 0, 50, 16])], [(DOG, BOX)])


@pytest.mark.parametrize("flag", ["iscrowd", "difficult"])
@pytest.mark.parametrize("label", [CAT, DOG])
def test_crowds_and_difficult_objects_and_what_overlaps_them_are_left_alone(flag: str, label: int) -> None:
    assert not beside_good_ones([(CAT, 0.95, [0, 0, 50, 20])], [(label, BOX)], flags=[flag])
    assert not beside_good_ones([(CAT, 0.05, [300, 0, 50, 50])], [(label, BOX)], flags=[flag])


def test_an_object_that_its_own_class_found_has_the_right_class() -> None:
    assert not beside_good_ones([(CAT, 0.95, BOX), (DOG, 0.6, BOX)], [(DOG, BOX)])
    assert beside_good_ones([(CAT, 0.95, BOX), (DOG, 0.4, BOX)], [(DOG, BOX)]), "not found at the threshold"


def test_a_duplicate_on_another_class_is_no_wrong_class() -> None:
    # an annotated cat and dog in one place, a cat found twice
    assert not beside_good_ones([(CAT, 0.95, BOX), (CAT, 0.94, BOX)], [(CAT, BOX), (DOG, BOX)])


def test_a_box_that_another_detection_fits_is_exact() -> None:
    assert not beside_good_ones([(CAT, 0.95, [0, 0, 50, 20]), (CAT, 0.6, BOX)], [(CAT, BOX)])


def test_a_detection_of_another_object_says_nothing_of_the_box_beside_it() -> None:
    # the detection fits the first object and covers a third of the second one
    assert not beside_good_ones([(CAT, 0.95, BOX)], [(CAT, BOX), (CAT, [25, 0, 50, 50])])


def test_a_detector_with_loose_boxes_says_nothing_of_boxes() -> None:
    # on the good images IoU is 0.6: right at 0.5, but not tight
    assert not beside_good_ones([(CAT, 0.95, [0, 0, 50, 20])], [(CAT, BOX)], fit=30.0)


def test_what_was_held_back_is_no_sign_that_there_is_no_object() -> None:
    assert not beside_good_ones([(CAT, 0.2, [300, 0, 50, 50])], [(CAT, BOX)]), "nothing below 0.1 was reported"


def test_what_took_another_object_says_nothing_of_the_nearest_one() -> None:
    # The first detection takes A (IoU 0.5). The second overlaps A by 0.54 and takes B, IoU 0.52, as A is taken.
    found: Found = [(CAT, 0.95, [0, 25, 50, 25]), (CAT, 0.94, [0, 0, 50, 27])]
    assert not beside_good_ones(found, [(CAT, BOX), (CAT, [0, 0, 50, 14])])


def test_small_objects_are_easily_missed() -> None:
    assert not beside_good_ones([(CAT, 0.05, [300, 0, 50, 50])], [(CAT, [0, 0, 8, 8])])


@pytest.mark.parametrize("others", [CAT, DOG])
def test_a_class_that_is_often_wrong_is_not_believed(others: int) -> None:
    # twenty wrong detections score about as much as the one in question; if they are dogs, a cat is still believed
    wrong: Found = [(others, 0.96 + index / 1000, [300, 0, 50, 50]) for index in range(20)]
    believed = beside_good_ones([*wrong, (CAT, 0.95, BOX)], [(DOG, [300, 0, 50, 50])])
    assert ("not_annotated" in dict(believed)) == (others == DOG)


def test_the_best_detections_say_little_of_those_that_just_suffice() -> None:
    """Precision at a score or above is high everywhere here; at the low scores it is not."""
    good, bad = 400, 60
    images = np.arange(good + bad)
    truths = TruthSet.from_xywh([BOX] * good, [CAT] * good, images[:good])
    scores = np.concatenate((np.linspace(0.7, 0.99, good), np.linspace(0.5, 0.69, bad)))
    scores[:40] = np.linspace(0.5, 0.51, 40)  # some are right below the wrong ones, so that those are typical
    detections = DetectionSet.from_xywh([BOX] * (good + bad), scores, [CAT] * (good + bad), images)
    problem = EvaluationData(ImageTable.of_ids(images.astype(str).tolist()), ("cat",), truths, detections)
    matches = match(problem)
    cases = find_label_errors(matches, analyse_errors(matches, score_threshold=0.5))
    assert sum(case.score > 0.25 for case in cases) <= 10


def test_one_place_is_one_case() -> None:
    found: Found = [(CAT, 0.95 - index / 1000, [0.0, 0, 50, 40 + index / 2]) for index in range(15)]
    assert len(beside_good_ones(found, [])) == 1
    assert len(beside_good_ones([*found, (CAT, 0.95, [300, 0, 50, 50])], [])) == 2
    # one object
    assert len(beside_good_ones(found, [(DOG, BOX)])) == 1


def test_nothing_detected_nothing_annotated() -> None:
    assert find(problem_of([], [])) == find(problem_of([], [(CAT, BOX, 0)])) == ()
    matches = match(problem_of([(CAT, 0.9, BOX, 0)], []))
    for threshold in (0.5, float("nan")):
        assert find_label_errors(matches, analyse_errors(matches, score_threshold=threshold)) == ()


def test_classes_that_are_often_mixed_up_are_mistakes_of_the_detector() -> None:
    planted = plant(0, "wrong_class", count=20)
    truths, detections = planted.problem.truths, planted.problem.detections
    # a quarter of the objects of class 0 is taken for class 3 with the scores of right ones; labels say 3 as a mistake
    # of annotation for a handful only
    generator = np.random.default_rng(1)
    mixed_up = (detections.labels == 0) & (detections.scores > 0.5) & (generator.random(len(detections)) < 0.25)
    assert mixed_up.sum() > 50
    labels = np.where(mixed_up, 3, detections.labels)
    problem = replace(planted.problem, detections=replace(detections, labels=labels))
    listed = [case for case in find(problem) if case.kind == "wrong_class"]
    of_pair = [
        case for case in listed if truths.labels[case.truth] == 0 and problem.detections.labels[case.detection] == 3
    ]
    assert len(of_pair) <= 5
    assert len(listed) >= 10


def scores_beside_good_ones(found: Found, objects: list[tuple[int, list[float]]]) -> list[float]:
    """The confidence of each label error on image 50."""
    return [case.score for case in listed_beside_good_ones(found, objects)]


def test_low_scores_are_those_of_a_fifth_of_the_threshold_and_less() -> None:
    assert scores_beside_good_ones([(CAT, 0.1, [300, 0, 50, 50])], [(CAT, BOX)])
    assert not scores_beside_good_ones([(CAT, 0.101, [300, 0, 50, 50])], [(CAT, BOX)])


def test_objects_below_32_pixels_are_less_certain() -> None:
    sure = [scores_beside_good_ones([(CAT, 0.05, [300, 0, 50, 50])], [(CAT, [0, 0, side, side])])[0]
            for side in (24.0, 32.0, 64.0)]  # fmt: skip
    assert sure == pytest.approx([0.75 * sure[2], sure[2], sure[2]])


def test_an_object_that_overlaps_a_little_halves_the_confidence() -> None:
    # IoU 0.2 with a dog, halfway between 0.1, which is background, and 0.3, which may be what was meant
    alone, beside = (scores_beside_good_ones([(CAT, 0.95, [0, 0, 50, 10])], objects) for objects in ([], [(DOG, BOX)]))
    assert beside == pytest.approx([alone[0] / 2])


def test_two_hundred_are_listed_unless_more_are_wanted() -> None:
    found = [(image, 0.9, True) for image in range(900)]
    problem = one_class(found, [image for image in range(900) if image % 3], num_images=900)
    matches = match(problem)
    errors = analyse_errors(matches, score_threshold=0.5)
    assert len(find_label_errors(matches, errors)) == 200
    assert len(find_label_errors(matches, errors, most=1000)) > 260


@pytest.mark.parametrize(("on_one_place", "expected"), [(39, 2), (40, 1)])
def test_the_search_ends_after_twenty_candidates_for_each_that_is_wanted(on_one_place: int, expected: int) -> None:
    count = on_one_place + 1
    boxes = [BOX] * on_one_place + [[300, 0, 50, 50]]
    problem = problem_of([(CAT, 0.9, box, 0) for box in boxes], [])
    sure = np.array([0.9] * on_one_place + [0.8])
    candidates = _Candidates(np.arange(count), np.full(count, -1), np.zeros(count), sure)
    assert len(_rank(match(problem), {"not_annotated": candidates}, 2)) == expected


def test_three_wrong_labels_between_two_classes_are_to_be_expected_of_few_objects() -> None:
    places = [[100.0 * index, 0.0, 50.0, 50.0] for index in range(5)]
    sure = [
        scores_beside_good_ones([(CAT, 0.95, box) for box in places[:count]], [(DOG, box) for box in places[:count]])[0]
        for count in (1, 3, 4)
    ]
    assert sure == pytest.approx([0.790569415, 0.790569415, 0.592927061], abs=1e-9)


def test_confidence_is_as_it_was_when_the_limits_were_chosen() -> None:
    """Any change of a limit in `label_errors` moves these: number of cases and sum of their scores."""
    totals = {}
    for kind in KINDS:
        scores = [case.score for case in find(plant(0, kind).problem, most=1000)]
        totals[kind] = (len(scores), round(sum(scores), 6))
    assert totals == {
        "not_annotated": (44, 27.729559),
        "wrong_class": (44, 27.134085),
        "inexact_box": (44, 23.987894),
        "no_object": (51, 23.25738),
    }
