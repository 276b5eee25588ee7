"""The images of a COCO annotation file: listed once each, by ascending id, and looked for on the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yolo.detection_files.json_columns import Record
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import side_of
from yolo.errors import DataError, ImageReadError, printable
from yolo.formats.paths import Listings, image_folder, is_file, shown
from yolo.images import read_size


class CocoImage(NamedTuple):
    """One element of `images`."""

    image_id: int | str
    file_name: str
    width: Any
    height: Any


def list_images(records: Sequence[Record], path: Path, remarks: Remarks) -> list[CocoImage]:
    """The images by ascending id, as pycocotools sorts them."""
    seen: dict[int | str, Record] = {}
    for number, record in enumerate(records):
        image_id: Any = record.get("id")
        if type(image_id) not in (int, str):
            raise DataError(
                f"{printable(path)}: images[{number}].id is {shown(image_id)}, expected a whole number or text"
            )
        if (first := seen.setdefault(image_id, record)) is not record:
            if first != record:
                raise DataError(
                    f"{printable(path)}: images[{number}]: the id {shown(image_id)} is there already, for "
                    f"{shown(first.get('file_name'))}; give each image an id of its own"
                )
            remarks.add("duplicate_image", "an image is listed twice, both times the same: it counts once",
                        f"id {shown(image_id)}")  # fmt: skip
    ordered = sorted(seen.items(), key=lambda item: (type(item[0]) is str, item[0]))
    return [
        CocoImage(image_id, name if type(name := record.get("file_name")) is str else "",
               record.get("width"), record.get("height"))
        for image_id, record in ordered
    ]  # fmt: skip


def image_paths(path: Path, listed: Sequence[CocoImage], images: Path | None) -> list[str]:
    """The image files, "" for those that are not there."""
    names = [image.file_name for image in listed if image.file_name]
    folder = images
    if folder is None:
        try:
            folder = image_folder(path, names)
        except DataError:
            return [""] * len(listed)  # a remark counts them
    listings, paths = Listings(), []
    for image in listed:
        place = os.path.join(os.fspath(folder), image.file_name) if image.file_name else ""  # noqa: PTH118
        paths.append(place if place and _is_there(place, listings) else "")
    return paths


def _is_there(place: str, listings: Listings) -> bool:
    try:
        return listings.has_file(place)
    except DataError:  # a folder that may not be listed
        return is_file(place)


def image_size(image: CocoImage, path: str) -> tuple[int, int]:
    """Height and width as stated, else of the file, else 0."""
    height, width = side_of(image.height), side_of(image.width)
    if height and width:
        return height, width
    try:
        return read_size(Path(path)) if path else (0, 0)
    except ImageReadError:
        return 0, 0
