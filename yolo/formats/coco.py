"""COCO: one JSON file per split with `images`, `annotations` and `categories`.

Kept: original image ids, category ids, `iscrowd`, `area`, and `difficult`, which is no part of the standard. Boxes are
`[x, y, width, height]` in continuous pixels. A file that is no COCO file at all ends reading; a bad annotation or image
is dropped and counted. Left out: segmentation, key points, captions, writing.

The `annotations` of a COCO file as columns, so that the parsed JSON can be let go of at once.

Columns of which every value is well-formed, as in nearly every file, are taken by a few calls that run in C; any
other goes value by value through rules that take nothing for what it is not: `true` is no number, `"3"` is none.

Writing a split as COCO JSON: `info`, `licenses`, `images`, `annotations`, `categories`.

`difficult` of Pascal VOC is an additional key of an annotation, only where it is set. Left out: image files and the
YAML (dataset.py), segmentation and key points, which no reader here reads.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int64
from yolo.errors import DataError, printable
from yolo.files import without_garbage_collection
from yolo.formats.exact_numbers import Bounds, rounding_bounds, shortest, shortest_float32, shortest_float32s
from yolo.formats.issues import DataAccount, DataIssue
from yolo.formats.objects import AnnotatedImages, RawObjects, RawSource, sizes_array
from yolo.formats.paths import ImageSizes, image_folder, read_bytes, read_text, shown
from yolo.structures import AnnotatedImage

Record = Mapping[str, Any]

# What is wrong with an annotation, in the order of looking.
GOOD, UNKNOWN_IMAGE, UNKNOWN_CLASS, MISSING_BOX = range(4)
FAULT_KINDS: Final = ("", "unknown_image", "unknown_class", "missing_box")
_FAULT_WORDS = (
    "",
    "its image is not among the images",
    "its category is not among the categories",
    "its bbox is not [x, y, width, height]",
)
_MESSAGES_KEPT = 10_000  # of faults; further ones are told in general words
_NO_ID = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class CocoAnnotations:
    """T annotations in the order of the file.

    Attributes:
        boxes: (T, 4) float64, xyxy pixels.
        labels: (T,) int32, place of the category; undefined where there is a fault.
        image_index: (T,) int64, place in `images`; -1 for images that are not there.
        difficult: (T,) bool, from the key that is no part of the standard.
        iscrowd: (T,) bool.
        area: (T,) float64, NaN where there is no usable one.
        faults: (T,) int8, index into `FAULT_KINDS`.
    """

    boxes: Float64
    labels: NDArray[np.int32]
    image_index: Int64
    difficult: Bool
    iscrowd: Bool
    area: Float64
    faults: NDArray[np.int8]
    _ids: Int64
    _other_ids: Mapping[int, str]
    _messages: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.boxes)

    def where(self, position: int) -> str:
        """The place of an annotation in its file."""
        stated = self._other_ids.get(position)
        if stated is None and self._ids[position] != _NO_ID:
            stated = str(int(self._ids[position]))
        return f"annotations[{position}]" + ("" if stated is None else f" (id {stated})")

    def message(self, position: int) -> str:
        """What is wrong with an annotation."""
        return self._messages.get(position) or _FAULT_WORDS[int(self.faults[position])]


def read_columns(
    records: Sequence[Record], *, index_of_image: Mapping[int | str, int], names: Mapping[int, str]
) -> CocoAnnotations:
    """Columns of the annotations of a file.

    Args:
        records: its `annotations`, each an object.
        index_of_image: place of each image id.
        names: of the categories by id, in the order of the labels.
    """
    count = len(records)
    ids, other_ids = _ids(_column(records, "id"))
    stated_images, stated_categories = _column(records, "image_id"), _column(records, "category_id")
    image_index = _looked_up(stated_images, index_of_image, frozenset({int, str}))
    labels = _looked_up(stated_categories, {key: place for place, key in enumerate(names)}, frozenset({int}))
    stated_boxes = _column(records, "bbox")
    boxes, usable = _boxes(stated_boxes)
    faults = np.zeros(count, np.int8)
    faults[~usable] = MISSING_BOX
    faults[labels < 0] = UNKNOWN_CLASS
    faults[image_index < 0] = UNKNOWN_IMAGE
    say = {
        UNKNOWN_IMAGE: lambda row: f"image_id {shown(stated_images[row])} is not among the images",
        UNKNOWN_CLASS: lambda row: f"category_id {shown(stated_categories[row])} is not among the classes",
        MISSING_BOX: lambda row: f"bbox is {shown(stated_boxes[row])}, expected [x, y, width, height]",
    }
    faulty = np.flatnonzero(faults)[:_MESSAGES_KEPT].tolist()
    return CocoAnnotations(
        boxes=boxes,
        labels=labels.astype(np.int32),
        image_index=image_index,
        difficult=_flags(records, "difficult"),
        iscrowd=_flags(records, "iscrowd"),
        area=_areas(_column(records, "area")),
        faults=faults,
        _ids=ids,
        _other_ids=other_ids,
        _messages={row: say[int(faults[row])](row) for row in faulty},
    )


def _column(records: Sequence[Record], key: str) -> list[Any]:
    """The values under a key, None where there is none."""
    try:
        return list(map(itemgetter(key), records))
    except KeyError:
        return [record.get(key) for record in records]


def _types(values: Sequence[Any]) -> set[type]:
    return set(map(type, values))


def _looked_up(values: list[Any], places: Mapping[Any, int], types: frozenset[type]) -> Int64:
    """The place of each value, -1 for those that have none; only values of these very types can have one."""
    get = places.get
    if not _types(values) <= types:
        values = [value if type(value) in types else None for value in values]
    return np.fromiter(map(get, values, repeat(-1)), np.int64, len(values))


def _ids(values: list[Any]) -> tuple[Int64, dict[int, str]]:
    """Annotation ids, and as text those that are no ordinary numbers."""
    if _types(values) <= {int}:
        try:
            return np.fromiter(values, np.int64, len(values)), {}
        except OverflowError:
            pass  # JSON knows integers of any length: these are kept as text
    ids = np.full(len(values), _NO_ID, np.int64)
    others = {}
    for row, value in enumerate(values):
        if type(value) is int and abs(value) < 2**62:
            ids[row] = value
        elif value is not None:
            others[row] = str(value)[:60] if type(value) is str else shown(value)
    return ids, others


def _boxes(values: list[Any]) -> tuple[Float64, Bool]:
    """Boxes (T, 4) xyxy, and which are usable, from `[x, y, width, height]`."""
    if _types(values) <= {list} and set(map(len, values)) <= {4}:
        flat = list(chain.from_iterable(values))
        if _types(flat) <= {int, float}:
            try:
                sides = np.fromiter(flat, np.float64, len(flat)).reshape(-1, 4)
                return _corners(sides), np.ones(len(values), bool)
            except OverflowError:
                pass  # an integer beyond all floats: found below
    rows = [_box(value) for value in values]
    usable = np.fromiter((row is not None for row in rows), bool, len(rows))
    return _corners(np.asarray([row or (math.nan,) * 4 for row in rows], np.float64).reshape(-1, 4)), usable


def _corners(sides: Float64) -> Float64:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)


def _box(value: Any) -> tuple[float, ...] | None:
    numbers = [_number(side) for side in value] if isinstance(value, list) and len(value) == 4 else [None]
    return None if None in numbers else tuple(number for number in numbers if number is not None)


def _areas(values: list[Any]) -> Float64:
    areas: Float64
    if _types(values) <= {int, float}:
        try:
            areas = np.fromiter(values, np.float64, len(values))
        except OverflowError:
            areas = _slow_areas(values)
    else:
        areas = _slow_areas(values)
    areas[~(np.isfinite(areas) & (areas >= 0))] = np.nan
    return areas


def _slow_areas(values: list[Any]) -> Float64:
    numbers = (_number(value) for value in values)
    return np.fromiter((math.nan if number is None else number for number in numbers), np.float64, len(values))


def _flags(records: Sequence[Record], key: str) -> Bool:
    """Where the value is 1, in any of the ways in which files say so."""
    if records and key not in records[0] and not any(map(_has(key), records)):
        return np.zeros(len(records), bool)
    values = _column(records, key)
    if _types(values) <= {int}:
        return np.fromiter(map((1).__eq__, values), bool, len(values))
    return np.fromiter((type(v) in (int, bool, float, str) and v in (1, "1") for v in values), bool, len(values))


def _has(key: str) -> Callable[[Record], bool]:
    def has(record: Record) -> bool:
        return key in record

    return has


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # JSON knows integers of any length
        return None


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


_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # as int would write it, and within 64 bits


def coco_content(
    images: AnnotatedImages,
    references: Sequence[str],
    *,
    image_ids: Sequence[int | str],
    class_names: Sequence[str],
    category_ids: Sequence[int],
) -> dict[str, Any]:
    """The content of a COCO file; annotations are numbered from 1.

    Args:
        images: with boxes in pixels.
        references: `file_name` of each.
        image_ids: `id` of each, from `coco_image_ids`.
        class_names: what the labels mean.
        category_ids: id of each class.
    """
    annotations: list[dict[str, Any]] = []
    records = []
    for image, reference, image_id in zip(images, references, image_ids, strict=True):
        height, width = image.size_hw
        records.append({"id": image_id, "file_name": reference, "width": width, "height": height})
        for annotation in _annotations(image, category_ids):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
    categories = [
        {"id": category_id, "name": name, "supercategory": ""}
        for category_id, name in zip(category_ids, class_names, strict=True)
    ]
    return {
        "info": {"description": "written by gridyolo"},
        "licenses": [],
        "images": records,
        "annotations": annotations,
        "categories": sorted(categories, key=lambda category: int(str(category["id"]))),
    }


def coco_image_ids(image_ids: Sequence[str], *, from_coco: bool) -> tuple[Sequence[int | str], bool]:
    """The `id` that each image gets, and whether they are new numbers.

    Whole numbers where the ids are such. Of a dataset that was COCO, other ids stay text; of other datasets, all
    images are numbered from 1.

    >>> coco_image_ids(["7", "12"], from_coco=False), coco_image_ids(["7", "a"], from_coco=True)
    (([7, 12], False), ([7, 'a'], False))
    >>> coco_image_ids(["7", "a"], from_coco=False)
    ([1, 2], True)
    """
    whole = [_WHOLE_NUMBER.fullmatch(image_id) is not None for image_id in image_ids]
    if not from_coco and not all(whole):
        return list(range(1, len(whole) + 1)), True
    return [int(text) if is_whole else text for text, is_whole in zip(image_ids, whole, strict=True)], False


def _annotations(image: AnnotatedImage, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    truth = image.ground_truth
    bounds = rounding_bounds(truth.boxes)
    areas = shortest_float32s(truth.area)
    found = []
    for number, (x1, y1, x2, y2) in enumerate(truth.boxes.tolist()):
        low_x, low_y, high_x, high_y = bounds[4 * number : 4 * number + 4]
        x, w = _start_and_length(x1, x2, low_x, high_x)
        y, h = _start_and_length(y1, y2, low_y, high_y)
        record: dict[str, Any] = {
            "category_id": category_ids[int(truth.labels[number])],
            "bbox": [_tidy(x), _tidy(y), _tidy(w), _tidy(h)],
            "area": _tidy(areas[number]),
            "iscrowd": int(truth.iscrowd[number]),
        }
        if truth.difficult[number]:
            record["difficult"] = 1
        found.append(record)
    return found


def _start_and_length(first: float, last: float, low: Bounds, high: Bounds) -> tuple[float, float]:
    """Two numbers whose first, and whose sum, are rounded to the float32 corners."""
    start = shortest_float32(first, low)
    length = shortest(last - start, lambda value: high[0] < start + value < high[1])
    return start, last - start if length is None else length


def _tidy(value: float) -> float | int:
    return int(value) if value.is_integer() else value
