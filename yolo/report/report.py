"""A report: one HTML file that needs nothing but itself, and its numbers for programs, tables and pull requests.

`write_report` leaves report.html, metrics.json, per_class.csv, errors.csv, summary.md and PNG plots in a folder.
Nothing is measured here; what is drawn and said comes from an `Analysis`. Layout and fixed texts are in the templates;
this makes the values that they show.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np

from yolo.evaluation.analysis import Analysis
from yolo.evaluation.calibration import SHOWN_SCORE, Calibration
from yolo.evaluation.errors import ERROR_KINDS
from yolo.evaluation.examples import Example
from yolo.files import write_json, write_text
from yolo.report.advice import FEW_INSTANCES, Advice, make_advice, most_confused, uncertain_classes
from yolo.report.files import make_summary, metrics_of, plain, write_errors, write_per_class
from yolo.report.history import main_panels, term_panels
from yolo.report.page import CasePicture, ReportContext, image_name, render
from yolo.report.plots import write_plots
from yolo.report.text import ERROR_TEXT, HEADLINE_TEXT, LABEL_ERROR_TEXT, calibration_text

MAX_BYTES: Final = 8_000_000  # of all pictures, as they stand in the page
MAX_LABEL_ERRORS: Final = 60
MAX_OPEN: Final = 8  # pictures of a kind that are not folded
MAX_LISTED: Final = 50  # cases without a picture
MAX_CONFUSIONS: Final = 12
MAX_CHOSEN_FIRST: Final = 8  # classes; of more only the best and the worst are chosen when the page opens

_MAIN_NUMBERS = 5  # of HEADLINE_TEXT, as large cards
_VOC_RULES = {"11-point": "VOC 2007, 11-point", "all-point": "from VOC 2010 on, all-point"}
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

    Raises:
        SaveError: a file could not be written.
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
    result, intervals = analysis.result, analysis.intervals
    costs = analysis.errors.ap_cost.values()
    not_found = result.confusion_matrix[:-1].sum() - np.trace(result.confusion_matrix[:-1])
    configuration = context.configuration.items()
    values: dict[str, Any] = {
        "analysis": analysis,
        "result": result,
        "context": context,
        "advice": advice,
        "num_detections": len(analysis.matches.problem.detections),
        "headline": _headline(analysis),
        "num_main": _MAIN_NUMBERS,
        "level": intervals.level if intervals else 0.0,
        "classes": list(
            zip(
                result.per_class,
                intervals.class_ap_50_95 if intervals else [None] * len(result.per_class),
                uncertain_classes(analysis),
                strict=True,
            )
        ),
        "few": FEW_INSTANCES,
        "payload": payload(analysis),
        "confusions": most_confused(result)[:MAX_CONFUSIONS],
        "error_text": ERROR_TEXT,
        "highest_cost": max([cost for cost in costs if cost > 0], default=1.0),
        "not_found": int(not_found),
        "found": analysis.calibration,
        "shown_score": SHOWN_SCORE,
        "bins": _calibration_bins(analysis.calibration),
        "calibration_text": calibration_text(analysis.calibration),
        "configuration": [(name, value if isinstance(value, str) else _json(value)) for name, value in configuration],
        "voc_rules": _VOC_RULES,
        "panels": [] if context.history is None else [main_panels(context.history), term_panels(context.history)],
        **draw_galleries(analysis, context),
    }
    return render("report.html.j2", values)


def _json(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False)


def _headline(analysis: Analysis) -> list[dict[str, Any]]:
    """The headline numbers with their intervals, as cards."""
    intervals = analysis.intervals.headline if analysis.intervals else {}
    return [
        {"label": label, "meaning": meaning, "value": getattr(analysis.result, name), "interval": intervals.get(name)}
        for name, (label, meaning) in HEADLINE_TEXT.items()
    ]


def payload(analysis: Analysis) -> dict[str, Any]:
    """What the scripts of the page draw: the same numbers as in metrics.json, curves rounded to what can be seen."""
    result = analysis.result
    values = {
        "names": result.class_names,
        "instances": [one.instances for one in result.per_class],
        "ap_50": [one.ap_50 for one in result.per_class],
        "map_50": result.map_50,
        "score_threshold": result.score_threshold,
        "precision_curves": np.round(result.precision_curves, 4),
        "true_positives": result.true_positives,
        "false_positives": result.false_positives,
        "confusion_matrix": result.confusion_matrix,
        "chosen": chosen_first(analysis),
    }
    checked: dict[str, Any] = plain(values)
    return checked


def chosen_first(analysis: Analysis) -> list[int]:
    """The classes whose curves stand out when the page opens: all of a few, else the best and the worst."""
    classes = analysis.result.per_class
    known = [index for index, one in enumerate(classes) if one.instances]
    if len(classes) <= MAX_CHOSEN_FIRST or not known:
        return known
    trusted = [index for index in known if classes[index].instances >= FEW_INSTANCES] or known
    ranked = sorted(trusted, key=lambda index: classes[index].ap_50)
    return sorted({ranked[0], ranked[-1]})


def _calibration_bins(found: Calibration) -> list[dict[str, Any]]:
    """The numbers of each bin that has detections."""
    return [
        {
            "low": float(found.edges[index]),
            "high": float(found.edges[index + 1]),
            "score": float(found.mean_score[index]),
            "precision": float(found.precision[index]),
            "count": int(found.counts[index]),
        }
        for index in np.flatnonzero((found.counts > 0) & np.isfinite(found.precision)).tolist()
    ]


def draw_galleries(analysis: Analysis, context: ReportContext, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Groups for the templates: `gallery`, one of each kind of error, and `label_errors`.

    Kinds take turns, so that none is without pictures because another has many.
    """
    groups = [analysis.examples.get(kind, ()) for kind in ERROR_KINDS]
    groups.append(analysis.label_errors[:MAX_LABEL_ERRORS])
    pictures: list[list[CasePicture | None]] = [[] for _ in groups]
    if context.pictures is not None:
        pictures = _draw(groups, context.pictures, max_bytes)
    shown = [_shown(analysis, *group) for group in zip(groups, pictures, strict=True)]
    kinds = Counter(case.kind for case in analysis.label_errors)
    return {
        "gallery": dict(zip(ERROR_KINDS, shown[:-1], strict=True)),
        "label_errors": shown[-1],
        "label_error_kinds": [(text, kinds[kind]) for kind, text in LABEL_ERROR_TEXT.items() if kinds[kind]],
        "reason": _NO_IMAGES if context.pictures is None else _NOT_DRAWN,
        "max_open": MAX_OPEN,
        "max_listed": MAX_LISTED,
        "any_drawn": any(group["drawn"] for group in shown),
        # what was found while drawing, such as images of another size
        "picture_notes": getattr(context.pictures, "notes", ()),
    }


