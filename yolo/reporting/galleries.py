"""The cases of a report and their pictures: which are drawn, within a limit on the size of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from yolo.analysis.analysis import Analysis
from yolo.analysis.cases import Case
from yolo.analysis.errors import ERROR_KINDS
from yolo.reporting.context import CasePicture, ReportContext
from yolo.reporting.page import image_name
from yolo.reporting.wording import ERROR_WORDS, SUSPECT_WORDS

MOST_BYTES: Final = 8_000_000  # of all pictures, as they stand in the page
MOST_OF_A_KIND: Final = 24
MOST_SUSPECTS: Final = 60
MOST_OPEN: Final = 8  # pictures of a kind that are not folded
MOST_LISTED: Final = 50  # cases without a picture

_NO_IMAGES = "No pictures, because no images were at hand."
_NOT_DRAWN = "No picture, because the image could not be read, or the room for pictures on this page was used up."


@dataclass
class _Group:
    """Cases of one kind while they are drawn."""

    cases: tuple[Case, ...]
    most: int
    pictures: list[CasePicture | None] = field(default_factory=list)


def draw_galleries(analysis: Analysis, context: ReportContext, *, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Groups for the templates: `gallery`, one of each kind of error, and `suspects`.

    Kinds take turns, so that none is without pictures because another has many.
    """
    groups = [_Group(analysis.worst.get(kind, ()), MOST_OF_A_KIND) for kind in ERROR_KINDS]
    groups.append(_Group(analysis.suspects, MOST_SUSPECTS))
    if context.pictures is not None:
        _draw(groups, context.pictures, most_bytes)
    reason = _NO_IMAGES if context.pictures is None else _NOT_DRAWN
    errors = [
        {
            "kind": kind,
            "words": ERROR_WORDS[kind],
            "total": analysis.errors.counts[kind],
            **_shown(analysis, group, reason),
        }
        for kind, group in zip(ERROR_KINDS, groups[:-1], strict=True)
    ]
    kinds = Counter(case.kind for case in analysis.suspects)
    suspects = {
        "kinds": [(words, kinds[kind]) for kind, words in SUSPECT_WORDS.items() if kinds[kind]],
        **_shown(analysis, groups[-1], reason),
    }
    return {
        "gallery": errors,
        "suspects": suspects,
        "most_open": MOST_OPEN,
        "most_listed": MOST_LISTED,
        "any_drawn": any(any(group.pictures) for group in groups),
        # what drawing found out, such as images that are not there
        "picture_notes": tuple(getattr(context.pictures, "notes", ())),
    }


def _draw(groups: list[_Group], draw: Callable[[Case], CasePicture | None], most_bytes: int) -> None:
    left = most_bytes
    for turn in zip_longest(*(group.cases[: group.most] for group in groups)):
        for group, case in zip(groups, turn, strict=True):
            if case is None:
                continue
            picture = draw(case) if left > 0 else None
            if picture is not None and len(picture.source) > left:
                picture, left = None, 0
            left -= len(picture.source) if picture else 0
            group.pictures.append(picture)


def _shown(analysis: Analysis, group: _Group, reason: str) -> dict[str, Any]:
    images = analysis.matched.problem.images
    pictures = group.pictures + [None] * (len(group.cases) - len(group.pictures))
    drawn, undrawn = [], []
    for place, (case, picture) in enumerate(zip(group.cases, pictures, strict=True)):
        entry = {
            "message": case.message,
            "score": case.score,
            "iou": case.iou,
            "called": image_name(images, case.image),
            "file": images.paths[case.image] or images.image_ids[case.image],
            "picture": picture,
        }
        if picture is not None:
            drawn.append(entry)
        elif place < group.most:
            undrawn.append(entry)
    return {"drawn": drawn, "undrawn": undrawn, "reason": reason}
