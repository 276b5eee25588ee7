"""labelme: one JSON file per image, beside it or in a folder of its own, also as X-AnyLabeling writes it.

Rectangles, rotated ones, polygons and circles give the box around them; points and lines have none. Left out: the
pixels within the JSON, masks, writing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.errors import DataError, printable, shown
from yolo.formats.issues import LineFault
from yolo.formats.json_records import parse_json, read_json_bytes
from yolo.formats.named_boxes import NamedBoxes, NamedImage, NamedObject
from yolo.formats.paths import find_files
from yolo.formats.values import points_of

_AREAS = frozenset({"rectangle", "polygon", "rotation", "circle"})


def load_labelme(path: Path) -> NamedBoxes:
    """Read the labelme files below a folder, or a single one.

    A file that is damaged costs its image.
    """
    is_folder = path.is_dir()
    files = find_files(path, lambda name: name.lower().endswith(".json") and name[0] != ".") if is_folder else [path]
    found = NamedBoxes(path if not is_folder else path / "*.json")
    for number, file in enumerate(files, start=1):
        place = file.relative_to(path).parent.as_posix() if is_folder else "."
        prefix = "" if place == "." else f"{place}/"
        try:
            name, image = _image(file, number)
        except DataError as error:
            name, message = f"{file.stem}.jpg", str(error).removeprefix(f"{printable(file)}: ")
            image = NamedImage(name, number, path=file, broken=message)
        if name:
            image.name = prefix + name
            found.images.setdefault(image.name, image)
    return found


def _image(file: Path, number: int) -> tuple[str, NamedImage]:
    """The image of a file; no name where it is the JSON of another program."""
    content = parse_json(read_json_bytes(file), file)
    if not isinstance(content, dict) or "shapes" not in content:
        return "", NamedImage("", number)
    stated, shapes = content.get("imagePath"), content["shapes"]
    suffix = Path(stated.replace("\\", "/")).suffix if isinstance(stated, str) else ""
    # the name of the file itself: files are renamed together, and `imagePath` is forgotten
    image = NamedImage(f"{file.stem}{suffix or '.jpg'}", number, path=file)
    image.stated_hw = content.get("imageHeight"), content.get("imageWidth")
    for place, shape in enumerate(shapes if isinstance(shapes, list) else [], start=1):
        found = _object(shape if isinstance(shape, dict) else {}, place)
        (image.objects if isinstance(found, NamedObject) else image.faults).append(found)  # type: ignore[arg-type]
    return image.name, image


def _object(shape: dict[str, Any], place: int) -> NamedObject | LineFault:
    label, kind = shape.get("label"), shape.get("shape_type") or "polygon"
    if not isinstance(label, str) or not label.strip():
        return LineFault(place, "missing_name", "the shape has no 'label'")
    if not isinstance(kind, str) or kind not in _AREAS:
        return LineFault(place, "missing_box", f"is a {shown(kind)}, which has no box")
    points = points_of(shape.get("points"))
    if len(points) < 2:
        return LineFault(place, "missing_box", f"points are {shown(shape.get('points'))}, expected pairs of numbers")
    return NamedObject(place, printable(label.strip()), _around(points, is_circle=kind == "circle"))


def _around(points: Sequence[tuple[float, float]], *, is_circle: bool) -> tuple[float, float, float, float]:
    if is_circle:  # the centre and a point on the circle
        (x, y), (edge_x, edge_y) = points[:2]
        radius = math.hypot(edge_x - x, edge_y - y)
        return x - radius, y - radius, x + radius, y + radius
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
