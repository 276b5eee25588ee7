"""Which of the listed images belong to a split: the hold-out, the list of `only`, each image once, each id once."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from yolo.data.account import DataAccount, printable
from yolo.data.layouts import SplitSource
from yolo.data.listing import read_text

_ONE_IN = 5  # the share of the images that is held out where there is no validation split


class Entry(Protocol):
    """An image that a source lists, of whatever format."""

    @property
    def image_id(self) -> str:
        """Its id, which images of other folders may share."""

    @property
    def image(self) -> str:
        """Its file."""


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


def select(sources: Sequence[SplitSource], list_source: Callable[[SplitSource], list[E]]) -> list[list[E]]:
    """For each source what it lists, less what its `part` leaves to the other split.

    All sources are ranked together: an image that two of them list is not held out of one and taught by the
    other.
    """
    listed = [(source, list_source(source)) for source in sources]
    held_out = held_out_ids({e.image_id for source, entries in listed if source.part != "all" for e in entries})
    return [
        [
            entry
            for entry in entries
            if source.part == "all" or (source.part == "held_out") == (entry.image_id in held_out)
        ]
        for source, entries in listed
    ]


def only_listed(entries: list[E], only: Path, account: DataAccount | None) -> list[E]:
    """The entries whose image is in a list.

    Args:
        entries: of one source.
        only: a text file with one image path a line, absolute or relative to its folder.
        account: receives the lines that are no image of the source; None to say nothing.

    Raises:
        DataError: the list cannot be read.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_text(only).split("\n"), start=1)]
    wanted = {os.path.normpath(only.parent / line.replace("\\", "/")): (number, line) for number, line in lines if line}
    kept = []
    for entry in entries:
        if (place := os.path.normpath(entry.image)) in wanted:
            kept.append(entry)
            wanted[place] = (0, "")
    for number, line in wanted.values():
        if number and account is not None:
            message = f"line {number} of {printable(only)}: {line[:300]!r} is no image of this source"
            account.drop_image(only.parent / line, "image_missing", printable(message))
    return kept


def once(entries: Sequence[list[E]], account: DataAccount) -> list[list[E]]:
    """The entries of all sources, each image once; further mentions are counted."""
    seen: set[tuple[str, str]] = set()
    kept: list[list[E]] = []
    for of_source in entries:
        kept.append([])
        for entry in of_source:
            key = (entry.image_id, entry.image)
            if key in seen:
                message = f"{entry.image_id!r} is listed more than once"
                account.drop_image(entry.image, "image_listed_twice", message)
            else:
                kept[-1].append(entry)
            seen.add(key)
    return kept


def unique_ids(image_ids: Sequence[str], paths: Sequence[str], root: Path) -> list[str]:
    """The ids, each once: images of the same name from different folders get their path below the root as id."""
    counts = Counter(image_ids)
    taken = {image_id for image_id, count in counts.items() if count == 1}
    base = root.as_posix().rstrip("/") + "/"
    unique = []
    for own, path in zip(image_ids, paths, strict=True):
        image_id = own
        if counts[own] > 1:
            image_id = first = printable(Path(path).as_posix().removeprefix(base))
            number = 1
            while image_id in taken:
                number += 1
                image_id = f"{first}#{number}"
            taken.add(image_id)
        unique.append(image_id)
    return unique
