"""Copies among the images of a dataset: leaks between splits, and whether copies are annotated alike.

Equal images have the same bytes or pixels. Nearly equal ones are found by their fingerprints of 64 bits, compared in
bands: two that differ in at most k bits are equal in at least one of k + 1 bands, so only images that share a band are
compared, and no pair is missed. What is close is then compared by its thumbnail, because the bits of a plain sky are
noise. Left out: mirrored, turned and cropped copies.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int64, UInt8
from yolo.curate.findings import Finding, FindingImage
from yolo.curate.images import THUMBNAIL_SIDE, ImageFacts
from yolo.data.read import Split
from yolo.errors import printable

_BITS = 64
# Grey levels: less than that is compression and noise, in which nothing can be recognised.
_MIN_CONTRAST = 3.0
_MIN_CORRELATION = 0.9
_BLOCK = 20_000
_MAX_NAMED = 6  # members of a group that a message names
_SAME_BOX = 2.0  # pixels that copies of a box may differ

UInt64 = NDArray[np.uint64]
Digests = Callable[[Sequence[str]], Sequence[bytes]]
_Objects = list[tuple[str, list[float]]]


class ImageInSplits(NamedTuple):
    """An image and the splits that it is in, `trainval` only if neither train nor val has it."""

    path: str
    splits: tuple[str, ...]
    places: tuple[tuple[Split, int], ...]  # where it is annotated

    @property
    def split_text(self) -> str:
        """The splits for a message."""
        return " and ".join(self.splits)

    def objects(self) -> _Objects:
        """Class name and xyxy box of each of its objects."""
        split, index = self.places[0]
        truth = split.images[index].ground_truth
        return [(split.class_names[k], box) for k, box in zip(truth.labels.tolist(), truth.boxes.tolist(), strict=True)]

    def pointed(self, *, annotated: bool = False) -> FindingImage:
        """The image for a finding, with its boxes or without."""
        if not annotated:
            return FindingImage(self.path, split=self.split_text)
        objects = self.objects()
        boxes = tuple((x1, y1, x2, y2) for _, (x1, y1, x2, y2) in objects)
        return FindingImage(self.path, boxes, tuple(name for name, _ in objects), self.split_text)


def images_in_splits(splits: Iterable[Split]) -> list[ImageInSplits]:
    """Every image file once, sorted by path."""
    places: dict[str, list[tuple[Split, int]]] = {}
    for split in splits:
        for index in range(len(split.images)):
            places.setdefault(split.images.paths[index], []).append((split, index))
    images = []
    for path, found in sorted(places.items()):
        names = list(dict.fromkeys(split.name for split, _ in found))
        if "trainval" in names and {"train", "val"} & set(names):
            names.remove("trainval")
        images.append(ImageInSplits(path, tuple(names), tuple(found)))
    return images


def leak_findings(
    images: Sequence[ImageInSplits], facts: Mapping[str, ImageFacts], *, most_bits: int, digests: Digests
) -> list[Finding]:
    """Files in several splits, copies, near copies and conflicting annotations.

    Args:
        images: from `images_in_splits`.
        facts: by path.
        most_bits: of 64 in which near copies may differ; negative not to look for them.
        digests: of the full pixels of files; called only for those whose reduced pixels are equal.
    """
    found = [
        Finding("same_file_in_splits", printable(image.path), "", f"is in {image.split_text}", (image.pointed(),))
        for image in images
        if len(image.splits) > 1
    ]
    usable = [image for image in images if not facts[image.path].broken]
    copies = _copies(usable, facts, digests)
    for group in copies:
        found += _copy_findings([usable[place] for place in group], facts)
    if most_bits >= 0:
        found += _near_copy_findings(usable, copies, facts, most_bits)
    return found


def _copies(usable: Sequence[ImageInSplits], facts: Mapping[str, ImageFacts], digests: Digests) -> list[list[int]]:
    """Groups of the same pixels; files of equal bytes need no second look."""
    contents = [facts[image.path].content for image in usable]
    key: dict[int, bytes] = {}
    undecided: dict[bytes, int] = {}  # one file for each content
    for group in equal_groups([facts[image.path].pixels for image in usable]):
        firsts = {contents[place]: place for place in reversed(group)}
        if len(firsts) > 1:
            undecided.update(firsts)
        key.update((place, contents[place]) for place in group)
    decoded = sorted(undecided, key=undecided.__getitem__)
    pixels = dict(zip(decoded, digests([usable[undecided[content]].path for content in decoded]), strict=True))
    # a picture that cannot be decoded at full size is equal to its copies in bytes at most
    final = {place: pixels.get(content) or content for place, content in key.items()}
    return equal_groups([final.get(place) for place in range(len(usable))])


def equal_groups(keys: Sequence[Hashable]) -> list[list[int]]:
    """Places with the same key, two or more; in the order of their first members. None is no key."""
    places: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            places.setdefault(key, []).append(place)
    return [group for group in places.values() if len(group) > 1]


def _copy_findings(images: Sequence[ImageInSplits], facts: Mapping[str, ImageFacts]) -> Iterator[Finding]:
    """Report the copies of the first image, and the first of them that is annotated differently."""
    what = "the same bytes" if len({facts[image.path].content for image in images}) == 1 else "the same pixels"
    objects = images[0].objects()
    differences = ((other, _difference(objects, other.objects())) for other in images[1:])
    other, difference = next(((other, text) for other, text in differences if text), (images[0], ""))
    agreement = "annotated differently" if difference else "with the same annotations"
    kind = "duplicate_across_splits" if _is_leak(images) else "duplicate_image"
    shown = tuple(image.pointed() for image in _shown([(images[0], other) for other in images[1:]]))
    yield Finding(kind, printable(images[0].path), "", f"{what}, {agreement}: {_names(images)}", shown)
    if difference:
        pair = (images[0], other)
        annotated = tuple(image.pointed(annotated=True) for image in pair)
        message = f"{difference}: {_names(pair)}"
        yield Finding("conflicting_annotations", printable(images[0].path), "", message, annotated)


def _difference(first: _Objects, second: _Objects) -> str:
    """In what the objects of two copies differ; empty if they agree."""
    if len(first) != len(second):
        return f"{len(first)} and {len(second)} objects"
    rest = list(second)
    for name, box in first:
        near = [item for item in rest if max(abs(a - b) for a, b in zip(box, item[1], strict=True)) <= _SAME_BOX]
        same = next((item for item in near if item[0] == name), None)
        if same is None:
            return f"one thing is {name!r} and {near[0][0]!r}" if near else f"the boxes of {name!r} differ"
        rest.remove(same)
    return ""


def _near_copy_findings(
    usable: Sequence[ImageInSplits], copies: Sequence[Sequence[int]], facts: Mapping[str, ImageFacts], most_bits: int
) -> Iterator[Finding]:
    # one image stands for its copies, which have been reported
    repeated = {place for group in copies for place in group[1:]}
    images = [image for place, image in enumerate(usable) if place not in repeated]
    if len(images) < 2:
        return
    prints = np.array([facts[image.path].fingerprint for image in images], np.uint64)
    thumbnails = np.stack([np.frombuffer(facts[image.path].thumbnail, np.uint8) for image in images])
    for links in near_groups(prints, thumbnails, most_bits=most_bits):
        members = [images[place] for place in sorted({place for link in links for place in link})]
        kind = "near_duplicate_across_splits" if _is_leak(members) else "near_duplicate"
        shown = tuple(image.pointed() for image in _shown([(images[a], images[b]) for a, b in links]))
        yield Finding(kind, printable(members[0].path), "", _names(members), shown)


def _is_leak(images: Sequence[ImageInSplits]) -> bool:
    """Whether different splits have them; what only trainval has may be in train."""
    names = {name for image in images for name in image.splits}
    if "trainval" in names and {"train", "val"} & names:
        names = {"train" if name == "trainval" else name for name in names}
    # a file in several splits is reported as such
    return len(names) > 1 and len({image.splits for image in images}) > 1


def _shown(pairs: Sequence[tuple[ImageInSplits, ImageInSplits]]) -> tuple[ImageInSplits, ImageInSplits]:
    """The two images to be shown side by side: from different splits where there are such."""
    return next((pair for pair in pairs if _is_leak(pair)), pairs[0])


def _names(images: Sequence[ImageInSplits]) -> str:
    """Names for a message, those of the splits behind them."""
    parts = []
    for image in images[:_MAX_NAMED]:
        name = image.path.replace("\\", "/").rpartition("/")[2]
        parts.append(f"{printable(name)} ({image.split_text})")
    more = f" and {len(images) - _MAX_NAMED} more" if len(images) > _MAX_NAMED else ""
    return ", ".join(parts) + more


def near_groups(fingerprints: UInt64, thumbnails: UInt8, *, most_bits: int) -> list[list[tuple[int, int]]]:
    """Groups of images that look alike.

    Two images are alike if their fingerprints differ in at most `most_bits` and their thumbnails, less their smooth
    part, correlate. Groups are connected: their first and last member need not be alike.

    Args:
        fingerprints: (n,) uint64.
        thumbnails: (n, 256) uint8, grey.
        most_bits: 0 to 16. The time grows with it: bands get short and shared by many.

    Returns:
        For each group pairs of places that are alike, enough to connect all of its members; by the first member.
    """
    group_of = np.arange(len(fingerprints))
    members: dict[int, list[int]] = {}  # of groups of several; the smaller one joins the larger
    links: list[tuple[int, int]] = []
    # pairs within a group that is already connected say nothing new, and may be millions (a still camera)
    for first, second in close_pairs(fingerprints, most_bits, group_of=group_of):
        apart = group_of[first] != group_of[second]
        first, second = first[apart], second[apart]
        alike = _look_alike(thumbnails, first, second)
        for a, b in zip(first[alike].tolist(), second[alike].tolist(), strict=True):
            if group_of[a] != group_of[b]:
                smaller, larger = sorted((members.get(int(group_of[place]), [place]) for place in (a, b)), key=len)
                group_of[smaller] = group_of[larger[0]]
                larger.extend(smaller)
                members[int(group_of[larger[0]])] = larger
                links.append((a, b))
    linked: dict[int, list[tuple[int, int]]] = {}
    for link in sorted(links):
        linked.setdefault(int(group_of[link[0]]), []).append(link)
    return list(linked.values())


def close_pairs(
    fingerprints: UInt64, most_bits: int, *, group_of: Int64 | None = None
) -> Iterator[tuple[Int64, Int64]]:
    """Pairs of places, the smaller first, whose fingerprints differ in at most `most_bits`; each pair at least once.

    Args:
        fingerprints: (n,) uint64.
        most_bits: see `near_groups`.
        group_of: (n,) group of each place, which the caller may change between pairs; pairs of a band whose members are
            all in one group are left out.
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


