import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.problems import problem_of
from tests.reference.slow_errors import KINDS, slow_errors
from tests.reference.slow_matching import random_sets
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.errors import ERROR_KINDS, NO_ERROR, ErrorAnalysis, analyse_errors
from yolo.evaluation.matching import match

CAT, DOG = 0, 1
BOX = [0.0, 0.0, 10.0, 10.0]
FAR = [500.0, 500.0, 10.0, 10.0]

Found = list[tuple[int, float, list[float]]]  # class, score, xywh


def make_problem(found: Found, objects: list[tuple[int, list[float]]], **flags: Any) -> EvaluationData:
    """One image with cats and dogs."""
    return problem_of([(*one, 0) for one in found], [(*one, 0) for one in objects], **flags)


def analyse(problem: EvaluationData, threshold: float = 0.0) -> ErrorAnalysis:
    return analyse_errors(match(problem), score_threshold=threshold)


def kinds_of(errors: ErrorAnalysis) -> list[str]:
    return ["" if code == NO_ERROR else ERROR_KINDS[code] for code in errors.kind.tolist()]


def random_problem(seed: int) -> EvaluationData:
    """Three images, two classes, up to twenty of everything, equal scores and IoUs, crowds and difficult objects."""
    generator = np.random.default_rng(seed)
    detections, truths = random_sets(seed, *generator.integers(0, 21, 2).tolist())
    detections = detections[generator.permutation(len(detections))]  # images need not be in order
    return EvaluationData(ImageTable.of_ids(["a", "b", "c"]), ("cat", "dog"), truths, detections)


# --- one of each kind, by hand ---------------------------------------------------------------------------------------
# In all of them one cat is found well by a cat of score 0.5 elsewhere (FAR), so that costs are not 0 or 1 only.


def test_class() -> None:
    # A dog of 0.9 on an unfound cat, IoU 0.8. Cats: 1 of 2 found at precision 1, recall 0.5: AP 51/101. Corrected, the
    # dog is a second cat: AP 1. No dog is annotated, so dogs have no AP.
    errors = analyse(make_problem([(DOG, 0.9, [0, 0, 10, 8]), (CAT, 0.5, FAR)], [(CAT, BOX), (CAT, FAR)]))
    assert kinds_of(errors) == ["class", ""]
    assert errors.nearest.tolist() == [0, -1]
    assert errors.nearest_iou[0] == pytest.approx(0.8)
    assert errors.ap_cost == pytest.approx(dict.fromkeys(ERROR_KINDS, 0.0) | {"class": 50 / 101})
    assert errors.class_ap_cost["class"].tolist() == pytest.approx([50 / 101, math.nan], nan_ok=True)
    assert errors.counts["missed"] == 0, "the class error explains the cat"


def test_location() -> None:
    # IoU 0.4. The cat of 0.9 is wrong, the one of 0.5 right: precision 1/2 up to recall 1/2. AP 51/202; corrected 1.
    errors = analyse(make_problem([(CAT, 0.9, [0, 0, 10, 4]), (CAT, 0.5, FAR)], [(CAT, BOX), (CAT, FAR)]))
    assert kinds_of(errors) == ["location", ""]
    assert errors.ap_cost["location"] == pytest.approx(1 - 51 / 202)
    assert errors.counts["missed"] == 0
    assert errors.false_positive_cost == pytest.approx(51 / 101 - 51 / 202)
    # one object left: precision 1/2 at every recall
    assert errors.false_negative_cost == pytest.approx(0.5 - 51 / 202)


def test_both() -> None:
    # A dog on a cat with IoU 0.4, and a found dog below it: dogs have AP 1/2, 1 without the error. The cat is missed:
    # cats have AP 51/101, 1 without it. Costs are means of the two classes.
    errors = analyse(
        make_problem(
            [(DOG, 0.9, [0, 0, 10, 4]), (CAT, 0.5, FAR), (DOG, 0.5, [300, 0, 9, 9])],
            [(CAT, BOX), (CAT, FAR), (DOG, [300, 0, 9, 9])],
        )
    )
    assert kinds_of(errors) == ["both", "", ""]
    assert errors.nearest.tolist() == [0, -1, -1]
    assert errors.ap_cost["both"] == pytest.approx(0.25)
    assert errors.ap_cost["missed"] == pytest.approx(50 / 202)
    assert errors.missed.tolist() == [True, False, False], "both wrong explains no object"


def test_duplicate() -> None:
    # right, wrong, right: the second object comes at precision 2/3
    errors = analyse(
        make_problem([(CAT, 0.9, BOX), (CAT, 0.8, [0, 0, 10, 8]), (CAT, 0.5, FAR)], [(CAT, BOX), (CAT, FAR)])
    )
    assert kinds_of(errors) == ["", "duplicate", ""]
    assert errors.nearest.tolist() == [-1, 0, -1]
    assert errors.ap_cost["duplicate"] == pytest.approx(50 / 101 / 3)


