"""COCO files written from COCO files: every record keeps its fields, known here or not, and its id.

What the dataset has changed is changed in the records: names of image files, boxes that were fixed, classes that were
renamed. An area, a size or a flag that is missing is added, as other programs need them; all else stays as it stands.
A polygon or a mask stays what it was beside a box that was cut to its image: beyond the image nothing is drawn.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from yolo.arrays import Bool, Int64
from yolo.detection_sets import TruthSet
from yolo.errors import DataError, printable
from yolo.files import without_garbage_collection
from yolo.formats.coco_write import coco_content
from yolo.formats.json_records import boxes, column, flags, numbers, parse_json, read_json_bytes
from yolo.formats.objects import SILENT_CLIP, AnnotatedImages
from yolo.formats.values import plain_id

_IMAGE_KEYS: Final = frozenset({"id", "file_name", "height", "width"})
_OBJECT_KEYS: Final = frozenset({"image_id", "category_id", "bbox", "area", "iscrowd", "difficult"})
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
_LISTS: Final = ("images", "annotations", "categories")
# orjson makes floats of integers of more than 64 bits
_LONG_INTEGER = re.compile(rb"[\s:\[,-]\d{19,}\s*[,\]}]")


class _Part(NamedTuple):
    """One file, and what of it is written."""

    content: Mapping[str, Any]
    images: Int64  # (n,) places in the dataset
    image_records: list[dict[str, Any]]  # n, of the file
    rows: Int64  # (T,) objects of the dataset
    object_records: list[dict[str, Any]]  # T, of the file


def copied_content(
    images: AnnotatedImages,
    references: Sequence[str],
    *,
    image_ids: Sequence[int | str],
    class_names: Sequence[str],
    category_ids: Sequence[int],
) -> tuple[dict[str, Any], list[str]]:
    """Like `coco_content`, with all that the COCO files of the images say; and notes on what could not be kept.

    Raises:
        DataError: a file is not the one any more that the images were read from.
    """
    content = coco_content(images, references, image_ids=image_ids, class_names=class_names, category_ids=category_ids)
    records, annotations = content["images"], content["annotations"]
    head: dict[str, Any] = {}
    categories: list[Any] = []
    notes: list[str] = []
    anew = len(annotations)
    for annotation in annotations:
        annotation["id"] = None  # those of the files come first
    with without_garbage_collection():
        for part in coco_parts(images):
            for place, record in zip(part.images.tolist(), part.image_records, strict=True):
                records[place] = _merged_image(record, records[place])
            for row, merged in zip(part.rows.tolist(), _merged_objects(part, images, annotations), strict=True):
                annotations[row] = merged
            anew -= len(part.rows)
            categories += [one for one in part.content["categories"] if isinstance(one, dict)]
            _merge_head(head, part.content, notes)
        content["categories"] = _merged_categories(content["categories"], categories)
        _refer(annotations, images, records, content["categories"], category_ids)
        content["annotations"] = [annotations[row] for row in _file_order(images).tolist()]
        renumbered = _renumber(content["annotations"]) - anew
    if renumbered:
        notes.append(f"{renumbered} annotations had no id, or that of another one: they got new ids")
    return {**(head or content), **{key: content[key] for key in _LISTS}}, notes


def coco_parts(images: AnnotatedImages) -> Iterator[_Part]:
    """The COCO files that images were read from, one after the other, each read again.

    Raises:
        DataError: a file cannot be read any more, or is another one.
    """
    records = images.records
    if records is None:
        return
    source_of_object = records.source_of_image[images.image_index]
    for number, source in enumerate(records.sources):
        if source is None or source.format != "coco":
            continue
        path = Path(source.paths[0])
        content = _parsed(path)
        own, rows = np.flatnonzero(records.source_of_image == number), np.flatnonzero(source_of_object == number)
        try:
            image_records = [content["images"][place] for place in records.image_numbers[own].tolist()]
            object_records = [content["annotations"][place] for place in records.object_numbers[rows].tolist()]
            content["categories"][0]
        except (KeyError, IndexError, TypeError):
            image_records, object_records = [None], []
        if not all(isinstance(record, dict) for record in (*image_records, *object_records)):
            raise DataError(f"{printable(path)}: was changed while it was read; run the command again")
        yield _Part(content, own, image_records, rows, object_records)


def _parsed(path: Path) -> Any:
    data = read_json_bytes(path)
    if _LONG_INTEGER.search(data):
        return json.loads(data.decode("utf-8"))
    return parse_json(data, path)


def _merged_image(record: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(record)
    for key, value in new.items():
        stated = record.get(key)
        same = str(plain_id(stated)) == str(value) if key == "id" else _equals(stated, value)
        if not same:
            merged[key] = value
    return merged


def _equals(stated: Any, value: Any) -> bool:
    return type(stated) in (int, float, str) and bool(stated == value)


def _merged_objects(part: _Part, images: AnnotatedImages, new: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The records of the objects, with the values of the dataset where these differ."""
    truth = images.objects[part.rows]
    iscrowd, _ = flags(part.object_records, "iscrowd")
    difficult, _ = flags(part.object_records, "difficult")
    area, _ = numbers(column(part.object_records, "area"))
    with np.errstate(over="ignore", invalid="ignore"):
        same = {
            "bbox": _same_boxes(part, images),
            "area": area.astype(np.float32) == truth.area,
            "iscrowd": iscrowd == truth.iscrowd,
            "difficult": difficult == truth.difficult,
        }
    for place, (row, record) in enumerate(zip(part.rows.tolist(), part.object_records, strict=True)):
        merged = dict(record)
        for key, kept in same.items():
            if key in new[row] and not (kept[place] and key in record):
                merged[key] = new[row][key]
            elif not kept[place]:
                merged[key] = 0  # a flag of the record that the dataset does not have
        yield merged


