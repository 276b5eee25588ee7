"""The files that an evaluation leaves in a run folder: numbers, plots, predictions, pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.data.descriptor import Split
from yolo.detection_files.coco_json import write_predictions
from yolo.errors import ImageReadError
from yolo.evaluation.plots import plot_confusion, plot_f1_curves, plot_pr_curves
from yolo.evaluation.result import EvaluationResult
from yolo.files import atomic_write, write_json
from yolo.images import read_image, write_image
from yolo.media.drawing import contact_sheet, draw_detections, draw_ground_truth, side_by_side
from yolo.structures import Detections

_NUM_SAMPLES, _SAMPLE_COLUMNS, _SAMPLE_SIZE = 8, 2, 640


def write_evaluation(
    folder: Path, result: EvaluationResult, detections: Mapping[str, Detections], split: Split
) -> None:
    """Write metrics.json, per_class.csv, predictions.json, the plots and a sheet of samples into `folder`."""
    write_json(folder / "metrics.json", result.to_dict())
    write_per_class(folder / "per_class.csv", result)
    write_predictions(folder / "predictions.json", detections, category_ids=split.category_ids)
    plot_pr_curves(result, folder / "PR_curve.png")
    plot_f1_curves(result, folder / "F1_curve.png")
    plot_confusion(result, folder / "confusion_matrix.png", normalise=False)
    plot_confusion(result, folder / "confusion_matrix_normalized.png", normalise=True)
    threshold = 0.25 if np.isnan(result.score_threshold) else result.score_threshold
    write_samples(folder / "samples.jpg", detections, split, score_threshold=threshold)


def write_per_class(path: Path, result: EvaluationResult) -> None:
    """One row per class; a rate that does not exist is an empty field."""
    rows = [asdict(one) for one in result.per_class]
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({key: "" if value != value else value for key, value in row.items()})


def write_samples(path: Path, detections: Mapping[str, Detections], split: Split, *, score_threshold: float) -> None:
    """A sheet of images spread over the split: annotated on the left, detected on the right."""
    evaluated = [image for image in split.images if image.image_id in detections]
    places = np.linspace(0, len(evaluated) - 1, min(_NUM_SAMPLES, len(evaluated))).astype(int)
    pairs: list[NDArray[np.uint8]] = []
    for place in places:
        annotated = evaluated[place]
        try:
            image = read_image(annotated.path)
        except ImageReadError:
            continue  # counted when it was evaluated; a picture less is no loss
        found = detections[annotated.image_id]
        truth = draw_ground_truth(image, annotated.ground_truth, split.class_names)
        predicted = draw_detections(image, found[found.scores >= score_threshold], split.class_names)
        pairs.append(side_by_side(truth, predicted))
    if pairs:
        write_image(path, contact_sheet(pairs, columns=_SAMPLE_COLUMNS, size=_SAMPLE_SIZE))
