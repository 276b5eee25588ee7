"""Pascal VOC: one XML file per image under `Annotations/`, images under `JPEGImages/`, lists under `ImageSets/Main/`.

VOC pixels are 1-based and inclusive, so a box covers [xmin - 1, xmax] x [ymin - 1, ymax] of the image. The flag
`difficult` is kept. A box with equal corners, which labelling tools leave behind after a stray click, is dropped
as degenerate. Left out: parts of objects, segmentation, poses, the per-class lists, writing.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from defusedxml.ElementTree import ParseError, fromstring

from yolo.data.account import DataAccount, printable
from yolo.data.cleaning import Box, RawObject, clean_objects
from yolo.data.listing import find_images, is_file, is_image_name, read_lines, size_or_drop
from yolo.errors import DataError
from yolo.structures import AnnotatedImage

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ANNOTATION_FOLDERS = ("Annotations", "annotations")
_IMAGE_FOLDERS = ("JPEGImages", "images")
_TRUE = frozenset({"1", "true", "yes"})


@dataclass(frozen=True, slots=True)
class VocFolder:
    """A VOC tree: where its parts are and which images it has.

    Attributes:
        root: for example `VOCdevkit/VOC2007`.
        annotations: folder of the XML files.
        images: folder of the images.
        image_of: image file by its path below `images` without suffix, in Unicode form NFC.
    """

    root: Path
    annotations: Path
    images: Path
    image_of: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class VocEntry:
    """One image of a VOC tree; its XML file need not exist."""

    image_id: str
    stem: str  # as listed; differs from the id only where the name is no Unicode
    xml: Path
    folder: VocFolder


def has_voc_annotations(folder: Path) -> bool:
    """Whether a folder has XML annotations, in `Annotations/` or beside its images."""
    return _annotation_folder(folder) is not None


def list_voc(source: Path) -> list[VocEntry]:
    """The images a source stands for.

    Args:
        source: a list such as `ImageSets/Main/train.txt`, or the root of a tree for every annotation in it.

    Raises:
        DataError: there is no VOC tree around the source.
    """
    root = source if source.is_dir() else _root_of_list(source)
    annotations = _annotation_folder(root)
    if annotations is None:
        raise DataError(f"{printable(root)}: has no folder Annotations with XML files")
    images = next((root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()), root)
    image_of: dict[str, Path] = {}
    for path in find_images(images):
        image_of.setdefault(_key(path.relative_to(images).with_suffix("").as_posix()), path)
    folder = VocFolder(root, annotations, images, image_of)
    if source.is_dir():
        stems = sorted(path.stem for path in annotations.glob("*.xml") if not path.name.startswith("."))
    else:
        stems = [_without_image_suffix(line) for line in read_lines(source)]
    return [VocEntry(printable(stem), stem, annotations / f"{stem}.xml", folder) for stem in stems]


def names_in_voc(entries: Iterable[VocEntry]) -> tuple[str, ...]:
    """The distinct class names of the annotations, sorted; files that cannot be read are passed over.

    Raises:
        DataError: there is not one object.
    """
    names: set[str] = set()
    for entry in entries:
        try:
            names.update(_name(item) for item in _parse(entry.xml).iterfind("object"))
        except DataError:
            continue  # reading the images reports it
    names.discard("")
    if not names:
        raise DataError("no annotation has an object, so the classes are not known; name them in a dataset YAML")
    return tuple(sorted(names))


def read_voc_image(entry: VocEntry, *, labels: Mapping[str, int], account: DataAccount) -> AnnotatedImage | None:
    """Read one annotation.

    Args:
        entry: from `list_voc`.
        labels: label of each class name.
        account: receives every issue.

    Returns:
        None if the XML is malformed (what is on the image is then unknown, it must not pass for background) or
        if the image is missing or unreadable.
    """
    annotation: Element | None = None
    if is_file(entry.xml):
        try:
            annotation = _parse(entry.xml)
        except DataError as error:
            account.drop_image(entry.xml, "annotation_unreadable", str(error).removeprefix(f"{entry.xml}: "))
            return None
    image = _image_of(entry, annotation)
    size_hw = size_or_drop(image, account)
    if size_hw is None:
        return None
    if annotation is None:
        account.miss_label_file(entry.xml)
        objects = []
    else:
        _compare_size(annotation, size_hw, path=entry.xml, account=account)
        objects = _objects(annotation, labels, path=entry.xml, account=account)
    truth = clean_objects(objects, size_hw, path=entry.xml, account=account)
    account.keep_image(len(truth))
    return AnnotatedImage(entry.image_id, image, size_hw, truth)


def unknown_class_message(name: str, known: Iterable[str]) -> str:
    """What to say of a class that is not among the known ones, with the nearest of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"class {name!r} is not among the classes" + (f"; did you mean {near[0]!r}?" if near else "")


def _annotation_folder(folder: Path) -> Path | None:
    for place in (folder / name for name in _ANNOTATION_FOLDERS):
        if place.is_dir() and any(place.glob("*.xml")):
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
    named = "" if annotation is None else _text(annotation, "filename")
    if image is None and named:
        image = entry.folder.image_of.get(_key(_without_image_suffix(Path(named).name)))
    return image or entry.folder.images / f"{entry.stem}.jpg"


def _parse(path: Path) -> Element:
    """The root of an annotation file, or a DataError that begins with its path."""
    try:
        root = fromstring(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ParseError, ValueError, LookupError) as error:
        # ValueError: entities refused by defusedxml, encodings that expat does not know
        raise DataError(f"{path}: is not well-formed XML ({error})") from error
    if root.tag != "annotation":
        raise DataError(f"{path}: is not a VOC annotation, its root is <{root.tag}>")
    return root


def _objects(annotation: Element, labels: Mapping[str, int], *, path: Path, account: DataAccount) -> list[RawObject]:
    objects = []
    for number, item in enumerate(annotation.iterfind("object"), start=1):
        where, name = f"object {number}", _name(item)
        if not name:
            account.drop_object(path, where, "missing_name", "the object has no <name>")
        elif name not in labels:
            account.drop_object(path, where, "unknown_class", unknown_class_message(name, labels))
        elif (corners := _corners(item)) is None:
            account.drop_object(path, where, "missing_box", "<bndbox> lacks a number for each corner")
        else:
            xmin, ymin, xmax, ymax = corners
            if xmin == xmax or ymin == ymax:
                message = f"xmin {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g}: a point or a line"
                account.drop_object(path, where, "degenerate", message)
                continue
            box = (xmin - 1, ymin - 1, xmax, ymax)
            difficult = _text(item, "difficult").lower() in _TRUE
            objects.append(RawObject(where, labels[name], box, difficult=difficult))
    return objects


def _corners(item: Element) -> Box | None:
    """xmin, ymin, xmax, ymax as written."""
    try:
        xmin, ymin, xmax, ymax = (float(_text(item, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return xmin, ymin, xmax, ymax


def _compare_size(annotation: Element, size_hw: tuple[int, int], *, path: Path, account: DataAccount) -> None:
    stated = _text(annotation, "size/width"), _text(annotation, "size/height")
    height, width = size_hw
    if any(stated) and stated != (str(width), str(height)):
        message = f"<size> says {' x '.join(stated)}, the image is {width} x {height}"
        account.add_issue(path, "", "size_mismatch", message)


def _name(item: Element) -> str:
    return _text(item, "name")


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
