"""Remarks on files that were read: what was left out or looks odd, counted, with a few examples.

A remark never stands for a changed number: it says why a number is what it is. What cannot be used at all is an
error instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yolo.errors import printable

_MOST_EXAMPLES = 5
_LONGEST_EXAMPLE = 200  # characters; what somebody writes into a file may be endless


@dataclass(frozen=True)
class Remark:
    """One thing that is to be said about files.

    Attributes:
        kind: one word for programs, such as `unknown_image`.
        count: how often.
        message: a sentence for people, true of each of them; the number is not in it.
        examples: some of them: file and line, image or key.
    """

    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        examples = f" (such as {'; '.join(self.examples)})" if self.examples else ""
        return f"{self.count:,} x {self.message}{examples}"


@dataclass
class _Growing:
    message: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Remarks:
    """Collects remarks: every one is counted, a few of each kind are kept as examples."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Growing] = {}

    def add(self, kind: str, message: str, example: str = "", count: int = 1) -> None:
        """Count something; the message of a kind is the first that is given."""
        own = self._kinds.setdefault(kind, _Growing(message))
        own.count += count
        if example and len(own.examples) < _MOST_EXAMPLES:
            own.examples.append(printable(example)[:_LONGEST_EXAMPLE])

    def add_rows(self, kind: str, message: str, mask: Any, example: Callable[[int], str]) -> None:
        """Count the rows in which a mask is set, if any; `example` makes the example of a row."""
        rows = np.flatnonzero(mask)
        for row in rows[:_MOST_EXAMPLES].tolist():
            self.add(kind, message, example(row))
        if rows.size > _MOST_EXAMPLES:
            self.add(kind, message, count=int(rows.size) - _MOST_EXAMPLES)

    def list(self) -> tuple[Remark, ...]:
        """All remarks, in the order of their first occurrence."""
        return tuple(Remark(kind, own.count, own.message, tuple(own.examples)) for kind, own in self._kinds.items())
