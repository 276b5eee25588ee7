"""COCO: one JSON file per split with `images`, `annotations` and `categories`.

Kept: original image ids, category ids, `iscrowd` and `area`. Boxes are `[x, y, width, height]` in continuous
pixels. A file that is no COCO file at all ends reading; a bad annotation is dropped and counted. Left out:
segmentation, key points, captions, writing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from yolo.data.account import DataAccount, printable
from yolo.data.cleaning import Box, RawObject, clean_objects
from yolo.data.listing import is_file, read_text, size_or_drop
from yolo.errors import DataError
from yolo.structures import AnnotatedImage

_PROBED_IMAGES = 50  # so many are looked for to find the image folder


class CocoAnnotation(NamedTuple):
    """One element of `annotations` and its place there."""

    position: int
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A COCO file whose frame has been checked; single annotations have not.

    Attributes:
        path: of the file.
        images: its `images`, each with an `id` and a `file_name`.
        annotations: its annotations by image id.
        categories: name by category id, in ascending order of the ids.
    """

    path: Path
    images: Sequence[Mapping[str, Any]]
    annotations: Mapping[int | str | None, Sequence[CocoAnnotation]]
    categories: Mapping[int, str]


class CocoEntry(NamedTuple):
    """One image of a COCO file."""

    image_id: str
    image: Path
    record: Mapping[str, Any]
    file: CocoFile


def load_coco(path: Path) -> CocoFile:
    """Read a COCO file and check its frame.

    Raises:
        DataError: not JSON, a key is missing or of the wrong type, an id or a name stands for two things.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{printable(path)}: is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{printable(path)}: is a JSON {_kind(content)}, expected an object with the key 'images'")
    annotations: dict[int | str | None, list[CocoAnnotation]] = {}
    for position, record in enumerate(_records(content, "annotations", path)):
        image_id = record.get("image_id")
        known = image_id if isinstance(image_id, int | str) else None
        annotations.setdefault(known, []).append(CocoAnnotation(position, record))
    return CocoFile(path, _images(content, path), annotations, _categories(content, path))


def list_coco(file: CocoFile, image_dir: Path | None) -> list[CocoEntry]:
    """The images of a file.

    Args:
        file: from `load_coco`.
        image_dir: what `file_name` is relative to; None to look for it around the file.

    Raises:
        DataError: none of the places has the images; they are listed.
    """
    folder = image_dir or _image_folder(file)
    return [CocoEntry(str(record["id"]), folder / record["file_name"], record, file) for record in file.images]


def report_orphans(file: CocoFile, account: DataAccount) -> None:
    """Count the annotations whose image is not in the file."""
    listed = {record["id"] for record in file.images}
    for image_id, orphans in file.annotations.items():
        if image_id not in listed:
            for annotation in orphans:
                stated = annotation.record.get("image_id")
                message = f"image_id {stated!r} is not among the images"
                account.drop_object(file.path, _where(annotation), "unknown_image", message)


def names_in_coco(files: Iterable[CocoFile]) -> tuple[str, ...]:
    """The category names in ascending order of their ids; those of further files follow."""
    return tuple(dict.fromkeys(name for file in files for name in file.categories.values()))


def category_ids_for(class_names: Sequence[str], files: Sequence[CocoFile]) -> tuple[int, ...] | None:
    """The original category id of each class.

    Returns:
        None if the files do not agree. A class without a category gets an id beyond all that are in use, so
        that it can not be taken for another one.
    """
    ids: dict[str, int] = {}
    for file in files:
        for category_id, name in file.categories.items():
            if ids.setdefault(name, category_id) != category_id:
                return None
    if len(set(ids.values())) != len(ids):
        return None
    unused = max(ids.values(), default=0)
    for name in class_names:
        if name not in ids:
            unused += 1
            ids[name] = unused
    return tuple(ids[name] for name in class_names)


def read_coco_image(entry: CocoEntry, *, labels: Mapping[str, int], account: DataAccount) -> AnnotatedImage | None:
    """The annotations of one image.

    Args:
        entry: from `list_coco`.
        labels: label of each class name.
        account: receives every issue.

    Returns:
        None if the image is missing or unreadable.
    """
    annotations = entry.file.annotations.get(entry.record["id"], ())
    detail = f"; {len(annotations)} annotations go with it" if annotations else ""
    size_hw = size_or_drop(entry.image, account, detail=detail)
    if size_hw is None:
        return None
    path = entry.file.path
    _compare_size(entry, size_hw, account=account)
    objects = _objects(annotations, entry.file, labels=labels, account=account)
    truth = clean_objects(objects, size_hw, path=path, account=account)
    account.keep_image(len(truth))
    return AnnotatedImage(entry.image_id, entry.image, size_hw, truth)


def _records(content: Mapping[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under `key`."""
    if key not in content:
        raise DataError(f"{printable(path)}: has no key '{key}'; is it a COCO annotation file?")
    records = content[key]
    if not isinstance(records, list):
        raise DataError(f"{printable(path)}: '{key}' is a JSON {_kind(records)}, expected an array")
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{printable(path)}: {key}[{position}] is a JSON {_kind(record)}, expected an object")
    return records


