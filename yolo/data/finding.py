"""From what a user calls a dataset to where its parts are: a YAML, a COCO JSON, a CSV file, or a folder.

Left out: reading the annotations (descriptor.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from yolo.data.account import printable
from yolo.data.classes import ClassRules
from yolo.data.dataset_yaml import DatasetYaml, YamlSource, is_dataset_yaml, read_dataset_yaml
from yolo.data.layouts import (
    Format,
    Layout,
    SplitSource,
    coco_source,
    csv_source,
    names_beside,
    recognise,
    recognise_source,
    split_inside,
    with_held_out_val,
)
from yolo.data.listing import is_file
from yolo.errors import DataError

_YAML_SUFFIXES = frozenset({".yaml", ".yml"})
_FILE_FORMATS: Mapping[str, Format] = {".json": "coco", ".csv": "csv"}

Names = tuple[str, ...]


@dataclass(frozen=True)
class DatasetDescriptor:
    """Where a dataset is and how it is divided; no annotation has been read yet.

    Attributes:
        root: folder that relative paths refer to.
        splits: sources by the name of the split; `train`, `val`, `test` and for VOC `trainval`.
        class_names: where the dataset states them outside of its annotations.
        notes: what was decided for the user, to be told.
        rules: which classes are renamed, merged, left out.
        extra: sidecar with what label files cannot hold.
    """

    root: Path
    splits: Mapping[str, tuple[SplitSource, ...]]
    class_names: Names | None
    notes: Names
    rules: ClassRules = field(default_factory=ClassRules)
    extra: Path | None = None

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats of its sources, in their order."""
        return tuple(dict.fromkeys(source.format for sources in self.splits.values() for source in sources))

    @property
    def format(self) -> Format:
        """The format of its first source: what a writer chooses where nobody says."""
        return self.formats[0]


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
    if suffix in _YAML_SUFFIXES:
        return _from_yaml(path)
    if suffix in _FILE_FORMATS:
        source = SplitSource(path, _FILE_FORMATS[suffix])
        return _describe(path.parent, Layout({split_inside(path.stem) or "train": (source,)}))
    raise DataError(f"{printable(path)}: is neither a dataset YAML, a COCO JSON, a CSV file nor a folder")


def _from_folder(folder: Path) -> DatasetDescriptor:
    files = sorted(child for child in folder.iterdir() if child.suffix.lower() in _YAML_SUFFIXES)
    described = [path for path in files if is_dataset_yaml(path)]
    if len(described) > 1:
        names = ", ".join(printable(path.name) for path in described)
        raise DataError(f"{printable(folder)}: has several dataset YAMLs ({names}); name the one that is meant")
    if described:
        return _from_yaml(described[0])
    layout = recognise(folder)
    if layout is None:
        raise DataError(
            f"{printable(folder)}: no dataset is recognised here; looked for a dataset YAML, a VOC tree "
            "(Annotations, JPEGImages), a COCO tree (annotations/*.json), CSV files of boxes (train.csv) "
            "and YOLO images and labels"
        )
    return _describe(folder, layout)


def _from_yaml(path: Path) -> DatasetDescriptor:
    content = read_dataset_yaml(path)
    if content.splits:
        layout = _layout_of_yaml(content)
    else:
        found = recognise(content.root, content.format)
        if found is None:
            raise DataError(
                f"{printable(path)}: has no train, and no dataset is recognised in {printable(content.root)}"
            )
        layout = found
    names = content.class_names or layout.class_names
    layout = layout._replace(class_names=names, notes=content.notes + layout.notes)
    return replace(_describe(content.root, layout), rules=content.rules, extra=content.extra)


def _layout_of_yaml(content: DatasetYaml) -> Layout:
    splits = {
        name: tuple(_split_source(source, content) for source in sources) for name, sources in content.splits.items()
    }
    formats = {source.format for sources in splits.values() for source in sources}
    # of several formats the names in a YOLO tree are those of its sources alone
    return Layout(splits, names_beside(content.root) if formats == {"yolo"} else None)


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
    folders = path.parts
    if "images" in folders:
        tree = Path(*folders[: len(folders) - 1 - folders[::-1].index("images")])
    else:
        tree = path if path.is_dir() else path.parent
    return names_beside(tree) if tree != root and tree.is_relative_to(root) else None


def _describe(root: Path, layout: Layout) -> DatasetDescriptor:
    splits, notes = with_held_out_val(layout.splits)
    return DatasetDescriptor(root, splits, layout.class_names, layout.notes + notes)
