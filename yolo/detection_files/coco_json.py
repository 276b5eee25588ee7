"""Predictions and ground truth in COCO's JSON formats, for pycocotools and others that read them.

Boxes are `[left, top, width, height]` in pixels, category ids the class index + 1 unless others are given,
and annotation ids start at 1 (pycocotools takes the id 0 for "unmatched"). Reading COCO files is left out:
that is the dataset's business. pycocotools knows no `difficult`: such objects count there, and are ignored in
our own evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo.detection_sets import coco_image_ids, xyxy_to_xywh
from yolo.files import atomic_write
from yolo.structures import AnnotatedImage, Detections, GroundTruth


def write_predictions(
    path: Path, detections: Mapping[str, Detections], *, category_ids: Sequence[int] | None = None
) -> None:
    """Write detections in COCO's results format.

    Args:
        path: JSON file to write.
        detections: image id -> detections in pixels of that image. Pass all images evaluated, also those
            without detections, so that the kind of id agrees with `ground_truth_dict`.
        category_ids: COCO's id of each class; class index + 1 if absent.
    """
    ids = coco_image_ids(detections)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        separator = "\n"
        for image_id, found in detections.items():
            for line in _results(ids[image_id], found, category_ids):
                file.write(separator + json.dumps(line, allow_nan=False))
                separator = ",\n"
        file.write("\n]\n")


def ground_truth_dict(
    images: Iterable[AnnotatedImage],
    class_names: Sequence[str],
    *,
    category_ids: Sequence[int] | None = None,
    full_paths: bool = False,
) -> dict[str, Any]:
    """The ground truth as the content of a COCO annotation file.

    Args:
        images: all images evaluated, with or without objects.
        class_names: names of the classes.
        category_ids: COCO's id of each class; class index + 1 if absent.
        full_paths: name image files by their whole path, so that they are found from any folder.
    """
    images = list(images)
    ids = coco_image_ids(image.image_id for image in images)
    category_ids = category_ids or range(1, len(class_names) + 1)
    annotations = [
        {"image_id": ids[image.image_id], **annotation}
        for image in images
        for annotation in _annotations(image.ground_truth, category_ids)
    ]
    return {
        "info": {"description": "ground truth written by gridyolo"},
        "licenses": [],
        "images": [
            {
                "id": ids[image.image_id],
                "file_name": str(image.path.absolute()) if full_paths else image.path.name,
                "height": image.size_hw[0],
                "width": image.size_hw[1],
            }
            for image in images
        ],
        "categories": [
            {"id": int(category_id), "name": name} for category_id, name in zip(category_ids, class_names, strict=True)
        ],
        "annotations": [{"id": place, **one} for place, one in enumerate(annotations, start=1)],
    }


def _annotations(truth: GroundTruth, category_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    for index, box in enumerate(xyxy_to_xywh(truth.boxes).tolist()):
        yield {
            "category_id": int(category_ids[truth.labels[index]]),
            "bbox": box,
            "area": float(truth.area[index]),
            "iscrowd": int(truth.iscrowd[index]),
            "difficult": int(truth.difficult[index]),
        }


def _results(image_id: int | str, found: Detections, category_ids: Sequence[int] | None) -> Iterator[dict[str, Any]]:
    boxes = xyxy_to_xywh(found.boxes.detach().cpu().numpy().astype(np.float32))
    for box, score, label in zip(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True):
        yield {
            "image_id": image_id,
            "category_id": int(category_ids[label]) if category_ids else label + 1,
            "bbox": box,
            "score": score,
        }
