"""The detection files of the Pascal VOC devkit: `comp4_det_test_<class>.txt`, one line for each detection.

A line is `image_id score xmin ymin xmax ymax`. The devkit's boxes count pixels from 1 and include both ends: our box
(x1, y1, x2, y2) is (x1 + 1, y1 + 1, x2, y2) in the file. Lines keep their order through all images of a class,
because it decides between equal scores in the devkit. Scores are written with nine significant digits, which give
every float32 back as it was, coordinates with six decimals. Files are UTF-8. Left out: the rule (evaluation/voc.py),
the files of other competitions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from yolo.errors import DataError, printable
from yolo.files import atomic_write
from yolo.formats.results import RawDetections, Vocabulary, as_table, read_result_lines
from yolo.structures import Detections

PREFIX = "comp4_det_test_"
_LAYOUT = "'image_id score xmin ymin xmax ymax'"
# comp3 or comp4, perhaps a word that keeps runs apart, and the image set: comp4_run1_det_test_cat.txt
_FILE_NAME = re.compile(r"(comp[34](?:_[^_]+)?_det_[^_]+_)(.+)\.txt", re.DOTALL)
# from the file's box to ours
_SHIFT = np.array([1.0, 1.0, 0.0, 0.0])
# bytes; file systems end at 255, and the prefix and a temporary name need room
_LONGEST_CLASS_NAME = 200
_NOT_IN_FILE_NAMES = frozenset('/\\:*?"<>|')


def write_comp4(folder: Path, detections: Mapping[str, Detections], class_names: Sequence[str]) -> None:
    """Write one file for each class, empty ones too; existing ones are replaced, each when it is whole.

    Args:
        folder: receives the files; made if absent.
        detections: image id -> detections in pixels of that image. The files keep the order of the images and,
            within an image, of the detections.
        class_names: names of the classes.

    Raises:
        DataError: an image id that the format cannot hold, such as one with a space; a class name that cannot be
            part of a file name or appears twice.
        ValueError: a detection that is not finite, or whose class has no name.
    """
    image_ids = list(detections)
    check_names(class_names, image_ids)
    found_on = list(detections.values())
    labels = torch.cat([torch.zeros(0, dtype=torch.int64), *(one.labels.cpu() for one in found_on)]).numpy()
    image_index = np.repeat(np.arange(len(found_on)), [len(one) for one in found_on])
    scores = torch.cat([torch.zeros(0), *(one.scores.detach().float().cpu() for one in found_on)]).numpy()
    boxes = torch.cat([torch.zeros(0, 4), *(one.boxes.detach().float().cpu() for one in found_on)]).numpy()
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError("a detection has a box or score that is not finite")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(class_names):
        raise ValueError(f"a detection is of class {labels.min()} or {labels.max()}, of {len(class_names)} classes")
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(len(class_names) + 1))
    layout = f"%s %.9g{' %.6f' * 4}\n"
    for index, name in enumerate(class_names):
        own = order[bounds[index] : bounds[index + 1]]
        corners = boxes[own].astype(np.float64) + _SHIFT
        columns = (image_index[own].tolist(), scores[own].tolist(), corners.tolist())
        with (
            atomic_write(folder / f"{PREFIX}{name}.txt") as temporary,
            temporary.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(
                layout % (image_ids[image], score, *box) for image, score, box in zip(*columns, strict=True)
            )


def check_names(class_names: Sequence[str], image_ids: Iterable[str]) -> None:
    """Refuse names that the files cannot hold, as `write_comp4` does, before there are detections."""
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
        raise DataError(f"class name {twice!r} appears twice, and comp4 has one file for each name; rename one")
    for image_id in image_ids:
        if printable(image_id) != image_id or image_id.split() != [image_id]:
            raise DataError(
                f"image id {image_id!r} is empty, is not Unicode or has a space or line break, which a line of a comp4 "
                f"file, {_LAYOUT}, cannot hold; rename the image"
            )


def is_class_file(path: Path) -> bool:
    """Whether a file is called as the detections of a class are.

    >>> is_class_file(Path("comp4_det_test_cat.txt")), is_class_file(Path("cat.txt"))
    (True, False)
    """
    return _FILE_NAME.fullmatch(path.name) is not None


def class_files(folder: Path) -> tuple[str, dict[str, Path]]:
    """The beginning that the names of the class files of a folder share, and the file of each class by its name.

    Raises:
        DataError: there is no such folder, no detection file, or several sets of them.
    """
    found: dict[str, dict[str, Path]] = {}  # prefix -> class name -> file
    for path in sorted(folder.glob("comp*.txt")):
        if match := _FILE_NAME.fullmatch(path.name):
            found.setdefault(match[1], {})[printable(match[2])] = path
    if not found:
        raise DataError(f"{printable(folder)}: has no detection files, such as {PREFIX}cat.txt")
    if len(found) > 1:
        raise DataError(
            f"{printable(folder)}: has detection files of several kinds, "
            f"{', '.join(f'{one}*.txt' for one in sorted(found))}; keep those of one kind in the folder"
        )
    ((prefix, files),) = found.items()
    return prefix, files


def read_comp4(files: Mapping[str, Path]) -> RawDetections:
    """Read the files of a set.

    Args:
        files: by class name, in the order in which equal scores are to count.

    Raises:
        DataError: a file cannot be read, or a line does not have six columns of which five are numbers.
    """
    images, paths = Vocabulary(), list(files.values())
    parts = [read_result_lines(path, _LAYOUT, hint="image ids cannot have spaces") for path in paths]
    class_codes = np.repeat(np.arange(len(parts)), [len(one.firsts) for one in parts])
    codes = np.concatenate([np.zeros(0, np.int64), *(images.add(one.firsts) for one in parts)])
    lines = np.concatenate([np.zeros(0, np.int64), *(one.line_numbers for one in parts)])
    numbers = as_table((one.numbers for one in parts), 5)
    return RawDetections(
        format="comp4",
        boxes=numbers[:, 1:] - _SHIFT,
        scores=numbers[:, 0],
        images=[name.decode("utf-8", "replace") for name in images.values],
        image_codes=codes,
        classes=list(files),
        class_codes=class_codes,
        place=lambda row: f"{printable(paths[class_codes[row]])}, line {lines[row]}",
    )
