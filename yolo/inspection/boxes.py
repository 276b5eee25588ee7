"""Boxes that are fit for use and yet suspicious: on one another, too large, too small, too thin, of the wrong class.

What no reader lets pass (inverted, empty, not finite, outside) is in the account already. Boxes are xyxy in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from yolo.data.descriptor import Split
from yolo.inspection.findings import Finding, Pointed

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

Int64 = NDArray[np.int64]


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
