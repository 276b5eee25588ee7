"""Dividing images into parts by shares: at random, with the classes in equal shares, or in whole groups.

The three `split_` functions take n `names` of images, each once, or their groups; the positive `shares` of the parts,
with the sum 1; and a `seed`, which gives each name the same part again in whatever order they are listed. They return
(n,) which part each image belongs to, where no part is empty, and raise a DataError where there is too little to
divide. Left out: reading and writing datasets (split.py).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.errors import ConfigError, DataError
from yolo.formats.objects import AnnotatedImages

GroupBy = Literal["folder", "prefix", "regex"]

# The number at the end of a name, of a frame for example, with what sets it off; only one, or else cam1_07 and cam2_07
# would be one group.
_RUNNING_NUMBER = re.compile(r"[\s_.\-()\[\]#]*\d+[\s_.\-()\[\]#]*$")


def split_randomly(names: Sequence[str], shares: Sequence[float], *, seed: int) -> Int64:
    """Draw parts whose sizes are the shares of n, rounded so that they add up."""
    _require_enough(len(names), len(shares), "images")
    parts = np.zeros(len(names), np.int64)
    parts[_drawn_order(names, seed)] = np.repeat(np.arange(len(shares)), _sizes(len(names), shares))
    return parts


def split_stratified(
    names: Sequence[str], images: AnnotatedImages, shares: Sequence[float], *, num_classes: int, seed: int
) -> Int64:
    """Give every part its share of each class, as nearly as can be: iterative stratification.

    Again and again the class is taken that is on the fewest images without a part. Each of these images, in drawn
    order, goes to the part that lacks most images of this class; of equal ones to that which lacks most images at all,
    then to the first. Images without objects come last and fill up. Rare classes, which go wrong easily, are so
    divided while there is still a choice; the sizes of the parts are near the shares, not exactly them. (Sechidis,
    Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data, 2011.)

    Args:
        names: of the images.
        images: in the order of the names.
        shares: of the parts.
        num_classes: labels are below it.
        seed: of the order.
    """
    _require_enough(len(names), len(shares), "images")
    order = _drawn_order(names, seed)
    has_class = np.zeros((len(images), num_classes), np.bool_)
    has_class[images.image_index, images.objects.labels] = True
    has_class = has_class[order]
    parts = np.full(len(names), -1, np.int64)
    shortage = _Shortage(has_class, np.asarray(shares))
    while (rarest := shortage.rarest_class()) is not None:
        for place in np.flatnonzero(has_class[:, rarest] & (parts < 0)).tolist():
            parts[place] = shortage.assign(has_class[place], rarest)
    for place in np.flatnonzero(parts < 0).tolist():
        parts[place] = shortage.assign(has_class[place], None)
    result = np.empty_like(parts)
    result[order] = parts
    return result


def split_groups(groups: Sequence[str], shares: Sequence[float], *, seed: int) -> Int64:
    """Keep groups whole, see `group_names`: the largest first, each to the part that lacks most images."""
    counts = Counter(groups)
    _require_enough(len(counts), len(shares), "groups")
    names = list(counts)
    drawn = [names[place] for place in _drawn_order(names, seed)]
    lacking = np.asarray(shares) * len(groups)
    members = np.zeros(len(shares), np.int64)
    part_of: dict[str, int] = {}
    for number, name in enumerate(sorted(drawn, key=lambda name: -counts[name])):
        part = int(np.argmax(np.where(_allowed(members, len(drawn) - number), lacking, -np.inf)))
        part_of[name] = part
        members[part] += 1
        lacking[part] -= counts[name]
    return np.array([part_of[name] for name in groups], np.int64)


def group_names(paths: Sequence[str], by: GroupBy, *, pattern: str = "") -> list[str]:
    """The group of each image.

    Args:
        paths: of the images below the dataset, with forward slashes.
        by: `folder`; `prefix`, the file's name without the number at its end; `regex`.
        pattern: of `regex`: searched in the path; its first bracket, or all of the match, is the group.

    Raises:
        ConfigError: the pattern is not a regular expression.
        DataError: it does not match a path.

    >>> group_names(["a/shot-0001.jpg", "b/shot-0002.jpg"], "prefix")
    ['shot', 'shot']
    >>> group_names(["a/shot-0001.jpg", "b/shot-0002.jpg"], "regex", pattern="^(.)/")
    ['a', 'b']
    """
    if by == "folder":
        return [PurePosixPath(path).parent.as_posix() for path in paths]
    if by == "prefix":
        return [_RUNNING_NUMBER.sub("", PurePosixPath(path).stem) for path in paths]
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--pattern {pattern!r} is not a regular expression ({error})") from error
    matches = [regex.search(path) for path in paths]
    found = [match and match[min(1, regex.groups)] for match in matches]
    missed = [path for path, group in zip(paths, found, strict=True) if group is None]
    if missed:
        raise DataError(
            f"--pattern {pattern!r} finds no group in {len(missed)} of {len(paths)} images, the first is {missed[0]!r}"
        )
    return [group for group in found if group is not None]


class _Shortage:
    """How many images each part is short of, of each class and in all; P parts, C classes."""

    def __init__(self, has_class: Bool, shares: Float64) -> None:
        self._left = has_class.sum(axis=0)  # (C,) images without a part
        self._of_class = shares[:, None] * self._left  # (P, C)
        self._of_images = shares * len(has_class)  # (P,)
        self._images_left = len(has_class)
        self._sizes = np.zeros(len(shares), np.int64)

    def rarest_class(self) -> int | None:
        """The class on the fewest images without a part; None if these have no objects."""
        present = np.flatnonzero(self._left)
        return int(present[np.argmin(self._left[present])]) if len(present) else None

    def assign(self, classes: Bool, rarest: int | None) -> int:
        """Give an image with these (C,) classes to a part, and return that."""
        allowed = _allowed(self._sizes, self._images_left)
        of_class = self._of_images if rarest is None else self._of_class[:, rarest]
        # the highest shortage first, then that of images, then the first part; rounded, as sums of shares are not exact
        best = np.lexsort((-np.round(self._of_images, 6), -np.round(of_class, 6), ~allowed))
        part = int(best[0])
        self._of_class[part, classes] -= 1
        self._of_images[part] -= 1
        self._left[classes] -= 1
        self._images_left -= 1
        self._sizes[part] += 1
        return part


def _allowed(sizes: Int64, num_left: int) -> Bool:
    """(P,) the parts that may have the next one: the empty ones alone, once what is left only just fills these."""
    empty = sizes == 0
    return empty if num_left <= empty.sum() else np.ones_like(empty)


def _drawn_order(names: Sequence[str], seed: int) -> Int64:
    """A permutation of the names that depends on them and the seed, not on their order."""

    def draw(name: str) -> bytes:
        return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()

    ranked = sorted(range(len(names)), key=lambda place: (draw(names[place]), names[place]))
    return np.array(ranked, np.int64)


def _sizes(count: int, shares: Sequence[float]) -> list[int]:
    """Whole sizes that add up to `count`: shares rounded down, the largest remainders up, none of them 0.

    >>> _sizes(10, [0.75, 0.25]), _sizes(3, [0.98, 0.01, 0.01])
    ([8, 2], [1, 1, 1])
    """
    exact = [count * share for share in shares]
    sizes = [int(size + 1e-9) for size in exact]
    for place in sorted(range(len(shares)), key=lambda place: sizes[place] - exact[place])[: count - sum(sizes)]:
        sizes[place] += 1
    while 0 in sizes:
        sizes[sizes.index(max(sizes))] -= 1
        sizes[sizes.index(0)] += 1
    return sizes


def _require_enough(count: int, parts: int, what: str) -> None:
    if count < parts:
        raise DataError(f"{count} {what} cannot be divided into {parts} parts")
