"""A `Result` as other programs take it: JSON, COCO records, pandas, supervision, pictures and crops.

Names of keys and columns are those of `gridyolo predict`'s files. pandas, supervision and Pillow's viewers are imported
where they are asked for.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo.engine.output_names import safe_name
from yolo.engine.result import Result, StageSeconds
from yolo.errors import DataError, GridYoloError, SaveError, printable
from yolo.files import expand_home, write_bytes
from yolo.formats.coco_results import result_records
from yolo.formats.csv import DETECTION_COLUMNS
from yolo.formats.detections_json import numbered_frame
from yolo.image_formats import WRITTEN_SUFFIXES
from yolo.images import encode_picture, write_image
from yolo.media.crops import touched_pixels
from yolo.structures import Detections


def to_dict(result: Result) -> dict[str, Any]:
    """See `Result.to_dict`; `track_id` is there where objects are tracked, None for an object that is not."""
    height, width = result.size_hw
    rows = zip(result.boxes.tolist(), result.scores.tolist(), result.labels.tolist(), strict=True)
    detections = [
        {"class": result.class_names[label], "label": label, "score": score, "box": box} for box, score, label in rows
    ]
    if result.track_ids is not None:
        for detection, track_id in zip(detections, result.track_ids.tolist(), strict=True):
            detection["track_id"] = track_id if track_id >= 0 else None
    return {
        "source": result.source,
        "frame": result.frame,
        "time": result.time,
        "fps": result.fps,
        "is_live": result.is_live,
        "width": width,
        "height": height,
        "detections": detections,
        "class_names": list(result.class_names),
        "category_ids": None if result.category_ids is None else list(result.category_ids),
        "seconds": asdict(result.seconds),
    }


def from_dict(values: Mapping[str, Any]) -> Result:
    """See `Result.from_dict`."""
    try:
        found = values["detections"]
        class_names = tuple(values["class_names"])
        labels = torch.tensor([one["label"] for one in found], dtype=torch.int64)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
            raise ValueError(f"labels must be from 0 to {len(class_names) - 1}")
        tracks = [-1 if one["track_id"] is None else one["track_id"] for one in found if "track_id" in one]
        return Result(
            Detections(
                boxes=torch.tensor([one["box"] for one in found], dtype=torch.float32).reshape(-1, 4),
                scores=torch.tensor([one["score"] for one in found], dtype=torch.float32),
                labels=labels,
                size_hw=(values["height"], values["width"]),
            ),
            class_names=class_names,
            category_ids=None if values["category_ids"] is None else tuple(values["category_ids"]),
            source=values["source"],
            frame=values["frame"],
            time=values["time"],
            fps=values["fps"],
            is_live=values["is_live"],
            track_ids=torch.tensor(tracks, dtype=torch.int64) if tracks else None,
            seconds=StageSeconds(**values["seconds"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise DataError(f"these are not the values of Result.to_dict ({type(error).__name__}: {error})") from error


def from_json(text: str | bytes) -> Result:
    """See `Result.from_json`."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise DataError(f"this is not the JSON of a result ({error})") from error
    return from_dict(values)


def to_coco(result: Result, image_id: int | str) -> list[dict[str, Any]]:
    """See `Result.to_coco`; without category ids of a COCO dataset they are label + 1."""
    return list(result_records(image_id, result.detections, result.category_ids))


def to_dataframe(result: Result) -> Any:
    """See `Result.to_dataframe`; the columns are those of detections.csv."""
    pandas = _import_extra("pandas", "dataframe")
    height, width = result.size_hw
    count = len(result)
    tracks = [] if result.track_ids is None else result.track_ids.tolist()
    boxes = result.boxes.cpu().numpy()
    columns: dict[str, Any] = {
        "image": [result.source] * count,
        "frame": pandas.array([result.frame] * count, dtype="Int64"),
        "time": pandas.array([result.time] * count, dtype="Float64"),
        "width": width,
        "height": height,
        "class": result.names,
        "label": result.labels.cpu().numpy(),
        "score": result.scores.cpu().numpy(),
        **dict(zip(("xmin", "ymin", "xmax", "ymax"), boxes.T, strict=True)),
        "track_id": pandas.array([one if one >= 0 else None for one in tracks] or [None] * count, dtype="Int64"),
    }
    return pandas.DataFrame(columns, columns=list(DETECTION_COLUMNS), index=range(count))


def to_supervision(result: Result) -> Any:
    """See `Result.to_supervision`; ids of tracks are `tracker_id`, -1 for none."""
    supervision = _import_extra("supervision", "supervision")
    return supervision.Detections(
        xyxy=result.boxes.cpu().numpy(),
        confidence=result.scores.cpu().numpy(),
        class_id=result.labels.cpu().numpy(),
        tracker_id=None if result.track_ids is None else result.track_ids.cpu().numpy(),
        data={"class_name": np.array(result.names, dtype=str)},
    )


def _import_extra(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise GridYoloError(f"{name} is not installed; install it with: pip install 'gridyolo[{extra}]'") from error


def crops(image: NDArray[np.uint8], boxes: Tensor, margin: float) -> list[NDArray[np.uint8]]:
    """See `Result.crop`: the pixels that a box touches, cut at the edges of the image."""
    if not 0 <= margin < math.inf:
        raise ValueError(f"margin must be a share of the box, at least 0, got {margin}")
    height, width = image.shape[:2]
    parts = []
    for x1, y1, x2, y2 in boxes.tolist():
        left, right = touched_pixels(x1, x2, width, margin)
        top, bottom = touched_pixels(y1, y2, height, margin)
        parts.append(image[top:bottom, left:right].copy())
    return parts


def save_crops(result: Result, parts: Sequence[NDArray[np.uint8]], folder: str | Path) -> list[Path]:
    """See `Result.save_crops`; what cannot be in the name of a file becomes `_`."""
    stem = PurePath(result.source or "image").stem
    if result.frame is not None:
        stem = numbered_frame(stem, result.frame)
    paths = []
    for number, (name, part) in enumerate(zip(result.names, parts, strict=True), 1):
        encoded, suffix = encode_picture(part)
        path = expand_home(folder) / safe_name(name) / f"{safe_name(stem)}-{number}{suffix}"
        write_bytes(path, encoded)
        paths.append(path)
    return paths


def save_picture(picture: NDArray[np.uint8], path: str | Path) -> Path:
    """See `Result.save`."""
    path = expand_home(path)
    if path.suffix.lower() not in WRITTEN_SUFFIXES:
        raise SaveError(
            f"{printable(path)}: pictures are saved as {', '.join(sorted(WRITTEN_SUFFIXES))}; end the name with one"
        )
    write_image(path, picture)
    return path


def show_picture(picture: NDArray[np.uint8]) -> None:
    """See `Result.show`."""
    from PIL import Image, ImageShow

    image = Image.fromarray(picture)
    if "IPython" in sys.modules and (session := sys.modules["IPython"].get_ipython()) and hasattr(session, "kernel"):
        importlib.import_module("IPython.display").display(image)
    elif not _has_viewer() or not ImageShow.show(image):
        raise GridYoloError("no program that shows images was found here; result.save(path) writes the picture")


def _has_viewer() -> bool:
    """Whether a picture can be shown: elsewhere than on Windows and macOS, programs for it need a display."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
