"""The files that an evaluation leaves in a run folder: report, numbers, plots, predictions, ground truth, pictures.

`ground_truth.json` and `predictions.json` are what was measured, in COCO's formats: pycocotools reads them as they are,
and so do `gridyolo report` and `gridyolo compare`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.analysis import analyse
from yolo.data.descriptor import Split
from yolo.detection_files.coco_json import ground_truth_dict, write_predictions
from yolo.engine.environment import describe_environment
from yolo.engine.evaluate import Evaluation
from yolo.errors import ImageReadError
from yolo.files import write_json
from yolo.images import read_image, write_image
from yolo.media.drawing import contact_sheet, draw_detections, draw_ground_truth, side_by_side
from yolo.reporting.context import ReportContext
from yolo.reporting.csv_files import write_result
from yolo.reporting.pictures import CasePictures
from yolo.reporting.report import write_report
from yolo.structures import Detections

if TYPE_CHECKING:
    import torch

_NUM_SAMPLES, _SAMPLE_COLUMNS, _SAMPLE_SIZE = 8, 2, 640
_WITHOUT_DETECTIONS = 0.25

PROTOCOL_NOTES = (
    "mAP and AR are COCO's: IoU 0.5 to 0.95, 101 recall points, the best 100 detections of each class and image; "
    "crowd regions and difficult objects need not be found and excuse detections.",
    "Precision, recall and F1 hold at IoU 0.5 and one score threshold, at which the mean F1 of the classes is highest.",
)


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    split: Split,
    *,
    title: str,
    command: str,
    configuration: Mapping[str, Any],
    device: torch.device,
    replicates: int | None = None,
    report: bool = True,
    voc: Mapping[str, Any] | None = None,
) -> None:
    """Write everything about the evaluation of a network.

    Args:
        folder: receives the files.
        evaluation: what was measured.
        split: what it was measured on.
        title: of the page.
        command: that does it again.
        configuration: for the page.
        device: that the network ran on.
        replicates: of the bootstrap, see `analyse`.
        report: write the page and what explains the numbers; else the numbers alone.
        voc: VOC's numbers, where they were asked for.
    """
    write_predictions(folder / "predictions.json", evaluation.detections, category_ids=split.category_ids)
    measured = [image for image in split.images if image.image_id in evaluation.detections]
    truth = ground_truth_dict(measured, split.class_names, category_ids=split.category_ids, full_paths=True)
    write_json(folder / "ground_truth.json", truth)
    threshold = evaluation.result.score_threshold
    shown = _WITHOUT_DETECTIONS if np.isnan(threshold) else threshold
    write_samples(folder / "samples.jpg", evaluation.detections, split, score_threshold=shown)
    if not report:
        write_json(folder / "metrics.json", evaluation.result.to_dict())
        write_result(folder / "per_class.csv", evaluation.result)
        return
    account = split.account.summary_lines()
    account += [f"{len(evaluation.skipped)} images could not be read and are in no number"] * bool(evaluation.skipped)
    analysis = analyse(evaluation.problem, result=evaluation.result, replicates=replicates)
    context = ReportContext(
        title=title,
        command=command,
        data_account=tuple(account),
        configuration=dict(configuration),
        environment=describe_environment(device),
        protocol_notes=PROTOCOL_NOTES,
        seconds_per_stage=evaluation.seconds,
        voc=None if voc is None else dict(voc),
        pictures=CasePictures(analysis.matched.problem),
    )
    write_report(folder, analysis, context)


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
