import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference.coco_oracle import found
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.voc import RECALL_POINTS, VocResult, average_precision, evaluate_voc
from yolo.structures import Detections, GroundTruth

Box = Sequence[float]

# 10 x 10 pixels; in a VOC file (1, 1, 10, 10)
BOX = [0.0, 0.0, 10.0, 10.0]
FAR = [50.0, 50.0, 60.0, 60.0]
NOTHING_FOUND, NO_OBJECTS = found([], [], []), GroundTruth.empty()


def cats(detections: list[tuple[float, Box]]) -> Detections:
    """Score and box of each."""
    return found([box for _, box in detections], [score for score, _ in detections], [0] * len(detections))


def cat_truth(objects: list[Box], *, difficult: tuple[int, ...] = (), crowd: tuple[int, ...] = ()) -> GroundTruth:
    places = range(len(objects))
    return GroundTruth.from_boxes(
        objects, [0 for _ in places], difficult=[j in difficult for j in places], iscrowd=[j in crowd for j in places]
    )


def evaluate(
    *images: tuple[Detections, GroundTruth], classes: list[str] | tuple[str, ...] = ("cat",), **options: Any
) -> VocResult:
    options.setdefault("interpolation", "all-point")
    evaluator = Evaluator(classes)
    for place, (detections, truth) in enumerate(images):
        evaluator.update(f"image {place}", detections, truth)
    return evaluate_voc(evaluator.problem(), **options)


def curve(result: VocResult) -> tuple[list[float], list[float]]:
    """Precision and recall of the first class after each detection."""
    return result.precision[0].tolist(), result.recall[0].tolist()


# The rule, sentence by sentence


def test_detections_of_all_images_take_turns_by_descending_score() -> None:
    # in turn: wrong (0.9, second image), right (0.8, first image), right (0.7, second image)
    result = evaluate(
        (cats([(0.8, BOX)]), cat_truth([BOX])),
        (cats([(0.7, BOX), (0.9, FAR)]), cat_truth([BOX])),
    )
    assert curve(result) == ([0, 1 / 2, 2 / 3], [0, 1 / 2, 1])
    assert result.ap_per_class.tolist() == pytest.approx([2 / 3])


def test_a_second_detection_of_an_object_is_false() -> None:
    result = evaluate((cats([(0.9, BOX), (0.8, BOX), (0.7, BOX)]), cat_truth([BOX])))
    assert curve(result) == ([1, 1 / 2, 1 / 3], [1, 1, 1])


def test_the_higher_score_takes_the_object_though_the_lower_fits_better() -> None:
    # IoU 0.6 at 0.9, 1.0 at 0.8
    result = evaluate((cats([(0.8, BOX), (0.9, [0, 0, 10, 6])]), cat_truth([BOX])))
    assert curve(result) == ([1, 1 / 2], [1, 1])


def test_a_difficult_object_may_be_taken_many_times_and_need_not_be_found() -> None:
    result = evaluate((cats([(0.9, BOX), (0.8, BOX), (0.7, FAR)]), cat_truth([BOX, FAR], difficult=(0,))))
    # nothing counts before the third, and then one of one is right
    assert curve(result) == ([0, 0, 1], [0, 0, 1])
    assert (result.npos.tolist(), result.num_detections.tolist()) == ([1], [3])
    assert result.mean_ap == 1


def test_a_detection_that_misses_a_difficult_object_by_the_iou_is_false() -> None:
    # IoU 25 / 100, wholly inside
    result = evaluate((cats([(0.9, [0, 0, 5, 5])]), cat_truth([BOX, FAR], difficult=(0,))))
    assert curve(result) == ([0], [0])


def test_a_difficult_object_that_fits_best_hides_a_free_one() -> None:
    # IoU 1.0 with the difficult object, 0.8 with the other: ignored, and the other stays unfound
    result = evaluate((cats([(0.9, BOX)]), cat_truth([[0, 0, 10, 8], BOX], difficult=(1,))))
    assert curve(result) == ([0], [0])


def test_a_crowd_region_is_treated_as_a_difficult_object() -> None:
    # the last lies wholly inside, which is enough by COCO's rule; here its IoU of 0.25 does not
    detections = cats([(0.9, BOX), (0.8, BOX), (0.7, FAR), (0.6, [0, 0, 5, 5])])
    result = evaluate((detections, cat_truth([BOX, FAR], crowd=(0,))))
    assert curve(result) == ([0, 0, 1, 1 / 2], [0, 0, 1, 1])
    assert result.npos.tolist() == [1]


def test_the_best_object_taken_already_makes_false_with_no_second_choice() -> None:
    # both detections fit the first object best; the second one would have IoU 0.8 with the free object
    result = evaluate((cats([(0.9, BOX), (0.8, BOX)]), cat_truth([BOX, [0, 0, 10, 8]])))
    assert curve(result) == ([1, 1 / 2], [1 / 2, 1 / 2])


