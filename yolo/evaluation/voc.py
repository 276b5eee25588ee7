"""The evaluator with the rule of the Pascal VOC devkit, the one behind the numbers of VOC papers.

The rule and the boxes it sees are described in `voc_rule`; COCO's rule (`evaluator`) differs in matching, in
difficult objects and in the interpolation. Evaluating detections here gives what the devkit gives for the files
that `comp4.write_comp4` writes of them in the order of their image ids, up to the decimals in them.

COCO's crowd regions, which the devkit does not know, are treated as difficult objects: ordinary IoU, any number of
detections. There is no limit on the number of detections, as the devkit has none.

Shape letters: C classes, K detections of all images, k detections of one class.

The Pascal VOC devkit's rule on arrays: whom a detection meets, what it counts for, average precision.

The rule, for each class: the detections of all images take turns by descending score. Each looks at the one
object of its class and image with the highest IoU, the first one on equal IoUs, whether it is free or not. If the
IoU does not pass the threshold the detection is false; a difficult object makes it count neither for nor against,
any number of times; a free object makes it true; a taken one makes it false. There is no second choice.

The boxes that the rule sees are those of a VOC file: pixels counted from 1, both ends included. Our box
(x1, y1, x2, y2), continuous from 0, is (x1 + 1, y1 + 1, x2, y2) there, for detections as for objects. The devkit
takes the width as xmax - xmin + 1, which is x2 - x1 again: with `plus_one` the IoU is that of our continuous
boxes. Without it the rule is applied to the numbers of the file as they stand, with widths and heights one pixel
smaller, as programs do that forget the 1. The arithmetic is done on the numbers of the file, in float64 and in the
devkit's order of operations.

Candidates and their overlap come from `candidates`, as for COCO's rule; the order of turns from `ranking`. The
devkit sorts by score alone, here stably: equal scores keep the order of the detections, that is of the lines.

Left out: everything with names. Source: the VOC2007 and VOC2012 devkits and the Python port in
py-faster-rcnn.

Shape letters: K detections and M objects of all images, k detections of one class by descending score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self, get_args

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.detection_sets import ImageTable, Problem
from yolo.evaluation.average_precision import precision_envelope
from yolo.evaluation.evaluator import EvaluatedImages
from yolo.evaluation.matching import (
    Grouped,
    Pairs,
    Ranking,
    find_pairs,
    rank_detections,
    sort_by_group,
    starts_run,
    voc_overlap,
)
from yolo.structures import Detections, GroundTruth

Interpolation = Literal["11-point", "all-point"]
# by the devkit that asks for it
INTERPOLATIONS: dict[str, Interpolation] = {"voc07": "11-point", "voc10": "all-point"}

# 0.3, 0.6 and 0.7 come out one bit too high, as from np.arange(0, 1.1, 0.1): a recall of exactly 3/10 does not
# reach its point. The Python port has it so, and published numbers depend on it.
RECALL_POINTS: Float64 = np.array([0.1 * step for step in range(11)])


def meet(problem: Problem, ranking: Ranking, *, match_iou: float, plus_one: bool, strict: bool) -> Int64:
    """The object that each detection meets with enough IoU, -1 for none.

    Args:
        problem: what is evaluated.
        ranking: who takes part.
        match_iou: IoU to pass, above 0.
        plus_one: whether widths and heights of the VOC file's boxes get 1 added.
        strict: whether an IoU equal to `match_iou` is too little.

    Returns:
        (K,) place of the object.
    """
    truths = problem.truths
    pairs = find_pairs(
        Grouped(ranking.by_group, ranking.group),
        sort_by_group(truths.labels * max(len(problem.images), 1) + truths.image_index),
        voc_overlap(problem.detections, truths, plus_one=plus_one),
        least=match_iou,
    )
    best = best_of_each(pairs)
    if strict:
        best = best[pairs.overlap[best] > match_iou]
    matched = np.full(len(problem.detections), -1, np.int64)
    matched[pairs.detection[best]] = pairs.truth[best]
    return matched


def best_of_each(pairs: Pairs) -> Int64:
    """Which pair of each detection has the highest overlap, the first object on equal ones."""
    new_place = starts_run(pairs.place)
    new_overlap = new_place | starts_run(pairs.overlap)
    # where the run of equal overlaps of one detection begins, that each pair is in
    begins = np.maximum.accumulate(np.where(new_overlap, np.arange(len(new_overlap)), 0))
    best: Int64 = begins[np.append(new_place[1:], True)] if len(begins) else begins
    return best


def judge(matched: Int64, reusable: Bool) -> tuple[Bool, Bool]:
    """What each detection counts for.

    Args:
        matched: (K,) the object each detection meets with enough IoU, -1 for none, in the order of their turns.
        reusable: (M,) difficult objects and crowd regions.

    Returns:
        (K,) true positive and (K,) false positive; neither where a difficult object or crowd region was met.
    """
    claims = np.flatnonzero(matched >= 0)
    ignored = np.zeros(len(matched), np.bool_)
    ignored[claims] = reusable[matched[claims]]
    claims = claims[~ignored[claims]]
    _, earliest = np.unique(matched[claims], return_index=True)
    hit = np.zeros(len(matched), np.bool_)
    hit[claims[earliest]] = True
    return hit, ~(hit | ignored)


def precision_after_each(true_positive: Bool, false_positive: Bool) -> Float64:
    """(k,) share of the detections up to this one that are right, of those that count; 0 before the first of them."""
    hits = true_positive.cumsum()
    precision: Float64 = hits / np.maximum(hits + false_positive.cumsum(), 1)
    return precision


def recall_after_each(true_positive: Bool, npos: int) -> Float64:
    """(k,) share of the objects that is found up to this detection; NaN if there are none to be found."""
    return true_positive.cumsum() / npos if npos else np.full(len(true_positive), math.nan)


def average_precision(true_positive: Bool, false_positive: Bool, npos: int, *, interpolation: Interpolation) -> float:
    """Average precision of one class, 0..1; 0 without detections, NaN without objects to be found.

    Args:
        true_positive: (k,) by descending score.
        false_positive: (k,); neither flag where a detection counts neither for nor against.
        npos: objects to be found.
        interpolation: mean of the best precision at a recall of at least 0, 0.1, ..., 1, or the area under the
            precision envelope over recall.

    >>> hit = np.array([True, False, True])
    >>> round(average_precision(hit, ~hit, 2, interpolation="all-point"), 4)  # 1/2 * 1 + 1/2 * 2/3
    0.8333
    """
    if not npos:
        return math.nan
    if not true_positive.any():
        return 0.0
    envelope = precision_envelope(true_positive, false_positive)
    if interpolation == "all-point":
        # recall rises by 1 / npos at each true positive and nowhere else
        return float(envelope[true_positive].sum() / npos)
    place = np.searchsorted(recall_after_each(true_positive, npos), RECALL_POINTS, side="left")
    return float(np.append(envelope, 0.0)[place].sum() / len(RECALL_POINTS))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VocResult:
    """Average precisions by the devkit's rule, and how they were computed.

    Attributes:
        class_names: C names.
        ap_per_class: (C,) 0..1; 0 without detections, NaN for a class without objects to be found.
        mean_ap: mean over the classes that have objects to be found; NaN if none has.
        npos: (C,) objects to be found; difficult objects and crowd regions are not counted.
        num_detections: (C,) all detections, also those that count neither for nor against.
        precision: C arrays (k,), after each detection by descending score.
        recall: C arrays (k,), likewise; NaN for a class without objects to be found.
        num_images: images evaluated.
        interpolation: "11-point" (VOC2007) or "all-point" (from VOC2010 on, the area under the envelope).
        match_iou: IoU that a match has to pass.
        plus_one: whether widths and heights of the VOC file's boxes got 1 added.
        strict: whether the IoU has to exceed `match_iou` (Python port) or may equal it (MATLAB devkit).
    """

    class_names: tuple[str, ...]
    ap_per_class: Float64
    mean_ap: float
    npos: Int64
    num_detections: Int64
    precision: tuple[Float64, ...]
    recall: tuple[Float64, ...]
    num_images: int
    interpolation: Interpolation
    match_iou: float
    plus_one: bool
    strict: bool

    @property
    def left_out(self) -> tuple[str, ...]:
        """Classes that take no part in the mean, because they have no objects to be found."""
        return tuple(name for name, count in zip(self.class_names, self.npos, strict=True) if not count)

    @property
    def rule(self) -> str:
        """The settings in words, for a caption."""
        relation, pixels = ">" if self.strict else ">=", "with +1" if self.plus_one else "without +1"
        return f"Pascal VOC, {self.interpolation} AP, IoU {relation} {self.match_iou:g}, pixels {pixels}"

    def to_dict(self, *, curves: bool = False) -> dict[str, Any]:
        """Field name -> value of JSON's own types, and `left_out`; NaN becomes None.

        Args:
            curves: include `precision` and `recall`, which have a number for each detection.
        """
        values: dict[str, Any] = {
            "class_names": list(self.class_names),
            "ap_per_class": _numbers(self.ap_per_class),
            "mean_ap": None if math.isnan(self.mean_ap) else self.mean_ap,
            "npos": self.npos.tolist(),
            "num_detections": self.num_detections.tolist(),
            "left_out": list(self.left_out),
            "num_images": self.num_images,
            "interpolation": self.interpolation,
            "match_iou": self.match_iou,
            "plus_one": self.plus_one,
            "strict": self.strict,
        }
        if curves:
            values["precision"] = [_numbers(one) for one in self.precision]
            values["recall"] = [_numbers(one) for one in self.recall]
        return values

    def summary(self) -> str:
        """Aligned text: a row for all classes, a row for each, the rule; no line break at the end."""
        rows = [("Class", "Instances", "Detections", "AP")]
        rows.append(("all", str(self.npos.sum()), str(self.num_detections.sum()), _rate(self.mean_ap)))
        counts = zip(self.npos.tolist(), self.num_detections.tolist(), self.ap_per_class.tolist(), strict=True)
        rows += [
            (name, str(objects), str(found), _rate(ap))
            for name, (objects, found, ap) in zip(self.class_names, counts, strict=True)
        ]
        name_width, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [
            "  ".join((name.ljust(name_width), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))))
            for name, *cells in rows
        ]
        lines.append(f"({self.rule})")
        if self.left_out:
            lines.append(f"(no objects to be found, left out of the mean: {', '.join(self.left_out)})")
        return "\n".join(lines)


class VocEvaluator:
    """Measures detections against ground truth by the rule of the Pascal VOC devkit.

    Pass every image of the set, also those on which nothing was found: their objects count. Memory grows with the
    detections and objects. Of equal scores the one on the image with the lower id goes first, which is the order
    of the VOC sets, so images may come in any order and shards merged give the same result to the last bit.

    Args:
        class_names: names of the classes, at least one.
        interpolation: "11-point" for VOC2007, "all-point" from VOC2010 on.
        match_iou: IoU that a match has to pass, above 0 up to 1.
        plus_one: whether widths and heights of the VOC file's boxes get 1 added, as in the devkit; see `voc_rule`.
        strict: whether an IoU equal to `match_iou` is too little, as in the Python port, or enough, as in the
            MATLAB devkit.

    Raises:
        ValueError: no class names, another interpolation, or `match_iou` out of range.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        interpolation: Interpolation,
        match_iou: float = 0.5,
        plus_one: bool = True,
        strict: bool = True,
    ) -> None:
        _check_options(interpolation, match_iou)
        self._images = EvaluatedImages(tuple(class_names))
        self.class_names = tuple(class_names)
        self.interpolation: Interpolation = interpolation
        self.match_iou = match_iou
        self.plus_one = plus_one
        self.strict = strict

    @property
    def settings(self) -> dict[str, Any]:
        """The options of `evaluate_voc`."""
        names = ("interpolation", "match_iou", "plus_one", "strict")
        return {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        """Images so far."""
        return len(self._images)

    def update(self, image_id: str, detections: Detections, ground_truth: GroundTruth) -> None:
        """Add one image; both may be empty. Boxes of both are in pixels of the same image.

        Raises:
            ValueError: the image was added before, or a detection is not finite.
            DataError: a class index that `class_names` does not reach, or an object that is not finite.
        """
        self._images.add(image_id, detections, ground_truth)

    def merge(self, other: VocEvaluator) -> Self:
        """Add the images of another evaluator, as of another process, to this one.

        Returns:
            This evaluator.

        Raises:
            ValueError: an image is in both, or the evaluators differ in classes or options.
        """
        if (self.class_names, self.settings) != (other.class_names, other.settings):
            raise ValueError("evaluators can be merged only if class names and options are equal")
        self._images.merge(other._images)
        return self

    def reset(self) -> None:
        """Forget all images."""
        self._images.clear()

    def problem(self, images: ImageTable | None = None) -> Problem:
        """The images so far as a problem; see `Evaluator.problem`.

        Raises:
            ValueError: an evaluated image is not among `images`.
        """
        return self._images.problem(images)

    def compute(self) -> VocResult:
        """Average precision of each class over the images so far, and their mean."""
        return evaluate_voc(self.problem(), **self.settings)


def evaluate_voc(
    problem: Problem,
    *,
    interpolation: Interpolation,
    match_iou: float = 0.5,
    plus_one: bool = True,
    strict: bool = True,
) -> VocResult:
    """Average precision of each class by the devkit's rule, and their mean.

    Args:
        problem: what is evaluated. Equal scores keep the order of its detections, whatever their images, as lines
            of a `comp4` file do.
        interpolation: "11-point" for VOC2007, "all-point" from VOC2010 on.
        match_iou: IoU that a match has to pass, above 0 up to 1.
        plus_one: whether widths and heights of the VOC file's boxes get 1 added, as in the devkit.
        strict: whether an IoU equal to `match_iou` is too little.

    Raises:
        ValueError: another interpolation, `match_iou` out of range, a label or image that the problem does not
            have, or a score that is not a number.
    """
    _check_options(interpolation, match_iou)
    truths = problem.truths
    ranking = rank_detections(problem, max_detections=None, ties_by_image=False)
    met = meet(problem, ranking, match_iou=match_iou, plus_one=plus_one, strict=strict)
    hit, miss = judge(met[ranking.by_class], truths.reusable)
    npos = np.bincount(truths.labels[~truths.reusable], minlength=problem.num_classes)
    # by class: true positives, false positives, objects to be found
    slices = pairwise(ranking.bounds.tolist())
    classes = [(hit[a:b], miss[a:b], count) for (a, b), count in zip(slices, npos.tolist(), strict=True)]
    ap = np.array([average_precision(*one, interpolation=interpolation) for one in classes])
    return VocResult(
        class_names=problem.class_names,
        ap_per_class=ap,
        mean_ap=float(ap[npos > 0].mean()) if npos.any() else math.nan,
        npos=npos,
        num_detections=np.diff(ranking.bounds),
        precision=tuple(precision_after_each(hits, misses) for hits, misses, _ in classes),
        recall=tuple(recall_after_each(hits, count) for hits, _, count in classes),
        num_images=len(problem.images),
        interpolation=interpolation,
        match_iou=match_iou,
        plus_one=plus_one,
        strict=strict,
    )


def _check_options(interpolation: Interpolation, match_iou: float) -> None:
    if interpolation not in get_args(Interpolation):
        raise ValueError(f"interpolation must be one of {get_args(Interpolation)}, got {interpolation!r}")
    if not 0 < match_iou <= 1:
        raise ValueError(f"match_iou must be above 0 and at most 1, got {match_iou}")


def _numbers(values: Float64) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _rate(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
