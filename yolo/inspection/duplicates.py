"""Finding equal and nearly equal images among many, by what image_facts.py keeps of each.

Fingerprints of 64 bits are compared in bands: two that differ in at most k bits are equal in at least one of k + 1
bands, so only images that share a band are compared, and no pair is missed. What is close is then compared by its
thumbnail, because the bits of a plain sky are noise. Left out: mirrored, turned and cropped copies.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.inspection.image_facts import THUMBNAIL_SIDE

_BITS = 64
# Grey levels: less than that is compression and noise, in which nothing can be recognised.
_LEAST_CONTRAST = 3.0
_LEAST_CORRELATION = 0.9
_BLOCK = 20_000

UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]


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
