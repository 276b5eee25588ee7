"""An analysis for the tests of reports: numbers of a real evaluation of drawn boxes, explanations made up to fit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import DetectionSet, ImageTable, Problem, TruthSet
from yolo.evaluation.analysis import Analysis
from yolo.evaluation.bootstrap import Interval, Intervals
from yolo.evaluation.breakdown import Bin, Breakdown
from yolo.evaluation.calibration import Calibration
from yolo.evaluation.errors import ERROR_KINDS, NO_ERROR, ErrorAnalysis
from yolo.evaluation.examples import Example
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "=cmd|' /C calc'!A0",
    "كرسي متحرك",
    "🐈 & ünï|code`_*",
    "</script><b>bold",
    "{{ 7 * 7 }}",
    "never annotated",
)


def make_problem(names: tuple[str, ...], *, num_images: int, per_image: int = 7, seed: int = 0) -> Problem:
    """Objects, and detections that hit, miss, double and confuse them; the last class has no objects."""
    generator = np.random.default_rng(seed)
    num_classes, count = len(names), num_images * per_image
    labels = (generator.beta(0.7, 1.6, count) * (num_classes - 1)).astype(np.int64)
    image_index = np.sort(generator.integers(0, num_images, count))
    sizes = np.exp(generator.normal(4.2, 0.9, (count, 2))).clip(8, 400)
    corners = generator.uniform(0, 1, (count, 2)) * (np.array([640, 480]) - sizes).clip(1)
    boxes = np.concatenate((corners, corners + sizes), axis=1)
    truths = TruthSet.from_xyxy(boxes, labels, image_index)
    skill = np.linspace(0.95, 0.45, num_classes)[labels]
    found = np.flatnonzero(generator.uniform(size=count) < skill)
    again = generator.choice(found, count // 12)
    of_truth = np.concatenate((found, again))
    noise = generator.normal(0, 0.08, (len(of_truth), 4)) * np.tile(sizes[of_truth], 2)
    wrong = generator.uniform(size=len(of_truth)) < 0.08
    found_labels = np.where(wrong, (labels[of_truth] + 1) % num_classes, labels[of_truth])
    background = count // 2
    corners = generator.uniform(0, 400, (background, 2))
    stray = np.concatenate((corners, corners + generator.uniform(15, 120, (background, 2))), axis=1)
    detections = DetectionSet.from_xyxy(
        np.concatenate((boxes[of_truth] + noise, stray)),
        np.concatenate((generator.beta(4, 2, len(of_truth)), generator.beta(1.2, 4, background))),
        np.concatenate((found_labels, generator.integers(0, num_classes, background))),
        np.concatenate((image_index[of_truth], generator.integers(0, num_images, background))),
    )
    ids = [f"{place:06d}" for place in range(num_images)]
    paths = [f"images/{image_id}.jpg" for image_id in ids]
    images = ImageTable(ids, paths, np.tile(np.array([[480, 640]], np.int32), (num_images, 1)))
    return Problem(images, names, truths, detections)


def make_analysis(names: tuple[str, ...], *, num_images: int = 60, seed: int = 0, cases: int = 12) -> Analysis:
    """An analysis of `make_problem`."""
    problem = make_problem(names, num_images=num_images, seed=seed)
    result, matched = summarise(problem), match(problem)
    errors = make_errors(matched, result)
    return Analysis(
        result=result,
        matches=matched,
        intervals=make_intervals(result),
        errors=errors,
        breakdowns=make_breakdowns(result),
        calibration=make_calibration(),
        examples={kind: make_cases(matched, errors, kind, cases) for kind in ERROR_KINDS},
        label_errors=tuple(
            Example(
                "not_annotated", int(matched.problem.detections.image_index[place]), place, -1, 0.9, 0.0, "looks like"
            )
            for place in range(0, len(matched.problem.detections), 7)[:cases]
        ),
    )


def make_errors(matched: Matches, result: EvaluationResult) -> ErrorAnalysis:
    """False positives dealt out to the kinds in turn."""
    detections, truths = matched.problem.detections, matched.problem.truths
    num_classes = matched.problem.num_classes
    kind = np.full(len(detections), NO_ERROR, np.int8)
    wrong = np.flatnonzero(matched.at(0.5).false_positive)
    kind[wrong] = np.arange(len(wrong)) % 5
    kept = detections.scores >= result.score_threshold
    missed = np.ones(len(truths), bool)
    taken, hit, _ = matched.at(0.5)
    missed[taken[hit]] = False
    counts = {name: int(((kind == place) & kept).sum()) for place, name in enumerate(ERROR_KINDS[:5])}
    class_counts: dict[str, NDArray[np.int64]] = {
        name: np.bincount(detections.labels[(kind == place) & kept], minlength=num_classes)
        for place, name in enumerate(ERROR_KINDS[:5])
    }
    empty = np.where(matched.instances() > 0, 0.0, np.nan)
    cost = dict(zip(ERROR_KINDS, (0.041, 0.083, 0.006, 0.012, 0.034, 0.151), strict=True))
    return ErrorAnalysis(
        kind=kind,
        nearest=np.where((kind >= 0) & (kind < 4), 0, -1).astype(np.int64),
        nearest_iou=np.where(kind >= 0, 0.3, 0.0),
        missed=missed,
        score_threshold=result.score_threshold,
        counts=counts | {"missed": int(missed.sum())},
        all_counts={name: int((kind == place).sum()) for place, name in enumerate(ERROR_KINDS[:5])}
        | {"missed": int(missed.sum())},
        ap_cost=cost,
        class_ap_cost={name: empty + cost[name] * np.linspace(0.2, 1.8, num_classes) for name in ERROR_KINDS},
        false_positive_cost=0.11,
        false_negative_cost=0.17,
        class_counts=class_counts | {"missed": np.bincount(truths.labels[missed], minlength=num_classes)},
    )


def make_intervals(result: EvaluationResult) -> Intervals:
    """A little around each number, more where there are few objects."""
    averages = ("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large")
    recalls = ("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")
    names = (*averages, *recalls, "precision", "recall", "f1")

    def around(value: float, instances: int) -> Interval:
        half = 0.4 / math.sqrt(max(instances, 1))
        return Interval(max(value - half, 0.0), min(value + half, 1.0)) if value == value else Interval(value, value)

    return Intervals(
        level=0.95,
        replicates=1000,
        seed=0,
        headline={name: around(getattr(result, name), result.num_objects) for name in names},
        class_ap_50=tuple(around(one.ap_50, one.instances) for one in result.per_class),
        class_ap_50_95=tuple(around(one.ap_50_95, one.instances) for one in result.per_class),
    )


def make_breakdowns(result: EvaluationResult) -> tuple[Breakdown, ...]:
    """Bins of fixed numbers, one of them empty."""
    objects = result.num_objects
    infinity = math.inf
    size = (
        Bin("small (up to 32²)", 0.0, 1024.0, objects // 4, 0.31, 0.17, 0.38),
        Bin("medium (up to 96²)", 1024.0, 9216.0, objects // 2, 0.66, 0.44, 0.71),
        Bin("large", 9216.0, infinity, objects // 4, 0.82, 0.61, 0.85),
    )
    aspect = (
        Bin("tall (up to 1:2)", 0.0, 0.5, objects // 5, 0.59, 0.38, 0.66),
        Bin("about square", 0.5, 2.0, objects // 2, 0.71, 0.47, 0.74),
        Bin("wide (from 2:1)", 2.0, infinity, 0, math.nan, math.nan, math.nan),
    )
    return (
        Breakdown("size", "By size", "Area in pixels² as annotated; objects of other sizes are ignored.", size),
        Breakdown("aspect", "By aspect", "Width by height of the annotated box.", aspect),
    )


def make_calibration() -> Calibration:
    """Scores that are too sure."""
    edges = np.linspace(0, 1, 11)
    middle = (edges[1:] + edges[:-1]) / 2
    counts = (900 * np.exp(-3 * middle)).astype(np.int64) + 40
    counts[0] = 0
    mean_score, precision = middle.copy(), middle**1.7
    mean_score[0] = precision[0] = math.nan
    return Calibration(edges, counts, mean_score, precision, 0.121, 0.2, 0.16, 1.46, 0.031, int(counts.sum()), "")


def make_cases(matched: Matches, errors: ErrorAnalysis, kind: str, most: int) -> tuple[Example, ...]:
    """The best scored errors of a kind."""
    problem = matched.problem
    names = problem.class_names
    if kind == "missed":
        return tuple(
            Example(kind, int(problem.truths.image_index[place]), -1, place, 0.5, 0.0,
                 f"{names[problem.truths.labels[place]]} was not found")
            for place in np.flatnonzero(errors.missed)[:most].tolist()
        )  # fmt: skip
    places = np.flatnonzero(errors.kind == ERROR_KINDS.index(kind))
    places = places[np.argsort(-problem.detections.scores[places], kind="stable")][:most]
    return tuple(
        Example(kind, int(problem.detections.image_index[place]), place, int(errors.nearest[place]),
             float(problem.detections.scores[place]), float(errors.nearest_iou[place]),
             f"{names[problem.detections.labels[place]]} detected with score "
             f"{problem.detections.scores[place]:.2f} ({kind})")
        for place in places.tolist()
    )  # fmt: skip
