"""The keys of a dataset YAML that name classes: `names`, `nc`, `classes`, `rename`, `category_ids`.

Left out: the other keys (dataset_yaml.py), and what renaming does (classes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo.data.account import printable
from yolo.data.classes import ClassRules, unknown_class_message
from yolo.data.listing import is_file, read_lines, shown
from yolo.errors import DataError

_MOST_CLASSES = 10_000


def class_names(content: Mapping[str, Any], root: Path, path: Path) -> tuple[str, ...] | None:
    """The names, checked: whole, text, each once, as many as `nc` says; None where there are none.

    Args:
        content: of the YAML, or of one source in it.
        root: of the dataset.
        path: of the YAML.

    Raises:
        DataError: they are not.
    """
    value, count = content.get("names"), content.get("nc")
    if count is not None and not (type(count) is int and 1 <= count <= _MOST_CLASSES):
        raise DataError(f"{printable(path)}: 'nc' is {shown(count)}, expected the number of classes")
    if value is None:
        return None if count is None else tuple(f"class{number}" for number in range(count))
    if isinstance(value, str):
        value = _names_in_file(value, root, path)
    if isinstance(value, dict):
        value = _in_order(value, path)
    if not isinstance(value, list) or not value:
        raise DataError(f"{printable(path)}: 'names' is {shown(value)}, expected a list or {{0: person, 1: ...}}")
    names = tuple(_class_name(item, f"names[{number}]", path) for number, item in enumerate(value))
    _check_once(names, "names", path)
    if count is not None and count != len(names):
        raise DataError(f"{printable(path)}: 'nc' is {count} but 'names' has {len(names)} entries")
    return names


def class_rules(content: Mapping[str, Any], names: tuple[str, ...] | None, path: Path) -> ClassRules:
    """`classes`, `rename` and `category_ids`, checked.

    Args:
        content: of the YAML.
        names: its `names`.
        path: of the YAML.

    Raises:
        DataError: one is malformed, or they do not fit together.
    """
    rename = _rename(content.get("rename"), path)
    keep = _keep(content.get("classes"), path)
    rules = ClassRules(keep, rename)
    if names is not None and keep is not None:
        known = ClassRules(None, rename).names_for(names)
        for name in keep:
            if name not in {*known, *rename.values()}:
                raise DataError(f"{printable(path)}: 'classes': {unknown_class_message(name, known)}")
    expected = None if names is None and keep is None else rules.names_for(names or ())
    return ClassRules(keep, rename, _category_ids(content.get("category_ids"), expected, path))


def _rename(value: Any, path: Path) -> dict[str, str | None]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DataError(f"{printable(path)}: 'rename' is {shown(value)}, expected {{old: new, ...}}")
    return {
        _class_name(old, "a name in 'rename'", path): (
            None if new is None else _class_name(new, f"rename[{shown(old)}]", path)
        )
        for old, new in value.items()
    }


def _keep(value: Any, path: Path) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise DataError(f"{printable(path)}: 'classes' is {shown(value)}, expected a list of names")
    keep = tuple(_class_name(item, f"classes[{number}]", path) for number, item in enumerate(value))
    _check_once(keep, "classes", path)
    return keep


def _category_ids(value: Any, names: tuple[str, ...] | None, path: Path) -> tuple[int, ...] | None:
    if value is None:
        return None
    good = isinstance(value, list) and all(type(item) is int and 0 <= item < 2**62 for item in value)
    if not good or len(set(value)) != len(value):
        raise DataError(
            f"{printable(path)}: 'category_ids' is {shown(value)}, expected a list of different whole numbers"
        )
    if names is None:
        raise DataError(f"{printable(path)}: 'category_ids' needs 'names' or 'classes', to say of which classes")
    if len(value) != len(names):
        raise DataError(f"{printable(path)}: 'category_ids' has {len(value)} entries for {len(names)} classes")
    return tuple(value)


def _names_in_file(value: str, root: Path, path: Path) -> list[str]:
    places = (root / value, path.parent / value)
    found = next((place for place in places if is_file(place)), None)
    if found is None:
        raise DataError(
            f"{printable(path)}: 'names' is {shown(value)}, which is no file at {printable(places[0])[:300]}; "
            "write a list or {0: person, 1: ...}"
        )
    return read_lines(found)


def _in_order(names: Mapping[Any, Any], path: Path) -> list[Any]:
    try:
        by_number = {int(key): name for key, name in names.items()}
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{printable(path)}: 'names' has keys that are not class numbers: {shown(list(names))}"
        ) from None
    missing = sorted(set(range(len(names))) - by_number.keys())
    if missing:
        raise DataError(f"{printable(path)}: 'names' has {len(names)} entries but none for class {missing[0]}")
    return [by_number[number] for number in range(len(names))]


def _class_name(value: Any, key: str, path: Path) -> str:
    if isinstance(value, bool):
        raise DataError(
            f"{printable(path)}: {key} is {str(value).lower()}, as YAML reads bare yes, no, on and off; "
            "put the name in quotes"
        )
    if isinstance(value, int) and abs(value) < 2**62:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{printable(path)}: {key} is {shown(value)}, expected text; put the name in quotes")
    return printable(value.strip())


def _check_once(names: tuple[str, ...], key: str, path: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{printable(path)}: '{key}' has {name!r} more than once")
        seen.add(name)
