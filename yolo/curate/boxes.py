"""Boxes that are fit for use and yet suspicious: on one another, too large, too small, too thin, of the wrong class.

What no reader lets pass (inverted, empty, not finite, outside) is in the account already. Boxes are xyxy in pixels.

What is odd about the classes of a dataset: names that look alike, classes without objects or not taught.

Files of a dataset that belong to nothing, or that get in each other's way. Reads names, and label files in doubt.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Int64
from yolo.curate.findings import Finding, Pointed
from yolo.data.read import Split
from yolo.errors import DataError, printable
from yolo.formats.paths import Listings, is_image_name, read_text
from yolo.formats.yolo import label_file_of

# Labelling tools leave a copy a few pixels beside the original: IoU 0.83 to 0.93 in a set of blood cells.
SAME_CLASS_IOU, OTHER_CLASS_IOU = 0.8, 0.9
# Objects of one image; a box repeated more often than that is an export gone wrong, which a few cases show.
MOST_COMPARED, _MOST_PARTNERS = 10_000, 20
LARGEST_SHARE = 0.95
# Fewer than 3 x 3 pixels where the image is scaled to 640 x 640.
SMALLEST_SHARE, SMALLEST_SIDE = 1 / 45_000, 4.0
LONGEST_ASPECT = 20.0
# Sizes of a class are compared as logarithms of the area, in robust standard deviations of the class.
# Classes whose sizes vary by more than a factor of two (0.7) say nothing by them.
_FEWEST_OF_CLASS, _FAR, _USUAL, _LEAST_SPREAD, _MOST_SPREAD = 30, 4.0, 2.0, 0.2, 0.7
_MAD_TO_SIGMA = 1.4826


def box_findings(split: Split) -> Iterator[Finding]:
    """Pairs of boxes on the same thing, and single boxes of unlikely shape; crowds are not compared.

    Images with more than 10,000 objects are reported and not compared, and a box has at most 20 partners: what somebody
    writes into a label file must not take hours.
    """
    yield from _crowded_findings(split)
    yield from _pair_findings(split)
    yield from _shape_findings(split)


def class_size_findings(splits: Sequence[Split]) -> list[Finding]:
    """Boxes that by their size belong to another class.

    Every class of 30 objects or more has a usual area: the median, and the spread around it. A box is reported that is
    over 4 spreads away from its own class's, and under 2 from another one's. Classes with a wide spread, as in photos
    taken from all distances, take no part.

    Args:
        splits: of one dataset; their labels mean the same.
    """
    areas = [np.log(np.maximum(_areas(split.images.objects.boxes), 1e-6)) for split in splits]
    labels = [split.images.objects.labels for split in splits]
    num_classes = max((len(split.class_names) for split in splits), default=0)
    centres, spreads = _usual_sizes(_joined(areas), _joined(labels).astype(np.int64), num_classes)
    found = []
    for split, area, label in zip(splits, areas, labels, strict=True):
        off = np.abs(area[:, None] - centres) / spreads  # (T, C); NaN for classes that take no part
        off = np.where(np.isnan(off), np.inf, off)
        nearest = off.argmin(axis=1) if num_classes else np.zeros(0, np.int64)
        rows = np.arange(len(area))
        own = off[rows, label] if num_classes else area
        odd = np.isfinite(own) & (own > _FAR) & (off[rows, nearest] < _USUAL) if num_classes else area > np.inf
        for row in np.flatnonzero(odd).tolist():
            name, other = split.class_names[label[row]], split.class_names[nearest[row]]
            ratio = float(np.exp(area[row] - centres[label[row]]))
            relation = f"{ratio:.1f} times as large as" if ratio > 1 else f"{1 / ratio:.0f} times smaller than"
            found.append(
                _finding(split, "unlike_its_class", [row], f"{relation} the median {name}, like a {other}: {{boxes}}")
            )
    return found


def _joined(parts: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _usual_sizes(
    areas: NDArray[np.generic], labels: Int64, num_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and spread of the log area of each class; NaN where sizes say nothing."""
    centres, spreads = np.full(num_classes, np.nan), np.full(num_classes, np.nan)
    for label, count in enumerate(np.bincount(labels, minlength=num_classes).tolist()):
        if count >= _FEWEST_OF_CLASS:
            own = areas[labels == label].astype(np.float64)
            centres[label] = np.median(own)
            spread = _MAD_TO_SIGMA * float(np.median(np.abs(own - centres[label])))
            spreads[label] = max(_LEAST_SPREAD, spread) if spread <= _MOST_SPREAD else np.nan
    return centres, spreads


