"""The page of `gridyolo data check`: one HTML file that needs nothing but itself.

The pictures on the page of `gridyolo data check`: offending boxes drawn on small copies of their images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from yolo._version import __version__
from yolo.curate.findings import Finding, Pointed, Severity, below, kind_of
from yolo.errors import ImageReadError, printable
from yolo.files import atomic_write
from yolo.formats.issues import DataAccount
from yolo.media.crops import cut, decode_reduced, fit, jpeg_uri, ordered
from yolo.media.drawing import draw_ground_truth
from yolo.structures import GroundTruth

_SIDE = 360
_MOST_PER_KIND = 24
_QUALITY = 80
_MOST_BYTES = 10_000_000  # of all pictures, encoded for the page
_DECODED_SIDE = 4 * _SIDE
_MOST_ENLARGED = 8.0
# Boxes that would be smaller than this on the page are shown with their surroundings only.
_SMALLEST_SHOWN, _SURROUNDINGS = 14, 12.0
_PAIR, _SURROUNDINGS_OF_PAIR = 2, 2.5
_MOST_OUTSIDE = 0.5  # of the image's side: so far the view follows boxes that reach out of it
_MOST_BOXES_NAMED = 12
_ANNOTATED = "annotated"

# Kinds that are about an image as a whole, on which it helps to see all boxes.
_SHOW_ANNOTATIONS = frozenset({"exif_ignored", "exif_rotated", "size_mismatch", "usual_class_missing"})
# Kinds of objects of which, without a box, a picture would show nothing.
_SHOW_BOXES_ONLY = frozenset(
    {
        "unparsable",
        "wrong_columns",
        "confidence_column",
        "class_not_integer",
        "class_out_of_range",
        "unknown_class",
        "missing_name",
        "missing_box",
        "not_normalised",
        "not_finite",
    }
)


class Picture(NamedTuple):
    """One image of a finding, for the page."""

    source: str  # a data URI
    path: str
    split: str


def draw_findings(
    by_kind: Sequence[Sequence[Finding]],
    *,
    most: int,
    annotations: Callable[[str], Pointed],
    readable: Callable[[str], bool],
) -> list[list[tuple[Finding, list[Picture]]]]:
    """Draw findings, as many of each kind as of the others while there are any, in the order given.

    Args:
        by_kind: findings of one kind each.
        most: images in all.
        annotations: an image with all of its boxes.
        readable: whether an image can be decoded without danger.

    Returns:
        For each kind its drawn findings with one or two pictures.
    """
    drawn: list[list[tuple[Finding, list[Picture]]]] = [[] for _ in by_kind]
    left, bytes_left = most, _MOST_BYTES
    for kind, finding in _in_turns(by_kind, readable):
        if len(finding.images) > left:
            continue
        pictures = _pictures(finding, annotations, readable)
        size = sum(len(picture.source) for picture in pictures)
        if pictures and size <= bytes_left:
            drawn[kind].append((finding, pictures))
            left, bytes_left = left - len(pictures), bytes_left - size
    return drawn


def _in_turns(by_kind: Sequence[Sequence[Finding]], readable: Callable[[str], bool]) -> Iterator[tuple[int, Finding]]:
    """The first finding of each kind, the second of each, ...; those with a picture only."""
    queues = [
        iter(
            [item for item in findings if any(_is_shown(item, image, readable) for image in item.images)][
                :_MOST_PER_KIND
            ]
        )
        for findings in by_kind
    ]
    for _ in range(_MOST_PER_KIND):
        for kind, queue in enumerate(queues):
            if (finding := next(queue, None)) is not None:
                yield kind, finding


def _is_shown(finding: Finding, image: Pointed, readable: Callable[[str], bool]) -> bool:
    has_box = any(all(map(math.isfinite, box)) for box in image.boxes)
    return readable(image.path) and (has_box or finding.kind not in _SHOW_BOXES_ONLY)


def _pictures(
    finding: Finding, annotations: Callable[[str], Pointed], readable: Callable[[str], bool]
) -> list[Picture]:
    found = []
    for image in finding.images:
        if not readable(image.path):
            continue
        shown = annotations(image.path) if finding.kind in _SHOW_ANNOTATIONS and not image.boxes else image
        try:
            source = jpeg_uri(draw_pointed(shown), quality=_QUALITY)
        except (ImageReadError, OSError):
            continue  # it was readable a moment ago; the finding itself is on the page
        found.append(Picture(source, image.path, image.split))
    return found


def draw_pointed(pointed: Pointed) -> NDArray[np.uint8]:
    """An image with its boxes, at most 360 pixels wide and high.

    Small boxes are shown with their surroundings, boxes that reach out of the image with paper around it; those that
    are no numbers cannot be shown.
    """
    image, scale = decode_reduced(Path(pointed.path), needed=_DECODED_SIDE)
    rows = [
        (box, caption)
        for box, caption in zip(pointed.boxes, pointed.captions, strict=True)
        if all(map(math.isfinite, box))
    ]
    boxes = [ordered(box, (scale, scale)) for box, _ in rows]
    x1, y1, x2, y2 = _view(boxes, (image.shape[0], image.shape[1]))
    small, factor = fit(cut(image, (x1, y1, x2, y2)), _SIDE, most=_MOST_ENLARGED)
    placed = [[(a - b) * factor for a, b in zip(box, (x1, y1, x1, y1), strict=True)] for box in boxes]
    captions = [caption if len(rows) <= _MOST_BOXES_NAMED else "" for _, caption in rows]
    return _draw(small, placed, captions)


def _draw(image: NDArray[np.uint8], boxes: list[list[float]], captions: list[str]) -> NDArray[np.uint8]:
    if not boxes:
        return image
    # a box without area is still to be seen
    seen = [[x1 - 1, y1 - 1, max(x2, x1 + 2), max(y2, y1 + 2)] for x1, y1, x2, y2 in boxes]
    if not any(captions):  # one colour, no names
        names = [" "]
        labels = [0] * len(seen)
    else:
        # a pair is told apart by colour, many boxes show their classes
        names = captions if len(captions) <= _PAIR else list(dict.fromkeys(captions))
        labels = list(range(len(captions))) if len(captions) <= _PAIR else [names.index(text) for text in captions]
    return draw_ground_truth(image, GroundTruth.from_boxes(seen, labels), names)


def _view(boxes: list[tuple[float, float, float, float]], size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """What of an image is shown, as xyxy; it may reach out of the image."""
    height, width = size_hw
    if not boxes:
        return 0, 0, width, height
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    side = max(right - left, bottom - top)
    tiny = side * _SIDE / max(height, width) < _SMALLEST_SHOWN
    surroundings = _SURROUNDINGS_OF_PAIR if len(boxes) == _PAIR and not tiny else _SURROUNDINGS if tiny else 0.0
    inside = left >= -1 and top >= -1 and right <= width + 1 and bottom <= height + 1
    if surroundings and inside and surroundings * side < max(height, width):
        half = max(surroundings * side, 32.0) / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        return (
            round(max(x - half, 0)),
            round(max(y - half, 0)),
            round(min(x + half, width)),
            round(min(y + half, height)),
        )
    limit_x, limit_y = _MOST_OUTSIDE * width, _MOST_OUTSIDE * height
    return (
        round(max(min(0.0, left - 2), -limit_x)),
        round(max(min(0.0, top - 2), -limit_y)),
        round(min(max(width, right + 2 if right > width else width), width + limit_x)),
        round(min(max(height, bottom + 2 if bottom > height else height), height + limit_y)),
    )


_MOST_CASES = 50
_MOST_FIRST = 3
_FORMATS = {"voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO", "csv": "CSV"}


class Verdict(NamedTuple):
    """What is to be said first, in plain words."""

    level: str  # error, warning, note or good
    headline: str
    lines: tuple[str, ...]
    first: tuple[dict[str, Any], ...]  # kind, meaning, count, action


def make_verdict(kinds: dict[str, int], counts: dict[Severity, int]) -> Verdict:
    """Sum up.

    Args:
        kinds: number of cases by kind, the worst first.
        counts: number of cases by severity.
    """
    level = next((severity for severity, count in counts.items() if count), "good")
    told = {
        "error": (
            "This dataset has errors.",
            "A part of it is lost, wrong, or makes measured numbers untrue. Mend the errors before training.",
        ),
        "warning": (
            "No errors, but things that look wrong.",
            "It can be used as it is. Each case is worth a look: many are mistakes of annotation.",
        ),
        "note": ("Nothing is wrong with this dataset.", "There are a few things that are worth knowing."),
        "good": ("Nothing is wrong with this dataset.", "Every file was read to its end, every box looked at."),
    }
    headline, line = told[level]
    totals = ", ".join(_plural(count, severity) for severity, count in counts.items() if count)
    worst = [name for name in kinds if kind_of(name).severity == level and level != "note"][:_MOST_FIRST]
    first = tuple(
        {"kind": name, "meaning": kind_of(name).meaning, "count": kinds[name], "action": kind_of(name).action}
        for name in worst
    )
    return Verdict(level, headline, ((f"{totals}. {line}" if totals else line),), first)


def write_page(
    path: Path,
    *,
    root: Path,
    formats: Sequence[str],
    accounts: Sequence[DataAccount],
    notes: Sequence[str],
    num_files: int,
    findings: Sequence[Finding],
    kinds: dict[str, int],
    verdict: Verdict,
    most_pictures: int,
    annotations: Callable[[str], Pointed],
    readable: Callable[[str], bool],
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        root: of the dataset; paths on the page are relative to it.
        formats: `voc`, `coco`, `yolo`, `csv`.
        accounts: of the splits that were read.
        notes: what was decided for the user.
        num_files: image files that were looked at.
        findings: sorted, the worst first.
        kinds: number of cases by kind, in the order of the findings; may be more than the findings.
        verdict: what stands on top.
        most_pictures: images drawn, at most.
        annotations: an image with all of its boxes.
        readable: whether an image can be decoded.
    """
    groups = [[item for item in findings if item.kind == name] for name in kinds]
    drawn = draw_findings(groups, most=most_pictures, annotations=annotations, readable=readable)
    sections = []
    for (name, count), group, pictures in zip(kinds.items(), groups, drawn, strict=True):
        sections.append(
            {
                "kind": name,
                "count": count,
                "listed": f"{len(group)} of them" if len(group) < count else "all",
                **kind_of(name)._asdict(),
                "cases": [_case(item, root) for item in group[:_MOST_CASES]],
                "placed": any(item.where for item in group[:_MOST_CASES]),
                "pictures": [
                    _case(item, root)
                    | {"pictures": [image._asdict() | {"file": below(image.path, root)} for image in images]}
                    for item, images in pictures
                ],
            }
        )
    template = (resources.files("yolo.curate") / "check.html.j2").read_text(encoding="utf-8")
    # all that comes from the dataset is escaped: names are anybody's text
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["sentence"] = _sentence
    text = environment.from_string(template).render(
        dataset=printable(root.name),
        root=printable(root),
        formats=" and ".join(_FORMATS[name] for name in formats),
        num_files=num_files,
        verdict=verdict,
        splits=[_split_row(account) for account in accounts],
        remarks=notes,
        sections=sections,
        version=__version__,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _case(item: Finding, root: Path) -> dict[str, Any]:
    return {"file": below(item.path, root), "where": item.where, "message": item.message}


def _split_row(account: DataAccount) -> dict[str, Any]:
    return {
        "name": account.split,
        "images": account.images_kept,
        "images_dropped": account.images_dropped.total(),
        "backgrounds": account.backgrounds,
        "objects": account.objects_kept,
        "repaired": account.objects_repaired.total(),
        "objects_dropped": account.objects_dropped.total(),
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" + "s" * (count != 1)
