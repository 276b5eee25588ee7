import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from tests.report.made_analysis import make_analysis
from yolo.engine.evaluation_display import print_result
from yolo.evaluation.result import EvaluationResult


def printed(result: EvaluationResult) -> str:
    stream = io.StringIO()
    print_result(result, Console(file=stream, width=40), remedy="train longer")
    return stream.getvalue()


@pytest.fixture(scope="module")
def result() -> EvaluationResult:
    return make_analysis(("cat", "dog"), num_images=10).result


def test_a_detector_that_finds_something_has_its_table(result: EvaluationResult) -> None:
    text = printed(result)
    assert text.splitlines()[0].split() == ["Class", "Images", "Instances", "P", "R", "F1", "mAP50", "mAP50-95"]
    assert "train longer" not in text


@pytest.mark.parametrize(
    ("changes", "begin"),
    [
        ({"score_threshold": math.nan, "map_50": 0.0}, "warning: nothing was detected on "),
        ({"map_50": 0.004}, "warning: hardly any of the "),
    ],
)
def test_in_place_of_zeros_it_says_what_to_do(result: EvaluationResult, changes: dict[str, float], begin: str) -> None:
    text = printed(replace(result, **changes))  # type: ignore[arg-type]
    assert text.startswith(begin)
    assert text.endswith("; train longer\n")
    assert "Instances" not in text


def test_without_objects_there_is_nothing_to_measure(result: EvaluationResult) -> None:
    text = printed(replace(result, num_objects=0, score_threshold=math.nan))
    assert text.startswith("no object to find on ")
    assert "there is nothing to measure" in text
