"""The most frequent confusions of a confusion matrix, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yolo.evaluation.result import EvaluationResult


@dataclass(frozen=True, slots=True)
class Confusion:
    """Objects of one class that were detected as another.

    Attributes:
        annotated: name of the annotated class.
        detected: name of the detected class.
        count: objects.
        objects: of the annotated class, found or not: the sum of its row.
    """

    annotated: str
    detected: str
    count: int
    objects: int

    @property
    def share(self) -> float:
        """Of the objects of the annotated class."""
        return self.count / self.objects


def most_confused(result: EvaluationResult, *, most: int) -> tuple[Confusion, ...]:
    """Pairs of different classes, the most frequent first, of equal ones the largest share; without the background."""
    matrix = result.confusion_matrix
    rows = matrix.sum(axis=1)
    between = matrix[:-1, :-1].copy()
    np.fill_diagonal(between, 0)
    shares = between / np.maximum(rows[:-1, None], 1)
    order = np.lexsort((-shares.ravel(), -between.ravel()))[:most]
    pairs = zip(*np.unravel_index(order, between.shape), strict=True)
    names = result.class_names
    return tuple(
        Confusion(names[row], names[column], int(between[row, column]), int(rows[row]))
        for row, column in pairs
        if between[row, column]
    )
