"""The configuration of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from yolo.config.data_commands import BoxPolicy
from yolo.config.parts import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig, check_run_name, require
from yolo.errors import ConfigError

DEFAULT_BACKBONE = "shufflenet_v2_x0_5"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a detector on labelled images.

    Attributes:
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO, YOLO or CSV layout.
        cfg: A darknet network in place of the backbone: yolov1, yolov1-tiny, yolo, yolo-small, yolo-tiny or a cfg file.
            Its file sets the defaults of everything below: rates, loss, augmentation, batch.
        backbone: Any torchvision classifier, such as shufflenet_v2_x0_5, mobilenet_v3_small, resnet18.
        weights: Start of the backbone: none (random), a local file, or torchvision's by name (DEFAULT downloads). With
            a cfg: a darknet weights file, of the whole network or its first layers.
        clear_seen: Count images from 0, whatever a darknet weights file says (its learning rate goes on where it was).
        input_size: Side of the network's input in pixels.
        epochs: Passes over the training images; default 100, or unlimited where max_minutes is given.
        max_minutes: Time budget; the learning rate schedule ends with it.
        max_batches: Updates in all, in place of epochs; darknet's measure.
        batch_size: Images per step.
        subdivisions: Parts in which a step's images pass the network, to need less memory.
        sampling: epoch visits every image once an epoch; replacement draws each anew, as darknet does.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto (bf16 or fp16 where the device is fast at it), 32, bf16 or fp16.
        workers: Processes that load images; default: from the cores and the device.
        seed: Of weights, order and augmentation.
        box_policy: What happens to faulty boxes: fix what can be, drop them, or strict: stop.
        validations: How many times the run is validated, evenly spread.
        cache: Where resized images are kept: ram, disk (for the next training as well) or none.
        cache_mb: At most this many MB of them.
        cache_dir: Of cache=disk: its folder; default: $XDG_CACHE_HOME/gridyolo or ~/.cache/gridyolo.
        report: Write report.html when the run is over; --no-report for the numbers alone.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
        resume: Run folder of an interrupted training to continue; beside it only data, device, workers, cache options.
        model: The network.
        loss: The loss.
        augment: The augmentation.
        optimizer: The optimiser.
    """

    data: str = ""
    cfg: str = ""
    backbone: str = DEFAULT_BACKBONE
    weights: str = "none"
    clear_seen: bool = False
    input_size: int = 320
    epochs: int | None = None
    max_minutes: float | None = None
    max_batches: int | None = None
    batch_size: int = 16
    subdivisions: int = 1
    sampling: Literal["epoch", "replacement"] = "epoch"
    device: str = "auto"
    precision: Literal["auto", "32", "bf16", "fp16"] = "auto"
    workers: int | None = None
    seed: int = 0
    box_policy: BoxPolicy = "fix"
    validations: int = 20
    cache: Literal["ram", "disk", "none"] = "ram"
    cache_mb: int = 2048
    cache_dir: str = ""
    report: bool = True
    runs: str = "runs"
    name: str = "train"
    resume: str | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        require(bool(self.data) or self.resume is not None, "--data is required: a dataset YAML or folder")
        check_run_name(self.name)
        # a cfg's own check allows any input that its layers do
        require(bool(self.cfg) or self.input_size >= 32, f"input_size must be at least 32, got {self.input_size}")
        require(self.epochs is None or self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}")
        require(
            self.max_minutes is None or self.max_minutes > 0,
            f"max_minutes must be positive, got {self.max_minutes}",
        )
        require(
            self.max_batches is None or self.max_batches >= 1, f"max_batches must be positive, got {self.max_batches}"
        )
        require(self.epochs is None or self.max_batches is None, "give epochs or max_batches, not both")
        require(
            self.optimizer.rate.policy != "poly" or self.max_batches is not None,
            "optimizer.rate.policy=poly needs max_batches: the rate reaches 0 there",
        )
        require(
            self.augment.style == "modern" or self.model.resize != "letterbox",
            "augment.style=darknet stretches images in training: set model.resize=stretch_corners for validation, too",
        )
        for name in ("batch_size", "validations", "subdivisions"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seed", "cache_mb"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")
        require(self.workers is None or self.workers >= 0, f"workers must not be negative, got {self.workers}")
        self._check_coding()
        if not self.cfg:
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
        require(
            not self.loss.forced or self.model.boxes_per_cell > 1,
            "loss.forced chooses between predictors 0 and 1: it needs model.boxes_per_cell of at least 2",
        )
        require(
            not self.cfg or self.backbone == DEFAULT_BACKBONE,
            f"give backbone or cfg, not both: {self.cfg} is a whole network",
        )
        require(
            not self.cfg or self.model.coding == "linear",
            "networks from a cfg answer in the linear coding: leave out model.coding",
        )
        require(
            self.model.coding == "logistic" or not uses_logits,
            "model.coding=linear has no logits for a cross-entropy: "
            "set loss.confidence=squared and loss.class_prob=squared",
        )
