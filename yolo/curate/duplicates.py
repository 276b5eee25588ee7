"""Finding equal and nearly equal images among many, by what image_facts.py keeps of each.

Fingerprints of 64 bits are compared in bands: two that differ in at most k bits are equal in at least one of k + 1
bands, so only images that share a band are compared, and no pair is missed. What is close is then compared by its
thumbnail, because the bits of a plain sky are noise. Left out: mirrored, turned and cropped copies.

Copies among the images of a dataset, what they mean for its splits, and whether their annotations agree.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Int64
from yolo.curate.findings import Finding, Pointed
from yolo.curate.images import THUMBNAIL_SIDE, ImageFacts
from yolo.data.read import Split
from yolo.errors import printable

_BITS = 64
# Grey levels: less than that is compression and noise, in which nothing can be recognised.
_LEAST_CONTRAST = 3.0
_LEAST_CORRELATION = 0.9
_BLOCK = 20_000

UInt64 = NDArray[np.uint64]


class Group(NamedTuple):
    """Images that belong together.

    Attributes:
        members: their places, ascending.
        links: pairs of places that are alike, enough to connect all members.
    """

    members: tuple[int, ...]
    links: tuple[tuple[int, int], ...]


def equal_groups(keys: Sequence[Hashable]) -> list[Group]:
    """Places with the same key, two or more; in the order of their first members. None is no key."""
    places: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            places.setdefault(key, []).append(place)
    return [
        Group(tuple(members), tuple((members[0], other) for other in members[1:]))
        for members in places.values()
        if len(members) > 1
    ]


def near_groups(fingerprints: UInt64, thumbnails: NDArray[np.uint8], *, most_bits: int) -> list[Group]:
    """Groups of images that look alike.

    Two images are alike if their fingerprints differ in at most `most_bits` and their thumbnails, less their smooth
    part, correlate. Groups are connected: their first and last member need not be alike.

    Args:
        fingerprints: (n,) uint64.
        thumbnails: (n, 256) uint8, grey.
        most_bits: 0 to 16. The time grows with it: bands get short and shared by many.
    """
    detail = _Detail(thumbnails)
    parent = np.arange(len(fingerprints))
    links: list[tuple[int, int]] = []
    # pairs within a group that is already connected say nothing new, and may be millions (a still camera)
    for first, second in close_pairs(fingerprints, most_bits, group_of=lambda: _roots(parent, np.arange(len(parent)))):
        apart = _roots(parent, first) != _roots(parent, second)
        first, second = first[apart], second[apart]
        for a, b in zip(*(pairs[detail.alike(first, second)].tolist() for pairs in (first, second)), strict=True):
            root_a, root_b = _root(parent, a), _root(parent, b)
            if root_a != root_b:
                parent[max(root_a, root_b)] = min(root_a, root_b)
                links.append((a, b))
    return _collect(parent, links)


def close_pairs(
    fingerprints: UInt64, most_bits: int, *, group_of: Callable[[], Int64] | None = None
) -> Iterator[tuple[Int64, Int64]]:
    """Pairs of places, the smaller first, whose fingerprints differ in at most `most_bits`; each pair at least once.

    Args:
        fingerprints: (n,) uint64.
        most_bits: see `near_groups`.
        group_of: (n,) groups that places belong to by now; pairs of a band whose members are all in one are left out.
    """
    width = _BITS / (most_bits + 1)
    edges = [round(width * band) for band in range(most_bits + 2)]
    for low, high in pairwise(edges):
        band = (fingerprints >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        for first, second in _equal_neighbours(band[order], order, group_of):
            a, b = order[first], order[second]
            close = np.bitwise_count(fingerprints[a] ^ fingerprints[b]) <= most_bits
            if close.any():  # the sorting is stable, so a is before b
                yield a[close], b[close]


def _equal_neighbours(
    keys: UInt64, order: Int64, group_of: Callable[[], Int64] | None
) -> Iterator[tuple[Int64, Int64]]:
    """All pairs of places with equal keys, for keys sorted by `order`: first neighbours, then those two apart, ..."""
    place = np.arange(len(keys))
    distance = 1
    while True:
        if group_of is not None and not distance & (distance - 1):  # now and then: at 1, 2, 4, ...
            place = place[_not_of_one_group(keys, group_of()[order])[place]]
        place = place[place + distance < len(keys)]
        place = place[keys[place] == keys[place + distance]]
        if not len(place):
            return
        yield place, place + distance
        distance += 1


def _not_of_one_group(keys: UInt64, groups: Int64) -> NDArray[np.bool_]:
    """For each place whether those with its key are in more than one group; the keys are sorted."""
    if not len(keys):
        return np.zeros(0, np.bool_)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    several = np.minimum.reduceat(groups, starts) != np.maximum.reduceat(groups, starts)
    return np.repeat(several, np.diff(np.append(starts, len(keys))))


class _Detail:
    """Thumbnails without mean, slope and curvature: what is left is what can be recognised."""

    def __init__(self, thumbnails: NDArray[np.uint8]) -> None:
        y, x = np.mgrid[-1 : 1 : THUMBNAIL_SIDE * 1j, -1 : 1 : THUMBNAIL_SIDE * 1j].reshape(2, -1)
        self._smooth, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))
        self._thumbnails = thumbnails

    def alike(self, first: Int64, second: Int64) -> NDArray[np.bool_]:
        """Whether the pictures of each pair show the same."""
        blocks = [
            self._alike(first[start : start + _BLOCK], second[start : start + _BLOCK])
            for start in range(0, len(first), _BLOCK)
        ]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.bool_)

    def _alike(self, first: Int64, second: Int64) -> NDArray[np.bool_]:
        a, b = self._of(first), self._of(second)
        contrast_a, contrast_b = np.sqrt((a * a).mean(axis=1)), np.sqrt((b * b).mean(axis=1))
        correlation = (a * b).mean(axis=1) / np.maximum(contrast_a * contrast_b, 1e-9)
        seen = np.minimum(contrast_a, contrast_b) >= _LEAST_CONTRAST
        return np.asarray(seen & (correlation >= _LEAST_CORRELATION))

    def _of(self, places: Int64) -> NDArray[np.float64]:
        values = self._thumbnails[places].astype(np.float64)
        return np.asarray(values - (values @ self._smooth) @ self._smooth.T)


def _root(parent: Int64, place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]  # halving the way for the next time
        place = int(parent[place])
    return place


def _roots(parent: Int64, places: Int64) -> Int64:
    roots = parent[places]
    while (higher := parent[roots]).tobytes() != roots.tobytes():
        roots = higher
    return roots


def _collect(parent: Int64, links: list[tuple[int, int]]) -> list[Group]:
    members: dict[int, list[int]] = {}
    linked: dict[int, list[tuple[int, int]]] = {}
    for link in links:
        linked.setdefault(_root(parent, link[0]), []).append(link)
    for place in sorted({place for link in links for place in link}):
        members.setdefault(_root(parent, place), []).append(place)
    return [Group(tuple(members[root]), tuple(sorted(linked[root]))) for root in sorted(members)]


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
