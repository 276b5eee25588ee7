"""One interface to the sources of all formats: list the images, name the classes, read the objects.

Left out: the formats themselves (voc.py, coco.py, yolo_txt.py, csv_boxes.py), and what a split makes of its sources
(descriptor.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from yolo.data.account import DataAccount
from yolo.data.coco import CocoEntry, CocoFile, list_coco, load_coco, names_in_coco, read_coco, report_orphans
from yolo.data.csv_boxes import CsvEntry, CsvFile, list_csv, load_csv, names_in_csv, read_csv, report_nameless_rows
from yolo.data.image_sizes import ImageSizes
from yolo.data.layouts import SplitSource
from yolo.data.raw_objects import RawSource
from yolo.data.selection import only_listed
from yolo.data.voc import VocEntry, list_voc, names_in_voc, read_voc
from yolo.data.yolo_txt import YoloEntry, list_yolo, nameless_classes, read_yolo

AnyEntry = VocEntry | CocoEntry | YoloEntry | CsvEntry
E = TypeVar("E")


class OpenFiles:
    """The files that describe many images, each read once as long as this lives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._coco: dict[Path, CocoFile] = {}
        self._csv: dict[Path, CsvFile] = {}

    def coco(self, path: Path) -> CocoFile:
        """A COCO file."""
        if path not in self._coco:
            self._coco[path] = load_coco(path)
        return self._coco[path]

    def csv(self, path: Path) -> CsvFile:
        """A CSV file."""
        if path not in self._csv:
            self._csv[path] = load_csv(path)
        return self._csv[path]


def list_entries(source: SplitSource, files: OpenFiles, *, account: DataAccount | None) -> list[AnyEntry]:
    """The images of a source.

    Args:
        source: of a split.
        files: opens its file.
        account: receives the images of `only` that it does not have; None to say nothing.
    """
    entries: list[AnyEntry]
    match source.format:
        case "voc":
            entries = [*list_voc(source.path, source.image_dir)]
        case "coco":
            entries = [*list_coco(files.coco(source.path), source.image_dir)]
        case "csv":
            entries = [*list_csv(files.csv(source.path), source.image_dir)]
        case "yolo":
            entries = [*list_yolo(source.path, files.root, source.image_dir)]
    return entries if source.only is None else only_listed(entries, source.only, account)


def stated_names(source: SplitSource, files: OpenFiles, entries: Sequence[AnyEntry]) -> tuple[str, ...]:
    """The class names that the annotations of a source have; of a YOLO source without any, `class0`, `class1`, ...

    Args:
        source: of a split.
        files: opens its file.
        entries: its images.
    """
    match source.format:
        case "voc":
            return names_in_voc(_of(VocEntry, entries))
        case "coco":
            return names_in_coco([files.coco(source.path)])
        case "csv":
            return names_in_csv([files.csv(source.path)])
        case "yolo":
            return source.names or nameless_classes(_of(YoloEntry, entries))


def report_lost(source: SplitSource, files: OpenFiles, account: DataAccount) -> None:
    """Count the objects of a source that belong to no image of it."""
    if source.format == "coco":
        report_orphans(files.coco(source.path), account)
    elif source.format == "csv":
        report_nameless_rows(files.csv(source.path), account)


def read_entries(
    source: SplitSource,
    entries: Sequence[AnyEntry],
    files: OpenFiles,
    *,
    class_names: Sequence[str],
    sizes: ImageSizes,
) -> RawSource:
    """What is annotated on some images of a source.

    Args:
        source: of a split.
        entries: from `list_entries`, each image once.
        files: opens its file.
        class_names: what the class ids of a YOLO source mean; the others know their names.
        sizes: finds the sizes of images, and has the account.
    """
    match source.format:
        case "voc":
            return read_voc(_of(VocEntry, entries), sizes=sizes)
        case "coco":
            return read_coco(files.coco(source.path), _of(CocoEntry, entries), sizes=sizes)
        case "csv":
            return read_csv(files.csv(source.path), _of(CsvEntry, entries), sizes=sizes)
        case "yolo":
            return read_yolo(_of(YoloEntry, entries), class_names=class_names, sizes=sizes)


def _of(kind: type[E], entries: Sequence[AnyEntry]) -> list[E]:
    """The entries, which are all of one kind."""
    return [entry for entry in entries if isinstance(entry, kind)]
