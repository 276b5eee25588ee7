"""Where each image of a dataset goes that is being written, and bringing it there.

Left out: annotations (dataset.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.config.data_commands import DatasetFormat
from yolo.data.descriptor import Split
from yolo.structures import AnnotatedImage, GroundTruth
from yolo.writing.file_names import FileNames
from yolo.writing.images import ImageMode, is_plain, new_suffix, put_image, put_upright, reference_of


class Placement(NamedTuple):
    """Where the images are.

    Attributes:
        references: by split the path of each image: below the root with forward slashes, or absolute.
        notes: how many were renamed or written anew.
    """

    references: Mapping[str, list[str]]
    notes: list[str]


def place_images(
    splits: Mapping[str, Split],
    root: Path,
    *,
    format: DatasetFormat,  # noqa: A002  (the word of the command line)
    images: ImageMode,
    upright: bool,
) -> Placement:
    """Copy or link the images of all splits below `root`, see `write_dataset`.

    Raises:
        DataError: an image cannot be read or copied, or its path cannot be written down.
    """
    if images == "none":
        return Placement(
            {name: [reference_of(Path(path)) for path in split.images.paths] for name, split in splits.items()}, []
        )
    counts: Counter[str] = Counter()
    references: dict[str, list[str]] = {}
    names = FileNames(apart_by_stem=True)
    placed: dict[tuple[str, Path], tuple[GroundTruth, str]] = {}
    for split_name, split in splits.items():
        folder = "JPEGImages" if format == "voc" else f"images/{split_name}"
        if format != "voc":
            names, placed = FileNames(apart_by_stem=format == "yolo"), {}
        (root / folder).mkdir(parents=True, exist_ok=True)
        references[split_name] = []
        for image in split.images:
            key = (image.image_id, image.path)
            if key not in placed or not _equal(placed[key][0], image.ground_truth):
                name = _bring(image, root / folder, names, images, upright=upright, counts=counts)
                placed[key] = (image.ground_truth, f"{folder}/{name}")
            references[split_name].append(placed[key][1])
    return Placement(references, [f"{count} images were {what}" for what, count in counts.items() if count])


def _bring(
    image: AnnotatedImage, folder: Path, names: FileNames, mode: ImageMode, *, upright: bool, counts: Counter[str]
) -> str:
    """Put an image into a folder; the name it has there."""
    anew = upright and not is_plain(image.path)
    name = names.name_for(image.path.name, suffix=new_suffix(image.path, encoded=anew))
    counts["renamed: their names were not fit for lists, or there are several"] += name != image.path.name
    if anew:
        counts["written anew, upright and in 8-bit RGB"] += 1
        put_upright(image.path, folder / name)
    else:
        put_image(image.path, folder / name, mode="link" if mode == "link" else "copy")
    return name


def _equal(one: GroundTruth, other: GroundTruth) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(GroundTruth))
