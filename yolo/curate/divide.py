"""Dividing images into parts: at random, with the classes in equal shares, or in whole groups.

A seed gives each name the same part again, in whatever order the names are listed; no part is empty. Left out: the
dataset and its lists (split.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from yolo.arrays import Bool, Int64
from yolo.console import counted
from yolo.errors import ConfigError, DataError, printable
from yolo.formats.objects import AnnotatedImages

GroupBy = Literal["folder", "prefix", "regex"]

# The number at the end of a name, of a frame for example, with what sets it off; only one, or else cam1_07 and cam2_07
# would be one group.
_RUNNING_NUMBER = re.compile(r"[\s_.\-()\[\]#]*\d+[\s_.\-()\[\]#]*$")


def split_randomly(names: Sequence[str], shares: Sequence[float], *, seed: int) -> Int64:
    """Draw parts whose sizes are the shares of n, rounded so that they add up.

    Args:
        names: (n,) of the images, each once.
        shares: of the parts, above 0; their sum is 1.
        seed: of the order.

    Returns:
        (n,) the part of each image.

    Raises:
        DataError: fewer images than parts.
    """
    _require_enough(len(names), len(shares))
    parts = np.zeros(len(names), np.int64)
    parts[_drawn_order(names, seed)] = np.repeat(np.arange(len(shares)), _sizes(len(names), shares))
    return parts


def split_stratified(
    names: Sequence[str], images: AnnotatedImages, shares: Sequence[float], *, num_classes: int, seed: int
) -> Int64:
    """Give every part its share of each class, as nearly as can be: iterative stratification.

    Again and again the class is taken that is on the fewest images without a part. Each of these images, in drawn
    order, goes to the part that lacks most images of this class; of equal ones to that which lacks most images at all,
    then to the first. Images without objects come last and fill up. Rare classes are thus divided while there is
    still a choice; the sizes of the parts are near the shares, not exactly them. (Sechidis, Tsoumakas, Vlahavas: On the
    Stratification of Multi-Label Data, 2011.) Not of the paper: no part exceeds its share by more than a tenth of the
    smallest part. Otherwise all classes that are on one or two images would go to the largest part.

    Arguments, result and errors are those of `split_randomly`; `images` are in the order of the names.
    """
    _require_enough(len(names), len(shares))
    order = _drawn_order(names, seed)
    has_class = np.zeros((len(images), num_classes), np.bool_)
    has_class[images.image_index, images.objects.labels] = True
    has_class = has_class[order]
    left = has_class.sum(axis=0)  # (C,) images without a part
    lacking = np.outer(shares, left)  # (P, C) images of each class that each part lacks
    lacking_in_all = np.asarray(shares) * len(names)  # (P,)
    tolerance = max(1.0, 0.1 * lacking_in_all.min())  # images by which a part may exceed its share
    parts, sizes = np.full(len(names), -1, np.int64), np.zeros(len(shares), np.int64)
    while (waiting := parts < 0).any():
        present = np.flatnonzero(left)
        rarest = present[np.argmin(left[present])] if len(present) else None  # None: those left have no objects
        short = lacking_in_all if rarest is None else lacking[:, rarest]  # a view, which changes below
        for place in np.flatnonzero(waiting if rarest is None else waiting & has_class[:, rarest]).tolist():
            allowed = _allowed(sizes, len(names) - sizes.sum()) & (lacking_in_all > -tolerance)
            # rounded, as sums of shares are not exact
            part = np.lexsort((-np.round(lacking_in_all, 6), -np.round(short, 6), ~allowed))[0]
            parts[place] = part
            lacking[part, has_class[place]] -= 1
            lacking_in_all[part] -= 1
            left[has_class[place]] -= 1
            sizes[part] += 1
    result = np.empty_like(parts)
    result[order] = parts
    return result


def split_groups(groups: Sequence[str], shares: Sequence[float], *, seed: int) -> Int64:
    """Keep groups whole, see `group_names`: the largest first, each to the part that lacks most images."""
    _require_enough(len(groups), len(shares))
    counts = Counter(groups)
    if len(counts) < len(shares):
        shown = " and ".join(repr(printable(name)[:80]) for name in counts)
        raise DataError(
            f"the {len(groups)} images are {counted(len(counts), 'group', 'groups')} ({shown}), and whole groups "
            f"cannot be divided into {len(shares)} parts; see --group folder, prefix and regex for other groups, or "
            "use --by random"
        )
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


def _require_enough(count: int, parts: int) -> None:
    if count < parts:
        raise DataError(f"{counted(count, 'image', 'images')} cannot be divided into {parts} parts")


def joined_groups(groups: Sequence[str], first_of: Int64) -> list[str]:
    """The groups, of which those that share an image are one; `first_of` is the place of the first copy of each image.

    >>> joined_groups(["a", "b", "c", "b"], np.array([0, 1, 0, 3]))
    ['a', 'b', 'a', 'b']
    """
    joined = {group: group for group in groups}

    def name(group: str) -> str:
        while joined[group] != group:
            joined[group] = group = joined[joined[group]]
        return group

    for group, first in zip(groups, first_of.tolist(), strict=True):
        one, other = sorted((name(group), name(groups[first])))
        joined[other] = one
    return [name(group) for group in groups]


class CopiesOf:
    """Which files have the same bytes; only those of the same size are read.

    Args:
        paths: of the files. One that cannot be read is the only one of its kind.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        by_size: dict[int, list[str]] = {}
        for path in sorted(set(map(os.path.normpath, paths))):
            with contextlib.suppress(OSError):
                by_size.setdefault(os.stat(path).st_size, []).append(path)  # noqa: PTH116  (of text, as there are many)
        self._first: dict[str, str] = {}
        for alike in by_size.values():
            firsts: dict[bytes, str] = {}
            for path in alike if len(alike) > 1 else ():
                with contextlib.suppress(OSError), Path(path).open("rb") as file:
                    self._first[path] = firsts.setdefault(hashlib.file_digest(file, "sha256").digest(), path)

    def first(self, path: str) -> str:
        """The first of the files that have the bytes of this one, in the order of their names."""
        path = os.path.normpath(path)
        return self._first.get(path, path)
