"""Detections of any detector for `report` and `compare`, from files, matched with ground truth.

Detections on unknown images, of unknown classes, or that are not finite are left out and counted; all others stay as
they are, in float64 and in the order that decides between equal scores: by image and then by line, but as the lines
of a class stand in comp4 files. Left out: the formats (yolo.formats), ground truth (ground_truth_files.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, get_args

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.detection_sets import DetectionSet, EvaluationData
from yolo.engine.format_check import check_detections
from yolo.engine.ground_truth_files import GroundTruthFiles, is_usable, read_ground_truth
from yolo.errors import ConfigError, DataError, printable, shown
from yolo.formats.coco_companion import RESULTS_NAME, Companion, companion_of, read_companion
from yolo.formats.coco_results import read_coco_results
from yolo.formats.comp4 import class_files, is_class_file, read_comp4
from yolo.formats.detections_json import JSON_NAME, LINES_NAME, is_detections_json, read_detections_json
from yolo.formats.issues import InputWarning, ReadReport
from yolo.formats.match_images import match_sources
from yolo.formats.paths import find_text_files, is_file, is_folder
from yolo.formats.results import (
    DetectionFormat,
    KnownImages,
    RawDetections,
    match_class_numbers,
    match_classes,
    match_images,
)
from yolo.formats.values import plain_id
from yolo.formats.yolo_results import read_yolo_results

# What runs leave: `predict`, and `val` and `train`.
_OWN_RESULTS: Final[dict[str, DetectionFormat]] = {
    JSON_NAME: "gridyolo",
    LINES_NAME: "gridyolo",
    RESULTS_NAME: "coco",
    f"coco/{RESULTS_NAME}": "coco",
}
_EXPECTED = (
    "expected detections.json of gridyolo predict, COCO results (.json), a folder of comp4_det_test_CLASS.txt files, "
    "or a folder of YOLO text files with scores (class cx cy w h score)"
)


@dataclass(frozen=True)
class DetectionFiles:
    """Detections as their files have them."""

    detections: DetectionSet  # of known images and classes, in the order that decides between equal scores
    warnings: tuple[InputWarning, ...]  # what was left out or looks odd
    format: str  # `gridyolo`, `coco`, `comp4` or `yolo`
    source: str  # the path as given


def read_detections(
    path: Path,
    ground_truth: GroundTruthFiles,
    *,
    format: Literal["auto"] | DetectionFormat = "auto",  # noqa: A002
) -> DetectionFiles:
    """Read detections.

    Detections on unknown images, of unknown classes, or that are not finite are left out and counted.

    Args:
        path: detections.json, detections.jsonl or COCO results; or a folder of comp4 files, of YOLO text files with
            scores, or a run folder of `predict`, `val` or `train`.
        ground_truth: images, their sizes, and classes.
        format: of the files, where it cannot be recognised.

    Raises:
        ConfigError: no such format.
        DataError: nothing there, nothing that is known, or files that do not fit the ground truth.
    """
    if format not in ("auto", *get_args(DetectionFormat)):
        raise ConfigError(f"format is {format!r}, expected auto, {', '.join(get_args(DetectionFormat))}")
    given, path, report = str(path), Path(path).expanduser(), ReadReport()
    if not (is_file(path) or is_folder(path)):
        raise DataError(f"{printable(path)}: there is no such file or folder of detections")
    form = _recognise(path) if format == "auto" else format
    if form in ("comp4", "yolo") and not is_folder(path):
        raise DataError(f"{printable(path)}: is a file, but {form} detections are a folder of files")
    if form in ("gridyolo", "coco"):
        path = _own_file(path, form) if is_folder(path) else path
        raw = read_coco_results(path) if form == "coco" else read_detections_json(path, report)
    elif form == "comp4":
        raw = read_comp4(_class_files(path, ground_truth, report))
    else:
        raw = read_yolo_results(path, report)
    found = _matched(raw, ground_truth, report, path)
    problem = EvaluationData(ground_truth.images, ground_truth.class_names, ground_truth.truths, found)
    check_detections(problem, report, truth_format=ground_truth.format, form=form)
    return DetectionFiles(found, report.warnings(), form, given)


def read_problem(
    ground_truth_path: Path,
    detections_path: Path,
    *,
    split: str = "val",
    images: Path | None = None,
    class_names: Sequence[str] | None = None,
    format: Literal["auto"] | DetectionFormat = "auto",  # noqa: A002
) -> tuple[EvaluationData, GroundTruthFiles, DetectionFiles]:
    """Ground truth and detections as one problem; see `read_ground_truth` and `read_detections`."""
    truth = read_ground_truth(ground_truth_path, split=split, images=images, class_names=class_names)
    found = read_detections(detections_path, truth, format=format)
    return EvaluationData(truth.images, truth.class_names, truth.truths, found.detections), truth, found


def _recognise(path: Path) -> DetectionFormat:
    if not is_folder(path):
        if is_detections_json(path):
            return "gridyolo"
        if path.suffix.lower() == ".json":
            return "coco"
        raise DataError(f"{printable(path)}: is not a known kind of detections; {_EXPECTED}")
    own = next((form for name, form in _OWN_RESULTS.items() if is_file(path / name)), None)
    if own is not None:  # a run folder may have several formats: the same numbers
        return own
    texts = find_text_files(path)
    has_comp4 = any(is_class_file(file) and file.parent == path for file in texts)
    has_yolo = any(not is_class_file(file) for file in texts)
    if has_comp4 and has_yolo:
        raise DataError(
            f"{printable(path)}: has comp4 files and other text files; say which are meant with the format comp4 or "
            "yolo, or move the others away"
        )
    if not (has_comp4 or has_yolo):
        raise DataError(f"{printable(path)}: no detections are recognised in this folder; {_EXPECTED}")
    return "comp4" if has_comp4 else "yolo"


def _own_file(folder: Path, form: DetectionFormat) -> Path:
    """The file of a format in a run folder; a name of the format where there is none, for the message."""
    names = [name for name, own in _OWN_RESULTS.items() if own == form]
    return next((folder / name for name in names if is_file(folder / name)), folder / names[0])


def _class_files(folder: Path, truth: GroundTruthFiles, report: ReadReport) -> dict[str, Path]:
    """The comp4 file of each class, those of the ground truth first and in its order."""
    prefix, files = class_files(folder)
    label_of = {name: label for label, name in enumerate(truth.class_names)}
    if not files.keys() & label_of.keys():
        raise DataError(
            f"{printable(folder)}: has no file of a class of the ground truth; it has "
            f"{', '.join(map(repr, sorted(files)[:3]))}, the ground truth {', '.join(map(repr, truth.class_names[:3]))}"
        )
    text = "a class has no detection file: it counts as a class of which nothing was found"
    for name in truth.class_names:
        if name not in files:
            report.warn("class_file_missing", text, f"{prefix}{name}.txt")
    return {name: files[name] for name in sorted(files, key=lambda name: label_of.get(name, len(label_of)))}


def _matched(raw: RawDetections, truth: GroundTruthFiles, report: ReadReport, path: Path) -> DetectionSet:
    """The detections on images and of classes of the ground truth."""
    beside = None
    if raw.format == "coco" and (file := companion_of(path)) and file.absolute() != Path(truth.source).absolute():
        beside = read_companion(file)
    image_of, label_of = _image_places(raw, truth, report, path, beside), _labels(raw, truth, report, path, beside)
    image_index, labels = image_of[raw.image_codes], label_of[raw.class_codes]
    boxes = raw.boxes if raw.format != "yolo" else _in_pixels(raw, image_index, truth)
    lost = np.asarray([_lost_with(key, truth) != "" for key in raw.images], bool)
    unknown = image_index < 0
    report.warn_rows(
        "image_left_out",
        "a detection is on an image that the ground truth leaves out, because its annotation file or its image cannot "
        "be read: it is left out as well",
        unknown & lost[raw.image_codes],
        lambda row: f"{raw.place(row)}: {_lost_with(raw.images[int(raw.image_codes[row])], truth)}",
    )
    kept = _take_part(raw, boxes, image_index, labels, report, told=lost[raw.image_codes])
    if raw.format != "comp4":
        kept = kept[np.argsort(image_index[kept], kind="stable")]
    make = DetectionSet.from_xywh if raw.format == "coco" else DetectionSet.from_xyxy
    return make(boxes[kept], raw.scores[kept], labels[kept], image_index[kept])


def _image_places(
    raw: RawDetections, truth: GroundTruthFiles, report: ReadReport, path: Path, beside: Companion | None
) -> Int64:
    """The place of each of `raw.images` in the ground truth, -1 for none."""
    images = KnownImages(truth.images.image_ids, truth.file_names)
    if raw.format == "gridyolo":
        found = match_sources(raw.images, images, path=path)
        _warn_of_missing(len(truth.images) - len(found), report)
        return _places(raw.images, found)
    if beside is not None and (by_file := _by_file(raw, images, beside, path)):
        _warn_of_missing(len(truth.images) - len(by_file), report)
        return _places([plain_id(key) for key in raw.images], by_file)
    if raw.format != "yolo":
        found = match_images(raw.images, images, report, path=path, named=raw.format == "comp4")
        return _places(raw.images, found)
    # files are named for their images, with folders or, where none is known so, without
    known, keys = {**images.by_name(), **images.by_id()}, list(raw.images)
    if not any(key in known for key in keys):
        keys = [key.rpartition("/")[2] for key in keys]
    found = match_images(keys, images, ReadReport(), path=path)
    places = _places(keys, found)
    several = [place for place, number in Counter(places[places >= 0].tolist()).items() if number > 1]
    if several:
        image_id = truth.images.image_ids[several[0]]
        raise DataError(f"{printable(path)}: has several files for the image {image_id}; keep one of them")
    text = "a text file has the name of no image of the ground truth: its detections are left out"
    if lost := [f"{path}, {key}.txt" for key in keys if key not in found and not _lost_with(key, truth)]:
        report.warn("file_of_unknown_image", text, *lost[:5], count=len(lost))
    if missing := len(truth.images) - len(found):
        text = "an image has no text file: it counts as an image without detections"
        report.warn("image_without_file", text, count=missing)
    return places


def _warn_of_missing(count: int, report: ReadReport) -> None:
    if count:
        text = "an image is not among those that were predicted: it counts as an image without detections"
        report.warn("image_without_entry", text, count=count)


def _by_file(raw: RawDetections, images: KnownImages, beside: Companion, path: Path) -> dict[Any, int]:
    """The place of the image for each id of the run, by its file; none where ids fit the ground truth better."""
    by_id = images.by_id()
    num_known = sum(key in by_id for key in raw.images)
    try:
        found = match_sources(
            dict.fromkeys(record["file_name"] for record in beside.images.values()), images, path=path
        )
    except DataError:
        if num_known:
            return {}  # the names say less than the ids
        raise
    places = {own: found[record["file_name"]] for own, record in beside.images.items() if record["file_name"] in found}
    return places if sum(plain_id(key) in places for key in raw.images) >= num_known else {}


def _labels(
    raw: RawDetections, truth: GroundTruthFiles, report: ReadReport, path: Path, beside: Companion | None
) -> Int64:
    """The label of each of `raw.classes` in the ground truth, -1 for none."""
    if raw.format == "coco" and beside is not None:
        by_name = {name: label for label, name in enumerate(truth.class_names)}
        names = {key: beside.class_names[own] for key in raw.classes if (own := plain_id(key)) in beside.class_names}
        if found := {key: by_name[name] for key, name in names.items() if name in by_name}:
            return _places(raw.classes, found)
    if raw.format == "coco":
        found = match_classes(raw.classes, truth.class_names, truth.category_ids, report, path=path)
    elif raw.format == "yolo":
        found = match_class_numbers(raw.classes, len(truth.class_names), path=path)
    else:
        found = {name: label for label, name in enumerate(truth.class_names)}
        if raw.format == "gridyolo" and raw.classes and not found.keys() & set(raw.classes):
            raise DataError(
                f"{printable(path)}: no detection is of a class of the ground truth; they have "
                f"{', '.join(map(shown, raw.classes[:3]))}, the ground truth "
                f"{', '.join(map(repr, truth.class_names[:3]))}; use the files of the same set of classes"
            )
    return _places(raw.classes, found)


def _places(keys: Sequence[Any], found: dict[Any, int]) -> Int64:
    return np.asarray([found.get(key, -1) for key in keys], np.int64)


def _in_pixels(raw: RawDetections, image_index: Int64, truth: GroundTruthFiles) -> Float64:
    """Corners in pixels, of fractions; what is on no image stays as it is."""
    sizes_hw = np.append(truth.images.sizes_hw, [[1, 1]], axis=0)[image_index]
    rows = np.flatnonzero((sizes_hw <= 0).any(axis=1))
    if rows.size:
        image_id = truth.images.image_ids[int(image_index[rows[0]])]
        raise DataError(
            f"{raw.place(int(rows[0]))}: the boxes are fractions of the image, and the size of image {image_id} is not "
            "known: the ground truth does not state it, and the image file is not found; say where the images are"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return raw.boxes * sizes_hw[:, [1, 0, 1, 0]].astype(np.float64)


def _lost_with(key: Any, truth: GroundTruthFiles) -> str:
    """The file whose damage costs an image that detections are on; empty where it is not so."""
    name = PurePosixPath(str(key).replace("\\", "/"))
    return truth.left_out.get(name.name) or truth.left_out.get(name.stem) or ""


def _take_part(
    raw: RawDetections, boxes: Float64, image_index: Int64, labels: Int64, report: ReadReport, *, told: Bool
) -> Int64:
    """The rows that take part, in their order; the others are counted, but those of `told` are already."""
    unknown_image, unknown_class = image_index < 0, labels < 0

    def image(row: int) -> str:
        return f"{raw.place(row)}, image {_text(raw.images[int(raw.image_codes[row])])}"

    report.warn_rows(
        "unknown_image",
        "a detection is on an image that is not in the ground truth: it is left out",
        unknown_image & ~told,
        image,
    )
    report.warn_rows(
        "unknown_class",
        "a detection is of a class that is not in the ground truth: it is left out",
        unknown_class & ~unknown_image,
        lambda row: f"{raw.place(row)}, class {_text(raw.classes[int(raw.class_codes[row])])}",
    )
    known = ~(unknown_image | unknown_class)
    finite = np.isfinite(raw.scores) & is_usable(boxes)
    report.warn_rows(
        "not_finite",
        "a detection has a score or a box that is not a finite number: it is left out (pycocotools would let a box "
        "of NaN match anything)",
        known & ~finite,
        lambda row: f"{image(row)}, score {raw.scores[row]:.6g}, box {raw.boxes[row].tolist()}",
    )
    return np.flatnonzero(known & finite)


def _text(key: Any) -> str:
    return shown(key) if type(key) in (int, str) else str(key)
