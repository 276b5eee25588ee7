"""Two detectors on the same images: what differs, and whether by more than chance."""

from __future__ import annotations

from dataclasses import dataclass

from yolo.analysis.intervals import Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of two detectors, B against A.

    Attributes:
        name: of the number, or of the class.
        a: of the first.
        b: of the second.
        interval: of b - a, by the paired bootstrap over images.
        p_value: two-sided, of b - a = 0; NaN where there is nothing to measure.
        p_adjusted: after Holm's correction over the classes; equal to `p_value` for headline numbers.
    """

    name: str
    a: float
    b: float
    interval: Interval
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class ImageChange:
    """What became better or worse on one image, at IoU 0.5, each detector at its own score threshold.

    Attributes:
        image: place in the image table.
        found: objects found by (A, B).
        wrong: false positives of (A, B).
        objects: objects to be found.
        change: (found - wrong) of B less that of A; positive is better.
    """

    image: int
    found: tuple[int, int]
    wrong: tuple[int, int]
    objects: int
    change: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A.

    Attributes:
        headline: map_50_95, map_50, map_75, map_small, map_medium, map_large, ar_100, precision, recall, f1.
        class_ap_50: for each class.
        class_ap_50_95: for each class.
        images: with a change, the largest improvement first, the largest loss last.
        num_images: all.
        num_better: images with a positive change.
        num_worse: images with a negative change.
        score_thresholds: of A and of B.
        level: of the intervals.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """

    headline: tuple[Difference, ...]
    class_ap_50: tuple[Difference, ...]
    class_ap_50_95: tuple[Difference, ...]
    images: tuple[ImageChange, ...]
    num_images: int
    num_better: int
    num_worse: int
    score_thresholds: tuple[float, float]
    level: float
    replicates: int
    seed: int
