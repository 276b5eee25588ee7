"""Annotations that look wrong: boxes on one another, of unlikely shape or of another class's size, and odd classes.

Boxes that are inverted, empty, not finite or outside have been reported by the reader. Boxes are xyxy in pixels; T is
the number of objects of a split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from yolo.arrays import Float32, Float64, Int64
from yolo.boxes import iou as box_iou
from yolo.curate.findings import Finding, FindingImage
from yolo.data.read import Split
from yolo.errors import printable

# Labelling tools leave a copy a few pixels beside the original: IoU 0.83 to 0.93 in a set of blood cells.
_SAME_CLASS_IOU, _OTHER_CLASS_IOU = 0.8, 0.9
# Objects of one image; a box repeated more often than that is an export gone wrong, which a few cases show.
_MAX_COMPARED, _MAX_PARTNERS = 10_000, 20
_LARGEST_SHARE = 0.95
# Fewer than 3 x 3 pixels where the image is scaled to 640 x 640.
_SMALLEST_SHARE, _SMALLEST_SIDE = 1 / 45_000, 4.0
_LONGEST_ASPECT = 20.0
# Sizes of a class are compared as logarithms of the area, in robust standard deviations of the class.
# Classes whose sizes vary by more than a factor of two (0.7) say nothing by them.
_MIN_OF_CLASS, _FAR, _USUAL, _MIN_SPREAD, _MAX_SPREAD = 30, 4.0, 2.0, 0.2, 0.7
_MAD_TO_SIGMA = 1.4826  # of a normal distribution, from the median absolute deviation
# A class that so large a share of the images has is expected on each, where there are so many images.
_USUAL_SHARE, _MIN_IMAGES = 0.95, 50


def box_findings(split: Split) -> Iterator[Finding]:
    """Pairs of boxes on the same thing, and single boxes of unlikely shape; crowds are not compared.

    Images with more than 10,000 objects are reported and not compared, and a box has at most 20 partners, so that no
    label file takes hours.
    """
    counts = np.diff(split.images.offsets)
    for image in np.flatnonzero(counts > _MAX_COMPARED).tolist():
        path = split.images.paths[image]
        pointed = FindingImage(path, split=split.name)
        yield Finding("image_crowded", path, "", f"has {counts[image]} objects", (pointed,))
    labels = split.images.objects.labels
    for a, b, overlap in sorted(_overlapping_pairs(split)):
        kind = "nearly_duplicate" if labels[a] == labels[b] else "two_labels"
        # rounding up would speak of equal boxes, which the reader has dropped
        yield _finding(split, kind, [a, b], f"IoU {np.floor(overlap * 1000) / 1000:.3f}")
    yield from _shape_findings(split)


def _overlapping_pairs(split: Split) -> list[tuple[int, int, float]]:
    """Pairs of rows on the same thing, the lower row first, and their IoU."""
    objects, image_index = split.images.objects, split.images.image_index
    compared = (np.diff(split.images.offsets) <= _MAX_COMPARED)[image_index] & ~objects.iscrowd.astype(bool)
    rows = np.flatnonzero(compared)
    rows = rows[np.lexsort((objects.boxes[rows, 0], image_index[rows]))]
    boxes, labels, images = objects.boxes[rows].astype(np.float64), objects.labels[rows], image_index[rows]
    # IoU is at most the overlap of the sides alone, so that left sides this far apart are of different things
    reach = boxes[:, 0] + (1 / _SAME_CLASS_IOU - 1) * (boxes[:, 2] - boxes[:, 0])
    partners = np.zeros(len(rows), np.int64)
    pairs: list[tuple[int, int, float]] = []
    first, distance = np.arange(len(rows)), 1
    while len(first):  # from left to right: the neighbours, those two apart, ...
        first = first[(first + distance < len(rows)) & (partners[first] < _MAX_PARTNERS)]
        second = first + distance
        near = (images[first] == images[second]) & (boxes[second, 0] <= reach[first])
        first, second = first[near], second[near]
        iou = box_iou(torch.from_numpy(boxes[first]), torch.from_numpy(boxes[second])).numpy()
        hit = iou > np.where(labels[first] == labels[second], _SAME_CLASS_IOU, _OTHER_CLASS_IOU)
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
    covers = (share > _LARGEST_SHARE) & ~images.objects.iscrowd.astype(bool)
    tiny = (shorter < _SMALLEST_SIDE) | (share < _SMALLEST_SHARE)
    thin = (longer > _LONGEST_ASPECT * shorter) & ~tiny
    for row in np.flatnonzero(covers).tolist():
        yield _finding(split, "box_covers_image", [row], f"{100 * share[row]:.1f} % of the image")
    for row in np.flatnonzero(tiny).tolist():
        yield _finding(split, "box_tiny", [row], f"{width[row]:.3g} x {height[row]:.3g} pixels")
    for row in np.flatnonzero(thin).tolist():
        yield _finding(split, "box_thin", [row], f"{longer[row] / shorter[row]:.0f} times as long as wide")


def class_size_findings(splits: Sequence[Split]) -> Iterator[Finding]:
    """Boxes that by their size belong to another class.

    Every class of 30 objects or more has a usual area: the median, and the spread around it. A box is reported that is
    over 4 spreads away from its own class's, and under 2 from another one's. Classes with a wide spread, as in photos
    taken from all distances, are left out. The labels of all splits mean the same.
    """
    if not splits or not splits[0].class_names:
        return
    areas, labels = [_log_areas(split) for split in splits], [split.images.objects.labels for split in splits]
    centres, spreads = _usual_sizes(np.concatenate(areas), np.concatenate(labels), len(splits[0].class_names))
    for split, area, label in zip(splits, areas, labels, strict=True):
        own = np.abs(area - centres[label]) / spreads[label]  # (T,); NaN for classes that are left out
        for row in np.flatnonzero(own > _FAR).tolist():  # few: a table of all objects and classes would be large
            off = np.abs(area[row] - centres) / spreads  # (C,)
            nearest = int(np.nanargmin(off))
            if off[nearest] >= _USUAL:
                continue
            name, other = split.class_names[label[row]], split.class_names[nearest]
            ratio = float(np.exp(area[row] - centres[label[row]]))
            relation = f"{ratio:.1f} times" if ratio > 1 else f"1/{1 / ratio:.0f} of"
            message = f"{relation} the area of a typical {name}, typical of the class {other}"
            yield _finding(split, "unlike_its_class", [row], message)


def _log_areas(split: Split) -> Float64:
    """(T,) logarithms of the areas of a split's boxes."""
    x1, y1, x2, y2 = split.images.objects.boxes.astype(np.float64).T
    return np.asarray(np.log(np.maximum((x2 - x1) * (y2 - y1), 1e-6)))


