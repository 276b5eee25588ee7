"""COCO: one JSON file per split with `images`, `annotations` and `categories`.

Kept: original image ids, category ids, `iscrowd`, `area`, and `difficult`, which is no part of the standard. Boxes are
`[x, y, width, height]` in continuous pixels. A file that is no COCO file at all ends reading; a bad annotation or image
is dropped and counted. Left out: segmentation, key points, captions, writing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from yolo.data.account import DataAccount, DataIssue, printable
from yolo.data.coco_columns import FAULT_KINDS, UNKNOWN_IMAGE, CocoAnnotations, Record, read_columns
from yolo.data.image_sizes import ImageSizes
from yolo.data.listing import image_folder, read_bytes, read_text, shown
from yolo.data.memory import without_garbage_collection
from yolo.data.raw_objects import RawObjects, RawSource, sizes_array
from yolo.errors import DataError
from yolo.structures import Int64

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CocoImage(NamedTuple):
    """One element of `images`."""

    image_id: int | str
    file_name: str
    height: Any
    width: Any


@dataclass(frozen=True, slots=True, eq=False)
class CocoFile:
    """A COCO file whose frame has been checked; the parsed JSON is not kept.

    Attributes:
        path: of the file.
        images: its `images`.
        annotations: its annotations as columns.
        categories: name by category id, in ascending order of the ids.
        malformed: elements of `images` that cannot be used: where, and what is wrong.
    """

    path: Path
    images: Sequence[CocoImage]
    annotations: CocoAnnotations
    categories: Mapping[int, str]
    malformed: Sequence[tuple[str, str]] = ()


class CocoEntry(NamedTuple):
    """One image of a COCO file."""

    image_id: str
    image: str
    position: int  # in `images`


def load_coco(path: Path) -> CocoFile:
    """Read a COCO file and check its frame.

    Raises:
        DataError: not JSON, a key is missing or of the wrong type, an id or a name stands for two things.
    """
    with without_garbage_collection():
        return _load(path)


def _load(path: Path) -> CocoFile:
    content = _parse(path)
    if not isinstance(content, dict):
        raise DataError(f"{printable(path)}: is a JSON {_kind(content)}, expected an object with the key 'images'")
    # an element that is no object has no image
    records = [one if type(one) is dict else {} for one in _list(content, "annotations", path)]
    images, malformed = _images(_list(content, "images", path), path)
    categories = _categories(_records(content, "categories", path), path)
    # the first of an id that is listed twice
    index_of_image = {image.image_id: len(images) - 1 - back for back, image in enumerate(reversed(images))}
    columns = read_columns(records, index_of_image=index_of_image, names=categories)
    return CocoFile(path, images, columns, categories, malformed)


def list_coco(file: CocoFile, image_dir: Path | None) -> list[CocoEntry]:
    """The images of a file.

    Args:
        file: from `load_coco`.
        image_dir: what `file_name` is relative to; None to look for it around the file.

    Raises:
        DataError: none of the places has the images; they are listed.
    """
    folder = os.fspath(image_dir or image_folder(file.path, [image.file_name for image in file.images]))
    return [
        CocoEntry(printable(str(image.image_id)), os.path.join(folder, image.file_name), index)  # noqa: PTH118
        for index, image in enumerate(file.images)
    ]


def report_orphans(file: CocoFile, account: DataAccount) -> None:
    """Count the images that cannot be used, and the annotations whose image is not in the file."""
    for where, message in file.malformed:
        account.drop_image(file.path, "image_malformed", message, where=where)
    rows = np.flatnonzero(file.annotations.faults == UNKNOWN_IMAGE)
    account.drop_objects("unknown_image", rows.tolist(), lambda row: _fault(file, row, ""))


def names_in_coco(files: Iterable[CocoFile]) -> tuple[str, ...]:
    """The category names in ascending order of their ids; those of further files follow."""
    return tuple(dict.fromkeys(name for file in files for name in file.categories.values()))


def category_ids_for(
    class_names: Sequence[str], files: Sequence[CocoFile], *, rename: Mapping[str, str | None] | None = None
) -> tuple[int, ...] | None:
    """The original category id of each class.

    Args:
        class_names: the classes.
        files: where categories have ids.
        rename: new name of classes that were renamed or merged; a merged class has the id of the category that
            was called so from the start, else of the first.

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
    for old, new in (rename or {}).items():
        if new is not None and old in ids:
            ids.setdefault(new, ids[old])
    for name in class_names:
        if name not in ids:
            unused += 1
            ids[name] = unused
    chosen = tuple(ids[name] for name in class_names)
    return chosen if len(set(chosen)) == len(chosen) else None


