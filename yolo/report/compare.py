"""The page of `gridyolo compare`, and the same as JSON, CSV and Markdown.

Left out: computing the differences (`yolo.evaluation.comparison`), drawing (`pictures`).

A comparison of two detectors in plain words: the verdict, and what the numbers mean.

"Better" is said only where both the interval and the p-value say that chance is no likely explanation; of single
classes only after the correction for how many there are, and never of a class on few images: drawing from two images
again and again cannot show what a third would have been like.

What lies beside the page of `gridyolo compare`: compare.json, per_class.csv, images.csv, summary.md.

Names are anybody's text: in CSV files no cell can be taken for a formula, in Markdown none for markup.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo._version import __version__
from yolo.detection_sets import Problem
from yolo.errors import printable
from yolo.evaluation.comparison import Comparison, Difference, ImageChange
from yolo.files import atomic_write, write_csv, write_json
from yolo.report.advice import FEW_INSTANCES
from yolo.report.context import CasePicture, ReportRemark
from yolo.report.files import escape, plain
from yolo.report.page import NO_NUMBER, image_name, make_environment, rate
from yolo.report.text import HEADLINE_WORDS

MAIN_NUMBER: Final = "map_50_95"

_MOST_NAMED = 5
_SMALLEST_P = 0.001
_MINUS = "\u2212"
_TURNING = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI"})


class Verdict(NamedTuple):
    """What stands on top of the page.

    Attributes:
        level: good, warning or note, the colour of the card.
        headline: one sentence.
        lines: what else has to be known at once.
    """

    level: str
    headline: str
    lines: tuple[str, ...]


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
    main = next((one for one in comparison.headline if one.name == MAIN_NUMBER), None)
    if main is None or outcome(main, comparison.level) == "none":
        line = "The numbers that could be computed are below."
        return Verdict("warning", "Nothing can be said: there is no mAP to compare.", (line,))
    images, classes = image_line(comparison, names), class_line(comparison, names, few)
    level, sentence, line = _main_words(main, comparison, names)
    others = other_numbers_line(main, comparison)
    return Verdict(level, sentence, tuple(filter(None, (line, others, images, classes))))


def _main_words(main: Difference, comparison: Comparison, names: tuple[str, str]) -> tuple[str, str, str]:
    a, b = names
    called = HEADLINE_WORDS[MAIN_NUMBER][0]
    numbers = f"{called} {signed(main.b - main.a)} ({evidence(main, comparison)})"
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
    return "note", f"No difference that could not be chance: {numbers}.", f"{from_to} {line}"


def image_line(comparison: Comparison, names: tuple[str, str]) -> str:
    """How many images became better and worse."""
    same = comparison.num_images - comparison.num_better - comparison.num_worse
    return (
        f"Of {comparison.num_images:,} images {names[1]} does better on {comparison.num_better:,}, worse on "
        f"{comparison.num_worse:,} and as well as {names[0]} on {same:,}."
    )


def other_numbers_line(main: Difference, comparison: Comparison) -> str:
    """Headline numbers that clearly differ where the main one does not, or the other way; empty where none does."""
    verdicts = {one.name: outcome(one, comparison.level) for one in comparison.headline}
    parts = []
    for word in ("better", "worse"):
        told = [
            f"{HEADLINE_WORDS.get(one.name, (one.name, ''))[0]} ({signed(one.b - one.a)})"
            for one in comparison.headline
            if verdicts[one.name] == word and verdicts[main.name] != word
        ]
        if told:
            parts.append(f"{word} in {', '.join(told)}")
    if not parts:
        return ""
    return f"Each for itself, other numbers do differ by more than chance may explain: {'; '.join(parts)}."


def class_line(comparison: Comparison, names: tuple[str, str], few: Sequence[bool] = ()) -> str:
    """Which classes differ by more than chance, after the correction; empty where there is one class only."""
    verdicts = [(one, outcome(one, comparison.level, adjusted=True)) for one in comparison.class_ap_50_95]
    few = few or [False] * len(verdicts)
    measured = [(*pair, flag) for pair, flag in zip(verdicts, few, strict=True) if pair[1] != "none"]
    if len(measured) < 2:
        return ""
    left_out = sum(flag for _, _, flag in measured)
    rest = f" {left_out} of them {'is' if left_out == 1 else 'are'} on too few images to say." if left_out else ""
    parts = [
        f"{word} in {_listed(found)}"
        for word in ("better", "worse")
        if (found := [one for one, verdict, flag in measured if verdict == word and not flag])
    ]
    if not parts:
        return (
            f"No single one of the {len(measured)} classes differs by more than chance may explain (p-values adjusted "
            f"for their number).{rest}"
        )
    return f"{names[1]} is {', and '.join(parts)} (p-values adjusted for {len(measured)} classes).{rest}"


def _listed(found: Sequence[Difference]) -> str:
    largest = sorted(found, key=lambda one: -abs(one.b - one.a))[:_MOST_NAMED]
    named = ", ".join(isolated_text(one.name) for one in largest) + ", ..." * (len(found) > len(largest))
    return f"{len(found)} {'class' if len(found) == 1 else 'classes'} ({named})"


def evidence(difference: Difference, comparison: Comparison) -> str:
    """`95 % interval +0.012 to +0.050, p = 0.002`, the last part never broken into lines."""
    low, high = difference.interval
    told = p_value(difference.p_value, comparison.replicates)
    p = (told if told.startswith("<") else f"= {told}").replace(" ", "\u00a0")
    return f"{percent(comparison.level)} interval {signed(low)} to {signed(high)}, p\u00a0{p}"


def isolated_text(text: str) -> str:
    """A name that cannot turn the direction of the sentence around it, by Unicode's isolates where it could.

    >>> isolated_text("dog"), isolated_text("\u202edog")
    ('dog', '\u2068\u202edog\u2069')
    """
    if any(unicodedata.bidirectional(character) in _TURNING for character in text):
        return f"\u2068{text}\u2069"
    return text


def percent(level: float) -> str:
    """A level for people.

    >>> percent(0.95), percent(0.999)
    ('95 %', '99.9 %')
    """
    return f"{100 * level:.6g} %"


def signed(value: float) -> str:
    """Three decimals with their sign, a dash where there is nothing to measure.

    >>> signed(0.0312), signed(-0.5), signed(-0.0001), signed(float("nan"))
    ('+0.031', '−0.500', '0.000', '–')
    """
    if not math.isfinite(value):
        return NO_NUMBER
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else _MINUS}{text}"


def p_value(value: float, replicates: int) -> str:
    """Three decimals; what the bootstrap cannot tell from 0 as an upper limit.

    >>> p_value(0.0312, 1000), p_value(0.0, 1000), p_value(0.004, 100), p_value(float("nan"), 10)
    ('0.031', '< 0.001', '< 0.01', '–')
    """
    if not math.isfinite(value):
        return NO_NUMBER
    smallest = max(_SMALLEST_P, 1 / max(replicates, 1))
    return f"< {smallest:.3g}" if value < smallest else f"{value:.3f}"


def definitions(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """(term, meaning) for readers who are no statisticians."""
    rounds, level = f"{comparison.replicates:,}", percent(comparison.level)
    return (
        ("Difference", "The number of B less that of A, measured on the same images. Positive is better."),
        (
            f"{level} interval",
            f"The images were drawn anew {rounds} times, with repetition, the same draw for A and B (paired bootstrap, "
            f"seed {comparison.seed}). The interval holds the middle {level} of the differences. If it contains 0, "
            "images that happen to be in this set could explain the difference.",
        ),
        (
            "p",
            "How often chance alone would give a difference as large as this, in either direction, if the two were "
            f"equally good. Below {1 - comparison.level:.3g} is usually called significant. It is not the "
            "probability that they are equally good.",
        ),
        (
            "p, adjusted",
            "Among many classes a few small p-values turn up by chance. Holm's correction raises p so that the risk "
            f"of even one false claim among all classes stays below {1 - comparison.level:.3g}.",
        ),
        (
            "What is not covered",
            "Interval and p speak of other images of the same kind. Training again with another seed moves the "
            "numbers too; to compare two recipes rather than two detectors, train each several times.",
        ),
        (
            "Image better or worse",
            "Objects found less wrong detections at IoU 0.5, each detector at its own score threshold; an image is "
            "better if B has more of this than A.",
        ),
    )


FEW_CLASS_IMAGES: Final = 10

Remark = tuple[str, int, str, tuple[str, ...]]  # kind, count, message, examples


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """A comparison and what was compared.

    Attributes:
        comparison: B against A.
        problem_a: with the detections of A.
        problem_b: the same images and objects with the detections of B.
        names: what A and B are called.
    """

    comparison: Comparison
    problem_a: Problem
    problem_b: Problem
    names: tuple[str, str]

    @property
    def instances(self) -> NDArray[np.int64]:
        """(C,) objects to be found of each class."""
        truths = self.problem_a.truths
        return np.bincount(truths.labels[~truths.reusable], minlength=self.problem_a.num_classes)

    @property
    def few(self) -> list[bool]:
        """For each class, whether it is on too few images, or has too few objects, to say more than its numbers."""
        truths, num_classes = self.problem_a.truths[~self.problem_a.truths.reusable], self.problem_a.num_classes
        pairs = np.unique(truths.image_index.astype(np.int64) * num_classes + truths.labels)
        on_images = np.bincount(pairs % num_classes, minlength=num_classes)
        few: list[bool] = ((on_images < FEW_CLASS_IMAGES) | (self.instances < FEW_INSTANCES)).tolist()
        return few


def write_tables(folder: Path, sides: Sides, *, title: str, remarks: Sequence[Remark], facts: dict[str, Any]) -> None:
    """Write the four files.

    Args:
        folder: is made if it does not exist.
        sides: what is told.
        title: of the summary.
        remarks: warnings about the input files.
        facts: what else goes into the JSON.
    """
    write_json(folder / "compare.json", {"title": printable(title)} | _to_json(sides, remarks) | plain(facts))
    write_csv(folder / "per_class.csv", _class_header(), _class_rows(sides))
    write_csv(folder / "images.csv", _IMAGE_HEADER, _image_rows(sides))
    with atomic_write(folder / "summary.md") as temporary:
        temporary.write_text(_summary(sides, title, remarks), encoding="utf-8")


def _to_json(sides: Sides, remarks: Sequence[Remark]) -> dict[str, Any]:
    comparison, ids = sides.comparison, sides.problem_a.images.image_ids
    verdict = make_verdict(comparison, sides.names, sides.few)
    classes = zip(
        comparison.class_ap_50, comparison.class_ap_50_95, sides.instances.tolist(), sides.few, strict=True
    )  # of one class each
    value = {
        "names": {"a": sides.names[0], "b": sides.names[1]},
        "verdict": verdict._asdict(),
        "headline": {one.name: _difference(one) for one in comparison.headline},
        "per_class": [
            {
                "name": ap_50.name,
                "objects": count,
                "few": few,
                "ap_50": _difference(ap_50),
                "ap_50_95": _difference(ap_50_95),
            }
            for ap_50, ap_50_95, count, few in classes
        ],
        "num_images": comparison.num_images,
        "num_better": comparison.num_better,
        "num_worse": comparison.num_worse,
        "images": [
            {
                "image_id": ids[one.image],
                "objects": one.objects,
                "found": {"a": one.found[0], "b": one.found[1]},
                "wrong": {"a": one.wrong[0], "b": one.wrong[1]},
                "change": one.change,
            }
            for one in comparison.images
        ],
        "score_thresholds": dict(zip("ab", comparison.score_thresholds, strict=True)),
        "num_objects": len(sides.problem_a.truths),
        "num_detections": {"a": len(sides.problem_a.detections), "b": len(sides.problem_b.detections)},
        "bootstrap": {"level": comparison.level, "replicates": comparison.replicates, "seed": comparison.seed},
        "remarks": [dict(zip(("kind", "count", "message", "examples"), one, strict=True)) for one in remarks],
        "version": __version__,
    }
    return {key: plain(one) for key, one in value.items()}


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "a": one.a,
        "b": one.b,
        "difference": one.b - one.a,
        "low": one.interval.low,
        "high": one.interval.high,
        "p": one.p_value,
        "p_adjusted": one.p_adjusted,
    }


def _class_header() -> list[str]:
    columns = ("a", "b", "difference", "low", "high", "p", "p_adjusted")
    return ["class", "objects", *(f"{name}_{column}" for name in ("ap_50", "ap_50_95") for column in columns)]


def _class_rows(sides: Sides) -> Iterable[list[Any]]:
    comparison = sides.comparison
    for ap_50, ap_50_95, count in zip(
        comparison.class_ap_50, comparison.class_ap_50_95, sides.instances.tolist(), strict=True
    ):
        yield [ap_50.name, count, *_difference(ap_50).values(), *_difference(ap_50_95).values()]


_IMAGE_HEADER = ("image_id", "path", "objects", "found_a", "found_b", "wrong_a", "wrong_b", "change")


def _image_rows(sides: Sides) -> Iterable[list[Any]]:
    images = sides.problem_a.images
    for one in sides.comparison.images:
        place = images.image_ids[one.image], images.paths[one.image]
        yield [*place, one.objects, *one.found, *one.wrong, one.change]


def _summary(sides: Sides, title: str, remarks: Sequence[Remark]) -> str:
    comparison = sides.comparison
    verdict = make_verdict(comparison, sides.names, sides.few)
    a, b = (escape(name) for name in sides.names)
    lines = [f"# {escape(title)}", "", f"**{escape(verdict.headline)}**", ""]
    lines += [f"{escape(line)}\n" for line in verdict.lines]
    lines += [f"| Number | {a} | {b} | Difference | {percent(comparison.level)} interval | p |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    for one in comparison.headline:
        low, high = one.interval
        called = HEADLINE_WORDS.get(one.name, (one.name, ""))[0]
        lines.append(
            f"| {escape(called)} | {rate(one.a)} | {rate(one.b)} | {signed(one.b - one.a)} | "
            f"{signed(low)} to {signed(high)} | {p_value(one.p_value, comparison.replicates)} |"
        )
    lines.append("")
    lines += [f"- {count:,} x {escape(kind)}: {escape(message)}" for kind, count, message, _ in remarks]
    lines += [""] * bool(remarks)
    lines.append("Everything is in compare.html, with what the numbers mean; all of it as data in compare.json.")
    return "\n".join(lines) + "\n"


_MOST_SHOWN, _SHOWN_AT_ONCE = 12, 4
_TAGS = {"better": "good", "worse": "error", "borderline": "warning"}
# how `pictures` draws, in the words of the page
_MARKS = (
    ("right", "thin solid white: right detection"),
    ("wrong", "thick solid orange: wrong detection"),
    ("missed", "thick dashed blue: missed object"),
    ("found", "faint dashed white: annotation of a found object"),
    ("excused", "grey: counts neither for nor against"),
)
_CHART_WIDTH, _CHART_MARGIN = 130.0, 5.0

PicturesOfChange = Callable[[ImageChange], tuple[CasePicture | None, CasePicture | None]]


@dataclass(frozen=True, slots=True)
class CompareContext:
    """Everything on the page that is no number of the comparison.

    Attributes:
        title: such as "runs/a against runs/b on blood".
        command: as typed.
        names: what A and B are called.
        remarks: counted warnings about the input files; they stand on top.
        configuration: name -> value, shown as a table.
        environment: name -> version and the like.
        pictures: draws what A and B did on an image, None where it cannot; None where there are no images at hand.
        picture_notes: what a reader should know about the pictures, asked for after they have been drawn.
    """

    title: str
    command: str
    names: tuple[str, str]
    remarks: tuple[ReportRemark, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    pictures: PicturesOfChange | None = None
    picture_notes: Callable[[], Sequence[str]] | None = None


def write_comparison(
    folder: Path, comparison: Comparison, problem_a: Problem, problem_b: Problem, context: CompareContext
) -> Path:
    """Write compare.html, compare.json, per_class.csv, images.csv and summary.md.

    Args:
        folder: is made if it does not exist; files of these names are replaced.
        comparison: B against A.
        problem_a: what the first was measured on; images and classes of the page are its.
        problem_b: the same images and objects with the detections of the second.
        context: the rest.

    Returns:
        The path of compare.html, which is one file that needs nothing but itself.
    """
    sides = Sides(comparison, problem_a, problem_b, context.names)
    write_tables(
        folder,
        sides,
        title=context.title,
        remarks=[(one.kind, one.count, one.message, tuple(one.examples)) for one in context.remarks],
        facts={"command": context.command, "configuration": context.configuration, "environment": context.environment},
    )
    path = folder / "compare.html"
    text = _page(sides, context)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _page(sides: Sides, context: CompareContext) -> str:
    comparison = sides.comparison
    better, worse = _changes(sides, context, better=True), _changes(sides, context, better=False)
    notes = tuple(context.picture_notes()) if context.picture_notes is not None else ()
    same = comparison.num_images - comparison.num_better - comparison.num_worse
    environment = make_environment()
    environment.filters.update(signed=signed, percent=percent)
    return environment.get_template("compare.html.j2").render(
        context=context,
        comparison=comparison,
        verdict=make_verdict(comparison, context.names, sides.few),
        headline=_rows(comparison, comparison.headline),
        class_tables=_class_tables(sides),
        image_counts=[
            ("better", comparison.num_better, "better"),
            ("same", same, "no change"),
            ("worse", comparison.num_worse, "worse"),
        ],
        groups=[("better", comparison.num_better, better), ("worse", comparison.num_worse, worse)],
        first=_SHOWN_AT_ONCE,
        marks=_MARKS,
        picture_notes=notes,
        sizes=[("Images", len(sides.problem_a.images)), ("Annotated objects", len(sides.problem_a.truths))],
        num_detections=[len(problem.detections) for problem in (sides.problem_a, sides.problem_b)],
        few_images=FEW_CLASS_IMAGES,
        few_objects=FEW_INSTANCES,
        definitions=definitions(comparison),
        version=__version__,
    )


def _rows(comparison: Comparison, differences: Sequence[Difference], *, adjusted: bool = False) -> list[dict[str, Any]]:
    """What the template needs of each difference, charts on one common scale."""
    ends = np.array([[one.interval.low, one.interval.high, one.b - one.a] for one in differences])
    finite = np.abs(ends[np.isfinite(ends)])
    reach = float(finite.max(initial=0.0)) or 1.0
    return [
        {
            "name": HEADLINE_WORDS.get(one.name, (one.name, ""))[0] if not adjusted else one.name,
            "meaning": HEADLINE_WORDS.get(one.name, ("", ""))[1] if not adjusted else "",
            "a": one.a,
            "b": one.b,
            "difference": one.b - one.a,
            "low": one.interval.low,
            "high": one.interval.high,
            "p": one.p_value,
            "p_text": p_value(one.p_value, comparison.replicates),
            "p_adjusted": one.p_adjusted,
            "p_adjusted_text": p_value(one.p_adjusted, comparison.replicates),
            "outcome": (verdict := outcome(one, comparison.level, adjusted=adjusted)),
            "tag": _TAGS.get(verdict, ""),
            "chart": _chart(one, reach),
        }
        for one in differences
    ]


def _chart(difference: Difference, reach: float) -> dict[str, float] | None:
    """Where an interval and its dot are drawn, in pixels; None where there is nothing to measure."""
    values = (difference.interval.low, difference.b - difference.a, difference.interval.high)
    if not np.isfinite(values).all():
        return None
    half = _CHART_WIDTH / 2
    low, dot, high = (half + value / reach * (half - _CHART_MARGIN) for value in values)
    return {"low": low, "dot": dot, "high": high}


def _class_tables(sides: Sides) -> list[dict[str, Any]]:
    """By AP over all IoUs, and at 0.5; the largest gain first, classes without objects last."""
    tables = []
    for called, differences, is_open in (
        ("AP@0.5:0.95", sides.comparison.class_ap_50_95, True),
        ("AP@0.5", sides.comparison.class_ap_50, False),
    ):
        rows = _rows(sides.comparison, differences, adjusted=True)
        for row, objects, few in zip(rows, sides.instances.tolist(), sides.few, strict=True):
            row["objects"] = objects
            if few and row["outcome"] not in ("none", "unclear"):
                row["outcome"], row["tag"] = "few", ""
        rows.sort(key=lambda row: (not np.isfinite(row["difference"]), -row["difference"]))
        tables.append({"called": called, "rows": rows, "open": is_open})
    return tables


def _changes(sides: Sides, context: CompareContext, *, better: bool) -> list[dict[str, Any]]:
    """The images that changed most, with their pictures."""
    changes = sides.comparison.images
    if better:
        chosen = [one for one in changes[:_MOST_SHOWN] if one.change > 0]
    else:
        chosen = [one for one in reversed(changes[-_MOST_SHOWN:]) if one.change < 0]
    shown = []
    for change in chosen:
        pictures = context.pictures(change) if context.pictures is not None else (None, None)
        shown.append(
            {
                "image": image_name(sides.problem_a.images, change.image),
                "change": change,
                "pictures": None if None in pictures else list(zip(context.names, pictures, strict=True)),
            }
        )
    return shown
