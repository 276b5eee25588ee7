"""The configurations of the commands that use a trained detector, and of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yolo.config.data_commands import BoxPolicy
from yolo.config.parts import require


@dataclass(frozen=True, kw_only=True)
class ValConfig:
    """Measure a trained detector on labelled images.

    Attributes:
        weights: A trained detector, such as runs/train/weights/best.safetensors, or a darknet weights file.
        detections: In place of weights: a folder of comp4_det_test_CLASS.txt files, whatever detector made them.
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
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    weights: str = ""
    detections: str = ""
    cfg: str = ""
    names: str = ""
    data: str = ""
    split: str = "val"
    box_policy: BoxPolicy = "fix"
    protocol: Literal["coco", "voc07", "voc10"] = "coco"
    input_size: int | None = None
    batch_size: int = 16
    device: str = "auto"
    precision: Literal["32", "bf16", "fp16"] = "32"
    workers: int | None = None
    score_threshold: float | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    runs: str = "runs"
    name: str = "val"

    def __post_init__(self) -> None:
        require(
            bool(self.weights) != bool(self.detections),
            "--weights is required, a trained detector (*.safetensors, *.weights); or --detections, a folder of files",
        )
        require(
            not self.detections or self.protocol != "coco",
            "--detections of comp4 files are measured by VOC's rules: add --protocol voc07 or voc10",
        )
        names = ("cfg", "names", "input_size", "score_threshold", "iou_threshold", "max_detections")
        given = [name for name in names if getattr(self, name)]
        require(
            not (self.detections and given),
            f"--detections are measured as they are, without a network: leave out {', '.join(given)}",
        )
        require(bool(self.data), "--data is required: a dataset YAML or folder")
        require(self.batch_size >= 1, f"batch_size must be at least 1, got {self.batch_size}")
        require(self.workers is None or self.workers >= 0, f"workers must not be negative, got {self.workers}")
        _check_input_size(self.input_size)
        _check_thresholds(self.score_threshold, self.iou_threshold, self.max_detections)


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Run a trained detector on images or video.

    Attributes:
        weights: A trained detector, such as runs/train/weights/best.safetensors, or a darknet weights file.
        source: An image, a folder, a glob in quotes, or a video.
        cfg: Of a darknet weights file: its cfg or the name of a shipped network; default: by the file's name.
        names: Of a darknet weights file: text file of class names, one a line; default: that beside it, or VOC's.
        score_threshold: Show detections that score more than this. Default 0.25; 0.2 for darknet weights, as there.
            auto: for each class the score with the best F1 in validation; or the metrics.json of a validation.
        min_precision: With auto: the thresholds at which each class had this precision, with the highest recall.
        min_recall: With auto: the highest thresholds at which each class had this recall.
        iou_threshold: Suppress a detection that overlaps a better one of its class by more than this. Default 0.5;
            0.4 for darknet weights, as there.
        max_detections: Per image. Default 300; no limit for darknet weights.
        input_size: Side of the input in pixels; default: as in training.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: 32, bf16 or fp16 (the latter on CUDA).
        save_images: Write images (or the video) with boxes drawn; --no-save-images for the JSON alone.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    weights: str = ""
    source: str = ""
    cfg: str = ""
    names: str = ""
    score_threshold: float | str | None = None
    min_precision: float | None = None
    min_recall: float | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    input_size: int | None = None
    device: str = "auto"
    precision: Literal["32", "bf16", "fp16"] = "32"
    save_images: bool = True
    runs: str = "runs"
    name: str = "predict"

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a trained detector (*.safetensors, *.weights)")
        require(bool(self.source), "--source is required: an image, a folder, a glob in quotes, or a video")
        _check_input_size(self.input_size)
        by_class = isinstance(self.score_threshold, str)
        for name, wanted in (("min_precision", self.min_precision), ("min_recall", self.min_recall)):
            require(wanted is None or 0 <= wanted <= 1, f"{name} must be in [0, 1], got {wanted}")
            require(wanted is None or by_class, f"--{name} chooses thresholds from a validation: add --conf auto")
        require(self.min_precision is None or self.min_recall is None, "give --min-precision or --min-recall, not both")
        number = None if isinstance(self.score_threshold, str) else self.score_threshold
        _check_thresholds(number, self.iou_threshold, self.max_detections)


@dataclass(frozen=True, kw_only=True)
class InfoConfig:
    """Print what a weights file says of itself, as JSON.

    Attributes:
        weights: A trained detector, such as runs/train/weights/best.safetensors.
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
    """Make a *.safetensors detector of a darknet weights file.

    Attributes:
        weights: The darknet weights file.
        cfg: Its cfg, or the name of a shipped network; default: by the file's name.
        names: Text file with a class name in each line; default: the one beside the weights, VOC's for 20.
        output: The file to write; default: beside the weights, with the suffix .safetensors.
    """

    weights: str = ""
    cfg: str = ""
    names: str = ""
    output: str = ""

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a darknet weights file")
        _check_suffix("output", self.output, ".safetensors")


@dataclass(frozen=True, kw_only=True)
class DarknetExportConfig:
    """Write a detector that has a darknet network as cfg, weights and names files for darknet.

    Attributes:
        weights: A *.safetensors file made by `darknet import`, or trained with --cfg.
        output: The weights file to write, its cfg and names beside it; default: beside the input.
        upto: Only the layers before this one, to start other networks from (darknet's partial).
        seen: Images that the file shall say were seen; default: as many as were, with upto 0.
    """

    weights: str = ""
    output: str = ""
    upto: int | None = None
    seen: int | None = None

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a detector with a darknet network (*.safetensors)")
        require(self.upto is None or self.upto >= 1, f"upto must be at least 1, got {self.upto}")
        require(self.seen is None or self.seen >= 0, f"seen must not be negative, got {self.seen}")
        _check_suffix("output", self.output, ".weights")


@dataclass(frozen=True, kw_only=True)
class DarknetShowConfig:
    """Show the layers of a darknet network, and whether a weights file fits it.

    Attributes:
        cfg: A cfg file or the name of a shipped network.
        weights: A darknet weights file to compare it with.
    """

    cfg: str = ""
    weights: str = ""

    def __post_init__(self) -> None:
        require(bool(self.cfg or self.weights), "--cfg is required: a cfg file or the name of a shipped network")


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Make a synthetic dataset, train on it, validate and predict: the main job from nothing.

    Attributes:
        max_minutes: Time budget of the training.
        images: Training images to make; an eighth as many are made for validation.
        seed: Of images, weights and order.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    max_minutes: float = 3.1
    images: int = 800
    seed: int = 0
    runs: str = "runs"
    name: str = "demo"

    def __post_init__(self) -> None:
        require(self.max_minutes > 0, f"max_minutes must be positive, got {self.max_minutes}")
        require(self.images >= 20, f"images must be at least 20, got {self.images}")


def _check_input_size(input_size: int | None) -> None:
    require(input_size is None or input_size >= 1, f"input_size must be at least 1, got {input_size}")


def _check_thresholds(score_threshold: float | None, iou_threshold: float | None, max_detections: int | None) -> None:
    for name, value in (("score_threshold", score_threshold), ("iou_threshold", iou_threshold)):
        require(value is None or 0 <= value <= 1, f"{name} must be in [0, 1], got {value}")
    require(max_detections is None or max_detections >= 1, f"max_detections must be at least 1, got {max_detections}")


def _check_suffix(name: str, path: str, suffix: str) -> None:
    require(not path or path.endswith(suffix), f"{name} must end in {suffix}, got {path}")
