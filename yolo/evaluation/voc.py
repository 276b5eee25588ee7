"""Average precision by the rule of the Pascal VOC devkit, the one behind the numbers of VOC papers.

The rule, for each class: the detections of all images take turns by descending score. Each looks at the one
object of its class and image with the highest IoU, the first one on equal IoUs, whether it is free or not. If the
IoU does not pass the threshold the detection is false; a difficult object makes it count neither for nor against,
any number of times; a free object makes it true; a taken one makes it false. There is no second choice, and no limit
on the number of detections. Equal scores keep the order of the detections, that is of the lines of a file.

The boxes that the rule sees are those of a VOC file: pixels counted from 1, both ends included. Our box
(x1, y1, x2, y2), continuous from 0, is (x1 + 1, y1 + 1, x2, y2) there, for detections as for objects. The devkit
takes the width as xmax - xmin + 1, which is x2 - x1 again: with `plus_one` the IoU is that of our continuous
boxes. Without it widths and heights are one pixel smaller, as in programs that forget the 1.

COCO's crowd regions, which the devkit does not know, are treated as difficult objects: ordinary IoU, any number of
detections.

Source: the VOC2007 and VOC2012 devkits and the Python port in py-faster-rcnn.

Shape letters: C classes, K detections and M objects of all images, k detections of one class by descending score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.console import table_text
from yolo.detection_sets import EvaluationData
from yolo.evaluation.average_precision import mean_known, precision_envelope, starts_run
from yolo.evaluation.matching import Ranking, rank_detections
from yolo.evaluation.overlaps import Grouped, Pairs, find_pairs, sort_by_group, voc_overlap
from yolo.evaluation.result import rate, to_json

Interpolation = Literal["11-point", "all-point"]
# by the devkit that asks for it
INTERPOLATIONS: dict[str, Interpolation] = {"voc07": "11-point", "voc10": "all-point"}

# 0.3, 0.6 and 0.7 come out one bit too high, as from np.arange(0, 1.1, 0.1): a recall of exactly 3/10 does not
# reach its point. The Python port has it so, and published numbers depend on it.
RECALL_POINTS: Float64 = np.array([0.1 * step for step in range(11)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VocResult:
    """Average precisions by the devkit's rule, and how they were computed."""

    class_names: tuple[str, ...]  # C
    ap_per_class: Float64  # (C,) 0..1; 0 without detections, NaN for a class without objects to be found
    mean_ap: float  # over the classes that have objects to be found; NaN if none has
    npos: Int64  # (C,) objects to be found; difficult objects and crowd regions are not counted
    num_detections: Int64  # (C,) all detections, also those that count neither for nor against
    precision: tuple[Float64, ...]  # C arrays (k,), after each detection by descending score; 0 before one counts
    recall: tuple[Float64, ...]  # C arrays (k,), likewise; NaN for a class without objects to be found
    num_images: int
    interpolation: Interpolation  # "11-point" (VOC2007) or "all-point" (from VOC2010 on, area under the envelope)
    match_iou: float  # that a match has to pass
    plus_one: bool  # whether widths and heights of the VOC file's boxes got 1 added
    strict: bool  # whether the IoU has to exceed `match_iou` (Python port) or may equal it (MATLAB devkit)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Classes that take no part in the mean, because they have no objects to be found."""
        return tuple(name for name, count in zip(self.class_names, self.npos, strict=True) if not count)

    @property
    def rule(self) -> str:
        """The settings in words, for a caption."""
        relation, pixels = ">" if self.strict else ">=", "with +1" if self.plus_one else "without +1"
        return f"Pascal VOC, {self.interpolation} AP, IoU {relation} {self.match_iou:g}, pixels {pixels}"

    def to_dict(self) -> dict[str, Any]:
        """Field name -> value of JSON's own types, and `left_out`, without the two curves; NaN becomes None."""
        names = (
            *("class_names", "ap_per_class", "mean_ap", "npos", "num_detections", "left_out", "num_images"),
            *("interpolation", "match_iou", "plus_one", "strict"),
        )
        return {name: to_json(getattr(self, name)) for name in names}

    def summary(self) -> str:
        """Aligned text: a row for all classes, a row for each, the rule; no line break at the end."""
        counts = zip(self.npos.tolist(), self.num_detections.tolist(), self.ap_per_class.tolist(), strict=True)
        rows = [
            ("Class", "Instances", "Detections", "AP"),
            ("all", str(self.npos.sum()), str(self.num_detections.sum()), rate(self.mean_ap)),
            *(
                (name, str(objects), str(found), rate(ap))
                for name, (objects, found, ap) in zip(self.class_names, counts, strict=True)
            ),
        ]
        lines = [table_text(rows), f"({self.rule})"]
        if self.left_out:
            lines.append(f"(no objects to be found, left out of the mean: {', '.join(self.left_out)})")
        return "\n".join(lines)


