"""Writes small datasets for the tests of the readers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo.images import write_image

HEIGHT, WIDTH = 20, 40
SIZE_HW = (HEIGHT, WIDTH)


def put_image(path: Path, *, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    write_image(path, np.full((*size_hw, 3), 128, np.uint8))
    return path


def put_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def put_yolo(root: Path, split: str, labels: dict[str, str | None]) -> None:
    """images/<split>/<name>.png and labels/<split>/<name>.txt; None leaves the label file out."""
    for name, text in labels.items():
        put_image(root / "images" / split / f"{name}.png")
        if text is not None:
            put_text(root / "labels" / split / f"{name}.txt", text)


def voc_object(name: str, corners: Sequence[Any], *, extra: str = "") -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    sides = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
    return f"<object><name>{name}</name>{extra}<bndbox>{sides}</bndbox></object>"


def put_voc(root: Path, name: str, *objects: str, size: str = "", filename: str = "") -> Path:
    """JPEGImages/<name>.jpg and Annotations/<name>.xml."""
    put_image(root / "JPEGImages" / f"{name}.jpg")
    xml = f"<annotation><filename>{filename}</filename>{size}{''.join(objects)}</annotation>"
    return put_text(root / "Annotations" / f"{name}.xml", xml)


def put_voc_list(root: Path, split: str, names: Sequence[str]) -> Path:
    return put_text(root / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{name}\r\n" for name in names))


def coco_content(
    images: Sequence[str], annotations: Sequence[dict[str, Any]], categories: dict[int, str]
) -> dict[str, Any]:
    """Images get the ids 10, 11, ...; annotations 1, 2, ... unless they say otherwise."""
    return {
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for number, name in enumerate(images, start=10)
        ],
        "annotations": [{"id": number} | item for number, item in enumerate(annotations, start=1)],
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
    }


def put_json(path: Path, content: Any) -> Path:
    return put_text(path, json.dumps(content))
