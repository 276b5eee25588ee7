"""Ground truth in YOLO's label files, every object as it stands; sizes come from the image files, which must be there.

Left out: what a line may be (data/yolo_txt.py). A line that is no label ends reading.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from yolo.arrays import Float64
from yolo.data.dataset_yaml import class_names, is_dataset_yaml
from yolo.data.find import names_beside
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.text_files import find_text_files
from yolo.errors import DataError, ImageReadError, printable
from yolo.formats.objects import RawObjects, RawSource, sizes_array
from yolo.formats.paths import LARGEST_LABEL_FILE, find_images, is_file, is_folder, read_text
from yolo.formats.yolo import YoloEntry, list_yolo, nameless_classes, parse_labels
from yolo.images import read_size

_LEVELS = 3  # labels/train, labels, and the root of the dataset


def find_labels(folder: Path, *, images: Path | None, remarks: Remarks) -> list[YoloEntry]:
    """The images of a folder of label files.

    Args:
        folder: of the label files.
        images: of the image files; None for the usual places: `images` in the place of `labels`, the same folder.
        remarks: is told of label files without image.

    Raises:
        DataError: there are no label files, or no images at any of the places.
    """
    labels = find_text_files(folder)
    if not labels:
        raise DataError(f"{printable(folder)}: has no label files (.txt)")
    places = [images] if images is not None else _likely_images(folder)
    pictures = next((place for place in places if is_folder(place) and find_images(place)), None)
    if pictures is None:
        tried = "".join(f"\n  {printable(place)}" for place in places)
        raise DataError(
            f"{printable(folder)}: its label files hold fractions of the image, so the images are needed for their "
            f"sizes, and there are none; looked in{tried}\nSay where they are with --images"
        )
    entries = list_yolo(folder, folder, pictures)
    known = {os.fspath(entry.label_file) for entry in entries}
    lost = [path for path in labels if os.fspath(path) not in known]
    if len(lost) == len(labels):
        raise DataError(
            f"{printable(folder)}: not one of its {len(labels)} label files has an image of the same name in "
            f"{printable(pictures)}; say where the images are with --images"
        )
    for path in lost:
        remarks.add("label_file_without_image", "a label file has no image of its name: its objects are left out, "
                    "because they are fractions of an unknown size", printable(path))  # fmt: skip
    return entries


def _likely_images(folder: Path) -> list[Path]:
    folder = folder.absolute()
    parts = folder.parts
    places = [folder, folder / "images", folder.parent / "images"]
    if "labels" in parts:
        last = len(parts) - 1 - parts[::-1].index("labels")
        places.insert(0, Path(*parts[:last], "images", *parts[last + 1 :]))
    return places


def stated_class_names(folder: Path) -> tuple[str, ...] | None:
    """The class names that stand in or above a folder of label files: in a dataset YAML, classes.txt or obj.names."""
    for place in [folder.absolute(), *folder.absolute().parents][:_LEVELS]:
        if not is_folder(place):
            continue
        yamls = [path for path in sorted(place.iterdir()) if path.suffix.lower() in (".yaml", ".yml")]
        named = [names for path in yamls if is_dataset_yaml(path) and (names := _names_in_yaml(path))]
        if len(set(named)) > 1:
            raise DataError(f"{printable(place)}: has dataset YAMLs with different class names; name the classes")
        if named:
            return named[0]
        if names := names_beside(place):
            return names
    return None


def _names_in_yaml(path: Path) -> tuple[str, ...] | None:
    try:
        content = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{printable(path)}: is not YAML ({printable(str(error))[:200]})") from error
    return class_names(content, path.parent, path) if isinstance(content, dict) else None


def name_classes(entries: Sequence[YoloEntry], remarks: Remarks) -> tuple[str, ...]:
    """`class0`, `class1`, ... for label files of which nobody says what their class numbers mean.

    Raises:
        DataError: there is no object either.
    """
    names = nameless_classes(entries)
    if not names:
        raise DataError(
            "the label files have no object and nothing names the classes; put a data.yaml with 'names', a "
            "classes.txt or an obj.names beside them, or name the classes"
        )
    remarks.add(
        "nameless_classes",
        "class names are not stated (no data.yaml, classes.txt or obj.names): classes are called by their number",
        count=len(names),
    )
    return names


def read_yolo_truth(entries: Sequence[YoloEntry], names: Sequence[str], remarks: Remarks) -> RawSource:
    """What is annotated on some images.

    Raises:
        DataError: an image that cannot be read, or a line that is no label of these classes.
    """
    tables, sizes, missing = [np.zeros((0, 10))], [], 0
    for index, entry in enumerate(entries):
        try:
            height, width = read_size(Path(entry.image))
        except ImageReadError as error:
            raise DataError(f"{error}; its labels are fractions of its size, so it is needed") from error
        sizes.append((height, width))
        if not is_file(entry.label_file):
            missing += 1
            remarks.add("annotation_missing", "an image has no label file: it counts as an image without objects",
                        printable(entry.label_file))  # fmt: skip
            continue
        rows, faults = parse_labels(read_text(entry.label_file, limit=LARGEST_LABEL_FILE), num_classes=len(names))
        if faults:
            more = f" ({len(faults) - 1} more lines of this file are wrong)" if len(faults) > 1 else ""
            place = f"{printable(entry.label_file)}, line {faults[0].number}"
            raise DataError(f"{place}: {faults[0].message}; correct or remove the line{more}")
        tables.append(_table(rows, (height, width), index))
    if entries and missing == len(entries):
        raise DataError(f"{printable(entries[0].label_file)}: is missing, as the label files of all {missing} images")
    return RawSource(
        image_ids=[entry.image_id for entry in entries],
        paths=[entry.image for entry in entries],
        sizes_hw=sizes_array(sizes),
        objects=RawObjects.of(np.concatenate(tables)),
        class_names=tuple(names),
        place=lambda image, number: (os.fspath(entries[image].label_file), f"line {number}"),
    )


def _table(rows: Float64, size_hw: tuple[int, int], image: int) -> Float64:
    """Rows of `RawObject` from rows of `parse_labels`: line, class, xyxy in fractions."""
    height, width = size_hw
    table = np.zeros((len(rows), 10))
    table[:, :4] = rows[:, 2:] * (width, height, width, height)
    table[:, 4], table[:, 5], table[:, 6], table[:, 9] = rows[:, 1], image, rows[:, 0], np.nan
    return table
