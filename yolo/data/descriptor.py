"""From what a user calls a dataset to annotated images: `find_dataset`, then `read_split`.

A dataset is a YAML, a COCO JSON or a folder in one of the usual trees. Left out: decoding pixels (dataset.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo.data.account import DataAccount, printable
from yolo.data.annotations import AnnotatedImages
from yolo.data.coco import (
    CocoEntry,
    CocoFile,
    category_ids_for,
    list_coco,
    load_coco,
    names_in_coco,
    read_coco_image,
    report_orphans,
)
from yolo.data.dataset_yaml import DatasetYaml, is_dataset_yaml, read_dataset_yaml
from yolo.data.layouts import (
    Format,
    Layout,
    SplitSource,
    canonical_split,
    coco_source,
    names_beside,
    recognise,
    recognise_source,
    split_inside,
    with_held_out_val,
)
from yolo.data.listing import is_file
from yolo.data.selection import once, select, with_unique_ids
from yolo.data.voc import VocEntry, list_voc, names_in_voc, read_voc_image
from yolo.data.yolo_txt import YoloEntry, list_yolo, nameless_classes, read_yolo_image
from yolo.errors import DataError
from yolo.structures import AnnotatedImage

__all__ = ["DatasetDescriptor", "Split", "SplitSource", "find_dataset", "read_split"]

_YAML_SUFFIXES = frozenset({".yaml", ".yml"})

Names = tuple[str, ...]


@dataclass(frozen=True)
class DatasetDescriptor:
    """Where a dataset is and how it is divided; no annotation has been read yet.

    Attributes:
        root: folder that relative paths refer to.
        format: `voc`, `coco` or `yolo`.
        splits: sources by the name of the split; `train`, `val`, `test` and for VOC `trainval`.
        class_names: where the dataset states them outside of its annotations.
        notes: what was decided for the user, to be told.
    """

    root: Path
    format: Format
    splits: Mapping[str, tuple[SplitSource, ...]]
    class_names: Names | None
    notes: Names


@dataclass(frozen=True, eq=False)
class Split:
    """One split, read.

    Attributes:
        name: `train`, `val`, ...
        images: in the order of the dataset, each id once.
        class_names: what the labels mean.
        category_ids: COCO's own id of each class; None for other formats.
        account: what was found, kept, clipped and dropped.
    """

    name: str
    images: AnnotatedImages
    class_names: Names
    category_ids: tuple[int, ...] | None
    account: DataAccount


def find_dataset(path: Path) -> DatasetDescriptor:
    """Recognise a dataset.

    Args:
        path: a dataset YAML, a COCO JSON, or a folder: with one dataset YAML in it, or a VOC, COCO or YOLO tree.

    Raises:
        DataError: nothing there, or nothing that is known; the message says what was tried.
    """
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        return _from_folder(path)
    if not is_file(path):
        raise DataError(f"dataset not found; tried\n  {printable(path)}")
    if path.suffix.lower() in _YAML_SUFFIXES:
        return _from_yaml(path)
    if path.suffix.lower() == ".json":
        layout = Layout("coco", {split_inside(path.stem) or "train": (SplitSource(path),)})
        return _describe(path.parent, layout)
    raise DataError(f"{printable(path)}: is neither a dataset YAML, a COCO JSON nor a folder")


def read_split(descriptor: DatasetDescriptor, split: str, *, class_names: Sequence[str] | None = None) -> Split:
    """Read the annotations of a split.

    Labels mean the same in all splits of a dataset. Where no names are stated they come from train: the sorted
    names in its annotations (VOC), its categories (COCO), `class0`, `class1`, ... (YOLO).

    Args:
        descriptor: from `find_dataset`.
        split: its name; `valid` and `validation` mean `val`.
        class_names: give these labels, 0, 1, ..., to the classes of these names, whatever the dataset's own
            order; objects of other classes are dropped and counted.

    Raises:
        DataError: there is no such split, an annotation file of the whole split cannot be used, or nothing is
            left to use.
    """
    name = canonical_split(split)
    if name not in descriptor.splits:
        exist = ", ".join(descriptor.splits) or "none"
        raise DataError(f"{printable(descriptor.root)}: there is no split {split!r}; there are: {exist}")
    account = DataAccount(name, notes=list(descriptor.notes))
    wanted = None if class_names is None else tuple(class_names)
    read = {"voc": _read_voc, "coco": _read_coco, "yolo": _read_yolo}[descriptor.format]
    images, names, category_ids = read(descriptor, name, wanted, account)
    _check_something_left(descriptor, name, names, account)
    return Split(name, AnnotatedImages.of(with_unique_ids(images, descriptor.root)), names, category_ids, account)


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
            "(Annotations, JPEGImages), a COCO tree (annotations/*.json) and YOLO images and labels"
        )
    return _describe(folder, layout)


def _from_yaml(path: Path) -> DatasetDescriptor:
    content = read_dataset_yaml(path)
    if content.splits:
        layout = _layout_of_yaml(content, path)
    else:
        found = recognise(content.root, content.format)
        if found is None:
            raise DataError(f"{printable(path)}: has no train, and no dataset is recognised in {content.root}")
        layout = found
    names = content.class_names or layout.class_names
    return _describe(content.root, layout._replace(class_names=names, notes=content.notes + layout.notes))


def _layout_of_yaml(content: DatasetYaml, path: Path) -> Layout:
    formats = {recognise_source(place) for places in content.splits.values() for place in places}
    if content.format is None and len(formats) > 1:
        found = " and ".join(sorted(formats))
        raise DataError(f"{printable(path)}: its splits are of different formats ({found}); use one, or set 'format'")
    layout_format: Format = content.format or formats.pop()
    splits = {
        name: tuple(
            coco_source(place, content.root) if layout_format == "coco" else SplitSource(place) for place in places
        )
        for name, places in content.splits.items()
    }
    return Layout(layout_format, splits, names_beside(content.root) if layout_format == "yolo" else None)


def _describe(root: Path, layout: Layout) -> DatasetDescriptor:
    splits, notes = with_held_out_val(layout.splits)
    return DatasetDescriptor(root, layout.format, splits, layout.class_names, layout.notes + notes)


_Read = tuple[list[AnnotatedImage], Names, tuple[int, ...] | None]


def _naming_split(descriptor: DatasetDescriptor, name: str, account: DataAccount) -> str:
    """The split that decides on the class names where nothing else does."""
    source = "train" if "train" in descriptor.splits else name
    account.notes.append(f"class names are not stated; they are taken from the annotations of {source}")
    return source


def _read_voc(descriptor: DatasetDescriptor, name: str, wanted: Names | None, account: DataAccount) -> _Read:
    def listed(split: str) -> list[VocEntry]:
        return select(descriptor.splits[split], lambda source: list_voc(source.path))

    entries = once(listed(name), lambda entry: entry.xml, account)
    names = wanted or descriptor.class_names
    if names is None:
        naming = _naming_split(descriptor, name, account)
        names = names_in_voc(entries if naming == name else listed(naming))
    labels = {class_name: label for label, class_name in enumerate(names)}
    images = (read_voc_image(entry, labels=labels, account=account) for entry in entries)
    return [image for image in images if image is not None], names, None


def _read_coco(descriptor: DatasetDescriptor, name: str, wanted: Names | None, account: DataAccount) -> _Read:
    files: dict[Path, CocoFile] = {}

    def file_of(source: SplitSource) -> CocoFile:
        if source.path not in files:
            files[source.path] = load_coco(source.path)
        return files[source.path]

    sources = descriptor.splits[name]
    entries: list[CocoEntry] = select(sources, lambda source: list_coco(file_of(source), source.image_dir))
    entries = once(entries, lambda entry: entry.image, account)
    own = list(files.values())
    for file in own:
        report_orphans(file, account)
    names = wanted or descriptor.class_names
    if names is None:
        names = names_in_coco(file_of(source) for source in descriptor.splits.get("train", sources))
    _note_unmatched(names_in_coco(own), names, account)
    labels = {class_name: label for label, class_name in enumerate(names)}
    images = (read_coco_image(entry, labels=labels, account=account) for entry in entries)
    return [image for image in images if image is not None], names, category_ids_for(names, own)


def _read_yolo(descriptor: DatasetDescriptor, name: str, wanted: Names | None, account: DataAccount) -> _Read:
    def listed(split: str) -> list[YoloEntry]:
        return select(descriptor.splits[split], lambda source: list_yolo(source.path, descriptor.root))

    entries = once(listed(name), lambda entry: entry.image, account)
    own = descriptor.class_names
    if own is None and wanted is not None:
        account.notes.append("the dataset has no class names; its class ids are taken as places in the names given")
        own = wanted
    if own is None:
        naming = _naming_split(descriptor, name, account)
        own = nameless_classes(entries if naming == name else listed(naming))
    names = wanted or own
    _note_unmatched(own, names, account)
    labels = [names.index(class_name) if class_name in names else None for class_name in own]
    images = (read_yolo_image(entry, labels=labels, account=account) for entry in entries)
    return [image for image in images if image is not None], names, None


def _note_unmatched(own: Names, names: Names, account: DataAccount) -> None:
    unmatched = [name for name in own if name not in names]
    if unmatched:
        shown = ", ".join(map(repr, unmatched[:5])) + (", ..." if len(unmatched) > 5 else "")
        account.notes.append(f"{len(unmatched)} classes of the dataset are not among the classes: {shown}")


def _check_something_left(descriptor: DatasetDescriptor, name: str, names: Names, account: DataAccount) -> None:
    """End where reading on would only produce nonsense: no images, no labels at all, no class in common."""
    summary = "\n".join(account.summary_lines())
    place = f"{printable(descriptor.root)}, split {name!r}"
    if account.images_kept == 0:
        raise DataError(f"{place}: no image is left\n{summary}")
    held_out = any(source.part == "held_out" for source in descriptor.splits[name])
    if account.label_files_missing == account.images_kept and not held_out:
        raise DataError(f"{place}: not one of its images has a label file; are they elsewhere?\n{summary}")
    if account.objects_kept == 0 and account.objects_found:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise DataError(f"{place}: not one object is left; the classes are {shown}\n{summary}")
