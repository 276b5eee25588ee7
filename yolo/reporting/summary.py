"""summary.md: a report in a few lines, to paste into a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from yolo.analysis.analysis import Analysis
from yolo.data.account import printable
from yolo.evaluation.result import ClassResult
from yolo.reporting.advice import Advice
from yolo.reporting.context import ReportContext
from yolo.reporting.page import rate
from yolo.reporting.wording import HEADLINE_WORDS

MOST_CLASSES: Final = 80

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$@])")


def make_summary(analysis: Analysis, context: ReportContext, advice: Sequence[Advice]) -> str:
    """The text: headline numbers with intervals, remarks, what to fix first, classes."""
    result = analysis.result
    lines = [
        f"## {escape(context.title)}",
        "",
        f"{result.num_images:,} images, {result.num_objects:,} objects, "
        f"{len(analysis.matched.problem.detections):,} detections."
        + (" " + escape(context.protocol_notes[0]) if context.protocol_notes else ""),
        "",
    ]
    lines += [f"- **{remark.count:,} ×** {escape(remark.message)}" for remark in context.remarks]
    lines += [""] if context.remarks else []
    lines += _headline(analysis)
    lines += ["", "### What to fix first", ""]
    lines += [f"{place}. **{escape(item.title)}** {escape(item.text)}" for place, item in enumerate(advice, start=1)]
    lines += ["", "### Classes", "", *_classes(analysis)]
    return "\n".join(lines) + "\n"


def _headline(analysis: Analysis) -> list[str]:
    intervals = analysis.intervals.headline if analysis.intervals else {}
    level = f" {analysis.intervals.level:.0%} interval |" if analysis.intervals else ""
    lines = [f"| number | value |{level}", "| --- | ---: |" + (" --- |" if level else "")]
    for name, (label, _) in HEADLINE_WORDS.items():
        line = f"| {label} | {rate(getattr(analysis.result, name))} |"
        if level:
            interval = intervals.get(name)
            known = interval is not None and interval.low == interval.low
            line += f" {rate(interval.low)} to {rate(interval.high)} |" if interval and known else " |"
        lines.append(line)
    if analysis.result.score_threshold == analysis.result.score_threshold:
        lines += ["", f"Precision, recall and F1 at score threshold {analysis.result.score_threshold:.3f}, IoU 0.5."]
    return lines


def _classes(analysis: Analysis) -> list[str]:
    result = analysis.result
    # the largest classes say most about what was measured
    ranked = sorted(range(len(result.per_class)), key=lambda index: -result.per_class[index].instances)
    shown = ranked if len(ranked) <= MOST_CLASSES else ranked[:MOST_CLASSES]
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
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))
