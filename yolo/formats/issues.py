"""The account of what was read from a dataset: found, kept, mended, dropped, and why.

Nothing that a reader changes or leaves out goes unmentioned: each case is counted, and the first ones of each kind are
kept as a `DataIssue` that names the file and the line or object. Left out: the rules themselves (cleaning.py and the
readers) and printing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from yolo.errors import printable

# So many issues of each kind are kept; further ones are counted.
MAX_ISSUES_PER_KIND = 2000

Box = tuple[float, float, float, float]

# Every kind of issue and what it means, for the console.
KINDS = MappingProxyType(
    {
        # images
        "image_missing": "images listed but not there, left out",
        "image_unreadable": "image files that cannot be read, left out",
        "image_malformed": "entries for images that cannot be understood, left out",
        "image_listed_twice": "images listed more than once, read once",
        "annotation_unreadable": "images left out because their annotation file cannot be read",
        "label_file_missing": "images without a label file, taken as background",
        "size_mismatch": "images of another size than the annotation says, the file's size is used",
        "shared_label_file": "images that share one label file with another image",
        # objects
        "clipped": "boxes that reach over the border of the image",
        "not_finite": "boxes with NaN or infinite numbers, dropped",
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
    }
)

# What becomes of a faulty box that can be mended.
_MENDED = MappingProxyType({"clipped": "cut to it", "inverted": "put in order"})


@dataclass(frozen=True, slots=True)
class DataIssue:
    """One thing that is wrong in a dataset.

    Attributes:
        path: the file to look into.
        line_or_object: where in it, such as `line 3` or `object 2`; empty if the file as a whole is meant.
        kind: a key of `KINDS`.
        message: what is wrong, with the numbers.
        image: the image file concerned; empty where it is not known.
        box: xyxy in pixels as annotated, where there is one.
    """

    path: str
    line_or_object: str
    kind: str
    message: str
    image: str = ""
    box: Box | None = None

    def __str__(self) -> str:
        place = f"{self.path}, {self.line_or_object}" if self.line_or_object else self.path
        return f"{place}: {self.message}"


@dataclass(slots=True, eq=False)
class DataAccount:
    """Counts and issues of one split. The readers write it, everybody else reads it.

    Objects of images that were dropped are not read, so they are not among the objects found.

    Attributes:
        split: its name.
        images_kept: images in the split.
        images_dropped: images left out, by kind.
        backgrounds: images kept that have no object.
        objects_kept: objects in the split, mended ones included.
        objects_repaired: boxes that were mended and kept, by kind: cut by more than a pixel, corners put in order.
        objects_dropped: objects left out, by kind.
        label_files_missing: images kept that have no label file.
        counts: how many issues there are, by kind.
        issues: the first `MAX_ISSUES_PER_KIND` of each kind, in the order of finding.
        notes: how the split was formed, where that was not the user's own choice.
    """

    split: str
    images_kept: int = 0
    images_dropped: Counter[str] = field(default_factory=Counter)
    backgrounds: int = 0
    objects_kept: int = 0
    objects_repaired: Counter[str] = field(default_factory=Counter)
    objects_dropped: Counter[str] = field(default_factory=Counter)
    label_files_missing: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    issues: list[DataIssue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

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

    def add_issue(
        self,
        path: Path | str,
        line_or_object: str,
        kind: str,
        message: str,
        *,
        image: Path | str = "",
        box: Box | None = None,
    ) -> None:
        """Record an issue that neither drops nor mends anything by itself."""
        where, text = printable(line_or_object), printable(message)
        self.add_issues(kind, [0], lambda _: DataIssue(printable(path), where, kind, text, printable(image), box))

    def add_issues(self, kind: str, rows: Iterable[int], make: Callable[[int], DataIssue]) -> int:
        """Count one issue for each row, and keep those there is room for; the others are never made.

        Args:
            kind: a key of `KINDS`.
            rows: numbers that mean something to `make`.
            make: the issue of a row.

        Returns:
            The number of rows.
        """
        if kind not in KINDS:
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
        """Count and record an image that is left out.

        Args:
            path: the file to look into.
            kind: a key of `KINDS`.
            message: what is wrong.
            image: the image; default: `path`, unless `where` says a place in that.
            where: the place in the file.
        """
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
        """Count and record objects whose box was mended; they still count as kept. See `add_issues`."""
        if count := self.add_issues(kind, rows, make):
            self.objects_repaired[kind] += count

    def miss_label_file(self, path: Path | str, *, image: Path | str = "") -> None:
        """Count and record an image whose label file `path` does not exist."""
        self.add_issue(path, "", "label_file_missing", "there is no such label file", image=image)
        self.label_files_missing += 1

    def summary_lines(self) -> list[str]:
        """The account in a few lines: the totals, then one line per kind of issue with its first case."""
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
        for kind, meaning in KINDS.items():
            if count := self.counts[kind]:
                listed = f" ({MAX_ISSUES_PER_KIND} are listed)" if count > MAX_ISSUES_PER_KIND else ""
                example = f", e.g. {firsts[kind]}" if kind in firsts else ""
                lines.append(f"  {meaning}{self._fate(kind)}: {count}{listed}{example}")
        return lines

    def _fate(self, kind: str) -> str:
        """What became of boxes that may be mended or dropped, by the policy."""
        if kind not in _MENDED:
            return ""
        return ", dropped" if self.objects_dropped[kind] else f", {_MENDED[kind]}"

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
    """A box for JSON, which knows neither NaN nor infinity."""
    return None if box is None else [side if math.isfinite(side) else None for side in box]
