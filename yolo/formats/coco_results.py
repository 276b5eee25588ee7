"""Detections in COCO's results format: a JSON array of `{image_id, category_id, bbox: [x, y, w, h], score}`.

Also read is an annotation file whose annotations have scores. Boxes arrive to the bit, in the order of the file.
Left out: masks and key points.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.detection_sets import coco_image_ids, xyxy_to_xywh
from yolo.errors import DataError, printable, shown
from yolo.files import atomic_write
from yolo.formats.json_records import Record, array_parts, boxes, column, numbers, parse_json, read_json_bytes, types_of
from yolo.formats.results import RawDetections, Vocabulary, as_table
from yolo.structures import Detections

_KEYS = ("image_id", "category_id", "bbox", "score")
_EXPECTED = "expected COCO results: an array of {image_id, category_id, bbox, score}"


def read_coco_results(path: Path) -> RawDetections:
    """Read a results file; DataError if it is not one, or a detection has no box or score."""
    images, classes, done = Vocabulary(), Vocabulary(), 0
    parts: list[tuple[Int64, Int64, Float64, Float64]] = []
    for records in _record_parts(path):
        stated_images, stated_classes, stated_boxes, stated_scores = _columns(records, path, done)
        good_boxes, good_scores = boxes(stated_boxes), numbers(stated_scores)
        for key, own, good, expected in (
            ("bbox", stated_boxes, good_boxes[1], "[x, y, width, height]"),
            ("score", stated_scores, good_scores[1], "a number"),
        ):
            if not good.all():
                row, others = int(np.flatnonzero(~good)[0]), int((~good).sum()) - 1
                more = f"; {others} more near it have the same fault" if others else ""
                message = f"{key} is {shown(own[row])}, expected {expected}; correct or remove it{more}"
                raise DataError(f"{printable(path)}: detection {done + row}: {message}")
        parts.append((images.add(stated_images), classes.add(stated_classes), good_boxes[0], good_scores[0]))
        done += len(records)
    image_codes, class_codes, boxes_xywh, scores = zip(*parts, strict=True)
    return RawDetections(
        format="coco",
        boxes=as_table(boxes_xywh, 4),
        scores=np.concatenate(scores),
        images=images.values,
        image_codes=np.concatenate(image_codes),
        classes=classes.values,
        class_codes=np.concatenate(class_codes),
        place=lambda row: f"detection {row}",
    )


def _record_parts(path: Path) -> Iterator[list[Record]]:
    """The detections of a file, part by part."""
    data = read_json_bytes(path)
    if data.startswith(b"["):
        yield from array_parts(data, path)
        return
    content, place = parse_json(data, path), printable(path)
    if not isinstance(content, dict):
        raise DataError(f"{place}: is a JSON value that is not an array; {_EXPECTED}")
    annotations = content.get("annotations")
    if not isinstance(annotations, list):
        keys = ", ".join(map(shown, list(content)[:5]))
        raise DataError(f"{place}: is a JSON object with the keys {keys or '(none)'}; {_EXPECTED}")
    if annotations and not (type(annotations[0]) is dict and "score" in annotations[0]):
        raise DataError(
            f"{place}: its annotations have no scores: this is ground truth, not detections; were the two files "
            f"swapped? {_EXPECTED[0].upper()}{_EXPECTED[1:]}"
        )
    yield annotations


def _columns(records: Sequence[Record], path: Path, done: int) -> list[list[object]]:
    """The values of each key; refuses what is not an object and what lacks a key altogether."""
    if not types_of(records) <= {dict}:
        row = next(number for number, one in enumerate(records) if type(one) is not dict)
        raise DataError(
            f"{printable(path)}: element {done + row} is {shown(records[row])}, expected "
            "{image_id, category_id, bbox, score}"
        )
    values = [column(records, key) for key in _KEYS]
    for key, own in zip(_KEYS, values, strict=True):
        row = next((number for number, record in enumerate(records) if key not in record), -1) if None in own else -1
        if row >= 0:
            hint = _hint(records[row], key)
            raise DataError(f"{printable(path)}: detection {done + row} has no {key!r}; {hint}")
    return values


def _hint(record: Record, key: str) -> str:
    """What to do about a detection without a key."""
    if key == "bbox" and "segmentation" in record:
        return "it has a segmentation only, and masks are not evaluated: write the box of each mask"
    if key == "bbox" and "keypoints" in record:
        return "it has key points only, which are not evaluated"
    if key == "score":
        return "without scores there is no order to evaluate in; is this ground truth?"
    return "correct or remove it"


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
            for line in result_records(ids[image_id], found, category_ids):
                file.write(separator + json.dumps(line, allow_nan=False))
                separator = ",\n"
        file.write("\n]\n")


def result_records(
    image_id: int | str, found: Detections, category_ids: Sequence[int] | None = None
) -> Iterator[dict[str, Any]]:
    """The detections of one image in COCO's results format; see `write_predictions`."""
    boxes = xyxy_to_xywh(found.boxes.detach().cpu().numpy().astype(np.float32))
    for box, score, label in zip(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True):
        yield {
            "image_id": image_id,
            "category_id": int(category_ids[label]) if category_ids else label + 1,
            "bbox": box,
            "score": score,
        }
