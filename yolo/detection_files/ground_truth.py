"""Ground truth for an evaluation from whatever files there are: `read_ground_truth`.

`yolo.data` reads datasets for training and mends what is wrong with them. An evaluation has to give the number that
pycocotools or the VOC devkit give for the same files: here everything is taken as it stands, in float64, and what
those tools could not evaluate is an error. Left out: the formats (`coco_truth`, `voc_truth`, `yolo_truth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolo.detection_files.coco_truth import read_coco_truth
from yolo.detection_files.dataset_truth import read_dataset_truth
from yolo.detection_files.plausibility import remark_odd_truths
from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import (
    GroundTruthFiles,
    TruthPart,
    ground_truth_of,
    part_of_raw,
    with_classes,
)
from yolo.detection_files.voc_truth import find_voc, read_voc_truth
from yolo.detection_files.yolo_truth import find_labels, name_classes, read_yolo_truth, stated_class_names
from yolo.errors import DataError, printable
from yolo.formats.paths import canonical_split, is_file, is_folder

__all__ = ["GroundTruthFiles", "read_ground_truth"]

_YAML_SUFFIXES = (".yaml", ".yml")


def read_ground_truth(
    path: Path, *, split: str = "val", images: Path | None = None, class_names: Sequence[str] | None = None
) -> GroundTruthFiles:
    """Read ground truth.

    Args:
        path: a COCO json; a Pascal VOC root or a folder of XML files; a folder of YOLO label files; or a dataset
            YAML or root, of any format that training takes.
        split: which images, where the dataset is divided.
        images: folder of the images, where they are not in one of the usual places. Only YOLO's labels need them.
        class_names: what the class numbers of label files mean, where nothing beside them says so; elsewhere the
            classes under evaluation, in this order: objects of others are left out and counted.

    Raises:
        DataError: nothing there, nothing that is known, or something in it that cannot be evaluated; the message
            names the file, the place in it and what to do.
    """
    remarks = Remarks()
    given, path = str(path), Path(path).expanduser()
    images = None if images is None else Path(images).expanduser()
    if images is not None and not is_folder(images):
        raise DataError(f"{printable(images)}: there is no such folder of images")
    if is_file(path):
        part, form = _read_file(path, split=split, images=images, class_names=class_names, remarks=remarks)
    elif is_folder(path):
        part, form = _read_folder(path, split=split, images=images, class_names=class_names, remarks=remarks)
    else:
        raise DataError(f"{printable(path)}: there is no such file or folder of ground truth")
    remark_odd_truths(part, remarks)
    return ground_truth_of(part, remarks, source=given, form=form)


def _read_file(
    path: Path, *, split: str, images: Path | None, class_names: Sequence[str] | None, remarks: Remarks
) -> tuple[TruthPart, str]:
    if path.suffix.lower() == ".json":
        part = read_coco_truth(path, images=images, remarks=remarks)
        return (part if class_names is None else with_classes(part, class_names, remarks)), "coco"
    if path.suffix.lower() in (*_YAML_SUFFIXES, ".csv"):
        return read_dataset_truth(path, split=split, images=images, class_names=class_names, remarks=remarks)
    raise DataError(
        f"{printable(path)}: is no ground truth that is known; expected a COCO .json, a folder of VOC XML files, a "
        "folder of YOLO label files, or a dataset YAML"
    )


def _read_folder(
    path: Path, *, split: str, images: Path | None, class_names: Sequence[str] | None, remarks: Remarks
) -> tuple[TruthPart, str]:
    if not any(child.suffix.lower() in _YAML_SUFFIXES for child in path.iterdir()):
        entries = find_voc(path, split=split, images=images)
        if entries is not None:
            part = part_of_raw(read_voc_truth(entries, remarks), remarks)
            return (part if class_names is None else with_classes(part, class_names, remarks)), "voc"
        if _is_label_folder(path):
            own = path / canonical_split(split)
            folder = own if path.name == "labels" and is_folder(own) else path
            labels = find_labels(folder, images=images, remarks=remarks)
            names = class_names or stated_class_names(folder) or name_classes(labels, remarks)
            return part_of_raw(read_yolo_truth(labels, names, remarks), remarks), "yolo"
    return read_dataset_truth(path, split=split, images=images, class_names=class_names, remarks=remarks)


def _is_label_folder(path: Path) -> bool:
    """Whether a folder holds label files rather than a dataset: it is called so, or has text files and no images."""
    children = [child.name.lower() for child in path.iterdir()]
    if "labels" in path.absolute().parts[-2:]:
        return True
    texts = [name for name in children if name.endswith(".txt") and name not in ("train.txt", "val.txt", "test.txt")]
    return bool(texts) and "images" not in children and "labels" not in children
