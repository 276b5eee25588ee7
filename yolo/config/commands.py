"""The configurations of the commands that use a trained detector or darknet's files, and of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yolo.config.parts import check_input_size, check_run_name, check_thresholds, require


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
        check_run_name(self.name)
        check_input_size(self.input_size)
        by_class = isinstance(self.score_threshold, str)
        for name, wanted in (("min-precision", self.min_precision), ("min-recall", self.min_recall)):
            require(wanted is None or 0 <= wanted <= 1, f"--{name} must be in [0, 1], got {wanted}")
            require(wanted is None or by_class, f"--{name} chooses thresholds from a validation: add --conf auto")
        require(self.min_precision is None or self.min_recall is None, "give --min-precision or --min-recall, not both")
        number = None if isinstance(self.score_threshold, str) else self.score_threshold
        check_thresholds(number, self.iou_threshold, self.max_detections)


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


def _check_suffix(name: str, path: str, suffix: str) -> None:
    require(not path or path.endswith(suffix), f"{name} must end in {suffix}, got {path}")
