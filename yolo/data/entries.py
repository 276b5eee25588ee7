"""The images of a split: what each source lists, the hold-out, the list of `only`, each image once, each id once.

One interface to the sources of all formats: list the images, name the classes, read the objects. Left out: the
formats themselves (yolo.formats), and what a split makes of its sources (read.py).
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

from yolo.data.descriptor import SplitSource
from yolo.errors import printable
from yolo.formats.coco import CocoEntry, by_ascending_id, list_coco, load_coco, read_coco, report_orphans
from yolo.formats.createml import load_createml
from yolo.formats.csv import load_csv
from yolo.formats.cvat import load_cvat
from yolo.formats.issues import ReadReport
from yolo.formats.label_studio import load_label_studio
from yolo.formats.labelme import load_labelme
from yolo.formats.named_boxes import NamedBoxes, NamedEntry, list_named, names_in_file, read_named, report_nameless
from yolo.formats.objects import RawSource
from yolo.formats.paths import ImageSizes, SourceFormat, named_file, read_text
from yolo.formats.via import load_via
from yolo.formats.voc import VocEntry, list_voc, names_in_voc, read_voc
from yolo.formats.yolo import YoloEntry, list_yolo, nameless_classes, read_yolo

# of the formats whose boxes stand under the name of their image
_LOADERS: Mapping[SourceFormat, Callable[[Path], NamedBoxes]] = MappingProxyType(
    {
        "createml": load_createml,
        "csv": load_csv,
        "cvat": load_cvat,
        "labelme": load_labelme,
        "labelstudio": load_label_studio,
        "via": load_via,
    }
)
_ONE_IN = 5  # the share of the images that is held out where there is no validation split


class Entry(Protocol):
    """An image that a source lists, of whatever format."""

    @property
    def image_id(self) -> str:
        """Its id, which images of other folders may share."""

    @property
    def image(self) -> str:
        """Its file."""


EntryT = TypeVar("EntryT", bound=Entry)


def held_out_ids(image_ids: Collection[str]) -> frozenset[str]:
    """A fifth of the ids, at least one of two or more, chosen by a hash.

    Depends on the ids alone, not on their order, and hardly moves when images are added.
    """
    distinct = set(image_ids)
    if len(distinct) < 2:
        return frozenset()
    ranked = sorted(distinct, key=lambda image_id: hashlib.sha256(image_id.encode()).digest())
    return frozenset(ranked[: max(1, round(len(ranked) / _ONE_IN))])


def select(sources: Sequence[SplitSource], list_source: Callable[[SplitSource], list[EntryT]]) -> list[list[EntryT]]:
    """For each source what it lists, less what its `part` leaves to the other split.

    All sources are ranked together: an image that two of them list is not held out of one and trained on by the
    other.
    """
    listed = [(source, list_source(source)) for source in sources]
    held_out = held_out_ids({e.image_id for source, entries in listed if source.part != "all" for e in entries})
    return [
        [
            entry
            for entry in entries
            if source.part == "all" or (source.part == "held_out") == (entry.image_id in held_out)
        ]
        for source, entries in listed
    ]


def only_listed(entries: list[EntryT], only: Path, report: ReadReport | None) -> list[EntryT]:
    """The entries of a source whose image is in a list: a text file with one path a line, relative to its folder.

    `report` receives the lines that do not name an image of the source; None to say nothing.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_text(only).split("\n"), start=1)]
    wanted = {
        os.path.normpath(named_file(only.parent, line)): (number, line)
        for number, line in lines
        if line and not line.startswith("#")
    }
    kept = []
    for entry in entries:
        if (place := os.path.normpath(entry.image)) in wanted:
            kept.append(entry)
            wanted[place] = (0, "")
    for number, line in wanted.values():
        if number and report is not None:
            message = f"line {number} of {printable(only)}: {line[:300]!r} is not an image of this source"
            report.drop_image(only.parent / line, "image_missing", printable(message))
    return kept


def once(entries: Sequence[list[EntryT]], report: ReadReport) -> list[list[EntryT]]:
    """The entries of all sources, each image once; further mentions are counted."""
    seen: set[tuple[str, str]] = set()
    kept: list[list[EntryT]] = []
    for of_source in entries:
        kept.append([])
        for entry in of_source:
            key = (entry.image_id, entry.image)
            if key in seen:
                message = f"{entry.image_id!r} is listed more than once"
                report.drop_image(entry.image, "image_listed_twice", message)
            else:
                kept[-1].append(entry)
            seen.add(key)
    return kept


