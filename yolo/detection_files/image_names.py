"""Which image a detection is on: by its id, else by the name of its file, never by both in one file.

COCO's results name the id. Many programs write the name of the image file instead, with or without its suffix, or
the number that the name is (`12` for `000012.jpg`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import GroundTruthFiles
from yolo.errors import DataError, printable
from yolo.formats.paths import shown

Key = int | str
_SEVERAL = -2
_LONGEST_NUMBER = 20  # digits, for ids of 64 bits; names of more are no numbers of images


def match_images(keys: Iterable[Any], truth: GroundTruthFiles, remarks: Remarks, *, path: object) -> dict[Any, int]:
    """The place in `truth.images` of each key that detections name an image by; unknown ones are left out.

    Args:
        keys: the different ones; those that are neither whole numbers nor text are unknown.
        truth: the images.
        remarks: is told where file names were taken instead of ids.
        path: of the detections, for messages.

    Raises:
        DataError: a name belongs to several images, or no key belongs to any.
    """
    keys = [key for key in keys if type(key) in (int, str)]
    ids = by_id(truth)
    found = {key: ids[key] for key in keys if key in ids}
    if len(found) < len(keys):
        names = by_name(truth)
        named = {key: names[key] for key in keys if key in names}
        if len(named) > len(found):
            several = next((key for key in named if named[key] == _SEVERAL), None)
            if several is not None:
                raise DataError(
                    f"{printable(str(path))}: {shown(several)} is the name of several images of the ground truth; "
                    "name images by their id, or with their folder"
                )
            message = "an image is named by its file instead of its id: it is taken for the image with that file"
            remarks.add("matched_by_name", message, f"{shown(next(iter(named)))}", len(named))
            found = named
    if keys and not found:
        own = ", ".join(map(shown, truth.images.image_ids[:3]))
        raise DataError(
            f"{printable(str(path))}: not one detection is on an image of the ground truth; these are of images such "
            f"as {', '.join(map(shown, keys[:3]))}, the ground truth has {own}; use the files of the same set of images"
        )
    return found


def by_id(truth: GroundTruthFiles) -> dict[Key, int]:
    """The place of each image by its id, as text and, where it is a plain number, as number."""
    places: dict[Key, int] = {image_id: place for place, image_id in enumerate(truth.images.image_ids)}
    for image_id, place in list(places.items()):
        number = _number(str(image_id))
        if number is not None and str(number) == image_id:
            places[number] = place
    return places


def by_name(truth: GroundTruthFiles) -> Mapping[Key, int]:
    """The place of each image by its file: path, name, without suffix, as number; `_SEVERAL` where it is not one."""
    places: dict[Key, int] = {}
    files = truth.file_names or truth.images.image_ids
    for place, (file_name, image_id) in enumerate(zip(files, truth.images.image_ids, strict=True)):
        name = PurePosixPath(file_name.replace("\\", "/"))
        own: set[Key] = {file_name, name.name, name.stem} if file_name else set()
        if _number(image_id) is None:
            own.add(image_id)
        if (number := _number(name.stem)) is not None:
            own.add(number)
        for key in own:
            if places.setdefault(key, place) != place:
                places[key] = _SEVERAL
    return places


def _number(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER else None