def test_background() -> None:
    # IoU 4 / 100 with the cat that is found: less than 0.1 is background
    errors = analyse(make_problem([(CAT, 0.9, [0, 0, 2, 2]), (CAT, 0.5, BOX)], [(CAT, BOX)]))
    assert kinds_of(errors) == ["background", ""]
    assert errors.nearest.tolist() == [-1, -1]
    assert errors.nearest_iou.tolist() == pytest.approx([0.04, 1.0])
    assert errors.ap_cost["background"] == pytest.approx(0.5)


def test_missed() -> None:
    errors = analyse(make_problem([(CAT, 0.5, FAR)], [(CAT, BOX), (CAT, FAR)]))
    assert errors.missed.tolist() == [True, False]
    assert errors.ap_cost["missed"] == pytest.approx(50 / 101)
    assert errors.false_negative_cost == errors.ap_cost["missed"]


# --- where several kinds fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cat", "dog", "kind"),
    [
        ([0, 0, 10, 6], [0, 0, 10, 8], "class"),  # IoU 0.6 and 0.8: the object that overlaps more decides
        ([0, 0, 10, 8], [0, 0, 10, 6], "duplicate"),
        ([0, 0, 10, 8], [0, 2, 10, 8], "duplicate"),  # equal: its own class
        ([0, 0, 10, 3], [0, 0, 10, 5], "class"),  # 0.5 is enough
        ([0, 0, 10, 2], [0, 0, 10, 4], "location"),  # both low: its own class, though it overlaps less
        ([0, 0, 10, 1], [0, 0, 10, 4], "location"),  # 0.1 is enough
        ([0, 0, 5, 1], [0, 0, 10, 4], "both"),
        ([0, 0, 5, 1], [0, 0, 5, 1], "background"),
    ],
)
def test_of_several_kinds_one_is_chosen(cat: list[float], dog: list[float], kind: str) -> None:
    # a better cat has taken the annotated cat, so that the one in question never is right
    errors = analyse(make_problem([(CAT, 0.9, cat), (CAT, 0.5, BOX)], [(CAT, cat), (DOG, dog)]))
    assert kinds_of(errors) == ["", kind]


def test_a_found_object_can_not_be_found_again_by_correcting() -> None:
    # Dogs of 0.9 and 0.8 on a cat that a cat of 0.5 finds: correcting the dogs removes them, and cats stay at AP 1.
    found: Found = [(DOG, 0.9, BOX), (DOG, 0.8, BOX), (CAT, 0.5, BOX), (DOG, 0.4, FAR)]
    errors = analyse(make_problem(found, [(CAT, BOX), (DOG, FAR)]))
    assert kinds_of(errors) == ["class", "class", "", ""]
    assert errors.class_ap_cost["class"].tolist() == pytest.approx([0.0, 1 - 1 / 3])


def test_of_two_errors_about_one_object_the_better_one_is_corrected() -> None:
    # Two badly placed cats on one object, with a false one between them that has nothing to do with it: corrected, the
    # better one comes first. Were it the other one, precision would be 1/2.
    found: Found = [(CAT, 0.9, [0, 0, 10, 4]), (CAT, 0.8, FAR), (CAT, 0.7, [0, 6, 10, 4])]
    errors = analyse(make_problem(found, [(CAT, BOX)]))
    assert kinds_of(errors) == ["location", "background", "location"]
    assert errors.ap_cost["location"] == pytest.approx(1.0)


@pytest.mark.parametrize("flag", ["iscrowd", "difficult"])
def test_ignored_objects_explain_nothing_and_are_not_missed(flag: str) -> None:
    # cat of 0.9: inside the ignored cat, no error. Dog: on it, but it is as if nothing were there.
    problem = make_problem(
        [(CAT, 0.9, BOX), (DOG, 0.8, BOX)], [(CAT, BOX), (CAT, FAR)], **{flag: [True, False]}
    )  # fmt: skip
    errors = analyse(problem)
    assert kinds_of(errors) == ["", "background"]
    assert errors.missed.tolist() == [False, True]


def test_a_class_whose_objects_are_all_missed_would_be_perfect_without_them() -> None:
    errors = analyse(make_problem([(CAT, 0.9, FAR)], [(CAT, BOX)]))
    assert (errors.ap_cost["missed"], errors.false_negative_cost) == (1.0, 1.0)


# --- counts ----------------------------------------------------------------------------------------------------------


def test_counts_at_the_threshold_are_those_of_the_detections_that_score_as_much() -> None:
    found: Found = [(CAT, 0.9, BOX), (CAT, 0.6, BOX), (DOG, 0.6, FAR), (CAT, 0.3, [300, 0, 9, 9]), (DOG, 0.2, FAR)]
    problem = make_problem(found, [(CAT, BOX), (CAT, FAR), (CAT, [300, 0, 9, 9])])
    errors = analyse(problem, threshold=0.6)
    assert errors.counts == {"class": 1, "location": 0, "both": 0, "duplicate": 1, "background": 0, "missed": 1}
    assert errors.all_counts == {"class": 2, "location": 0, "both": 0, "duplicate": 1, "background": 0, "missed": 0}
    assert errors.class_counts["class"].tolist() == [0, 1], "by class of the detection"
    assert errors.class_counts["missed"].tolist() == [1, 0]


