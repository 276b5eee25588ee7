"""The files beside a report: metrics.json for programs, per_class.csv and errors.csv, summary.md for a pull request.

At the top level of metrics.json are the fields of `EvaluationResult`, so that `EvaluationResult.from_dict` reads the
file; beside them a section for each part of the analysis. What is not a finite number is null, in tables empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from yolo.detection_sets import DetectionSet, EvaluationData, TruthSet
from yolo.errors import printable, printable_text
from yolo.evaluation.analysis import Analysis
from yolo.evaluation.errors import ERROR_KINDS, missed_objects
from yolo.evaluation.examples import Example
from yolo.evaluation.result import ClassResult, EvaluationResult
from yolo.files import write_csv
from yolo.report.advice import Advice
from yolo.report.page import ReportContext
from yolo.report.text import ERROR_TEXT, HEADLINE_TEXT, NO_NUMBER, rate

MAX_ROWS: Final = 100_000  # of errors.csv, beside the label errors
MAX_CLASSES: Final = 80  # in summary.md

_PER_ITEM = ("kind", "nearest", "nearest_iou", "missed")  # arrays over detections or objects: errors.csv has them
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$@])")
_BOX = ("x1", "y1", "x2", "y2")
ERROR_COLUMNS: Final = (
    "kind", "image_id", "file", "class", "score", "iou", *_BOX,
    "object_class", *(f"object_{name}" for name in _BOX), "message",
)  # fmt: skip


def write_per_class(path: Path, analysis: Analysis) -> None:
    """One row per class: its numbers, their intervals, its errors of each kind at the score threshold."""
    _write_rows(path, [_class_row(analysis, index) for index in range(len(analysis.result.per_class))])


def write_result(path: Path, result: EvaluationResult) -> None:
    """One row per class: its numbers alone, for an evaluation that nobody asked to explain."""
    _write_rows(path, [asdict(one) for one in result.per_class])


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_csv(path, list(rows[0]) if rows else ["name"], (row.values() for row in rows))


def write_errors(path: Path, analysis: Analysis, *, max_rows: int = MAX_ROWS) -> dict[str, int]:
    """One row per error at the score threshold, then one per label error (kind `suspect:...`).

    Of more than `max_rows` errors the detections with the highest scores are written, and missed objects in the room
    that they leave.

    Returns:
        How many `errors` there are, how many of them are `written`, and how many label errors (`suspects`).
    """
    matches, errors = analysis.matches, analysis.errors
    detections = matches.problem.detections
    kept = detections.scores >= errors.score_threshold
    wrong = np.flatnonzero(kept & (errors.kind >= 0))
    missed = np.flatnonzero(missed_objects(matches, errors.kind, errors.nearest, kept))
    num_errors = len(wrong) + len(missed)
    wrong = wrong[np.argsort(-detections.scores[wrong], kind="stable")][:max_rows]
    missed = missed[: max_rows - len(wrong)]
    wrong = wrong[np.argsort(errors.kind[wrong], kind="stable")]
    cases = [*_wrong_cases(analysis, wrong.tolist()), *_missed_cases(analysis, missed.tolist())]
    rows = [(case.kind, case) for case in cases] + [(f"suspect:{case.kind}", case) for case in analysis.label_errors]
    write_csv(path, ERROR_COLUMNS, (_error_row(matches.problem, kind, case) for kind, case in rows))
    return {"errors": num_errors, "written": len(cases), "suspects": len(analysis.label_errors)}


def _class_row(analysis: Analysis, index: int) -> dict[str, Any]:
    row: dict[str, Any] = asdict(analysis.result.per_class[index])
    if analysis.intervals is not None:
        row["ap_50_low"], row["ap_50_high"] = analysis.intervals.class_ap_50[index]
        row["ap_50_95_low"], row["ap_50_95_high"] = analysis.intervals.class_ap_50_95[index]
    for kind in ERROR_KINDS:
        row[f"{kind}_errors"] = int(analysis.errors.class_counts[kind][index])
    for kind in ERROR_KINDS:
        row[f"{kind}_ap_cost"] = float(analysis.errors.class_ap_cost[kind][index])
    return row


def _wrong_cases(analysis: Analysis, places: list[int]) -> Iterator[Example]:
    errors, detections = analysis.errors, analysis.matches.problem.detections
    for place in places:
        kind = ERROR_KINDS[errors.kind[place]]
        yield Example(
            kind,
            int(detections.image_index[place]),
            place,
            int(errors.nearest[place]),
            float(detections.scores[place]),
            float(errors.nearest_iou[place]),
            ERROR_TEXT[kind].meaning,
        )


def _missed_cases(analysis: Analysis, places: list[int]) -> Iterator[Example]:
    truths = analysis.matches.problem.truths
    for place in places:
        image = int(truths.image_index[place])
        yield Example("missed", image, -1, place, math.nan, math.nan, ERROR_TEXT["missed"].meaning)


def _error_row(problem: EvaluationData, kind: str, case: Example) -> list[Any]:
    images, names = problem.images, problem.class_names
    name, *box = _class_and_box(problem.detections, case.detection, names)
    return [
        *(kind, images.image_ids[case.image], images.paths[case.image], name, case.score, case.iou, *box),
        *(*_class_and_box(problem.truths, case.truth, names), case.message),
    ]


def _class_and_box(items: DetectionSet | TruthSet, place: int, names: Sequence[str]) -> list[Any]:
    return [names[items.labels[place]], *items.boxes[place].tolist()] if place >= 0 else [""] * 5


def metrics_of(
    analysis: Analysis, context: ReportContext, advice: Sequence[Advice], rows: dict[str, int]
) -> dict[str, Any]:
    """Everything that metrics.json holds, of JSON's own types; `rows` is what `write_errors` returned."""
    problem = analysis.matches.problem
    errors = {key: value for key, value in asdict(analysis.errors).items() if key not in _PER_ITEM}
    sections = {
        "intervals": analysis.intervals,
        "errors": errors,
        "breakdowns": analysis.breakdowns,
        "calibration": analysis.calibration,
        "suspects": [_label_error(problem, case) for case in analysis.label_errors],
        "num_suspects": len(analysis.label_errors),
        "errors_csv": rows,
        "advice": advice,
        "remarks": context.warnings,
        "data_account": context.data_summary,
        "protocol_notes": context.protocol_notes,
        "seconds_per_stage": context.seconds_per_stage,
        "voc": context.voc,
        "title": context.title,
        "command": context.command,
        "configuration": context.configuration,
        "environment": context.environment,
    }
    return {**plain(analysis.result.to_dict()), **plain(sections)}


