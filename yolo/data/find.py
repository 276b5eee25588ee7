"""From what a user calls a dataset to where its parts are: a YAML, a COCO JSON, a CSV file, or a folder tree.

Looks at names, and at the first line of CSV files; reads no annotation. The trees are drawn in data/README.md
of the repository. Left out: the keys of a dataset YAML (dataset_yaml.py) and reading (read.py).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Literal

from yolo.data.classes import ClassRules, Names
from yolo.data.dataset_yaml import DatasetYaml, YamlSource, is_dataset_yaml, names_in_yaml, read_dataset_yaml
from yolo.errors import DataError, printable
from yolo.formats.csv import is_box_csv
from yolo.formats.paths import Format, around_last, canonical_split, is_file, is_image_name, read_lines
from yolo.formats.voc import VOC_LISTS, has_voc_annotations
from yolo.image_formats import is_unread_name, not_read

_ROBOFLOW_JSON = "_annotations.coco.json"
_ROBOFLOW_CSV = "_annotations.csv"
_SINGLE_CSVS = (_ROBOFLOW_CSV, "annotations.csv", "labels.csv")
_SINGLE_JSON = frozenset({_ROBOFLOW_JSON, "annotations.json", "labels.json", "instances.json", "coco.json"})
YAML_SUFFIXES = frozenset({".yaml", ".yml"})
FILE_FORMATS: Mapping[str, Format] = {".json": "coco", ".csv": "csv"}
_LEVELS = 3  # labels/train, labels, and the root of the dataset
_WORDS = "trainval|train|validation|valid|val|test"
# In a file such as instances_train2017.json the word may stand anywhere; a folder or a list has to be called so,
# or train_old/ would silently join train/.
_WORD_INSIDE = re.compile(rf"(?<![a-z])({_WORDS})(?![a-z])")
_WORD_ALONE = re.compile(rf"({_WORDS})(?:[-_]?(?:\d+|dev\d*|images|imgs|set))?")


@dataclass(frozen=True, slots=True)
class SplitSource:
    """One place that a split is read from."""

    path: Path  # VOC: a list in ImageSets/Main or a tree; COCO and CSV: the file; YOLO: a folder or a list
    format: Format
    image_dir: Path | None = None  # None to look for it
    # which images belong to the split; `held_out` is a fifth, chosen by a hash of the image id, `remaining` the others
    part: Literal["all", "remaining", "held_out"] = "all"
    names: tuple[str, ...] | None = None  # YOLO only: what the class ids mean, where the source has its own ones
    only: Path | None = None  # a list of images, one path a line: use these


Splits = dict[str, tuple[SplitSource, ...]]


@dataclass(frozen=True)
class DatasetDescriptor:
    """Where a dataset is and how it is divided; no annotation has been read yet."""

    root: Path  # that relative paths refer to
    splits: Mapping[str, tuple[SplitSource, ...]]  # by name: `train`, `val`, `test` and for VOC `trainval`
    class_names: Names | None = None  # where the dataset states them outside of its annotations
    notes: tuple[str, ...] = ()  # what was decided for the user, to be printed
    rules: ClassRules = field(default_factory=ClassRules)
    extra: Path | None = None  # sidecar with what label files cannot hold

    def sources(self, split: str) -> tuple[SplitSource, ...]:
        """The sources of a split; `valid` and `validation` mean `val`. DataError if there is no such split."""
        name = canonical_split(split)
        if name not in self.splits:
            exist = ", ".join(self.splits) or "none"
            raise DataError(f"{printable(self.root)}: there is no split {split!r}; there are: {exist}")
        return self.splits[name]

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats of its sources, in their order."""
        return tuple(dict.fromkeys(source.format for sources in self.splits.values() for source in sources))

    @property
    def format(self) -> Format:
        """The format of its first source: what a writer chooses where nobody says."""
        return self.formats[0]


def recognise(folder: Path, wanted: Format | None = None) -> DatasetDescriptor | None:
    """The dataset whose root a folder is, or None; `wanted` restricts it to one format.

    Raises:
        DataError: the tree is ambiguous.
    """
    finders = {"voc": _voc, "coco": _coco, "csv": _csv, "yolo": _yolo}  # nearly everything could be YOLO
    for name, find in finders.items():
        notes: list[str] = []
        if wanted in (None, name) and (splits := find(folder, notes)):
            names = names_beside(folder) if name == "yolo" else None
            return DatasetDescriptor(folder, splits, names, tuple(notes))
    return None


