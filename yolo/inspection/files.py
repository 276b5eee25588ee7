"""Files of a dataset that belong to nothing, or that get in each other's way. Reads names, and label files in doubt."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from yolo.data.account import printable
from yolo.data.listing import Listings, is_image_name, read_text
from yolo.data.yolo_txt import label_file_of
from yolo.errors import DataError
from yolo.inspection.findings import Finding, Pointed

_XML_FOLDERS = ("Annotations", "annotations")
_NOT_LABELS = frozenset({"classes.txt", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "trainval.txt"})
_FEWEST_COLUMNS = 5


def file_findings(images: Collection[str], formats: Collection[str], sources: Collection[Path]) -> list[Finding]:
    """What lies around the images of a dataset.

    Args:
        images: every image file that some split names, usable or not.
        formats: of its parts: `voc`, `coco`, `yolo`, `csv`.
        sources: the lists and annotation files of whole splits, which belong to no single image.
    """
    # lists may name one folder in several ways, such as a/../b
    known = {Path(os.path.normpath(path)) for path in images}
    sources = {Path(os.path.normpath(path)) for path in sources}
    folders = sorted({path.parent for path in known})
    listings = Listings()  # each folder is listed once, not once for every file
    present = {folder: _names_in(folder) for folder in folders}
    found = [
        _not_listed(folder / name, listings)
        for folder, names in present.items()
        for name in names
        if is_image_name(name) and folder / name not in known
    ]
    found += _case_collisions(present)
    if "yolo" in formats:
        found += _lone_label_files(known, set(sources), listings)
    if "voc" in formats:
        found += _unlisted_xml(known, folders)
    return found


def _not_listed(path: Path, listings: Listings) -> Finding:
    places = [label_file_of(path, listings=listings), *_xml_places(path.parent, path.stem)]
    annotated = any(listings.has_file(os.fspath(place)) for place in places)
    message = "no split names it" + (", though it is annotated" if annotated else "")
    return Finding("image_not_listed", printable(path), "", message, (Pointed(str(path)),))


def _xml_places(folder: Path, stem: str) -> list[Path]:
    """Where the VOC annotation of an image may be."""
    return [*(folder.parent / name / f"{stem}.xml" for name in _XML_FOLDERS), folder / f"{stem}.xml"]


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:  # gone, or closed to listing though its files may be read: what else it has cannot be said
        return []


def _case_collisions(present: dict[Path, list[str]]) -> list[Finding]:
    found = []
    for folder, names in present.items():
        groups: dict[str, list[str]] = {}
        for name in names:
            if is_image_name(name):
                groups.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
        for group in groups.values():
            if len(group) > 1:
                shown = tuple(Pointed(str(folder / name)) for name in group[:2])
                message = " and ".join(printable(name) for name in group)
                found.append(Finding("case_collision", printable(folder / group[0]), "", message, shown))
    return found


def _lone_label_files(known: Iterable[Path], sources: Collection[Path], listings: Listings) -> list[Finding]:
    """Label files whose image is in no split.

    An image that exists, but is in no split, is reported itself; its label file is not.
    """
    expected = {label_file_of(path, listings=listings) for path in known}
    folders = sorted({path.parent for path in expected if path.parent.is_dir()})
    lone = [
        path
        for folder in folders
        for path in sorted(folder.glob("*.txt"))
        if path not in expected and path not in sources and path.name.lower() not in _NOT_LABELS
    ]
    stems = {path.with_suffix("").name for folder in {path.parent for path in known} for path in _images_in(folder)}
    return [
        Finding("label_without_image", printable(path), "", f"there is no image {printable(path.stem)}")
        for path in lone
        if path.stem not in stems and _looks_like_labels(path)
    ]


def _images_in(folder: Path) -> list[Path]:
    return [folder / name for name in _names_in(folder) if is_image_name(name)]


def _looks_like_labels(path: Path) -> bool:
    """Whether a text file holds labels or nothing; others may lie beside images for any reason."""
    try:
        lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    except DataError:
        return False
    return all(len(line) >= _FEWEST_COLUMNS and _is_number(line[0]) for line in lines)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unlisted_xml(known: Iterable[Path], folders: Sequence[Path]) -> list[Finding]:
    """Annotations that no split names and that have no image; an image that no split names is reported itself."""
    stems = {folder: {_key(path.stem) for path in _images_in(folder)} for folder in folders}
    for path in known:
        stems[path.parent].add(_key(path.stem))
    found = []
    for folder in folders:
        places = dict.fromkeys(path.parent for path in _xml_places(folder, ""))
        found += [
            Finding("annotation_not_listed", printable(path), "", f"there is no image {printable(path.stem)}")
            for place in places
            for path in (sorted(place.glob("*.xml")) if place.is_dir() else [])
            if _key(path.stem) not in stems[folder] and not path.name.startswith(".")
        ]
    return found


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)
