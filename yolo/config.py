"""What can be configured: frozen dataclasses, read from YAML and the command line, checked when made.

Plain values only, so that `gridyolo --help` need not import torch. Classes elsewhere receive plain arguments;
only `engine`, `cli` and the transform presets read these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from yolo.errors import ConfigError


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network.

    Attributes:
        boxes_per_cell: Predictors per cell (B).
        grid_size: Cells along each side (S); input_size / grid_size must be 4, 8, 16, 32 or 64. Default: stride 16.
        width: Channels of the neck that merges the backbone's maps.
        coding: What the network's numbers mean: logistic (modern) or linear (the original).
        resize: How images reach the input: letterbox keeps the aspect ratio, stretch fills the input.
    """

    boxes_per_cell: int = 2
    grid_size: int | None = None
    width: int = 96
    coding: Literal["logistic", "linear"] = "logistic"
    resize: Literal["letterbox", "stretch"] = "letterbox"

    def __post_init__(self) -> None:
        _require(self.boxes_per_cell >= 1, f"model.boxes_per_cell must be at least 1, got {self.boxes_per_cell}")
        _require(self.width >= 8, f"model.width must be at least 8, got {self.width}")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights and readings of the loss's five terms.

    Attributes:
        lambda_coord: Weight of the two coordinate terms.
        lambda_obj: Weight of the confidence of responsible predictors.
        lambda_noobj: Weight of the confidence of all others.
        lambda_class: Weight of the class term.
        coord: Coordinates by CIoU (iou) or by squared differences (squared, the original).
        confidence: Confidence by cross_entropy or squared (the original).
        class_prob: Classes by cross_entropy or squared (the original).
        ignore_iou: Spare predictors that overlap an object by more than this; null for the original rule.
        objects_per_cell: Objects of one cell that may find a predictor; the original has 1.
    """

    lambda_coord: float = 5.0
    lambda_obj: float = 1.0
    lambda_noobj: float = 0.5
    lambda_class: float = 1.0
    coord: Literal["iou", "squared"] = "iou"
    confidence: Literal["cross_entropy", "squared"] = "cross_entropy"
    class_prob: Literal["cross_entropy", "squared"] = "cross_entropy"
    ignore_iou: float | None = 0.5
    objects_per_cell: int = 2

    def __post_init__(self) -> None:
        for name in ("lambda_coord", "lambda_obj", "lambda_noobj", "lambda_class"):
            _require(getattr(self, name) >= 0, f"loss.{name} must not be negative, got {getattr(self, name)}")
        _require(
            self.objects_per_cell >= 1,
            f"loss.objects_per_cell must be at least 1, got {self.objects_per_cell}",
        )
        _require(
            self.ignore_iou is None or 0 <= self.ignore_iou <= 1,
            f"loss.ignore_iou must be in [0, 1] or null, got {self.ignore_iou}",
        )


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How training images are varied; 0 turns a step off.

    Attributes:
        mosaic: Probability that four images share one input.
        close_mosaic: Last share of the training that sees no mosaic.
        scale: Images are scaled by a factor between 1 / (1 + scale) and 1 + scale.
        translate: Largest shift, as a share of the input's side.
        flip_horizontal: Probability of a left-right flip.
        flip_vertical: Probability of an upside-down flip.
        hue: Largest change of hue, as a share of the colour circle.
        saturation: Largest relative change of saturation.
        value: Largest relative change of brightness.
    """

    mosaic: float = 0.5
    close_mosaic: float = 0.15
    scale: float = 0.4
    translate: float = 0.1
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.0
    hue: float = 0.015
    saturation: float = 0.5
    value: float = 0.3

    def __post_init__(self) -> None:
        for name in (
            "mosaic",
            "close_mosaic",
            "flip_horizontal",
            "flip_vertical",
            "translate",
            "saturation",
            "value",
        ):
            _require(0 <= getattr(self, name) <= 1, f"augment.{name} must be in [0, 1], got {getattr(self, name)}")
        _require(0 <= self.hue <= 0.5, f"augment.hue must be in [0, 0.5], got {self.hue}")
        _require(self.scale >= 0, f"augment.scale must not be negative, got {self.scale}")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights are updated.

    Attributes:
        name: adamw or sgd.
        lr: Peak learning rate.
        final_lr: Learning rate at the end, as a share of the peak.
        warmup: Share of the training over which the rate rises from 0 (at most 500 steps).
        momentum: Of SGD.
        weight_decay: On weight matrices only, not on biases and norms.
        clip_norm: Largest norm of the gradient; 0 for no clipping.
        ema: Decay per step of the moving average of the weights that is validated and saved; 0 for none.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = 2e-3
    final_lr: float = 0.01
    warmup: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 0.02
    clip_norm: float = 10.0
    ema: float = 0.998

    def __post_init__(self) -> None:
        _require(self.lr > 0, f"optimizer.lr must be positive, got {self.lr}")
        for name in ("final_lr", "warmup", "momentum"):
            _require(
                0 <= getattr(self, name) <= 1,
                f"optimizer.{name} must be in [0, 1], got {getattr(self, name)}",
            )
        _require(0 <= self.ema < 1, f"optimizer.ema must be in [0, 1), got {self.ema}")
        for name in ("weight_decay", "clip_norm"):
            _require(getattr(self, name) >= 0, f"optimizer.{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a detector on labelled images.

    Attributes:
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO or YOLO layout.
        backbone: Any torchvision classifier, such as shufflenet_v2_x0_5, mobilenet_v3_small, resnet18.
        weights: Start of the backbone: none (random), a local file, or torchvision's by name (DEFAULT downloads).
        input_size: Side of the network's input in pixels.
        epochs: Passes over the training images; default 100, or unlimited where max_minutes is given.
        max_minutes: Time budget; the learning rate schedule ends with it.
        batch_size: Images per step.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto (bf16 or fp16 where the device is fast at it), 32, bf16 or fp16.
        workers: Processes that load images; default: from the cores and the device.
        seed: Of weights, order and augmentation.
        validations: How many times the run is validated, evenly spread.
        cache_mb: Decoded images kept in memory, at most this many MB.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
        resume: Run folder of an interrupted training to continue; beside it only data, device, workers, cache_mb.
        model: The network.
        loss: The loss.
        augment: The augmentation.
        optimizer: The optimiser.
    """

    data: str = ""
    backbone: str = "shufflenet_v2_x0_5"
    weights: str = "none"
    input_size: int = 320
    epochs: int | None = None
    max_minutes: float | None = None
    batch_size: int = 16
    device: str = "auto"
    precision: Literal["auto", "32", "bf16", "fp16"] = "auto"
    workers: int | None = None
    seed: int = 0
    validations: int = 20
    cache_mb: int = 2048
    runs: str = "runs"
    name: str = "train"
    resume: str | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        _require(bool(self.data) or self.resume is not None, "--data is required: a dataset YAML or folder")
        _require(self.input_size >= 32, f"input_size must be at least 32, got {self.input_size}")
        _require(self.epochs is None or self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}")
        _require(
            self.max_minutes is None or self.max_minutes > 0,
            f"max_minutes must be positive, got {self.max_minutes}",
        )
        for name in ("batch_size", "validations"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seed", "cache_mb"):
            _require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")
        _require(self.workers is None or self.workers >= 0, f"workers must not be negative, got {self.workers}")
        self._check_coding()
        self.stride  # noqa: B018 - a property that raises on an impossible grid

    @property
    def stride(self) -> int:
        """Input side over grid side."""
        grid_size = self.model.grid_size or self.input_size // 16
        stride, rest = divmod(self.input_size, grid_size)
        if rest or stride not in (4, 8, 16, 32, 64):
            sizes = ", ".join(str(self.input_size // s) for s in (64, 32, 16, 8, 4) if self.input_size % s == 0)
            raise ConfigError(
                f"input_size {self.input_size} and grid_size {grid_size} do not fit: "
                f"input_size / grid_size must be 4, 8, 16, 32 or 64. "
                + (f"Possible grid sizes: {sizes}" if sizes else "Choose an input_size that is a multiple of 32")
            )
        return stride

    def _check_coding(self) -> None:
        uses_logits = "cross_entropy" in (self.loss.confidence, self.loss.class_prob)
        _require(
            self.model.coding == "logistic" or not uses_logits,
            "model.coding=linear has no logits for a cross-entropy: "
            "set loss.confidence=squared and loss.class_prob=squared",
        )


@dataclass(frozen=True, kw_only=True)
class ValConfig:
    """Measure a trained detector on labelled images.

    Attributes:
        weights: A trained detector, such as runs/train/weights/best.safetensors.
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO or YOLO layout.
        split: Which part of the dataset.
        input_size: Side of the input in pixels; default: as in training.
        batch_size: Images per step.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that load images; default: from the cores and the device.
        score_threshold: Detections below this score are left out; near 0, or the curve is cut.
        iou_threshold: Suppress a detection that overlaps a better one of its class by more than this.
        max_detections: Per image.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    weights: str = ""
    data: str = ""
    split: str = "val"
    input_size: int | None = None
    batch_size: int = 16
    device: str = "auto"
    workers: int | None = None
    score_threshold: float = 0.001
    iou_threshold: float = 0.6
    max_detections: int = 300
    runs: str = "runs"
    name: str = "val"

    def __post_init__(self) -> None:
        _require(bool(self.weights), "--weights is required: a trained detector (*.safetensors)")
        _require(bool(self.data), "--data is required: a dataset YAML or folder")
        _require(self.batch_size >= 1, f"batch_size must be at least 1, got {self.batch_size}")
        _require(self.workers is None or self.workers >= 0, f"workers must not be negative, got {self.workers}")
        _check_input_size(self.input_size)
        _check_thresholds(self.score_threshold, self.iou_threshold, self.max_detections)


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Run a trained detector on images or video.

    Attributes:
        weights: A trained detector, such as runs/train/weights/best.safetensors.
        source: An image, a folder, a glob in quotes, or a video.
        score_threshold: Show detections that score more than this.
        iou_threshold: Suppress a detection that overlaps a better one of its class by more than this.
        max_detections: Per image.
        input_size: Side of the input in pixels; default: as in training.
        device: auto, cpu, cuda, cuda:1 or mps.
        save_images: Write images (or the video) with boxes drawn; --no-save-images for the JSON alone.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    weights: str = ""
    source: str = ""
    score_threshold: float = 0.25
    iou_threshold: float = 0.5
    max_detections: int = 300
    input_size: int | None = None
    device: str = "auto"
    save_images: bool = True
    runs: str = "runs"
    name: str = "predict"

    def __post_init__(self) -> None:
        _require(bool(self.weights), "--weights is required: a trained detector (*.safetensors)")
        _require(bool(self.source), "--source is required: an image, a folder, a glob in quotes, or a video")
        _check_input_size(self.input_size)
        _check_thresholds(self.score_threshold, self.iou_threshold, self.max_detections)


@dataclass(frozen=True, kw_only=True)
class InfoConfig:
    """Print what a weights file says of itself, as JSON.

    Attributes:
        weights: A trained detector, such as runs/train/weights/best.safetensors.
    """

    weights: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.weights), "--weights is required: a trained detector (*.safetensors)")


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
        _require(self.max_minutes > 0, f"max_minutes must be positive, got {self.max_minutes}")
        _require(self.images >= 20, f"images must be at least 20, got {self.images}")


def _check_input_size(input_size: int | None) -> None:
    _require(input_size is None or input_size >= 1, f"input_size must be at least 1, got {input_size}")


def _check_thresholds(score_threshold: float, iou_threshold: float, max_detections: int) -> None:
    _require(0 <= score_threshold <= 1, f"score_threshold must be in [0, 1], got {score_threshold}")
    _require(0 <= iou_threshold <= 1, f"iou_threshold must be in [0, 1], got {iou_threshold}")
    _require(max_detections >= 1, f"max_detections must be at least 1, got {max_detections}")