def recognise_source(path: Path) -> Format:
    """The format of one source of a dataset YAML.

    >>> recognise_source(Path("VOC2007/ImageSets/Main/train.txt"))
    'voc'
    """
    if path.suffix.lower() == ".json" or is_file(path / _ROBOFLOW_JSON):
        return "coco"
    if path.suffix.lower() == ".csv" or is_file(path / _ROBOFLOW_CSV):
        return "csv"
    if path.is_dir():
        return "voc" if has_voc_annotations(path) else "yolo"
    return "voc" if "ImageSets" in path.parts else "yolo"


def coco_source(path: Path, root: Path) -> SplitSource:
    """The source for a JSON, or for a folder of COCO images whose JSON has to be found; DataError if there is none."""
    if not path.is_dir():
        return SplitSource(path, "coco")
    folder = path
    places = [folder / _ROBOFLOW_JSON] + [
        base / f"{prefix}{folder.name}.json"
        for base in (root / "annotations", folder.parent / "annotations", folder.parent.parent / "annotations")
        for prefix in ("instances_", "")
    ]
    found = next((place for place in places if is_file(place)), None)
    if found is None:
        tried = "".join(f"\n  {printable(place)}" for place in places)
        raise DataError(f"{printable(folder)}: no COCO annotation file belongs to this folder; tried{tried}")
    return SplitSource(found, "coco", folder)


def csv_source(path: Path) -> SplitSource:
    """The source for a CSV file, or for a folder of images with one in it; DataError if there is none."""
    if not path.is_dir():
        return SplitSource(path, "csv")
    found = _box_csv_in(path)
    if found is None:
        raise DataError(f"{printable(path)}: there is no CSV file of boxes, such as {_ROBOFLOW_CSV}, in this folder")
    return SplitSource(found, "csv", path)


def split_inside(name: str) -> str | None:
    """The split that the name of an annotation file speaks of.

    >>> split_inside("instances_val2017"), split_inside("captions")
    ('val', None)
    """
    match = _WORD_INSIDE.search(name.lower())
    return canonical_split(match[1]) if match else None


def split_called(name: str) -> str | None:
    """The split that a folder or list is called by.

    >>> split_called("valid"), split_called("train2017"), split_called("train_old")
    ('val', 'train', None)
    """
    match = _WORD_ALONE.fullmatch(name.lower())
    return canonical_split(match[1]) if match else None


def with_held_out_val(splits: Mapping[str, tuple[SplitSource, ...]]) -> tuple[Splits, tuple[str, ...]]:
    """Splits with a `val`, held out of `train` where there is none, and what is to be said about it."""
    splits, notes = dict(splits), []
    if "train" not in splits and "trainval" in splits and "val" not in splits:
        splits["train"] = splits.pop("trainval")
        notes.append("train is the list trainval")
    if "val" not in splits and "train" in splits:
        train = splits["train"]
        splits["train"] = tuple(replace(source, part="remaining") for source in train)
        splits["val"] = tuple(replace(source, part="held_out") for source in train)
        notes.append("no val split: a fifth of the images, chosen by a hash of their ids, is held out of train")
    order = {name: place for place, name in enumerate(("train", "val", "trainval", "test"))}
    return dict(sorted(splits.items(), key=lambda item: order.get(item[0], len(order)))), tuple(notes)


def _voc(folder: Path, notes: list[str]) -> Splits:
    roots = _voc_roots(folder) or _voc_roots(folder / "VOCdevkit")
    if not roots:  # one tree per split, as labelling services export it
        return _grouped((named for named in _split_folders(folder) if has_voc_annotations(named[1])), "voc")
    sources: list[tuple[str, Path]] = []
    for root in roots:
        lists = [(name, root / "ImageSets" / "Main" / f"{name}.txt") for name in VOC_LISTS]
        lists = [(name, path) for name, path in lists if is_file(path)]
        if not lists:
            notes.append(f"{printable(root)} has no lists in ImageSets/Main: all its annotations are used")
        sources += lists or [("train", root)]
    return _grouped(sources, "voc")


def _voc_roots(folder: Path) -> list[Path]:
    """The folder itself, or the `VOC2007`, `VOC2012`, ... in it."""
    if has_voc_annotations(folder):
        return [folder]
    return [child for child in _folders(folder) if child.name.startswith("VOC") and has_voc_annotations(child)]