def _draw(
    groups: Sequence[tuple[Example, ...]], draw: Callable[[Example], CasePicture | None], max_bytes: int
) -> list[list[CasePicture | None]]:
    """For each case of each group its picture; None where it cannot be drawn, or the bytes are spent."""
    pictures: list[list[CasePicture | None]] = [[] for _ in groups]
    left = max_bytes
    for turn in zip_longest(*groups):
        for drawn, case in zip(pictures, turn, strict=True):
            if case is None:
                continue
            picture = draw(case) if left > 0 else None
            if picture is not None and len(picture.source) > left:
                picture = None
            left -= len(picture.source) if picture else 0
            drawn.append(picture)
    return pictures


def _shown(
    analysis: Analysis, cases: tuple[Example, ...], pictures: Sequence[CasePicture | None]
) -> dict[str, list[dict[str, Any]]]:
    """The cases of a group with and without a picture."""
    images = analysis.matches.problem.images
    drawn: list[dict[str, Any]] = []
    undrawn: list[dict[str, Any]] = []
    for case, picture in zip_longest(cases, pictures):
        entry = {
            "case": case,
            "image": image_name(images, case.image),
            "file": images.paths[case.image] or images.image_ids[case.image],
            "picture": picture,
        }
        (undrawn if picture is None else drawn).append(entry)
    return {"drawn": drawn, "undrawn": undrawn}
