"""CreateML: one JSON array of images with their boxes, as LabelImg and Roboflow write it.

A box is the centre and the size in pixels. Left out: writing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolo.errors import DataError, printable, shown
from yolo.formats.issues import LineFault
from yolo.formats.json_records import json_type, numbers, parse_json, read_json_bytes
from yolo.formats.named_boxes import NamedBoxes, NamedObject

_KEYS = ("x", "y", "width", "height")


def load_createml(path: Path) -> NamedBoxes:
    """Read a CreateML file.

    Raises:
        DataError: it cannot be read, or is not an array.
    """
    content = parse_json(read_json_bytes(path), path)
    if not isinstance(content, list):
        raise DataError(f"{printable(path)}: is a JSON {json_type(content)}, expected CreateML's array of images")
    file, number = NamedBoxes(path), 0
    for element in content:
        record = element if isinstance(element, dict) else {}
        name, objects = record.get("image") or record.get("imagefilename"), record.get("annotations")
        own = objects if isinstance(objects, list) else []
        if not isinstance(name, str) or not name:
            file.faults += [
                LineFault(number + place, "unknown_image", "its entry has no 'image', the name of the file")
                for place in range(1, max(1, len(own)) + 1)
            ]
            number += len(own)
            continue
        image = file.image(name, number + 1)
        for one in own:
            number += 1
            found = _object(one if isinstance(one, dict) else {}, number)
            (image.objects if isinstance(found, NamedObject) else image.faults).append(found)  # type: ignore[arg-type]
    return file


def _object(record: dict[str, Any], number: int) -> NamedObject | LineFault:
    label, box = record.get("label"), record.get("coordinates")
    if type(label) in (int, float):
        label = f"{label:g}"
    if not isinstance(label, str) or not label.strip():
        return LineFault(number, "missing_name", "the object has no 'label'")
    sides, usable = numbers([box.get(key) if isinstance(box, dict) else None for key in _KEYS])
    if not usable.all():
        return LineFault(number, "missing_box", f"coordinates are {shown(box)}, expected x, y, width and height")
    x, y, width, height = sides.tolist()
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return NamedObject(number, printable(label.strip()), corners)
