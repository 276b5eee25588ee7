"""CVAT for images 1.1: one XML file with the boxes of all images of a task, which CVAT imports as annotations.

CVAT finds the image of a task by its name; the frame of a video, `frame_000012`, by its number. The labels have to
exist in the task: `labels_json` is what its raw label editor takes. Left out: reading, tracks, masks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from yolo.errors import printable
from yolo.formats.values import number_text, shortest_float32
from yolo.structures import Detections

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
TAIL = "</annotations>\n"


def labels_json(class_names: Sequence[str]) -> str:
    """The labels of a task as its raw editor (Raw, beside Constructor) takes them."""
    labels = [{"name": printable(name), "attributes": []} for name in class_names]
    return json.dumps(labels, indent=2, ensure_ascii=False) + "\n"


def head_of(class_names: Sequence[str]) -> str:
    """What stands before the first image: the version, and the labels."""
    labels = "".join(f"<label><name>{escape(printable(name))}</name><attributes/></label>" for name in class_names)
    return f"{HEAD}  <meta><task><labels>{labels}</labels></task></meta>\n"


def image_text(number: int, name: str, found: Detections, class_names: Sequence[str]) -> str:
    """The element of one image.

    Args:
        number: of the image in the task, or of the frame in the video, from 0.
        name: of the image in the task, with its suffix.
        found: in pixels of the image.
        class_names: what the labels mean, from `printable`.
    """
    height, width = found.size_hw
    lines = "".join(_boxes(found, class_names))
    about = f'id="{number}" name={quoteattr(printable(name))} width="{width}" height="{height}"'
    return f"  <image {about}>\n{lines}  </image>\n"


def _boxes(found: Detections, class_names: Sequence[str]) -> Iterator[str]:
    for box, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True):
        corners = (number_text(shortest_float32(value)) for value in box)
        sides = " ".join(f'{key}="{value}"' for key, value in zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True))
        yield f'    <box label={quoteattr(class_names[label])} source="auto" occluded="0" {sides} z_order="0"/>\n'
