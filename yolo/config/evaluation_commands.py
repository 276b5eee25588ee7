"""The configurations of the commands that measure: `val`, `report`, `compare`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yolo.config.data_commands import BoxPolicy
from yolo.config.parts import check_input_size, check_run_name, check_thresholds, require

Protocol = Literal["coco", "voc07", "voc10"]
DetectionFormat = Literal["auto", "coco", "comp4", "yolo"]


@dataclass(frozen=True, kw_only=True)
class ValConfig:
    """Measure a trained detector on labelled images.

    Attributes:
        weights: A trained detector, such as runs/train/weights/best.safetensors, or a darknet weights file.
        cfg: Of a darknet weights file: its cfg or the name of a shipped network; default: by the file's name.
        names: Of a darknet weights file: text file of class names, one a line; default: that beside it, or VOC's.
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO, YOLO or CSV layout.
        split: Which part of the dataset.
        box_policy: What happens to faulty boxes: fix what can be, drop them, or strict: stop.
        protocol: coco, voc07 (the devkit's 11-point AP) or voc10 (its all-point AP).
        input_size: Side of the input in pixels; default: as in training.
        batch_size: Images per step.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: 32, bf16 or fp16 (the latter on CUDA).
        workers: Processes that load images; default: from the cores and the device.
        score_threshold: Detections below this score are left out; near 0, or the curve is cut. Default 0.001.
        iou_threshold: Suppress a detection that overlaps a better one of its class by more than this. Default 0.6;
            0.5 for darknet weights, as in its own validation.
        max_detections: Per image. Default 300; no limit for darknet weights.
        bootstrap: Resamples behind the intervals in the report; default: from the size of the split; 0: none.
        report: Write report.html and the files beside it; --no-report for the numbers alone.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    weights: str = ""
    cfg: str = ""
    names: str = ""
    data: str = ""
    split: str = "val"
    box_policy: BoxPolicy = "fix"
    protocol: Protocol = "coco"
    input_size: int | None = None
    batch_size: int = 16
    device: str = "auto"
    precision: Literal["32", "bf16", "fp16"] = "32"
    workers: int | None = None
    score_threshold: float | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    bootstrap: int | None = None
    report: bool = True
    runs: str = "runs"
    name: str = "val"

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a trained detector (*.safetensors, *.weights)")
        require(bool(self.data), "--data is required: a dataset YAML or folder")
        require(self.batch_size >= 1, f"batch_size must be at least 1, got {self.batch_size}")
        require(self.workers is None or self.workers >= 0, f"workers must not be negative, got {self.workers}")
        check_bootstrap(self.bootstrap)
        check_run_name(self.name)
        check_input_size(self.input_size)
        check_thresholds(self.score_threshold, self.iou_threshold, self.max_detections)


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Measure the detections of any detector and explain them on one page.

    Attributes:
        ground_truth: COCO json, folder of Pascal VOC xml or YOLO txt, or a dataset YAML; measured as it is.
        detections: COCO results json, folder of comp4_det_test_CLASS.txt, or of YOLO txt with scores.
        format: Of the detections: auto, coco, comp4 or yolo.
        split: Which part, where the ground truth is a dataset.
        images: Folder of the images, for the pictures; default: where the ground truth says.
        names: Text file of class names, one a line, where the ground truth has none.
        protocol: coco, voc07 (the devkit's 11-point AP) or voc10 (its all-point AP) on top of COCO's numbers.
        plus_one: VOC: whether widths are xmax - xmin + 1, as in the devkit; --no-plus-one as some programs have it.
        bootstrap: Resamples behind the intervals; default: from the size of the problem; 0: none.
        pictures: Draw cases on their images; --no-pictures for a page without.
        title: Of the page.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    ground_truth: str = ""
    detections: str = ""
    format: DetectionFormat = "auto"
    split: str = "val"
    images: str = ""
    names: str = ""
    protocol: Protocol = "coco"
    plus_one: bool = True
    bootstrap: int | None = None
    pictures: bool = True
    title: str = ""
    runs: str = "runs"
    name: str = "report"

    def __post_init__(self) -> None:
        require(bool(self.ground_truth), "--ground-truth is required: a COCO json, or a folder of VOC xml or YOLO txt")
        require(bool(self.detections), "--detections is required: a COCO results json, or a folder of files")
        require(self.plus_one or self.protocol != "coco", "--no-plus-one is about VOC's rules: add --protocol voc07")
        check_bootstrap(self.bootstrap)
        check_run_name(self.name)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Say what differs between two detectors on the same images: gridyolo compare A B.

    Attributes:
        a: A run folder of val, report or train, or a file or folder of detections.
        b: Likewise; differences are B less A.
        ground_truth: As for report; default: what the run folders were measured on.
        format: Of the detections: auto, coco, comp4 or yolo.
        split: Which part, where the ground truth is a dataset.
        images: Folder of the images, for the pictures; default: where the ground truth says.
        names: Text file of class names, one a line, where the ground truth has none.
        bootstrap: Resamples behind intervals and p-values; default: from the size of the problem.
        pictures: Draw images that changed; --no-pictures for a page without.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    a: str = ""
    b: str = ""
    ground_truth: str = ""
    format: DetectionFormat = "auto"
    split: str = "val"
    images: str = ""
    names: str = ""
    bootstrap: int | None = None
    pictures: bool = True
    runs: str = "runs"
    name: str = "compare"

    def __post_init__(self) -> None:
        require(bool(self.a and self.b), "give two runs or two files of detections: gridyolo compare A B")
        check_bootstrap(self.bootstrap)
        check_run_name(self.name)
        require(self.bootstrap != 0, "bootstrap must be at least 100: without resamples there is nothing to compare by")


def check_bootstrap(bootstrap: int | None) -> None:
    """ConfigError where it is no number of resamples that percentiles can be read from."""
    require(
        bootstrap is None or bootstrap == 0 or bootstrap >= 100, f"bootstrap must be 0 or at least 100, got {bootstrap}"
    )
