"""Which confusions are told first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.reporting.made_analysis import make_analysis
from yolo.reporting.confusions import most_confused


def test_the_most_frequent_come_first_then_the_largest_share() -> None:
    result = make_analysis(("cat", "dog", "cow"), num_images=10).result
    # rows cat, dog, cow, background; of the two that happened once one is of 10 objects and one of 5
    matrix = np.array([[7, 1, 2, 0], [0, 3, 1, 1], [0, 0, 4, 0], [9, 9, 9, 0]])
    told = most_confused(replace(result, confusion_matrix=matrix), most=5)
    assert [(one.annotated, one.detected, one.count, one.objects) for one in told] == [
        ("cat", "cow", 2, 10),
        ("dog", "cow", 1, 5),
        ("cat", "dog", 1, 10),
    ]
    assert told[0].share == 0.2