def _coco(folder: Path, _: list[str]) -> Splits:
    exported = [(name, part / _ROBOFLOW_JSON, part) for name, part in _split_folders(folder)]
    splits: Splits = {name: (SplitSource(path, "coco", part),) for name, path, part in exported if is_file(path)}
    for place in (folder / "annotations", folder):
        if not splits:
            splits = _coco_splits(place, nameless=place != folder)
    return splits


def _coco_splits(folder: Path, *, nameless: bool) -> Splits:
    """The annotation files right in a folder, by the split in their name; a single one without may be train."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    files = [path for path in files if path.name.startswith("instances_")] or files
    splits = _grouped(((name, path) for path in files if (name := split_inside(path.stem)) is not None), "coco")
    if not splits and len(files) == 1 and (nameless or files[0].name in _SINGLE_JSON):
        return {"train": (SplitSource(files[0], "coco"),)}
    for split, sources in splits.items():
        if len(sources) > 1:
            names = ", ".join(source.path.name for source in sources)
            raise DataError(
                f"{printable(folder)}: several annotation files for {split} ({names}); "
                "say which ones are meant in a dataset YAML"
            )
    return splits


def _csv(folder: Path, _: list[str]) -> Splits:
    """train/_annotations.csv, ...; train.csv, ...; or a single file that is not divided."""
    exported = [(name, _box_csv_in(part), part) for name, part in _split_folders(folder)]
    splits: Splits = {name: (SplitSource(path, "csv", part),) for name, path, part in exported if path is not None}
    if not splits:
        named = [(split_called(path.stem), path) for path in sorted(folder.glob("*.csv"))]
        splits = _grouped(((name, path) for name, path in named if name is not None and is_box_csv(path)), "csv")
    if not splits and (single := _box_csv_in(folder)) is not None:
        splits = {"train": (SplitSource(single, "csv"),)}
    return splits


def _box_csv_in(folder: Path) -> Path | None:
    places = (folder / name for name in _SINGLE_CSVS)
    return next((place for place in places if is_file(place) and is_box_csv(place)), None)


def _yolo(folder: Path, _: list[str]) -> Splits:
    """From the most telling to the least: images/train, train/images, train/, train.txt, images/, the folder."""
    nested = [named for named in _split_folders(folder / "images") if _has_images(named[1])]
    if nested:
        return _grouped(nested, "yolo")
    outside = [
        (name, part / "images" if (part / "images").is_dir() else part)
        for name, part in _split_folders(folder)
        if _has_images(part)
    ]
    if outside:
        return _grouped(outside, "yolo")
    lists = [(split_called(path.stem), path) for path in sorted(folder.glob("*.txt"))]
    listed = [(name, path) for name, path in lists if name is not None]
    if listed:
        return _grouped(listed, "yolo")
    for place in (folder / "images", folder):
        if _has_images(place):
            return {"train": (SplitSource(place, "yolo"),)}
    return {}


def names_beside(folder: Path) -> tuple[str, ...] | None:
    """Class names of a YOLO tree that stand one per line in `classes.txt` or a `.names` file."""
    places = [*sorted(folder.glob("*.names")), folder / "classes.txt", folder / "labels" / "classes.txt"]
    found = next((place for place in places if is_file(place)), None)
    if found is None:
        return None
    names = tuple(map(printable, read_lines(found)))
    if len(set(names)) != len(names):
        raise DataError(f"{printable(found)}: has a class name more than once")
    return names or None


def stated_class_names(folder: Path) -> Names | None:
    """The class names that stand in or above a folder of label files: in a dataset YAML, classes.txt or obj.names.

    Raises:
        DataError: YAMLs that contradict each other or are damaged.
    """
    folder = folder.absolute()
    for place in [folder, *folder.parents][:_LEVELS]:
        yamls = sorted(path for path in place.iterdir() if path.suffix.lower() in YAML_SUFFIXES)
        named = {names for path in yamls if is_dataset_yaml(path) and (names := names_in_yaml(path))}
        if len(named) > 1:
            raise DataError(f"{printable(place)}: has dataset YAMLs with different class names; name the classes")
        if named:
            return named.pop()
        if names := names_beside(place):
            return names
    return None


def _split_folders(folder: Path) -> list[tuple[str, Path]]:
    named = [(split_called(child.name), child) for child in _folders(folder)]
    return [(name, child) for name, child in named if name is not None]


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _has_images(folder: Path) -> bool:
    """Whether there is an image in the folder or one or two levels below; stops at the first."""
    if not folder.is_dir():
        return False
    return any(is_image_name(path.name) for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))


def _grouped(named: Iterable[tuple[str, Path]], source_format: Format) -> Splits:
    splits: Splits = {}
    for name, path in named:
        splits[name] = (*splits.get(name, ()), SplitSource(path, source_format))
    return splits


def find_dataset(path: Path) -> DatasetDescriptor:
    """Recognise a dataset.

    Args:
        path: a dataset YAML, a COCO JSON, a CSV file of boxes, or a folder: with one dataset YAML in it, or a VOC,
            COCO, CSV or YOLO tree.

    Raises:
        DataError: nothing there, or nothing that is known; the message says what was tried.
    """
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        return _from_folder(path)
    if not is_file(path):
        raise DataError(f"dataset not found; tried\n  {printable(path)}")
    suffix = path.suffix.lower()
    if suffix in YAML_SUFFIXES:
        return _from_yaml(path)
    if suffix in FILE_FORMATS:
        source = SplitSource(path, FILE_FORMATS[suffix])
        return _with_val(DatasetDescriptor(path.parent, {split_inside(path.stem) or "train": (source,)}))
    raise DataError(f"{printable(path)}: is neither a dataset YAML, a COCO JSON, a CSV file nor a folder")


def _from_folder(folder: Path) -> DatasetDescriptor:
    files = sorted(child for child in folder.iterdir() if child.suffix.lower() in YAML_SUFFIXES)
    described = [path for path in files if is_dataset_yaml(path)]
    if len(described) > 1:
        names = ", ".join(printable(path.name) for path in described)
        raise DataError(f"{printable(folder)}: has several dataset YAMLs ({names}); name the one that is meant")
    if described:
        return _from_yaml(described[0])
    found = recognise(folder)
    if found is None:
        raise DataError(
            f"{printable(folder)}: no dataset is recognised here; looked for a dataset YAML, a VOC tree "
            "(Annotations, JPEGImages), a COCO tree (annotations/*.json), CSV files of boxes (train.csv) "
            f"and YOLO images and labels{_unread_in(folder)}"
        )
    return _with_val(found)


def _unread_in(folder: Path) -> str:
    """What there is of pictures that cannot be read, in words."""
    names = (PurePath(name) for _, _, files in os.walk(folder) for name in files if is_unread_name(name))
    return "".join(f"; {note}" for note in not_read(Counter(name.suffix.lower() for name in names)))


def _from_yaml(path: Path) -> DatasetDescriptor:
    content = read_dataset_yaml(path)
    root = content.root
    if content.splits:
        splits = {name: tuple(_split_source(one, content) for one in own) for name, own in content.splits.items()}
        # of several formats the names in a YOLO tree are those of its sources alone
        is_yolo = {source.format for sources in splits.values() for source in sources} == {"yolo"}
        found = DatasetDescriptor(root, splits, names_beside(root) if is_yolo else None)
    elif (tree := recognise(root, content.format)) is not None:
        found = tree
    else:
        raise DataError(f"{printable(path)}: has no train, and no dataset is recognised in {printable(root)}")
    return _with_val(
        replace(
            found,
            class_names=content.class_names or found.class_names,
            notes=content.notes + found.notes,
            rules=content.rules,
            extra=content.extra,
        )
    )


def _split_source(source: YamlSource, content: DatasetYaml) -> SplitSource:
    source_format = source.format or content.format or recognise_source(source.path)
    found = SplitSource(source.path, source_format)
    if source_format == "coco":
        found = coco_source(source.path, content.root)
    elif source_format == "csv":
        found = csv_source(source.path)
    names = source.names
    if source_format == "yolo" and names is None:
        names = _names_of_tree(source.path, content.root)
    return replace(found, image_dir=source.images or found.image_dir, names=names, only=source.only)


def _names_of_tree(path: Path, root: Path) -> Names | None:
    """The class names that stand in the root of a YOLO tree, where that tree is not the whole dataset."""
    around = around_last(path / "x", "images")
    tree = around[0] if around is not None else path if path.is_dir() else path.parent
    return names_beside(tree) if tree != root and tree.is_relative_to(root) else None


def _with_val(found: DatasetDescriptor) -> DatasetDescriptor:
    splits, notes = with_held_out_val(found.splits)
    return replace(found, splits=splits, notes=found.notes + notes)
