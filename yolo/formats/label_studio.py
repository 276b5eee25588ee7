"""Label Studio: detections as pre-annotations that its import takes, and the labelling interface they belong to.

A task has the address of its image and a prediction, whose boxes are left, top, width and height in percent of the
image. Left out: reading, and videos, which Label Studio annotates by other means than images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from yolo.detection_sets import xyxy_to_xywh
from yolo.errors import printable
from yolo.http import has_scheme
from yolo.structures import Detections

_CONTROL, _OBJECT, _DATA = "label", "image", "image"


def labelling_config(class_names: Sequence[str]) -> str:
    """The labelling interface to paste into the project's settings, under Labeling Interface, Code."""
    labels = "".join(f"    <Label value={quoteattr(printable(name))}/>\n" for name in class_names)
    return (
        f'<View>\n  <Image name="{_OBJECT}" value="${_DATA}" zoom="true"/>\n'
        f'  <RectangleLabels name="{_CONTROL}" toName="{_OBJECT}">\n{labels}  </RectangleLabels>\n</View>\n'
    )


def image_address(source: str) -> str:
    """How a task names an image: addresses as they are, files by Label Studio's local storage with the root `/`.

    >>> image_address("https://example.org/a.jpg"), image_address("/photos/a b.jpg")
    ('https://example.org/a.jpg', '/data/local-files/?d=photos/a%20b.jpg')
    """
    if has_scheme(source):
        return source
    return "/data/local-files/?d=" + quote(Path(source).absolute().as_posix().lstrip("/"))


def task_of(source: str, found: Detections, class_names: Sequence[str], *, model: str) -> dict[str, Any]:
    """The task of one image.

    Args:
        source: path or address of the image.
        found: in pixels of the image.
        class_names: what the labels mean.
        model: name of the detector, shown beside its boxes.
    """
    height, width = found.size_hw
    sides = xyxy_to_xywh(found.boxes.numpy()) * 100 / [width, height, width, height]
    rows = zip(sides.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    result = [
        {
            "id": f"d{place}",
            "type": "rectanglelabels",
            "from_name": _CONTROL,
            "to_name": _OBJECT,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": score,
            "value": {
                **dict(zip(("x", "y", "width", "height"), box, strict=True)),
                "rotation": 0,
                "rectanglelabels": [printable(class_names[label])],
            },
        }
        for place, (box, score, label) in enumerate(rows)
    ]
    mean = sum(found.scores.tolist()) / len(found) if len(found) else 0.0
    prediction = {"model_version": printable(model), "score": mean, "result": result}
    return {"data": {_DATA: image_address(source)}, "predictions": [prediction]}
