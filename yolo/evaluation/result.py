"""What an evaluation found: plain numbers, to JSON and back, and as rows of a table. Nothing here computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.console import table_text

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
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

    def summary(self) -> str:
        """The two main numbers in a line."""
        return f"mAP@0.5={rate(self.map_50)}, mAP@0.5:0.95={rate(self.map_50_95)}"

    def __repr__(self) -> str:
        return f"EvaluationResult({self.summary()}, {self.num_images} images, {self.num_objects} objects)"

    def __str__(self) -> str:
        return table_text(table_rows(self))

    def to_dict(self) -> dict[str, Any]:
        """Field name -> value of JSON's own types; NaN becomes None."""
        return {field.name: to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EvaluationResult:
        """Inverse of `to_dict`; unknown keys are ignored.

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


def to_json(value: Any) -> Any:
    """The same in JSON's own types; a float that is not finite becomes None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    if isinstance(value, ClassResult):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    return value


def _from_json(value: Any) -> Any:
    return math.nan if value is None else value


def table_rows(result: EvaluationResult) -> list[tuple[str, ...]]:
    """The result as a table of text: a header, a row for all classes, a row for each; a dash where no objects are.

    P, R and F1 hold at IoU 0.5 and the score threshold of the whole evaluation.
    """
    r = result
    rows = [("all", r.num_images, r.num_objects, r.precision, r.recall, r.f1, r.map_50, r.map_50_95)]
    rows += [
        (c.name, c.images, c.instances, c.precision, c.recall, c.f1, c.ap_50, c.ap_50_95) for c in result.per_class
    ]
    header = ("Class", "Images", "Instances", "P", "R", "F1", "mAP50", "mAP50-95")
    return [header, *((*map(str, row[:3]), *map(rate, row[3:])) for row in rows)]


def rate(value: float | None, *, missing: str = "-") -> str:
    """A rate 0..1 with three decimals; a dash where there is nothing to measure.

    >>> rate(0.41249), rate(math.nan)
    ('0.412', '-')
    """
    return missing if value is None or not math.isfinite(value) else f"{value:.3f}"
