"""The page of `gridyolo data check`: one HTML file that needs nothing but itself.

On it are the verdict, the splits, and for each kind of finding its first cases with pictures: offending boxes drawn on
small copies of their images. The text is in `check.html.j2`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined

from yolo._version import __version__
from yolo.arrays import UInt8
from yolo.curate.findings import Finding, FindingImage, Severity, below, kind_of
from yolo.data.read import DatasetDescriptor, Split
from yolo.errors import ImageReadError, printable
from yolo.files import atomic_write
from yolo.media.crops import cut, decode_reduced, fit, jpeg_uri, ordered, view_around
from yolo.media.drawing import draw_ground_truth
from yolo.structures import GroundTruth

_FORMATS = {"voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO", "csv": "CSV"}
_MAX_CASES, _MAX_FIRST = 50, 3  # of a kind in its table, kinds in the list of what to do first
# Pictures: pixels of a side on the page and decoded for it, how many of a kind, their bytes in all
_SIDE, _DECODED_SIDE, _QUALITY = 360, 1440, 80
_MAX_PER_KIND, _MAX_BYTES = 24, 10_000_000
_MAX_ENLARGED = 8.0
# Boxes that would be smaller than this on the page, and pairs, are shown with their surroundings only: they take this
# share of the view's side, and the view has so many pixels of the image at least.
_SMALLEST_SHOWN, _TINY_SHARE, _PAIR_SHARE, _MIN_VIEW = 14, 1 / 12, 1 / 2.5, 32.0
_PAIR = 2
_MAX_BOXES_NAMED = 12

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
# Headline and advice by the worst severity there is.
_VERDICTS = {
    "error": (
        "This dataset has errors.",
        "A part of it is lost, wrong, or makes measured numbers untrue. Fix the errors before training.",
    ),
    "warning": (
        "No errors, but things that look wrong.",
        "It can be used as it is. Each case is worth a look: many are mistakes of annotation.",
    ),
    "note": ("Nothing is wrong with this dataset.", "There are a few things that are worth knowing."),
    "good": ("Nothing is wrong with this dataset.", "Every file was decoded to its end, every box was checked."),
}

Annotations = Callable[[FindingImage], FindingImage]


class Verdict(NamedTuple):
    """What is to be said first, in plain words."""

    level: str  # error, warning, note or good
    headline: str
    lines: tuple[str, ...]
    first: tuple[dict[str, Any], ...]  # kind, meaning, count, action


class Picture(NamedTuple):
    """One image of a finding, for the page."""

    source: str  # a data URI
    path: str
    split: str


def make_verdict(kinds: Mapping[str, int], counts: Mapping[Severity, int]) -> Verdict:
    """Sum up.

    Args:
        kinds: number of cases by kind, the worst first.
        counts: number of cases by severity.
    """
    level = next((severity for severity, count in counts.items() if count), "good")
    headline, line = _VERDICTS[level]
    totals = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count)
    worst = [name for name in kinds if kind_of(name).severity == level and level != "note"][:_MAX_FIRST]
    first = tuple({"kind": name, "count": kinds[name], **kind_of(name)._asdict()} for name in worst)
    return Verdict(level, headline, ((f"{totals}. {line}" if totals else line),), first)


def write_page(
    path: Path,
    *,
    descriptor: DatasetDescriptor,
    splits: Sequence[Split],
    num_files: int,
    findings: Sequence[Finding],
    kinds: Mapping[str, int],
    verdict: Verdict,
    max_pictures: int,
    annotations: Annotations,
    readable: Collection[str],
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        descriptor: of the dataset; paths on the page are relative to its root.
        splits: that were read.
        num_files: image files that were looked at.
        findings: sorted, the worst first.
        kinds: number of cases by kind, in the order of the findings; may be more than the findings.
        verdict: what stands on top.
        max_pictures: images drawn, at most.
        annotations: an image with all of its boxes.
        readable: images that can be decoded without danger.
    """
    root = descriptor.root
    groups = [[item for item in findings if item.kind == name] for name in kinds]
    drawn = draw_findings(groups, most=max_pictures, annotations=annotations, readable=readable)
    sections = [
        {
            "kind": name,
            "count": count,
            "listed": f"{len(group)} of them" if len(group) < count else "all",
            **kind_of(name)._asdict(),
            "cases": [_case(item, root) for item in group[:_MAX_CASES]],
            "placed": any(item.where for item in group[:_MAX_CASES]),
            "pictures": [_case(item, root) | {"pictures": _shown(images, root)} for item, images in pictures],
        }
        for (name, count), group, pictures in zip(kinds.items(), groups, drawn, strict=True)
    ]
    template = (resources.files("yolo.curate") / "check.html.j2").read_text(encoding="utf-8")
    # all that comes from the dataset is escaped: names are anybody's text
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    text = environment.from_string(template).render(
        dataset=printable(root.name),
        root=printable(root),
        formats=" and ".join(_FORMATS[name] for name in descriptor.formats),
        num_files=num_files,
        verdict=verdict,
        splits=[split.report for split in splits],
        notes=list(dict.fromkeys(note for split in splits for note in split.report.notes)),
        sections=sections,
        version=__version__,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _case(item: Finding, root: Path) -> dict[str, Any]:
    return {"file": below(item.path, root), "where": item.where, "message": item.message}


def _shown(pictures: Sequence[Picture], root: Path) -> list[dict[str, Any]]:
    return [picture._asdict() | {"file": below(picture.path, root)} for picture in pictures]


def draw_findings(
    by_kind: Sequence[Sequence[Finding]], *, most: int, annotations: Annotations, readable: Collection[str]
) -> list[list[tuple[Finding, list[Picture]]]]:
    """Draw findings, as many of each kind as of the others while there are any, in the order given.

    Args:
        by_kind: findings of one kind each.
        most: images in all.
        annotations: an image with all of its boxes.
        readable: images that can be decoded without danger.

    Returns:
        For each kind its drawn findings with one or two pictures.
    """
    drawn: list[list[tuple[Finding, list[Picture]]]] = [[] for _ in by_kind]
    left, bytes_left = most, _MAX_BYTES
    for kind, finding in _in_turns(by_kind, readable):
        if len(finding.images) > left:
            continue
        pictures = _pictures(finding, annotations, readable)
        size = sum(len(picture.source) for picture in pictures)
        if pictures and size <= bytes_left:
            drawn[kind].append((finding, pictures))
            left, bytes_left = left - len(pictures), bytes_left - size
    return drawn


def _in_turns(by_kind: Sequence[Sequence[Finding]], readable: Collection[str]) -> Iterator[tuple[int, Finding]]:
    """The first finding of each kind, the second of each, ...; those with a picture only."""
    queues = [[item for item in findings if _can_be_drawn(item, readable)][:_MAX_PER_KIND] for findings in by_kind]
    for turn in range(_MAX_PER_KIND):
        yield from ((kind, queue[turn]) for kind, queue in enumerate(queues) if turn < len(queue))


def _can_be_drawn(finding: Finding, readable: Collection[str]) -> bool:
    return any(
        image.path in readable and (finding.kind not in _SHOW_BOXES_ONLY or any(map(_is_finite, image.boxes)))
        for image in finding.images
    )


def _is_finite(box: Sequence[float]) -> bool:
    return all(map(math.isfinite, box))


def _pictures(finding: Finding, annotations: Annotations, readable: Collection[str]) -> list[Picture]:
    found = []
    for image in finding.images:
        if image.path not in readable:
            continue
        shown = annotations(image) if finding.kind in _SHOW_ANNOTATIONS and not image.boxes else image
        try:
            source = jpeg_uri(draw_image(shown), quality=_QUALITY)
        except (ImageReadError, OSError):
            continue  # it was readable a moment ago; the finding itself is on the page
        found.append(Picture(source, image.path, image.split))
    return found


def draw_image(shown: FindingImage) -> UInt8:
    """An image with its boxes, at most 360 pixels wide and high.

    Small boxes are shown with their surroundings, boxes that reach out of the image with paper around it; those that
    are not finite cannot be shown.
    """
    image, scale = decode_reduced(Path(shown.path), needed=_DECODED_SIDE)
    rows = [row for row in zip(shown.boxes, shown.captions, strict=True) if _is_finite(row[0])]
    boxes = [ordered(box, (scale, scale)) for box, _ in rows]
    share, least = _view_share(boxes, max(image.shape))
    x1, y1, x2, y2 = map(round, view_around(boxes, (image.shape[0], image.shape[1]), share=share, least=least))
    small, factor = fit(cut(image, (x1, y1, x2, y2)), _SIDE, most=_MAX_ENLARGED)
    placed = [[(a - b) * factor for a, b in zip(box, (x1, y1, x1, y1), strict=True)] for box in boxes]
    return _draw(small, placed, [caption if len(rows) <= _MAX_BOXES_NAMED else "" for _, caption in rows])


def _view_share(boxes: Sequence[tuple[float, float, float, float]], longest_side: int) -> tuple[float, float]:
    """Share of the view that boxes are to take, and its least size in pixels: infinite to show the whole image."""
    if not boxes:
        return 1.0, math.inf
    x1, y1, x2, y2 = np.array(boxes).T
    if max(x2.max() - x1.min(), y2.max() - y1.min()) * _SIDE / longest_side < _SMALLEST_SHOWN:
        return _TINY_SHARE, _MIN_VIEW
    return (_PAIR_SHARE, _MIN_VIEW) if len(boxes) == _PAIR else (1.0, math.inf)


def _draw(image: UInt8, boxes: list[list[float]], captions: list[str]) -> UInt8:
    if not boxes:
        return image
    # a box without area is still to be seen
    seen = [[x1 - 1, y1 - 1, max(x2, x1 + 2), max(y2, y1 + 2)] for x1, y1, x2, y2 in boxes]
    if not any(captions):  # one colour, no names
        return draw_ground_truth(image, GroundTruth.from_boxes(seen, [0] * len(seen)), [" "])
    # a pair is told apart by colour, many boxes show their classes
    names = captions if len(captions) <= _PAIR else list(dict.fromkeys(captions))
    labels = list(range(len(captions))) if len(captions) <= _PAIR else [names.index(text) for text in captions]
    return draw_ground_truth(image, GroundTruth.from_boxes(seen, labels), names)