def test_the_first_of_equal_ious_is_met() -> None:
    detections = cats([(0.9, BOX), (0.8, BOX)])
    assert curve(evaluate((detections, cat_truth([BOX, BOX])))) == ([1, 1 / 2], [1 / 2, 1 / 2])
    assert curve(evaluate((detections, cat_truth([BOX, BOX], difficult=(1,))))) == ([1, 1 / 2], [1, 1])
    assert curve(evaluate((detections, cat_truth([BOX, BOX], difficult=(0,))))) == ([0, 0], [0, 0])


def test_objects_of_other_classes_and_images_do_not_count() -> None:
    cat_and_dog = (found([BOX, BOX], [0.9, 0.8], [1, 0]), GroundTruth.from_boxes([BOX], [0]))
    elsewhere = (NOTHING_FOUND, GroundTruth.from_boxes([BOX], [1]))
    result = evaluate(cat_and_dog, elsewhere, classes=["cat", "dog"])
    assert result.ap_per_class.tolist() == [1, 0]
    assert result.mean_ap == 0.5


@pytest.mark.parametrize(("strict", "ap"), [(True, 0), (False, 1)])
def test_an_iou_of_exactly_the_threshold_is_enough_only_if_not_strict(strict: bool, ap: float) -> None:
    # 5 x 10 of 10 x 10 pixels
    result = evaluate((cats([(0.9, [0, 0, 10, 5])]), cat_truth([BOX])), strict=strict)
    assert result.mean_ap == ap


def test_match_iou() -> None:
    image = (cats([(0.9, [0, 0, 10, 8])]), cat_truth([BOX]))  # IoU 0.8
    assert [evaluate(image, match_iou=limit).mean_ap for limit in (0.7, 0.79, 0.81)] == [1, 1, 0]


@pytest.mark.parametrize(("plus_one", "ap"), [(True, 1), (False, 0)])
def test_plus_one_changes_the_verdict_on_small_boxes(plus_one: bool, ap: float) -> None:
    # In the file (1, 1, 3, 3) and (1, 1, 2, 3). With 1 added: 6 of 9 pixels. Without: 1 x 2 of 2 x 2, an IoU of
    # 0.5, which is too little.
    result = evaluate((cats([(0.9, [0, 0, 2, 3])]), cat_truth([[0, 0, 3, 3]])), plus_one=plus_one)
    assert result.mean_ap == ap


def test_images_without_detections_count() -> None:
    found_and_missed = (cats([(0.9, BOX)]), cat_truth([BOX])), (NOTHING_FOUND, cat_truth([BOX]))
    result = evaluate(*found_and_missed)
    assert (result.mean_ap, result.npos.tolist(), result.num_images) == (0.5, [2], 2)


def test_detections_on_images_without_objects_are_false() -> None:
    result = evaluate((cats([(0.9, BOX)]), NO_OBJECTS), (cats([(0.8, BOX)]), cat_truth([BOX])))
    assert curve(result) == ([0, 1 / 2], [0, 1])


def test_equal_scores_go_by_image_then_by_detection() -> None:
    right, wrong = (cats([(0.5, BOX)]), cat_truth([BOX])), (cats([(0.5, BOX)]), NO_OBJECTS)
    assert curve(evaluate(right, wrong))[0] == [1, 1 / 2]
    assert curve(evaluate(wrong, right))[0] == [0, 1 / 2]
    assert curve(evaluate((cats([(0.5, FAR), (0.5, BOX)]), cat_truth([BOX]))))[0] == [0, 1 / 2]
    assert curve(evaluate((cats([(0.5, BOX), (0.5, FAR)]), cat_truth([BOX]))))[0] == [1, 1 / 2]


@pytest.mark.parametrize("interpolation", ["11-point", "all-point"])
def test_a_class_without_detections_has_ap_0_and_stays_in_the_mean(interpolation: str) -> None:
    image = (cats([(0.9, BOX)]), GroundTruth.from_boxes([BOX, FAR], [0, 1]))
    result = evaluate(image, classes=["cat", "dog"], interpolation=interpolation)
    assert result.ap_per_class.tolist() == [1, 0]
    assert result.mean_ap == 0.5
    assert [len(one) for one in result.precision] == [1, 0]


@pytest.mark.parametrize("interpolation", ["11-point", "all-point"])
def test_a_class_without_objects_is_left_out_of_the_mean_and_named(interpolation: str) -> None:
    # dogs: one detection and a difficult object, so none to be found; birds: nothing at all
    truth = GroundTruth.from_boxes([BOX, FAR], [0, 1], difficult=[False, True])
    image = (found([BOX, BOX], [0.9, 0.8], [0, 1]), truth)
    result = evaluate(image, classes=["cat", "dog", "bird"], interpolation=interpolation)
    np.testing.assert_array_equal(result.ap_per_class, [1, math.nan, math.nan])
    assert result.mean_ap == 1
    assert result.left_out == ("dog", "bird")
    assert np.isnan(result.recall[1]).all()


def test_no_image_at_all() -> None:
    result = evaluate()
    assert math.isnan(result.mean_ap)
    assert result.left_out == ("cat",)
    assert result.num_images == 0


