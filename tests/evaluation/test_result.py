import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from tests.reference.coco_oracle import found, random_problem
from yolo.console import print_table
from yolo.evaluation import Evaluator
from yolo.evaluation.result import EvaluationResult, table_rows
from yolo.structures import GroundTruth


def test_round_trip_through_json_keeps_every_number() -> None:
    result = random_problem(2, num_images=5, num_classes=4, coarse=False).evaluate()
    text = json.dumps(result.to_dict(), allow_nan=False)
    again = EvaluationResult.from_dict(json.loads(text))
    assert json.dumps(again.to_dict(), allow_nan=False) == text
    assert repr(again.per_class) == repr(result.per_class)  # NaN is not equal to itself
    for name in ("precision_curves", "f1_curves", "confusion_matrix"):
        before, after = getattr(result, name), getattr(again, name)
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, before)


def test_nan_becomes_null_and_comes_back() -> None:
    evaluator = Evaluator(["cat", "dog"])
    evaluator.update("x", found([], [], []), GroundTruth.from_boxes([[0, 0, 9, 9]], [1]))
    values = evaluator.compute().to_dict()
    assert values["map_large"] is None
    assert values["score_threshold"] is None
    assert values["per_class"][0]["ap_50"] is None
    assert values["precision_curves"][0] == [None] * 101
    assert values["map_50"] == 0
    again = EvaluationResult.from_dict(json.loads(json.dumps(values, allow_nan=False)))
    assert math.isnan(again.map_large)
    assert math.isnan(again.per_class[0].ap_50)
    assert np.isnan(again.precision_curves[0]).all()
    assert again.class_names == ("cat", "dog")


def test_a_missing_field_is_named() -> None:
    values = Evaluator(["cat"]).compute().to_dict()
    del values["map_75"]
    with pytest.raises(KeyError, match="map_75"):
        EvaluationResult.from_dict(values)
    assert EvaluationResult.from_dict({**values, "map_75": 0.5, "of a later version": 1}).map_75 == 0.5


BOX = [0.0, 0.0, 9.0, 9.0]


@pytest.fixture
def result() -> EvaluationResult:
    evaluator = Evaluator(["cat", "[red]dog"])
    evaluator.update("x", found([BOX], [0.5], [0]), GroundTruth.from_boxes([BOX], [0]))
    evaluator.update("y", found([], [], []), GroundTruth.empty())
    return evaluator.compute()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_same_table_in_a_terminal_and_in_a_file(result: EvaluationResult, terminal: bool) -> None:
    stream = io.StringIO()
    print_table(Console(file=stream, width=80, force_terminal=terminal, color_system=None), table_rows(result), bold=1)
    assert stream.getvalue().splitlines() == [
        "Class     Images  Instances      P      R     F1  mAP50  mAP50-95",
        "all            2          1  1.000  1.000  1.000  1.000     1.000",
        "cat            1          1  1.000  1.000  1.000  1.000     1.000",
        "[red]dog       0          0      -      -      -      -         -",
    ]


def test_printed_it_is_the_table_and_shown_it_is_a_line(result: EvaluationResult) -> None:
    assert str(result).splitlines()[1].split() == ["all", "2", "1", "1.000", "1.000", "1.000", "1.000", "1.000"]
    assert repr(result) == "EvaluationResult(mAP@0.5=1.000, mAP@0.5:0.95=1.000, 2 images, 1 objects)"
