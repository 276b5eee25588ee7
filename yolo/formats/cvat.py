"""CVAT for images 1.1: one XML file with the boxes of all images of a task, which CVAT exports and imports.

CVAT finds the image of a task by its name; the frame of a video, `frame_000012`, by its number. The labels have to
exist in the task: `labels_json` is what its raw label editor takes. Of what is read, rotated boxes, polygons, ellipses
and masks give the box around them; points and lines have none. Left out: the tracks of videos.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from yolo.errors import DataError, printable
from yolo.formats.issues import LineFault
from yolo.formats.named_boxes import NamedBoxes, NamedObject
from yolo.formats.values import number, number_text, rotated_around, shortest_float32, side
from yolo.formats.xml_root import xml_root
from yolo.structures import Detections

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

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


_SHAPES = frozenset({"box", "polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton"})


def load_cvat(path: Path) -> NamedBoxes:
    """Read an export of CVAT for images.

    Raises:
        DataError: it is not well-formed, or not such an export.
    """
    root = xml_root(path)
    if root.tag != "annotations" or root.find("image") is None:
        raise DataError(
            f'{printable(path)}: is not an export "CVAT for images 1.1": it has no <image> in <annotations>'
        )
    file, place = NamedBoxes(path), 0
    for element in root.iterfind("image"):
        shapes = [child for child in element if child.tag in _SHAPES]
        name = element.get("name", "").strip()
        if not name:
            file.faults += [
                LineFault(place + one, "unknown_image", "its <image> has no name") for one in range(1, len(shapes) + 1)
            ]
            place += len(shapes)
            continue
        image = file.image(name, place + 1)
        image.stated_hw = side(element.get("height", "")), side(element.get("width", ""))
        for shape in shapes:
            place += 1
            found = _object(shape, place)
            (image.objects if isinstance(found, NamedObject) else image.faults).append(found)  # type: ignore[arg-type]
    return file


def _object(shape: Element, place: int) -> NamedObject | LineFault:
    name = printable(shape.get("label", "").strip())
    if not name:
        return LineFault(place, "missing_name", f"the <{shape.tag}> has no label")
    if shape.tag not in ("box", "polygon", "ellipse", "mask"):
        return LineFault(place, "missing_box", f"is a <{shape.tag}>, which has no box")
    box = _polygon(shape) if shape.tag == "polygon" else _sides(shape)
    if box is None:
        return LineFault(place, "missing_box", f"the <{shape.tag}> lacks a coordinate, or has one that is not a number")
    return NamedObject(place, name, box)


def _polygon(shape: Element) -> tuple[float, float, float, float] | None:
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";")]
    values = [number(value) for pair in pairs for value in pair]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or any(len(pair) != 2 for pair in pairs):
        return None
    return min(known[0::2]), min(known[1::2]), max(known[0::2]), max(known[1::2])


def _sides(shape: Element) -> tuple[float, float, float, float] | None:
    keys = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}
    values = [number(shape.get(key, "")) for key in keys.get(shape.tag, ("left", "top", "width", "height"))]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    a, b, c, d = known
    x1, y1, x2, y2 = known if shape.tag == "box" else (a, b, a + c, b + d)
    if shape.tag == "ellipse":
        x1, y1, x2, y2 = a - c, b - d, a + c, b + d
    angle = number(shape.get("rotation", "0")) or 0.0
    if not angle:
        return x1, y1, x2, y2
    return rotated_around((x1, y1, x2, y2), angle, pivot=((x1 + x2) / 2, (y1 + y2) / 2))