def test_without_a_threshold_nothing_is_detected_and_all_is_missed() -> None:
    errors = analyse(make_problem([], [(CAT, BOX), (DOG, FAR)]), threshold=math.nan)
    assert errors.counts == dict.fromkeys(ERROR_KINDS, 0) | {"missed": 2}
    assert errors.ap_cost == dict.fromkeys(ERROR_KINDS, 0.0) | {"missed": 1.0}
    assert (errors.false_positive_cost, errors.false_negative_cost) == (0.0, 1.0)


def test_without_objects_all_is_background_and_costs_are_unknown() -> None:
    errors = analyse(make_problem([(CAT, 0.9, BOX)], []))
    assert kinds_of(errors) == ["background"]
    assert all(map(math.isnan, [*errors.ap_cost.values(), errors.false_positive_cost, errors.false_negative_cost]))


def test_without_images() -> None:
    empty = make_problem([], [])
    errors = analyse(
        EvaluationData(ImageTable.of_ids([]), ("cat",), empty.truths, empty.detections), threshold=math.nan
    )
    assert not any(errors.all_counts.values())


@pytest.mark.filterwarnings("error")
def test_boxes_without_area_are_background() -> None:
    errors = analyse(make_problem([(CAT, 0.9, [3, 3, 0, 0]), (CAT, 0.8, [9, 9, -5, -5])], [(CAT, BOX)]))
    assert kinds_of(errors) == ["background"] * 2


# --- against the slow oracle, and properties -------------------------------------------------------------------------


@given(seed=st.integers(0, 100_000))
def test_equal_to_the_slow_oracle(seed: int) -> None:
    problem = random_problem(seed)
    errors = analyse(problem)
    kinds, nearest, missed, costs = slow_errors(problem)
    assert kinds_of(errors) == kinds
    assert errors.nearest.tolist() == nearest
    assert np.flatnonzero(errors.missed).tolist() == missed
    for kind in KINDS:
        np.testing.assert_allclose(errors.class_ap_cost[kind], costs[kind], atol=1e-12, err_msg=kind)
        known = [cost for cost in costs[kind] if not math.isnan(cost)]
        if known:
            assert errors.ap_cost[kind] == pytest.approx(sum(known) / len(known), abs=1e-12)
    if known:
        for kind, total in (("positive", errors.false_positive_cost), ("negative", errors.false_negative_cost)):
            assert total == pytest.approx(np.nanmean(costs[f"false_{kind}"]), abs=1e-12)


@given(seed=st.integers(0, 100_000))
def test_properties(seed: int) -> None:
    problem = random_problem(seed)
    matches = match(problem)
    errors = analyse_errors(matches, score_threshold=0.0)
    false_positive = matches.at(0.5).false_positive
    assert ((errors.kind != NO_ERROR) == false_positive).all(), "exactly one kind, and of false positives only"
    assert sum(errors.all_counts.values()) == false_positive.sum() + errors.missed.sum()
    assert errors.counts == errors.all_counts, "all detections score at least 0"
    assert all(cost >= -1e-12 for costs in errors.class_ap_cost.values() for cost in costs[~np.isnan(costs)])
    for kind, counts in errors.class_counts.items():
        assert counts.sum() == errors.counts[kind]


@given(seed=st.integers(0, 100_000))
def test_a_threshold_counts_as_if_there_were_no_other_detections(seed: int) -> None:
    problem = random_problem(seed)
    alone = replace(problem, detections=problem.detections[problem.detections.scores >= 0.6])
    assert analyse(problem, threshold=0.6).counts == analyse(alone).all_counts


def test_a_perfect_detector_has_no_errors_and_costs_nothing() -> None:
    _, truths = random_sets(5, 0, 20)
    detections = DetectionSet(truths.boxes, truths.sizes_wh, np.linspace(0, 1, 20), truths.labels, truths.image_index)
    problem = EvaluationData(ImageTable.of_ids(["a", "b", "c"]), ("cat", "dog"), replace_flags(truths), detections)
    errors = analyse(problem)
    assert not any(errors.all_counts.values())
    assert not any(errors.ap_cost.values())
    assert errors.false_positive_cost == errors.false_negative_cost == 0


def replace_flags(truths: TruthSet) -> TruthSet:
    nothing = np.zeros(len(truths), np.bool_)
    return replace(truths, iscrowd=nothing, difficult=nothing)


def test_a_small_number_of_pairs_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem(3)
    assert len(problem.detections) > 5
    whole = analyse(problem)
    monkeypatch.setattr("yolo.evaluation.overlaps._PAIRS_AT_ONCE", 3)
    parts = analyse(problem)
    assert (whole.kind == parts.kind).all()
    assert (whole.nearest == parts.nearest).all()
    assert (whole.nearest_iou == parts.nearest_iou).all()


def test_matched_without_iou_50_is_refused() -> None:
    matches = match(make_problem([], []), iou_thresholds=np.array([0.75]))
    with pytest.raises(ValueError, match=r"0\.5"):
        analyse_errors(matches, score_threshold=0.5)
