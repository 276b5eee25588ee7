"""Files of a dataset that belong to nothing, or that get in each other's way. Reads names, and label files in doubt."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from yolo.curate.findings import Finding, FindingImage
from yolo.errors import DataError, printable
from yolo.formats.paths import Listings, is_image_name, read_text
from yolo.formats.yolo import label_file_of

_XML_FOLDERS = ("Annotations", "annotations")
_NOT_LABELS = frozenset({"classes.txt", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "trainval.txt"})
_MIN_COLUMNS = 5


def file_findings(images: Collection[str], formats: Collection[str], sources: Collection[Path]) -> Iterator[Finding]:
    """What lies around the images of a dataset.

    Args:
        images: every image file that some split names, usable or not.
        formats: of its parts: `voc`, `coco`, `yolo`, `csv`.
        sources: the lists and annotation files of whole splits, which belong to no single image.
    """
    # lists may name one folder in several ways, such as a/../b
    known = {Path(os.path.normpath(path)) for path in images}
    present = {folder: _image_names(folder) for folder in sorted({path.parent for path in known})}
    listings = Listings()  # each folder is listed once, not once for every file
    for folder, names in present.items():
        for path in [folder / name for name in names]:
            if path not in known:
                yield _not_listed(path, listings)
        yield from _case_collisions(folder, names)
    if "yolo" in formats:
        yield from _lone_label_files(known, present, {Path(os.path.normpath(path)) for path in sources}, listings)
    if "voc" in formats:
        yield from _lone_xml_files(known, present)


def _image_names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if is_image_name(path.name))
    except OSError:  # gone, or closed to listing though its files may be read: what else it has cannot be said
        return []


def _not_listed(path: Path, listings: Listings) -> Finding:
    places = [label_file_of(path, listings=listings), *_xml_places(path.parent, path.stem)]
    annotated = any(listings.has_file(os.fspath(place)) for place in places)
    message = "no split names it" + (", though it is annotated" if annotated else "")
    return Finding("image_not_listed", printable(path), "", message, (FindingImage(str(path)),))


def _xml_places(folder: Path, stem: str) -> list[Path]:
    """Where the VOC annotation of an image may be."""
    return [*(folder.parent / name / f"{stem}.xml" for name in _XML_FOLDERS), folder / f"{stem}.xml"]


def _case_collisions(folder: Path, names: Iterable[str]) -> Iterator[Finding]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_composed(name).casefold(), []).append(name)
    for group in groups.values():
        if len(group) > 1:
            shown = tuple(FindingImage(str(folder / name)) for name in group[:2])
            message = " and ".join(printable(name) for name in group)
            yield Finding("case_collision", printable(folder / group[0]), "", message, shown)


def _lone_label_files(
    known: Iterable[Path], present: Mapping[Path, list[str]], sources: Collection[Path], listings: Listings
) -> Iterator[Finding]:
    """Label files without an image; an image that is in no split is reported itself, its label file is not."""
    expected = {label_file_of(path, listings=listings) for path in known}
    stems = {Path(name).stem for names in present.values() for name in names}
    for folder in sorted({path.parent for path in expected if path.parent.is_dir()}):
        for path in sorted(folder.glob("*.txt")):
            if path in expected or path in sources or path.stem in stems or path.name.lower() in _NOT_LABELS:
                continue
            if _looks_like_labels(path):
                yield Finding("label_without_image", printable(path), "", f"there is no image {printable(path.stem)}")


def _looks_like_labels(path: Path) -> bool:
    """Whether a text file holds labels or nothing; others may lie beside images for any reason."""
    try:
        lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
        for line in lines:
            float(line[0])
    except (DataError, ValueError):
        return False
    return all(len(line) >= _MIN_COLUMNS for line in lines)


def _lone_xml_files(known: Iterable[Path], present: Mapping[Path, list[str]]) -> Iterator[Finding]:
    """Annotations that no split names and that have no image; an image that no split names is reported itself."""
    stems = {folder: {_composed(Path(name).stem) for name in names} for folder, names in present.items()}
    for path in known:
        stems[path.parent].add(_composed(path.stem))
    for folder in present:
        for place in dict.fromkeys(path.parent for path in _xml_places(folder, "")):
            for path in sorted(place.glob("*.xml")) if place.is_dir() else []:
                if _composed(path.stem) not in stems[folder] and not path.name.startswith("."):
                    message = f"there is no image {printable(path.stem)}"
                    yield Finding("annotation_not_listed", printable(path), "", message)


def _composed(name: str) -> str:
    """A name in one coding of its accents."""
    return unicodedata.normalize("NFC", name)