def _crowded_findings(split: Split) -> Iterator[Finding]:
    counts = np.diff(split.images.offsets)
    for image in np.flatnonzero(counts > MOST_COMPARED).tolist():
        path = split.images.paths[image]
        pointed = Pointed(path, split=split.name)
        yield Finding("image_crowded", path, "", f"has {counts[image]} objects", (pointed,))


def _pair_findings(split: Split) -> Iterator[Finding]:
    objects = split.images.objects
    for a, b, overlap in sorted(_pairs(split)):
        kind = "nearly_duplicate" if objects.labels[a] == objects.labels[b] else "two_labels"
        # rounding up would speak of equal boxes, which the reader has dropped
        yield _finding(split, kind, [a, b], f"IoU {np.floor(overlap * 1000) / 1000:.3f}: {{boxes}}")


def _pairs(split: Split) -> list[tuple[int, int, float]]:
    """Pairs of rows on the same thing, the lower row first, and their IoU."""
    objects, image_index = split.images.objects, split.images.image_index
    compared = (np.diff(split.images.offsets) <= MOST_COMPARED)[image_index] & ~objects.iscrowd.astype(bool)
    rows = np.flatnonzero(compared)
    rows = rows[np.lexsort((objects.boxes[rows, 0], image_index[rows]))]
    boxes, labels, images = objects.boxes[rows].astype(np.float64), objects.labels[rows], image_index[rows]
    # IoU is at most the overlap of the sides alone, so that left sides this far apart are of different things
    reach = boxes[:, 0] + (1 / SAME_CLASS_IOU - 1) * (boxes[:, 2] - boxes[:, 0])
    partners = np.zeros(len(rows), np.int64)
    pairs: list[tuple[int, int, float]] = []
    first, distance = np.arange(len(rows)), 1
    while len(first):  # from left to right: the neighbours, those two apart, ...
        first = first[(first + distance < len(rows)) & (partners[first] < _MOST_PARTNERS)]
        second = first + distance
        near = (images[first] == images[second]) & (boxes[second, 0] <= reach[first])
        first, second = first[near], second[near]
        iou = _iou(boxes[first], boxes[second])
        hit = iou > np.where(labels[first] == labels[second], SAME_CLASS_IOU, OTHER_CLASS_IOU)
        partners[first[hit]] += 1
        ends = np.sort(np.stack([rows[first[hit]], rows[second[hit]]]), axis=0)
        pairs += zip(*ends.tolist(), iou[hit].tolist(), strict=True)
        distance += 1
    return pairs


def _shape_findings(split: Split) -> Iterator[Finding]:
    images = split.images
    x1, y1, x2, y2 = images.objects.boxes.astype(np.float64).T
    width, height = x2 - x1, y2 - y1
    height_of, width_of = images.sizes_hw.astype(np.float64).T
    share = width * height / (height_of * width_of)[images.image_index]
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    covers = (share > LARGEST_SHARE) & ~images.objects.iscrowd.astype(bool)
    tiny = (shorter < SMALLEST_SIDE) | (share < SMALLEST_SHARE)
    thin = (longer > LONGEST_ASPECT * shorter) & ~tiny
    for row in np.flatnonzero(covers).tolist():
        yield _finding(split, "box_covers_image", [row], f"{100 * share[row]:.1f} % of the image: {{boxes}}")
    for row in np.flatnonzero(tiny).tolist():
        yield _finding(split, "box_tiny", [row], f"{width[row]:.3g} x {height[row]:.3g} pixels: {{boxes}}")
    for row in np.flatnonzero(thin).tolist():
        yield _finding(split, "box_thin", [row], f"{longer[row] / shorter[row]:.0f} times as long as wide: {{boxes}}")


def _finding(split: Split, kind: str, rows: Sequence[int], message: str) -> Finding:
    """A finding about objects of one image; `{boxes}` in the message becomes what they are."""
    image = int(split.images.image_index[rows[0]])
    path = split.images.paths[image]
    boxes = [_box(split, row) for row in rows]
    names = [split.class_names[int(split.images.objects.labels[row])] for row in rows]
    text = ", ".join(
        f"{name} (" + ", ".join(f"{value:g}" for value in np.round(box, 1).tolist()) + ")"
        for name, box in zip(names, boxes, strict=True)
    )
    pointed = Pointed(path, tuple(boxes), tuple(names), split.name)
    # not format(): class names may hold braces
    return Finding(kind, path, "", message.replace("{boxes}", text), (pointed,))


