"""What a check of a dataset found, for people and programs: `check.html`, `check.json` and lines on the console.

check.json has

    version, dataset (its root), formats, notes
    counts      number of errors, warnings and notes
    splits      what was read of each split, without its single issues
    kinds       by name: severity, meaning, action, count
    findings    kind, severity, file, where (line or object), message, and images: file, split, boxes (xyxy, pixels)

Paths are relative to the dataset where they are inside it. check.html needs nothing but itself: a summary, the splits,
and for each kind of finding its first cases with small pictures on which the boxes are drawn (`check.html.j2`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined
from rich.console import Console

from yolo._version import __version__
from yolo.arrays import UInt8
from yolo.console import say
from yolo.curate.duplicates import images_in_splits
from yolo.curate.findings import Finding, FindingImage, Severity, below, finding_dict, kind_of
from yolo.data.read import DatasetDescriptor, Split
from yolo.errors import ImageReadError, printable
from yolo.files import write_json, write_text
from yolo.media.crops import cut, decode_reduced, fit, jpeg_uri, ordered, view_around
from yolo.media.drawing import draw_ground_truth
from yolo.structures import GroundTruth

_FORMATS = {
    "voc": "Pascal VOC",
    "coco": "COCO",
    "yolo": "YOLO",
    "csv": "CSV",
    "createml": "CreateML",
    "cvat": "CVAT",
    "labelme": "labelme",
    "labelstudio": "Label Studio",
    "via": "VGG Image Annotator",
}
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

# Kinds whose findings the readers note as well.
_TOLD_AS_NOTES = frozenset({"pictures_not_read"})
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
_HEADLINES = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was found in a dataset."""

    folder: Path  # the run folder with check.html and check.json
    descriptor: DatasetDescriptor
    splits: tuple[Split, ...]  # those that could be read
    findings: tuple[Finding, ...]  # the worst first; of each kind the first 2,000
    kinds: dict[str, int]  # number of cases by kind, in the order of the findings
    counts: dict[Severity, int]  # number of cases by severity

    @property
    def has_errors(self) -> bool:
        """Whether there is anything that must not stay as it is."""
        return self.counts["error"] > 0


class CheckSummary(NamedTuple):
    """What stands on top of the page."""

    level: str  # error, warning, note or good
    headline: str
    text: str  # counts and advice
    first: tuple[str, ...]  # the kinds to look at first


class Picture(NamedTuple):
    """One image of a finding, for the page."""

    source: str  # a data URI
    path: str
    split: str


def summarise(report: CheckReport) -> CheckSummary:
    """Sum up a report by its worst severity."""
    counts = report.counts
    level = next((severity for severity, count in counts.items() if count), "good")
    headline, advice = _HEADLINES[level]
    totals = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count)
    worst = [name for name in report.kinds if kind_of(name).severity == level and level != "note"]
    return CheckSummary(level, headline, f"{totals}. {advice}" if totals else advice, tuple(worst[:_MAX_FIRST]))


def print_report(report: CheckReport, console: Console) -> None:
    """Print the splits, the summary, and a line with the first case of each kind."""
    summary, root = summarise(report), report.descriptor.root
    say(console, *(split.report.summary_lines()[0] for split in report.splits))
    told = [item.message for item in report.findings if item.kind in _TOLD_AS_NOTES]
    say(console, *(f"note: {note}" for note in _notes(report) if not any(message in note for message in told)))
    say(console, f"{summary.headline} {summary.text}")
    firsts = {item.kind: item for item in reversed(report.findings)}
    for name, count in report.kinds.items():
        kind, first = kind_of(name), firsts[name]
        place = ", ".join(part for part in (below(first.path, root), first.where) if part)
        say(console, f"  {kind.severity}: {kind.meaning}: {count}, e.g. {place}: {first.message}")


def _notes(report: CheckReport) -> list[str]:
    """What the readers said of the dataset as a whole, each once."""
    return list(
        dict.fromkeys((*report.descriptor.notes, *(note for one in report.splits for note in one.report.notes)))
    )


def write_report(report: CheckReport, *, num_files: int, readable: Collection[str], max_pictures: int) -> None:
    """Write check.json and check.html into the run folder.

    Args:
        report: what was found.
        num_files: image files that were inspected.
        readable: image files that can be decoded without danger.
        max_pictures: images drawn on the page, at most.
    """
    descriptor, root = report.descriptor, report.descriptor.root
    splits = [split.report.to_dict() for split in report.splits]
    content = {
        "version": __version__,
        "dataset": printable(root),
        "formats": list(descriptor.formats),
        "notes": list(descriptor.notes),
        "counts": dict(report.counts),
        "splits": [{key: value for key, value in split.items() if key != "issues"} for split in splits],
        "kinds": {name: kind_of(name)._asdict() | {"count": count} for name, count in report.kinds.items()},
        "findings": [finding_dict(item, root) for item in report.findings],
    }
    write_json(report.folder / "check.json", content)
    template = (resources.files("yolo.curate") / "check.html.j2").read_text(encoding="utf-8")
    # all that comes from the dataset is escaped: names are anybody's text
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    environment.filters["below"] = partial(below, root=root)
    text = environment.from_string(template).render(
        dataset=printable(root.name),
        root=printable(root),
        formats=" and ".join(_FORMATS[name] for name in descriptor.formats),
        num_files=num_files,
        summary=summarise(report),
        splits=[split.report for split in report.splits],
        notes=_notes(report),
        sections=_sections(report, readable, max_pictures),
        version=__version__,
    )
    write_text(report.folder / "check.html", text)


def _sections(report: CheckReport, readable: Collection[str], max_pictures: int) -> dict[str, dict[str, Any]]:
    """What the page has of each kind of finding."""
    images = {image.path: image for image in images_in_splits(report.splits)}

    def annotated(image: FindingImage) -> FindingImage:
        return images[image.path].pointed(annotated=True) if image.path in images else image

    groups = [[item for item in report.findings if item.kind == name] for name in report.kinds]
    drawn = draw_findings(groups, most=max_pictures, annotations=annotated, readable=readable)
    return {
        name: {
            "count": count,
            "listed": f"{len(group)} of them" if len(group) < count else "all",
            **kind_of(name)._asdict(),
            "cases": group[:_MAX_CASES],
            "placed": any(item.where for item in group[:_MAX_CASES]),
            "drawn": pictures,
        }
        for (name, count), group, pictures in zip(report.kinds.items(), groups, drawn, strict=True)
    }


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
    for turn in zip_longest(*queues):
        yield from ((kind, finding) for kind, finding in enumerate(turn) if finding is not None)


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
    # the boxes of a pair differ in colour, many boxes show their classes
    names = captions if len(captions) <= _PAIR else list(dict.fromkeys(captions))
    labels = list(range(len(captions))) if len(captions) <= _PAIR else [names.index(text) for text in captions]
    return draw_ground_truth(image, GroundTruth.from_boxes(seen, labels), names)
