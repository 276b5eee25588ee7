"""The repaired copy that `gridyolo data check --fix-into` writes: upright, without unreadable images, boxes mended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from yolo.config import DataCheckConfig
from yolo.data.descriptor import DatasetDescriptor, Split
from yolo.errors import ConfigError, DataError
from yolo.writing.dataset import write_dataset

_WRITTEN = ("train", "val", "test")


def check_target(folder: str, descriptor: DatasetDescriptor) -> None:
    """ConfigError if the folder for the copy, where there is to be one, cannot be it."""
    if not folder:
        return
    target, root = Path(folder).expanduser().resolve(), descriptor.root.resolve()
    if target.is_relative_to(root):
        raise ConfigError(f"--fix-into {folder}: lies in the dataset, which is never written to")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"--fix-into {folder}: is there already; name a new folder")


def write_repaired(
    splits: Sequence[Split], unusable: Collection[str], config: DataCheckConfig, descriptor: DatasetDescriptor
) -> list[str]:
    """Write the copy.

    What cannot be mended by itself stays: copies of images, doubtful labels.

    Args:
        splits: as read, with boxes mended.
        unusable: image files that are left out.
        config: where to, and in which format.
        descriptor: of the dataset.

    Returns:
        What to tell the user, in lines.

    Raises:
        DataError: there is no image that can be used.
    """
    usable = {split.name: _without(split, unusable) for split in splits if split.name in _WRITTEN}
    usable = {name: split for name, split in usable.items() if len(split.images)}
    if not usable:
        raise DataError(f"--fix-into {config.fix_into}: no image can be used, so there is nothing to write")
    written = write_dataset(
        usable,
        Path(config.fix_into).expanduser(),
        format=config.format or descriptor.format,
        images="copy",
        upright=True,
    )
    left_out = sum(len(split.images) for split in splits) - sum(len(split.images) for split in usable.values())
    return [
        f"repaired copy: {written.yaml}",
        *(
            [f"  images left out, as they are damaged or their boxes are for other pixels: {left_out}"]
            if left_out
            else []
        ),
        *(f"  {note}" for note in written.notes),
    ]


def _without(split: Split, broken: Collection[str]) -> Split:
    good = [index for index in range(len(split.images)) if split.images.paths[index] not in broken]
    return replace(split, images=split.images.take(np.asarray(good, np.int64)))
