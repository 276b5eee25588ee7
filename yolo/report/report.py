"""A report: one HTML file that needs nothing but itself, and its numbers for programs, tables and pull requests.

`write_report` leaves report.html, metrics.json, per_class.csv, errors.csv, summary.md and PNG plots in a folder.
Nothing is measured here; what is drawn and said comes from an `Analysis`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from yolo._version import __version__
from yolo.evaluation.analysis import Analysis
from yolo.evaluation.errors import ERROR_KINDS
from yolo.evaluation.examples import Example
from yolo.files import write_json, write_text
from yolo.report.advice import Advice, make_advice
from yolo.report.context import CasePicture, ReportContext
from yolo.report.files import make_summary, metrics_of, write_errors, write_per_class
from yolo.report.page import image_name, make_environment
from yolo.report.plots import write_plots
from yolo.report.text import ERROR_TEXT, LABEL_ERROR_TEXT
from yolo.report.view import class_rows, explanations, numbers, payload

MOST_BYTES: Final = 8_000_000  # of all pictures, as they stand in the page
MOST_OF_A_KIND: Final = 24
MOST_SUSPECTS: Final = 60
MOST_OPEN: Final = 8  # pictures of a kind that are not folded
MOST_LISTED: Final = 50  # cases without a picture

_NO_IMAGES = "No pictures, because no images were at hand."
_NOT_DRAWN = "No picture, because the image could not be read, or the room for pictures on this page was used up."


def write_report(folder: Path, analysis: Analysis, context: ReportContext) -> Path:
    """Write the page and the files beside it, each as a whole or not at all.

    Args:
        folder: to write into; made if there is none. Files of the same names are replaced.
        analysis: what is reported.
        context: where it comes from.

    Returns:
        Path of report.html.
    """
    advice = make_advice(analysis, context.warnings)
    write_per_class(folder / "per_class.csv", analysis)
    rows = write_errors(folder / "errors.csv", analysis)
    write_json(folder / "metrics.json", metrics_of(analysis, context, advice, rows))
    write_text(folder / "summary.md", make_summary(analysis, context, advice))
    write_plots(folder, analysis)
    path = folder / "report.html"
    write_text(path, render_report(analysis, context, advice))
    return path


def render_report(analysis: Analysis, context: ReportContext, advice: tuple[Advice, ...]) -> str:
    """The text of report.html."""
    values: dict[str, Any] = {
        "analysis": analysis,
        "result": analysis.result,
        "context": context,
        "advice": advice,
        "classes": class_rows(analysis),
        "payload": payload(analysis),
        "num_detections": len(analysis.matches.problem.detections),
        "version": __version__,
        **numbers(analysis),
        **explanations(analysis, context),
        **draw_galleries(analysis, context),
    }
    return make_environment().get_template("report.html.j2").render(values)


@dataclass
class _Group:
    """Cases of one kind while they are drawn."""

    cases: tuple[Example, ...]
    most: int
    pictures: list[CasePicture | None] = field(default_factory=list)


def draw_galleries(analysis: Analysis, context: ReportContext, *, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Groups for the templates: `gallery`, one of each kind of error, and `suspects`.

    Kinds take turns, so that none is without pictures because another has many.
    """
    groups = [_Group(analysis.examples.get(kind, ()), MOST_OF_A_KIND) for kind in ERROR_KINDS]
    groups.append(_Group(analysis.label_errors, MOST_SUSPECTS))
    if context.pictures is not None:
        _draw(groups, context.pictures, most_bytes)
    reason = _NO_IMAGES if context.pictures is None else _NOT_DRAWN
    shown = [_shown(analysis, group) | {"reason": reason} for group in groups]
    counts, kinds = analysis.errors.counts, Counter(case.kind for case in analysis.label_errors)
    return {
        "gallery": [
            {"kind": kind, "text": ERROR_TEXT[kind], "total": counts[kind], **group}
            for kind, group in zip(ERROR_KINDS, shown[:-1], strict=True)
        ],
        "suspects": {
            "kinds": [(text, kinds[kind]) for kind, text in LABEL_ERROR_TEXT.items() if kinds[kind]],
            **shown[-1],
        },
        "most_open": MOST_OPEN,
        "most_listed": MOST_LISTED,
        "any_drawn": any(any(group.pictures) for group in groups),
        # what was found while drawing, such as images of another size
        "picture_notes": tuple(getattr(context.pictures, "notes", ())),
    }


def _draw(groups: list[_Group], draw: Callable[[Example], CasePicture | None], most_bytes: int) -> None:
    left = most_bytes
    for turn in zip_longest(*(group.cases[: group.most] for group in groups)):
        for group, case in zip(groups, turn, strict=True):
            if case is None:
                continue
            picture = draw(case) if left > 0 else None
            if picture is not None and len(picture.source) > left:
                picture = None
            left -= len(picture.source) if picture else 0
            group.pictures.append(picture)


def _shown(analysis: Analysis, group: _Group) -> dict[str, list[dict[str, Any]]]:
    images = analysis.matches.problem.images
    drawn, undrawn = [], []
    for place, (case, picture) in enumerate(zip_longest(group.cases, group.pictures)):
        entry = {
            "message": case.message,
            "score": case.score,
            "iou": case.iou,
            "called": image_name(images, case.image),
            "file": images.paths[case.image] or images.image_ids[case.image],
            "picture": picture,
        }
        if picture is not None:
            drawn.append(entry)
        elif place < group.most:
            undrawn.append(entry)
    return {"drawn": drawn, "undrawn": undrawn}
