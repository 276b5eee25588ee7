"""COCO annotation files: one JSON per split with `images`, `annotations` and `categories`.

Boxes are `[x, y, width, height]` in continuous pixels; image ids, category ids, `iscrowd`, `area` and `difficult`,
which is not part of the standard, are kept. Where writers differ from the standard there is one reading for training
and evaluation: an id may be 1, 1.0 or "1"; a crowd is what has any `iscrowd` but 0. A file without the frame of COCO
ends reading; a bad image or annotation is left out and counted. Left out: segmentation, key points, captions, which
copies keep (coco_copy.py); categories (coco_categories.py), writing (coco_write.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Int64
from yolo.detection_sets import TruthSet
from yolo.errors import DataError, printable, shown
from yolo.files import without_garbage_collection
from yolo.formats.coco_categories import read_categories
from yolo.formats.image_names import ImageNames
from yolo.formats.issues import KINDS, MAX_ISSUES_PER_KIND, DataIssue, ReadReport
from yolo.formats.json_records import (
    Record,
    boxes,
    column,
    flags,
    json_type,
    numbers,
    parse_json,
    plain_ids,
    read_json_bytes,
    types_of,
)
from yolo.formats.objects import RawSource, RecordFiles, sizes_array
from yolo.formats.paths import ImageSizes
from yolo.formats.values import plain_id, shown_id

# What is wrong with an annotation, in the order of looking.
_UNKNOWN_IMAGE, _UNKNOWN_CLASS, _MISSING_BOX = 1, 2, 3
FAULT_KINDS: Final = ("", "unknown_image", "unknown_class", "missing_box")
_NO_ID = np.iinfo(np.int64).min


class CocoImage(NamedTuple):
    """One element of `images`."""

    image_id: int | str
    file_name: str  # empty where there is none
    height: Any
    width: Any
    position: int  # in the file


@dataclass(frozen=True, slots=True, eq=False)
class CocoAnnotations:
    """T annotations as columns, in the order of the file.

    Of `objects`, `labels` are places of categories and undefined where there is a fault, `image_index` places in
    `images` and -1 for images that are not there, `area` NaN where no number is stated.
    """

    objects: TruthSet
    ignore: Bool  # (T,) a key that pycocotools overwrites with `iscrowd`
    unclear: Bool  # (T,) whose flags cannot be understood
    faults: NDArray[np.int8]  # (T,) index into `FAULT_KINDS`
    ids: Int64  # (T,) `_NO_ID` where an id is not an ordinary number
    other_ids: Mapping[int, str]  # those others that are text
    messages: Mapping[int, str]  # what is wrong with the first ones of each fault

    def __len__(self) -> int:
        return len(self.faults)

    def where(self, position: int) -> str:
        """The place of an annotation in its file."""
        stated = self.other_ids.get(position)
        if stated is None and self.ids[position] != _NO_ID:
            stated = str(int(self.ids[position]))
        return f"annotations[{position}]" + ("" if stated is None else f" (id {stated})")

    def message(self, position: int) -> str:
        """What is wrong with an annotation."""
        return self.messages.get(position) or KINDS[FAULT_KINDS[int(self.faults[position])]]


@dataclass(frozen=True, slots=True, eq=False)
class CocoFile:
    """A COCO file whose frame has been checked; the parsed JSON is not kept."""

    path: Path
    images: Sequence[CocoImage]
    annotations: CocoAnnotations
    categories: Mapping[int, str]  # name by category id, in ascending order of the ids
    issues: Sequence[DataIssue] = ()  # images that cannot be used, and categories that are not what they seem


class CocoEntry(NamedTuple):
    """One image of a COCO file."""

    image_id: str
    image: str  # empty where the file names none
    position: int  # in `images`


def load_coco(path: Path) -> CocoFile:
    """Read a COCO file and check its frame.

    Raises:
        DataError: not JSON, a key is missing or of the wrong type, or an id stands for two things.
    """
    with without_garbage_collection():
        content = parse_json(read_json_bytes(path), path)
        _check_frame(content, path)
        # an element that is not an object has no image
        records = [one if type(one) is dict else {} for one in content["annotations"]]
        images, issues = _read_images(content["images"], path)
        categories, odd = read_categories(content["categories"], lambda: column(records, "category_id"), path)
        issues += odd
        # the first of an id that is listed twice
        index_of_image = {image.image_id: len(images) - 1 - back for back, image in enumerate(reversed(images))}
        annotations = read_annotations(records, index_of_image=index_of_image, category_ids=list(categories))
    return CocoFile(path, images, annotations, categories, issues)


def _check_frame(content: Any, path: Path) -> None:
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


def _read_images(elements: Sequence[Any], path: Path) -> tuple[list[CocoImage], list[DataIssue]]:
    """The images, and the elements that cannot be used as one."""
    images, malformed = [], []
    names: dict[int | str, str] = {}
    for position, element in enumerate(elements):
        record = element if type(element) is dict else {}
        image_id, name = plain_id(record.get("id")), record.get("file_name")
        if image_id is None:
            what = f"is a JSON {json_type(element)}, expected an object"
            if type(element) is dict:
                what = f"its id is {shown_id(record.get('id'))}, expected a number or text"
            malformed.append(DataIssue(printable(path), f"images[{position}]", "image_malformed", what))
            continue
        name = name if type(name) is str else ""
        images.append(CocoImage(image_id, name, record.get("height"), record.get("width"), position))
        other = names.setdefault(image_id, name)
        if other != name:
            message = f"images[{position}]: id {shown(image_id)} stands for {shown(other)} and for {shown(name)}"
            raise DataError(printable(f"{printable(path)}: {message}; give each image an id of its own"))
    return images, malformed


def read_annotations(
    records: Sequence[Record], *, index_of_image: Mapping[int | str, int], category_ids: Sequence[int]
) -> CocoAnnotations:
    """Columns of the annotations of a file.

    Args:
        records: its `annotations`, each an object.
        index_of_image: place of each image id.
        category_ids: in the order of the labels.
    """
    ids, other_ids = _annotation_ids(column(records, "id"))
    stated_images, stated_categories = column(records, "image_id"), column(records, "category_id")
    image_index = _places(stated_images, index_of_image)
    labels = _places(stated_categories, {key: place for place, key in enumerate(category_ids)})
    stated_boxes = column(records, "bbox")
    boxes_xywh, usable = boxes(stated_boxes)
    faults = np.zeros(len(records), np.int8)
    faults[~usable] = _MISSING_BOX
    faults[labels < 0] = _UNKNOWN_CLASS
    faults[image_index < 0] = _UNKNOWN_IMAGE
    messages: dict[int, Callable[[int], str]] = {
        _UNKNOWN_IMAGE: lambda row: f"image_id {shown_id(stated_images[row])} is not among the images",
        _UNKNOWN_CLASS: lambda row: f"category_id {shown_id(stated_categories[row])} is not among the classes",
        _MISSING_BOX: lambda row: f"bbox is {shown(stated_boxes[row])}, expected [x, y, width, height]",
    }
    (iscrowd, clear_crowd), (difficult, clear_difficult) = flags(records, "iscrowd"), flags(records, "difficult")
    area, _ = numbers(column(records, "area"))
    area[~np.isfinite(area)] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):
        objects = TruthSet.from_xywh(boxes_xywh, labels, image_index, iscrowd=iscrowd, difficult=difficult, area=area)
    return CocoAnnotations(
        objects=objects,
        ignore=flags(records, "ignore")[0],
        unclear=~(clear_crowd & clear_difficult),
        faults=faults,
        ids=ids,
        other_ids=other_ids,
        messages={
            row: message(row)
            for fault, message in messages.items()
            for row in np.flatnonzero(faults == fault)[:MAX_ISSUES_PER_KIND].tolist()
        },
    )


def _places(values: list[Any], places: Mapping[Any, int]) -> Int64:
    """The place of each id, -1 for those that have none."""
    return np.fromiter(map(places.get, plain_ids(values), repeat(-1)), np.int64, len(values))


def _annotation_ids(values: list[Any]) -> tuple[Int64, dict[int, str]]:
    """Annotation ids, and those that are text."""
    if types_of(values) <= {int}:
        try:
            return np.fromiter(values, np.int64, len(values)), {}
        except OverflowError:
            pass  # JSON knows integers of any length
    ids = np.full(len(values), _NO_ID, np.int64)
    others = {}
    for row, value in enumerate(map(plain_id, values)):
        if type(value) is int and abs(value) < 2**62:
            ids[row] = value
        elif value is not None:
            others[row] = str(value)[:60]
    return ids, others


def list_coco(
    file: CocoFile, image_dir: Path | None, *, needed: bool = True, report: ReadReport | None = None
) -> list[CocoEntry]:
    """The images of a file.

    Args:
        file: from `load_coco`.
        image_dir: what `file_name` is relative to; None to look for it around the file.
        needed: the images have to be there.
        report: gets a note where images are not found by their names as they stand.

    Raises:
        DataError: none of the places has the images; they are listed.
    """
    stated = [image.file_name for image in file.images if image.file_name]
    try:
        names = ImageNames(file.path, stated, image_dir)
    except DataError:
        if needed:
            raise
        names = None
    if names is not None and names.note and report is not None:
        report.notes.append(names.note)
    return [
        CocoEntry(
            printable(str(image.image_id)),
            names.file_of(image.file_name) if names is not None and image.file_name else "",
            index,
        )
        for index, image in enumerate(file.images)
    ]


def by_ascending_id(file: CocoFile, entries: Iterable[CocoEntry]) -> list[CocoEntry]:
    """The images in the order of pycocotools, which decides between equal scores: numbers before text."""

    def key(entry: CocoEntry) -> tuple[bool, Any]:
        image_id = file.images[entry.position].image_id
        return type(image_id) is str, image_id

    return sorted(entries, key=key)


def report_orphans(file: CocoFile, report: ReadReport) -> None:
    """Count what belongs to no image: odd images and categories, and annotations whose image is not in the file."""
    for issue in file.issues:
        if issue.kind == "image_malformed":
            report.images_dropped[issue.kind] += 1
        report.add_issues(issue.kind, [0], lambda _, own=issue: own)  # type: ignore[misc]
    rows = np.flatnonzero(file.annotations.faults == _UNKNOWN_IMAGE)
    report.drop_objects("unknown_image", rows.tolist(), lambda row: _fault(file, row, ""))


def read_coco(file: CocoFile, entries: Sequence[CocoEntry], *, sizes: ImageSizes) -> RawSource:
    """What is annotated on some images of a file, each given once; `sizes` has the report."""
    annotations, report = file.annotations, sizes.report
    of_image = annotations.objects.image_index
    counts = np.bincount(of_image[of_image >= 0], minlength=len(file.images))
    kept, paths, found = _images_of(file, entries, counts, sizes)
    index = np.full(len(file.images) + 1, -1, np.int64)  # one more for the -1 of images that are not there
    index[[entry.position for entry in kept]] = np.arange(len(kept))
    image_index = index[of_image]
    _report_faulty(file, paths, image_index, report)
    rows = np.flatnonzero((image_index >= 0) & (annotations.faults == 0))
    rows = rows[np.argsort(image_index[rows], kind="stable")]
    if not sizes.needed:
        _warn_of_departures(file, rows, report)
    return RawSource(
        image_ids=[entry.image_id for entry in kept],
        paths=paths,
        sizes_hw=sizes_array(found),
        objects=replace(annotations.objects[rows], image_index=image_index[rows]),
        numbers=rows,
        class_names=tuple(file.categories.values()),
        place=lambda _, number: (os.fspath(file.path), annotations.where(number)),
        file_names=[file.images[entry.position].file_name for entry in kept],
        category_ids=tuple(file.categories),
        files=RecordFiles("coco", (os.fspath(file.path),)),
        image_numbers=np.asarray([file.images[entry.position].position for entry in kept], np.int64),
    )


def _images_of(
    file: CocoFile, entries: Sequence[CocoEntry], counts: Int64, sizes: ImageSizes
) -> tuple[list[CocoEntry], list[str], list[tuple[int, int]]]:
    """The entries whose images can be used, their files, and height and width; `counts` are annotations per image."""
    kept: list[CocoEntry] = []
    paths: list[str] = []
    found: list[tuple[int, int]] = []
    for entry in entries:
        image = file.images[entry.position]
        if sizes.needed and not image.file_name:
            message = "has no file_name, expected the name of an image file"
            sizes.report.drop_image(file.path, "image_malformed", message, where=f"images[{image.position}]")
            continue
        stated, count = (image.height, image.width), int(counts[entry.position])
        place = sizes.find(entry.image, stated, detail=f"; {count} annotations go with it" if count else "")
        if place is not None:
            path, size_hw = place
            sizes.compare(size_hw, stated, path=file.path, where=f"image {entry.image_id}", image=path)
            kept.append(entry)
            paths.append(path)
            found.append(size_hw)
    return kept, paths, found


def _report_faulty(file: CocoFile, paths: Sequence[str], image_index: Int64, report: ReadReport) -> None:
    """Count the bad annotations of the images that are kept."""
    annotations = file.annotations
    for fault, kind in enumerate(FAULT_KINDS):
        if kind and fault != _UNKNOWN_IMAGE:
            rows = np.flatnonzero((annotations.faults == fault) & (image_index >= 0))
            report.drop_objects(kind, rows.tolist(), lambda row: _fault(file, row, paths[int(image_index[row])]))
    rows = np.flatnonzero(annotations.unclear & (annotations.faults == 0) & (image_index >= 0))
    text = "iscrowd or difficult is neither 0 nor 1"
    report.add_issues(
        "unclear_flag",
        rows.tolist(),
        lambda row: DataIssue(printable(file.path), printable(annotations.where(row)), "unclear_flag", text),
    )


def _fault(file: CocoFile, row: int, image: str) -> DataIssue:
    annotations = file.annotations
    kind = FAULT_KINDS[int(annotations.faults[row])]
    where, message = printable(annotations.where(row)), printable(annotations.message(row))
    return DataIssue(printable(file.path), where, kind, message, printable(image))


def _warn_of_departures(file: CocoFile, rows: Int64, report: ReadReport) -> None:
    """What an evaluation counts otherwise than pycocotools does."""
    annotations, own = file.annotations, file.annotations.objects[rows]
    ids = [
        annotations.other_ids.get(row, number)
        for row, number in zip(rows.tolist(), annotations.ids[rows].tolist(), strict=True)
    ]
    places = range(len(ids))
    is_first = np.zeros(len(ids), bool)
    is_first[list(dict(zip(reversed(ids), reversed(places), strict=True)).values())] = True
    for kind, text, mask in (
        (
            "area_missing",
            "an annotation has no usable area, without which pycocotools fails: that of its box is taken",
            np.isnan(own.area),
        ),
        (
            "difficult_in_coco",
            "an annotation is marked 'difficult', which COCO's format does not have: it need not be found; pycocotools "
            "would count it",
            own.difficult & ~own.iscrowd,
        ),
        (
            "ignore_without_effect",
            "an annotation is marked 'ignore' but not 'iscrowd': it counts, as in pycocotools, which overwrites it",
            annotations.ignore[rows] & ~own.iscrowd,
        ),
        (
            "annotation_id_zero",
            "an annotation has the id 0, which pycocotools takes for 'no match': there a detection of it is false; "
            "here it is true, so numbers may be higher",
            (annotations.ids[rows] == 0) & is_first,
        ),
        (
            "annotation_id_shared",
            "an annotation has the id of an earlier one: pycocotools would put the last of them in the place of all; "
            "here each counts",
            ~is_first & np.asarray([one != _NO_ID for one in ids], bool),
        ),
    ):
        report.warn_rows(kind, text, mask, lambda row: printable(annotations.where(int(rows[row]))))
