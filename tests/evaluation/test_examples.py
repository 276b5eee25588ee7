import math

from tests.evaluation.problems import Found, Object, problem_of
from yolo.detection_sets import EvaluationData
from yolo.evaluation.errors import ERROR_KINDS, analyse_errors
from yolo.evaluation.examples import Example, error_examples
from yolo.evaluation.matching import match

CAT, DOG = 0, 1
BOX = [0.0, 0.0, 10.0, 10.0]


def make_problem(found: list[Found], objects: list[Object], *, sizes_hw: list[tuple[int, int]]) -> EvaluationData:
    return problem_of(found, objects, class_names=("cat", "<dog>"), sizes_hw=sizes_hw)


def worst(problem: EvaluationData, *, threshold: float = 0.5, **options: int) -> dict[str, tuple[Example, ...]]:
    matches = match(problem)
    return error_examples(matches, analyse_errors(matches, score_threshold=threshold), **options)


def test_each_kind_has_its_sentence() -> None:
    found: list[Found] = [
        (DOG, 0.93, [0, 0, 10, 8], 0),
        (CAT, 0.92, [0, 0, 10, 4], 1),
        (DOG, 0.91, [0, 0, 10, 4], 2),
        (CAT, 0.90, BOX, 3),
        (CAT, 0.89, [0, 0, 10, 8], 3),
        (CAT, 0.88, BOX, 4),
    ]
    problem = make_problem(found, [(CAT, BOX, image) for image in range(4)], sizes_hw=[(20, 20)] * 5)
    cases = worst(problem)
    assert list(cases) == list(ERROR_KINDS)
    assert {kind: [one.message for one in some] for kind, some in cases.items()} == {
        "class": ["found <dog> 0.93 where cat is annotated (IoU 0.80)"],
        "location": ["found cat 0.92 with an inexact box (IoU 0.40)"],
        "both": ["found <dog> 0.91 which overlaps an annotated cat a little (IoU 0.40)"],
        "duplicate": ["found cat 0.89 again: a duplicate of a better detection (IoU 0.80)"],
        "background": ["found cat 0.88 where nothing is annotated"],
        "missed": ["cat of 10 × 10 pixels not found; the nearest detection is <dog> 0.91 (IoU 0.40)"],
    }
    assert cases["class"][0] == Example("class", 0, 0, 0, 0.93, 0.8, cases["class"][0].message)
    assert cases["background"][0] == Example("background", 4, 5, -1, 0.88, 0.0, cases["background"][0].message)
    # 100 of 400 pixels of the image
    assert cases["missed"][0] == Example("missed", 2, 2, 2, 0.25, 0.4, cases["missed"][0].message)


def test_the_highest_scores_come_first_and_low_ones_not_at_all() -> None:
    scores = [0.6, 0.9, 0.49, 0.7]
    found: list[Found] = [(CAT, score, BOX, image) for image, score in enumerate(scores)]
    cases = worst(make_problem(found, [], sizes_hw=[(20, 20)] * 4))["background"]
    assert [one.score for one in cases] == [0.9, 0.7, 0.6]
    many: list[Found] = [(CAT, 0.9, BOX, image) for image in range(32)]
    assert len(worst(make_problem(many, [], sizes_hw=[(20, 20)] * 32))["background"]) == 24


def test_one_bad_image_does_not_fill_the_gallery() -> None:
    # five wrong detections of high score on image 0, one of low score on each of three others
    found: list[Found] = [(CAT, 0.99 - index / 100, [20.0 * index, 0, 9, 9], 0) for index in range(5)]
    found += [(CAT, 0.5 + image / 100, BOX, image) for image in (1, 2, 3)]
    problem = make_problem(found, [], sizes_hw=[(20, 200)] * 4)
    images = [[one.image for one in worst(problem, most=most)["background"]] for most in (4, 6, 7, 24)]
    assert images == [[0, 0, 0, 3], [0, 0, 0, 3, 2, 1], [0, 0, 0, 0, 3, 2, 1], [0, 0, 0, 0, 0, 3, 2, 1]]


def test_missed_objects_are_ranked_by_their_share_of_the_image() -> None:
    # 100 of 10,000, 100 of 200 and 400 of 10,000 pixels
    objects: list[Object] = [(CAT, BOX, 0), (CAT, BOX, 1), (CAT, [0, 0, 20, 20], 2)]
    cases = worst(make_problem([], objects, sizes_hw=[(100, 100), (10, 20), (100, 100)]))["missed"]
    assert [(one.truth, one.score) for one in cases] == [(1, 0.5), (2, 0.04), (0, 0.01)]
    assert cases[0].message == "cat of 10 × 10 pixels not found; no detection overlaps it"
    assert (cases[0].detection, cases[0].iou) == (-1, 0.0)


def test_missed_objects_are_ranked_by_area_where_the_size_of_an_image_is_unknown() -> None:
    objects: list[Object] = [(CAT, BOX, 0), (CAT, BOX, 1), (CAT, [0, 0, 20, 20], 2)]
    cases = worst(make_problem([], objects, sizes_hw=[(100, 100), (0, 0), (100, 100)]))["missed"]
    assert [(one.truth, one.score) for one in cases] == [(2, 1.0), (0, 0.25), (1, 0.25)]


def test_an_object_that_only_a_low_score_found_is_missed() -> None:
    problem = make_problem([(CAT, 0.3, [0, 0, 10, 8], 0)], [(CAT, BOX, 0)], sizes_hw=[(20, 20)])
    (case,) = worst(problem)["missed"]
    assert case.message.endswith("the nearest detection is cat 0.30 (IoU 0.80), which scores too little")
    assert worst(problem, threshold=0.3)["missed"] == ()


def test_nothing_detected_and_nothing_annotated() -> None:
    problem = make_problem([], [(CAT, [3, 3, 0, 0], 0)], sizes_hw=[(0, 0)])
    cases = worst(problem, threshold=math.nan)
    assert [one.score for one in cases.pop("missed")] == [0.0]
    assert set(cases.values()) == {()}
    assert set(worst(make_problem([], [], sizes_hw=[]), threshold=math.nan).values()) == {()}
