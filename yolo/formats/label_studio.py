"""Label Studio: pre-annotations that its import takes, with the labelling interface they belong to, and its exports.

A task has the address of its image and a prediction, whose boxes are left, top, width and height in percent of the
image. Of its exports JSON, JSON-MIN and CSV are read here; COCO, Pascal VOC and YOLO are those formats. Rotated boxes,
polygons and ellipses give the box around them. Left out: brush masks, key points, and videos.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from yolo.detection_sets import xyxy_to_xywh
from yolo.errors import DataError, printable, shown
from yolo.formats.issues import LineFault
from yolo.formats.json_records import json_type, numbers, parse_json, read_json_bytes
from yolo.formats.named_boxes import NamedBoxes, NamedObject
from yolo.formats.paths import is_image_name, read_text
from yolo.formats.values import points_of, rotated_around
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


_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")
_IMAGE_KEYS = ("image", "img", "image_url", "url")


def is_label_table(header: str) -> bool:
    """Whether a first line is that of Label Studio's CSV."""
    return {"annotation_id", "annotator"} <= {cell.strip().strip('"') for cell in header.split(",")}


def load_label_studio(path: Path) -> NamedBoxes:
    """Read an export: JSON, JSON-MIN or CSV.

    Of several annotations of one task the first that is not cancelled counts.

    Raises:
        DataError: it cannot be read, or is not an export.
    """
    if path.suffix.lower() == ".json":
        content = parse_json(read_json_bytes(path), path)
        if not isinstance(content, list):
            raise DataError(f"{printable(path)}: is a JSON {json_type(content)}, no export of Label Studio")
        tasks = [element if isinstance(element, dict) else {} for element in content]
    else:
        tasks = list(_tasks_of_table(path))
    file, place, several = NamedBoxes(path), 0, 0
    for task in tasks:
        name, regions = _image_of(task), _regions(task)
        if not name:
            message = f"a task names no image: {shown(dict(task))}"
            file.faults.append(LineFault(place + 1, "unknown_image", message))
            place += len(regions)
            continue
        several += name.replace("\\", "/") in file.images  # JSON-MIN has an entry for each annotator
        if (image := file.image(name, place + 1)).objects:
            continue
        for region in regions:
            place += 1
            if image.stated_hw == (None, None):
                image.stated_hw = region.get("original_height"), region.get("original_width")
            found = _object(region, place)
            (image.objects if isinstance(found, NamedObject) else image.faults).append(found)  # type: ignore[arg-type]
    several += sum(_is_annotated_twice(task) for task in tasks)
    if several:
        text = f"tasks with several annotations: {several}; the first of each is read"
        file.notes.append(f"{printable(path.name)}: {text}")
    return file


def _tasks_of_table(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for row in csv.DictReader(read_text(path).split("\n")):
            task: dict[str, Any] = {}
            for key, text in row.items():
                value: Any = text
                if isinstance(text, str) and text.startswith("["):
                    with contextlib.suppress(ValueError, RecursionError):  # text that is not a list of regions
                        value = json.loads(text)
                task[str(key)] = value
            yield task
    except csv.Error as error:
        raise DataError(f"{printable(path)}: is not CSV ({error})") from error


def _image_of(task: Mapping[str, Any]) -> str:
    """How a task names its image; empty where it does not."""
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    assert isinstance(data, dict | Mapping)
    texts = {str(key): value for key, value in data.items() if isinstance(value, str) and value}
    likely = [value for value in texts.values() if is_image_name(value.replace("\\", "/").rpartition("/")[2])]
    return next((texts[key] for key in _IMAGE_KEYS if key in texts), likely[0] if likely else "")


def _annotations(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = task.get("annotations", task.get("completions"))
    own = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [one for one in own if not one.get("was_cancelled")]


def _is_annotated_twice(task: Mapping[str, Any]) -> bool:
    return "data" in task and len(_annotations(task)) > 1


def _regions(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The regions of a task, each with what JSON keeps apart in `value`."""
    if "data" in task:
        own = _annotations(task)
        result = own[0].get("result") if own else []
        parts = [one for one in result if isinstance(one, dict)] if isinstance(result, list) else []
        return [{**one, **one["value"]} for one in parts if isinstance(one.get("value"), dict)]
    lists = [value for value in task.values() if isinstance(value, list)]
    return [one for own in lists for one in own if isinstance(one, dict)]


def _object(region: Mapping[str, Any], place: int) -> NamedObject | LineFault:
    label = next((one for key in _LABELS if isinstance(one := region.get(key), list) and one), [""])[0]
    if not isinstance(label, str) or not label.strip():
        return LineFault(place, "missing_name", "the region has no label")
    box = _box(region)
    if box is None:
        what = region.get("type", "a region")
        return LineFault(place, "missing_box", f"is {shown(what)} without x, y, width and height, or without a size")
    return NamedObject(place, printable(label.strip()), box)


def _box(region: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """The box of a region in pixels."""
    keys = ("original_width", "original_height", "x", "y", "width", "height", "radiusX", "radiusY", "rotation")
    values, usable = numbers([region.get(key) for key in keys])
    if not usable[:2].all():
        return None
    across, down = (values[:2] / 100).tolist()
    _, _, x, y, width, height, radius_x, radius_y, angle = values.tolist()
    if points := points_of(region.get("points")):
        xs, ys = zip(*points, strict=True)
        return min(xs) * across, min(ys) * down, max(xs) * across, max(ys) * down
    pivot = x * across, y * down  # a box is turned around its first corner, an ellipse around its centre
    if usable[2:6].all():
        box = (*pivot, (x + width) * across, (y + height) * down)
    elif usable[[2, 3, 6, 7]].all():
        half = radius_x * across, radius_y * down
        box = (pivot[0] - half[0], pivot[1] - half[1], pivot[0] + half[0], pivot[1] + half[1])
    else:
        return None
    return rotated_around(box, angle, pivot=pivot) if usable[8] and angle else box
