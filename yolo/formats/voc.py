"""Pascal VOC: one XML file per image under `Annotations/`, images under `JPEGImages/`, lists under `ImageSets/Main/`.

VOC pixels are 1-based and inclusive, so a box covers [xmin - 1, xmax] x [ymin - 1, ymax] of the image. The flag
`difficult` is kept. A box with equal corners, which labelling tools leave behind after a stray click, is dropped
as degenerate. Left out: parts of objects, segmentation, poses, the per-class lists, writing.

The XML of one Pascal VOC annotation: parsed safely, and its parts as values.

Entities and document types are refused, so that no file can grow or reach out. Left out: which files there are, and
what is made of them (voc.py).

Writing Pascal VOC annotations: one XML per image, pixels 1-based and inclusive.

A box of one pixel has equal corners in VOC, as stray clicks have, which readers drop: its xmin is written a little
smaller. Left out: image files, lists and the YAML (dataset.py), iscrowd and areas (extra.py).
"""

from __future__ import annotations

import os
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import defusedxml.ElementTree as SafeElementTree
import numpy as np
from defusedxml.common import DefusedXmlException

from yolo.arrays import Float32
from yolo.errors import DataError, printable
from yolo.formats.exact_numbers import Bounds, number_text, rounding_bounds, shortest, shortest_float32
from yolo.formats.issues import DataAccount
from yolo.formats.objects import RawObject, RawObjects, RawSource, sizes_array
from yolo.formats.paths import (
    LARGEST_LABEL_FILE,
    ImageSizes,
    find_images,
    is_file,
    is_folder,
    is_image_name,
    read_bytes,
    read_lines,
    shown,
)
from yolo.structures import GroundTruth

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


_TRUE = frozenset({"1", "true", "yes"})
# What the fast parser may have: no document type in any disguise, so in plain ASCII or UTF-8.
_DANGEROUS = re.compile(rb"<!DOCTYPE|<!ENTITY|\0", re.IGNORECASE)
_OTHER_ENCODING = re.compile(rb"encoding\s*=\s*[\"'](?!utf-8[\"'])", re.IGNORECASE)
_DECLARATION = 200  # bytes, in which the encoding stands


