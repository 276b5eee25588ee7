"""What a page says beside its numbers: where they come from, how they were measured, what was odd about the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from yolo.evaluation.examples import Example
from yolo.formats.issues import InputWarning

PROTOCOL_NOTES: Final = (
    "mAP and AR are COCO's: IoU 0.5 to 0.95, 101 recall points, the best 100 detections of each class and image; "
    "crowd regions and difficult objects need not be found and excuse detections.",
    "Precision, recall and F1 hold at IoU 0.5 and one score threshold, at which the mean F1 of the classes is highest.",
)


@dataclass(frozen=True, slots=True)
class CasePicture:
    """A picture for a page.

    Attributes:
        source: data URI of a JPEG.
        width: in pixels.
        height: in pixels.
        alt: what it shows, for those who cannot see it.
        caption: the same, shorter; names as they are.
    """

    source: str
    width: int
    height: int
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Everything on a page that is not a number of the analysis or of the comparison.

    Attributes:
        title: such as "val of runs/train on blood".
        command: as typed.
        data_account: lines for people: what was read, fixed, dropped.
        warnings: counted warnings about the input files; they stand on top.
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
    warnings: tuple[InputWarning, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    protocol_notes: tuple[str, ...] = PROTOCOL_NOTES
    seconds_per_stage: dict[str, float] | None = None
    voc: dict[str, Any] | None = None
    pictures: Callable[[Example], CasePicture | None] | None = None
