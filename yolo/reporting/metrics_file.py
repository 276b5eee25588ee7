"""metrics.json: the numbers of an evaluation and of what explains it, for programs.

At the top level are the fields of `EvaluationResult`, so that `EvaluationResult.from_dict` reads the file; beside them
a section for each part of the analysis. What is no finite number is null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Final

import numpy as np

from yolo.analysis.analysis import Analysis
from yolo.analysis.cases import Case
from yolo.data.account import printable
from yolo.detection_sets import Problem
from yolo.reporting.advice import Advice
from yolo.reporting.context import ReportContext
from yolo.reporting.csv_files import RowCounts

MOST_SUSPECTS: Final = 1_000

_PER_ITEM = ("kind", "nearest", "nearest_iou", "missed")  # arrays over detections or objects: errors.csv has them


def metrics_of(analysis: Analysis, context: ReportContext, advice: Sequence[Advice], rows: RowCounts) -> dict[str, Any]:
    """Everything that metrics.json holds, of JSON's own types.

    Args:
        analysis: the numbers.
        context: what else is told.
        advice: what to fix first.
        rows: what errors.csv holds.
    """
    problem = analysis.matched.problem
    errors = {key: value for key, value in _fields(analysis.errors).items() if key not in _PER_ITEM}
    suspects = [_suspect(problem, case) for case in analysis.suspects[:MOST_SUSPECTS]]
    sections = {
        "intervals": analysis.intervals and _intervals(analysis),
        "errors": errors,
        "breakdowns": analysis.breakdowns,
        "calibration": analysis.calibration,
        "suspects": suspects,
        "num_suspects": len(analysis.suspects),
        "errors_csv": rows._asdict(),
        "advice": advice,
        "remarks": context.remarks,
        "data_account": context.data_account,
        "protocol_notes": context.protocol_notes,
        "seconds_per_stage": context.seconds_per_stage,
        "voc": context.voc,
        "title": context.title,
        "command": context.command,
        "configuration": context.configuration,
        "environment": context.environment,
    }
    return {**plain(analysis.result.to_dict()), **plain(sections)}


def _intervals(analysis: Analysis) -> dict[str, Any]:
    found = analysis.intervals
    assert found is not None
    return {
        "level": found.level,
        "replicates": found.replicates,
        "seed": found.seed,
        "headline": {name: list(interval) for name, interval in found.headline.items()},
        "class_ap_50": [list(interval) for interval in found.class_ap_50],
        "class_ap_50_95": [list(interval) for interval in found.class_ap_50_95],
    }


def _suspect(problem: Problem, case: Case) -> dict[str, Any]:
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
        return printable(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return plain(_fields(value))
    if isinstance(value, dict):
        return {printable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return printable(str(value))


def _fields(value: Any) -> dict[str, Any]:
    return asdict(value)