def parse_annotation(path: Path) -> Element:
    """The root of an annotation file, or a DataError that begins with its path."""
    try:
        root = _root(read_bytes(path, limit=LARGEST_LABEL_FILE))
    except DefusedXmlException as error:
        raise DataError(
            f"{printable(path)}: declares XML entities, which are refused; an annotation has none"
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        # ValueError: encodings that expat does not know
        raise DataError(f"{printable(path)}: is not well-formed XML ({error})") from error
    if root.tag != "annotation":
        raise DataError(f"{printable(path)}: is not a VOC annotation, its root is <{root.tag[:60]}>")
    return root


def _root(data: bytes) -> Element:
    """The parser that refuses entities is written in Python and ten times slower: it gets what may have some."""
    if _DANGEROUS.search(data) or _OTHER_ENCODING.search(data[:_DECLARATION]):
        root: Element = SafeElementTree.fromstring(data)
        return root
    return ElementTree.fromstring(data)


def corners_of(item: Element) -> tuple[float, float, float, float] | None:
    """xmin, ymin, xmax, ymax as written."""
    try:
        xmin, ymin, xmax, ymax = (_number(text_of(item, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return xmin, ymin, xmax, ymax


def _number(text: str) -> float:
    if "_" in text:  # Python reads 1_0 as 10
        raise ValueError(text)
    return float(text)


def stated_size(annotation: Element) -> tuple[Any, Any]:
    """Height and width as `<size>` has them: numbers where they are whole, else text; None where there is none."""
    height, width = (text_of(annotation, f"size/{key}") for key in ("height", "width"))
    return _whole(height), _whole(width)


def _whole(text: str) -> int | str | None:
    digits = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if digits else (shown(text) if text else None)


def name_of(item: Element) -> str:
    """The class of an object, empty where there is none."""
    return printable(text_of(item, "name"))


def is_set(item: Element, key: str) -> bool:
    """Whether a flag of an object is set."""
    return text_of(item, key).lower() in _TRUE


def text_of(element: Element, path: str) -> str:
    """The text at a path below an element without surrounding spaces, empty where there is none."""
    return (element.findtext(path) or "").strip()


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


# What XML 1.0 has no place for, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Readers cut what reaches over the border, so the first pixel may begin a little before it.
_CUT_OFF = 1e-6
_LOST_FROM_ONE = 1e-7


def can_be_xml(text: str) -> bool:
    r"""Whether XML can hold a text.

    >>> can_be_xml("a & b"), can_be_xml("a\x01")
    (True, False)
    """
    return _NOT_XML.search(text) is None


def annotation_text(file_name: str, size_hw: tuple[int, int], truth: GroundTruth, *, class_names: Sequence[str]) -> str:
    """The annotation of one image.

    Corners are whole numbers where the box is in whole pixels, else as short as brings back the float32 exactly, but
    for what `voc_boxes` changes.

    Args:
        file_name: of the image, without folder.
        size_hw: height and width of the image in pixels.
        truth: boxes in pixels within the image.
        class_names: what the labels mean.
    """
    height, width = size_hw
    lines = [
        "<annotation>",
        "\t<folder>JPEGImages</folder>",
        f"\t<filename>{_escaped(file_name)}</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
    ]
    boxes, _ = voc_boxes(truth, size_hw)
    bounds = rounding_bounds(boxes)
    for number, box in enumerate(boxes.tolist()):
        corners = _corners(box, bounds[4 * number : 4 * number + 4])
        sides = "".join(
            f"<{key}>{number_text(value)}</{key}>"
            for key, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        )
        lines += [
            "\t<object>",
            f"\t\t<name>{_escaped(class_names[int(truth.labels[number])])}</name>",
            f"\t\t<difficult>{int(truth.difficult[number])}</difficult>",
            f"\t\t<bndbox>{sides}</bndbox>",
            "\t</object>",
        ]
    return "\n".join([*lines, "</annotation>\n"])


def voc_boxes(truth: GroundTruth, size_hw: tuple[int, int]) -> tuple[Float32, int]:
    """The boxes as VOC can hold them, and how many that changes.

    Corners are the first and the last pixel inside, so no box is less than a pixel wide or high: smaller ones become
    the pixel that their middle is in. Counting from 1 loses distances of less than 1e-7 pixels from the border: these
    become 0.

    Args:
        truth: boxes in pixels within the image.
        size_hw: height and width of the image in pixels.

    Returns:
        (M, 4) float32 xyxy pixels, and a number of boxes.
    """
    old = truth.boxes
    low, high = old[:, :2].astype(np.float64), old[:, 2:].astype(np.float64)
    size_wh = np.array(size_hw[::-1], np.float64)
    middle = np.clip((low + high) / 2, 0.5, np.maximum(size_wh - 0.5, 0.5))
    small = high - low < 1
    low, high = np.where(small, np.floor(middle), low), np.where(small, np.floor(middle) + 1, high)
    low = np.where(low < _LOST_FROM_ONE, 0.0, low)
    boxes = np.concatenate([low, high], axis=1).astype(np.float32)
    return boxes, int((boxes != old).any(axis=1).sum())


def _corners(box: Sequence[float], bounds: Sequence[Bounds]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    low_x, low_y, high_x, high_y = bounds
    (xmin, xmax), (ymin, ymax) = _one_based(x1, x2, low_x, high_x), _one_based(y1, y2, low_y, high_y)
    return xmin, ymin, xmax, ymax


def _one_based(first: float, last: float, low: Bounds, high: Bounds) -> tuple[float, float]:
    """The first and the last pixel, from 1; never equal."""
    start = shortest(first + 1, lambda value: low[0] < value - 1 < low[1])
    end = shortest_float32(last, high)
    start = first + 1 if start is None else start
    if start < end:
        return start, end
    # a box of one pixel: begins a little earlier, but by less than float32 knows
    earliest = -_CUT_OFF if first == 0 else low[0]
    smaller = (first + 1 - 10.0**-decimals for decimals in range(1, 16))
    return next((value for value in smaller if earliest < value - 1 < low[1]), start), max(end, last)


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})