def _label_error(problem: EvaluationData, case: Example) -> dict[str, Any]:
    return {
        "kind": case.kind,
        "image_id": problem.images.image_ids[case.image],
        "file": problem.images.paths[case.image],
        "score": case.score,
        "iou": case.iou,
        "box": problem.detections.boxes[case.detection] if case.detection >= 0 else None,
        "object_box": problem.truths.boxes[case.truth] if case.truth >= 0 else None,
        "message": case.message,
    }


def plain(value: Any) -> Any:
    """A value of JSON's own types; what is not finite becomes None, what JSON does not know becomes text.

    >>> plain({"a": (1, float("inf")), 2: np.arange(2)})
    {'a': [1, None], '2': [0, 1]}
    """
    if isinstance(value, str):
        return printable_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {printable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return printable_text(str(value))


def make_summary(analysis: Analysis, context: ReportContext, advice: Sequence[Advice]) -> str:
    """The text: headline numbers with intervals, warnings, what to fix first, classes."""
    result = analysis.result
    note = escape(context.protocol_notes[0]) if context.protocol_notes else ""
    lines = [
        f"## {escape(context.title)}",
        "",
        f"{result.num_images:,} images, {result.num_objects:,} objects, "
        f"{len(analysis.matches.problem.detections):,} detections. {note}".rstrip(),
        "",
    ]
    lines += [f"- **{one.count:,} ×** {escape(one.message)}" for one in context.warnings]
    lines += [""] * bool(context.warnings)
    lines += _headline(analysis)
    lines += ["", "### What to fix first", ""]
    lines += [f"{place}. **{escape(item.title)}** {escape(item.text)}" for place, item in enumerate(advice, start=1)]
    lines += ["", "### Classes", "", *_classes(analysis)]
    return "\n".join(lines) + "\n"


def _headline(analysis: Analysis) -> list[str]:
    result, intervals = analysis.result, analysis.intervals
    level = f" {intervals.level:.0%} interval |" if intervals else ""
    lines = [f"| number | value |{level}", "| --- | ---: |" + (" --- |" if level else "")]
    for name, (label, _) in HEADLINE_TEXT.items():
        line = f"| {label} | {rate(getattr(result, name))} |"
        if intervals:
            low, high = intervals.headline.get(name, (None, None))
            line += " |" if rate(low) == NO_NUMBER else f" {rate(low)} to {rate(high)} |"
        lines.append(line)
    if not math.isnan(result.score_threshold):
        lines += ["", f"Precision, recall and F1 at score threshold {result.score_threshold:.3f}, IoU 0.5."]
    return lines


def _classes(analysis: Analysis) -> list[str]:
    result = analysis.result
    # the largest classes say most about what was measured
    ranked = sorted(range(len(result.per_class)), key=lambda index: -result.per_class[index].instances)
    shown = ranked[:MAX_CLASSES]
    lines = [
        "| class | objects | AP@0.5:0.95 | AP@0.5 | precision | recall | F1 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_class_line(result.per_class[index]) for index in sorted(shown)),
    ]
    if len(shown) < len(ranked):
        more = len(ranked) - len(shown)
        lines += ["", f"{more} classes with fewer objects are left out; per_class.csv has all."]
    return lines


def _class_line(one: ClassResult) -> str:
    rates = (one.ap_50_95, one.ap_50, one.precision, one.recall, one.f1)
    return f"| {escape(one.name)} | {one.instances:,} | {' | '.join(rate(value) for value in rates)} |"


def escape(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line.

    >>> escape("a|b <i>_c_\nd")
    'a\\|b \\<i\\>\\_c\\_ d'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(printable_text(text).split()))
