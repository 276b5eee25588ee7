"""The configuration of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from yolo.config import options
from yolo.config.options import (
    LARGEST_BATCH,
    LARGEST_SIDE,
    MOST_WORKERS,
    check_bit_depth,
    check_run_name,
    require,
    require_at_least,
    require_at_most,
)
from yolo.config.parts import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig
from yolo.errors import ConfigError

# `engine/start_auto.py` says what this means on a machine.
AUTO = "auto"
# The name of the best published weights of every backbone, as torchvision calls them.
DEFAULT = "DEFAULT"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a detector on labelled images.

    Attributes:
        cfg: A darknet network in place of the backbone: yolov1, yolov1-tiny, yolo, yolo-small, yolo-tiny or a cfg file.
            The file sets the defaults of all options below: learning rate, loss, augmentation, batch size.
        backbone: efficientnet_lite0 (accurate), shufflenet_v2_x0_5 (fast), any other torchvision classifier, or
            timm:NAME; auto takes the best one that has ImageNet weights on this machine, the one of your detector, or
            shufflenet_v2_x0_5 for --weights none and for a backbone file.
        weights: Initial weights: auto (ImageNet weights that are on this machine), none (random), a detector of yours
            (a run folder or its best.safetensors), a backbone file, DEFAULT (ImageNet weights, downloaded if need be),
            or another name of torchvision's weights. With --cfg also a darknet weights file of the whole network or of
            its first layers.
        freeze: Layers that are not trained, separated by commas: backbone, a number of its first stages (of layers with
            --cfg), the name of its last frozen stage, such as features.3, or a pattern over parameters such as
            head.blocks.*.
            none freezes nothing; auto freezes the first stages of efficientnet_lite0 where it has ImageNet weights.
        clear_seen: Count the images seen from 0, whatever a darknet weights file states; otherwise its learning rate
            schedule continues.
        input_size: Side of the network's input in pixels.
        epochs: Number of passes over the training images; by default 100, or unlimited with --max-minutes.
        max_minutes: Time budget in minutes, or 90s, 1h30m; the learning rate schedule ends with it. By default there
            is none.
        max_batches: Number of updates, in place of epochs; this is how darknet measures the length of a training. By
            default epochs count.
        batch_size: Images per step.
        subdivisions: Number of parts in which a step's images pass through the network, to save memory.
        sampling: Visit every image once per epoch (epoch), or draw each image anew as darknet does (replacement).
        precision: Floating-point format of the network; auto takes bf16 or fp16 if the device is fast with it.
        bit_depth: Bits that the samples of 16-bit images use, 8 to 16: 12 makes 4095 white, as of cameras that write 12
            bits into 16. The detector remembers it.
        seed: Seed of the initial weights, of the order of the images and of the augmentation.
        validations: Number of validations, evenly spread over the run.
        cache: Where resized images are kept: in memory (ram), on disk for the next training as well (disk), or nowhere
            (none).
        cache_mb: Size limit of the cache in MB.
        cache_dir: Folder of --cache disk; by default $XDG_CACHE_HOME/gridyolo or ~/.cache/gridyolo.
        tensorboard: Log to TensorBoard, into the run folder; needs the extra tensorboard.
        wandb: Log to Weights & Biases, as its own environment variables say; needs the extra wandb.
        mlflow: Log to MLflow: to MLFLOW_TRACKING_URI, or else into the run folder; needs the extra mlflow.
        resume: Run folder of a training to continue. A new length (--epochs, --max-minutes or --max-batches) replaces
            the former one, also of a finished run; beside it only optimizer.lr and the data, device, workers and cache
            options can be given. By default a new run starts.
        model: The network.
        loss: The loss.
        augment: The augmentation.
        optimizer: The optimiser.
    """

    data: options.Data = ""
    cfg: str = ""
    backbone: str = AUTO
    weights: str = AUTO
    freeze: str | int = AUTO
    clear_seen: bool = False
    input_size: int = 320
    epochs: int | None = None
    max_minutes: float | None = None
    max_batches: int | None = None
    batch_size: int = 16
    subdivisions: int = 1
    sampling: Literal["epoch", "replacement"] = "epoch"
    device: options.Device = "auto"
    precision: Literal["auto", "32", "bf16", "fp16"] = "auto"
    bit_depth: int = 16
    workers: options.Workers = None
    seed: int = 0
    box_policy: options.BoxPolicy = "fix"
    validations: int = 20
    cache: Literal["ram", "disk", "none"] = "ram"
    cache_mb: int = 2048
    cache_dir: str = ""
    tensorboard: bool = False
    wandb: bool = False
    mlflow: bool = False
    report: options.Report = True
    runs: options.Runs = "runs"
    name: options.RunName = "train"
    resume: str | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        require(bool(self.data) or self.resume is not None, "--data is required: a dataset YAML or folder")
        check_run_name(self.name)
        check_bit_depth(self.bit_depth)
        # a cfg's own check allows any input that its layers do
        require(bool(self.cfg) or self.input_size >= 32, f"input_size must be at least 32, got {self.input_size}")
        require(
            self.max_minutes is None or self.max_minutes > 0, f"max_minutes must be positive, got {self.max_minutes}"
        )
        require_at_least(self, epochs=1, max_batches=1, batch_size=1, validations=1, subdivisions=1)
        require_at_least(self, seed=0, cache_mb=0, workers=0)
        require_at_most(self, input_size=LARGEST_SIDE, batch_size=LARGEST_BATCH, workers=MOST_WORKERS)
        require_at_most(self, subdivisions=LARGEST_BATCH, cache_mb=2**40, max_minutes=10_000_000)
        require_at_most(self, epochs=10**9, max_batches=10**12, validations=10**6)
        require(self.epochs is None or self.max_batches is None, "give epochs or max_batches, not both")
        require(
            self.optimizer.rate.policy != "poly" or self.max_batches is not None,
            "optimizer.rate.policy=poly needs max_batches: the rate reaches 0 there",
        )
        require(
            self.augment.style == "modern" or self.model.resize != "letterbox",
            "augment.style=darknet stretches images in training: set model.resize=stretch_corners for validation, too",
        )
        self._check_coding()
        if not self.cfg:
            deepest = self.model.deepest_stride
            require(
                deepest is None or deepest >= min(self.stride, 32),
                f"model.deepest_stride {deepest} is finer than the grid, whose cells are {self.stride} pixels wide",
            )

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

    @property
    def coding(self) -> Literal["wide", "logistic", "linear"]:
        """`model.coding`, or what suits the cells per object where it is not set."""
        return self.model.coding or ("logistic" if self.loss.cells_per_object == 1 else "wide")

    @property
    def cells_per_object(self) -> Literal[1, 3]:
        """`loss.cells_per_object`, or what the coding allows where it is not set."""
        return self.loss.cells_per_object or (3 if self.coding == "wide" else 1)

    def _check_coding(self) -> None:
        uses_logits = "cross_entropy" in (self.loss.confidence, self.loss.class_prob)
        require(
            not self.loss.forced or self.model.boxes_per_cell > 1,
            "loss.forced chooses between predictors 0 and 1: it needs model.boxes_per_cell of at least 2",
        )
        require(
            not self.cfg or self.backbone == AUTO,
            f"give backbone or cfg, not both: {self.cfg} is a whole network",
        )
        require(
            not self.cfg or self.model.coding == "linear",
            "networks from a cfg answer in the linear coding: leave out model.coding",
        )
        require(
            self.coding != "linear" or not uses_logits,
            "model.coding=linear has no logits for a cross-entropy: "
            "set loss.confidence=squared and loss.class_prob=squared",
        )
        require(
            self.coding != "logistic" or self.cells_per_object == 1,
            "loss.cells_per_object=3 needs model.coding=wide: with logistic a cell finds no object whose centre is "
            "outside it",
        )
