"""From a configuration to everything that a training holds: data, network, optimiser, loaders, run folder.

The network that a training starts with, its weights drawn from the seed or loaded.

The cache that a configuration asks for, for one split.

The data of a training: its splits as they were read, and its augmented samples.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader

from yolo.config import AugmentConfig, OptimizerConfig, TrainConfig
from yolo.console import say
from yolo.darknet.augment import DarknetAugment
from yolo.darknet.load import fill_from_darknet
from yolo.darknet.lookup import OWN_SUFFIXES, WEIGHTS_SUFFIX, find_cfg
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import NetworkPlan, detector_classes, plan_cfg, with_classes
from yolo.data.cache import DiskCache, ImageCache, MemoryCache, default_cache_dir
from yolo.data.dataset import DetectionDataset
from yolo.data.loader import TrainBatches, default_workers, make_loader
from yolo.data.read import Split, find_dataset, read_split
from yolo.engine.checkpoint import DetectorMetadata, default_settings, load_detector
from yolo.engine.devices import choose_device, choose_precision
from yolo.engine.evaluate import evaluation_loader
from yolo.engine.run_folder import RunLog
from yolo.engine.schedule import MovingAverage, Schedule
from yolo.errors import ConfigError, DataError, WeightsError
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.thresholds import threshold_table
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode
from yolo.losses.yolo_loss import YoloLoss
from yolo.models.network import GridNetwork, Network, NetworkSpec, Spec, grid_on
from yolo.models.weights import fill, load_backbone_weights
from yolo.structures import Batch
from yolo.transforms.presets import TrainTransform

_NO_WEIGHTS = "none"


def build_start(config: TrainConfig, num_classes: int, console: Console) -> tuple[Network, int]:
    """The network of a configuration on the CPU, and the images that its weights have seen.

    Raises:
        ConfigError: a cfg that cannot be built.
        WeightsError: weights that are missing, damaged, or of another network.
    """
    torch.manual_seed(config.seed)
    return _darknet(config, num_classes, console) if config.cfg else (_grid_network(config, num_classes, console), 0)


def _grid_network(config: TrainConfig, num_classes: int, console: Console) -> GridNetwork:
    network = GridNetwork(
        NetworkSpec(
            backbone=config.backbone,
            num_classes=num_classes,
            boxes_per_cell=config.model.boxes_per_cell,
            stride=config.stride,
            width=config.model.width,
            coding=config.model.coding,
        )
    )
    if config.weights.endswith(WEIGHTS_SUFFIX):
        raise ConfigError(f"{config.weights}: is a file of darknet, whose network --cfg names; there is no cfg")
    if config.weights != _NO_WEIGHTS:
        report = load_backbone_weights(network.backbone, config.weights)
        say(console, f"backbone weights {config.weights}: " + "; ".join(report.summary_lines()))
    return network


def _darknet(config: TrainConfig, num_classes: int, console: Console) -> tuple[DarknetNetwork, int]:
    cfg = find_cfg(config.cfg)
    original = plan_cfg(cfg)
    own_classes = detector_classes(original)
    _check_options(config, original)
    if own_classes != num_classes:
        cfg = with_classes(cfg, num_classes)
        say(console, f"{cfg.source} has {own_classes} classes, the data {num_classes}: its last layer was changed")
    for note in original.unused:
        say(console, f"{cfg.source}: {note}")
    network = DarknetNetwork(DarknetSpec(cfg=cfg.text, batch_norm=config.model.batch_norm))
    if config.weights == _NO_WEIGHTS:
        return network, 0
    path = Path(config.weights)
    seen = _fill_darknet(network, path, original, console)
    return network, 0 if config.clear_seen else seen


def _check_options(config: TrainConfig, plan: NetworkPlan) -> None:
    """ConfigError where an option says otherwise than the cfg; only the cfg can change its network."""
    assert plan.detection is not None
    model = config.model
    for name, wanted, own in (
        ("input_size", config.input_size, plan.net.width),
        ("model.grid_size", model.grid_size or plan.detection.side, plan.detection.side),
        ("model.boxes_per_cell", model.boxes_per_cell, plan.detection.boxes_per_cell),
    ):
        if wanted != own:
            raise ConfigError(f"{name} is {wanted}, but {plan.source} has {own}; leave it out, or change the cfg")


def _fill_darknet(network: DarknetNetwork, path: Path, original: NetworkPlan, console: Console) -> int:
    """Load what fits of a weights file; returns the images it has seen, 0 where a layer did not fit."""
    if path.suffix not in OWN_SUFFIXES:  # such as extraction.conv.weights, or darknet19.conv.23
        weights, misfits = fill_from_darknet(network, path, original)
        covered = f"{weights.loaded_layers} of {len(network.layers)} layers"
        say(console, f"weights {path}: {covered}" + (f"; not the last, layer {misfits[0]}" if misfits else ""))
        return 0 if misfits else max(0, weights.header.seen)  # below 0 a count of 32 bits has overflowed
    other, metadata = load_detector(path)
    report = fill(network, other.state_dict())
    if not report.loaded:
        raise WeightsError(f"{path}: nothing in it fits the network; it holds {metadata.network.name}")
    say(console, f"weights {path}: " + "; ".join(report.summary_lines()))
    return 0 if report.misshapen or report.missing else metadata.seen


def open_cache(
    config: TrainConfig, num_images: int, *, input_hw: tuple[int, int], resize: ResizeMode, for_training: bool
) -> ImageCache | None:
    """A cache of the placed images of a split; None where there is to be none.

    Images to train on may fill three quarters of the memory, those to validate on one. On disk they share a folder.

    Args:
        config: `cache`, `cache_mb` and `cache_dir` are looked at.
        num_images: of the split.
        input_hw: height and width of the placed images.
        resize: how they are placed.
        for_training: whether they are trained on; these are not decoded in full.
    """
    # a cache holds bytes, and this resize makes floats
    if config.cache == "none" or resize == "stretch_corners":
        return None
    if config.cache == "disk":
        folder = Path(config.cache_dir).expanduser() if config.cache_dir else default_cache_dir()
        return DiskCache(folder, input_hw, resize, may_reduce=for_training, limit_mb=config.cache_mb)
    return MemoryCache(num_images, input_hw, limit_mb=config.cache_mb * (3 if for_training else 1) // 4)


def read_splits(config: TrainConfig, console: Console) -> dict[str, Split]:
    """Read train and val, and say what was found and what was left out.

    Raises:
        DataError: a split cannot be read, or there is nothing to learn.
    """
    descriptor = find_dataset(Path(config.data))
    train = read_split(descriptor, "train", box_policy=config.box_policy)
    val = read_split(descriptor, "val", class_names=train.class_names, box_policy=config.box_policy)
    say(console, *descriptor.notes, *train.account.summary_lines(), *val.account.summary_lines())
    if not len(train.images.objects):
        raise DataError(f"{config.data}: no image of train has an object: there is nothing to learn")
    return {"train": train, "val": val}


def make_augment(augment: AugmentConfig, input_hw: tuple[int, int]) -> TrainTransform | DarknetAugment:
    """The augmentation of a configuration."""
    if augment.style == "modern":
        return TrainTransform(augment, input_hw)
    return DarknetAugment(
        input_hw,
        augment.jitter,
        hue=augment.hue,
        saturation=1 + augment.saturation,
        exposure=1 + augment.value,
        flip=augment.flip_horizontal,
    )


def make_train_dataset(
    images: AnnotatedImages,
    *,
    input_hw: tuple[int, int],
    resize: ResizeMode,
    augment: AugmentConfig,
    seed: int,
    caching: TrainConfig | None = None,
) -> DetectionDataset:
    """The augmented samples of a training; `gridyolo data preview` shows what this makes.

    Args:
        images: of the split.
        input_hw: height and width of the network's input.
        resize: how images are placed on it.
        augment: the augmentation.
        seed: of the run.
        caching: the configuration that says how placed images are kept; None to keep none.
    """
    transform = make_augment(augment, input_hw)
    # modern augmentation resamples bytes; the difference to darknet's stretch is lost in it
    resize = "stretch" if resize == "stretch_corners" else resize
    cache = None
    if caching is not None and not transform.wants_original:  # only placed images are kept
        cache = open_cache(caching, len(images), input_hw=input_hw, resize=resize, for_training=True)
    return DetectionDataset(images, input_hw=input_hw, resize=resize, augment=transform, seed=seed, cache=cache)


def fingerprint(split: Split) -> str:
    """SHA-256 over ids, sizes and annotations of a split: the same data has the same fingerprint."""
    digest = hashlib.sha256()
    for image in split.images:
        digest.update(f"{image.image_id} {image.size_hw}".encode())
        truth = image.ground_truth
        for values in (truth.boxes, truth.labels, truth.difficult, truth.iscrowd):
            digest.update(values.tobytes())
    return digest.hexdigest()


@dataclass
class Position:
    """Where a training is; all of it is saved.

    Attributes:
        epoch: the running one, from 0.
        step_in_epoch: steps of it that are done.
        step: steps done in all.
        elapsed: seconds trained, earlier sittings included.
        validations: how many are done.
        best: mAP@0.5:0.95 of the best validation; -1 before the first.
        best_epoch: its epoch.
        validated_step: step of the last validation; -1 before the first.
        term_sums: summed loss terms of the running epoch.
        images_seen: images of the running epoch.
        seen: images in all, those that the first weights had seen included, as darknet counts them.
        start_seen: images that the first weights had seen.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    elapsed: float = 0.0
    validations: int = 0
    best: float = -1.0
    best_epoch: int = -1
    validated_step: int = -1
    term_sums: dict[str, float] = field(default_factory=dict)
    images_seen: int = 0
    seen: int = 0
    start_seen: int = 0


