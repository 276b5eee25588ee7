"""What is said about two detectors, from comparisons made by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.report.made_comparison import main_difference, make_comparison, make_difference
from yolo.evaluation.bootstrap import Interval
from yolo.evaluation.comparison import Difference
from yolo.report.text import p_value, signed
from yolo.report.verdict import make_verdict, outcome

NAN = math.nan
SIDES = ("first", "second")


@pytest.mark.parametrize(
    ("made", "plain", "adjusted"),
    [
        (main_difference(0.03, 0.01, 0.05, 0.002), "better", "better"),
        (main_difference(-0.03, -0.05, -0.01, 0.002), "worse", "worse"),
        (main_difference(0.03, 0.01, 0.05, 0.002, 0.2), "better", "borderline"),
        (main_difference(0.03, -0.01, 0.07, 0.2), "unclear", "unclear"),
        (main_difference(0.03, -0.001, 0.07, 0.049), "borderline", "unclear"),
        (main_difference(0.03, 0.001, 0.07, 0.051), "borderline", "unclear"),
        # an interval on the other side of 0 than the difference supports nothing
        (main_difference(-0.01, 0.001, 0.07, 0.01), "borderline", "unclear"),
        (main_difference(0.0, 0.0, 0.0, 1.0), "unclear", "unclear"),
        (main_difference(NAN, NAN, NAN, NAN), "none", "none"),
        (main_difference(0.1, NAN, NAN, NAN), "none", "none"),
    ],
)
def test_better_is_said_with_care(made: Difference, plain: str, adjusted: str) -> None:
    assert outcome(made, 0.95) == plain
    assert outcome(made, 0.95, adjusted=True) == adjusted


def test_the_level_decides() -> None:
    made = main_difference(0.03, 0.01, 0.05, 0.02)
    assert (outcome(made, 0.95), outcome(made, 0.99)) == ("better", "borderline")


def verdict_of(main: Difference, **options: Any) -> tuple[str, str, str]:
    verdict = make_verdict(make_comparison(main=main, **options), SIDES)
    return verdict.level, verdict.headline.replace("\u00a0", " "), " ".join(verdict.lines)


def test_the_verdict_in_words() -> None:
    level, headline, lines = verdict_of(main_difference(0.031, 0.012, 0.05, 0.002))
    assert level == "good"
    assert headline == "second is better than first: mAP@0.5:0.95 +0.031 (95 % interval +0.012 to +0.050, p = 0.002)."
    assert "is 0.400 with first and 0.431 with second" in lines
    assert "Of 10 images second does better on 3, worse on 2 and as well as first on 5." in lines

    level, headline, _ = verdict_of(main_difference(-0.031, -0.05, -0.012, 0.0))
    assert level == "warning"
    assert headline == "second is worse than first: mAP@0.5:0.95 −0.031 (95 % interval −0.050 to −0.012, p < 0.001)."

    level, headline, lines = verdict_of(main_difference(0.01, -0.02, 0.04, 0.5))
    assert level == "note"
    assert headline.startswith("No significant difference: mAP@0.5:0.95 +0.010")
    assert "does not prove the two equal" in lines

    level, headline, lines = verdict_of(main_difference(0.03, 0.001, 0.07, 0.06))
    assert (level, headline[:34]) == ("note", "A difference that may be chance: m")
    assert "do not agree" in lines

    level, headline, lines = verdict_of(main_difference(0.0, 0.0, 0.0, 1.0), images=())
    assert headline == "No difference: mAP@0.5:0.95 is 0.400 with both, and no image changed."

    level, headline, _ = verdict_of(Difference("map_50_95", NAN, NAN, Interval(NAN, NAN), NAN, NAN))
    assert (level, headline) == ("warning", "No verdict: there is no mAP to compare.")


def test_classes_in_the_verdict_go_by_the_adjusted_p() -> None:
    clear, loss = make_difference("cat", 0.2, p_adjusted=0.01), make_difference("dog", -0.2, p_adjusted=0.04)
    chance = make_difference("bird", 0.2, p_adjusted=0.06)
    nothing = Difference("fish", NAN, NAN, Interval(NAN, NAN), NAN, NAN)

    def last_line(*classes: Difference) -> str:
        return make_verdict(make_comparison(classes=classes), SIDES).lines[-1]

    assert last_line(clear, loss, chance, nothing) == (
        "second is better in 1 class (cat), and worse in 1 class (dog) (p-values adjusted for 3 classes)."
    )
    assert last_line(chance, chance, nothing).startswith("No single one of the 2 classes differs")
    verdict = make_verdict(make_comparison(classes=(clear, loss)), SIDES, [True, False])
    assert verdict.lines[-1] == (
        "second is worse in 1 class (dog) (p-values adjusted for 2 classes). 1 of them has too few images to judge."
    )
    # with one class there is nothing to adjust, and the headline has said it
    assert "class" not in last_line(clear, nothing)
    many = [make_difference(f"c{place}", 0.1 + place / 100, p_adjusted=0.01) for place in range(8)]
    assert "8 classes (c7, c6, c5, c4, c3, ...)" in last_line(*many)


def test_numbers_in_words() -> None:
    assert p_value(0.0005, 5000) == "< 0.001"
    assert p_value(0.001, 5000) == "0.001"
    assert p_value(0.001, 200) == "< 0.005"
    assert signed(-0.0004) == "0.000"
    assert signed(-0.0006) == "−0.001"


def test_other_numbers_that_differ_are_in_the_verdict() -> None:
    made = make_comparison(main=main_difference(0.01, -0.01, 0.03, 0.4))
    others = (make_difference("map_50", 0.1), make_difference("map_75", -0.1), make_difference("f1", 0.1, p=0.2))
    lines = make_verdict(replace(made, headline=(made.headline[0], *others)), SIDES).lines
    assert lines[1] == (
        "Taken individually, other metrics differ significantly: better in mAP@0.5 (+0.100); "
        "worse in mAP@0.75 (\u22120.100)."
    )
    # of a detector that is better only what is worse has to be said
    better = replace(made, headline=(make_difference("map_50_95", 0.1), *others))
    assert make_verdict(better, SIDES).lines[1].endswith("significantly: worse in mAP@0.75 (\u22120.100).")
