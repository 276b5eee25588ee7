"""The page of `gridyolo compare` and the files beside it: compare.json, per_class.csv, images.csv, summary.md.

Left out: computing the differences (`yolo.evaluation.comparison`), what is said about them (`verdict`), drawing
(`pictures`). Names are anybody's text: in CSV files no cell can be taken for a formula, in Markdown none for markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from yolo._version import __version__
from yolo.arrays import Int64
from yolo.detection_sets import EvaluationData
from yolo.evaluation.comparison import Comparison, Difference, ImageChange
from yolo.files import write_csv, write_json, write_text
from yolo.report.advice import FEW_INSTANCES
from yolo.report.files import escape, plain
from yolo.report.page import CasePicture, ReportContext, image_name, render
from yolo.report.text import HEADLINE_TEXT, p_value, rate, share, signed
from yolo.report.verdict import Verdict, make_verdict, outcome

FEW_CLASS_IMAGES: Final = 10

_MAX_SHOWN, _SHOWN_AT_ONCE = 12, 4
# how `pictures` draws, in the words of the page
_MARKS = (
    ("right", "thin solid white: right detection"),
    ("wrong", "thick solid orange: wrong detection"),
    ("missed", "thick dashed blue: missed object"),
    ("found", "faint dashed white: annotation of a found object"),
    ("neutral", "grey: counts neither for nor against"),
)
_DIFFERENCE_COLUMNS = ("a", "b", "difference", "low", "high", "p", "p_adjusted")
_IMAGE_COLUMNS = ("image_id", "path", "objects", "found_a", "found_b", "wrong_a", "wrong_b", "change")

PicturesOfChange = Callable[[ImageChange], tuple[CasePicture | None, CasePicture | None]]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """A comparison and what was compared."""

    comparison: Comparison  # B against A
    problem_a: EvaluationData  # with the detections of A; images and classes of the page are its
    problem_b: EvaluationData  # the same images and objects with the detections of B
    names: tuple[str, str]  # what A and B are called

    @property
    def instances(self) -> Int64:
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


def write_comparison(
    folder: Path, sides: Sides, context: ReportContext, *, pictures: PicturesOfChange | None = None
) -> Path:
    """Write compare.html, compare.json, per_class.csv, images.csv and summary.md.

    Args:
        folder: is made if it does not exist; files of these names are replaced.
        sides: the comparison and what was compared.
        context: title, command, warnings, configuration and environment.
        pictures: draws what A and B did on an image, None where it cannot; None where there are no images at hand.

    Returns:
        The path of compare.html, which is one file that needs nothing but itself.

    Raises:
        SaveError: a file could not be written.
    """
    comparison = sides.comparison
    verdict = make_verdict(comparison, sides.names, sides.few)
    write_json(folder / "compare.json", plain(_to_json(sides, context, verdict)))
    columns = (f"{name}_{column}" for name in ("ap_50", "ap_50_95") for column in _DIFFERENCE_COLUMNS)
    classes = zip(comparison.class_ap_50, comparison.class_ap_50_95, sides.instances.tolist(), strict=True)
    rows = ([one.name, count, *_numbers(one).values(), *_numbers(other).values()] for one, other, count in classes)
    write_csv(folder / "per_class.csv", ["class", "objects", *columns], rows)
    write_csv(folder / "images.csv", _IMAGE_COLUMNS, _image_rows(sides))
    write_text(folder / "summary.md", _summary(sides, context, verdict))
    path = folder / "compare.html"
    write_text(path, _page(sides, context, verdict, pictures))
    return path


def _numbers(one: Difference) -> dict[str, float]:
    values = (one.a, one.b, one.b - one.a, *one.interval, one.p_value, one.p_adjusted)
    return dict(zip(_DIFFERENCE_COLUMNS, values, strict=True))


def _to_json(sides: Sides, context: ReportContext, verdict: Verdict) -> dict[str, Any]:
    comparison, ids = sides.comparison, sides.problem_a.images.image_ids
    classes = zip(
        comparison.class_ap_50, comparison.class_ap_50_95, sides.instances.tolist(), sides.few, strict=True
    )  # of one class each
    return {
        "title": context.title,
        "names": dict(zip("ab", sides.names, strict=True)),
        "verdict": verdict._asdict(),
        "headline": {one.name: _numbers(one) for one in comparison.headline},
        "per_class": [
            {"name": one.name, "objects": count, "few": few, "ap_50": _numbers(one), "ap_50_95": _numbers(other)}
            for one, other, count, few in classes
        ],
        "num_images": comparison.num_images,
        "num_better": comparison.num_better,
        "num_worse": comparison.num_worse,
        "images": [
            {
                "image_id": ids[one.image],
                "objects": one.objects,
                "found": dict(zip("ab", one.found, strict=True)),
                "wrong": dict(zip("ab", one.wrong, strict=True)),
                "change": one.change,
            }
            for one in comparison.images
        ],
        "score_thresholds": dict(zip("ab", comparison.score_thresholds, strict=True)),
        "num_objects": len(sides.problem_a.truths),
        "num_detections": {"a": len(sides.problem_a.detections), "b": len(sides.problem_b.detections)},
        "bootstrap": {"level": comparison.level, "replicates": comparison.replicates, "seed": comparison.seed},
        "remarks": context.warnings,
        "version": __version__,
        "command": context.command,
        "configuration": context.configuration,
        "environment": context.environment,
    }


def _image_rows(sides: Sides) -> Iterator[list[Any]]:
    images = sides.problem_a.images
    for one in sides.comparison.images:
        place = images.image_ids[one.image], images.paths[one.image]
        yield [*place, one.objects, *one.found, *one.wrong, one.change]


def _summary(sides: Sides, context: ReportContext, verdict: Verdict) -> str:
    comparison = sides.comparison
    a, b = (escape(name) for name in sides.names)
    lines = [f"# {escape(context.title)}", "", f"**{escape(verdict.headline)}**", ""]
    lines += [f"{escape(line)}\n" for line in verdict.lines]
    lines += [f"| Number | {a} | {b} | Difference | {share(comparison.level)} interval | p |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    for one in comparison.headline:
        low, high = one.interval
        lines.append(
            f"| {escape(HEADLINE_TEXT[one.name][0])} | {rate(one.a)} | {rate(one.b)} | {signed(one.b - one.a)} | "
            f"{signed(low)} to {signed(high)} | {p_value(one.p_value, comparison.replicates)} |"
        )
    lines.append("")
    lines += [f"- {one.count:,} x {escape(one.kind)}: {escape(one.message)}" for one in context.warnings]
    lines += [""] * bool(context.warnings)
    lines.append("Everything is in compare.html, with what the numbers mean; all of it as data in compare.json.")
    return "\n".join(lines) + "\n"


def _page(sides: Sides, context: ReportContext, verdict: Verdict, pictures: PicturesOfChange | None) -> str:
    comparison = sides.comparison
    better, worse = (_changes(sides, pictures, better=flag) for flag in (True, False))
    values = {
        "context": context,
        "names": sides.names,
        "comparison": comparison,
        "verdict": verdict,
        "headline": _table(comparison, comparison.headline),
        "headline_text": HEADLINE_TEXT,
        "class_tables": {
            "AP@0.5:0.95": _class_table(sides, comparison.class_ap_50_95),
            "AP@0.5": _class_table(sides, comparison.class_ap_50),
        },
        "image_counts": [
            ("better", comparison.num_better, "better"),
            ("same", comparison.num_images - comparison.num_better - comparison.num_worse, "no change"),
            ("worse", comparison.num_worse, "worse"),
        ],
        "groups": [("better", comparison.num_better, better), ("worse", comparison.num_worse, worse)],
        "first": _SHOWN_AT_ONCE,
        "marks": _MARKS if pictures is not None else (),
        # asked for after the pictures have been drawn
        "picture_notes": getattr(pictures, "notes", ()),
        "facts": _facts(sides, context),
        "few_images": FEW_CLASS_IMAGES,
        "few_objects": FEW_INSTANCES,
    }
    return render("compare.html.j2", values)


def _facts(sides: Sides, context: ReportContext) -> list[tuple[str, str]]:
    """What was compared, as rows of a table."""
    problems = zip("AB", sides.names, (sides.problem_a, sides.problem_b), strict=True)
    return [
        *((letter, f"{name}: {len(problem.detections):,} detections") for letter, name, problem in problems),
        ("Images", f"{len(sides.problem_a.images):,}"),
        ("Annotated objects", f"{len(sides.problem_a.truths):,}"),
        ("Bootstrap", f"{sides.comparison.replicates:,} replicates over images, seed {sides.comparison.seed}"),
        *[("Command", context.command)][: bool(context.command)],
    ]


def _table(comparison: Comparison, differences: Sequence[Difference], *, adjusted: bool = False) -> dict[str, Any]:
    """Differences for the template, and the largest number on the common scale of their drawings."""
    ends = np.array([[*one.interval, one.b - one.a] for one in differences])
    rows = [
        {**_numbers(one), "name": one.name, "outcome": outcome(one, comparison.level, adjusted=adjusted)}
        for one in differences
    ]
    return {"rows": rows, "reach": float(np.abs(ends[np.isfinite(ends)]).max(initial=0.0)) or 1.0}


def _class_table(sides: Sides, differences: Sequence[Difference]) -> dict[str, Any]:
    """The largest gain first, classes without objects last."""
    table = _table(sides.comparison, differences, adjusted=True)
    for row, objects, few in zip(table["rows"], sides.instances.tolist(), sides.few, strict=True):
        row["objects"] = objects
        if few and row["outcome"] not in ("none", "unclear"):
            row["outcome"] = "few"
    table["rows"].sort(key=lambda row: (not np.isfinite(row["difference"]), -row["difference"]))
    return table


def _changes(sides: Sides, pictures: PicturesOfChange | None, *, better: bool) -> list[dict[str, Any]]:
    """The images that changed most, with their pictures."""
    changes = sides.comparison.images
    if better:
        chosen = [one for one in changes[:_MAX_SHOWN] if one.change > 0]
    else:
        chosen = [one for one in reversed(changes[-_MAX_SHOWN:]) if one.change < 0]
    shown = []
    for change in chosen:
        pair = pictures(change) if pictures is not None else (None, None)
        name = image_name(sides.problem_a.images, change.image)
        shown.append({"image": name, "change": change, "pictures": None if None in pair else pair})
    return shown