# Options and results


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interpolation": "101-point"}, "interpolation must be one of"),
        ({"match_iou": 0.0}, "match_iou"),
        ({"match_iou": 1.5}, "match_iou"),
        ({"match_iou": math.nan}, "match_iou"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(**options)


def a_result() -> VocResult:
    truth = GroundTruth.from_boxes([BOX, FAR], [0, 0])
    return evaluate((found([BOX, BOX], [0.9, 0.8], [0, 1]), truth), classes=["cat", "big dog"], match_iou=0.6)


def test_result_as_a_dict_is_json() -> None:
    assert json.loads(json.dumps(a_result().to_dict(), allow_nan=False)) == {
        "class_names": ["cat", "big dog"],
        "ap_per_class": [0.5, None],
        "mean_ap": 0.5,
        "npos": [2, 0],
        "num_detections": [1, 1],
        "left_out": ["big dog"],
        "num_images": 1,
        "interpolation": "all-point",
        "match_iou": 0.6,
        "plus_one": True,
        "strict": True,
    }
    assert evaluate().to_dict()["mean_ap"] is None


def test_summary_is_a_table_with_the_rule_and_the_classes_left_out() -> None:
    assert a_result().summary().splitlines() == [
        "Class    Instances  Detections     AP",
        "all              2           2  0.500",
        "cat              2           1  0.500",
        "big dog          0           1      -",
        "(Pascal VOC, all-point AP, IoU > 0.6, pixels with +1)",
        "(no objects to be found, left out of the mean: big dog)",
    ]
    plain = evaluate((NOTHING_FOUND, cat_truth([BOX])), interpolation="11-point", strict=False, plus_one=False)
    assert plain.summary().splitlines()[1:] == [
        "all            1           0  0.000",
        "cat            1           0  0.000",
        "(Pascal VOC, 11-point AP, IoU >= 0.5, pixels without +1)",
    ]


def flags(letters: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """True and false positives of T, F and i for ignored."""
    return np.array([one == "T" for one in letters], bool), np.array([one == "F" for one in letters], bool)


def test_ious_that_differ_in_the_last_digits_are_not_equal() -> None:
    # the detection fits the second object a little better: the first one stays free
    almost = [0.0, 0.0, 10.0, 9.999999]
    for difficult, expected in (((0,), [1]), ((1,), [0])):
        result = evaluate((cats([(0.9, BOX)]), cat_truth([almost, BOX], difficult=difficult)))
        assert result.recall[0].tolist() == expected


def test_recall_points_are_numpys_to_the_last_bit() -> None:
    np.testing.assert_array_equal(RECALL_POINTS, np.arange(0.0, 1.1, 0.1))


@pytest.mark.parametrize(("hits", "points"), [(2, 3), (3, 3), (4, 5), (5, 6), (6, 6), (7, 7), (8, 9), (10, 11)])
def test_recalls_of_exactly_3_6_and_7_tenths_do_not_reach_their_point(hits: int, points: int) -> None:
    # all right, of ten objects; 2 of 10 reach the points 0, .1 and .2
    hit, miss = flags("T" * hits)
    assert average_precision(hit, miss, 10, interpolation="11-point") == points / 11


def test_all_point_is_the_area_under_the_envelope_and_11_point_reads_it_at_11_recalls() -> None:
    # precision 1, 1/2, 2/3, 1/2, 3/5 at recall 1/4, 1/4, 2/4, 2/4, 3/4
    hit, miss = flags("TFTFT")
    expected = (1 + 2 / 3 + 3 / 5) / 4
    assert average_precision(hit, miss, 4, interpolation="all-point") == pytest.approx(expected, abs=1e-15)
    # recall 0, .1, .2 at precision 1; .3, .4, .5 at 2/3; .6, .7 at 3/5; .8, .9, 1 not reached
    expected = (3 + 3 * 2 / 3 + 2 * 3 / 5) / 11
    assert average_precision(hit, miss, 4, interpolation="11-point") == pytest.approx(expected, abs=1e-15)


def test_the_envelope_reaches_back_over_worse_precision() -> None:
    # precision 0, 1/2, 2/3 at recall 0, 1/4, 2/4: the envelope is 2/3 up to 2/4
    hit, miss = flags("FTT")
    assert average_precision(hit, miss, 4, interpolation="all-point") == pytest.approx(2 / 3 * 2 / 4)
    # recall 0, .1, .2, .3, .4 and .5
    assert average_precision(hit, miss, 4, interpolation="11-point") == pytest.approx(2 / 3 * 6 / 11)


@pytest.mark.parametrize("letters", ["", "i", "F", "iFi"])
def test_no_true_positive_is_zero_and_no_object_is_nan(letters: str) -> None:
    hit, miss = flags(letters)
    assert average_precision(hit, miss, 3, interpolation="11-point") == 0
    assert average_precision(hit, miss, 3, interpolation="all-point") == 0
    assert math.isnan(average_precision(hit, miss, 0, interpolation="11-point"))
    assert math.isnan(average_precision(hit, miss, 0, interpolation="all-point"))
