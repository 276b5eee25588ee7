"""`gridyolo data check`: find everything that is wrong in a dataset, and write a repaired copy of it.

What was found is written into a run folder and printed (check_report.py); it does not depend on the number of workers.
With `--fix-into` a copy is written: upright, without unreadable images, boxes repaired. What takes a person to decide,
copies of images and wrong labels, stays. Here are the checks of files that belong to nothing or collide; left out are
those of images, copies and boxes (`images`, `duplicates`, `boxes`).
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from yolo.config import DataCheckConfig
from yolo.console import say
from yolo.curate.boxes import box_findings, class_findings, class_size_findings
from yolo.curate.check_report import CheckReport, print_report, write_report
from yolo.curate.duplicates import images_in_splits, leak_findings
from yolo.curate.findings import SEVERITIES, Finding, FindingImage, first_findings, issue_finding, kind_of
from yolo.curate.images import ImageFacts, image_findings, inspect_images, pixel_digests
from yolo.curate.write import WRITTEN_SPLITS, require_outside, write_dataset
from yolo.data.read import DatasetDescriptor, Split, find_dataset, read_split
from yolo.errors import DataError, line_of_path, printable, terminal_text
from yolo.files import new_folder, require_free
from yolo.formats.paths import Listings, is_image_name, read_text
from yolo.formats.yolo import label_file_of
from yolo.image_formats import is_unread_name, not_read
from yolo.images import DepthTally
from yolo.progress_display import ProgressDisplay

_UNREADABLE = "image_unreadable"
_XML_FOLDERS = ("Annotations", "annotations")
_NOT_LABELS = frozenset({"classes.txt", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "trainval.txt"})
_MIN_COLUMNS = 5


class _Dataset(NamedTuple):
    """A dataset as far as it could be read."""

    descriptor: DatasetDescriptor
    splits: tuple[Split, ...]
    findings: tuple[Finding, ...]  # of the readers
    whole: bool  # no split was left out

    @property
    def image_files(self) -> set[str]:
        """Every image file that some split names, whatever became of it."""
        named = {image.path for item in self.findings for image in item.images}
        return named.union(*(split.images.paths for split in self.splits))

    @property
    def inspected(self) -> list[str]:
        """Every image that can be looked at: those that were read, and those whose header could not be."""
        refused = {image.path for item in self.findings if item.kind == _UNREADABLE for image in item.images}
        return sorted(refused.union(*(split.images.paths for split in self.splits)))


def check(config: DataCheckConfig, console: Console | None = None) -> CheckReport:
    """Look for everything that is wrong in a dataset; see `DataCheckConfig`.

    Raises:
        ConfigError: the repaired copy would lie in the dataset.
        DataError: there is no dataset or no such split, or the folder for the copy is not empty.
    """
    console = console or Console(quiet=True)
    descriptor = find_dataset(Path(config.data))
    dataset = _read(descriptor, config.split)
    if config.fix_into:
        target = Path(config.fix_into).expanduser()
        require_outside(target, Path(config.data), descriptor, dataset.splits, option="--fix-into")
        require_free(target)
    facts = _inspect(dataset.inspected, config, console)
    report = _make_report(config, dataset, facts)
    readable = {path for path, one in facts.items() if not one.broken}
    write_report(report, num_files=len(facts), readable=readable, max_pictures=config.max_pictures)
    print_report(report, console)
    if config.fix_into:
        # boxes of pixels that were turned otherwise were cut to the wrong border, which cannot be undone
        turned = {image.path for item in report.findings if item.kind == "exif_ignored" for image in item.images}
        say(console, *_write_repaired(dataset, readable - turned, config))
    return report


def _inspect(paths: list[str], config: DataCheckConfig, console: Console) -> dict[str, ImageFacts]:
    """The facts about each image."""
    with ProgressDisplay(console, "reading images", len(paths)) as display:
        found = inspect_images(paths, workers=config.workers, progress=display.update)
    return dict(zip(paths, found, strict=True))


def _read(descriptor: DatasetDescriptor, wanted: str) -> _Dataset:
    """Read the splits; one that cannot be used is a finding, unless it is the one that was asked for by name."""
    names = (wanted,) if wanted else tuple(descriptor.splits)
    splits, findings = [], []
    for name in names:
        try:
            split = read_split(descriptor, name, box_policy="fix", sizes="read")
        except DataError as error:
            if wanted and wanted not in descriptor.splits:
                raise
            findings.append(Finding("split_unusable", printable(descriptor.root), name, str(error)))
            continue
        splits.append(split)
        findings += map(issue_finding, split.report.issues)
    # `trainval` is left out where it only repeats train and val: each object is to count once
    others = {path for split in splits if split.name in ("train", "val") for path in split.images.paths}
    kept = [split for split in splits if split.name != "trainval" or not others.issuperset(split.images.paths)]
    return _Dataset(descriptor, tuple(kept), tuple(findings), len(names) == len(descriptor.splits))


def _make_report(config: DataCheckConfig, dataset: _Dataset, facts: Mapping[str, ImageFacts]) -> CheckReport:
    findings, found = first_findings(_all_findings(dataset, facts, config))
    kinds = {item.kind: found[item.kind] for item in findings}
    # readers keep the first issues of a kind only, and count the others
    for split in dataset.splits:
        kept = Counter(issue.kind for issue in split.report.issues)
        for kind, count in split.report.counts.items():
            if kind in kinds:
                kinds[kind] += count - kept[kind]
    counts = dict.fromkeys(SEVERITIES, 0)
    for kind, count in kinds.items():
        counts[kind_of(kind).severity] += count
    return CheckReport(
        folder=new_folder(Path(config.runs), config.name),
        descriptor=dataset.descriptor,
        splits=dataset.splits,
        findings=tuple(findings),
        kinds=kinds,
        counts=counts,
    )


def _all_findings(dataset: _Dataset, facts: Mapping[str, ImageFacts], config: DataCheckConfig) -> Iterator[Finding]:
    stated = {item.images[0].path: item for item in dataset.findings if item.kind == "size_mismatch" and item.images}
    own = [item for path, one in facts.items() for item in image_findings(path, one, stated.get(path))]
    # what was seen in a file itself is more exact than what its header gave to the reader
    turned = {image.path for item in own if item.kind == "exif_ignored" for image in item.images}
    for item in dataset.findings:
        path = item.images[0].path if item.images else ""
        is_broken = path in facts and facts[path].broken
        if (item.kind == _UNREADABLE and is_broken) or (item.kind == "size_mismatch" and path in turned):
            continue
        yield item
    yield from own
    depths = DepthTally(config.bit_depth)
    for one in facts.values():
        depths.add(one.largest)
    yield from (Finding("bit_depth", printable(dataset.descriptor.root), "", note) for note in depths.notes())
    digests = partial(pixel_digests, workers=config.workers)
    images = images_in_splits(dataset.splits)
    yield from leak_findings(images, facts, most_bits=config.near_duplicates, digests=digests)
    # splits whose labels mean the same; without a split train each may have classes of its own
    groups: dict[tuple[str, ...], list[Split]] = {}
    for split in dataset.splits:
        yield from box_findings(split)
        groups.setdefault(split.class_names, []).append(split)
    descriptor = dataset.descriptor
    for group in groups.values():
        yield from class_size_findings(group)
        yield from class_findings(group, descriptor.root, whole=dataset.whole)
    if dataset.whole:
        sources = {source.path for sources in descriptor.splits.values() for source in sources}
        yield from file_findings(dataset.image_files, descriptor.formats, sources)


def _write_repaired(dataset: _Dataset, usable: Collection[str], config: DataCheckConfig) -> list[str]:
    """Write the copy, of usable image files only; what to say about it, in lines."""
    splits, left_out = {}, 0
    for split in dataset.splits:
        good = [index for index, path in enumerate(split.images.paths) if path in usable]
        if good and split.name in WRITTEN_SPLITS:
            splits[split.name] = replace(split, images=split.images.take(np.asarray(good, np.int64)))
        left_out += len(split.images) - len(good) * (split.name in splits)
    if not splits:
        raise DataError(f"--fix-into {config.fix_into}: no image can be used, so there is nothing to write")
    target, file_format = Path(config.fix_into).expanduser(), config.format or dataset.descriptor.format
    written = write_dataset(splits, target, format=file_format, images="copy", upright=True, bit_depth=config.bit_depth)
    lines = [f"repaired copy: {written.yaml}"]
    if left_out:
        lines.append(f"  images left out, as they are damaged or their boxes are of other pixels: {left_out}")
    return [*lines, *(f"  {note}" for note in written.notes)]


def file_findings(images: Collection[str], formats: Collection[str], sources: Collection[Path]) -> Iterator[Finding]:
    """Files that belong to nothing, and names that collide, in the folders of the images.

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
        yield from _unprintable_names(folder, names)
        counts = Counter(Path(name).suffix.lower() for name in _unread_names([folder]).values())
        yield from (Finding("pictures_not_read", printable(folder), "", text) for text in not_read(counts))
    if "yolo" in formats:
        yield from _lone_label_files(known, present, {Path(os.path.normpath(path)) for path in sources}, listings)
    if "voc" in formats:
        yield from _lone_xml_files(known, present)


