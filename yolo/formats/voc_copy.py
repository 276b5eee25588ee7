"""VOC annotations written from VOC annotations: every element stays, known here or not.

Changed are the name and the size of the image, and of an object its class, its flag and its box, where the dataset
has other ones. Objects that it does not have go with all that is in them. Comments are not kept.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from yolo.arrays import Int64
from yolo.errors import DataError, printable
from yolo.formats.objects import SILENT_CLIP, AnnotatedImages
from yolo.formats.values import is_set
from yolo.formats.voc import annotation_text, name_of, parse_annotation, sides_of, text_of
from yolo.structures import AnnotatedImage, GroundTruth

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_KNOWN: Final = frozenset({"name", "difficult", "bndbox"})
_NOTHING: Final = frozenset({"", "0", "unspecified"})


class VocOriginals:
    """The annotations that images were read from.

    Args:
        images: as they were read.
    """

    def __init__(self, images: AnnotatedImages) -> None:
        self._images = images

    def find(self, place: int) -> tuple[Element, Int64] | None:
        """The annotation of an image, and the number of each of its objects there, from 1; None where there is none.

        Raises:
            DataError: it cannot be read any more, or is another one.
        """
        records = self._images.records
        if records is None:
            return None
        source = records.sources[int(records.source_of_image[place])]
        if source is None or source.format != "voc":
            return None
        path = Path(source.paths[int(records.image_numbers[place])])
        numbers = records.object_numbers[self._images.offsets[place] : self._images.offsets[place + 1]]
        if not path.exists() and not len(numbers):
            return None  # an image without annotation
        root = parse_annotation(path)
        if len(numbers) and numbers.max() > len(root.findall("object")):
            raise DataError(f"{printable(path)}: was changed while it was read; run the command again")
        return root, numbers


def copied_annotation(
    original: tuple[Element, Int64], file_name: str, image: AnnotatedImage, *, class_names: Sequence[str]
) -> str:
    """Like `annotation_text`, with all that the original says.

    Args:
        original: from `VocOriginals`.
        file_name: of the image, without folder.
        image: boxes within it, as `voc_boxes` makes them.
        class_names: what the labels mean.
    """
    root, numbers = original
    text = annotation_text(file_name, image.size_hw, image.ground_truth, class_names=class_names)
    new = ElementTree.fromstring(text)
    for tag in ("filename", "size/width", "size/height"):
        if text_of(root, tag) != text_of(new, tag):
            _put(root, tag, text_of(new, tag))
    items = root.findall("object")
    kept = [items[number - 1] for number in numbers.tolist()]
    for row, (item, own) in enumerate(zip(kept, new.findall("object"), strict=True)):
        _update(item, own, image, row)
    for item in items:
        if not any(item is one for one in kept):
            root.remove(item)
    return ElementTree.tostring(root, encoding="unicode").rstrip() + "\n"


def _update(item: Element, new: Element, image: AnnotatedImage, row: int) -> None:
    if name_of(item) != name_of(new):
        _put(item, "name", text_of(new, "name"))
    if bool(is_set(text_of(item, "difficult"))) != bool(is_set(text_of(new, "difficult"))):
        _put(item, "difficult", text_of(new, "difficult"))
    # a polygon without a box is read, but not by other programs
    if item.find("bndbox") is None or not _has_box(item, image.ground_truth, row, image.size_hw):
        for side in ("xmin", "ymin", "xmax", "ymax"):
            _put(item, f"bndbox/{side}", text_of(new, f"bndbox/{side}"))


def _has_box(item: Element, truth: GroundTruth, row: int, size_hw: tuple[int, int]) -> bool:
    """Whether the box of an object is that of the dataset, apart from what reading cuts off without a report."""
    sides, lacking = sides_of(item)
    if lacking:
        return False
    height, width = size_hw
    stated = np.asarray(sides) - (1, 1, 0, 0)
    cut = np.clip(stated, 0.0, (width, height, width, height))
    near = bool(np.abs(cut - stated).max() <= SILENT_CLIP)
    return near and bool((cut.astype(np.float32) == truth.boxes[row]).all())


def _put(element: Element, path: str, text: str) -> None:
    """Set the text at a path, whose elements are made where they lack."""
    for tag in path.split("/"):
        found = element.find(tag)
        element = ElementTree.SubElement(element, tag) if found is None else found
    element.text = text


def elements_beyond_boxes(images: AnnotatedImages) -> Counter[tuple[str, str]]:
    """How many objects have each element that only VOC annotations have a place for.

    Raises:
        DataError: an annotation cannot be read any more, or is another one.
    """
    originals, counts = VocOriginals(images), Counter[tuple[str, str]]()
    for place in range(len(images)):
        if (found := originals.find(place)) is not None:
            root, numbers = found
            items = root.findall("object")
            for number in numbers.tolist():
                counts.update(
                    (tag, "objects") for tag in {one.tag for one in items[number - 1] if _says_something(one)}
                )
    return counts


def _says_something(element: Element) -> bool:
    return element.tag not in _KNOWN and (len(element) > 0 or (element.text or "").strip().lower() not in _NOTHING)
