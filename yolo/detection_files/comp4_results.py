"""Detections in the files of the Pascal VOC devkit, as the devkit takes them: float64, in the order of the lines.

That order, through all images of a class, decides between equal scores, so detections are by class, not by image.
Boxes count pixels from 1 and include both ends. Left out: the lines (`comp4_lines`), and the strict reading of files
that were written for a dataset (`comp4`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yolo.detection_files.comp4 import SHIFT
from yolo.detection_files.comp4_lines import ClassLines, class_files, read_class_lines
from yolo.detection_files.distinct import Distinct
from yolo.detection_files.image_names import match_images
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import GroundTruthFiles
from yolo.detection_files.usable import RawDetections, usable_detections
from yolo.detection_sets import DetectionSet
from yolo.errors import DataError, printable


def read_comp4_results(folder: Path, truth: GroundTruthFiles, remarks: Remarks) -> DetectionSet:
    """Read the class files of a folder.

    Raises:
        DataError: no or several sets of files, none of a class of the ground truth, or a line that is no detection.
    """
    prefix, files = class_files(folder)
    _check_classes(prefix, files, folder, truth, remarks)
    label_of = {name: label for label, name in enumerate(truth.class_names)}
    names = sorted(files, key=lambda name: label_of.get(name, len(label_of)))
    images = Distinct()
    parts = [read_class_lines(files[name], images) for name in names]
    image_ids = {key: key.decode("utf-8", "replace") for key in images.keys}
    found = match_images(image_ids.values(), truth, remarks, path=folder)
    places = {key: found[image_id] for key, image_id in image_ids.items() if image_id in found}
    part_of = np.repeat(np.arange(len(parts)), [len(one.images) for one in parts])
    first_row = np.cumsum([0, *(len(one.images) for one in parts)])
    stated = np.concatenate([one.images for one in parts])
    numbers = np.concatenate([one.numbers for one in parts])
    labels = np.asarray([label_of.get(name, -1) for name in names], np.int64)
    raw = RawDetections(numbers[:, 1:] - SHIFT, numbers[:, 0], images.look_up(stated, places), labels[part_of])

    def place(row: int) -> str:
        one: ClassLines = parts[part_of[row]]
        return one.place(row - int(first_row[part_of[row]]))

    kept = usable_detections(
        raw,
        remarks,
        place=place,
        image=lambda row: images.shown(int(stated[row])),
        label=lambda row: repr(names[part_of[row]]),
    )
    return DetectionSet.from_xyxy(raw.boxes[kept], raw.scores[kept], raw.labels[kept], raw.image_index[kept])


def _check_classes(
    prefix: str, files: dict[str, Path], folder: Path, truth: GroundTruthFiles, remarks: Remarks
) -> None:
    if not files.keys() & set(truth.class_names):
        raise DataError(
            f"{printable(folder)}: has no file of a class of the ground truth; it has "
            f"{', '.join(map(repr, sorted(files)[:3]))}, the ground truth {', '.join(map(repr, truth.class_names[:3]))}"
        )
    for name in truth.class_names:
        if name not in files:
            remarks.add("class_file_missing", "a class has no detection file: it counts as a class of which nothing "
                        "was found", f"{prefix}{name}.txt")  # fmt: skip