def read_coco(file: CocoFile, entries: Sequence[CocoEntry], *, sizes: ImageSizes) -> RawSource:
    """What is annotated on some images of a file.

    Args:
        file: from `load_coco`.
        entries: from `list_coco`; each image once.
        sizes: finds the size of each image.
    """
    annotations = file.annotations
    counts = np.bincount(annotations.image_index[annotations.image_index >= 0], minlength=len(file.images))
    kept: list[CocoEntry] = []
    found: list[tuple[int, int]] = []
    for entry in entries:
        image = file.images[entry.position]
        stated = image.height, image.width
        count = int(counts[entry.position])
        size_hw = sizes.of(entry.image, stated, detail=f"; {count} annotations go with it" if count else "")
        if size_hw is not None:
            sizes.compare(size_hw, stated, path=file.path, where=f"image {entry.image_id}", image=entry.image)
            kept.append(entry)
            found.append(size_hw)
    index = np.full(len(file.images) + 1, -1, np.int64)  # one more for the -1 of images that are not there
    index[[entry.position for entry in kept]] = np.arange(len(kept))
    image_index = index[annotations.image_index]
    _drop_faulty(file, kept, image_index, sizes.account)
    rows = np.flatnonzero((image_index >= 0) & (annotations.faults == 0))
    rows = rows[np.argsort(image_index[rows], kind="stable")]
    return RawSource(
        image_ids=[entry.image_id for entry in kept],
        paths=[entry.image for entry in kept],
        sizes_hw=sizes_array(found),
        objects=_raw_objects(annotations, rows, image_index[rows]),
        class_names=tuple(file.categories.values()),
        place=lambda _, number: (os.fspath(file.path), annotations.where(number)),
    )


def _raw_objects(annotations: CocoAnnotations, rows: Int64, image_index: Int64) -> RawObjects:
    return RawObjects(
        boxes=annotations.boxes[rows],
        labels=annotations.labels[rows].astype(np.int64),
        image_index=image_index,
        numbers=rows,
        difficult=annotations.difficult[rows],
        iscrowd=annotations.iscrowd[rows],
        area=annotations.area[rows],
    )


def _drop_faulty(file: CocoFile, kept: Sequence[CocoEntry], image_index: Int64, account: DataAccount) -> None:
    """Count the bad annotations of the images that are kept."""
    for fault, kind in enumerate(FAULT_KINDS):
        if kind and fault != UNKNOWN_IMAGE:
            rows = np.flatnonzero((file.annotations.faults == fault) & (image_index >= 0))
            account.drop_objects(kind, rows.tolist(), lambda row: _fault(file, row, kept[int(image_index[row])].image))


def _fault(file: CocoFile, row: int, image: str) -> DataIssue:
    annotations = file.annotations
    kind = FAULT_KINDS[int(annotations.faults[row])]
    where, message = printable(annotations.where(row)), printable(annotations.message(row))
    return DataIssue(printable(file.path), where, kind, message, printable(image))


def _parse(path: Path) -> Any:
    """The content of a JSON file."""
    try:
        return orjson.loads(read_bytes(path).removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        pass  # stricter than Python's own reader, which takes NaN and lone surrogates and has the better messages
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{printable(path)}: is not JSON ({error})") from error


def _records(content: Mapping[str, Any], key: str, path: Path) -> list[Record]:
    """The list of objects under `key`."""
    records = _list(content, key, path)
    if not set(map(type, records)) <= {dict}:
        position, record = next((place, one) for place, one in enumerate(records) if not isinstance(one, dict))
        raise DataError(f"{printable(path)}: {key}[{position}] is a JSON {_kind(record)}, expected an object")
    return records


def _list(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    if key not in content:
        raise DataError(f"{printable(path)}: has no key '{key}'; is it a COCO annotation file?")
    records = content[key]
    if not isinstance(records, list):
        raise DataError(f"{printable(path)}: '{key}' is a JSON {_kind(records)}, expected an array")
    return records


def _images(elements: Sequence[Any], path: Path) -> tuple[list[CocoImage], list[tuple[str, str]]]:
    """The images, and the elements that cannot be used as one: where, and what is wrong."""
    images, malformed = [], []
    names: dict[int | str, str] = {}
    for position, element in enumerate(elements):
        fault = _fault_of_image(element)
        if fault:
            malformed.append((f"images[{position}]", fault))
            continue
        image_id, name = element["id"], element["file_name"]
        images.append(CocoImage(image_id, name, element.get("height"), element.get("width")))
        other = names.setdefault(image_id, name)
        if other != name:
            message = f"images[{position}]: id {shown(image_id)} stands for {other} and for {name}"
            raise DataError(printable(f"{printable(path)}: {message}"))
    return images, malformed


def _fault_of_image(element: Any) -> str:
    """What is wrong with an element of `images`; empty if nothing is."""
    if type(element) is not dict:
        return f"is a JSON {_kind(element)}, expected an object"
    image_id, name = element.get("id"), element.get("file_name")
    if type(image_id) not in (int, str):
        return f"its id is {shown(image_id)}, expected a number"
    if type(name) is not str or not name:
        return f"its file_name is {shown(name)}, expected the name of an image file"
    return ""


def _categories(records: Sequence[Record], path: Path) -> dict[int, str]:
    categories: dict[int, str] = {}
    ids: dict[str, int] = {}
    for position, record in enumerate(records):
        place = f"{printable(path)}: categories[{position}]"
        category_id, name = record.get("id"), record.get("name")
        if isinstance(category_id, bool) or not isinstance(category_id, int):
            raise DataError(f"{place}.id is {shown(category_id)}, expected a whole number")
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{place}.name is {shown(name)}, expected the name of a class")
        name = printable(name.strip())
        if category_id in categories:
            raise DataError(f"{place}: id {category_id} is there already, for {categories[category_id]!r}")
        if name in ids:
            raise DataError(f"{place}: the name {name!r} has ids {ids[name]} and {category_id}; make it one class")
        categories[category_id], ids[name] = name, category_id
    if not categories:
        raise DataError(f"{printable(path)}: 'categories' is empty, so no class has a name")
    return dict(sorted(categories.items()))


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
