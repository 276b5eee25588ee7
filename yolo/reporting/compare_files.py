"""What lies beside the page of `gridyolo compare`: compare.json, per_class.csv, images.csv, summary.md.

Names are anybody's text: in CSV files no cell can be taken for a formula, in Markdown none for markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yolo._version import __version__
from yolo.analysis.comparison import Comparison, Difference
from yolo.data.account import printable
from yolo.detection_sets import Problem
from yolo.files import atomic_write, write_json
from yolo.reporting.advice import FEW_INSTANCES
from yolo.reporting.compare_words import make_verdict, p_value, percent, signed
from yolo.reporting.csv_writer import write_csv
from yolo.reporting.metrics_file import plain
from yolo.reporting.page import rate
from yolo.reporting.summary import escape
from yolo.reporting.wording import HEADLINE_WORDS

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
