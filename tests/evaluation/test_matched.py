from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.coco_arrays import random_flat_problem
from tests.reference.slow_matching import as_problem, make_sets
from yolo.evaluation.coco import CocoProtocol, evaluate_coco
from yolo.evaluation.matched import Matched, match_areas, match_problem

BOX = [0.0, 0.0, 10.0, 10.0]


def test_only_the_best_take_part_and_keep_their_order() -> None:
    sets = make_sets(found=[(0.1, BOX), (0.9, BOX), (0.5, BOX), (0.7, BOX)], objects=[BOX])
    matched = match_problem(as_problem(sets), max_detections=2)
    assert matched.problem.detections.scores.tolist() == [0.9, 0.7]
    assert matched.rank.tolist() == [0, 1]
    assert matched.by_class.tolist() == [0, 1]
    assert matched.bounds.tolist() == [0, 2]
    assert matched.matched[:, 0].tolist() == [0, -1]
    assert matched.matched.shape == matched.true_positive.shape == matched.false_positive.shape == (2, 10)


def test_columns_are_found_by_their_threshold() -> None:
    matched = match_problem(as_problem(make_sets(found=[], objects=[])))
    assert [matched.at(iou) for iou in (0.5, 0.75, 0.95)] == [0, 5, 9]
    with pytest.raises(ValueError, match=r"IoU 0\.4 is none of"):
        matched.at(0.4)


def assert_consistent(matched: Matched) -> None:
    detections = matched.problem.detections
    for index in range(matched.problem.num_classes):
        own = matched.of_class(index)
        assert (detections.labels[own] == index).all()
        assert (np.diff(detections.scores[own]) <= 0).all()
    assert sorted(matched.by_class.tolist()) == list(range(len(detections)))
    assert (matched.rank < matched.max_detections).all()
    taken = matched.matched
    hit = np.append(matched.counted, False)[taken]
    np.testing.assert_array_equal(matched.true_positive, hit)
    assert not (matched.false_positive & (taken >= 0)).any()
    place, column = np.nonzero(taken >= 0)
    truths, truth = matched.problem.truths, taken[place, column]
    np.testing.assert_array_equal(truths.labels[truth], detections.labels[place])
    np.testing.assert_array_equal(truths.image_index[truth], detections.image_index[place])
    for threshold in range(len(matched.iou_thresholds)):
        found = taken[matched.true_positive[:, threshold], threshold]
        assert len(set(found.tolist())) == len(found), "an object was found twice"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), coarse=st.booleans(), max_detections=st.integers(1, 8))
def test_what_is_matched_agrees_with_itself_and_with_recall(seed: int, coarse: bool, max_detections: int) -> None:
    problem = random_flat_problem(seed, num_images=2, coarse=coarse)
    result = evaluate_coco(problem, CocoProtocol(max_detections=(max_detections,)))
    for area, matched in enumerate(match_areas(problem, max_detections=max_detections).values()):
        assert_consistent(matched)
        for index, instances in enumerate(matched.instances.tolist()):
            if instances:
                recall = matched.true_positive[matched.of_class(index)].sum(axis=0) / instances
                np.testing.assert_array_equal(result.recall[:, index, area, 0], recall)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_limiting_is_leaving_out(seed: int) -> None:
    # the detections that the limit leaves, given alone, are matched in the same way
    limited = match_problem(random_flat_problem(seed, coarse=True), max_detections=2)
    alone = match_problem(replace(limited.problem), max_detections=100)
    for name in ("rank", "matched", "true_positive", "false_positive", "by_class", "bounds"):
        np.testing.assert_array_equal(getattr(limited, name), getattr(alone, name), err_msg=name)
