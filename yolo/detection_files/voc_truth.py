"""Ground truth in Pascal VOC's XML files, every object as it stands.

A box of the file covers [xmin - 1, xmax] x [ymin - 1, ymax]. Nothing is clipped or put in order, and a box with equal
corners stays what it is for the devkit: one pixel wide. Pictures need not be there. Left out: poses, parts.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import side_of
from yolo.errors import DataError, ImageReadError, printable
from yolo.formats.objects import RawObject, RawObjects, RawSource, sizes_array
from yolo.formats.paths import canonical_split, find_images, is_file, is_folder
from yolo.formats.voc import VocEntry, VocFolder, corners_of, is_set, list_voc, name_of, parse_annotation, stated_size
from yolo.images import read_size

_ANNOTATION_FOLDERS = ("Annotations", "annotations")
_IMAGE_FOLDERS = ("JPEGImages", "images")
_LISTS = ("train", "val", "trainval", "test")


def find_voc(folder: Path, *, split: str, images: Path | None) -> list[VocEntry] | None:
    """The images of a VOC tree or of a bare folder of XML files; None if it is neither.

    Args:
        folder: with `Annotations` in it, or itself full of XML files.
        split: the list in `ImageSets/Main`; a tree without lists is taken whole.
        images: where the pictures are; None for `JPEGImages` or `images` in or beside the folder, or itself.

    Raises:
        DataError: there are lists, but not this one.
    """
    annotations = next((folder / name for name in _ANNOTATION_FOLDERS if is_folder(folder / name)), folder)
    stems = sorted(path.stem for path in annotations.glob("*.xml") if not path.name.startswith("."))
    if not stems:
        return None
    lists = folder / "ImageSets" / "Main"
    names = [name for name in _LISTS if is_file(lists / f"{name}.txt")]
    if names and annotations != folder:
        wanted = canonical_split(split)
        if not is_file(lists / f"{wanted}.txt"):
            raise DataError(f"{printable(lists)}: there is no list {wanted}.txt for the split {split!r}; "
                            f"there are: {', '.join(names)}")  # fmt: skip
        return list_voc(lists / f"{wanted}.txt", images)
    bases = (annotations.parent, annotations)
    likely = next((base / name for base in bases for name in _IMAGE_FOLDERS if is_folder(base / name)), annotations)
    pictures = images or likely
    # VocEntry looks a picture up by its name; two of one name are the reader's business, any will do for a gallery
    stem_of = {path: path.relative_to(pictures).with_suffix("").as_posix() for path in find_images(pictures)}
    image_of = {unicodedata.normalize("NFC", stem): path for path, stem in stem_of.items()}
    tree = VocFolder(folder, annotations, pictures, image_of, {})
    return [VocEntry(printable(stem), stem, annotations / f"{stem}.xml", tree) for stem in stems]


def read_voc_truth(entries: Sequence[VocEntry], remarks: Remarks) -> RawSource:
    """What is annotated on some images; class names are those of all annotations of their trees, sorted.

    Raises:
        DataError: an annotation that is no VOC XML, or an object without name or box; all annotations are missing.
    """
    rows: list[RawObject] = []
    labels: dict[str, int] = {}
    sizes, missing = [], 0
    for index, entry in enumerate(entries):
        if not is_file(entry.xml):
            missing += 1
            remarks.add("annotation_missing", "an image has no XML file: it counts as an image without objects; the "
                        "devkit would fail", printable(entry.xml))  # fmt: skip
            sizes.append(_size_of_file(_path(entry)))
            continue
        annotation = parse_annotation(entry.xml)
        for number, item in enumerate(annotation.iterfind("object"), start=1):
            name, corners = name_of(item), corners_of(item)
            place = f"{printable(entry.xml)}, object {number}"
            if not name:
                raise DataError(f"{place}: has no <name>; correct the annotation")
            if corners is None or not all(map(math.isfinite, corners)):
                raise DataError(f"{place}: <bndbox> lacks a finite number for each corner; correct the annotation")
            xmin, ymin, xmax, ymax = corners
            label = labels.setdefault(name, len(labels))
            rows.append(RawObject(xmin - 1, ymin - 1, xmax, ymax, label, index, number, is_set(item, "difficult")))
        height, width = map(side_of, stated_size(annotation))
        sizes.append((height, width) if height and width else _size_of_file(_path(entry)))
    if entries and missing == len(entries):
        raise DataError(f"{printable(entries[0].xml)}: is missing, as the XML files of all {missing} images")
    return _source(entries, rows, labels, sizes)


def _source(
    entries: Sequence[VocEntry], rows: list[RawObject], labels: dict[str, int], sizes: list[tuple[int, int]]
) -> RawSource:
    names = tuple(sorted({*labels, *_names_elsewhere(entries)}))
    place_of = {name: place for place, name in enumerate(names)}
    table = np.asarray([place_of[name] for name in labels], np.int64)
    objects = RawObjects.of(rows)
    return RawSource(
        image_ids=[entry.image_id for entry in entries],
        paths=[_path(entry) for entry in entries],
        sizes_hw=sizes_array(sizes),
        objects=replace(objects, labels=table[objects.labels]),
        class_names=names,
        place=lambda image, number: (os.fspath(entries[image].xml), f"object {number}"),
        inclusive=1.0,
    )


def _names_elsewhere(entries: Sequence[VocEntry]) -> set[str]:
    """The classes in annotations of the same trees that are not of these images, as far as they can be read."""
    own = {entry.xml for entry in entries}
    names = set()
    for folder in {entry.folder.annotations for entry in entries}:
        for xml in folder.glob("*.xml"):
            if xml not in own:
                try:
                    names |= {name_of(item) for item in parse_annotation(xml).iterfind("object")}
                except DataError:
                    continue  # not under evaluation
    return names - {""}


def _path(entry: VocEntry) -> str:
    return entry.image if is_file(entry.image) else ""


def _size_of_file(path: str) -> tuple[int, int]:
    try:
        return read_size(Path(path)) if path else (0, 0)
    except ImageReadError:
        return 0, 0
