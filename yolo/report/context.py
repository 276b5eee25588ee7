"""What a report says beside the analysis: where the data came from, how it was measured, what was remarked on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from yolo.evaluation.label_errors import Case


@dataclass(frozen=True, slots=True)
class ReportRemark:
    """Something about the input files that may make a number mean less than it says.

    Attributes:
        kind: short name, such as "unknown_image".
        count: how many cases.
        message: what it is, what was done about it and what to do, for people.
        examples: a few of the cases, as they should be shown.
    """

    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()


class CasePicture(Protocol):
    """A picture of a case, as it goes into a page."""

    @property
    def source(self) -> str:
        """A data URI."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def alt(self) -> str:
        """What is seen, for those who do not see it."""

    @property
    def caption(self) -> str:
        """What is below the picture."""


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Everything on a report that is no number of the analysis.

    Attributes:
        title: such as "val of runs/train on blood".
        command: as typed.
        data_account: lines for people: what was read, mended, dropped.
        remarks: counted warnings about the input files; they stand on top.
        configuration: name -> value, shown as a table.
        environment: name -> version and the like.
        protocol_notes: how the numbers were measured, a line each.
        seconds_per_stage: stage -> seconds in all; None where nothing was timed.
        voc: `VocResult.to_dict()`, where VOC's protocol was asked for.
        pictures: draws a case, None where it cannot; None where there are no images at hand.
    """

    title: str
    command: str
    data_account: tuple[str, ...] = ()
    remarks: tuple[ReportRemark, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    protocol_notes: tuple[str, ...] = ()
    seconds_per_stage: dict[str, float] | None = None
    voc: dict[str, Any] | None = None
    pictures: Callable[[Case], CasePicture | None] | None = None