def _equal_neighbours(keys: UInt64, order: Int64, group_of: Int64 | None) -> Iterator[tuple[Int64, Int64]]:
    """All pairs of places with equal keys, for keys sorted by `order`: first neighbours, then those two apart, ..."""
    place = np.arange(len(keys))
    distance = 1
    while True:
        if group_of is not None and not distance & (distance - 1):  # now and then: at 1, 2, 4, ...
            place = place[_not_of_one_group(keys, group_of[order])[place]]
        place = place[place + distance < len(keys)]
        place = place[keys[place] == keys[place + distance]]
        if not len(place):
            return
        yield place, place + distance
        distance += 1


def _not_of_one_group(keys: UInt64, groups: Int64) -> Bool:
    """For each place whether those with its key are in more than one group; the keys are sorted."""
    if not len(keys):
        return np.zeros(0, np.bool_)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    several = np.minimum.reduceat(groups, starts) != np.maximum.reduceat(groups, starts)
    return np.repeat(several, np.diff(np.append(starts, len(keys))))


def _smooth_pictures() -> Float64:
    """(256, 6) orthonormal mean, slopes and curvatures of a thumbnail."""
    y, x = np.mgrid[-1 : 1 : THUMBNAIL_SIDE * 1j, -1 : 1 : THUMBNAIL_SIDE * 1j].reshape(2, -1)
    return np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0]


_SMOOTH = _smooth_pictures()


def _look_alike(thumbnails: UInt8, first: Int64, second: Int64) -> Bool:
    """Whether the pictures of each pair show the same, by what is left of them without their smooth part."""

    def detail(places: Int64) -> Float64:
        values = thumbnails[places].astype(np.float64)
        return np.asarray(values - (values @ _SMOOTH) @ _SMOOTH.T)

    alike = np.zeros(len(first), np.bool_)
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        a, b = detail(first[block]), detail(second[block])
        contrast_a, contrast_b = np.sqrt((a * a).mean(axis=1)), np.sqrt((b * b).mean(axis=1))
        correlation = (a * b).mean(axis=1) / np.maximum(contrast_a * contrast_b, 1e-9)
        seen = np.minimum(contrast_a, contrast_b) >= _MIN_CONTRAST
        alike[block] = seen & (correlation >= _MIN_CORRELATION)
    return alike