def _images(content: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    records = _records(content, "images", path)
    names: dict[int | str, str] = {}
    for position, record in enumerate(records):
        place = f"{printable(path)}: images[{position}]"
        image_id, name = record.get("id"), record.get("file_name")
        if isinstance(image_id, bool) or not isinstance(image_id, int | str):
            raise DataError(f"{place}.id is {image_id!r}, expected a number")
        if not isinstance(name, str) or not name:
            raise DataError(f"{place}.file_name is {name!r}, expected the name of an image file")
        other = names.setdefault(image_id, name)
        if other != name:
            raise DataError(f"{place}: id {image_id} stands for {other} and for {name}; give each image its own id")
    return records


def _categories(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    categories: dict[int, str] = {}
    ids: dict[str, int] = {}
    for position, record in enumerate(_records(content, "categories", path)):
        place = f"{printable(path)}: categories[{position}]"
        category_id, name = record.get("id"), record.get("name")
        if isinstance(category_id, bool) or not isinstance(category_id, int):
            raise DataError(f"{place}.id is {category_id!r}, expected a whole number")
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{place}.name is {name!r}, expected the name of a class")
        name = name.strip()
        if category_id in categories:
            raise DataError(f"{place}: id {category_id} is there already, for {categories[category_id]!r}")
        if name in ids:
            raise DataError(f"{place}: the name {name!r} has ids {ids[name]} and {category_id}; make it one class")
        categories[category_id], ids[name] = name, category_id
    if not categories:
        raise DataError(f"{printable(path)}: 'categories' is empty, so no class has a name")
    return dict(sorted(categories.items()))


def _image_folder(file: CocoFile) -> Path:
    """Where the images of a file are: the first likely place that has one of them."""
    names = [record["file_name"] for record in file.images[:_PROBED_IMAGES]]
    places = _likely_folders(file.path)
    for place in places:
        if any(is_file(place / name) for name in names):
            return place
    if not names:
        raise DataError(f"{printable(file.path)}: 'images' is empty")
    tried = "".join(f"\n  {printable(place / names[0])}" for place in places)
    raise DataError(f"{printable(file.path)}: its images are not found; looked for the first one at{tried}")


def _likely_folders(path: Path) -> list[Path]:
    """Beside the file or beside its folder: for `annotations/instances_train2017.json` first `train2017/`."""
    words = re.split(r"[_.\-]", path.stem)
    tails = ["_".join(words[start:]) for start in range(len(words))]
    tails += [tail.rstrip("0123456789") for tail in tails]
    parents = (path.parent.parent, path.parent)
    bases = [base for parent in parents for base in (parent, parent / "images")]
    named = [base / tail for tail in tails if tail for base in bases]
    plain = [path.parent, path.parent / "images", path.parent / "data", path.parent.parent / "images"]
    return [place for place in dict.fromkeys([*named, *plain, path.parent.parent]) if place.is_dir()]


def _objects(
    annotations: Iterable[CocoAnnotation], file: CocoFile, *, labels: Mapping[str, int], account: DataAccount
) -> list[RawObject]:
    objects = []
    for annotation in annotations:
        record, where = annotation.record, _where(annotation)
        category_id = record.get("category_id")
        name = file.categories.get(category_id) if isinstance(category_id, int) else None
        if name is None or name not in labels:
            what = f"category_id {category_id!r}" + (f" ({name!r})" if name else "")
            account.drop_object(file.path, where, "unknown_class", f"{what} is not among the classes")
        elif (box := _box(record.get("bbox"))) is None:
            message = f"bbox is {str(record.get('bbox'))[:60]}, expected [x, y, width, height]"
            account.drop_object(file.path, where, "missing_box", message)
        else:
            crowd = record.get("iscrowd") in (1, "1")  # True equals 1
            area = _area(record.get("area"))
            objects.append(RawObject(where, labels[name], box, iscrowd=crowd, area=area))
    return objects


def _box(value: Any) -> Box | None:
    numbers = [_number(side) for side in value] if isinstance(value, list) else []
    if len(numbers) != 4 or None in numbers:
        return None
    x, y, w, h = (float(side) for side in value)
    return x, y, x + w, y + h


def _area(value: Any) -> float | None:
    area = _number(value)
    return area if area is not None and math.isfinite(area) and area >= 0 else None


def _compare_size(entry: CocoEntry, size_hw: tuple[int, int], *, account: DataAccount) -> None:
    stated = entry.record.get("width"), entry.record.get("height")
    height, width = size_hw
    if any(side is not None for side in stated) and stated != (width, height):
        message = f"the file says {stated[0]} x {stated[1]} for {entry.image.name}, it is {width} x {height}"
        account.add_issue(entry.file.path, f"image {entry.image_id}", "size_mismatch", message)


def _where(annotation: CocoAnnotation) -> str:
    stated = annotation.record.get("id")
    return f"annotations[{annotation.position}]" + ("" if stated is None else f" (id {stated})")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # JSON knows integers of any length
        return None


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
