"""What the templates of a report show, made of the analysis: cards, rows, and the geometry of the static drawing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from yolo.errors import printable
from yolo.evaluation.analysis import Analysis
from yolo.evaluation.calibration import SHOWN_SCORE, Calibration
from yolo.evaluation.errors import ERROR_KINDS
from yolo.report.advice import FEW_INSTANCES, most_confused, uncertain_classes
from yolo.report.context import ReportContext
from yolo.report.files import plain
from yolo.report.text import ERROR_TEXT, HEADLINE_TEXT, calibration_text

MOST_CONFUSIONS: Final = 12
MOST_CHOSEN_FIRST: Final = 8  # classes; of more only the best and the worst are chosen when the page opens

_MAIN_NUMBERS = 5  # of HEADLINE_TEXT, as large cards
# of the reliability diagram, in the units of its viewBox
_LEFT, _WIDTH, _BOTTOM, _HEIGHT = 50.0, 280.0, 230.0, 220.0
_HISTOGRAM_BOTTOM, _HISTOGRAM_HEIGHT = 310.0, 50.0


def numbers(analysis: Analysis) -> dict[str, Any]:
    """The headline numbers with their intervals, as cards."""
    intervals = analysis.intervals.headline if analysis.intervals else {}
    cards = []
    for name, (label, meaning) in HEADLINE_TEXT.items():
        low, high = intervals.get(name, (None, None))
        value = getattr(analysis.result, name)
        cards.append({"label": label, "meaning": meaning, "value": value, "low": low, "high": high})
    level = analysis.intervals.level if analysis.intervals else 0.0
    return {"headline": cards[:_MAIN_NUMBERS], "minor": cards[_MAIN_NUMBERS:], "level": level}


def class_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """A row for each class."""
    uncertain = uncertain_classes(analysis)
    rows = []
    for index, one in enumerate(analysis.result.per_class):
        low, high = analysis.intervals.class_ap_50_95[index] if analysis.intervals else (None, None)
        row = {name: getattr(one, name) for name in one.__dataclass_fields__}
        rows.append({**row, "low": low, "high": high, "uncertain": uncertain[index]})
    return rows


def explanations(analysis: Analysis, context: ReportContext) -> dict[str, Any]:
    """Everything between the classes and the pictures, and what is at the end of the page."""
    return {
        "few": FEW_INSTANCES,
        "confusions": most_confused(analysis.result, most=MOST_CONFUSIONS),
        "errors": _error_rows(analysis),
        "not_found": int(analysis.result.confusion_matrix[:-1].sum() - np.trace(analysis.result.confusion_matrix[:-1])),
        "breakdowns": analysis.breakdowns,
        "found": analysis.calibration,
        "shown_score": SHOWN_SCORE,
        "calibration": {
            "points": list(_calibration_points(analysis.calibration)),
            "text": calibration_text(analysis.calibration),
        },
        "stages": _stage_rows(context.seconds_per_stage, analysis.result.num_images),
        "configuration": [(name, _as_text(value)) for name, value in context.configuration.items()],
        "voc": _voc(context.voc),
    }


def payload(analysis: Analysis) -> dict[str, Any]:
    """What the scripts of the page draw: the same numbers as in metrics.json, curves rounded to what can be seen."""
    result = analysis.result
    values = {
        "names": [printable(name) for name in result.class_names],
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
    if len(classes) <= MOST_CHOSEN_FIRST or not known:
        return known
    trusted = [index for index in known if classes[index].instances >= FEW_INSTANCES] or known
    ranked = sorted(trusted, key=lambda index: classes[index].ap_50)
    return sorted({ranked[0], ranked[-1]})


def _error_rows(analysis: Analysis) -> list[dict[str, Any]]:
    errors = analysis.errors
    highest = max([cost for cost in errors.ap_cost.values() if cost > 0], default=1.0)
    return [
        {
            "text": ERROR_TEXT[kind],
            "cost": errors.ap_cost[kind],
            "part": max(errors.ap_cost[kind], 0.0) / highest if errors.ap_cost[kind] > 0 else 0.0,
            "count": errors.counts[kind],
            "all": errors.all_counts[kind],
        }
        for kind in ERROR_KINDS
    ]


def _calibration_points(found: Calibration) -> Iterator[dict[str, Any]]:
    highest = int(found.counts.max(initial=0))
    for index in np.flatnonzero((found.counts > 0) & np.isfinite(found.precision)).tolist():
        score, precision = float(found.mean_score[index]), float(found.precision[index])
        low, high = float(found.edges[index]), float(found.edges[index + 1])
        # the root keeps rare scores visible beside the many low ones
        height = _HISTOGRAM_HEIGHT * math.sqrt(int(found.counts[index]) / highest)
        yield {
            "score": score,
            "precision": precision,
            "count": int(found.counts[index]),
            "low": low,
            "high": high,
            "x": round(_LEFT + _WIDTH * score, 1),
            "y": round(_BOTTOM - _HEIGHT * precision, 1),
            "left": round(_LEFT + _WIDTH * low + 1, 1),
            "width": round(max(_WIDTH * (high - low) - 2, 1), 1),
            "top": round(_HISTOGRAM_BOTTOM - height, 1),
            "height": round(height, 1),
        }


def _stage_rows(seconds: dict[str, float] | None, num_images: int) -> list[dict[str, Any]]:
    if not seconds:
        return []
    total = sum(seconds.values())
    return [
        {
            "name": name.replace("_", " "),
            "seconds": value,
            "per_image": 1000 * value / num_images if num_images else None,
            "part": value / total if total > 0 else 0.0,
        }
        for name, value in seconds.items()
    ]


def _voc(voc: dict[str, Any] | None) -> dict[str, Any] | None:
    if voc is None:
        return None
    rows = zip(voc["class_names"], voc["ap_per_class"], strict=True)
    years = {"11-point": "VOC 2007, 11-point", "all-point": "from VOC 2010 on, all-point"}
    return {
        "rule": years.get(voc["interpolation"], str(voc["interpolation"])),
        "mean_ap": _number(voc["mean_ap"]),
        "match_iou": voc.get("match_iou", 0.5),
        "plus_one": bool(voc.get("plus_one")),
        "rows": [{"name": name, "ap": _number(value)} for name, value in rows],
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _as_text(value: Any) -> str:
    """A value of a configuration as text."""
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
