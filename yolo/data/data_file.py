"""darknet's `.data` file: lines `key = value` that name the lists of images and the class names.

    classes = 2
    train = data/train.txt
    valid = data/test.txt
    names = data/obj.names
    backup = backup/

Paths are relative to where darknet was started, so that CVAT writes `data/` before all of them; and they are often of
another machine. A file is looked for as its path says, then by its name beside the `.data` file.
"""

from __future__ import annotations

from pathlib import Path

from yolo.data.descriptor import DatasetDescriptor, Splits, SplitSource
from yolo.errors import DataError, printable, shown
from yolo.formats.paths import canonical_split, is_file, read_lines
from yolo.formats.yolo import names_beside, read_names

_SPLIT_KEYS = ("train", "val", "valid", "test")


def find_data_file(folder: Path) -> Path | None:
    """The `.data` file in a folder. DataError if there are several."""
    files = [path for path in sorted(folder.glob("*.data")) if is_file(path) and _is_data_file(path)]
    if len(files) > 1:
        names = ", ".join(printable(path.name) for path in files)
        raise DataError(f"{printable(folder)}: has several .data files ({names}); name the one that is meant")
    return files[0] if files else None


def described_by(path: Path) -> DatasetDescriptor:
    """The dataset of a `.data` file, with notes on what was found elsewhere than it says.

    Where it names no class names, those beside it count.

    Raises:
        DataError: it names no list, a list is not there, or `classes` is not the number of names.
    """
    values, notes = _values(path), list[str]()
    splits: Splits = {}
    for key in _SPLIT_KEYS:
        name = canonical_split(key)
        if value := values.get(key):
            found = _place(value, path, key, notes)
            if found is None and name == "train":
                raise _not_there(value, path, key)
            if found is None:  # CVAT names the lists of subsets that it does not write
                notes.append(f"'{key}' in {path.name} is not there, so there is no such split: {shown(value)}")
            elif name not in splits:
                splits[name] = (SplitSource(found, "yolo"),)
    if not splits:
        raise DataError(f"{printable(path)}: names no list of images; expected lines such as train = train.txt")
    names = _names(values, path, notes) or names_beside(path.parent)
    return DatasetDescriptor(path.parent, splits, names, tuple(notes))


def _names(values: dict[str, str], path: Path, notes: list[str]) -> tuple[str, ...] | None:
    value, count = values.get("names"), values.get("classes", "")
    if not value:
        return None
    found = _place(value, path, "names", notes)
    if found is None:
        raise _not_there(value, path, "names")
    names = read_names(found) or ()
    if count.isdecimal() and int(count) != len(names):
        raise DataError(f"{printable(path)}: 'classes' is {count} but {printable(found)} has {len(names)} names")
    return names or None


def _values(path: Path) -> dict[str, str]:
    values = {}
    for line in read_lines(path):
        key, sign, value = line.partition("=")
        if sign:
            values[key.strip().lower()] = value.strip().strip("\"'").replace("\\", "/")
    return values


def _is_data_file(path: Path) -> bool:
    """Whether a file names a list; True also for a damaged one, so that reading it says what is wrong."""
    try:
        return any(key in _values(path) for key in _SPLIT_KEYS)
    except DataError:
        return True


def _places(value: str, path: Path) -> list[Path]:
    """Where a file may be: as stated, without the folders that only the other machine has, and by its name."""
    parts = Path(value).parts
    tails = [Path(*parts[start:]) for start in range(len(parts))]
    return list(dict.fromkeys([path.parent / value, Path.cwd() / value, *(path.parent / tail for tail in tails)]))


def _place(value: str, path: Path, key: str, notes: list[str]) -> Path | None:
    places = _places(value, path)
    found = next((place for place in places if place.is_dir() or is_file(place)), None)
    if found not in (None, places[0]):
        notes.append(f"'{key}' in {path.name}: {printable(places[0])} is not there, using {printable(str(found))}")
    return found


def _not_there(value: str, path: Path, key: str) -> DataError:
    tried = "".join(f"\n  {printable(place)[:300]}" for place in _places(value, path))
    return DataError(f"{printable(path)}: '{key}' is {shown(value)}, which is not found; tried{tried}")
