"""The detection files of the Pascal VOC devkit: `comp4_det_test_<class>.txt`, one line for each detection.

A line is `image_id score xmin ymin xmax ymax`. The devkit's boxes count pixels from 1 and include both ends: our
box (x1, y1, x2, y2) is (x1 + 1, y1 + 1, x2, y2) in the file. darknet's `yolo valid` writes (x1, y1, x2, y2) as it
has them, without the 1. Read such files with `one_based=False` for the boxes that the network meant, or with
`one_based=True` for those that the devkit takes them for.

Scores are written with nine significant digits, which give every float32 back as it was, so that order and equal
scores survive; coordinates with a fixed number of decimals. Files are UTF-8. Left out: the rule (`voc_rule`), the
files of other competitions, darknet's six decimals of the score, and the lines themselves (`comp4_lines`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from yolo.detection_files.comp4_lines import (
    LAYOUT,
    PREFIX,
    SHOWN,
    ClassLines,
    class_files,
    read_class_lines,
)
from yolo.detection_files.distinct import Distinct
from yolo.errors import DataError
from yolo.files import atomic_write
from yolo.structures import Detections

_MOST_DECIMALS = 15
# from the file's box to ours
SHIFT = np.array([1.0, 1.0, 0.0, 0.0])

# bytes; file systems end at 255, and the prefix and a temporary name need room
_LONGEST_CLASS_NAME = 200
_NOT_IN_FILE_NAMES = frozenset('/\\:*?"<>|')


def write_comp4(
    folder: Path,
    detections: Mapping[str, Detections],
    class_names: Sequence[str],
    *,
    decimals: int = 6,
    one_based: bool = True,
) -> None:
    """Write one file for each class, empty ones too; existing ones are replaced, each when it is whole.

    Args:
        folder: receives the files; made if absent.
        detections: image id -> detections in pixels of that image. The files keep the order of the images and,
            within an image, of the detections.
        class_names: names of the classes.
        decimals: of the coordinates, 0 to 15.
        one_based: write the devkit's boxes, (x1 + 1, y1 + 1, x2, y2); else the corners as they are, as darknet.

    Raises:
        DataError: an image id that the format cannot hold, such as one with a space; a class name that cannot be
            part of a file name or is there twice; a class index that `class_names` does not reach.
        ValueError: no class names, `decimals` out of range, or a detection that is not finite.
    """
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise ValueError(f"decimals must be 0 to {_MOST_DECIMALS}, got {decimals}")
    image_ids = list(detections)
    check_names(class_names, image_ids)
    for image_id, found in detections.items():
        _check_detections(image_id, found, len(class_names))
    found_on = list(detections.values())
    labels = torch.cat([torch.zeros(0, dtype=torch.int64), *(one.labels.cpu() for one in found_on)]).numpy()
    image_index = np.repeat(np.arange(len(found_on)), [len(one) for one in found_on])
    scores = torch.cat([torch.zeros(0), *(one.scores.detach().float().cpu() for one in found_on)]).numpy()
    boxes = torch.cat([torch.zeros(0, 4), *(one.boxes.detach().float().cpu() for one in found_on)]).numpy()

    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(len(class_names) + 1))
    layout = f"%s %.9g{f' %.{decimals}f' * 4}\n"
    for index, name in enumerate(class_names):
        own = order[bounds[index] : bounds[index + 1]]
        corners = boxes[own].astype(np.float64) + (SHIFT if one_based else 0.0)
        columns = (image_index[own].tolist(), scores[own].tolist(), corners.tolist())
        with (
            atomic_write(folder / f"{PREFIX}{name}.txt") as temporary,
            temporary.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(
                layout % (image_ids[image], score, *box) for image, score, box in zip(*columns, strict=True)
            )


def read_comp4(
    folder: Path,
    class_names: Sequence[str],
    *,
    sizes: Mapping[str, tuple[int, int]],
    one_based: bool = True,
) -> dict[str, Detections]:
    """Read the files of all classes, whatever their prefix: `comp3_det_test_`, `comp4_det_val_` and the like.

    Scores may be any finite numbers. Empty lines are passed over. Memory grows with the detections.

    Args:
        folder: holds one file for each class.
        class_names: names of the classes.
        sizes: image id -> height and width, of every image of the set.
        one_based: boxes are the devkit's, with 1 added to the left and top pixel; False takes the corners as
            they stand, for darknet's files.

    Returns:
        Detections of each image of `sizes`, in its order; by class, then in the order of the file.

    Raises:
        DataError: no or several sets of files, a file too many or missing, a line that is no detection, or a
            detection of an image that is not in `sizes`.
        ValueError: no class names.
    """
    _check_class_names(class_names)
    paths = _files_of_all(folder, class_names)
    images = Distinct()
    parts = [read_class_lines(path, images) for path in paths]
    # surrogates stand for names that are no Unicode; a file cannot hold them, but they are no reason to fail
    index_of = {image_id.encode("utf-8", "surrogatepass"): place for place, image_id in enumerate(sizes)}
    for one in parts:
        _check_strictly(one, images, index_of)
    labels = np.repeat(np.arange(len(parts)), [len(one.images) for one in parts])
    image_index = images.look_up(np.concatenate([one.images for one in parts]), index_of)
    numbers = np.concatenate([one.numbers for one in parts])
    if one_based:
        numbers[:, 1:] -= SHIFT

    order = np.argsort(image_index, kind="stable")
    values, labels = numbers[order].astype(np.float32), labels[order]
    bounds = np.searchsorted(image_index[order], np.arange(len(sizes) + 1)).tolist()
    result = {}
    for image_id, (begin, end) in zip(sizes, pairwise(bounds), strict=True):
        own = slice(begin, end)
        result[image_id] = Detections(
            # copies: a view would keep the detections of all images alive
            torch.from_numpy(values[own, 1:].copy()),
            torch.from_numpy(values[own, 0].copy()),
            torch.from_numpy(labels[own].copy()),
            sizes[image_id],
        )
    return result


def check_names(class_names: Sequence[str], image_ids: Iterable[str]) -> None:
    """Refuse names that the files cannot hold, as `write_comp4` does, before there are detections."""
    _check_class_names(class_names)
    for image_id in image_ids:
        _check_image_id(image_id)


def _check_class_names(class_names: Sequence[str]) -> None:
    if not class_names:
        raise ValueError("class_names must name at least one class")
    for name in class_names:
        if (
            not name.isprintable()
            or name != name.strip()
            or not 0 < len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_CLASS_NAME
            or _NOT_IN_FILE_NAMES & set(name)
        ):
            raise DataError(
                f"class name {name!r} cannot be part of a file name, as comp4 files need it; rename the class: "
                f"1 to {_LONGEST_CLASS_NAME} printable characters without {' '.join(sorted(_NOT_IN_FILE_NAMES))}"
            )
    if len(set(class_names)) < len(class_names):
        twice = next(name for name in class_names if list(class_names).count(name) > 1)
        raise DataError(f"class name {twice!r} is there twice, and comp4 has one file for each name; rename one")


def _check_image_id(image_id: str) -> None:
    try:
        image_id.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"image id {image_id!r} is no Unicode text; rename the image") from error
    if image_id.split() != [image_id]:
        raise DataError(
            f"image id {image_id!r} is empty or has a space or line break, which a line of a comp4 file, {LAYOUT}, "
            "cannot hold; rename the image"
        )


def _check_detections(image_id: str, found: Detections, num_classes: int) -> None:
    if not (found.boxes.isfinite().all() and found.scores.isfinite().all()):
        raise ValueError(f"image {image_id!r}: a detection has a box or score that is not finite")
    wrong = found.labels[(found.labels < 0) | (found.labels >= num_classes)].tolist()
    if wrong:
        raise DataError(
            f"image {image_id!r}: a detection has class {wrong[0]} (counted from 0), but there are {num_classes} "
            "class names; check that weights and dataset have the same classes"
        )


def _files_of_all(folder: Path, class_names: Sequence[str]) -> list[Path]:
    """The file of each class, all of which have to be there."""
    prefix, files = class_files(folder)
    unknown = sorted(files.keys() - set(class_names))
    if unknown:
        raise DataError(
            f"{files[unknown[0]]}: {unknown[0]!r} is none of the {len(class_names)} classes; "
            "remove the file, or use the class names that the detections were made with"
        )
    missing = [name for name in class_names if name not in files]
    if missing:
        path = folder / f"{prefix}{missing[0]}.txt"
        raise DataError(f"{path}: is missing; every class needs a file, an empty one if nothing was found")
    return [files[name] for name in class_names]


def _check_strictly(lines: ClassLines, images: Distinct, index_of: Mapping[bytes, int]) -> None:
    """Refuse a file with a line of an unknown image, or with a number that is not finite in float32."""
    unknown = np.flatnonzero(images.look_up(lines.images, index_of) < 0)
    if unknown.size:
        name = images.key_of(int(lines.images[unknown[0]]))
        raise DataError(
            f"{lines.place(unknown[0])}: image {name.decode('utf-8', 'replace')[:SHOWN]!r} is none of the "
            f"{len(index_of)} images under evaluation; use the image set that the detections were made on, or remove "
            "the line"
        )
    with np.errstate(over="ignore"):
        bad = np.flatnonzero(~np.isfinite(lines.numbers.astype(np.float32)).all(axis=1))
    if bad.size:
        raise DataError(
            f"{lines.place(bad[0])}: a number is infinite, not a number or too large; correct or remove the line"
        )