@dataclass(kw_only=True)
class Training:
    """All that a running training holds; `position` changes, the objects behind the others do."""

    config: TrainConfig
    log: RunLog
    console: Console
    device: torch.device
    fabric: Fabric
    splits: dict[str, Split]
    spec: Spec
    input_hw: tuple[int, int]
    network: Network
    model: nn.Module  # the network as Fabric wraps it
    average: MovingAverage[Network]
    optimizer: torch.optim.Optimizer
    loss: YoloLoss
    schedule: Schedule
    workers: int
    val_loader: DataLoader[Batch]
    position: Position = field(default_factory=Position)
    unreadable: dict[str, str] = field(default_factory=dict)
    noted: dict[str, str] = field(default_factory=dict)
    sitting_began: float = field(default_factory=time.monotonic)
    elapsed_before: float = 0.0
    data_sha256: str = ""
    bad_steps: int = 0

    @property
    def scales_gradients(self) -> bool:
        """True in fp16, whose scaler finds steps that are not finite by itself."""
        return bool(self.fabric.strategy.precision.precision == "16-mixed")

    def loss_now(self) -> YoloLoss:
        """The loss of this step: darknet draws the responsible predictor for the first images of some trainings."""
        drawn = self.position.seen < self.config.loss.random_images
        return replace(self.loss, rule="random") if drawn else self.loss

    def note_step(self, terms: dict[str, float], num_images: int) -> None:
        """Add a step's terms to those of the epoch."""
        sums = self.position.term_sums
        self.position.term_sums = {name: sums.get(name, 0.0) + value * num_images for name, value in terms.items()}
        self.position.images_seen += num_images
        self.bad_steps = 0

    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        self.position.elapsed = self.elapsed_before + time.monotonic() - self.sitting_began
        return self.schedule.progress(self.position.step, self.position.elapsed)

    def metadata(self, result: EvaluationResult, epoch: int) -> DetectorMetadata:
        """What a weights file saved after `epoch`, from 0, with that result says of itself."""
        train = self.splits["train"]
        metrics = {"map_50": result.map_50, "map_50_95": result.map_50_95}
        predict, val = default_settings(self.spec)
        return DetectorMetadata(
            network=self.spec,
            class_names=train.class_names,
            category_ids=train.category_ids,
            input_hw=self.input_hw,
            resize=self.config.model.resize,
            predict=predict,
            val=val,
            metrics={"split": "val"} | {name: value for name, value in metrics.items() if value == value},
            thresholds=threshold_table(result),
            seen=self.position.seen,
            training={
                "epoch": epoch + 1,
                "minutes": round(self.position.elapsed / 60, 2),
                "data": self.config.data,
                "data_sha256": self.data_sha256,
                "start_weights": self.config.weights,
                "seed": self.config.seed,
            },
        )


