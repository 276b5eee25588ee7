"""index.html of a prediction run: all its pictures as thumbnails, to filter by class and number, sort and enlarge.

The page needs nothing but the pictures beside it. Left out: making thumbnails, which needs the images (`engine`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from yolo.files import write_text
from yolo.http import has_scheme
from yolo.report.page import render


@dataclass(slots=True)
class SheetImage:
    """An image of the run, or a video of it as a whole."""

    name: str  # the source, as people call it
    file: str  # the picture: a path relative to the page, or an address
    thumbnail: str  # the same of its thumbnail; empty where there is none
    thumbnail_wh: tuple[int, int]  # in pixels
    counts: Counter[int]  # detections of each label
    best_score: float = 0.0  # the highest of all detections
    is_video: bool = False  # `file` is a video, and the counts are those of its frames


@dataclass(frozen=True, slots=True)
class _Shot:
    """A `SheetImage` as the template needs it."""

    name: str
    address: str
    thumbnail: str
    thumbnail_wh: tuple[int, int]
    is_video: bool
    counts: list[tuple[str, int]]  # by falling number
    count_pairs: str  # "label:number label:number"
    best_score: float


def write_contact_sheet(
    path: Path,
    images: Sequence[SheetImage],
    unreadable: Mapping[str, str],
    *,
    title: str,
    class_names: Sequence[str],
    weights: str,
) -> None:
    """Write the page.

    Args:
        path: of the page.
        images: in the order of the run.
        unreadable: the reason for each source that could not be read.
        title: of the page.
        class_names: what the labels mean.
        weights: of the detector, for the foot of the page.

    Raises:
        SaveError: the page could not be written.
    """
    totals = sum((image.counts for image in images), Counter[int]())
    values = {
        "title": title,
        "images": [_shot(image, class_names) for image in images],
        "unreadable": list(unreadable.items()),
        "classes": [(name, totals[label]) for label, name in enumerate(class_names)],
        "total": totals.total(),
        "weights": weights,
    }
    write_text(path, render("contact_sheet.html.j2", values))


def _shot(image: SheetImage, class_names: Sequence[str]) -> _Shot:
    counts = image.counts.most_common()
    return _Shot(
        name=image.name,
        address=_address(image.file),
        thumbnail=_address(image.thumbnail),
        thumbnail_wh=image.thumbnail_wh,
        is_video=image.is_video,
        counts=[(class_names[label], number) for label, number in counts],
        count_pairs=" ".join(f"{label}:{number}" for label, number in counts),
        best_score=image.best_score,
    )


def _address(file: str) -> str:
    """What stands in a link: a path is escaped, an address is not.

    >>> _address("a b/c#1.jpg"), _address("file:///a%20b.jpg")
    ('a%20b/c%231.jpg', 'file:///a%20b.jpg')
    """
    return file if has_scheme(file) else quote(file, errors="replace")
