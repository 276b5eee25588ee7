"""Why detections are wrong and objects are not found, and how much average precision each kind of error costs.

Shape letters: K detections, M objects, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# in the order in which they are told
ERROR_KINDS: Final = ("class", "location", "both", "duplicate", "background", "missed")
NO_ERROR = -1


@dataclass(frozen=True, slots=True, eq=False)
class ErrorAnalysis:
    """The errors at IoU 0.5, every detection at most one kind. Costs are NaN without objects to be found.

    Attributes:
        kind: (K,) place in `ERROR_KINDS`, NO_ERROR for true positives and detections that do not count.
        nearest: (K,) the object that an error is about, -1 for background and for detections without an error.
        nearest_iou: (K,) IoU with it, else the highest with any object of the image.
        missed: (M,) objects that count and no detection found, at any score, nor explains as a class or location error.
        score_threshold: the one behind `counts`.
        counts: errors of each kind at `score_threshold`; an object is missed there if nothing that scores as much
            found it.
        all_counts: errors of each kind at any score.
        ap_cost: kind -> how much mAP at IoU 0.5 would rise if errors of this kind, and only these, were mended.
        class_ap_cost: kind -> (C,) likewise for each class.
        false_positive_cost: the rise if every false positive were gone.
        false_negative_cost: the rise if every object had been found.
        class_counts: kind -> (C,) errors at `score_threshold` by class of the detection (of the object: missed).
    """

    kind: NDArray[np.int8]
    nearest: Int64
    nearest_iou: Float64
    missed: Bool
    score_threshold: float
    counts: dict[str, int]
    all_counts: dict[str, int]
    ap_cost: dict[str, float]
    class_ap_cost: dict[str, Float64]
    false_positive_cost: float
    false_negative_cost: float
    class_counts: dict[str, Int64]