def _image_names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if is_image_name(path.name))
    except OSError:  # removed, or a folder that cannot be listed though its files may be read
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


def _unprintable_names(folder: Path, names: Iterable[str]) -> Iterator[Finding]:
    for name in names:
        if (fit := terminal_text(line_of_path(Path(name)))) != name:
            path = folder / name
            yield Finding("unprintable_name", printable(path), "", f"is shown as {fit}", (FindingImage(str(path)),))


def _lone_label_files(
    known: Iterable[Path], present: Mapping[Path, list[str]], sources: Collection[Path], listings: Listings
) -> Iterator[Finding]:
    """Label files without an image; an image that is in no split is reported itself, its label file is not."""
    expected = {label_file_of(path, listings=listings) for path in known}
    stems = {Path(name).stem for names in present.values() for name in names}
    unread = _unread_names(present)
    for folder in sorted({path.parent for path in expected if path.parent.is_dir()}):
        for path in sorted(folder.glob("*.txt")):
            if path in expected or path in sources or path.stem in stems or path.name.lower() in _NOT_LABELS:
                continue
            if _looks_like_labels(path):
                yield Finding("label_without_image", printable(path), "", _no_image(path.stem, unread))


def _unread_names(folders: Iterable[Path]) -> dict[str, str]:
    """The pictures of kinds that are not read in the folders of the images, by their stem."""
    names: dict[str, str] = {}
    for folder in folders:
        with suppress(OSError):
            names |= {_composed(path.stem): path.name for path in folder.iterdir() if is_unread_name(path.name)}
    return names


def _no_image(stem: str, unread: Mapping[str, str]) -> str:
    other = unread.get(_composed(stem))
    if other is None:
        return f"there is no image {printable(stem)}"
    return f"its image {printable(other)} is of a kind that is not read; convert it to JPEG or PNG"


def _looks_like_labels(path: Path) -> bool:
    """Whether a text file holds labels or nothing; other texts may lie beside images for any reason."""
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
    unread = _unread_names(present)
    for folder in present:
        for place in dict.fromkeys(path.parent for path in _xml_places(folder, "")):
            for path in sorted(place.glob("*.xml")) if place.is_dir() else []:
                if _composed(path.stem) not in stems[folder] and not path.name.startswith("."):
                    yield Finding("annotation_not_listed", printable(path), "", _no_image(path.stem, unread))


def _composed(name: str) -> str:
    """A name with its accents in composed form (NFC)."""
    return unicodedata.normalize("NFC", name)
