import io

import pytest
from rich.console import Console

from tests.reference.coco_oracle import found
from yolo.evaluation import EvaluationResult, Evaluator
from yolo.evaluation.table import plain_table, rich_table
from yolo.structures import GroundTruth

BOX = [0.0, 0.0, 9.0, 9.0]


@pytest.fixture
def result() -> EvaluationResult:
    evaluator = Evaluator(["cat", "[red]dog"])
    evaluator.update("x", found([BOX], [0.5], [0]), GroundTruth.from_boxes([BOX], [0]))
    evaluator.update("y", found([], [], []), GroundTruth.empty())
    return evaluator.compute()


def test_plain_table(result: EvaluationResult) -> None:
    assert plain_table(result).splitlines() == [
        "Class     Images  Instances      P      R     F1  mAP50  mAP50-95",
        "all            2          1  1.000  1.000  1.000  1.000     1.000",
        "cat            1          1  1.000  1.000  1.000  1.000     1.000",
        "[red]dog       0          0      -      -      -      -         -",
    ]


def test_rich_table_has_the_same_cells_and_takes_names_literally(result: EvaluationResult) -> None:
    stream = io.StringIO()
    Console(file=stream, width=120).print(rich_table(result))
    printed = [line.split() for line in stream.getvalue().splitlines()]
    assert printed == [line.split() for line in plain_table(result).splitlines()]
