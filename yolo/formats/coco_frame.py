"""The frame of a COCO annotation file: that it is one, its images and its categories; annotations are in coco.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yolo.errors import DataError, printable
from yolo.formats.issues import DataIssue
from yolo.formats.json_records import json_type
from yolo.formats.values import plain_id, shown


class CocoImage(NamedTuple):
    """One element of `images`."""

    image_id: int | str
    file_name: str  # empty where there is none
    height: Any
    width: Any
    position: int  # in the file


def check_frame(content: Any, path: Path) -> None:
    """Refuse what is not a COCO annotation file."""
    place, expected = printable(path), "expected an object with images, annotations and categories"
    if isinstance(content, list) and content and isinstance(content[0], dict) and "score" in content[0]:
        expected = "these are detections (COCO results), not ground truth; were the two files swapped?"
    if not isinstance(content, dict):
        raise DataError(f"{place}: is a JSON {json_type(content)}, {expected}")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            what = f"is a JSON {json_type(content[key])}" if key in content else "is missing"
            raise DataError(f"{place}: '{key}' {what}, expected an array; is it a COCO annotation file?")


def read_images(elements: Sequence[Any], path: Path) -> tuple[list[CocoImage], list[DataIssue]]:
    """The images, and the elements that cannot be used as one."""
    images, malformed = [], []
    names: dict[int | str, str] = {}
    for position, element in enumerate(elements):
        record = element if type(element) is dict else {}
        image_id, name = plain_id(record.get("id")), record.get("file_name")
        if image_id is None:
            what = f"is a JSON {json_type(element)}, expected an object"
            if type(element) is dict:
                what = f"its id is {shown(record.get('id'))}, expected a number or text"
            malformed.append(DataIssue(printable(path), f"images[{position}]", "image_malformed", what))
            continue
        name = name if type(name) is str else ""
        images.append(CocoImage(image_id, name, record.get("height"), record.get("width"), position))
        other = names.setdefault(image_id, name)
        if other != name:
            message = f"images[{position}]: id {shown(image_id)} stands for {shown(other)} and for {shown(name)}"
            raise DataError(printable(f"{printable(path)}: {message}; give each image an id of its own"))
    return images, malformed


def read_categories(records: Sequence[Any], path: Path) -> dict[int, str]:
    """Name by id, in ascending order of the ids; empty for those without a name."""
    categories: dict[int, str] = {}
    for position, record in enumerate(records):
        place = f"{printable(path)}: categories[{position}]"
        if type(record) is not dict:
            raise DataError(f"{place} is a JSON {json_type(record)}, expected an object")
        category_id, name = plain_id(record.get("id")), record.get("name")
        if type(category_id) is not int or abs(category_id) >= 2**62:
            raise DataError(f"{place}.id is {shown(record.get('id'))}, expected a whole number")
        name = printable(name.strip()) if type(name) is str else ""
        if category_id in categories:
            raise DataError(f"{place}: id {category_id} is there already, for {categories[category_id]!r}")
        categories[category_id] = name
    if not categories:
        raise DataError(f"{printable(path)}: 'categories' is empty, so no class has a name")
    return dict(sorted(categories.items()))


def distinct_names(categories: Mapping[int, str], used: set[Any], path: Path) -> tuple[dict[int, str], list[DataIssue]]:
    """The categories with a name each, all different.

    Roboflow exports a root category without objects, often with the name of the only class: it goes. Others that share
    a name are classes of their own, as for pycocotools, with the id added to the name.
    """
    issues = []

    def note(category_id: int, kind: str, message: str) -> None:
        issues.append(DataIssue(printable(path), f"category {category_id}", kind, message))

    names = {category_id: name or str(category_id) for category_id, name in categories.items()}
    for category_id, name in categories.items():
        others = [one for one, other in names.items() if other == name and one != category_id]
        if not name:
            note(category_id, "nameless_class", "has no name")
        elif others and category_id not in used:
            note(category_id, "unused_category", f"has no objects and the name of category {others[0]}, {name!r}")
            del names[category_id]
    shared = {name for name, count in Counter(names.values()).items() if count > 1}
    for category_id, name in names.items():
        if name in shared:
            note(category_id, "shared_class_name", f"is called {name!r} like another category")
            names[category_id] = f"{name} ({category_id})"
    return names, issues
