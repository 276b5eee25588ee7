"""The verdict of `gridyolo compare` in plain sentences: which detector is better, and how sure that is.

"Better" is said only where both the interval and the p-value say that chance is an unlikely explanation; of single
classes only after the correction for how many there are, and never of a class on few images: resampling two images
cannot show what a third would have been like.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from yolo.evaluation.comparison import Comparison, Difference
from yolo.report.text import HEADLINE_TEXT, isolated_text, p_value, share, signed

MAIN_NUMBER: Final = "map_50_95"

_MAX_NAMED = 5


class Verdict(NamedTuple):
    """What stands on top of the page."""

    level: str  # good, warning or note, the colour of the card
    headline: str  # one sentence
    lines: tuple[str, ...]  # what else has to be known at once


def outcome(difference: Difference, level: float, *, adjusted: bool = False) -> str:
    """`better`, `worse`, `borderline`, `unclear`, or `none` where there is nothing to measure; of B against A.

    Better and worse need an interval without 0 and a p-value below 1 - level. Borderline is where only one of them is
    so, and among many classes where both are but the adjusted p-value is not.

    Args:
        difference: of one number.
        level: of its interval, such as 0.95.
        adjusted: it is one of many, of which the p-value after the correction has to be small too.
    """
    low, high = difference.interval
    if not all(map(math.isfinite, (difference.a, difference.b, low, high, difference.p_value))):
        return "none"
    gain = difference.b - difference.a
    is_apart, is_rare = min(low, gain) > 0 or max(high, gain) < 0, difference.p_value < 1 - level
    is_clear = is_apart and is_rare
    if is_clear and (not adjusted or difference.p_adjusted < 1 - level):
        return "better" if gain > 0 else "worse"
    is_borderline = is_clear if adjusted else is_apart or is_rare
    return "borderline" if is_borderline else "unclear"


def make_verdict(comparison: Comparison, names: tuple[str, str], few: Sequence[bool] = ()) -> Verdict:
    """Sum up.

    Args:
        comparison: B against A.
        names: what A and B are called.
        few: for each class, whether it has too few objects or images to say anything; empty where all have enough.
    """
    names = isolated_text(names[0]), isolated_text(names[1])
    main = next(one for one in comparison.headline if one.name == MAIN_NUMBER)
    if outcome(main, comparison.level) == "none":
        line = "The numbers that could be computed are below."
        return Verdict("warning", "No verdict: there is no mAP to compare.", (line,))
    level, headline, line = _main_text(main, comparison, names)
    lines = (
        line,
        _other_numbers_line(main, comparison),
        _image_line(comparison, names),
        _class_line(comparison, names, few),
    )
    return Verdict(level, headline, tuple(filter(None, lines)))


def _main_text(main: Difference, comparison: Comparison, names: tuple[str, str]) -> tuple[str, str, str]:
    a, b = names
    called = HEADLINE_TEXT[MAIN_NUMBER][0]
    numbers = f"{called} {signed(main.b - main.a)} ({_evidence(main, comparison)})"
    from_to = f"{called} is {main.a:.3f} with {a} and {main.b:.3f} with {b}."
    verdict = outcome(main, comparison.level)
    if verdict in ("better", "worse"):
        return ("good" if verdict == "better" else "warning"), f"{b} is {verdict} than {a}: {numbers}.", from_to
    if verdict == "borderline":
        line = "The interval and the p-value do not agree. More images would decide it."
        return "note", f"A difference that may be chance: {numbers}.", f"{from_to} {line}"
    if not comparison.images and main.a == main.b:
        return "note", f"No difference: {called} is {main.a:.3f} with both, and no image changed.", ""
    line = (
        "That does not prove the two equal: a difference anywhere in the interval fits these images. Four times as "
        "many images would make the interval about half as wide."
    )
    return "note", f"No significant difference: {numbers}.", f"{from_to} {line}"


def _image_line(comparison: Comparison, names: tuple[str, str]) -> str:
    """How many images became better and worse."""
    same = comparison.num_images - comparison.num_better - comparison.num_worse
    return (
        f"Of {comparison.num_images:,} images {names[1]} does better on {comparison.num_better:,}, worse on "
        f"{comparison.num_worse:,} and as well as {names[0]} on {same:,}."
    )


def _other_numbers_line(main: Difference, comparison: Comparison) -> str:
    """Headline numbers that clearly differ where the main one does not, or the other way; empty where none does."""
    outcomes = [(one, outcome(one, comparison.level)) for one in comparison.headline]
    of_main = outcome(main, comparison.level)
    parts = []
    for word in ("better", "worse"):
        clear = [one for one, found in outcomes if found == word != of_main]
        named = ", ".join(f"{HEADLINE_TEXT[one.name][0]} ({signed(one.b - one.a)})" for one in clear)
        parts += [f"{word} in {named}"] if clear else []
    if not parts:
        return ""
    return f"Taken individually, other metrics differ significantly: {'; '.join(parts)}."


def _class_line(comparison: Comparison, names: tuple[str, str], few: Sequence[bool]) -> str:
    """Which classes differ by more than chance, after the correction; empty where there is one class only."""
    few = few or [False] * len(comparison.class_ap_50_95)
    outcomes = [outcome(one, comparison.level, adjusted=True) for one in comparison.class_ap_50_95]
    measured = [row for row in zip(comparison.class_ap_50_95, outcomes, few, strict=True) if row[1] != "none"]
    if len(measured) < 2:
        return ""
    left_out = sum(flag for _, _, flag in measured)
    rest = f" {left_out} of them {'has' if left_out == 1 else 'have'} too few images to judge." if left_out else ""
    parts = []
    for word in ("better", "worse"):
        clear = [one for one, found, flag in measured if found == word and not flag]
        parts += [f"{word} in {_listed(clear)}"] if clear else []
    if not parts:
        return (
            f"No single one of the {len(measured)} classes differs by more than chance may explain (p-values adjusted "
            f"for their number).{rest}"
        )
    return f"{names[1]} is {', and '.join(parts)} (p-values adjusted for {len(measured)} classes).{rest}"


def _listed(found: Sequence[Difference]) -> str:
    largest = sorted(found, key=lambda one: -abs(one.b - one.a))[:_MAX_NAMED]
    named = ", ".join(isolated_text(one.name) for one in largest) + ", ..." * (len(found) > len(largest))
    return f"{len(found)} {'class' if len(found) == 1 else 'classes'} ({named})"


def _evidence(difference: Difference, comparison: Comparison) -> str:
    """`95 % interval +0.012 to +0.050, p = 0.002`, the last part never broken into lines."""
    low, high = difference.interval
    p = p_value(difference.p_value, comparison.replicates)
    p = (p if p.startswith("<") else f"= {p}").replace(" ", "\u00a0")
    return f"{share(comparison.level)} interval {signed(low)} to {signed(high)}, p\u00a0{p}"