def _usual_sizes(areas: Float64, labels: Int64, num_classes: int) -> tuple[Float64, Float64]:
    """(C,) median and spread of the log area of each class; NaN where the sizes vary too much or are too few."""
    centres, spreads = np.full(num_classes, np.nan), np.full(num_classes, np.nan)
    for label, count in enumerate(np.bincount(labels, minlength=num_classes).tolist()):
        if count >= _MIN_OF_CLASS:
            own = areas[labels == label]
            centres[label] = np.median(own)
            spread = _MAD_TO_SIGMA * float(np.median(np.abs(own - centres[label])))
            spreads[label] = max(_MIN_SPREAD, spread) if spread <= _MAX_SPREAD else np.nan
    return centres, spreads


def class_findings(splits: Sequence[Split], root: Path, *, whole: bool) -> list[Finding]:
    """Names that look alike, classes without objects or not in train, images without a class that nearly all have.

    Args:
        splits: those that were read; their labels mean the same.
        root: of the dataset.
        whole: these are all splits, so a class without objects has none anywhere.
    """
    if not splits:
        return []
    names, dataset = splits[0].class_names, printable(root)
    counts = {split.name: np.bincount(split.images.objects.labels, minlength=len(names)) for split in splits}
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_plain(name), []).append(name)
    found = [
        Finding("class_names_alike", dataset, "", " and ".join(map(repr, alike)))
        for alike in groups.values()
        if len(alike) > 1
    ]
    found += [
        Finding("split_without_objects", dataset, split.name, f"{len(split.images)} images, and no object")
        for split in splits
        if split.name != "test" and len(split.images) and not len(split.images.objects)  # a test may be held secret
    ]
    if whole:
        unused = [name for label, name in enumerate(names) if not any(count[label] for count in counts.values())]
        found += [Finding("class_unused", dataset, "", repr(name)) for name in unused]
    if "train" in counts:
        for split in splits:
            for label in np.flatnonzero((counts[split.name] > 0) & (counts["train"] == 0)).tolist():
                found.append(_not_in_train(split, label, int(counts[split.name][label])))
    return [*found, *_usual_missing(splits)]


