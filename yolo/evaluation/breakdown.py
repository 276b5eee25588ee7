"""Average precision and recall by what objects are like: their size, their aspect, how crowded their image is.

Each bin is evaluated as COCO evaluates its area ranges. Objects outside the bin are ignored: a detection that takes
one counts neither for nor against, and each is taken once. Detections that take nothing are false positives of the
bin that they are in by their own box. For COCO's three sizes the numbers are COCO's, to the last bit.

Shape letters: K detections, M objects, A bins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from yolo.arrays import Bool, Float64
from yolo.detection_sets import EvaluationData
from yolo.evaluation.average_precision import curves, mean_known
from yolo.evaluation.matching import AREA_RANGES, match_subsets
from yolo.evaluation.result import EvaluationResult

_IOU_50: Final = 0  # place in IOU_THRESHOLDS
_INFINITY: Final = float("inf")

# label -> low; a bin ends where the next one begins
_RELATIVE_SIZES: Final = {
    "under 5 %": 0.0,
    "5 to 10 %": 0.05,
    "10 to 20 %": 0.1,
    "20 to 40 %": 0.2,
    "40 % and more": 0.4,
}
_ASPECTS: Final = {
    "narrow (under 1:2)": 0.0,
    "upright (1:2 to 4:5)": 0.5,
    "squarish (4:5 to 5:4)": 0.8,
    "broad (5:4 to 2:1)": 1.25,
    "wide (2:1 and more)": 2.0,
}
_CROWDINGS: Final = {"1 object": 1.0, "2 to 4": 2.0, "5 to 9": 5.0, "10 to 19": 10.0, "20 and more": 20.0}


@dataclass(frozen=True, slots=True)
class Bin:
    """Objects that are alike; rates are NaN without objects."""

    label: str  # for people, such as "small (up to 32²)"
    low: float  # of the property, included
    high: float  # not included, infinity for the last
    instances: int  # objects to be found
    ap_50: float  # mean over classes with objects here, IoU 0.5
    ap_50_95: float  # mean over IoU 0.5 to 0.95 too
    recall: float  # share of them that is found at IoU 0.5 and the score threshold of the evaluation


@dataclass(frozen=True, slots=True)
class Breakdown:
    """All objects in bins of one property."""

    name: str  # "size", "relative_size", "aspect" or "crowding"
    title: str  # for a heading
    meaning: str  # one sentence: how the property is measured, and what is ignored in a bin
    bins: tuple[Bin, ...]  # ascending


class _Subsets(NamedTuple):
    """The bins of one property before anything was measured."""

    labels: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    counted: Bool  # (A, M) objects to be found in each bin
    inside: Bool  # (A, K) detections of each bin


_Divide = Callable[[EvaluationData], _Subsets | None]


def break_down(
    problem: EvaluationData, result: EvaluationResult, *, max_detections: int = 100
) -> tuple[Breakdown, ...]:
    """Breakdowns by size, by size relative to the image (if the images' sizes are known), by aspect and by crowding.

    Args:
        problem: all that was evaluated.
        result: of the same problem.
        max_detections: limit on the detections of each class and image, that of `result`.
    """
    breakdowns = []
    for name, (title, divide, meaning) in _PROPERTIES.items():
        if (subsets := divide(problem)) is not None:
            bins = _measure(problem, subsets, result.score_threshold, max_detections)
            breakdowns.append(Breakdown(name, title, meaning, bins))
    return tuple(breakdowns)


def _by_size(problem: EvaluationData) -> _Subsets:
    ranges = {
        "small (up to 32²)": AREA_RANGES["small"],
        "medium (32² to 96²)": AREA_RANGES["medium"],
        "large (from 96²)": AREA_RANGES["large"],
    }
    truths, own_area = problem.truths, problem.detections.sizes_wh.prod(axis=1)
    counted = [(truths.area >= low) & (truths.area <= high) & ~truths.reusable for low, high in ranges.values()]
    inside = [(own_area >= low) & (own_area <= high) for low, high in ranges.values()]
    limits = tuple((low, _INFINITY if label.startswith("large") else high) for label, (low, high) in ranges.items())
    return _Subsets(tuple(ranges), limits, np.array(counted), np.array(inside))


def _by_relative_size(problem: EvaluationData) -> _Subsets | None:
    """None if the size of an image with an object or a detection is unknown."""
    truths, detections = problem.truths, problem.detections
    height, width = problem.images.sizes_hw.astype(np.float64).T
    image_area = height * width
    if not (image_area[truths.image_index].all() and image_area[detections.image_index].all()):
        return None
    own_area = np.abs(detections.sizes_wh.prod(axis=1))
    return _half_open(
        problem,
        _RELATIVE_SIZES,
        np.sqrt(np.maximum(truths.area, 0.0) / image_area[truths.image_index]),
        np.sqrt(own_area / image_area[detections.image_index]),
    )


def _by_aspect(problem: EvaluationData) -> _Subsets:
    return _half_open(problem, _ASPECTS, _aspect(problem.truths.sizes_wh), _aspect(problem.detections.sizes_wh))


def _by_crowding(problem: EvaluationData) -> _Subsets:
    truths, detections = problem.truths, problem.detections
    counts = np.bincount(truths.image_index[~truths.reusable], minlength=len(problem.images)).astype(np.float64)
    return _half_open(problem, _CROWDINGS, counts[truths.image_index], counts[detections.image_index])


def _half_open(problem: EvaluationData, lows: dict[str, float], of_truth: Float64, of_detection: Float64) -> _Subsets:
    """Bins of a property, the low end included and the high one not."""
    ranges = tuple(pairwise([*lows.values(), _INFINITY]))
    bins = np.arange(1, len(lows) + 1)[:, None]
    edges = np.array(list(lows.values()))
    counted = (np.digitize(of_truth, edges) == bins) & ~problem.truths.reusable
    return _Subsets(tuple(lows), ranges, counted, np.digitize(of_detection, edges) == bins)


def _aspect(sizes_wh: Float64) -> Float64:
    """Width over height; a point is square, a line as wide or narrow as can be."""
    width, height = np.abs(sizes_wh).T
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = width / height
    return np.where((width == 0) & (height == 0), 1.0, aspect)


def _measure(
    problem: EvaluationData, subsets: _Subsets, score_threshold: float, max_detections: int
) -> tuple[Bin, ...]:
    matches = match_subsets(
        problem,
        subsets=subsets.labels,
        counted=subsets.counted,
        inside=subsets.inside,
        max_detections=max_detections,
    )
    kept = matches.problem.detections.scores >= score_threshold
    bins = []
    for place, (label, (low, high)) in enumerate(zip(subsets.labels, subsets.ranges, strict=True)):
        instances = int(subsets.counted[place].sum())
        precision = curves(matches.verdicts(place), matches.instances(place)).precision  # (T, R, C)
        precision = np.where(precision < 0, np.nan, precision)
        found = int((matches.at(0.5, place).true_positive & kept).sum())
        bins.append(
            Bin(
                label=label,
                low=low,
                high=high,
                instances=instances,
                ap_50=mean_known(precision[_IOU_50]),
                ap_50_95=mean_known(precision),
                recall=found / instances if instances else float("nan"),
            )
        )
    return tuple(bins)


_PROPERTIES: Final[dict[str, tuple[str, _Divide, str]]] = {
    "size": (
        "Size",
        _by_size,
        "Annotated area in pixels of the image, in COCO's three ranges; an area of exactly 32² or 96² belongs to "
        "two of them. Objects of other sizes are ignored, and so are false detections whose box is of another size.",
    ),
    "relative_size": (
        "Size on the image",
        _by_relative_size,
        "Square root of the annotated area relative to the area of the image. Objects of other sizes are ignored, and "
        "so are false detections whose box is of another size.",
    ),
    "aspect": (
        "Aspect",
        _by_aspect,
        "Width of the box over its height. Objects of other aspects are ignored, and so are false detections whose box "
        "has another aspect.",
    ),
    "crowding": (
        "Crowding",
        _by_crowding,
        "Objects to be found on the image, of all classes. Each bin evaluates its images alone; false detections on "
        "images without objects are in no bin.",
    ),
}
