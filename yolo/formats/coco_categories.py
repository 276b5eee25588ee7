"""The categories of a COCO file: each with an id and a name of its own.

Roboflow exports a root category above all others without objects: it is left out. So is one without objects that has
the name of another one. Others that share a name are classes of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from yolo.errors import DataError, printable
from yolo.formats.issues import DataIssue
from yolo.formats.json_records import json_type, plain_ids
from yolo.formats.values import plain_id, shown_id


def read_categories(
    records: Sequence[Any], used: Callable[[], list[Any]], path: Path
) -> tuple[dict[int, str], list[DataIssue]]:
    """Name by id, in ascending order of the ids, all names different; and what is not as it seems.

    Args:
        records: the `categories` of a file.
        used: the ids that its annotations have; asked only where it matters.
        path: of the file.

    Raises:
        DataError: one is malformed, or an id stands for two.
    """
    categories, issues = _stated(records, path), list[DataIssue]()
    root = _root(records)
    is_odd = len(set(categories.values())) < len(categories) or "" in categories.values()
    if not is_odd and root is None:
        return categories, issues
    ids = set(plain_ids(used()))
    if root is not None and root not in ids:
        message = f"{categories.pop(root)!r} is the supercategory of all others and has no objects"
        issues.append(DataIssue(printable(path), f"category {root}", "unused_category", message))
    names, odd = _distinct_names(categories, ids, path)
    return names, issues + odd


def _root(records: Sequence[Mapping[str, Any]]) -> Any:
    """The id of the category above all others, as Roboflow exports it; None where there is none."""
    for one in records:
        others = [record for record in records if record is not one]
        is_top = one.get("supercategory") in (None, "", "none")
        if others and is_top and all(record.get("supercategory") == one.get("name") for record in others):
            return plain_id(one.get("id"))
    return None


def _stated(records: Sequence[Any], path: Path) -> dict[int, str]:
    """Name by id, in ascending order of the ids; empty for those without a name."""
    categories: dict[int, str] = {}
    for position, record in enumerate(records):
        place = f"{printable(path)}: categories[{position}]"
        if type(record) is not dict:
            raise DataError(f"{place} is a JSON {json_type(record)}, expected an object")
        category_id, name = plain_id(record.get("id")), record.get("name")
        if type(category_id) is not int or abs(category_id) >= 2**62:
            raise DataError(f"{place}.id is {shown_id(record.get('id'))}, expected a whole number")
        name = printable(name.strip()) if type(name) is str else ""
        if category_id in categories:
            taken = f"id {category_id} is already used for {categories[category_id]!r}"
            raise DataError(f"{place}: {taken}; give each category an id of its own")
        categories[category_id] = name
    if not categories:
        raise DataError(f"{printable(path)}: 'categories' is empty, so no class has a name")
    return dict(sorted(categories.items()))


def _distinct_names(
    categories: Mapping[int, str], used: set[Any], path: Path
) -> tuple[dict[int, str], list[DataIssue]]:
    """The categories with a name each, all different.

    Roboflow exports a root category without objects, often with the name of the only class: it goes. Others that share
    a name are classes of their own, as for pycocotools, with the id added to the name.
    """
    issues = []

    def note(category_id: int, kind: str, message: str) -> None:
        issues.append(DataIssue(printable(path), f"category {category_id}", kind, message))

    names = {category_id: name or str(category_id) for category_id, name in categories.items()}
    for category_id, name in categories.items():
        others = [one for one, other in names.items() if other == name and one != category_id]
        if not name:
            note(category_id, "nameless_class", "has no name")
        elif others and category_id not in used:
            note(category_id, "unused_category", f"has no objects and the name of category {others[0]}, {name!r}")
            del names[category_id]
    shared = {name for name, count in Counter(names.values()).items() if count > 1}
    for category_id, name in names.items():
        if name in shared:
            note(category_id, "shared_class_name", f"is called {name!r} like another category")
            names[category_id] = f"{name} ({category_id})"
    return names, issues
