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
LARGEST_SHARE = 0.95
# Fewer than 3 x 3 pixels where the image is scaled to 640 x 640.
SMALLEST_SHARE, SMALLEST_SIDE = 1 / 45_000, 4.0
LONGEST_ASPECT = 20.0
# Sizes of a class are compared as logarithms of the area, in robust standard deviations of the class.
# Classes whose sizes vary by more than a factor of two (0.7) say nothing by them.
_FEWEST_OF_CLASS, _FAR, _USUAL, _LEAST_SPREAD, _MOST_SPREAD = 30, 4.0, 2.0, 0.2, 0.7
_MAD_TO_SIGMA = 1.4826

Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


def box_findings(split: Split) -> list[Finding]:
    """Pairs of boxes on the same thing, and single boxes of unlikely shape; crowds are not compared."""
    return [*_pair_findings(split), *_shape_findings(split)]


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


def _pair_findings(split: Split) -> list[Finding]:
    objects, image_index = split.images.objects, split.images.image_index
    pairs: list[tuple[int, int, float]] = []
    for first, second in _pairs_on_images(image_index):
        iou = _iou(objects.boxes[first].astype(np.float64), objects.boxes[second].astype(np.float64))
        same = objects.labels[first] == objects.labels[second]
        one = ~(objects.iscrowd[first].astype(bool) | objects.iscrowd[second].astype(bool))
        hit = one & (iou > np.where(same, SAME_CLASS_IOU, OTHER_CLASS_IOU))
        pairs += zip(first[hit].tolist(), second[hit].tolist(), iou[hit].tolist(), strict=True)
    found = []
    for a, b, overlap in sorted(pairs):
        same_class = objects.labels[a] == objects.labels[b]
        kind = "nearly_duplicate" if same_class else "two_labels"
        # rounding up would speak of equal boxes, which the reader has dropped
        found.append(_finding(split, kind, [a, b], f"IoU {np.floor(overlap * 1000) / 1000:.3f}: {{boxes}}"))
    return found


def _pairs_on_images(image_index: Int64) -> Iterator[tuple[Int64, Int64]]:
    """All pairs of objects on the same image, in few large arrays: the neighbours, those two apart, ..."""
    row, distance = np.arange(len(image_index)), 1
    while len(row):
        row = row[row + distance < len(image_index)]
        row = row[image_index[row] == image_index[row + distance]]
        yield row, row + distance
        distance += 1


def _shape_findings(split: Split) -> list[Finding]:
    images = split.images
    x1, y1, x2, y2 = images.objects.boxes.astype(np.float64).T
    width, height = x2 - x1, y2 - y1
    height_of, width_of = images.sizes_hw.astype(np.float64).T
    share = width * height / (height_of * width_of)[images.image_index]
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    covers = (share > LARGEST_SHARE) & ~images.objects.iscrowd.astype(bool)
    tiny = (shorter < SMALLEST_SIDE) | (share < SMALLEST_SHARE)
    thin = (longer > LONGEST_ASPECT * shorter) & ~tiny
    found = [
        _finding(split, "box_covers_image", [row], f"{100 * share[row]:.1f} % of the image: {{boxes}}")
        for row in np.flatnonzero(covers).tolist()
    ]
    found += [
        _finding(split, "box_tiny", [row], f"{width[row]:.3g} x {height[row]:.3g} pixels: {{boxes}}")
        for row in np.flatnonzero(tiny).tolist()
    ]
    found += [
        _finding(split, "box_thin", [row], f"{longer[row] / shorter[row]:.0f} times as long as wide: {{boxes}}")
        for row in np.flatnonzero(thin).tolist()
    ]
    return found


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
