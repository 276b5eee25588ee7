"""What the check of a dataset can find: each kind with its severity, its meaning and what to do about it.

The checks themselves are in `images`, `duplicates`, `boxes` and `check`, which runs them; `check_report` shows the
findings.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from yolo.errors import printable
from yolo.formats.issues import KINDS, MAX_ISSUES_PER_KIND, Box, DataIssue

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
_Table = dict[str, str | tuple[str, str]]


class Kind(NamedTuple):
    """One kind of finding."""

    severity: Severity
    meaning: str
    action: str


_LABEL = "Correct or remove it in the annotation file."

# Meaning and action of each kind, in the order in which they are shown; of the readers' kinds the action alone.
_ERRORS: _Table = {
    "split_unusable": ("splits that cannot be read at all", "Correct what the message names first."),
    "split_without_objects": (
        "splits without a single object: there is nothing to learn from, or to measure on",
        "Annotate the images, or see whether the label files are empty by mistake.",
    ),
    "same_file_in_splits": (
        "images listed in several splits: the scores count images that were trained on",
        "Take each image out of all lists but one.",
    ),
    "duplicate_across_splits": (
        "copies of one image in several splits: the scores count images that were trained on",
        "Keep the copy in one split, delete the others; `gridyolo data split --by group` keeps relatives together.",
    ),
    "conflicting_annotations": (
        "copies of one image that are annotated differently: at least one of them is wrong",
        "Look at both, keep the better one, and delete the other.",
    ),
    "image_missing": "Put the file there, or take it out of the list or annotation.",
    "image_malformed": "Correct the entry.",
    "image_unreadable": "Convert other kinds of files, or install what is named; fetch damaged files again.",
    "image_truncated": ("image files that end too early: a part of the picture is missing", "Fetch them again."),
    "image_corrupt": ("image files with damaged contents: a part of the picture is garbage", "Fetch them again."),
    "image_too_large": ("images of more than 200 million pixels, which were not decoded", "Cut them into tiles."),
    "image_crashes": (
        "image files that crash the decoder, or need too much memory",
        "Fetch them again, or save them anew with another program.",
    ),
    "exif_ignored": (
        "images that cameras marked as turned, annotated as if they were not: their boxes are in wrong places",
        "Turn the boxes, or remove the mark from the files if the pictures stand upright without it.",
    ),
    "annotation_unreadable": "Correct the file, or restore it.",
    "unknown_image": "Add the images, or remove the annotations.",
    "unparsable": _LABEL,
    "wrong_columns": _LABEL,
    "confidence_column": "Remove the last column, unless these are predictions and no labels at all.",
    "class_not_integer": _LABEL,
    "class_out_of_range": "Correct the id, or add the class's name.",
    "unknown_class": "Correct the name, or add it to the classes of the dataset.",
    "missing_name": _LABEL,
    "missing_box": _LABEL,
    "not_normalised": "Divide by the image's width and height.",
    "not_finite": _LABEL,
    "degenerate": "Remove them: most are left behind by a stray click.",
}
_WARNINGS: _Table = {
    "near_duplicate_across_splits": (
        "nearly equal images in several splits: the numbers measured on them are too good",
        "Put them into the same split; `gridyolo data split --by group` does so by name or folder.",
    ),
    "class_not_in_train": (
        "classes that are measured but not in train: their AP will be 0",
        "Move some of their images to train, or leave the classes out.",
    ),
    "size_mismatch": "See whether the boxes fit; if the image was resized, resize its boxes.",
    "image_listed_twice": "Remove the repetition from the list.",
    "shared_class_name": "Merge them with `rename` in the dataset YAML, or rename one.",
    "nameless_class": "Give the category a name.",
    "unclear_flag": "Write 0 or 1.",
    "unused_category": "Remove it; exporters add such a category as the root of the others.",
    "duplicate_image": ("copies of one image in one split: they count several times", "Keep one of them."),
    "case_collision": (
        "files whose names differ in capitals or in the Unicode form of accents only: one is lost on other systems",
        "Rename one of them, and its annotation.",
    ),
    "unprintable_name": (
        "files whose names are not UTF-8, or hold line ends, control characters or marks of direction: they are read, "
        "and written down with signs such as %E9, which other programs do not understand",
        "Rename them, and their annotations.",
    ),
    "shared_label_file": "Rename one of them, or delete it.",
    "bit_depth": (
        "16-bit images whose samples do not fit the bit depth: they are nearly black, or their bright parts white",
        "Train, validate and predict with the --bit-depth that the message names.",
    ),
    "pictures_not_read": (
        "folders with pictures of kinds that are not read",
        "Convert them to JPEG or PNG, or move them elsewhere.",
    ),
    "image_animated": ("files of several frames or pages; only the first is used", "Save the frames that are meant."),
    "image_crowded": (
        "images with more than 10,000 objects, which were not compared with one another",
        "See whether they are meant, and cut the image into tiles.",
    ),
    "image_tiny": ("images with a side under 16 pixels", "See whether they are thumbnails."),
    "label_file_missing": "Annotate them; give true background images an empty label file.",
    "label_without_image": ("label files that belong to no image", "Find the images, or delete the files."),
    "annotation_not_listed": (
        "annotation files that no split names and that have no image",
        "Find the images, or delete the files.",
    ),
    "clipped": "See whether the box belongs to another image or size.",
    "inverted": "They are read with their corners in order; correct what wrote them.",
    "duplicate": "Remove one of the two.",
    "nearly_duplicate": (
        "two boxes of one class on the same thing (IoU over 0.8): it is trained on twice",
        "Keep one of them, and delete the others.",
    ),
    "two_labels": ("two classes on the same thing (IoU over 0.9)", "Decide which class it is, remove the other."),
    "unlike_its_class": (
        "boxes far from the usual size of their class, but of the usual size of another one: wrong label?",
        "Look at each, and correct the class.",
    ),
    "class_names_alike": (
        "class names that differ in capitals, spaces or an ending s only: one class under two names?",
        "Make them one class.",
    ),
}
_NOTES: _Table = {
    "box_covers_image": ("boxes over more than 95 % of their image", "See whether they mean one object."),
    "usual_class_missing": (
        "images without a class that at least 95 % of the images have: were its objects forgotten?",
        "Look at each, and annotate what is missing; unmarked objects are trained as background.",
    ),
    "box_tiny": (
        "boxes under 4 pixels wide or high, or under 1/45,000 of the image (3 x 3 pixels of 640 x 640)",
        "See whether they are stray clicks; a detector hardly learns them.",
    ),
    "box_thin": ("boxes more than 20 times as long as wide", "See whether they are meant."),
    "unwanted_class": "No action needed, if that is meant.",
    "class_unused": ("classes without any object", "Annotate some, or take them off the list."),
    "near_duplicate": (
        "nearly equal images in one split, as from a burst or video",
        "Keep one, if the others add nothing.",
    ),
    "image_not_listed": ("images beside those of the dataset that no split uses", "Annotate and list them, if meant."),
    "exif_rotated": (
        "images that cameras marked as turned or mirrored; they are read upright, other tools may not do so",
        "See whether the boxes fit; `--fix-into` writes a copy with upright pixels.",
    ),
    "image_huge": ("images with a side over 10,000 pixels", "Cut them into tiles: objects get tiny."),
    "image_cmyk": ("CMYK images, which are converted to RGB", "Save them as RGB."),
    "image_palette": ("palette (indexed-colour) images", "No action needed."),
    "image_16bit": ("images of more than 8 bits per channel; 8 are used", "See that they look right."),
    "image_alpha": ("images with transparency, which is ignored", "Check how the images look without it."),
    "image_grey": ("grey images, which are read as RGB", "No action needed."),
    "image_suffix": ("image files of another format than their name says", "Rename them."),
}


def _described(severity: Severity, table: _Table) -> dict[str, Kind]:
    entries = {name: (KINDS[name], entry) if isinstance(entry, str) else entry for name, entry in table.items()}
    return {name: Kind(severity, meaning, action) for name, (meaning, action) in entries.items()}


FINDING_KINDS: Mapping[str, Kind] = MappingProxyType(
    _described("error", _ERRORS) | _described("warning", _WARNINGS) | _described("note", _NOTES)
)


class FindingImage(NamedTuple):
    """An image that a finding is about, and the boxes on it in question."""

    path: str
    boxes: tuple[Box, ...] = ()  # xyxy, pixels, as annotated: they may be anything
    captions: tuple[str, ...] = ()  # one per box
    split: str = ""


class Finding(NamedTuple):
    """One thing that was found."""

    kind: str  # a key of `FINDING_KINDS`, or of `issues.KINDS`
    path: str  # the file to look into; the dataset itself where it is about no single file
    where: str  # line or object in it, may be empty
    message: str  # what is wrong, with the numbers
    images: tuple[FindingImage, ...] = ()  # to look at, may be empty


def kind_of(name: str) -> Kind:
    """Severity, meaning and advice of a kind; those of readers that are not described here are warnings."""
    return FINDING_KINDS.get(name) or Kind("warning", KINDS.get(name, name.replace("_", " ")), _LABEL)


def issue_finding(issue: DataIssue) -> Finding:
    """An issue of a reader as a finding."""
    boxes, captions = ((issue.box,), (issue.kind,)) if issue.box else ((), ())
    images = (FindingImage(issue.image, boxes, captions),) if issue.image else ()
    return Finding(issue.kind, issue.path, issue.line_or_object, issue.message, images)


def first_findings(findings: Iterable[Finding]) -> tuple[list[Finding], dict[str, int]]:
    """Each finding once, the first 2,000 of each kind: a million bad boxes must not fill the memory.

    Several splits may be read from one file, and the list `trainval` holds what train and val hold: the same fault is
    then found more than once.

    Returns:
        The findings, the worst kinds first, then by file; and how many there are of each kind, with those left out.
    """
    kept: list[Finding] = []
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    for item in findings:
        # messages are rounded: two boxes may read alike
        boxes = tuple(image.boxes for image in item.images)
        key = hash((item.kind, item.path, item.where, item.message, boxes))
        if key not in seen:
            seen.add(key)
            counts[item.kind] += 1
            if counts[item.kind] <= MAX_ISSUES_PER_KIND:
                kept.append(item)
    return sorted(kept, key=_rank), dict(counts)


def _rank(item: Finding) -> tuple[int, int, str, str, str, int, str]:
    severity = SEVERITIES.index(kind_of(item.kind).severity)
    place = list(FINDING_KINDS).index(item.kind) if item.kind in FINDING_KINDS else len(FINDING_KINDS)
    word, _, number = item.where.partition(" ")  # `line 10` after `line 9`
    where = (word, int(number)) if number.isdecimal() else (item.where, 0)
    return severity, place, item.kind, item.path, *where, item.message


def below(path: str | Path, root: Path) -> str:
    """A path as people are to see it: relative to the dataset where it is inside.

    >>> below("/data/set/images/a.jpg", Path("/data/set"))
    'images/a.jpg'
    """
    text = os.fspath(path)
    prefix = os.path.join(os.fspath(root), "")  # noqa: PTH118 - a trailing separator, which Path drops
    return printable(text.removeprefix(prefix))


def finding_dict(item: Finding, root: Path) -> dict[str, Any]:
    """Plain values for JSON; paths below `root` are relative to it, numbers that JSON lacks become text."""
    images = [
        {
            "file": below(image.path, root),
            **({"split": image.split} if image.split else {}),
            "boxes": [[_json_number(value) for value in box] for box in image.boxes],
        }
        for image in item.images
    ]
    return {
        "kind": item.kind,
        "severity": kind_of(item.kind).severity,
        "file": below(item.path, root),
        "where": item.where,
        "message": item.message,
        "images": images,
    }


def _json_number(value: float) -> float | str:
    return round(value, 3) if abs(value) < float("inf") else str(value)
