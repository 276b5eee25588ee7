"""Small ground truth and detection files for the tests of their readers."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo.detection_sets import EvaluationData
from yolo.engine.detection_files import read_problem
from yolo.formats.issues import InputWarning
from yolo.images import write_image

SIZE_HW = (100, 200)


def annotation(number: int, image: Any, category: Any, bbox: Any, **more: Any) -> dict[str, Any]:
    own: dict[str, Any] = {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0}
    return own | {"area": 100} | more


def coco_truth(
    annotations: Sequence[Any] = (), *, images: Sequence[Any] = (1, 2), categories: Mapping[Any, Any] | None = None
) -> dict[str, Any]:
    """A COCO file; images get their id as file name."""
    return {
        "images": [{"id": one, "file_name": f"{one}.jpg", "height": SIZE_HW[0], "width": SIZE_HW[1]} for one in images],
        "annotations": list(annotations),
        "categories": [{"id": key, "name": name} for key, name in (categories or {1: "cat", 2: "dog"}).items()],
    }


def detection(image: Any, category: Any, bbox: Any, score: Any = 0.5) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


def put(path: Path, content: Any) -> Path:
    """Write text, bytes, or anything else as JSON; NaN as Python writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def put_image(path: Path, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.zeros((*size_hw, 3), np.uint8))
    return path


def voc_xml(objects: Sequence[tuple[str, Sequence[Any]]], *, difficult: Collection[int] = (), size: bool = True) -> str:
    """An annotation: class names and corners."""
    keys = ("xmin", "ymin", "xmax", "ymax")
    items = "".join(
        f"<object><name>{name}</name><difficult>{int(number in difficult)}</difficult><bndbox>"
        + "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
        + "</bndbox></object>"
        for number, (name, corners) in enumerate(objects)
    )
    stated = f"<size><width>{SIZE_HW[1]}</width><height>{SIZE_HW[0]}</height></size>" if size else ""
    return f"<annotation>{stated}{items}</annotation>"


def problem_of(folder: Path, truth: Any, detections: Any) -> tuple[EvaluationData, dict[str, InputWarning]]:
    """Read COCO contents; the remarks on both files by kind."""
    paths = put(folder / "gt.json", truth), put(folder / "dt.json", detections)
    problem, gt, dt = read_problem(*paths)
    return problem, kinds(gt.warnings + dt.warnings)


def kinds(remarks: Sequence[InputWarning]) -> dict[str, InputWarning]:
    """Remarks by kind, without those that every test without pictures has."""
    return {remark.kind: remark for remark in remarks if remark.kind != "picture_missing"}
