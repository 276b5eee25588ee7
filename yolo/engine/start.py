"""The network that a training starts with, its weights drawn from the seed or loaded."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console

from yolo.config import TrainConfig
from yolo.darknet.adapt import with_classes
from yolo.darknet.catalogue import find_cfg
from yolo.darknet.plan import NetworkPlan, plan_cfg
from yolo.engine.checkpoint import load_detector
from yolo.engine.console import say
from yolo.engine.darknet_files import OWN_SUFFIXES, WEIGHTS_SUFFIX, detector_classes
from yolo.errors import ConfigError, WeightsError
from yolo.models.build import Network
from yolo.models.darknet import DarknetNetwork, DarknetSpec
from yolo.models.darknet_weights import fill_from_darknet
from yolo.models.network import GridNetwork, NetworkSpec
from yolo.models.weights import fill, load_backbone_weights

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
