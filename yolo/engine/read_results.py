"""`read_results`: what `predict`, `val` and `train` wrote, as `Result` again.

Left out: measuring it (`detection_files`), and pictures, which are not in these files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from yolo.arrays import Float64, Int64
from yolo.engine.result import Result
from yolo.errors import DataError, printable, shown
from yolo.files import expand_home
from yolo.formats.coco_companion import COMPANIONS, RESULTS_NAME, companion_of, read_companion
from yolo.formats.coco_results import read_coco_results
from yolo.formats.detections_json import JSON_NAME, LINES_NAME, is_detections_json, load_detections, raw_detections
from yolo.formats.issues import ReadReport
from yolo.formats.json_records import column
from yolo.formats.paths import is_file
from yolo.formats.values import plain_id
from yolo.structures import Detections

_FILES = (JSON_NAME, LINES_NAME, RESULTS_NAME, f"coco/{RESULTS_NAME}")


def read_results(path: str | Path) -> list[Result]:
    """Read detections that gridyolo wrote.

    Args:
        path: `detections.json` or `detections.jsonl` of `predict`; `predictions.json` of `val` and `train`, or of
            `predict --save coco`, with the file beside it that says what its ids mean; or a run folder with one of
            these.

    Returns:
        A result for each image, in the order of the file, without the pixels. Images that could not be read when the
        detector ran are left out, and so is an entry at the end that is not complete.

    Raises:
        DataError: there is no such file, or it is damaged; the message says where.
    """
    file = expand_home(str(path))
    if file.is_dir():
        found = next((file / name for name in _FILES if is_file(file / name)), None)
        if found is None:
            raise DataError(
                f"{printable(file)}: has none of {', '.join(_FILES)}; is it the run folder of predict or val?"
            )
        file = found
    if file.suffix == ".jsonl" or is_detections_json(file):
        return _of_entries(file)
    return _of_coco(file)


def _of_entries(path: Path) -> list[Result]:
    content, report = load_detections(path), ReadReport()
    raw = raw_detections(content, path, report)
    names, category_ids = content.header.get("class_names"), content.header.get("category_ids")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{printable(path)}: has no list 'class_names'; write it again, or copy it again")
    entries = [entry for entry in content.entries if "error" not in entry]
    labels = _labels(raw.classes, names, path)[raw.class_codes]
    track_ids = column([one for entry in entries for one in entry["detections"]], "track_id")
    ends = np.cumsum([0, *(len(entry["detections"]) for entry in entries)]).tolist()
    results = []
    for number, entry in enumerate(entries):
        rows = slice(ends[number], ends[number + 1])
        tracked = [one if type(one) is int else -1 for one in track_ids[rows]]
        results.append(
            Result(
                _detections(raw.boxes[rows], raw.scores[rows], labels[rows], _size_hw(entry, number, path)),
                tuple(names),
                category_ids=tuple(category_ids) if isinstance(category_ids, list) else None,
                source=entry.get("source"),
                frame=entry.get("frame"),
                time=entry.get("time"),
                track_ids=torch.tensor(tracked) if any(one >= 0 for one in tracked) else None,
            )
        )
    return results


def _of_coco(path: Path) -> list[Result]:
    raw, companion = read_coco_results(path), companion_of(path)
    if companion is None:
        raise DataError(
            f"{printable(path)}: has ids alone, and there is no {' or '.join(COMPANIONS)} beside it to say which "
            "images and classes they are; keep the files of a run together"
        )
    beside = read_companion(companion)
    category_ids = list(beside.class_names)
    label_of = {own: label for label, own in enumerate(category_ids)}
    place_of = {own: place for place, own in enumerate(beside.images)}
    labels = _known(list(map(label_of.get, map(plain_id, raw.classes))), raw.classes, "category_id", beside.path)
    places = _known(list(map(place_of.get, map(plain_id, raw.images))), raw.images, "image_id", beside.path)
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.concatenate([raw.boxes[:, :2], raw.boxes[:, :2] + raw.boxes[:, 2:]], axis=1)
    order = np.argsort(places[raw.image_codes], kind="stable")
    ends = np.searchsorted(places[raw.image_codes][order], np.arange(len(place_of) + 1))
    results = []
    for number, record in enumerate(beside.images.values()):
        rows = order[ends[number] : ends[number + 1]]
        found = _detections(
            corners[rows], raw.scores[rows], labels[raw.class_codes[rows]], _size_hw(record, number, beside.path)
        )
        ids = tuple(own for own in category_ids if isinstance(own, int))
        names = tuple(beside.class_names.values())
        results.append(Result(found, names, ids if len(ids) == len(names) else None, source=record["file_name"]))
    return results


def _labels(classes: Any, names: list[str], path: Path) -> Int64:
    label_of = {name: label for label, name in enumerate(names)}
    return _known(list(map(label_of.get, classes)), classes, "class", path)


def _known(places: list[int | None], keys: Any, what: str, path: Path) -> Int64:
    if None in places:
        raise DataError(f"{printable(path)}: does not know the {what} {shown(keys[places.index(None)])} of a detection")
    return np.asarray(places, np.int64)


def _size_hw(record: Mapping[str, Any], number: int, path: Path) -> tuple[int, int]:
    size = record.get("height"), record.get("width")
    if not all(type(side) is int and side > 0 for side in size):
        raise DataError(f"{printable(path)}: image {number} has no height and width in pixels; write it again")
    return size  # type: ignore[return-value]  # checked


def _detections(boxes: Float64, scores: Float64, labels: Int64, size_hw: tuple[int, int]) -> Detections:
    order = np.argsort(-scores, kind="stable")
    with np.errstate(over="ignore"):
        return Detections(
            torch.from_numpy(boxes[order].astype(np.float32)),
            torch.from_numpy(scores[order].astype(np.float32)),
            torch.from_numpy(labels[order]),
            size_hw,
        )