def unique_ids(image_ids: Sequence[str], paths: Sequence[str], root: Path) -> list[str]:
    """The ids, each once: images of the same name from different folders get their path below the root as id."""
    counts = Counter(image_ids)
    taken = {image_id for image_id, count in counts.items() if count == 1}
    base = root.as_posix().rstrip("/") + "/"
    unique = []
    for own, path in zip(image_ids, paths, strict=True):
        image_id = own
        if counts[own] > 1:
            image_id = first = printable(Path(path).as_posix().removeprefix(base))
            number = 1
            while image_id in taken:
                number += 1
                image_id = f"{first}#{number}"
            taken.add(image_id)
        unique.append(image_id)
    return unique


AnyEntry = VocEntry | CocoEntry | YoloEntry | NamedEntry
E = TypeVar("E")


class OpenFiles:
    """The files of a dataset that describe many images, each read once as long as this lives.

    `images_needed` says whether the images have to be there; an evaluation does without.
    """

    def __init__(self, root: Path, *, images_needed: bool = True) -> None:
        self.root = root
        self.images_needed = images_needed
        self.coco = cache(load_coco)
        self._named = cache(lambda path, form: _LOADERS[form](path))

    def named(self, source: SplitSource) -> NamedBoxes:
        """The boxes of a source that stand under the names of images."""
        found: NamedBoxes = self._named(source.path, source.format)
        return found


def list_entries(source: SplitSource, files: OpenFiles, *, report: ReadReport | None) -> list[AnyEntry]:
    """The images of a source; `report` receives the images of `only` that it does not have, None to say nothing."""
    entries: list[AnyEntry]
    match source.format:
        case "voc":
            entries = [*list_voc(source.path, source.image_dir)]
        case "coco":
            entries = [*list_coco(files.coco(source.path), source.image_dir, needed=files.images_needed, report=report)]
        case "yolo":
            entries = [*list_yolo(source.path, files.root, source.image_dir, report=report)]
        case _:
            entries = [*list_named(files.named(source), source.image_dir, needed=files.images_needed, report=report)]
    return entries if source.only is None else only_listed(entries, source.only, report)


def stated_names(source: SplitSource, files: OpenFiles, entries: Sequence[AnyEntry]) -> tuple[str, ...]:
    """The class names that the annotations of a source have; of a YOLO source without any, `class0`, `class1`, ..."""
    match source.format:
        case "voc":
            return names_in_voc(_of(VocEntry, entries))
        case "coco":
            return tuple(files.coco(source.path).categories.values())
        case "yolo":
            return source.names or nameless_classes(_of(YoloEntry, entries))
        case _:
            return names_in_file(files.named(source))


def report_lost(source: SplitSource, files: OpenFiles, report: ReadReport) -> None:
    """Count the objects of a source that belong to no image of it."""
    if source.format == "coco":
        report_orphans(files.coco(source.path), report)
    elif source.format in _LOADERS:
        report_nameless(files.named(source), report)


def read_entries(
    source: SplitSource, entries: Sequence[AnyEntry], files: OpenFiles, *, class_names: Sequence[str], sizes: ImageSizes
) -> RawSource:
    """What is annotated on some images of a source, each given once.

    `class_names` are what the class ids of a YOLO source mean; the others know their names.
    """
    match source.format:
        case "voc":
            return read_voc(_of(VocEntry, entries), sizes=sizes)
        case "coco":
            file, own = files.coco(source.path), _of(CocoEntry, entries)
            return read_coco(file, own if sizes.needed else by_ascending_id(file, own), sizes=sizes)
        case "yolo":
            own_names, key_points = class_names, source.key_points
            return read_yolo(_of(YoloEntry, entries), class_names=own_names, sizes=sizes, key_points=key_points)
        case _:
            return read_named(files.named(source), _of(NamedEntry, entries), sizes=sizes)


def _of(kind: type[E], entries: Sequence[AnyEntry]) -> list[E]:
    """The entries, which are all of one kind."""
    return [entry for entry in entries if isinstance(entry, kind)]
