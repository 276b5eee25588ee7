"""The dataset is never written to: where the output of a data command may not be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from yolo.data.account import printable
from yolo.data.descriptor import DatasetDescriptor, Split, SplitSource
from yolo.data.layouts import recognise
from yolo.data.yolo_txt import label_file_of
from yolo.errors import ConfigError, DataError


def require_outside(
    output: Path, data: Path, descriptor: DatasetDescriptor, splits: Iterable[Split], *, option: str
) -> None:
    """See that an output does not lie in the dataset itself.

    That is its folder, where that is one by its layout, and every folder that images or annotations are read from. A
    YAML file that joins several datasets may well have the output beside it.

    Args:
        output: folder to be written.
        data: what the user called the dataset.
        descriptor: of it.
        splits: as read.
        option: by which the output was named, for the message.

    Raises:
        ConfigError: it does.
    """
    parents = {output.resolve(), *output.resolve().parents}
    folders = {Path(path).parent for split in splits for path in split.images.paths}
    folders |= {label_file_of(folder / "any.jpg").parent for folder in folders}
    sources = [_folder_of(source) for sources in descriptor.splits.values() for source in sources]
    folders.update(folder for folder in sources if folder is not None)
    if data.expanduser().is_dir():
        folders.add(data.expanduser())
    if _is_dataset(descriptor.root):
        folders.add(descriptor.root)
    inside = next((folder for folder in sorted(folders) if folder.resolve() in parents), None)
    if inside is not None:
        raise ConfigError(
            f"{option} {printable(output)} lies in the dataset ({printable(inside)}), which is never written to; "
            "name a folder outside of it"
        )


def _folder_of(source: SplitSource) -> Path | None:
    """The folder that is a source; None for a single file, which may lie anywhere."""
    if source.path.is_dir():
        return source.path
    lists = next((parent for parent in source.path.parents if parent.name == "ImageSets"), None)
    return lists.parent if lists is not None and source.format == "voc" else None


def _is_dataset(folder: Path) -> bool:
    """Whether a folder has the layout of a dataset; to have images somewhere below is not enough."""
    try:
        layout = recognise(folder)
    except DataError:
        return True  # a dataset in more than one way
    return layout is not None and all(source.path != folder for source in layout.splits.get("train", ()))