def _box(split: Split, row: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = split.images.objects.boxes[row].tolist()
    return x1, y1, x2, y2


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    return np.asarray((x2 - x1) * (y2 - y1))


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of boxes row by row."""
    top_left, bottom_right = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    inter = np.prod(np.maximum(bottom_right - top_left, 0), axis=1)
    areas = np.prod(first[:, 2:] - first[:, :2], axis=1) + np.prod(second[:, 2:] - second[:, :2], axis=1)
    return np.asarray(inter / np.maximum(areas - inter, 1e-12))


_USUAL_SHARE, _FEWEST_IMAGES = 0.95, 50


def class_findings(splits: Sequence[Split], root: Path, *, whole: bool) -> list[Finding]:
    """Everything about the classes.

    Args:
        splits: those that were read; their labels mean the same.
        root: of the dataset.
        whole: these are all splits, so a class without objects has none anywhere.
    """
    if not splits:
        return []
    names = splits[0].class_names
    counts = {split.name: np.bincount(split.images.objects.labels, minlength=len(names)) for split in splits}
    found = [
        Finding("class_names_alike", printable(root), "", " and ".join(repr(name) for name in alike))
        for alike in _alike(names)
    ]
    found += [
        Finding("split_without_objects", printable(root), split.name, f"{len(split.images)} images, and no object")
        for split in splits
        if split.name != "test" and len(split.images) and not len(split.images.objects)  # a test may be held secret
    ]
    if whole:
        unused = [name for label, name in enumerate(names) if not any(count[label] for count in counts.values())]
        found += [Finding("class_unused", printable(root), "", repr(name)) for name in unused]
    if "train" in counts:
        found += _not_taught(splits, counts)
    return [*found, *_usual_missing(splits)]


def _alike(names: Sequence[str]) -> list[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_plain(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _plain(name: str) -> str:
    """A name without what does not make another class: capitals, separators, plural.

    >>> _plain("Traffic Lights"), _plain("traffic_light"), _plain("bus")
    ('trafficlight', 'trafficlight', 'bus')
    """
    letters = re.sub(r"[\s_\-.]+", "", name.casefold())
    return letters[:-1] if len(letters) > 3 and letters.endswith("s") else letters


def _not_taught(splits: Sequence[Split], counts: dict[str, NDArray[np.int64]]) -> list[Finding]:
    found = []
    for split in splits:
        for label in np.flatnonzero((counts[split.name] > 0) & (counts["train"] == 0)).tolist():
            first = int(np.flatnonzero(split.images.objects.labels == label)[0])
            image = split.images[int(split.images.image_index[first])]
            name = split.class_names[label]
            x1, y1, x2, y2 = split.images.objects.boxes[first].tolist()
            pointed = Pointed(str(image.path), ((x1, y1, x2, y2),), (name,), split.name)
            number = int(counts[split.name][label])
            message = f"{name!r} has {number} object{'s' * (number != 1)} in {split.name}, none in train"
            found.append(Finding("class_not_in_train", str(image.path), "", message, (pointed,)))
    return found


def _usual_missing(splits: Sequence[Split]) -> list[Finding]:
    """Images without a class that nearly all images have."""
    num_images = sum(len(split.images) for split in splits)
    if num_images < _FEWEST_IMAGES:
        return []
    num_classes = len(splits[0].class_names)
    found = []
    # which images have which classes, as pairs: a matrix of both would be large
    pairs = [_image_and_class(split, num_classes) for split in splits]
    with_class = sum(np.bincount(labels, minlength=num_classes) for _, labels in pairs)
    share = np.asarray(with_class) / num_images
    for label in np.flatnonzero((share >= _USUAL_SHARE) & (share < 1)).tolist():
        name, percent = splits[0].class_names[label], np.floor(1000 * share[label]) / 10
        for split, (images, labels) in zip(splits, pairs, strict=True):
            has = np.zeros(len(split.images), np.bool_)
            has[images[labels == label]] = True
            for index in np.flatnonzero(~has).tolist():
                path = split.images.paths[index]
                message = f"no {name!r}, which {percent:.1f} % of the images have"
                found.append(Finding("usual_class_missing", path, "", message, (Pointed(path, split=split.name),)))
    return found


def _image_and_class(split: Split, num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place of the image and label, each pair once."""
    keys = np.unique(split.images.image_index * num_classes + split.images.objects.labels)
    return keys // num_classes, keys % num_classes


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
