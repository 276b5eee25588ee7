"""The detection files of the Pascal VOC devkit: `comp4_det_test_<class>.txt`, one line for each detection.

A line is `image_id score xmin ymin xmax ymax`. The devkit's boxes count pixels from 1 and include both ends: our
box (x1, y1, x2, y2) is (x1 + 1, y1 + 1, x2, y2) in the file. darknet's `yolo valid` writes (x1, y1, x2, y2) as it
has them, without the 1. Read such files with `one_based=False` for the boxes that the network meant, or with
`one_based=True` for those that the devkit takes them for.

Scores are written with nine significant digits, which give every float32 back as it was, so that order and equal
scores survive; coordinates with a fixed number of decimals. Files are UTF-8. Left out: the rule (`voc_rule`), the
files of other competitions, and darknet's six decimals of the score.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from yolo.errors import DataError
from yolo.files import atomic_write
from yolo.structures import Detections

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_PREFIX = "comp4_det_test_"
# comp3 or comp4, perhaps a word that keeps runs apart, and the image set: comp4_run1_det_test_cat.txt
_FILE_NAME = re.compile(r"(comp[34](?:_[^_]+)?_det_[^_]+_)(.+)\.txt", re.DOTALL)
_LAYOUT = "'image_id score xmin ymin xmax ymax'"
_NUM_NUMBERS = 5
_MOST_DECIMALS = 15
_SHIFT = np.array([1.0, 1.0, 0.0, 0.0])

# bounds what a file without line breaks can make us hold
_LONGEST_LINE = 4096
# characters of a bad line that a message quotes
_SHOWN = 100
# bytes; file systems end at 255, and the prefix and a temporary name need room
_LONGEST_CLASS_NAME = 200
_NOT_IN_FILE_NAMES = frozenset('/\\:*?"<>|')


class _Rows(NamedTuple):
    """Lines of one class file."""

    image_index: Int64  # (K,)
    numbers: Float64  # (K, 5) score and box as in the file


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
        corners = boxes[own].astype(np.float64) + (_SHIFT if one_based else 0.0)
        columns = (image_index[own].tolist(), scores[own].tolist(), corners.tolist())
        with (
            atomic_write(folder / f"{_PREFIX}{name}.txt") as temporary,
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
    paths = _class_files(folder, class_names)
    # surrogates stand for names that are no Unicode; a file cannot hold them, but they are no reason to fail
    index_of = {image_id.encode("utf-8", "surrogatepass"): index for index, image_id in enumerate(sizes)}
    parts = [_read_class(path, index_of) for path in paths]
    labels = np.repeat(np.arange(len(parts)), [len(one.image_index) for one in parts])
    image_index = np.concatenate([one.image_index for one in parts])
    numbers = np.concatenate([one.numbers for one in parts])
    if one_based:
        numbers[:, 1:] -= _SHIFT

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
            f"image id {image_id!r} is empty or has a space or line break, which a line of a comp4 file, {_LAYOUT}, "
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


def _class_files(folder: Path, class_names: Sequence[str]) -> list[Path]:
    """The file of each class."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of comp4 files")
    found: dict[str, set[str]] = {}  # prefix -> class names
    for path in folder.glob("comp*.txt"):
        if match := _FILE_NAME.fullmatch(path.name):
            found.setdefault(match[1], set()).add(match[2])
    if not found:
        raise DataError(f"{folder}: has no detection files, such as {_PREFIX}{class_names[0]}.txt")
    if len(found) > 1:
        raise DataError(
            f"{folder}: has detection files of several kinds, {', '.join(f'{one}*.txt' for one in sorted(found))}; "
            "keep those of one kind in the folder"
        )
    (prefix, names), *_ = found.items()
    unknown = sorted(names - set(class_names))
    if unknown:
        raise DataError(
            f"{folder / f'{prefix}{unknown[0]}.txt'}: {unknown[0]!r} is none of the {len(class_names)} classes; "
            "remove the file, or use the class names that the detections were made with"
        )
    return [folder / f"{prefix}{name}.txt" for name in class_names]


def _read_class(path: Path, index_of: Mapping[bytes, int]) -> _Rows:
    if not path.exists():
        raise DataError(f"{path}: is missing; every class needs a file, an empty one if nothing was found")
    if not path.is_file():
        raise DataError(f"{path}: is not a file")
    images, numbers, line_numbers = array("q"), array("d"), array("q")
    try:
        with path.open("rb") as file:
            for line_number, line in _lines(file, path):
                image, values = _parse(line, f"{path}, line {line_number}", index_of)
                images.append(image)
                numbers.extend(values)
                line_numbers.append(line_number)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    table = np.array(numbers, np.float64).reshape(-1, _NUM_NUMBERS)
    with np.errstate(over="ignore"):
        bad = np.flatnonzero(~np.isfinite(table.astype(np.float32)).all(axis=1))
    if bad.size:
        where = f"{path}, line {line_numbers[bad[0]]}"
        raise DataError(f"{where}: a number is infinite, not a number or too large; correct or remove the line")
    return _Rows(np.array(images, np.int64), table)


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not empty with their numbers, from 1."""
    line_number = 0
    while line := file.readline(_LONGEST_LINE):
        line_number += 1
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{path}, line {line_number}: is too long for {_LAYOUT}; is this a detection file?")
        if not line.isspace():
            yield line_number, line


def _parse(line: bytes, where: str, index_of: Mapping[bytes, int]) -> tuple[int, list[float]]:
    image_id, *fields = line.split()
    if len(fields) != _NUM_NUMBERS:
        raise DataError(
            f"{where}: has {len(fields) + 1} instead of 6 fields, {_LAYOUT}; correct or remove the line; "
            "image ids cannot have spaces"
        )
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    # float() allows underscores between digits, the devkit does not
    if not values or b"_" in b"".join(fields):
        text = line.decode("utf-8", "replace").strip()[:_SHOWN]
        raise DataError(f"{where}: {text!r} is not {_LAYOUT} with five numbers; correct or remove the line")
    index = index_of.get(image_id)
    if index is None:
        raise DataError(
            f"{where}: image {image_id.decode('utf-8', 'replace')[:_SHOWN]!r} is none of the {len(index_of)} images "
            "under evaluation; use the image set that the detections were made on, or remove the line"
        )
    return index, values
