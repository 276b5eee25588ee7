"""The grammar of a dataset YAML: which keys there are, what they may hold, and what relative paths mean.

    path: VOCdevkit            # root; relative to the folder of this file (the default)
    train: images/train        # folder, list (.txt), COCO file (.json), or several; relative to `path`
    val: images/val
    test: images/test          # optional
    names: [person, dog]       # or {0: person, 1: dog}, or a file with one name per line
    nc: 2                      # optional, checked against names
    format: auto               # auto, yolo, coco or voc

Nothing in it is ever executed or downloaded. Left out: what the sources hold.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from yolo.data.account import printable
from yolo.data.layouts import FORMATS, Format, canonical_split
from yolo.data.listing import is_file, read_lines, read_text
from yolo.errors import DataError

_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")
_KEYS = ("path", *_SPLIT_KEYS, "names", "nc", "format")
# Keys that other programs write or read; they mean nothing here.
_FOREIGN_KEYS = frozenset(
    {"author", "channels", "date", "description", "download", "flip_idx", "info", "kpt_shape", "license"}
    | {"roboflow", "url", "version", "yaml_file"}
)


class DatasetYaml(NamedTuple):
    """A dataset YAML, checked and with its paths resolved."""

    root: Path
    splits: Mapping[str, tuple[Path, ...]]
    class_names: tuple[str, ...] | None
    format: Format | None  # None for auto
    notes: tuple[str, ...]


def is_dataset_yaml(path: Path) -> bool:
    """Whether a YAML file seems to describe a dataset: it names a split or classes.

    True for a damaged file as well: reading it says what is wrong, passing it over would lose its class names.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except (DataError, yaml.YAMLError):
        return True
    return isinstance(content, dict) and any(key in content for key in (*_SPLIT_KEYS, "names"))


def read_dataset_yaml(path: Path) -> DatasetYaml:
    """Read and check a dataset YAML.

    Args:
        path: of the file, absolute.

    Raises:
        DataError: not YAML, an unknown key, a value of the wrong kind, or a path that is not there; the message
            names the file and the key, and lists the places tried.
    """
    content = _load(path)
    notes = _check_keys(content, path)
    root = _root(content.get("path"), path, notes)
    splits: dict[str, tuple[Path, ...]] = {}
    for key in _SPLIT_KEYS:
        if content.get(key) in (None, ""):
            continue
        if canonical_split(key) in splits:
            raise DataError(f"{printable(path)}: '{key}' and another key both name the split val; keep one")
        values = _strings(content[key], path, key)
        splits[canonical_split(key)] = tuple(_source(value, root, path, key=key, notes=notes) for value in values)
    if "val" in splits and splits.get("train") == splits["val"]:
        notes.append("val names the same images as train: its numbers say nothing about new images")
    return DatasetYaml(root, splits, _class_names(content, root, path), _format(content, path), tuple(notes))


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise DataError(f"{printable(path)}{line}: is not YAML ({problem})") from error
    if not isinstance(content, dict):
        raise DataError(f"{printable(path)}: is not a dataset YAML; expected keys such as train, val and names")
    return content


def _check_keys(content: Mapping[Any, Any], path: Path) -> list[str]:
    """Notes on the keys that are passed over."""
    notes = []
    for key in content:
        if key in _FOREIGN_KEYS:
            notes.append(f"'{key}' in {path.name} is passed over")
        elif key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(_KEYS)}"
            raise DataError(f"{printable(path)}: unknown key '{key}'; {hint}")
    return notes


def _root(value: Any, path: Path, notes: list[str]) -> Path:
    """The root of the dataset: `path` against the folder of the YAML, then against the working directory."""
    if value in (None, ""):
        return path.parent
    if not isinstance(value, str):
        raise DataError(f"{printable(path)}: 'path' is {value!r}, expected a folder")
    places = [path.parent / Path(value).expanduser(), Path.cwd() / Path(value).expanduser()]
    return _first_there(places, path, key="path", notes=notes)


