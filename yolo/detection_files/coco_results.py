"""Detections in COCO's results format: a JSON array of `{image_id, category_id, bbox: [x, y, w, h], score}`.

Also taken is an annotation file whose annotations have scores. Boxes arrive to the bit, in the order of the file.
Left out: masks, key points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.detection_files import json_columns
from yolo.detection_files.class_numbers import match_category_ids
from yolo.detection_files.distinct import Distinct
from yolo.detection_files.image_names import match_images
from yolo.detection_files.json_columns import Record
from yolo.detection_files.json_file import array_parts, parse_json, read_json_bytes
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import GroundTruthFiles
from yolo.detection_files.usable import RawDetections, usable_detections
from yolo.detection_sets import DetectionSet
from yolo.errors import DataError, printable
from yolo.formats.paths import shown

_KEYS = ("image_id", "category_id", "bbox", "score")


class _Part(NamedTuple):
    """Some detections of the file, in order."""

    images: Int64  # the row in which the image is named first
    classes: Int64  # the row in which the class is named first
    boxes: Float64  # (K, 4) xywh
    scores: Float64


def read_coco_results(path: Path, truth: GroundTruthFiles, remarks: Remarks) -> DetectionSet:
    """Read a results file; by image, within an image in the order of the file, as pycocotools takes them.

    Raises:
        DataError: not such a file; a detection without a box or a score; images or classes that do not fit.
    """
    images, classes = Distinct(), Distinct()
    parts: list[_Part] = []
    done = 0
    for records in _record_parts(path):
        parts.append(_columns(records, images, classes, path=path, done=done))
        done += len(records)
    if not parts:
        parts = [_Part(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))]
    joined = _Part(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    del parts
    raw = RawDetections(
        boxes=joined.boxes,
        scores=joined.scores,
        image_index=images.look_up(joined.images, match_images(images.keys, truth, remarks, path=path)),
        labels=classes.look_up(joined.classes, match_category_ids(classes.keys, truth, remarks, path=path)),
    )
    kept = usable_detections(
        raw,
        remarks,
        place=lambda row: f"detection {row}",
        image=lambda row: images.shown(int(joined.images[row])),
        label=lambda row: classes.shown(int(joined.classes[row])),
    )
    kept = kept[np.argsort(raw.image_index[kept], kind="stable")]
    return DetectionSet.from_xywh(raw.boxes[kept], raw.scores[kept], raw.labels[kept], raw.image_index[kept])


def _record_parts(path: Path) -> Iterator[list[Record]]:
    """The detections of a file, part by part."""
    data = read_json_bytes(path)
    if data.startswith(b"["):
        yield from array_parts(data, path)
        return
    content, place = parse_json(data, path), printable(path)
    expected = "expected COCO results: an array of {image_id, category_id, bbox, score}"
    if not isinstance(content, dict):
        raise DataError(f"{place}: is a JSON value that is no array; {expected}")
    annotations = content.get("annotations")
    if not isinstance(annotations, list):
        keys = ", ".join(map(shown, list(content)[:5]))
        raise DataError(f"{place}: is a JSON object with the keys {keys or '(none)'}; {expected}")
    if any(type(one) is dict and "score" in one for one in annotations[:1]) or not annotations:
        yield annotations
        return
    raise DataError(
        f"{place}: its annotations have no scores: this is ground truth, not detections; were the two files swapped? "
        f"{expected[0].upper()}{expected[1:]}"
    )


def _columns(records: list[Record], images: Distinct, classes: Distinct, *, path: Path, done: int) -> _Part:
    if not json_columns.types_of(records) <= {dict}:
        row = next(number for number, one in enumerate(records) if type(one) is not dict)
        raise DataError(
            f"{printable(path)}: element {done + row} is {shown(records[row])}, expected "
            "{image_id, category_id, bbox, score}"
        )
    values = [json_columns.column(records, key) for key in _KEYS]
    for key, own in zip(_KEYS, values, strict=True):
        if None in own:
            _check_key(records, key, path, done)
    boxes, good_boxes = json_columns.boxes(values[2])
    scores, good_scores = json_columns.numbers(values[3])
    for key, own, good, expected in (
        ("bbox", values[2], good_boxes, "[x, y, width, height]"),
        ("score", values[3], good_scores, "a number"),
    ):
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            more = f"; {(~good).sum() - 1} more near it have the same fault" if (~good).sum() > 1 else ""
            raise DataError(
                f"{printable(path)}: detection {done + row}: {key} is {shown(own[row])}, expected {expected}; correct "
                f"or remove it{more}"
            )
    return _Part(images.add(values[0]), classes.add(values[1]), boxes, scores)


def _check_key(records: Sequence[Record], key: str, path: Path, done: int) -> None:
    """Refuse detections that lack a key altogether."""
    row = next((number for number, record in enumerate(records) if key not in record), None)
    if row is None:
        return
    record, hint = records[row], "correct or remove it"
    if key == "bbox" and "segmentation" in record:
        hint = "it has a segmentation only, and masks are not evaluated: write the box of each mask"
    elif key == "bbox" and "keypoints" in record:
        hint = "it has key points only, which are not evaluated"
    elif key == "score":
        hint = "without scores there is no order to evaluate in; is this ground truth?"
    raise DataError(f"{printable(path)}: detection {done + row} has no {key!r}; {hint}")
