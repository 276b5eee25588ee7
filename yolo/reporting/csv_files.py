"""The tables beside a report: one row for each class, one for each error; what does not exist is an empty field."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from yolo.analysis.analysis import Analysis
from yolo.analysis.cases import Case
from yolo.analysis.errors import ERROR_KINDS, missed_objects
from yolo.evaluation.result import EvaluationResult
from yolo.reporting.csv_writer import write_csv
from yolo.reporting.wording import ERROR_WORDS

MOST_ROWS: Final = 100_000

_BOX = ("x1", "y1", "x2", "y2")
ERROR_COLUMNS: Final = (
    "kind", "image_id", "file", "class", "score", "iou", *_BOX,
    "object_class", *(f"object_{name}" for name in _BOX), "message",
)  # fmt: skip


class RowCounts(NamedTuple):
    """How many errors there are, and how many of them are in the file."""

    errors: int
    written: int
    suspects: int


def write_per_class(path: Path, analysis: Analysis) -> None:
    """One row per class: its numbers, their intervals, its errors of each kind at the score threshold."""
    rows = [_class_row(analysis, index) for index in range(len(analysis.result.per_class))]
    write_csv(path, list(rows[0]) if rows else ["name"], (row.values() for row in rows))


def write_result(path: Path, result: EvaluationResult) -> None:
    """One row per class: its numbers alone, for an evaluation that nobody asked to explain."""
    rows = [asdict(one) for one in result.per_class]
    write_csv(path, list(rows[0]), (row.values() for row in rows))


def write_errors(path: Path, analysis: Analysis, *, most: int = MOST_ROWS) -> RowCounts:
    """One row per error at the score threshold, then one per suspicious label (kind `suspect:...`).

    Of more than `most` errors the detections with the highest scores are written, and missed objects in the room that
    they leave.
    """
    matched, errors = analysis.matched, analysis.errors
    detections = matched.problem.detections
    kept = detections.scores >= errors.score_threshold
    wrong = np.flatnonzero(kept & (errors.kind >= 0))
    missed = np.flatnonzero(missed_objects(matched, errors.kind, errors.nearest, kept))
    total = len(wrong) + len(missed)
    wrong = wrong[np.argsort(-detections.scores[wrong], kind="stable")][:most]
    missed = missed[: most - len(wrong)]
    wrong = wrong[np.argsort(errors.kind[wrong], kind="stable")]
    cases = [*_wrong_cases(analysis, wrong.tolist()), *_missed_cases(analysis, missed.tolist())]
    suspects = [(f"suspect:{case.kind}", case) for case in analysis.suspects]
    rows = (_error_row(analysis, kind, case) for kind, case in [*((case.kind, case) for case in cases), *suspects])
    write_csv(path, ERROR_COLUMNS, rows)
    return RowCounts(total, len(cases), len(suspects))


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


def _wrong_cases(analysis: Analysis, places: list[int]) -> Iterator[Case]:
    errors, detections = analysis.errors, analysis.matched.problem.detections
    for place in places:
        kind = ERROR_KINDS[errors.kind[place]]
        yield Case(
            kind,
            int(detections.image_index[place]),
            place,
            int(errors.nearest[place]),
            float(detections.scores[place]),
            float(errors.nearest_iou[place]),
            ERROR_WORDS[kind].meaning,
        )


def _missed_cases(analysis: Analysis, places: list[int]) -> Iterator[Case]:
    truths = analysis.matched.problem.truths
    for place in places:
        image = int(truths.image_index[place])
        yield Case("missed", image, -1, place, math.nan, math.nan, ERROR_WORDS["missed"].meaning)


def _error_row(analysis: Analysis, kind: str, case: Case) -> Iterator[Any]:
    problem = analysis.matched.problem
    images, names, absent = problem.images, problem.class_names, [""] * 5
    yield from (kind, images.image_ids[case.image], images.paths[case.image])
    if case.detection >= 0:
        found = problem.detections
        yield names[found.labels[case.detection]]
        yield from (case.score, case.iou, *found.boxes[case.detection].tolist())
    else:
        yield from ("", case.score, case.iou, *absent[1:])
    if case.truth >= 0:
        truths = problem.truths
        yield from (names[truths.labels[case.truth]], *truths.boxes[case.truth].tolist())
    else:
        yield from absent
    yield case.message
