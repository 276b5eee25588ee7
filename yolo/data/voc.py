"""Pascal VOC: one XML file per image under `Annotations/`, images under `JPEGImages/`, lists under `ImageSets/Main/`.

VOC pixels are 1-based and inclusive, so a box covers [xmin - 1, xmax] x [ymin - 1, ymax] of the image. The flag
`difficult` is kept. A box with equal corners, which labelling tools leave behind after a stray click, is dropped
as degenerate. Left out: parts of objects, segmentation, poses, the per-class lists, writing.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yolo.data.account import DataAccount, printable
from yolo.data.image_sizes import ImageSizes
from yolo.data.listing import (
    find_images,
    is_file,
    is_folder,
    is_image_name,
    read_lines,
)
from yolo.data.raw_objects import RawObject, RawObjects, RawSource, sizes_array
from yolo.data.voc_xml import corners_of, is_set, name_of, parse_annotation, stated_size, text_of
from yolo.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ANNOTATION_FOLDERS = ("Annotations", "annotations")
_IMAGE_FOLDERS = ("JPEGImages", "images")


@dataclass(frozen=True, slots=True)
class VocFolder:
    """A VOC tree: where its parts are and which images it has.

    Attributes:
        root: for example `VOCdevkit/VOC2007`.
        annotations: folder of the XML files.
        images: folder of the images.
        image_of: image file by its path below `images` without suffix, in Unicode form NFC.
        other_of: a second image file of the same name with another suffix, which is not read.
    """

    root: Path
    annotations: Path
    images: Path
    image_of: Mapping[str, Path]
    other_of: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class VocEntry:
    """One image of a VOC tree; its XML file need not exist."""

    image_id: str
    stem: str  # as listed; differs from the id only where the name is no Unicode
    xml: Path
    folder: VocFolder

    @property
    def image(self) -> str:
        """The image file of that name; not the file that the annotation names where there is no such."""
        return os.fspath(_image_of(self, None))


def has_voc_annotations(folder: Path) -> bool:
    """Whether a folder has XML annotations, in `Annotations/` or beside its images."""
    return _annotation_folder(folder) is not None


def list_voc(source: Path, image_dir: Path | None = None) -> list[VocEntry]:
    """The images a source stands for.

    Args:
        source: a list such as `ImageSets/Main/train.txt`, or the root of a tree for every annotation in it.
        image_dir: the folder of the images; None for the one in the tree.

    Raises:
        DataError: there is no VOC tree around the source.
    """
    root = source if source.is_dir() else _root_of_list(source)
    annotations = _annotation_folder(root)
    if annotations is None:
        raise DataError(f"{printable(root)}: has no folder Annotations with XML files")
    images = image_dir or next((root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()), root)
    image_of: dict[str, Path] = {}
    other_of: dict[str, Path] = {}
    for path in find_images(images):
        key = _key(path.relative_to(images).with_suffix("").as_posix())
        if image_of.setdefault(key, path) != path:
            other_of[key] = path
    folder = VocFolder(root, annotations, images, image_of, other_of)
    if source.is_dir():
        stems = sorted(path.stem for path in annotations.glob("*.xml") if not path.name.startswith("."))
    else:
        stems = [_without_image_suffix(line) for line in read_lines(source)]
    return [VocEntry(printable(stem), stem, annotations / f"{stem}.xml", folder) for stem in stems]


def names_in_voc(entries: Iterable[VocEntry]) -> tuple[str, ...]:
    """The distinct class names of the annotations, sorted; files that cannot be read are passed over."""
    names: set[str] = set()
    for entry in entries:
        try:
            names.update(name_of(item) for item in parse_annotation(entry.xml).iterfind("object"))
        except DataError:
            continue  # reading the images reports it
    names.discard("")
    return tuple(sorted(names))


def read_voc(entries: Sequence[VocEntry], *, sizes: ImageSizes) -> RawSource:
    """What is annotated on some images.

    An image whose XML is malformed is dropped: what is on it is not known, it must not pass for background.

    Args:
        entries: from `list_voc`; each once.
        sizes: finds the size of each image, and has the account.
    """
    reading = _Reading({}, [])
    kept: list[tuple[VocEntry, str]] = []
    found: list[tuple[int, int]] = []
    for entry in entries:
        try:
            annotation = parse_annotation(entry.xml) if is_file(entry.xml) else None
        except DataError as error:
            message = str(error).removeprefix(f"{printable(entry.xml)}: ")
            sizes.account.drop_image(entry.xml, "annotation_unreadable", message, image=entry.image)
            continue
        items = [] if annotation is None else list(annotation.iterfind("object"))
        for item in items:
            reading.label(name_of(item))  # the classes are those of all files, with a picture or without
        image = os.fspath(_image_of(entry, annotation))
        stated = (None, None) if annotation is None else stated_size(annotation)
        size_hw = sizes.of(image, stated)
        if size_hw is None:
            continue
        if annotation is None:
            sizes.account.miss_label_file(entry.xml, image=image)
        sizes.compare(size_hw, stated, path=entry.xml, where="", image=image)
        if (other := entry.folder.other_of.get(_key(entry.stem))) is not None:
            message = f"belongs to {Path(image).name} and to {other.name}; the second is not read"
            sizes.account.add_issue(entry.xml, "", "shared_label_file", message, image=other)
        for number, item in enumerate(items, start=1):
            reading.add(item, number, path=entry.xml, image=(len(kept), image), account=sizes.account)
        kept.append((entry, image))
        found.append(size_hw)
    return reading.source(kept, found)


class _Reading:
    """The objects read so far; class names are numbered as they come."""

    def __init__(self, labels: dict[str, int], rows: list[RawObject]) -> None:
        self.labels = labels
        self.rows = rows

    def label(self, name: str) -> int:
        return self.labels.setdefault(name, len(self.labels)) if name else -1

    def add(self, item: Element, number: int, *, path: Path, image: tuple[int, str], account: DataAccount) -> None:
        """Add one object, or drop it if it has no name or no box."""
        where, (index, image_path) = f"object {number}", image
        label, corners = self.label(name_of(item)), corners_of(item)
        if label < 0:
            account.drop_object(path, where, "missing_name", "the object has no <name>", image=image_path)
        elif corners is None:
            message = "<bndbox> lacks a number for each corner"
            account.drop_object(path, where, "missing_box", message, image=image_path)
        else:
            xmin, ymin, xmax, ymax = corners
            if xmin == xmax or ymin == ymax:
                message = f"xmin {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g}: a point or a line"
                account.drop_object(path, where, "degenerate", message, image=image_path)
                return
            difficult = is_set(item, "difficult")
            self.rows.append(RawObject(xmin - 1, ymin - 1, xmax, ymax, label, index, number, difficult))

    def source(self, kept: list[tuple[VocEntry, str]], sizes: list[tuple[int, int]]) -> RawSource:
        """Everything, with the class names sorted."""
        names = tuple(sorted(self.labels))
        objects = RawObjects.of(self.rows)
        rank = {name: place for place, name in enumerate(names)}
        order = np.asarray([rank[name] for name in self.labels], np.int64)
        return RawSource(
            image_ids=[entry.image_id for entry, _ in kept],
            paths=[image for _, image in kept],
            sizes_hw=sizes_array(sizes),
            objects=replace(objects, labels=order[objects.labels]),
            class_names=names,
            place=lambda image, number: (os.fspath(kept[image][0].xml), f"object {number}"),
            inclusive=1.0,
        )


def _annotation_folder(folder: Path) -> Path | None:
    for place in (folder / name for name in _ANNOTATION_FOLDERS):
        if is_folder(place) and any(place.glob("*.xml")):
            return place
    return folder if _is_flat(folder) else None


def _is_flat(folder: Path) -> bool:
    """Whether XML files lie beside images of the same name; a lone XML file can be anything."""
    stems = {path.stem for path in folder.glob("*.xml")}
    return bool(stems) and any(path.stem in stems for path in folder.iterdir() if is_image_name(path.name))


def _root_of_list(source: Path) -> Path:
    """The nearest folder above a list that has annotations."""
    for parent in source.parents:
        if any((parent / name).is_dir() for name in _ANNOTATION_FOLDERS):
            return parent
    raise DataError(f"{printable(source)}: no folder above this list has a folder Annotations")


def _without_image_suffix(line: str) -> str:
    return line.rpartition(".")[0] if is_image_name(line) else line


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)  # macOS stores file names decomposed


def _image_of(entry: VocEntry, annotation: Element | None) -> Path:
    """The image with the name of the entry; `<filename>`, which is often wrong, only if there is none."""
    image = entry.folder.image_of.get(_key(entry.stem))
    named = "" if annotation is None else text_of(annotation, "filename")
    if image is None and named:
        name = named.replace("\\", "/").rpartition("/")[2]
        image = entry.folder.image_of.get(_key(_without_image_suffix(name)))
    return image or entry.folder.images / f"{entry.stem}.jpg"
