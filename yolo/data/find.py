"""From what a user calls a dataset to where its parts are: a YAML, a `.data` file, an annotation file, a list, a tree.

Left out: which files of a tree are a dataset (trees.py), the keys of a dataset YAML (dataset_yaml.py), and reading
(read.py).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePath

from yolo.data.classes import Names
from yolo.data.data_file import described_by
from yolo.data.dataset_yaml import DatasetYaml, YamlSource, is_dataset_yaml, names_in_yaml, read_dataset_yaml
from yolo.data.descriptor import DatasetDescriptor, SplitSource, split_inside, with_held_out_val
from yolo.data.trees import coco_source, csv_source, recognise, recognise_source, unread_files
from yolo.errors import DataError, printable
from yolo.formats.file_kinds import ANNOTATION_SUFFIXES, kind_of_file, with_path
from yolo.formats.paths import around_last, is_file
from yolo.formats.yolo import names_beside
from yolo.image_formats import is_unread_name, not_read

YAML_SUFFIXES = frozenset({".yaml", ".yml"})
_LEVELS = 3  # labels/train, labels, and the root of the dataset
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


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


def find_dataset(path: Path) -> DatasetDescriptor:
    """Recognise a dataset.

    Args:
        path: a dataset YAML, a darknet `.data` file, an annotation file of many images, a list of images, or a
            folder: with one dataset YAML in it, or a tree of any format.

    Raises:
        DataError: nothing there, or nothing that is known; the message says what was tried.
    """
    if _ADDRESS.match(str(path)) and not is_file(path):
        raise DataError(f"{printable(path)}: is an address; download the dataset and give its folder or YAML")
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        return _from_folder(path)
    if not is_file(path):
        raise DataError(f"dataset not found; tried\n  {printable(path)}")
    if path.suffix.lower() in YAML_SUFFIXES:
        return _from_yaml(path)
    if path.suffix.lower() == ".data":
        return _with_val(described_by(path))
    source = annotation_source(path)
    if source is None and path.suffix.lower() == ".txt":  # a list of images
        source = SplitSource(path, "voc" if "ImageSets" in path.parts else "yolo")
    if source is None:
        raise DataError(
            f"{printable(path)}: is not a known kind of dataset; expected a dataset YAML, a darknet .data file, an "
            "annotation file (.json, .csv, .xml), a list of images (.txt) or a folder"
        )
    names = names_beside(path.parent) if source.format == "yolo" else None
    return _with_val(DatasetDescriptor(path.parent, {split_inside(path.stem) or "train": (source,)}, names))


def annotation_source(path: Path) -> SplitSource | None:
    """The source that a single annotation file is; None where its suffix is that of something else.

    Raises:
        DataError: it is damaged, or of a kind that is not read; the message says what to do.
    """
    suffix = path.suffix.lower()
    if suffix not in ANNOTATION_SUFFIXES:
        return None
    kind = kind_of_file(path)
    if kind.format == "voc":
        raise DataError(f"{printable(path)}: is the Pascal VOC annotation of one image; give the folder of all")
    if kind.format is not None:
        return SplitSource(path, kind.format)
    if kind.harmless:
        return SplitSource(path, "coco")  # whose reader says what it lacks
    raise DataError(with_path(path, kind.message))


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
        unread = "".join(f"\n  not read: {sentence}" for sentence in unread_files(folder))
        raise DataError(
            f"{printable(folder)}: no dataset is recognised here; looked for a dataset YAML, a VOC tree "
            "(Annotations, JPEGImages), a COCO tree (annotations/*.json), CSV files of boxes (train.csv), exports of "
            f"annotation tools, and YOLO images and labels{_unread_in(folder)}{unread}"
        )
    return _with_val(found)


def _unread_in(folder: Path) -> str:
    """A clause about pictures that cannot be read; empty where there are none."""
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
        raise DataError(
            f"{printable(path)}: has no train, and no dataset is recognised in {printable(root)}; write train: FOLDER "
            "into it, or val: FOLDER to measure only"
        )
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
    key_points = content.key_points if source_format == "yolo" else 0
    image_dir = source.images or found.image_dir
    return replace(found, image_dir=image_dir, names=names, only=source.only, key_points=key_points)


def _names_of_tree(path: Path, root: Path) -> Names | None:
    """The class names that stand in the root of a YOLO tree, where that tree is not the whole dataset."""
    around = around_last(path / "x", "images")
    tree = around[0] if around is not None else path if path.is_dir() else path.parent
    return names_beside(tree) if tree != root and tree.is_relative_to(root) else None


def _with_val(found: DatasetDescriptor) -> DatasetDescriptor:
    splits, notes = with_held_out_val(found.splits)
    return replace(found, splits=splits, notes=found.notes + notes)
