"""Ground truth in COCO's annotation format, taken as pycocotools takes it.

The order of images and classes is that of ascending ids, boxes are `[x, y, w, h]` to the bit, `area` is as stated, a
crowd is what has any `iscrowd` but 0. Annotations of images or categories that are not in the file take no part.
pycocotools overwrites `ignore` with `iscrowd`, so `ignore` alone has no effect, there as here. Two departures are told
in remarks: `difficult`, which is no part of the standard, is honoured as for Pascal VOC; and annotations are counted
each, also where ids are 0 or shared, which pycocotools takes for "no match" and for one object.

Where pycocotools would fail, on a box that is no box, this does too, and says where. Left out: masks, key points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.detection_files import json_columns
from yolo.detection_files.coco_images import CocoImage, image_paths, image_size, list_images
from yolo.detection_files.json_columns import Record, column
from yolo.detection_files.json_file import parse_json, read_json_bytes
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import TruthPart, remark_empty_boxes, usable_boxes
from yolo.detection_sets import TruthSet
from yolo.errors import DataError, printable
from yolo.formats.paths import shown

_JSON_WORDS = {dict: "object", list: "array", str: "text", bool: "boolean", type(None): "null"}


def read_coco_truth(path: Path, *, images: Path | None, remarks: Remarks) -> TruthPart:
    """Read an annotation file.

    Args:
        path: the JSON file.
        images: what `file_name` is relative to; None to look around the file. Images need not be there.
        remarks: receives what is left out or odd.

    Raises:
        DataError: not such a file, or something in it that pycocotools could not evaluate either.
    """
    content = parse_json(read_json_bytes(path), path)
    _check_frame(content, path)
    listed = list_images(content["images"], path, remarks)
    names = _categories(content["categories"], path, remarks)
    truths = _truths(content["annotations"], listed, list(names), path=path, remarks=remarks)
    del content  # much larger than what is kept of it
    paths = image_paths(path, listed, images)
    return TruthPart(
        image_ids=[printable(str(image.image_id)) for image in listed],
        file_names=[image.file_name for image in listed],
        paths=paths,
        sizes_hw=np.asarray([image_size(*one) for one in zip(listed, paths, strict=True)], np.int32).reshape(-1, 2),
        class_names=tuple(names.values()),
        category_ids=tuple(names),
        truths=truths,
    )


def _check_frame(content: Any, path: Path) -> None:
    place = printable(path)
    if isinstance(content, list):
        hint = ""
        if content and isinstance(content[0], dict) and "score" in content[0]:
            hint = ": these are detections (COCO results), not ground truth; were the two files swapped?"
        raise DataError(
            f"{place}: is a JSON array{hint or ', expected an object with images, annotations, categories'}"
        )
    if not isinstance(content, dict):
        raise DataError(f"{place}: is a JSON {_word(content)}, expected an object with images, annotations, categories")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            what = f"is a JSON {_word(content[key])}" if key in content else "is missing"
            raise DataError(f"{place}: '{key}' {what}, expected an array; is it a COCO annotation file?")
        wrong = next((number for number, one in enumerate(content[key]) if type(one) is not dict), None)
        if wrong is not None:
            raise DataError(f"{place}: {key}[{wrong}] is a JSON {_word(content[key][wrong])}, expected an object")


def _word(value: Any) -> str:
    return _JSON_WORDS.get(type(value), "number")


def _categories(records: Sequence[Record], path: Path, remarks: Remarks) -> dict[int, str]:
    """Name by id, by ascending id; names are made unique."""
    names: dict[int, str] = {}
    for number, record in enumerate(records):
        category_id, name = record.get("id"), record.get("name")
        if type(category_id) is not int or abs(category_id) >= 2**62:
            place = f"{printable(path)}: categories[{number}].id"
            raise DataError(f"{place} is {shown(category_id)}, expected a whole number")
        if category_id in names:
            raise DataError(f"{printable(path)}: categories[{number}]: the id {category_id} is there already")
        if type(name) is not str or not name.strip():
            remarks.add("nameless_class", "a category has no name: its id is its name", f"id {category_id}")
            name = str(category_id)
        names[category_id] = printable(name.strip())
    if not names:
        raise DataError(f"{printable(path)}: 'categories' is empty, so there is no class to evaluate")
    names = dict(sorted(names.items()))
    several = {name for name in names.values() if list(names.values()).count(name) > 1} if _repeats(names) else set()
    for category_id, name in names.items():
        if name in several:
            remarks.add("shared_class_name", "a name belongs to several categories, which are evaluated apart, as "
                        "pycocotools does; the id is added to the name", f"{name!r}, id {category_id}")  # fmt: skip
            names[category_id] = f"{name} ({category_id})"
    return names


def _repeats(names: Mapping[int, str]) -> bool:
    return len(set(names.values())) < len(names)


def _truths(
    records: Sequence[Record], listed: Sequence[CocoImage], category_ids: Sequence[int], *, path: Path, remarks: Remarks
) -> TruthSet:
    image_index = _places(column(records, "image_id"), [image.image_id for image in listed], (int, str))
    labels = _places(column(records, "category_id"), category_ids, (int,))
    known = (image_index >= 0) & (labels >= 0)
    message = "an annotation's {} is not in the file: it takes no part, as in pycocotools"
    for key, mask in (("image", image_index < 0), ("category", (labels < 0) & (image_index >= 0))):
        remarks.add_rows(
            f"truth_of_unknown_{key}", message.format(key), mask,
            partial(_stated, records, f"{key}_id"),
        )  # fmt: skip
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(image_index[rows], kind="stable")]
    own = [records[row] for row in rows.tolist()]
    boxes, usable = json_columns.boxes(column(own, "bbox"))
    _refuse(~usable | ~usable_boxes(boxes), own, rows, "bbox", "[x, y, width, height] in pixels", path)
    iscrowd, difficult = (_flags(own, rows, key, path) for key in ("iscrowd", "difficult"))
    truths = TruthSet.from_xywh(
        boxes, labels[rows], image_index[rows], iscrowd=iscrowd, difficult=difficult,
        area=_areas(own, rows, boxes, path, remarks),
    )  # fmt: skip
    _remark_on(own, rows, truths, remarks)
    return truths


def _stated(records: Sequence[Record], key: str, row: int) -> str:
    return f"annotations[{row}], {key} {shown(records[row].get(key))}"


def _places(values: list[Any], keys: Sequence[Any], types: tuple[type, ...]) -> Int64:
    """The place of each value among the keys, -1 where it has none; `true` is not 1, but 1.0 is."""
    places = {key: place for place, key in enumerate(keys)}
    if not json_columns.types_of(values) <= set(types):
        values = [one if type(one) in types or (type(one) is float and one.is_integer()) else None for one in values]
    return np.fromiter((places.get(value, -1) for value in values), np.int64, len(values))


def _flags(own: Sequence[Record], rows: Int64, key: str, path: Path) -> Bool:
    if not any(key in record for record in own):
        return np.zeros(len(own), bool)
    found, usable = json_columns.flags(column(own, key))
    _refuse(~usable, own, rows, key, "0 or 1", path)
    return found


def _areas(own: Sequence[Record], rows: Int64, boxes: Float64, path: Path, remarks: Remarks) -> Float64:
    """The areas as stated; of the box where none is stated, on which pycocotools would fail."""
    stated = column(own, "area")
    absent = np.fromiter((value is None for value in stated), bool, len(stated))
    areas, usable = json_columns.numbers(stated)
    _refuse(~(absent | (usable & np.isfinite(areas))), own, rows, "area", "a number of pixels", path)
    remarks.add_rows(
        "area_missing",
        "an annotation has no area, without which pycocotools fails: that of its box is taken",
        absent,
        lambda row: _place(own, rows, row),
    )
    return np.where(absent, boxes[:, 2] * boxes[:, 3], areas)


def _refuse(faulty: Bool, own: Sequence[Record], rows: Int64, key: str, expected: str, path: Path) -> None:
    bad = np.flatnonzero(faulty)
    if bad.size:
        more = f"; {bad.size - 1} more annotations have the same fault" if bad.size > 1 else ""
        raise DataError(
            f"{printable(path)}: {_place(own, rows, int(bad[0]))}: {key} is {shown(own[int(bad[0])].get(key))}, "
            f"expected {expected}; correct the annotation{more}"
        )


def _place(own: Sequence[Record], rows: Int64, row: int) -> str:
    record = own[row]
    return f"annotations[{rows[row]}]" + (f" (id {shown(record['id'])})" if "id" in record else "")


def _remark_on(own: Sequence[Record], rows: Int64, truths: TruthSet, remarks: Remarks) -> None:
    """What is counted otherwise than pycocotools counts it, and what looks odd."""

    def place(row: int) -> str:
        return _place(own, rows, row)

    remarks.add_rows(
        "difficult_in_coco",
        "an annotation is marked 'difficult', which COCO's format does not have: it need not be found; pycocotools "
        "would count it",
        truths.difficult & ~truths.iscrowd,
        place,
    )
    if any("ignore" in record for record in own):
        marked = np.fromiter((bool(record.get("ignore")) for record in own), bool, len(own))
        remarks.add_rows(
            "ignore_without_effect",
            "an annotation is marked 'ignore' but not 'iscrowd': it counts, as in pycocotools, which overwrites it",
            marked & ~truths.iscrowd,
            place,
        )
    _remark_on_ids(column(own, "id"), remarks, place)
    remark_empty_boxes(truths, remarks, place)


def _remark_on_ids(ids: list[Any], remarks: Remarks, place: Any) -> None:
    first: dict[Any, int] = {}
    hashable = [value if type(value) in (int, str, float) else None for value in ids]
    for row, value in enumerate(hashable):
        first.setdefault(value, row)
    is_first = np.zeros(len(ids), bool)
    is_first[list(first.values())] = True
    absent = np.fromiter((value is None for value in hashable), bool, len(ids))
    zero = np.fromiter((value == 0 and value is not None for value in hashable), bool, len(ids))
    remarks.add_rows(
        "annotation_id_zero",
        "an annotation has the id 0, which pycocotools takes for 'no match': there a detection of it is false; here it "
        "is true, so numbers may be higher",
        zero & is_first,
        place,
    )
    remarks.add_rows(
        "annotation_id_shared",
        "an annotation has the id of an earlier one: pycocotools would put the last of them in the place of all; here "
        "each counts",
        ~is_first & ~absent,
        place,
    )
