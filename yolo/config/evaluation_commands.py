"""The configurations of the commands that measure: `val`, `report`, `compare`."""

from __future__ import annotations

from dataclasses import dataclass

from yolo.config import options
from yolo.config.options import check_bootstrap, check_run_name, require, require_at_least, require_within


@dataclass(frozen=True, kw_only=True)
class ValConfig:
    """Measure a trained detector on labelled images.

    Attributes:
        split: The part of the dataset to measure on.
        batch_size: Images per step.
        score_threshold: Leave out detections with a lower score; keep it near 0, or the precision-recall curve is cut
            off. By default 0.001.
        iou_threshold: Suppress a detection that overlaps a better one of its class by more than this IoU; by default
            0.6, and 0.5 for darknet weights, as in darknet's validation.
        bootstrap: Number of resamples behind the intervals in the report; by default chosen by the size of the split,
            and 0 for no intervals.
    """

    weights: options.Weights = ""
    cfg: options.DarknetCfg = ""
    names: options.DarknetNames = ""
    data: options.Data = ""
    split: str = "val"
    box_policy: options.BoxPolicy = "fix"
    protocol: options.Protocol = "coco"
    input_size: options.InferenceSize = None
    batch_size: int = 16
    device: options.Device = "auto"
    precision: options.Precision = "32"
    workers: options.Workers = None
    score_threshold: float | None = None
    iou_threshold: float | None = None
    max_detections: options.MaxDetections = None
    bootstrap: int | None = None
    report: options.Report = True
    runs: options.Runs = "runs"
    name: options.RunName = "val"

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a trained detector (*.safetensors, *.weights)")
        require(bool(self.data), "--data is required: a dataset YAML or folder")
        require_at_least(self, batch_size=1, workers=0, input_size=1, max_detections=1)
        require_within(self, score_threshold=1, iou_threshold=1)
        check_bootstrap(self.bootstrap)
        check_run_name(self.name)


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Measure the detections of any detector and explain them on one page.

    Attributes:
        ground_truth: A COCO json, a folder of Pascal VOC xml or YOLO txt files, or a dataset YAML. It is measured as
            it is: no box is fixed.
        detections: A COCO results json, a folder of comp4_det_test_CLASS.txt files, or of YOLO txt files with scores.
        plus_one: Pascal VOC's protocol: compute widths as xmax - xmin + 1, as its devkit does; --no-plus-one computes
            xmax - xmin, as some programs do.
        bootstrap: Number of resamples behind the intervals; by default chosen by the number of images and objects, and
            0 for no intervals.
        pictures: Draw errors on their images; --no-pictures makes a page without pictures.
        title: Title of the page; by default the names of the two files.
    """

    ground_truth: str = ""
    detections: str = ""
    format: options.DetectionFormat = "auto"
    split: options.TruthSplit = "val"
    images: options.ImageFolder = ""
    names: options.ClassNames = ""
    protocol: options.Protocol = "coco"
    plus_one: bool = True
    bootstrap: int | None = None
    pictures: bool = True
    title: str = ""
    runs: options.Runs = "runs"
    name: options.RunName = "report"

    def __post_init__(self) -> None:
        require(bool(self.ground_truth), "--ground-truth is required: a COCO json, or a folder of VOC xml or YOLO txt")
        require(bool(self.detections), "--detections is required: a COCO results json, or a folder of files")
        require(self.plus_one or self.protocol != "coco", "--no-plus-one is about VOC's rules: add --protocol voc07")
        check_bootstrap(self.bootstrap)
        check_run_name(self.name)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare two detectors on the same images: gridyolo compare A B.

    Attributes:
        a: A run folder of val, report or train, or a file or folder of detections.
        b: The same for the second detector; differences are B minus A.
        ground_truth: As for `gridyolo report`; by default the ground truth that the run folders were measured on.
        bootstrap: Number of resamples behind the intervals and p-values; by default chosen by the number of images and
            objects.
        pictures: Draw the images that changed most; --no-pictures makes a page without pictures.
    """

    a: str = ""
    b: str = ""
    ground_truth: str = ""
    format: options.DetectionFormat = "auto"
    split: options.TruthSplit = "val"
    images: options.ImageFolder = ""
    names: options.ClassNames = ""
    bootstrap: int | None = None
    pictures: bool = True
    runs: options.Runs = "runs"
    name: options.RunName = "compare"

    def __post_init__(self) -> None:
        require(bool(self.a and self.b), "give two runs or two files of detections: gridyolo compare A B")
        check_bootstrap(self.bootstrap)
        check_run_name(self.name)
        require(self.bootstrap != 0, "bootstrap must be at least 100: without resamples there is nothing to compare by")
