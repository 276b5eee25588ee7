"""VGG Image Annotator (VIA) 1 and 2: its project, its JSON and its CSV.

Rectangles, circles, ellipses and polygons give the box around them. The class is the one attribute that regions have;
of several the one that is called class, label, name, category, type or object. Left out: VIA 3, writing.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from yolo.errors import DataError, printable, shown
from yolo.formats.issues import LineFault
from yolo.formats.json_records import parse_json, read_json_bytes
from yolo.formats.named_boxes import NamedBoxes, NamedImage, NamedObject
from yolo.formats.paths import read_text
from yolo.formats.values import points_of

_SHAPES, _ATTRIBUTES = "region_shape_attributes", "region_attributes"
_OF_CLASSES = ("class", "label", "name", "category", "type", "object", "class_name", "species")


def is_via_table(header: str) -> bool:
    """Whether a first line is that of VIA's CSV."""
    return {_SHAPES, "filename"} <= set(_cells(header))


def _cells(header: str) -> list[str]:
    """The names of the columns; VIA marks its header as a comment."""
    return [cell.strip().strip('"') for cell in header.lstrip("# ").split(",")]


def load_via(path: Path) -> NamedBoxes:
    """Read a file of VIA.

    Raises:
        DataError: it cannot be read, or several attributes may be the class.
    """
    file = NamedBoxes(path, unit="line" if path.suffix.lower() != ".json" else "region")
    regions = list(_rows(file) if file.unit == "line" else _regions(file))
    key = _class_attribute((attributes for _, _, _, attributes in regions), path)
    for image, number, shape, attributes in regions:
        found = _object(shape, attributes.get(key), number)
        (image.objects if isinstance(found, NamedObject) else image.faults).append(found)  # type: ignore[arg-type]
    return file


_Region = tuple[NamedImage, int, Mapping[str, Any], Mapping[str, Any]]


def _regions(file: NamedBoxes) -> Iterator[_Region]:
    content = parse_json(read_json_bytes(file.path), file.path)
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise DataError(f"{printable(file.path)}: is not a project of VIA")
    number = 0
    for entry in entries.values():
        name, regions = (entry.get("filename"), entry.get("regions")) if isinstance(entry, dict) else (None, None)
        own = list(regions.values()) if isinstance(regions, dict) else regions  # VIA 1 numbers them in an object
        if not isinstance(name, str) or not name or not isinstance(own, list):
            number += 1
            file.faults.append(LineFault(number, "unknown_image", f"is {shown(entry)}, no image with regions"))
            continue
        image = file.image(name, number + 1)
        for region in own:
            number += 1
            parts = region if isinstance(region, dict) else {}
            yield image, number, _mapping(parts.get("shape_attributes")), _mapping(parts.get("region_attributes"))


def _rows(file: NamedBoxes) -> Iterator[_Region]:
    lines = read_text(file.path).split("\n")
    skipped = next((number for number, line in enumerate(lines) if is_via_table(line)), None)  # comments
    if skipped is None:
        raise DataError(f"{printable(file.path)}: has no header of VIA, with filename and {_SHAPES}")
    header = _cells(lines[skipped])
    reader = csv.reader(lines[skipped + 1 :])
    try:
        for row in reader:
            line = skipped + 1 + reader.line_num
            cells = dict(zip(header, row, strict=False))
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if len(row) != len(header) or not cells["filename"].strip():
                message = f"{len(row)} columns; expected {len(header)}, like the first line, and a filename"
                file.faults.append(LineFault(line, "wrong_columns", message))
                continue
            image, shape = file.image(cells["filename"].strip(), line), _json_cell(cells[_SHAPES])
            if shape:  # an image without regions has a row, too
                yield image, line, shape, _json_cell(cells.get(_ATTRIBUTES, ""))
    except csv.Error as error:
        place = f"{printable(file.path)}, line {skipped + 1 + reader.line_num}"
        raise DataError(f"{place}: is not CSV ({error})") from error


def _json_cell(text: str) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(text or "{}"))
    except (ValueError, RecursionError):
        return {"name": text}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _class_attribute(regions: Iterable[Mapping[str, Any]], path: Path) -> str:
    """The attribute that is the class."""
    counts = Counter(key for attributes in regions for key, value in attributes.items() if _text(value))
    if len(counts) < 2:
        return next(iter(counts), "")
    for wanted in _OF_CLASSES:
        for key in counts:
            if key.strip().lower() == wanted:
                return key
    raise DataError(
        f"{printable(path)}: its regions have several attributes ({', '.join(map(shown, counts))}), and none is called "
        "class or label; rename the one that is the class"
    )


def _text(value: Any) -> str:
    """The value of an attribute; of a check box the one that is checked."""
    if isinstance(value, dict):
        checked = [str(key) for key, state in value.items() if state]
        return checked[0].strip() if len(checked) == 1 else ""
    return str(value).strip() if type(value) in (str, int) else ""


def _object(shape: Mapping[str, Any], stated: Any, number: int) -> NamedObject | LineFault:
    name = _text(stated)
    if not name:
        return LineFault(number, "missing_name", "the region has no attribute that says its class")
    kind, box = shape.get("name"), None
    if kind == "rect":
        corner = points_of([[shape.get("x"), shape.get("y")], [shape.get("width"), shape.get("height")]])
        if len(corner) == 2:
            (x, y), (width, height) = corner
            box = (x, y, x + width, y + height)
    elif kind in ("circle", "ellipse"):
        radius = [shape.get("r")] * 2 if kind == "circle" else [shape.get("rx"), shape.get("ry")]
        centre = points_of([[shape.get("cx"), shape.get("cy")], radius])
        if len(centre) == 2:
            (x, y), (rx, ry) = centre
            box = (x - rx, y - ry, x + rx, y + ry)
    elif kind in ("polygon", "polyline"):
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        pairs = zip(xs, ys, strict=False) if isinstance(xs, list) and isinstance(ys, list) else ()
        if len(points := points_of(list(map(list, pairs)))) > 1:
            across, down = zip(*points, strict=True)
            box = (min(across), min(down), max(across), max(down))
    if box is None:
        return LineFault(number, "missing_box", f"the shape is {shown(dict(shape))}, which has no box")
    return NamedObject(number, printable(name), box)
