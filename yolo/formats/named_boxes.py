"""Boxes that stand under the name of their image, many images in one file: CSV, and what annotation tools write.

A loader (csv.py, cvat.py, createml.py, labelme.py, label_studio.py, via.py) yields a `NamedBoxes`; listing its images
and reading them is the same for all. Boxes are xyxy in continuous pixels from 0, or in fractions of the image.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from yolo.errors import DataError, printable
from yolo.formats.image_names import ImageNames
from yolo.formats.issues import LineFault, ReadReport
from yolo.formats.objects import RawObject, RawSource, object_columns, sizes_array
from yolo.formats.paths import ImageSizes, path_id


class NamedObject(NamedTuple):
    """An object of an image."""

    line: int  # in the file, or which object of it this is, from 1
    class_name: str
    sides: tuple[float, float, float, float]  # xyxy, pixels or fractions
    difficult: bool = False
    iscrowd: bool = False
    area: float = math.nan


@dataclass(slots=True)
class NamedImage:
    """An image, and what the file says of it."""

    name: str
    line: int
    image_id: str = ""
    stated_hw: tuple[Any, Any] = (None, None)
    objects: list[NamedObject] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)  # objects that cannot be used
    unclear_flags: list[tuple[int, str]] = field(default_factory=list)  # line, name of the column
    path: Path | None = None  # the file that it stands in, where that is its own
    broken: str = ""  # why its file cannot be read; empty where it can


@dataclass(slots=True)
class NamedBoxes:
    """The images of a file, or of the files of a folder."""

    path: Path
    normalised: bool = False  # boxes are in fractions of the image
    images: dict[str, NamedImage] = field(default_factory=dict)  # by their name, in the order of the file
    faults: list[LineFault] = field(default_factory=list)  # of no image
    unit: str = "object"  # what `line` counts
    notes: list[str] = field(default_factory=list)  # what was decided for the user

    def image(self, name: str, line: int) -> NamedImage:
        """The image of a name, made if it is not known yet; backslashes separate folders."""
        name = name.replace("\\", "/")
        return self.images.setdefault(name, NamedImage(name, line))

    def where(self, line: int) -> str:
        """A place in the file."""
        return f"{self.unit} {line}"


class NamedEntry(NamedTuple):
    """One image of a file."""

    image_id: str
    image: str  # empty where its folder is not known
    content: NamedImage


def list_named(
    file: NamedBoxes, image_dir: Path | None, *, needed: bool = True, report: ReadReport | None = None
) -> list[NamedEntry]:
    """The images of a file.

    Args:
        file: from a loader.
        image_dir: what names are relative to; None to look for it around the file.
        needed: the images have to be there, as they always have for boxes in fractions of them.
        report: gets a note where images are not found by their names as they stand.

    Raises:
        DataError: none of the places has the images; they are listed.
    """
    try:
        names = ImageNames(file.path, list(file.images), image_dir)
    except DataError:
        if needed or file.normalised:
            raise
        names = None
    if names is not None and names.note and report is not None:
        report.notes.append(names.note)
    entries = []
    for content in file.images.values():
        image = "" if names is None else names.file_of(content.name)
        image_id = content.image_id or path_id(image or content.name, "" if names is None else names.folder)
        entries.append(NamedEntry(printable(image_id), image, content))
    return entries


def report_nameless(file: NamedBoxes, report: ReadReport) -> None:
    """Count what names no image, and pass the notes of the loader on."""
    report.notes += file.notes
    for line, kind, message in file.faults:
        report.drop_object(file.path, file.where(line), kind, message)


def names_in_file(file: NamedBoxes) -> tuple[str, ...]:
    """The distinct class names of a file, sorted."""
    return tuple(sorted({found.class_name for image in file.images.values() for found in image.objects}))


def read_named(file: NamedBoxes, entries: Sequence[NamedEntry], *, sizes: ImageSizes) -> RawSource:
    """What is annotated on some images of a file, each given once; `sizes` has the report."""
    names = names_in_file(file)
    labels = {name: label for label, name in enumerate(names)}
    kept: list[NamedEntry] = []
    places: list[tuple[str, tuple[int, int]]] = []  # file, height and width of each
    rows: list[RawObject] = []
    for entry in entries:
        content = entry.content
        own = content.path or file.path
        if content.broken:
            sizes.report.drop_image(own, "annotation_unreadable", content.broken, image=entry.image)
            continue
        place = sizes.find(entry.image, content.stated_hw, fractions=file.normalised)
        if place is None:
            continue
        path, size_hw = place
        where = "" if content.path else file.where(content.line)
        sizes.compare(size_hw, content.stated_hw, path=own, where=where, image=path)
        for line, kind, message in content.faults:
            sizes.report.drop_object(own, file.where(line), kind, message, image=path)
        height, width = size_hw if file.normalised else (1, 1)
        for line, name, (x1, y1, x2, y2), difficult, iscrowd, area in content.objects:
            box = (x1 * width, y1 * height, x2 * width, y2 * height)
            rows.append(RawObject(*box, labels[name], len(kept), line, difficult, iscrowd, area))
        for line, name in content.unclear_flags:
            sizes.report.add_issue(own, file.where(line), "unclear_flag", f"{name} is neither 0 nor 1", image=path)
        kept.append(entry)
        places.append(place)
    objects, numbers = object_columns(rows)
    return RawSource(
        image_ids=[entry.image_id for entry in kept],
        paths=[path for path, _ in places],
        sizes_hw=sizes_array([size_hw for _, size_hw in places]),
        objects=objects,
        numbers=numbers,
        class_names=names,
        place=lambda image, line: (os.fspath(kept[image].content.path or file.path), file.where(line)),
        file_names=[entry.content.name for entry in kept],
    )
