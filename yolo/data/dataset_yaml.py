"""The grammar of a dataset YAML: which keys there are, what they may hold, and what relative paths mean.

    path: VOCdevkit            # root; relative to the folder of this file (the default)
    train: images/train        # folder, list (.txt), COCO file (.json), CSV file, or several; relative to `path`
    val: images/val
    test: images/test          # optional
    names: [person, dog]       # or {0: person, 1: dog}, or a file with one name per line
    nc: 2                      # optional, checked against names
    format: auto               # auto, yolo, coco, voc, csv, or that of a tool: createml, cvat, labelme, ...
    classes: [dog]             # optional: keep these, in this order
    rename: {puppy: dog, cat: null}  # optional: rename and merge classes; null leaves one out
    category_ids: [18]         # optional: the COCO id of each class
    extra: extra.csv           # optional: flags that label files cannot hold, see formats/sidecar.py

A source may be a mapping: `{path: b/images, format: yolo, names: [car], images: FOLDER, only: LIST}`. `names` says
what the class ids of a YOLO source mean, `images` where the images are, and `only` is a list of the images to use.
`kpt_shape: [17, 3]`, of Ultralytics, says that so many key points follow each box, which are not read. Keys of other
programs are ignored with a note.

Backslashes in paths separate folders, also in double quotes, where YAML reads escapes. Nothing in the file is ever
executed or downloaded. Left out: what the sources hold, and what renaming does (classes.py).
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yolo.data.classes import ClassRules, unknown_class_message
from yolo.data.yaml_text import parse_yaml
from yolo.errors import DataError, printable, shown
from yolo.files import path_of_text
from yolo.formats.paths import (
    SOURCE_FORMATS,
    SourceFormat,
    canonical_split,
    is_file,
    is_folder,
    read_lines,
)
from yolo.formats.values import plain_id
from yolo.http import has_scheme

_MOST_CLASSES = 10_000


def class_names(content: Mapping[str, Any], root: Path, path: Path) -> tuple[str, ...] | None:
    """The names of a YAML, or of one source in it: whole, text, each once, as many as `nc` says; None for no names.

    Raises:
        DataError: they are not so.
    """
    value, count = content.get("names"), content.get("nc")
    if count is not None and type(plain_id(count)) is int:
        count = plain_id(count)
    if count is not None and not (type(count) is int and 1 <= count <= _MOST_CLASSES):
        raise DataError(f"{printable(path)}: 'nc' is {shown(count)}, expected the number of classes")
    if value is None:
        return None if count is None else tuple(f"class{number}" for number in range(count))
    if isinstance(value, str):
        value = _names_in_file(value, root, path)
    if isinstance(value, dict):
        value = _in_order(value, path)
    names = _names(value, "names", "a list or {0: person, 1: ...}", path)
    if count is not None and count != len(names):
        raise DataError(f"{printable(path)}: 'nc' is {count} but 'names' has {len(names)} entries")
    return names


def _names(value: Any, key: str, expected: str, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise DataError(f"{printable(path)}: '{key}' is {shown(value)}, expected {expected}")
    names = tuple(_class_name(item, f"{key}[{number}]", path) for number, item in enumerate(value))
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise DataError(f"{printable(path)}: '{key}' has {twice!r} more than once")
    return names


def class_rules(content: Mapping[str, Any], names: tuple[str, ...] | None, path: Path) -> ClassRules:
    """`classes`, `rename` and `category_ids` of a YAML with these `names`.

    Raises:
        DataError: one is malformed, or they do not fit together.
    """
    rename = _rename(content.get("rename"), path)
    keep = None if content.get("classes") is None else _names(content["classes"], "classes", "a list of names", path)
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


def _category_ids(value: Any, names: tuple[str, ...] | None, path: Path) -> tuple[int, ...] | None:
    if value is None:
        return None
    value = [plain_id(item) for item in value] if isinstance(value, list) else value
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
    value = value.replace("\\", "/")
    places = (root / value, path.parent / value)
    found = next((place for place in places if is_file(place)), None)
    if found is None:
        raise DataError(
            f"{printable(path)}: 'names' is {shown(value)}, which is not a file at {printable(places[0])[:300]}; "
            "write a list or {0: person, 1: ...}"
        )
    return read_lines(found)


def _in_order(names: Mapping[Any, Any], path: Path) -> list[Any]:
    by_number = {plain_id(key): name for key, name in names.items()}
    if not all(type(key) is int for key in by_number) or len(by_number) < len(names):
        raise DataError(f"{printable(path)}: 'names' has keys that are not class numbers: {shown(list(names))}")
    missing = sorted(set(range(len(names))) - by_number.keys())
    if missing == [0] and min(by_number) == 1:  # type: ignore[type-var]
        hint = "class numbers in label files begin at 0; subtract 1 from each key if these do"
        raise DataError(f"{printable(path)}: 'names' begins with class 1, and has none for class 0; {hint}")
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


_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")
_KEYS = ("path", *_SPLIT_KEYS, "names", "nc", "format", "classes", "rename", "category_ids", "extra")
_SOURCE_KEYS = ("path", "format", "names", "images", "only")
_NEARLY = 0.8  # so similar is an unknown key to one of these where it is taken for a misspelling
_DRIVE = re.compile(r"[a-z]:/", re.IGNORECASE)


class YamlSource(NamedTuple):
    """One source of a split, its paths resolved."""

    path: Path
    format: SourceFormat | None = None  # None for auto
    names: tuple[str, ...] | None = None
    images: Path | None = None
    only: Path | None = None


class DatasetYaml(NamedTuple):
    """A dataset YAML, checked and with its paths resolved."""

    root: Path
    splits: Mapping[str, tuple[YamlSource, ...]]
    class_names: tuple[str, ...] | None
    format: SourceFormat | None  # None for auto
    notes: tuple[str, ...]
    rules: ClassRules
    extra: Path | None
    key_points: int = 0  # numbers that follow the box of each object in label files


def names_in_yaml(path: Path) -> tuple[str, ...] | None:
    """The class names of a dataset YAML, whatever else is in it."""
    content = parse_yaml(path)
    return class_names(content, path.parent, path) if isinstance(content, dict) else None


def is_dataset_yaml(path: Path) -> bool:
    """Whether a YAML file seems to describe a dataset: it names a split or classes.

    True for a damaged file as well: reading it says what is wrong, and ignoring it would lose its class names.
    """
    try:
        content = parse_yaml(path)
    except DataError:
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
    root = _root(content, path, notes)
    splits: dict[str, tuple[YamlSource, ...]] = {}
    for key in _SPLIT_KEYS:
        if content.get(key) in (None, ""):
            continue
        if canonical_split(key) in splits:
            raise DataError(f"{printable(path)}: '{key}' and another key both name the split val; keep one")
        places, value = _Places(root, path, key, notes), content[key]
        if key == "test" and splits and isinstance(value, str) and not places.is_there(value):
            notes.append(f"'test' in {path.name} is not there, so there is no such split: {shown(value)}")
            continue  # Roboflow names it whether there is one or not
        splits[canonical_split(key)] = tuple(_source(one, places) for one in _listed(value, path, key))
    if "val" in splits and splits.get("train") == splits["val"]:
        notes.append("val names the same images as train: its numbers say nothing about new images")
    if not splits and any(key in content for key in _SPLIT_KEYS):
        empty = ", ".join(f"'{key}'" for key in _SPLIT_KEYS if key in content)
        raise DataError(f"{printable(path)}: {empty} is empty; name a folder, a list or an annotation file there")
    names = class_names(content, root, path)
    rules = class_rules(content, names, path)
    stated = content.get("extra")
    extra = None if stated is None else _Places(root, path, "extra", notes).resolve(stated)
    return DatasetYaml(
        root, splits, names, _format(content, path), tuple(notes), rules, extra, _key_points(content, path)
    )


def _load(path: Path) -> dict[Any, Any]:
    content = parse_yaml(path)
    if not isinstance(content, dict):
        raise DataError(f"{printable(path)}: is not a dataset YAML; expected keys such as train, val and names")
    return content


def _check_keys(content: Mapping[Any, Any], path: Path) -> list[str]:
    """A note on the keys of other programs. DataError for what looks like a misspelt key."""
    foreign = []
    for key in content:
        if key in (*_KEYS, "kpt_shape"):
            continue
        near = difflib.get_close_matches(str(key)[:50], _KEYS, n=1, cutoff=_NEARLY)
        if near and near[0] not in content:
            raise _unknown_key(key, _KEYS, "", path)
        foreign.append(printable(str(key))[:60])
    if foreign and not any(key in content for key in (*_SPLIT_KEYS, "names", "path")):
        raise DataError(
            f"{printable(path)}: is not a dataset YAML: none of its keys is known ({', '.join(foreign[:10])}); "
            f"known keys: {', '.join(_KEYS)}"
        )
    return [f"keys of other programs in {printable(path.name)} are ignored: {', '.join(foreign)}"] if foreign else []


def _key_points(content: Mapping[Any, Any], path: Path) -> int:
    """The numbers that follow each box by `kpt_shape`, the number of key points and of the numbers of each."""
    shape = content.get("kpt_shape")
    if shape is None:
        return 0
    found = [plain_id(value) for value in shape] if isinstance(shape, list) else []
    if len(found) != 2 or not all(type(value) is int and value > 0 for value in found) or found[1] not in (2, 3):
        expected = "expected the number of key points and of their coordinates, such as [17, 3]"
        raise DataError(f"{printable(path)}: 'kpt_shape' is {shown(shape)}, {expected}")
    return found[0] * found[1]  # type: ignore[operator,return-value]


def _unknown_key(key: Any, known: Sequence[str], where: str, path: Path) -> DataError:
    near = difflib.get_close_matches(str(key)[:50], known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
    return DataError(f"{printable(path)}: unknown key {shown(key)}{where}; {hint}")


def _root(content: Mapping[Any, Any], path: Path, notes: list[str]) -> Path:
    """The root of the dataset: `path` against the folder of the YAML, then against the working directory.

    FiftyOne writes the folder into which it exported, which says nothing after a move.
    """
    value = content.get("path")
    if value in (None, ""):
        return path.parent
    if not isinstance(value, str):
        raise DataError(f"{printable(path)}: 'path' is {shown(value)}, expected a folder")
    _refuse_address(value, "path", path)
    value = value.replace("\\", "/")
    own = _expanded(value)
    # Ultralytics keeps its datasets in a folder of this name
    places = [path.parent / own, Path.cwd() / own, Path.cwd() / "datasets" / own]
    if own.is_absolute() or _DRIVE.match(value):  # of another machine
        parts = own.parts[1:]
        tails = [Path(*parts[start:]) for start in range(len(parts))]
        places += [base / tail for tail in tails for base in (path.parent, path.parent.parent)]
        named = [one for key in _SPLIT_KEYS for one in _flat([content.get(key)]) if isinstance(one, str) and one]
        is_beside = any((path.parent / one.replace("\\", "/")).exists() for one in named)
        if is_beside or value.rstrip("/").rpartition("/")[2] == path.parent.name:  # the YAML lies in it
            places.append(path.parent)
    return _first_there(places, path, key="path", notes=notes)


def _refuse_address(value: str, key: str, path: Path) -> None:
    if has_scheme(value):
        raise DataError(
            f"{printable(path)}: '{key}' is the address {shown(value)}; nothing is downloaded for a YAML: fetch the "
            "data and write its path"
        )


class _Places(NamedTuple):
    """What the paths under one key are relative to."""

    root: Path
    path: Path  # of the YAML
    key: str
    notes: list[str]

    def resolve(self, value: Any) -> Path:
        """A path against the root, then the working directory, then without leading `../`.

        Roboflow writes `../train/images` into a YAML that lies beside `train/`.
        """
        if not isinstance(value, str) or not value:
            raise DataError(f"{printable(self.path)}: '{self.key}' is {shown(value)}, expected a path")
        _refuse_address(value, self.key, self.path)
        return _first_there(self._tried(value), self.path, key=self.key, notes=self.notes)

    def is_there(self, value: str) -> bool:
        return any(is_folder(place) or is_file(place) for place in map(path_of_text, map(str, self._tried(value))))

    def _tried(self, value: str) -> list[Path]:
        value = value.replace("\\", "/")
        above = [self.root / value.lstrip("./")] if value.startswith("../") else []
        return [self.root / _expanded(value), Path.cwd() / value, *above]

    def inside(self, key: str) -> _Places:
        return self._replace(key=f"{self.key}.{key}")


def _source(value: Any, places: _Places) -> YamlSource:
    if isinstance(value, str):
        return YamlSource(places.resolve(value))
    for key in value:
        if key not in _SOURCE_KEYS:
            raise _unknown_key(key, _SOURCE_KEYS, f" in '{places.key}'", places.path)
    if "path" not in value:
        raise DataError(f"{printable(places.path)}: a source of '{places.key}' has no 'path'")
    source_format = _format(value, places.path)
    if "names" in value and source_format not in (None, "yolo"):
        raise DataError(f"{printable(places.path)}: '{places.key}.names' is for YOLO sources; others state their names")
    return YamlSource(
        places.inside("path").resolve(value["path"]),
        source_format,
        class_names({"names": value.get("names")}, places.root, places.path),
        None if value.get("images") is None else places.inside("images").resolve(value["images"]),
        None if value.get("only") is None else places.inside("only").resolve(value["only"]),
    )


def _expanded(value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:  # ~ of somebody unknown
        return Path(value)


def _first_there(places: Sequence[Path], path: Path, *, key: str, notes: list[str]) -> Path:
    places = list(dict.fromkeys(path_of_text(str(place)) for place in places))
    for place in places:
        if is_folder(place) or is_file(place):
            if place != places[0]:
                notes.append(f"'{key}' in {path.name}: {printable(places[0])} is not there, using {printable(place)}")
            return place
    tried = "".join(f"\n  {printable(place)[:300]}" for place in places)
    raise DataError(f"{printable(path)}: '{key}' is not found; tried{tried}")


def _listed(value: Any, path: Path, key: str) -> list[Any]:
    """The sources under a key: one, a list, or lists in lists."""
    values = list(_flat(value if isinstance(value, list) else [value]))
    if not values or not all(isinstance(item, str | dict) and item for item in values):
        remedy = "" if values else "; remove it if there are no such images"
        raise DataError(f"{printable(path)}: '{key}' is {shown(value)}, expected a path or a list of paths{remedy}")
    return values


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, list) else [value]


def _format(content: Mapping[str, Any], path: Path) -> SourceFormat | None:
    value = content.get("format", "auto")
    for known in SOURCE_FORMATS:
        if value == known:
            return known
    if value in (None, "auto"):
        return None
    raise DataError(f"{printable(path)}: 'format' is {shown(value)}, expected auto, {', '.join(SOURCE_FORMATS)}")
