"""What an evaluation found: plain numbers, nothing that computes them. To JSON and back.

The result as a table for the console: one row for all classes, one row per class. Prints nothing itself.

P, R and F1 hold at IoU 0.5 and the score threshold of the whole evaluation; a dash stands for "no objects".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.arrays import Float64, Int64

if TYPE_CHECKING:
    from rich.table import Table


_ARRAYS = {
    "precision_curves": np.float64,
    "f1_curves": np.float64,
    "true_positives": np.int64,
    "false_positives": np.int64,
    "confusion_matrix": np.int64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """One class. Rates are NaN if the class has no objects.

    Attributes:
        name: class name.
        images: images with at least one object of the class.
        instances: objects to be found; crowd regions and difficult objects are not counted.
        detections: detections of the class, at most `max_detections[-1]` per image.
        ap_50: average precision at IoU 0.5, 0..1.
        ap_75: average precision at IoU 0.75.
        ap_50_95: mean of the average precisions at IoU 0.5, 0.55, ..., 0.95.
        precision: at IoU 0.5 and the score threshold of the whole evaluation; 0 if nothing scores as much.
        recall: at the same threshold.
        f1: at the same threshold.
        best_threshold: the score threshold with the highest F1 of this class; NaN if none of its detections is right.
    """

    name: str
    images: int
    instances: int
    detections: int
    ap_50: float
    ap_75: float
    ap_50_95: float
    precision: float
    recall: float
    f1: float
    best_threshold: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationResult:
    """All numbers of an evaluation. Rates are 0..1, and NaN where there is nothing to be found.

    The first twelve are COCO's, equal to those of pycocotools, with its area ranges: small up to 32², medium
    up to 96² pixels of the original image.

    Attributes:
        map_50_95: mean average precision over IoU 0.5, 0.55, ..., 0.95 and the classes that have objects.
        map_50: at IoU 0.5.
        map_75: at IoU 0.75.
        map_small: as `map_50_95`, objects of small area.
        map_medium: medium area.
        map_large: large area.
        ar_1: mean recall with `max_detections[0]` detections per image and class, 1 by default.
        ar_10: with `max_detections[1]`, 10 by default.
        ar_100: with `max_detections[2]`, 100 by default.
        ar_small: as `ar_100`, objects of small area.
        ar_medium: medium area.
        ar_large: large area.
        precision: mean over classes with objects, at IoU 0.5 and `score_threshold`.
        recall: likewise.
        f1: mean of the F1 of the classes (not the F1 of the two means).
        score_threshold: the one with the highest `f1`; NaN without detections.
        per_class: one result per class, in the order of the class names.
        precision_curves: (C, 101) precision envelope at IoU 0.5 against recall 0, 0.01, ..., 1.
        f1_curves: (C, 101) F1 at IoU 0.5 against score threshold 0, 0.01, ..., 1.
        true_positives: (C, 101) true positives at IoU 0.5 with at least that score.
        false_positives: (C, 101) false positives likewise.
        confusion_matrix: (C+1, C+1) counts at IoU 0.5 and `score_threshold`: row = annotated class, column =
            detected class, last = background.
        num_images: images evaluated.
        num_objects: objects to be found; crowd regions and difficult objects are not counted.
    """

    map_50_95: float
    map_50: float
    map_75: float
    map_small: float
    map_medium: float
    map_large: float
    ar_1: float
    ar_10: float
    ar_100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    precision: float
    recall: float
    f1: float
    score_threshold: float
    per_class: tuple[ClassResult, ...]
    precision_curves: Float64
    f1_curves: Float64
    true_positives: Int64
    false_positives: Int64
    confusion_matrix: Int64
    num_images: int
    num_objects: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(result.name for result in self.per_class)

    def to_dict(self) -> dict[str, Any]:
        """Field name -> value of JSON's own types; NaN becomes None."""
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EvaluationResult:
        """Inverse of `to_dict`; unknown keys are passed over.

        Raises:
            KeyError: a field is missing.
        """
        loaded = {field.name: _from_json(values[field.name]) for field in fields(cls)}
        loaded["per_class"] = tuple(
            ClassResult(**{field.name: _from_json(one[field.name]) for field in fields(ClassResult)})
            for one in values["per_class"]
        )
        for name, dtype in _ARRAYS.items():
            loaded[name] = np.array(values[name], np.float64).astype(dtype)  # float64 reads None as NaN
        return cls(**loaded)


def _to_json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return _to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [_to_json(one) for one in value]
    if isinstance(value, ClassResult):
        return {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    return value


def _from_json(value: Any) -> Any:
    return math.nan if value is None else value


HEADER = ("Class", "Images", "Instances", "P", "R", "F1", "mAP50", "mAP50-95")


def table_rows(result: EvaluationResult) -> list[tuple[str, ...]]:
    """The cells of the table below `HEADER`: `all`, then each class in order."""
    rows = [
        (
            "all",
            str(result.num_images),
            str(result.num_objects),
            *_rates(result.precision, result.recall, result.f1, result.map_50, result.map_50_95),
        )
    ]
    rows += [
        (
            one.name,
            str(one.images),
            str(one.instances),
            *_rates(one.precision, one.recall, one.f1, one.ap_50, one.ap_50_95),
        )
        for one in result.per_class
    ]
    return rows


def rich_table(result: EvaluationResult) -> Table:
    """The table for a terminal, to be printed by a rich console."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, title in enumerate(HEADER):
        table.add_column(title, justify="left" if place == 0 else "right", no_wrap=place > 0)
    for place, cells in enumerate(table_rows(result)):
        # Text, because class names may hold brackets, which rich would read as markup
        table.add_row(*(Text(cell) for cell in cells), style="bold" if place == 0 else None)
    return table


def plain_table(result: EvaluationResult) -> str:
    """The same table as aligned text without colours, for files and pipes; no line break at the end."""
    rows = [HEADER, *table_rows(result)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _rates(*values: float) -> tuple[str, ...]:
    return tuple("-" if math.isnan(value) else f"{value:.3f}" for value in values)
