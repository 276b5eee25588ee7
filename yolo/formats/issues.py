"""What a reader found, kept, changed and left out: `ReadReport`, with every odd thing as a `DataIssue`.

Training and evaluation read the same files with the same readers and get the same report. Every issue is counted; the
first of each kind are kept with file, line and message. Left out: the policies (data/cleaning.py for training,
engine/ground_truth_files.py for files that are measured as they stand) and printing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from yolo.errors import printable, printable_text

# So many issues of each kind are kept; further ones are counted.
MAX_ISSUES_PER_KIND = 2000
_MOST_EXAMPLES = 5
_IMAGE_WEIGHT = 1000  # a lost image weighs as much as so many lost objects, where little is to be said
_LONGEST_EXAMPLE = 300  # characters; what somebody writes into a file may be endless

Box = tuple[float, float, float, float]

# Every kind of issue of annotations and what it means, for the console.
KINDS = MappingProxyType(
    {
        # images
        "image_missing": "listed images that do not exist, left out",
        "image_unreadable": "image files that cannot be read, left out",
        "image_malformed": "entries for images that cannot be understood, left out",
        "image_listed_twice": "images listed more than once, read once",
        "annotation_unreadable": "images left out because their annotation file cannot be read",
        "label_file_missing": "images without a label file, taken as background",
        "size_mismatch": "images whose size differs from the annotation; the file's size is used",
        "shared_label_file": "images that share one label file with another image",
        # classes
        "unused_category": "categories without objects that have the name of another one or stand above all, left out",
        "shared_class_name": "categories with the same name, kept apart with the id added to the name",
        "nameless_class": "categories without a name, named by their id",
        # objects
        "clipped": "boxes that extend beyond the image",
        "not_finite": "boxes with NaN, infinite or impossibly large numbers, dropped",
        "inverted": "boxes whose corners are swapped or whose size is negative",
        "degenerate": "boxes without area inside the image, dropped",
        "duplicate": "exact duplicates (same class, same box), dropped",
        "not_normalised": "boxes that are not in fractions of the image, dropped",
        "unparsable": "lines that are not numbers, dropped",
        "wrong_columns": "lines with a wrong number of columns, dropped",
        "confidence_column": "lines that look like a prediction with confidence, dropped",
        "class_not_integer": "objects whose class id is not a whole number, dropped",
        "class_out_of_range": "objects whose class id is not among the classes, dropped",
        "unknown_class": "objects of a class that is not among the classes, dropped",
        "unwanted_class": "objects of classes that were not asked for, left out",
        "missing_name": "objects without a class name, dropped",
        "missing_box": "objects without a usable box, dropped",
        "unknown_image": "annotations of images that are not listed, dropped",
        "unclear_flag": "flags that are neither 0 nor 1, taken as 0",
    }
)

# What becomes of a faulty box that can be fixed.
_FIXED = MappingProxyType({"clipped": "cut to it", "inverted": "put in order"})


@dataclass(frozen=True, slots=True)
class DataIssue:
    """One odd thing in a file."""

    path: str  # the file to look into
    line_or_object: str  # where in it, such as `line 3` or `object 2`; empty if the file as a whole is meant
    kind: str  # a key of `KINDS`, or another word for programs
    message: str  # what is wrong, with the numbers
    image: str = ""  # the image file concerned; empty where it is not known
    box: Box | None = None  # xyxy in pixels as annotated, where there is one

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.path, self.line_or_object) if part)
        return ": ".join(part for part in (place, self.message) if part)


class LineFault(NamedTuple):
    """A line of a file that cannot be used."""

    line: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class InputWarning:
    """All issues of one kind, for people who judge an evaluation of files."""

    kind: str  # as of the issues
    count: int
    message: str  # a sentence that is true of each; the number is not in it
    examples: tuple[str, ...] = ()  # some of them: file and line, image or key

    def __str__(self) -> str:
        examples = f" (such as {'; '.join(self.examples)})" if self.examples else ""
        return f"{self.count:,} x {self.message}{examples}"


@dataclass(slots=True, eq=False)
class ReadReport:
    """Counts and issues of what was read. The readers write it, everybody else reads it.

    Objects of images that were dropped are not read, so they are not among the objects found.
    """

    split: str = ""  # its name; empty where there are no splits
    images_kept: int = 0
    images_dropped: Counter[str] = field(default_factory=Counter)  # by kind
    backgrounds: int = 0  # images kept that have no object
    objects_kept: int = 0  # fixed ones included
    objects_repaired: Counter[str] = field(default_factory=Counter)  # kept: cut by more than a pixel, put in order
    objects_dropped: Counter[str] = field(default_factory=Counter)  # by kind
    counts: Counter[str] = field(default_factory=Counter)  # issues by kind
    issues: list[DataIssue] = field(default_factory=list)  # the first `MAX_ISSUES_PER_KIND` of each kind
    notes: list[str] = field(default_factory=list)  # how the split was formed, where the user did not choose it
    texts: dict[str, str] = field(default_factory=dict)  # of kinds that are not in `KINDS`, or mean something else here

    @property
    def images_found(self) -> int:
        """Images kept and images dropped."""
        return self.images_kept + self.images_dropped.total()

    @property
    def objects_found(self) -> int:
        """Objects kept and objects dropped."""
        return self.objects_kept + self.objects_dropped.total()

    @property
    def objects_clipped(self) -> int:
        """Objects kept whose box was cut by more than a pixel."""
        return self.objects_repaired["clipped"]

    @property
    def label_files_missing(self) -> int:
        """Images kept that have no label file."""
        return self.counts["label_file_missing"]

    def add_issue(
        self, path: Path | str, line_or_object: str, kind: str, message: str, *, image: Path | str = ""
    ) -> None:
        """Record an issue that neither drops nor fixes anything by itself."""
        issue = DataIssue(printable(path), printable(line_or_object), kind, printable_text(message), printable(image))
        self.add_issues(kind, [0], lambda _: issue)

    def add_issues(self, kind: str, rows: Iterable[int], make: Callable[[int], DataIssue]) -> int:
        """Count one issue for each row, and keep those there is room for; the others are never made.

        Args:
            kind: a key of `KINDS` or of `texts`.
            rows: numbers that mean something to `make`.
            make: the issue of a row.

        Returns:
            The number of rows.
        """
        if kind not in KINDS and kind not in self.texts:
            raise ValueError(f"unknown kind of issue {kind!r}")
        rows = list(rows)
        room = max(0, MAX_ISSUES_PER_KIND - self.counts[kind])
        self.issues += [make(row) for row in rows[:room]]
        if rows:
            self.counts[kind] += len(rows)
        return len(rows)

    def keep_images(self, count: int, *, backgrounds: int, objects: int) -> None:
        """Count images that stay, those of them without objects, and the objects on them."""
        self.images_kept += count
        self.backgrounds += backgrounds
        self.objects_kept += objects

    def drop_image(self, path: Path | str, kind: str, message: str, *, image: Path | str = "", where: str = "") -> None:
        """Count and record an image that is left out; it is `path`, unless `where` says a place in that."""
        self.add_issue(path, where, kind, message, image=image or ("" if where else path))
        self.images_dropped[kind] += 1

    def drop_object(
        self, path: Path | str, line_or_object: str, kind: str, message: str, *, image: Path | str = ""
    ) -> None:
        """Count and record an object that is left out."""
        self.add_issue(path, line_or_object, kind, message, image=image)
        self.objects_dropped[kind] += 1

    def drop_objects(self, kind: str, rows: Iterable[int], make: Callable[[int], DataIssue]) -> None:
        """Count and record objects that are left out; see `add_issues`."""
        if count := self.add_issues(kind, rows, make):
            self.objects_dropped[kind] += count

    def repair_objects(self, kind: str, rows: Iterable[int], make: Callable[[int], DataIssue]) -> None:
        """Count and record objects whose box was fixed; they still count as kept. See `add_issues`."""
        if count := self.add_issues(kind, rows, make):
            self.objects_repaired[kind] += count

    def warn(self, kind: str, text: str, *examples: str, count: int | None = None) -> None:
        """Count something that changes nothing: `count` of it, by default one for each example, at least one.

        `text` is a sentence that is true of each; the first of a kind stays.
        """
        self.texts.setdefault(kind, text)
        self.add_issues(kind, range(len(examples)), lambda row: DataIssue("", "", kind, printable(examples[row])))
        self.counts[kind] += (max(1, len(examples)) if count is None else count) - len(examples)

    def warn_rows(self, kind: str, text: str, mask: Any, example: Callable[[int], str | DataIssue]) -> None:
        """`warn` of the rows in which a mask is set, if any; `example` makes the example, or the issue, of a row."""
        rows = np.flatnonzero(mask)
        if rows.size:
            found = [example(row) for row in rows[:_MOST_EXAMPLES].tolist()]
            self.warn(kind, text, *map(str, found), count=int(rows.size))

    def warnings(self) -> tuple[InputWarning, ...]:
        """The issues by kind, in the order of their first occurrence, notes at the end."""
        found: dict[str, list[str]] = {kind: [] for kind in self.counts}
        for issue in self.issues:
            if len(found[issue.kind]) < _MOST_EXAMPLES:
                found[issue.kind].append(str(issue)[:_LONGEST_EXAMPLE])
        kinds = [
            InputWarning(kind, self.counts[kind], self.text_of(kind), tuple(examples))
            for kind, examples in found.items()
            if self.counts[kind]
        ]
        return (*kinds, *(InputWarning("dataset_note", 1, note) for note in self.notes))

    def text_of(self, kind: str) -> str:
        """What a kind of issue means here."""
        return self.texts.get(kind) or KINDS[kind]

    def summary_lines(self) -> list[str]:
        """The report in a few lines: the totals, then one line per kind of issue with its first case."""
        inverted = self.objects_repaired["inverted"]
        lines = [
            f"{self.split}: {self.images_kept} of {self.images_found} images kept "
            f"({self.backgrounds} without objects), {self.objects_kept} of {self.objects_found} objects kept "
            f"({self.objects_clipped} clipped{f', {inverted} put in order' if inverted else ''})"
        ]
        lines += [f"  note: {note}" for note in self.notes]
        firsts: dict[str, DataIssue] = {}
        for issue in self.issues:
            firsts.setdefault(issue.kind, issue)
        for kind in dict.fromkeys((*KINDS, *self.texts)):
            if count := self.counts[kind]:
                listed = f" ({MAX_ISSUES_PER_KIND} are listed)" if count > MAX_ISSUES_PER_KIND else ""
                example = f", e.g. {firsts[kind]}" if kind in firsts else ""
                lines.append(f"  {self.text_of(kind)}{self._fate(kind)}: {count}{listed}{example}")
        return lines

    def short_lines(self, most: int = 4) -> list[str]:
        """The totals, the notes, and the kinds of issues that matter most: first what lost images, then objects."""
        lost = Counter({kind: count * _IMAGE_WEIGHT for kind, count in self.images_dropped.items()})
        lost.update(self.objects_dropped)
        kinds = sorted((kind for kind in self.counts if self.counts[kind]), key=lambda kind: -lost[kind])
        lines = self.summary_lines()[: 1 + len(self.notes)]
        lines += [f"  {self.text_of(kind)}{self._fate(kind)}: {self.counts[kind]:,}" for kind in kinds[:most]]
        if kinds:
            more = f"{len(kinds) - most} more kinds of issues and " if len(kinds) > most else ""
            lines.append(f"  {more}where these are: data.json in the run folder")
        return lines

    def _fate(self, kind: str) -> str:
        """What became of boxes that may be fixed or dropped, by the policy."""
        if kind not in _FIXED:
            return ""
        return ", dropped" if self.objects_dropped[kind] else f", {_FIXED[kind]}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values that JSON can hold."""
        return {
            "split": self.split,
            "images_found": self.images_found,
            "images_kept": self.images_kept,
            "images_dropped": dict(self.images_dropped),
            "backgrounds": self.backgrounds,
            "objects_found": self.objects_found,
            "objects_kept": self.objects_kept,
            "objects_clipped": self.objects_clipped,
            "objects_repaired": dict(self.objects_repaired),
            "objects_dropped": dict(self.objects_dropped),
            "label_files_missing": self.label_files_missing,
            "notes": list(self.notes),
            "counts": dict(self.counts),
            "issues": [asdict(issue) | {"box": _finite(issue.box)} for issue in self.issues],
        }


def _finite(box: Box | None) -> list[float | None] | None:
    """A box for JSON, which has neither NaN nor infinity."""
    return None if box is None else [value if math.isfinite(value) else None for value in box]
