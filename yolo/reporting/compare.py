"""The page of `gridyolo compare`, and the same as JSON, CSV and Markdown.

Left out: computing the differences (`yolo.analysis.comparison`), drawing (`pictures`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from yolo._version import __version__
from yolo.analysis.comparison import Comparison, Difference, ImageChange
from yolo.detection_sets import Problem
from yolo.files import atomic_write
from yolo.reporting.advice import FEW_INSTANCES
from yolo.reporting.compare_files import FEW_CLASS_IMAGES, Sides, write_tables
from yolo.reporting.compare_words import definitions, make_verdict, outcome, p_value, percent, signed
from yolo.reporting.context import CasePicture, ReportRemark
from yolo.reporting.page import image_name, make_environment
from yolo.reporting.wording import HEADLINE_WORDS

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
