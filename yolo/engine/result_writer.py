"""`ResultWriter`: what everything that writes results of a prediction run as files has in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath
from typing import Protocol

from yolo.console import counted
from yolo.engine.result import Result
from yolo.errors import SaveError, printable


@dataclass(frozen=True, slots=True)
class NamedResult:
    """A result, and how files call its image."""

    result: Result
    name: str  # without suffix, relative to a folder of the run; see `OutputNames`
    picture: str | None  # name of the file in the run folder that shows it, if there is one

    @property
    def file_name(self) -> str:
        """The image file as other programs know it: its own name in the folders of `name`; `name` for a frame."""
        if self.result.frame is not None or self.result.source is None:
            return f"{self.name}.jpg"
        own = printable(PurePath(self.result.source).name)
        return (PurePosixPath(self.name).parent / own).as_posix()


@dataclass(slots=True)
class Unwritten:
    """What could not be written for a reason of its own, such as a file too large, while the run goes on."""

    _counts: Counter[str] = field(default_factory=Counter)  # by what was to be written
    _reasons: dict[str, str] = field(default_factory=dict)  # the first of each

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Take note where the block cannot write `what` of one image; what ends the run, as a full disk, goes on up."""
        try:
            yield
        except SaveError as error:
            if not error.others_may_follow:
                raise
            self._counts[what] += 1
            self._reasons.setdefault(what, str(error))

    def lines(self) -> list[str]:
        """A line for each kind of output: of how many images it was not written, and why first."""
        return [
            f"{what} of {counted(self._counts[what], 'image or frame', 'images or frames')} not written: {reason}"
            for what, reason in self._reasons.items()
        ]


class ResultWriter(Protocol):
    """Gets every result of a run, in order, and what could not be read."""

    def add(self, image: NamedResult) -> None:
        """Take a result; nothing of it is kept."""

    def add_unreadable(self, source: str, reason: str) -> None:
        """Take note of an image that could not be read; both texts are printable."""

    def close(self) -> None:
        """Finish the files, also when the run was interrupted."""

    def summary(self) -> list[str]:
        """Lines that say what was written where, and what was left out and why."""