def _source(value: str, root: Path, path: Path, *, key: str, notes: list[str]) -> Path:
    """One value of a split: against the root, then the working directory, then without leading `../`.

    Roboflow writes `../train/images` into a YAML that lies beside `train/`.
    """
    value = value.replace("\\", "/")
    places = [root / Path(value).expanduser(), Path.cwd() / value]
    if value.startswith("../"):
        places.append(root / value.lstrip("./"))
    return _first_there(places, path, key=key, notes=notes)


def _first_there(places: Sequence[Path], path: Path, *, key: str, notes: list[str]) -> Path:
    places = list(dict.fromkeys(places))
    for place in places:
        if place.is_dir() or is_file(place):
            if place != places[0]:
                notes.append(f"'{key}' in {path.name}: {printable(places[0])} is not there, using {printable(place)}")
            return place
    tried = "".join(f"\n  {printable(place)}" for place in places)
    raise DataError(f"{printable(path)}: '{key}' is not found; tried{tried}")


def _strings(value: Any, path: Path, key: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) and item for item in values):
        raise DataError(f"{printable(path)}: '{key}' is {value!r}, expected a path or a list of paths")
    return values


def _class_names(content: Mapping[str, Any], root: Path, path: Path) -> tuple[str, ...] | None:
    """The names, checked: whole, text, each once, as many as `nc` says."""
    value, count = content.get("names"), content.get("nc")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise DataError(f"{printable(path)}: 'nc' is {count!r}, expected the number of classes")
    if value is None:
        return None if count is None else tuple(f"class{number}" for number in range(count))
    if isinstance(value, str):
        value = _names_in_file(value, root, path)
    if isinstance(value, dict):
        value = _in_order(value, path)
    if not isinstance(value, list) or not value:
        raise DataError(f"{printable(path)}: 'names' is {value!r}, expected a list or {{0: person, 1: ...}}")
    names = tuple(_class_name(item, number, path) for number, item in enumerate(value))
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise DataError(f"{printable(path)}: 'names' has {twice!r} more than once")
    if count is not None and count != len(names):
        raise DataError(f"{printable(path)}: 'nc' is {count} but 'names' has {len(names)} entries")
    return names


def _names_in_file(value: str, root: Path, path: Path) -> list[str]:
    places = (root / value, path.parent / value)
    found = next((place for place in places if is_file(place)), None)
    if found is None:
        raise DataError(
            f"{printable(path)}: 'names' is {value!r}, which is no file at {printable(places[0])}; "
            "write a list or {0: person, 1: ...}"
        )
    return read_lines(found)


def _in_order(names: Mapping[Any, Any], path: Path) -> list[Any]:
    try:
        by_number = {int(key): name for key, name in names.items()}
    except (TypeError, ValueError):
        raise DataError(f"{printable(path)}: 'names' has keys that are not class numbers: {list(names)}") from None
    missing = sorted(set(range(len(names))) - by_number.keys())
    if missing:
        raise DataError(f"{printable(path)}: 'names' has {len(names)} entries but none for class {missing[0]}")
    return [by_number[number] for number in range(len(names))]


def _class_name(value: Any, number: int, path: Path) -> str:
    if isinstance(value, bool):
        raise DataError(
            f"{printable(path)}: names[{number}] is {str(value).lower()}, as YAML reads bare yes, no, on and off; "
            "put the name in quotes"
        )
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{printable(path)}: names[{number}] is {value!r}, expected text; put the name in quotes")
    return value.strip()


def _format(content: Mapping[str, Any], path: Path) -> Format | None:
    value = content.get("format", "auto")
    for known in FORMATS:
        if value == known:
            return known
    if value in (None, "auto"):
        return None
    raise DataError(f"{printable(path)}: 'format' is {value!r}, expected auto, {', '.join(FORMATS)}")
