"""The configurations of all commands but `train`, `predict` and `data`."""

from __future__ import annotations

from dataclasses import dataclass

from yolo.config import options
from yolo.config.options import (
    LARGEST_BATCH,
    LARGEST_SIDE,
    MOST_WORKERS,
    check_bit_depth,
    check_bootstrap,
    check_run_name,
    check_tiling,
    require,
    require_at_least,
    require_at_most,
    require_within,
)
from yolo.errors import shown


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
    tile: options.Tile = None
    overlap: options.Overlap = None
    batch_size: int = 16
    device: options.Device = "auto"
    precision: options.Precision = "32"
    bit_depth: options.BitDepth = None
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
        require_at_most(self, batch_size=LARGEST_BATCH, workers=MOST_WORKERS)
        require_at_most(self, input_size=LARGEST_SIDE, tile=LARGEST_SIDE)
        require_within(self, score_threshold=1, iou_threshold=1)
        check_tiling(self.tile, self.overlap)
        check_bootstrap(self.bootstrap)
        check_bit_depth(self.bit_depth)
        check_run_name(self.name)


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Measure the detections of any detector and explain them on one page.

    Attributes:
        ground_truth: A COCO json, a CSV file of boxes, a folder of Pascal VOC xml or YOLO txt files, or a dataset YAML.
            It is measured as it is: no box is fixed. Required.
        detections: The detections.json or the run folder of predict, a COCO results json, or a folder of
            comp4_det_test_CLASS.txt files or of YOLO txt files with scores. Required.
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
        require(
            bool(self.ground_truth),
            "--ground-truth is required: a COCO json, a CSV file, or a folder of VOC xml or YOLO txt",
        )
        require(bool(self.detections), "--detections is required: a COCO results json, or a folder of files")
        require(self.plus_one or self.protocol != "coco", "--no-plus-one is about VOC's rules: add --protocol voc07")
        check_bootstrap(self.bootstrap)
        check_run_name(self.name)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare two detectors on the same images: gridyolo compare A B.

    Attributes:
        a: A run folder of val, report or train, or a file or folder of detections. Required.
        b: The same for the second detector; differences are B minus A. Required.
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


@dataclass(frozen=True, kw_only=True)
class InfoConfig:
    """Print the metadata of a weights file as JSON.

    Attributes:
        weights: A trained detector: the folder of its run, such as runs/train, or a *.safetensors file. Required.
    """

    weights: str = ""

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a trained detector (*.safetensors)")
        require(
            not self.weights.endswith(".weights"),
            f"info reads *.safetensors; for a darknet file: gridyolo darknet show --weights {self.weights}",
        )


@dataclass(frozen=True, kw_only=True)
class DarknetImportConfig:
    """Convert a darknet weights file to a *.safetensors detector.

    Attributes:
        weights: The darknet weights file. Required.
        output: The file to write; by default beside the weights, with the suffix .safetensors.
    """

    weights: str = ""
    cfg: options.DarknetCfg = ""
    names: options.DarknetNames = ""
    output: str = ""

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a darknet weights file")
        _check_suffix(self.output, ".safetensors")


@dataclass(frozen=True, kw_only=True)
class DarknetExportConfig:
    """Write a detector with a darknet network as weights, cfg and names files for darknet.

    Attributes:
        weights: A *.safetensors file that was written by `darknet import`, or the run of a training with --cfg.
            Required.
        output: The weights file to write, with its cfg and names beside it; by default beside the input.
        upto: Write only the layers before this one, as a start for other networks (darknet's `partial`); by default
            all are written.
        seen: Number of images seen that the file states; by default the true number, and 0 with --upto.
    """

    weights: str = ""
    output: str = ""
    upto: int | None = None
    seen: int | None = None

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a detector with a darknet network (*.safetensors)")
        require_at_least(self, upto=1, seen=0)
        _check_suffix(self.output, ".weights")


@dataclass(frozen=True, kw_only=True)
class DarknetShowConfig:
    """Show the layers of a darknet network, and whether a weights file fits it.

    Attributes:
        cfg: A cfg file, the name of a shipped network, or a detector that was trained with --cfg. By default the
            one that belongs to the weights.
        weights: A darknet weights file to compare with the cfg; by default only the cfg is shown.
    """

    cfg: str = ""
    weights: str = ""

    def __post_init__(self) -> None:
        require(bool(self.cfg or self.weights), "--cfg is required: a cfg file or the name of a shipped network")


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Make a synthetic dataset, train on it, validate and predict.

    Attributes:
        epochs: Number of passes over the training images: the same work on any machine, however busy it is.
        images: Number of training images to make; an eighth as many are made for validation.
        seed: Seed of the images, of the initial weights and of the order of training.
    """

    epochs: int = 8
    images: int = 800
    seed: int = 0
    runs: options.Runs = "runs"
    name: options.RunName = "demo"

    def __post_init__(self) -> None:
        require_at_least(self, epochs=1, images=20, seed=0)
        require_at_most(self, images=1_000_000)
        check_run_name(self.name)


def _check_suffix(output: str, suffix: str) -> None:
    require(not output or output.endswith(suffix), f"output must end in {suffix}, got {shown(output)}")
