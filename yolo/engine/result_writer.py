"""`ResultWriter`: what everything that writes results of a prediction run as files has in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Protocol

from yolo.engine.result import Result
from yolo.errors import printable


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
