"""The account of what was read from a dataset: found, kept, clipped, dropped, and why.

Nothing that a reader changes or leaves out goes unmentioned: each case is a `DataIssue` that names the file and
the line or object. Left out: the rules themselves (cleaning.py and the readers) and printing.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

# Every kind of issue and what it means, for the console.
KINDS = MappingProxyType(
    {
        # images
        "image_missing": "images listed but not there, left out",
        "image_unreadable": "image files that cannot be read, left out",
        "image_listed_twice": "images listed more than once, read once",
        "annotation_unreadable": "images left out because their annotation file cannot be read",
        "label_file_missing": "images without a label file, taken as background",
        "size_mismatch": "images of another size than the annotation says, the file's size is used",
        # objects
        "clipped": "boxes that reach over the border of the image, cut to it",
        "not_finite": "boxes with NaN or infinite numbers, dropped",
        "inverted": "boxes whose corners are swapped or whose size is negative, dropped",
        "degenerate": "boxes without area inside the image, dropped",
        "duplicate": "exact duplicates (same class, same box), dropped",
        "not_normalised": "boxes that are not in fractions of the image, dropped",
        "unparsable": "lines that are not numbers, dropped",
        "wrong_columns": "lines with a wrong number of columns, dropped",
        "confidence_column": "lines that look like a prediction with confidence, dropped",
        "class_not_integer": "objects whose class id is not a whole number, dropped",
        "class_out_of_range": "objects whose class id is not among the classes, dropped",
        "unknown_class": "objects of a class that is not among the classes, dropped",
        "missing_name": "objects without a class name, dropped",
        "missing_box": "objects without a usable box, dropped",
        "unknown_image": "annotations of images that are not listed, dropped",
    }
)


def printable(path: Path | str) -> str:
    """A path as text that every file and terminal can take; what is no Unicode becomes a question mark."""
    return os.fspath(path).encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class DataIssue:
    """One thing that is wrong in a dataset.

    Attributes:
        path: the file to look into.
        line_or_object: where in it, such as `line 3` or `object 2`; empty if the file as a whole is meant.
        kind: a key of `KINDS`.
        message: what is wrong, with the numbers.
    """

    path: str
    line_or_object: str
    kind: str
    message: str

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
        objects_kept: objects in the split, clipped ones included.
        objects_clipped: objects kept whose box was cut by more than a pixel.
        objects_dropped: objects left out, by kind.
        label_files_missing: images kept that have no label file.
        issues: every case, in the order of reading.
        notes: how the split was formed, where that was not the user's own choice.
    """

    split: str
    images_kept: int = 0
    images_dropped: Counter[str] = field(default_factory=Counter)
    backgrounds: int = 0
    objects_kept: int = 0
    objects_clipped: int = 0
    objects_dropped: Counter[str] = field(default_factory=Counter)
    label_files_missing: int = 0
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

    def add_issue(self, path: Path, line_or_object: str, kind: str, message: str) -> None:
        """Record an issue that neither drops nor clips anything by itself."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind of issue {kind!r}")
        self.issues.append(DataIssue(printable(path), printable(line_or_object), kind, printable(message)))

    def keep_image(self, num_objects: int) -> None:
        """Count an image that stays, with `num_objects` objects on it."""
        self.images_kept += 1
        self.backgrounds += num_objects == 0
        self.objects_kept += num_objects

    def drop_image(self, path: Path, kind: str, message: str) -> None:
        """Count and record an image that is left out."""
        self.add_issue(path, "", kind, message)
        self.images_dropped[kind] += 1

    def drop_object(self, path: Path, line_or_object: str, kind: str, message: str) -> None:
        """Count and record an object that is left out."""
        self.add_issue(path, line_or_object, kind, message)
        self.objects_dropped[kind] += 1

    def clip_object(self, path: Path, line_or_object: str, message: str) -> None:
        """Count and record an object whose box was cut; it still counts as kept."""
        self.add_issue(path, line_or_object, "clipped", message)
        self.objects_clipped += 1

    def miss_label_file(self, path: Path) -> None:
        """Count and record an image whose label file `path` does not exist."""
        self.add_issue(path, "", "label_file_missing", "there is no such label file")
        self.label_files_missing += 1

    def summary_lines(self) -> list[str]:
        """The account in a few lines: the totals, then one line per kind of issue with its first case."""
        lines = [
            f"{self.split}: {self.images_kept} of {self.images_found} images kept "
            f"({self.backgrounds} without objects), {self.objects_kept} of {self.objects_found} objects kept "
            f"({self.objects_clipped} clipped)"
        ]
        lines += [f"  note: {note}" for note in self.notes]
        counts = Counter(issue.kind for issue in self.issues)
        for kind, meaning in KINDS.items():
            if counts[kind]:
                first = next(issue for issue in self.issues if issue.kind == kind)
                lines.append(f"  {meaning}: {counts[kind]}, e.g. {first}")
        return lines

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
            "objects_dropped": dict(self.objects_dropped),
            "label_files_missing": self.label_files_missing,
            "notes": list(self.notes),
            "issues": [asdict(issue) for issue in self.issues],
        }
