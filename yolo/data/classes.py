"""What becomes of the classes of a source: renamed, merged, left out, put into the order asked for.

Left out: where the names of a source come from (its reader), and the YAML keys (dataset_yaml.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from yolo.errors import DataError
from yolo.formats.issues import ReadReport
from yolo.formats.objects import RawSource

Names = tuple[str, ...]

_UNKNOWN, _UNWANTED = -1, -2
# Looking for a near name among thousands takes seconds, and says little.
_MOST_NAMES_COMPARED = 1000
_MOST_HINTS = 100


@dataclass(frozen=True)
class ClassRules:
    """What a dataset YAML says of the classes."""

    keep: Names | None = None  # these, in this order; None for all
    rename: Mapping[str, str | None] = field(default_factory=dict)  # new name by old name, None to leave it out
    category_ids: tuple[int, ...] | None = None  # the COCO id of each class

    def names_for(self, own: Iterable[str]) -> Names:
        """The names of the dataset, for the names in its sources."""
        if self.keep is not None:
            return self.keep
        renamed = (self.rename.get(name, name) for name in own)
        return tuple(dict.fromkeys(name for name in renamed if name is not None))

    def check_rename(self, known: Iterable[str]) -> None:
        """Raise a DataError if a class that is to be renamed does not exist."""
        names = set(known)
        for old in self.rename:
            if old not in names:
                raise DataError(f"'rename': {unknown_class_message(old, sorted(names))}")

    def is_unwanted(self, name: str) -> bool:
        """Whether the YAML itself leaves a class of a source out."""
        new = self.rename.get(name, name)
        return new is None or (self.keep is not None and new not in self.keep)


def relabel(source: RawSource, names: Sequence[str], rules: ClassRules, report: ReadReport) -> RawSource:
    """The objects of a source with the labels of the dataset; those of other classes are dropped and counted.

    Args:
        source: labels mean its own `class_names`.
        names: of the dataset, in the order of its labels.
        rules: of the dataset.
        report: receives what is dropped. What the rules leave out on purpose is counted, not listed.
    """
    label_of = {name: label for label, name in enumerate(names)}
    table = np.full(len(source.class_names), _UNKNOWN, np.int64)
    for place, own in enumerate(source.class_names):
        new = rules.rename.get(own, own)
        if new is not None and new in label_of:
            table[place] = label_of[new]
        elif rules.is_unwanted(own):
            table[place] = _UNWANTED
    labels = table[source.objects.labels]
    hints: dict[str, str] = {}

    def message(row: int) -> str:
        name = source.class_names[int(source.objects.labels[row])]
        if name not in hints:
            hints[name] = unknown_class_message(name, names if len(hints) < _MOST_HINTS else ())
        return hints[name]

    unknown = np.flatnonzero(labels == _UNKNOWN)
    report.drop_objects("unknown_class", unknown.tolist(), lambda row: source.issue(row, "unknown_class", message(row)))
    if unwanted := int((labels == _UNWANTED).sum()):
        report.objects_dropped["unwanted_class"] += unwanted
    kept = labels >= 0
    return replace(source.with_objects(kept, labels=labels[kept]), class_names=tuple(names))


def note_unmatched(own: Iterable[str], names: Sequence[str], rules: ClassRules, report: ReadReport) -> None:
    """Say which classes of the sources are not among the classes of the dataset."""
    known = set(names)
    unmatched = [
        name for name in dict.fromkeys(own) if rules.rename.get(name, name) not in known and not rules.is_unwanted(name)
    ]
    if unmatched:
        shown = ", ".join(map(repr, unmatched[:5])) + (", ..." if len(unmatched) > 5 else "")
        report.notes.append(f"{len(unmatched)} classes of the annotations are not in the class list: {shown}")


def category_ids_of(
    rules: ClassRules, own: Names | None, names: Names, sources: Iterable[RawSource]
) -> tuple[int, ...] | None:
    """The id of each class: from the YAML where it gives them to these classes, else from the COCO sources.

    Args:
        rules: of the dataset.
        own: names that the YAML states.
        names: the classes.
        sources: what was read.

    Returns:
        None where there are none, or the sources do not agree. A merged class has the id of the category that was
        called so from the start, else of the first; one without a category gets an id beyond all that are in use.
    """
    if rules.category_ids is not None:
        ids = dict(zip(rules.names_for(own or ()), rules.category_ids, strict=True))
        return _with_unused(names, ids)
    known = [(source.class_names, source.category_ids) for source in sources if source.category_ids is not None]
    ids = {}
    for class_names, category_ids in known:
        for name, category_id in zip(class_names, category_ids, strict=True):
            if ids.setdefault(name, category_id) != category_id:
                return None
    if not known or len(set(ids.values())) != len(ids):
        return None
    renamed = {new: ids[old] for old, new in reversed(list(rules.rename.items())) if new is not None and old in ids}
    chosen = _with_unused(names, renamed | ids)
    return chosen if len(set(chosen)) == len(chosen) else None


def _with_unused(names: Names, ids: Mapping[str, int]) -> tuple[int, ...]:
    """The id of each name, beyond all others where it has none, so that it cannot be taken for another class."""
    unused = count(max(ids.values(), default=0) + 1)
    return tuple(ids[name] if name in ids else next(unused) for name in names)


def unknown_class_message(name: str, known: Sequence[str]) -> str:
    """What to say of a class that is not among the known ones, with the nearest of them."""
    near = difflib.get_close_matches(name[:100], known, n=1) if len(known) <= _MOST_NAMES_COMPARED else []
    return f"class {name[:100]!r} is not among the classes" + (f"; did you mean {near[0]!r}?" if near else "")
