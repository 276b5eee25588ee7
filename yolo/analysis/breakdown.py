"""Average precision and recall by what objects are like: their size, their aspect, how crowded their image is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bin:
    """Objects that are alike.

    Attributes:
        label: for people, such as "small (up to 32²)".
        low: of the property, included.
        high: not included, infinity for the last.
        instances: objects to be found.
        ap_50: mean over classes with objects here, IoU 0.5; NaN without objects.
        ap_50_95: mean over IoU 0.5 to 0.95 too.
        recall: share of them that is found at IoU 0.5 and the score threshold of the evaluation.
    """

    label: str
    low: float
    high: float
    instances: int
    ap_50: float
    ap_50_95: float
    recall: float


@dataclass(frozen=True, slots=True)
class Breakdown:
    """All objects in bins of one property.

    Attributes:
        name: "size", "relative_size", "aspect" or "crowding".
        title: for a heading.
        meaning: one sentence: how the property is measured, and what is ignored in a bin.
        bins: ascending.
    """

    name: str
    title: str
    meaning: str
    bins: tuple[Bin, ...]