def prepare(config: TrainConfig, console: Console, folder: Path | None = None) -> Training:
    """Read the data, build the network and the rest; nothing is trained yet.

    Args:
        config: what is wanted.
        console: where to tell of the data.
        folder: run folder of a training to go on with; None makes a new one, after everything else has succeeded.
    """
    device = choose_device(config.device)
    # Fabric announces its settings at level INFO; the run folder has them
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision=cast(Any, choose_precision(config.precision, device)),
    )
    splits = read_splits(config, console)
    # a resumed training brings its own weights; the file of its start may be gone
    start = config if folder is None else replace(config, weights="none")
    network, seen = build_start(start, len(splits["train"].class_names), console)
    input_hw = network.spec.input_hw if isinstance(network.spec, DarknetSpec) else (config.input_size,) * 2
    grid_on(network.spec, input_hw)
    make_augment(config.augment, input_hw)  # a pipeline that cannot be used ends it here, before there is a folder
    network = network.to(device).to(memory_format=torch.channels_last)
    # torch's fused update does the scaler's work too, and then refuses to clip
    is_fused = device.type in ("cpu", "cuda") and fabric.strategy.precision.precision != "16-mixed"
    optimizer = make_optimizer(network, config.optimizer, fused=is_fused)
    model, wrapped_optimizer = fabric.setup(network, optimizer)
    steps_per_epoch = -(-len(splits["train"].images) // config.batch_size)
    workers = default_workers(device.type) if config.workers is None else config.workers
    return Training(
        config=config,
        console=console,
        device=device,
        fabric=fabric,
        splits=splits,
        spec=network.spec,
        input_hw=input_hw,
        network=network,
        model=model,
        average=MovingAverage(network, config.optimizer.ema),
        optimizer=wrapped_optimizer,
        loss=make_loss(config),
        schedule=Schedule.from_config(config, steps_per_epoch, seen=seen),
        position=Position(seen=seen, start_seen=seen),
        workers=workers,
        val_loader=evaluation_loader(
            splits["val"],
            input_hw=input_hw,
            resize=config.model.resize,
            batch_size=config.batch_size,
            workers=workers,
            cache=open_cache(
                config,
                len(splits["val"].images),
                input_hw=input_hw,
                resize=config.model.resize,
                for_training=False,
            ),
        ),
        data_sha256=fingerprint(splits["train"]),
        # last: a training that cannot start leaves no folder
        log=RunLog.create(config, network.spec) if folder is None else RunLog(folder),
    )


def make_loss(config: TrainConfig) -> YoloLoss:
    """The loss of a configuration, after the images for which the predictor is drawn at random."""
    loss = config.loss
    return YoloLoss(
        lambda_coord=loss.lambda_coord,
        lambda_obj=loss.lambda_obj,
        lambda_noobj=loss.lambda_noobj,
        lambda_class=loss.lambda_class,
        coord=loss.coord,
        confidence=loss.confidence,
        class_prob=loss.class_prob,
        ignore_iou=loss.ignore_iou,
        objects_per_cell=loss.objects_per_cell,
        rescore=loss.rescore,
        rule="forced" if loss.forced else "best",
    )


def make_optimizer(network: nn.Module, config: OptimizerConfig, *, fused: bool) -> torch.optim.Optimizer:
    """AdamW or SGD with weight decay on matrices only.

    With nesterov=False and a loss divided by the number of images, SGD is darknet's update.
    """
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    # the biases of a local layer have three axes, but are biases
    matrices = {name for name, parameter in named if parameter.ndim > 1 and not name.endswith("biases")}
    groups = [
        {"params": [p for name, p in named if name in matrices], "weight_decay": config.weight_decay},
        {"params": [p for name, p in named if name not in matrices], "weight_decay": 0.0},
    ]
    if config.name == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, lr=config.lr, fused=fused)


def train_loader(training: Training) -> DataLoader[Batch]:
    """Batches from the training's position on, without end."""
    config, images = training.config, training.splits["train"].images
    dataset = make_train_dataset(
        images,
        input_hw=training.input_hw,
        resize=config.model.resize,
        augment=config.augment,
        seed=config.seed,
        caching=config,
    )
    plan, open_until = training.schedule, 1 - config.augment.close_mosaic

    def with_mosaic(epoch: int) -> bool:
        return plan.progress(epoch * plan.steps_per_epoch, training.position.elapsed) < open_until

    position = training.position
    batches = TrainBatches(
        len(images),
        config.batch_size,
        seed=config.seed,
        start=(position.epoch, position.step_in_epoch),
        with_mosaic=with_mosaic,
        replacement=config.sampling == "replacement",
    )
    return make_loader(dataset, batches, workers=training.workers, pin_memory=training.device.type == "cuda")
