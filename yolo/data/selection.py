"""Which of the listed images belong to a split: the hold-out, each image once, each id once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from yolo.data.account import DataAccount, printable
from yolo.data.layouts import SplitSource
from yolo.structures import AnnotatedImage

_ONE_IN = 5  # the share of the images that is held out where there is no validation split


class Entry(Protocol):
    """An image that a source lists, of whatever format."""

    @property
    def image_id(self) -> str:
        """Its id, which images of other folders may share."""


E = TypeVar("E", bound=Entry)


def held_out_ids(image_ids: Collection[str]) -> frozenset[str]:
    """A fifth of the ids, at least one of two or more, chosen by a hash.

    Depends on the ids alone, not on their order, and hardly moves when images are added.
    """
    distinct = set(image_ids)
    if len(distinct) < 2:
        return frozenset()
    ranked = sorted(distinct, key=lambda image_id: hashlib.sha256(image_id.encode()).digest())
    return frozenset(ranked[: max(1, round(len(ranked) / _ONE_IN))])


def select(sources: Sequence[SplitSource], list_source: Callable[[SplitSource], list[E]]) -> list[E]:
    """What the sources list, less what their `part` leaves to the other split.

    All sources are ranked together: an image that two of them list is not held out of one and taught by the
    other.
    """
    listed = [(source, list_source(source)) for source in sources]
    held_out = held_out_ids({e.image_id for source, entries in listed if source.part != "all" for e in entries})
    return [
        entry
        for source, entries in listed
        for entry in entries
        if source.part == "all" or (source.part == "held_out") == (entry.image_id in held_out)
    ]


def once(entries: list[E], place: Callable[[E], Path], account: DataAccount) -> list[E]:
    """Each image once; further mentions are counted."""
    seen: set[tuple[str, Path]] = set()
    kept = []
    for entry in entries:
        key = (entry.image_id, place(entry))
        if key in seen:
            account.drop_image(key[1], "image_listed_twice", f"{entry.image_id!r} is listed more than once")
        else:
            kept.append(entry)
        seen.add(key)
    return kept


def with_unique_ids(images: list[AnnotatedImage], root: Path) -> list[AnnotatedImage]:
    """Images of the same name from different folders get their path below the root as id."""
    counts = Counter(image.image_id for image in images)
    taken = {image_id for image_id, count in counts.items() if count == 1}
    unique = []
    for image in images:
        image_id = image.image_id
        if counts[image_id] > 1:
            inside = image.path.relative_to(root) if image.path.is_relative_to(root) else image.path
            base = image_id = printable(inside.as_posix())
            number = 1
            while image_id in taken:
                number += 1
                image_id = f"{base}#{number}"
            taken.add(image_id)
            image = replace(image, image_id=image_id)
        unique.append(image)
    return unique