def _same_boxes(part: _Part, images: AnnotatedImages) -> Bool:
    """Whether the box of each record is that of the dataset, apart from what reading cuts off without a report."""
    stated, _ = boxes(column(part.object_records, "bbox"))
    corners = TruthSet.from_xywh(stated, np.zeros(len(stated)), np.zeros(len(stated))).boxes
    limits = images.sizes_hw[images.image_index[part.rows]][:, [1, 0, 1, 0]].astype(np.float64)
    cut = np.clip(corners, 0.0, limits)
    near = np.abs(cut - corners).max(axis=1, initial=0.0) <= SILENT_CLIP
    same: Bool = near & (cut.astype(np.float32) == images.objects.boxes[part.rows]).all(axis=1)
    return same


def _merge_head(head: dict[str, Any], content: Mapping[str, Any], notes: list[str]) -> None:
    """Add what a file says of itself: `info`, `licenses` and whatever else is beside the lists."""
    for key, value in content.items():
        if key not in _LISTS and head.setdefault(key, value) != value:
            notes.append(f"the files have a different {key!r}; that of the first is kept")
        head.setdefault(key, None)  # the lists keep their place


def _merged_categories(new: Sequence[Mapping[str, Any]], records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The record of each category, in the order of the files; those without one come last."""
    places: dict[Any, int] = {}
    for place, record in enumerate(records):
        places.setdefault(plain_id(record.get("id")), place)
        places.setdefault(_name(record), place)
    merged: list[tuple[int, dict[str, Any]]] = []
    for category in new:
        category_id, name = category["id"], category["name"]
        by_id, by_name = places.get(category_id), places.get((name,))
        found = by_id if by_id is not None and (by_name is None or _is_called(records[by_id], name)) else by_name
        record = dict(category) if found is None else dict(records[found])
        if plain_id(record.get("id")) != category_id:
            record["id"] = category_id
        if not _is_called(record, name):
            record["name"] = name
        merged.append((len(records) if found is None else found, record))
    return [record for _, record in sorted(merged, key=lambda one: one[0])]


def _name(record: Mapping[str, Any]) -> tuple[str]:
    """The name as readers have it, in a tuple, which no id is."""
    name = record.get("name")
    return (printable(name.strip()) if isinstance(name, str) else "",)


def _is_called(record: Mapping[str, Any], name: str) -> bool:
    """Whether readers give a category that name: with its id where it shares its own, its id where it has none."""
    (own,), category_id = _name(record), plain_id(record.get("id"))
    return name in (own or str(category_id), f"{own} ({category_id})")


def _refer(
    annotations: Sequence[dict[str, Any]],
    images: AnnotatedImages,
    records: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]],
    category_ids: Sequence[int],
) -> None:
    """Let annotations name images and categories by the ids that these have, in their spelling."""
    spelled = {plain_id(one["id"]): one["id"] for one in categories}
    labels, image_index = images.objects.labels.tolist(), images.image_index.tolist()
    for annotation, label, image in zip(annotations, labels, image_index, strict=True):
        annotation["image_id"] = records[image]["id"]
        annotation["category_id"] = spelled[category_ids[label]]


def _file_order(images: AnnotatedImages) -> Int64:
    """The rows of all objects, those of each COCO file in its order."""
    records, rows = images.records, np.arange(len(images.objects))
    if records is None:
        return rows
    source = records.source_of_image[images.image_index]
    of_coco = np.asarray([one is not None and one.format == "coco" for one in records.sources], bool)
    return np.lexsort((np.where(of_coco[source], records.object_numbers, rows), source))


def _renumber(annotations: Sequence[dict[str, Any]]) -> int:
    """Give an id to annotations without one, and to those whose id an earlier one has; how many these are."""
    taken: set[Any] = set()
    without = []
    for annotation in annotations:
        found = plain_id(annotation.get("id"))
        if found is None or found in taken:
            without.append(annotation)
        taken.add(found)
    unused = count(max((one for one in taken if isinstance(one, int)), default=0) + 1)
    for annotation in without:
        annotation["id"] = next(unused)
    return len(without)


def fields_beyond_boxes(images: AnnotatedImages) -> Counter[tuple[str, str]]:
    """How many objects, and how many images, have each field that only COCO files have a place for.

    Raises:
        DataError: a file is not the one any more that the images were read from.
    """
    counts = Counter[tuple[str, str]]()
    with without_garbage_collection():
        for part in coco_parts(images):
            for records, known, of in (
                (part.image_records, _IMAGE_KEYS, "images"),
                (part.object_records, _OBJECT_KEYS, "objects"),
            ):
                for record in records:
                    counts.update(
                        (key, of) for key, value in record.items() if key not in known and value not in _NOTHING
                    )
    return counts


def json_bytes(content: Any) -> bytes:
    """JSON that every reader takes: NaN and infinity, which some files have, are null."""
    try:
        return orjson.dumps(content)
    except TypeError:  # integers of more than 64 bits, half characters
        plain = json.loads(json.dumps(content), parse_constant=lambda _: None)
        return json.dumps(plain, separators=(",", ":")).encode("ascii")
