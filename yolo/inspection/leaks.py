"""Copies among the images of a dataset, what they mean for its splits, and whether their annotations agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from yolo.data.account import printable
from yolo.data.descriptor import Split
from yolo.inspection.duplicates import Group, equal_groups, near_groups
from yolo.inspection.findings import Finding, Pointed
from yolo.inspection.image_facts import ImageFacts

_NAMED = 6  # members of a group that a message names
_SAME_BOX = 2.0  # pixels that copies of a box may differ


class Placed(NamedTuple):
    """An image and the splits that it is in, `trainval` only if neither train nor val has it."""

    path: str
    splits: tuple[str, ...]
    places: tuple[tuple[Split, int], ...]  # where it is annotated


def placed_images(splits: Iterable[Split]) -> list[Placed]:
    """Every image file once, sorted by path."""
    places: dict[str, list[tuple[Split, int]]] = {}
    for split in splits:
        for index in range(len(split.images)):
            places.setdefault(split.images.paths[index], []).append((split, index))
    placed = []
    for path, found in sorted(places.items()):
        names = list(dict.fromkeys(split.name for split, _ in found))
        if "trainval" in names and {"train", "val"} & set(names):
            names.remove("trainval")
        placed.append(Placed(path, tuple(names), tuple(found)))
    return placed


def leak_findings(
    placed: Sequence[Placed],
    facts: Mapping[str, ImageFacts],
    *,
    most_bits: int,
    digests: Callable[[Sequence[str]], Sequence[bytes]],
) -> list[Finding]:
    """Files in several splits, copies, near copies and conflicting annotations.

    Args:
        placed: from `placed_images`.
        facts: by path.
        most_bits: of 64 in which near copies may differ; negative not to look for them.
        digests: of the full pixels of files; asked only for those whose reduced pixels are equal.
    """
    found = [
        Finding("same_file_in_splits", printable(image.path), "", f"is in {_and(image.splits)}", (_pointed(image),))
        for image in placed
        if len(image.splits) > 1
    ]
    usable = [image for image in placed if not facts[image.path].broken]
    equal = _equal(usable, facts, digests)
    for group in equal:
        found += _copies(group, usable, facts)
    if most_bits >= 0:
        found += _near_copies(usable, equal, facts, most_bits)
    return found


def _equal(
    usable: Sequence[Placed], facts: Mapping[str, ImageFacts], digests: Callable[[Sequence[str]], Sequence[bytes]]
) -> list[Group]:
    """Groups of the same pixels; files of equal bytes need no second look."""
    candidates = equal_groups([facts[image.path].pixels for image in usable])
    key: dict[int, bytes] = {}
    doubtful: dict[bytes, int] = {}  # one file for each content
    for group in candidates:
        contents = {facts[usable[place].path].content: place for place in reversed(group.members)}
        if len(contents) > 1:
            doubtful.update(contents)
        key.update((place, facts[usable[place].path].content) for place in group.members)
    looked_at = sorted(doubtful.items(), key=lambda item: item[1])
    pixels = dict(
        zip(
            (content for content, _ in looked_at),
            digests([usable[place].path for _, place in looked_at]),
            strict=True,
        )
    )
    # a picture that cannot be decoded at full size is equal to its copies in bytes at most
    final = {place: pixels.get(content) or content for place, content in key.items()}
    return equal_groups([final.get(place) for place in range(len(usable))])


def _copies(group: Group, usable: Sequence[Placed], facts: Mapping[str, ImageFacts]) -> list[Finding]:
    images = [usable[place] for place in group.members]
    shown = _show(group.links, usable)
    what = "the same bytes" if len({facts[image.path].content for image in images}) == 1 else "the same pixels"
    kind = "duplicate_across_splits" if _is_leak(images) else "duplicate_image"
    conflict = _conflict(images)
    agreement = "annotated differently" if conflict else "with the same annotations"
    message = f"{what}, {agreement}: {_names(images)}"
    found = [Finding(kind, printable(images[0].path), "", message, tuple(map(_pointed, shown)))]
    if conflict:
        first, second, difference = conflict
        pair = (_annotated(first), _annotated(second))
        message = f"{difference}: {_names([first, second])}"
        found.append(Finding("conflicting_annotations", printable(first.path), "", message, pair))
    return found


def _near_copies(
    usable: Sequence[Placed], equal: Sequence[Group], facts: Mapping[str, ImageFacts], most_bits: int
) -> list[Finding]:
    # one image stands for its copies, which have been reported
    copies = {place: group.members[0] for group in equal for place in group.members[1:]}
    alone = [place for place in range(len(usable)) if place not in copies]
    if len(alone) < 2:
        return []
    prints = np.array([facts[usable[place].path].fingerprint for place in alone], np.uint64)
    thumbnails = np.stack([np.frombuffer(facts[usable[place].path].thumbnail, np.uint8) for place in alone])
    found = []
    for group in near_groups(prints, thumbnails, most_bits=most_bits):
        images = [usable[alone[place]] for place in group.members]
        links = [(alone[a], alone[b]) for a, b in group.links]
        kind = "near_duplicate_across_splits" if _is_leak(images) else "near_duplicate"
        pair = tuple(map(_pointed, _show(links, usable)))
        found.append(Finding(kind, printable(images[0].path), "", _names(images), pair))
    return found


def _is_leak(images: Sequence[Placed]) -> bool:
    """Whether different splits have them; what only trainval has may be in train."""
    names = {name for image in images for name in image.splits}
    if "trainval" in names and {"train", "val"} & names:
        names = {"train" if name == "trainval" else name for name in names}
    # a file in several splits is reported as such
    return len(names) > 1 and len({image.splits for image in images}) > 1


def _show(links: Sequence[tuple[int, int]], usable: Sequence[Placed]) -> tuple[Placed, Placed]:
    """The two images of a group to be shown side by side: from different splits where there are such."""
    pairs = [(usable[a], usable[b]) for a, b in links]
    return next((pair for pair in pairs if _is_leak(pair)), pairs[0])


def _conflict(images: Sequence[Placed]) -> tuple[Placed, Placed, str] | None:
    """The first image, the first that is annotated otherwise, and in what; None if all agree."""
    return next(
        (
            (images[0], other, difference)
            for other in images[1:]
            if (difference := _difference(_objects(images[0]), _objects(other)))
        ),
        None,
    )


def _difference(first: list[tuple[str, list[float]]], second: list[tuple[str, list[float]]]) -> str:
    if len(first) != len(second):
        return f"{len(first)} and {len(second)} objects"
    rest = list(second)
    for name, box in first:
        same = next((item for item in rest if item[0] == name and _close(box, item[1])), None)
        if same is None:
            other = next((item for item in rest if _close(box, item[1])), None)
            return f"one thing is {name!r} and {other[0]!r}" if other else f"the boxes of {name!r} differ"
        rest.remove(same)
    return ""


def _close(first: Sequence[float], second: Sequence[float]) -> bool:
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) <= _SAME_BOX


def _objects(image: Placed) -> list[tuple[str, list[float]]]:
    split, index = image.places[0]
    truth = split.images[index].ground_truth
    names = [split.class_names[label] for label in truth.labels.tolist()]
    return list(zip(names, truth.boxes.tolist(), strict=True))


def _pointed(image: Placed) -> Pointed:
    return Pointed(image.path, split=_and(image.splits))


def _annotated(image: Placed) -> Pointed:
    objects = _objects(image)
    boxes = tuple((x1, y1, x2, y2) for _, (x1, y1, x2, y2) in objects)
    return Pointed(image.path, boxes, tuple(name for name, _ in objects), _and(image.splits))


def _names(images: Sequence[Placed]) -> str:
    """Names for a message, those of the splits first."""
    parts = [f"{_file(image.path)} ({_and(image.splits)})" for image in images[:_NAMED]]
    more = f" and {len(images) - _NAMED} more" if len(images) > _NAMED else ""
    return ", ".join(parts) + more


def _file(path: str) -> str:
    return printable(path.replace("\\", "/").rpartition("/")[2])


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
