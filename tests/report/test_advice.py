"""What to fix first: every rule, when it speaks and when not, and the order."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.report.made_analysis import make_analysis
from yolo.evaluation.analysis import Analysis
from yolo.evaluation.bootstrap import Interval
from yolo.evaluation.breakdown import Bin, Breakdown
from yolo.evaluation.errors import ERROR_KINDS
from yolo.evaluation.examples import Example
from yolo.formats.issues import InputWarning
from yolo.report.advice import Advice, make_advice, most_confused, uncertain_classes
from yolo.report.text import calibration_text

FREE = dict.fromkeys(ERROR_KINDS, 0.0)


@pytest.fixture(scope="module")
def base() -> Analysis:
    """Five classes with objects, of which no rule says anything."""
    made = make_analysis(("cat", "dog", "cow", "hen", "owl", "none"), num_images=40)
    same = [
        replace(one, ap_50_95=0.6, ap_50=0.8, instances=100) for one in made.result.per_class[:-1]
    ]  # all alike, well measured, none without objects
    matrix = np.zeros((6, 6), np.int64)
    np.fill_diagonal(matrix, 90)
    result = replace(
        made.result, per_class=tuple(same), map_50_95=0.6, num_objects=500, num_images=200, confusion_matrix=matrix
    )
    assert made.intervals
    return replace(
        made,
        result=result,
        intervals=replace(made.intervals, class_ap_50_95=(Interval(0.55, 0.65),) * 5),
        errors=replace(
            made.errors,
            ap_cost=FREE,
            counts=dict.fromkeys(ERROR_KINDS, 7),
            class_ap_cost=dict.fromkeys(ERROR_KINDS, np.zeros(5)),
            score_threshold=0.25,
        ),
        breakdowns=(),
        calibration=replace(made.calibration, ece=0.01, ece_shown=0.01, num_shown=1000),
        label_errors=(),
    )


def test_nothing_to_say_is_said(base: Analysis) -> None:
    (only,) = make_advice(base)
    assert (only.level, only.title) == ("good", "Nothing stands out.")
    assert "copy" not in only.text
    for ap, warned in ((0.989, False), (0.99, True)):
        classes = tuple(replace(one, ap_50_95=ap) for one in base.result.per_class)
        (perfect,) = make_advice(replace(base, result=replace(base.result, map_50_95=ap, per_class=classes)))
        assert ("make sure that the detections are not a copy of the annotations" in perfect.text) is warned


def test_of_a_detector_that_has_hardly_learned_nothing_else_is_said(base: Analysis) -> None:
    costly = with_errors(with_label_errors(base, "not_annotated"), ap_cost=FREE | {"missed": 0.4})
    (only,) = make_advice(replace(costly, result=replace(base.result, map_50=0.049)))
    assert (only.level, only.title) == ("warning", "Hardly anything is detected correctly.")
    assert "mAP@0.5 is 0.049." in only.text
    few = replace(base.result, map_50=0.0, num_images=9)
    assert [item.level for item in make_advice(replace(costly, result=few))] == ["warning", "note"]
    assert make_advice(replace(costly, result=replace(base.result, map_50=0.05)))[0].anchor == "errors"


def note_of(analysis: Analysis) -> Advice:
    """What is said after the verdict that nothing stands out."""
    first, note = make_advice(analysis)
    assert (first.level, note.level) == ("good", "note")
    return note


def with_errors(base: Analysis, **changes: Any) -> Analysis:
    return replace(base, errors=replace(base.errors, **changes))


def with_class(base: Analysis, place: int, **changes: Any) -> Analysis:
    classes = list(base.result.per_class)
    classes[place] = replace(classes[place], **changes)
    return replace(base, result=replace(base.result, per_class=tuple(classes)))


def with_label_errors(base: Analysis, *kinds: str) -> Analysis:
    return replace(base, label_errors=tuple(Example(kind, 0, 0, -1, 0.9, 0.0, "look") for kind in kinds))


def test_warnings_on_the_input_come_first(base: Analysis) -> None:
    warnings = (InputWarning("a", 2, "rare"), InputWarning("b", 1200, "frequent"))
    costly = with_errors(base, ap_cost=FREE | {"missed": 0.4})
    first, second = make_advice(costly, warnings)
    assert (first.level, first.anchor, second.anchor) == ("error", "warnings", "errors")
    assert first.text == "Frequent. This happened 1,200 times. There is one more warning."
    assert make_advice(base, (InputWarning("a", 1, "rare"),))[0].text == "Rare."


def test_a_file_read_wrongly_is_the_worst_and_a_harmless_warning_no_doubt(base: Analysis) -> None:
    warnings = (
        InputWarning("unknown_image", 1200, "frequent"),
        InputWarning("detections_boxes_look_like_xyxy", 3, "corners"),
        InputWarning("beyond_detection_limit", 9000, "crowded"),
    )
    assert make_advice(base, warnings)[0].text == "Corners. This happened 3 times. There is one more warning."
    assert make_advice(base, warnings[2:])[0].level == "good"


def test_errors_come_by_what_they_cost(base: Analysis) -> None:
    # four are costly enough, the three costliest are mentioned; 0.009 is too little
    cost = {"class": 0.02, "location": 0.05, "both": 0.009, "duplicate": 0.011, "background": 0.3, "missed": 0.04}
    advice = make_advice(with_errors(base, ap_cost=cost))
    assert [item.title.split(":")[0] for item in advice] == [
        "Things are detected where nothing is annotated",
        "Boxes are inexact",
        "Objects are missed",
    ]
    assert advice[0].title.endswith(": this costs 0.300 of mAP@0.5.")
    assert advice[0].text.startswith("7 detections where nothing is annotated at the score threshold 0.250. Look at")


def test_costs_that_are_small_or_not_measured_are_no_reason(base: Analysis) -> None:
    assert make_advice(with_errors(base, ap_cost=dict.fromkeys(ERROR_KINDS, math.nan)))[0].level == "good"
    assert make_advice(with_errors(base, ap_cost=FREE | {"missed": 0.0099}))[0].level == "good"
    assert make_advice(with_errors(base, ap_cost=FREE | {"missed": 0.01}))[0].level == "warning"


def test_the_classes_that_errors_hit_hardest_are_named_if_they_have_enough_objects(base: Analysis) -> None:
    costs = {**dict.fromkeys(ERROR_KINDS, np.zeros(5)), "missed": np.array([0.1, np.nan, 0.3, 0.9, 0.2])}
    analysis = with_errors(with_class(base, 3, instances=19), ap_cost=FREE | {"missed": 0.2}, class_ap_cost=costs)
    assert "Hit hardest: cow (0.300), owl (0.200) and cat (0.100)." in make_advice(analysis)[0].text


def test_long_lists_name_the_first_few(base: Analysis) -> None:
    costs = {**dict.fromkeys(ERROR_KINDS, np.zeros(5)), "missed": np.array([0.1, 0.5, 0.3, 0.4, 0.2])}
    costly = with_errors(base, ap_cost=FREE | {"missed": 0.2}, class_ap_cost=costs)
    assert "Hit hardest: dog (0.500), hen (0.400) and cow (0.300)." in make_advice(costly)[0].text
    matrix = base.result.confusion_matrix.copy()
    matrix[0, 1:5] = (20, 19, 18, 17)
    (advice,) = make_advice(replace(base, result=replace(base.result, confusion_matrix=matrix)))
    assert "another class: cat as dog (20 of 164), cat as cow (19 of 164) and cat as hen (18 of 164)." in advice.text
    few = base
    for place in range(5):
        few = with_class(few, place, instances=5)
    assert note_of(few).text.split("alone: ")[1].startswith("cat (5), dog (5), cow (5), hen (5) and 1 more.")


def test_a_confused_pair_needs_numbers_and_share(base: Analysis) -> None:
    def confused(count: int, objects: int) -> tuple[Advice, ...]:
        matrix = base.result.confusion_matrix.copy()
        matrix[1, 2], matrix[1, 1] = count, objects - count
        return make_advice(replace(base, result=replace(base.result, confusion_matrix=matrix)))

    (advice,) = confused(10, 100)
    assert advice.title == "dog is taken for cow."
    assert "dog as cow (10 of 100)" in advice.text
    assert confused(19, 200)[0].level == "good"  # less than a tenth
    assert confused(5, 10)[0].level == "warning"
    assert confused(4, 10)[0].level == "good"  # too few


def test_weak_classes_come_the_weakest_first(base: Analysis) -> None:
    weak = with_class(
        with_class(with_class(base, 0, ap_50_95=0.35, ap_50=0.6), 1, ap_50_95=0.1, ap_50=0.2), 2, ap_50_95=0.36
    )
    (advice,) = make_advice(weak)  # 0.36 is exactly 0.6 of 0.6: not below
    assert advice.title == "2 classes are much weaker than the others."
    assert "dog (0.100, 100 objects) and cat (0.350, 100 objects)" in advice.text
    # the three others have 0.8: (0.2 + 0.6) / 5 classes
    assert "mAP@0.5 would rise by 0.160" in advice.text
    alone = make_advice(with_class(base, 3, ap_50_95=0.1, ap_50=0.3))[0]
    assert (alone.title, "mAP@0.5 would rise by 0.100" in alone.text) == (
        "The class hen is much weaker than the others.",
        True,
    )


@pytest.mark.parametrize(("cost", "first"), [(0.11, "errors"), (0.09, "classes")])
def test_weak_classes_and_errors_come_by_what_they_cost(base: Analysis, cost: float, first: str) -> None:
    weak = with_class(with_errors(base, ap_cost=FREE | {"missed": cost}), 3, ap_50_95=0.1, ap_50=0.3)  # costs 0.1
    assert make_advice(weak)[0].anchor == first


def test_few_images_are_said(base: Analysis) -> None:
    def measured(number: int) -> Analysis:
        return replace(base, result=replace(base.result, num_images=number))

    assert note_of(measured(49)).title == "Only 49 images were measured."
    assert note_of(measured(1)).title == "Only 1 image was measured."
    assert len(make_advice(measured(50))) == 1


def test_a_weak_class_with_few_objects_is_uncertain_not_weak(base: Analysis) -> None:
    assert [one.anchor for one in make_advice(with_class(base, 0, ap_50_95=0.1, instances=20))] == ["classes"]
    advice = note_of(with_class(base, 0, ap_50_95=0.1, instances=19))
    assert advice.title == "1 class is measured on too few objects."
    assert "cat (19)" in advice.text


def test_a_wide_interval_makes_a_class_uncertain(base: Analysis) -> None:
    assert base.intervals
    wide = replace(
        base.intervals,
        class_ap_50_95=(Interval(0.4, 0.71), Interval(math.nan, math.nan), *[Interval(0.4, 0.69)] * 3),
    )
    analysis = replace(base, intervals=wide)
    assert uncertain_classes(analysis) == [True, False, False, False, False]
    assert note_of(analysis).title == "1 class is measured on too few objects."
    assert uncertain_classes(replace(base, intervals=None)) == [False] * 5


@pytest.mark.parametrize(("small_ap", "small_count", "weak"), [(0.29, 100, True), (0.3, 100, False), (0.29, 99, False)])
def test_the_weakest_size(base: Analysis, small_ap: float, small_count: int, weak: bool) -> None:
    # weak is below 0.6 of the best (0.5), and rare is less than 5 % of all objects
    bins = (
        Bin("small (up to 32²)", 0, 1024, small_count, 0.4, small_ap, 0.3),
        Bin("medium", 1024, 9216, 1900, 0.7, 0.5, 0.8),
        Bin("large", 9216, math.inf, 0, math.nan, math.nan, math.nan),
    )
    (first,) = make_advice(replace(base, breakdowns=(Breakdown("size", "By size", "", bins),)))
    assert (first.title == "Small objects are the weakest.") is weak
    if weak:
        assert "AP@0.5:0.95 is 0.290, against 0.500 for medium objects; 30 % of 100 are found." in first.text
        assert "input size" in first.text


def test_label_errors_come_by_what_is_at_stake(base: Analysis) -> None:
    # 7 errors of each kind: 5 of the class errors (0.14) and 1 of the missed (0.07) may be the labels' fault, 0.11;
    # more label errors than errors are the whole cost
    costs = FREE | {"class": 0.14, "missed": 0.07, "location": 0.105}
    several = with_label_errors(with_errors(base, ap_cost=costs), *["wrong_class"] * 5, "no_object")
    assert [item.anchor for item in make_advice(several)] == ["errors", "labels", "errors", "errors"]
    text = make_advice(several)[1].text
    assert text.startswith("5 labels whose class looks wrong and 1 label where no object seems to be.")
    assert "some 0.110 of mAP@0.5" in text
    many = with_label_errors(with_errors(base, ap_cost=FREE | {"class": 0.14}), *["wrong_class"] * 20)
    assert "some 0.140 of mAP@0.5" in make_advice(many)[1].text


def test_label_errors_without_a_cost_come_last(base: Analysis) -> None:
    costs = dict.fromkeys(ERROR_KINDS, math.nan)
    (only,) = make_advice(with_label_errors(with_errors(base, ap_cost=costs), "not_annotated"))
    assert (only.anchor, only.title) == ("labels", "1 label is worth a look.")
    nearly = with_label_errors(base, *["not_annotated"] * 199)
    assert make_advice(nearly)[0].title == "199 labels are worth a look."
    full = with_label_errors(base, *["not_annotated"] * 200)
    assert make_advice(full)[0].title == "The 200 labels most likely to be wrong are worth a look."


def calibrated(base: Analysis, gaps: tuple[float, float], **changes: Any) -> Analysis:
    """Three bins: one below all that people see, which says nothing, and two with these gaps of score and truth."""
    found = replace(
        base.calibration,
        edges=np.array([0.0, 0.1, 0.5, 1.0]),
        counts=np.array([9000, 500, 500]),
        mean_score=np.array([0.04, 0.3, 0.7]),
        precision=np.array([0.99, 0.3 - gaps[0], 0.7 - gaps[1]]),
        ece=0.2,
        ece_shown=sum(map(abs, gaps)) / 2,
        ece_after=0.19,
        temperature=1.4,
    )
    return replace(base, calibration=replace(found, **changes))


@pytest.mark.parametrize(
    ("gaps", "title"),
    [
        ((0.1, 0.2), "Scores are too high."),
        ((-0.1, -0.2), "Scores are too low."),
        ((-0.065, 0.185), "Scores do not say how likely a detection is to be correct."),  # 0.12 / 0.25 one way
        ((-0.06, 0.19), "Scores are too high."),  # 0.13 / 0.25
    ],
)
def test_miscalibration_has_a_direction(base: Analysis, gaps: tuple[float, float], title: str) -> None:
    assert note_of(calibrated(base, gaps)).title == title


def test_miscalibration_is_mentioned_only_where_it_matters(base: Analysis) -> None:
    for changes in ({"ece_shown": 0.049}, {"ece_shown": math.nan}, {"num_shown": 99}):
        assert len(make_advice(calibrated(base, (0.1, 0.2), **changes))) == 1
    for changes in ({"ece_shown": 0.05}, {"num_shown": 100}):
        assert len(make_advice(calibrated(base, (0.1, 0.2), **changes))) == 2


def test_a_temperature_is_recommended_only_where_it_helps(base: Analysis) -> None:
    assert "temperature" not in note_of(calibrated(base, (0.1, 0.2), ece_after=0.161)).text
    assert "temperature" in note_of(calibrated(base, (0.1, 0.2), ece_after=0.159)).text
    text = note_of(calibrated(base, (0.1, 0.2), ece_after=0.1)).text
    assert "a temperature of 1.40 brings the error over all detections from 0.200 to 0.100" in text
    assert "temperature" not in calibration_text(calibrated(base, (0.1, 0.2)).calibration)


def test_small_errors_of_scores_have_no_direction(base: Analysis) -> None:
    large, small = (calibration_text(calibrated(base, (0.1, 0.2), ece_shown=ece).calibration) for ece in (0.02, 0.0199))
    assert "overconfident" in large
    assert "confident" not in small


def test_classes_without_objects_are_named(base: Analysis) -> None:
    advice = note_of(with_class(base, 4, instances=0, ap_50_95=math.nan))
    assert advice.title == "1 class is not measured."
    assert "owl" in advice.text


def test_no_objects_and_no_detections_have_advice_of_their_own(base: Analysis) -> None:
    costly = with_errors(base, ap_cost=FREE | {"missed": 1.0})
    no_objects = replace(costly, result=replace(base.result, num_objects=0))
    assert [item.title for item in make_advice(no_objects)] == ["There are no objects to be found."]
    problem = replace(base.matches.problem, detections=base.matches.problem.detections[:0])
    no_detections = replace(costly, matches=replace(base.matches, problem=problem))
    warnings = (InputWarning("no_detections", 1, "there are no detections"),)
    # neither that all is missed, nor the warning, says more
    assert [item.title for item in make_advice(no_detections, warnings)] == ["The detector found nothing at all."]
    assert len(make_advice(no_detections, (*warnings, InputWarning("unknown_image", 9, "unknown")))) == 2


def test_a_name_from_right_to_left_keeps_its_number(base: Analysis) -> None:
    advice = note_of(with_class(base, 0, name="كرسي", instances=5))
    assert "\u2068كرسي\u2069 (5)" in advice.text


def test_the_most_frequent_come_first_then_the_largest_share() -> None:
    result = make_analysis(("cat", "dog", "cow"), num_images=10).result
    # rows cat, dog, cow, background; of the two that happened once one is of 10 objects and one of 5
    matrix = np.array([[7, 1, 2, 0], [0, 3, 1, 1], [0, 0, 4, 0], [9, 9, 9, 0]])
    advice = most_confused(replace(result, confusion_matrix=matrix))
    assert [(one.annotated, one.detected, one.count, one.objects) for one in advice] == [
        ("cat", "cow", 2, 10),
        ("dog", "cow", 1, 5),
        ("cat", "dog", 1, 10),
    ]
    assert advice[0].share == 0.2
