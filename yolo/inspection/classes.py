"""What is odd about the classes of a dataset: names that look alike, classes without objects or not taught."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.data.account import printable
from yolo.data.descriptor import Split
from yolo.inspection.findings import Finding, Pointed

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