def _plain(name: str) -> str:
    """A name without what does not make another class: capitals, separators, plural.

    >>> _plain("Traffic Lights"), _plain("traffic_light"), _plain("bus")
    ('trafficlight', 'trafficlight', 'bus')
    """
    letters = re.sub(r"[\s_\-.]+", "", name.casefold())
    return letters[:-1] if len(letters) > 3 and letters.endswith("s") else letters


def _not_in_train(split: Split, label: int, count: int) -> Finding:
    row, name = int(np.flatnonzero(split.images.objects.labels == label)[0]), split.class_names[label]
    message = f"{name!r} has {count} object{'s' * (count != 1)} in {split.name}, none in train"
    pointed = _pointed(split, [row])
    return Finding("class_not_in_train", pointed.path, "", message, (pointed,))


def _usual_missing(splits: Sequence[Split]) -> Iterator[Finding]:
    """Images without a class that nearly all images have."""
    num_images = sum(len(split.images) for split in splits)
    if num_images < _MIN_IMAGES:
        return
    num_classes = len(splits[0].class_names)
    # which images have which classes, as pairs: a matrix of both would be large
    pairs = [_images_and_classes(split, num_classes) for split in splits]
    with_class = np.sum([np.bincount(labels, minlength=num_classes) for _, labels in pairs], axis=0)
    share = with_class / num_images
    for label in np.flatnonzero((share >= _USUAL_SHARE) & (share < 1)).tolist():
        percent = np.floor(1000 * share[label]) / 10
        message = f"no {splits[0].class_names[label]!r}, which {percent:.1f} % of the images have"
        for split, (images, labels) in zip(splits, pairs, strict=True):
            for index in np.setdiff1d(np.arange(len(split.images)), images[labels == label]).tolist():
                path = split.images.paths[index]
                yield Finding("usual_class_missing", path, "", message, (FindingImage(path, split=split.name),))


def _images_and_classes(split: Split, num_classes: int) -> tuple[Int64, Int64]:
    """Place of the image and label, each pair once."""
    keys = np.unique(split.images.image_index * num_classes + split.images.objects.labels)
    return keys // num_classes, keys % num_classes


def _finding(split: Split, kind: str, rows: Sequence[int], message: str) -> Finding:
    """A finding about objects of one image; what they are is appended to the message."""
    pointed = _pointed(split, rows)
    objects = [
        f"{name} ({', '.join(f'{value:g}' for value in np.round(box, 1).tolist())})"
        for name, box in zip(pointed.captions, pointed.boxes, strict=True)
    ]
    return Finding(kind, pointed.path, "", f"{message}: {', '.join(objects)}", (pointed,))


def _pointed(split: Split, rows: Sequence[int]) -> FindingImage:
    """Objects of one image."""
    boxes: Float32 = split.images.objects.boxes[list(rows)]
    names = tuple(split.class_names[label] for label in split.images.objects.labels[list(rows)].tolist())
    path = split.images.paths[int(split.images.image_index[rows[0]])]
    return FindingImage(path, tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()), names, split.name)
