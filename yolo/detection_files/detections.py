"""Detections of any detector from files: `read_detections`; with their ground truth: `read_problem`.

Left out: the formats (`coco_results`, `comp4_results`, `yolo_results`), ground truth (`ground_truth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from yolo.detection_files.coco_results import read_coco_results
from yolo.detection_files.comp4_lines import is_class_file
from yolo.detection_files.comp4_results import read_comp4_results
from yolo.detection_files.fit import remark_on_fit
from yolo.detection_files.ground_truth import read_ground_truth
from yolo.detection_files.plausibility import remark_odd_detections
from yolo.detection_files.remarks import Remark, Remarks
from yolo.detection_files.text_files import find_text_files
from yolo.detection_files.truth_files import GroundTruthFiles
from yolo.detection_files.yolo_results import read_yolo_results
from yolo.detection_sets import DetectionSet, Problem
from yolo.errors import ConfigError, DataError, printable
from yolo.formats.paths import is_file, is_folder

DetectionFormat = Literal["coco", "comp4", "yolo"]

_OWN_RESULTS = "predictions.json"
_EXPECTED = (
    "expected COCO results (.json), a folder of comp4_det_test_CLASS.txt files, or a folder of YOLO text files with "
    "scores (class cx cy w h score)"
)


@dataclass(frozen=True)
class DetectionFiles:
    """Detections as their files have them.

    Attributes:
        detections: of the images and classes of the ground truth, in the order that decides between equal scores.
        remarks: what was left out or looks odd.
        format: `coco`, `comp4` or `yolo`.
        source: the path as given.
    """

    detections: DetectionSet
    remarks: tuple[Remark, ...]
    format: str
    source: str


def read_detections(
    path: Path,
    ground_truth: GroundTruthFiles,
    *,
    format: Literal["auto", "coco", "comp4", "yolo"] = "auto",  # noqa: A002
) -> DetectionFiles:
    """Read detections.

    Detections on unknown images, of unknown classes, or that are not finite are left out and counted.

    Args:
        path: COCO results; or a folder of comp4 files, of YOLO text files with scores, or with a predictions.json.
        ground_truth: images, their sizes, and classes.
        format: of the files, where it cannot be told.

    Raises:
        ConfigError: no such format.
        DataError: nothing there, nothing that is known, or files that do not fit the ground truth.
    """
    if format not in ("auto", *get_args(DetectionFormat)):
        raise ConfigError(f"format is {format!r}, expected auto, {', '.join(get_args(DetectionFormat))}")
    given, path = str(path), Path(path).expanduser()
    remarks = Remarks()
    if not (is_file(path) or is_folder(path)):
        raise DataError(f"{printable(path)}: there is no such file or folder of detections")
    form = _recognise(path) if format == "auto" else format
    if form == "coco":
        file = path / _OWN_RESULTS if is_folder(path) else path
        found = read_coco_results(file, ground_truth, remarks)
    elif not is_folder(path):
        raise DataError(f"{printable(path)}: is a file, but {form} detections are a folder of files")
    elif form == "comp4":
        found = read_comp4_results(path, ground_truth, remarks)
    else:
        found = read_yolo_results(path, ground_truth, remarks)
    if not remark_odd_detections(found, ground_truth, remarks):
        remark_on_fit(found, ground_truth, remarks, form=form)
    return DetectionFiles(found, remarks.list(), form, given)


def read_problem(
    ground_truth_path: Path,
    detections_path: Path,
    *,
    split: str = "val",
    images: Path | None = None,
    class_names: Sequence[str] | None = None,
    format: Literal["auto", "coco", "comp4", "yolo"] = "auto",  # noqa: A002
) -> tuple[Problem, GroundTruthFiles, DetectionFiles]:
    """Ground truth and detections as one problem; see `read_ground_truth` and `read_detections`."""
    truth = read_ground_truth(ground_truth_path, split=split, images=images, class_names=class_names)
    found = read_detections(detections_path, truth, format=format)
    return Problem(truth.images, truth.class_names, truth.truths, found.detections), truth, found


def _recognise(path: Path) -> DetectionFormat:
    if not is_folder(path):
        if path.suffix.lower() == ".json":
            return "coco"
        raise DataError(f"{printable(path)}: no detections that are known; {_EXPECTED}")
    texts = find_text_files(path)
    has = {
        "comp4": any(is_class_file(file) and file.parent == path for file in texts),
        "yolo": any(not is_class_file(file) for file in texts),
        "coco": is_file(path / _OWN_RESULTS),
    }
    if has["comp4"] and has["yolo"] and not has["coco"]:
        raise DataError(
            f"{printable(path)}: has comp4 files and other text files; say which are meant with the format comp4 or "
            "yolo, or move the others away"
        )
    forms: tuple[DetectionFormat, ...] = ("coco", "comp4", "yolo")  # a run folder may have several: the same numbers
    form = next((one for one in forms if has[one]), None)
    if form is None:
        raise DataError(f"{printable(path)}: no detections are recognised in this folder; {_EXPECTED}")
    return form