def evaluate_voc(
    problem: EvaluationData,
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
    if interpolation not in get_args(Interpolation):
        raise ValueError(f"interpolation must be one of {get_args(Interpolation)}, got {interpolation!r}")
    if not 0 < match_iou <= 1:
        raise ValueError(f"match_iou must be above 0 and at most 1, got {match_iou}")
    truths = problem.truths
    ranking = rank_detections(problem, ties_by_image=False)
    nearest = _nearest_enough(problem, ranking, match_iou=match_iou, plus_one=plus_one, strict=strict)
    tp, fp = _judge(nearest[ranking.by_class], truths.reusable)
    npos = np.bincount(truths.labels[~truths.reusable], minlength=problem.num_classes)
    # by class: true positives, false positives, objects to be found
    slices = pairwise(ranking.bounds.tolist())
    classes = [(tp[a:b], fp[a:b], count) for (a, b), count in zip(slices, npos.tolist(), strict=True)]
    ap = np.array([average_precision(*one, interpolation=interpolation) for one in classes])
    return VocResult(
        class_names=problem.class_names,
        ap_per_class=ap,
        mean_ap=mean_known(ap),
        npos=npos,
        num_detections=np.diff(ranking.bounds),
        precision=tuple(tp.cumsum() / np.maximum(tp.cumsum() + fp.cumsum(), 1) for tp, fp, _ in classes),
        recall=tuple(_recall_after_each(tp, count) for tp, _, count in classes),
        num_images=len(problem.images),
        interpolation=interpolation,
        match_iou=match_iou,
        plus_one=plus_one,
        strict=strict,
    )


def average_precision(true_positive: Bool, false_positive: Bool, npos: int, *, interpolation: Interpolation) -> float:
    """Average precision of one class, 0..1; 0 without detections, NaN without objects to be found.

    Args:
        true_positive: (k,) by descending score.
        false_positive: (k,); neither flag where a detection counts neither for nor against.
        npos: objects to be found.
        interpolation: mean of the best precision at a recall of at least 0, 0.1, ..., 1, or the area under the
            precision envelope over recall.

    >>> tp = np.array([True, False, True])
    >>> round(average_precision(tp, ~tp, 2, interpolation="all-point"), 4)  # 1/2 * 1 + 1/2 * 2/3
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
    place = np.searchsorted(_recall_after_each(true_positive, npos), RECALL_POINTS, side="left")
    return float(np.append(envelope, 0.0)[place].sum() / len(RECALL_POINTS))


def _recall_after_each(true_positive: Bool, npos: int) -> Float64:
    return true_positive.cumsum() / npos if npos else np.full(len(true_positive), math.nan)


def _nearest_enough(
    problem: EvaluationData, ranking: Ranking, *, match_iou: float, plus_one: bool, strict: bool
) -> Int64:
    """(K,) the object with the highest IoU, the first one on equal IoUs; -1 where it does not pass `match_iou`."""
    truths = problem.truths
    pairs = find_pairs(
        Grouped(ranking.by_group, ranking.group),
        sort_by_group(truths.labels * max(len(problem.images), 1) + truths.image_index),
        voc_overlap(problem.detections, truths, plus_one=plus_one),
        least=match_iou,
    )
    best = _best_of_each(pairs)
    if strict:
        best = best[pairs.overlap[best] > match_iou]
    nearest = np.full(len(problem.detections), -1, np.int64)
    nearest[pairs.detection[best]] = pairs.truth[best]
    return nearest


def _best_of_each(pairs: Pairs) -> Int64:
    """Which pair of each detection has the highest overlap, the first object on equal ones."""
    new_place = starts_run(pairs.place)
    new_overlap = new_place | starts_run(pairs.overlap)
    # where the run of equal overlaps of one detection begins, that each pair is in
    begins = np.maximum.accumulate(np.where(new_overlap, np.arange(len(new_overlap)), 0))
    best: Int64 = begins[np.append(new_place[1:], True)] if len(begins) else begins
    return best


def _judge(nearest: Int64, reusable: Bool) -> tuple[Bool, Bool]:
    """(K,) true positives and (K,) false positives of detections in the order of their turns.

    Neither where the nearest object (K,), -1 for none, is one of the reusable (M,): difficult or a crowd region.
    """
    ignored = np.append(reusable, False)[nearest]  # the flag appended is what index -1 reads
    claims = np.flatnonzero((nearest >= 0) & ~ignored)
    tp = np.zeros(len(nearest), np.bool_)
    tp[claims[np.unique(nearest[claims], return_index=True)[1]]] = True
    return tp, ~(tp | ignored)
