"""The network that a training starts with: built from its configuration, filled by `--weights`.

Opening a trained detector: `open_detector` in detector.py.
"""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console

from yolo.config import TrainConfig
from yolo.console import say
from yolo.darknet.load import fill_from_darknet
from yolo.darknet.lookup import OWN_SUFFIXES, WEIGHTS_SUFFIX, find_cfg
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import NetworkPlan, check_trainable, detector_classes, plan_cfg, with_classes
from yolo.engine.detector_file import load_detector
from yolo.errors import ConfigError, WeightsError
from yolo.files import expand_home
from yolo.models.network import GridNetwork, Network, NetworkSpec
from yolo.models.weights import fill, load_backbone_weights

RANDOM = "none"


def build_start(config: TrainConfig, num_classes: int, console: Console) -> tuple[Network, int]:
    """The network of a configuration on the CPU, and the images that its weights have seen.

    Raises:
        ConfigError: a cfg that cannot be built.
        WeightsError: weights that are missing, damaged, or of another network.
    """
    torch.manual_seed(config.seed)
    if config.cfg:
        network, file_plan = _darknet_network(config, num_classes, console)
        seen = _initialise(network, config.weights, console, file_plan=file_plan)
        return network, 0 if config.clear_seen else seen
    spec = NetworkSpec(
        backbone=config.backbone,
        num_classes=num_classes,
        boxes_per_cell=config.model.boxes_per_cell,
        stride=config.stride,
        width=config.model.width,
        coding=config.model.coding,
    )
    grid_network = GridNetwork(spec)
    return grid_network, _initialise(grid_network, config.weights, console)


def _initialise(network: Network, source: str, console: Console, *, file_plan: NetworkPlan | None = None) -> int:
    """Fill a network from any source of weights, and print what was found.

    source                              a torchvision backbone and head       a network from a cfg
    none                                random weights                        random weights
    DEFAULT, IMAGENET1K_V1, ...         the backbone, torchvision's download
    *.pth, *.safetensors of torchvision the backbone
    *.safetensors of gridyolo           the backbone                          all tensors that fit
    *.weights and others of darknet                                           all layers that are in it

    Args:
        network: with random weights, changed in place.
        source: as in `--weights`.
        console: where to tell of it.
        file_plan: the plan of the user's cfg, where the network has other classes than that.

    Returns:
        The images that the weights were trained on; 0 where a layer of the network did not get its own.

    Raises:
        ConfigError: a darknet file for a network without a cfg.
        WeightsError: weights that are missing, damaged, or of another network.
    """
    if source == RANDOM:
        return 0
    path = expand_home(source)
    if isinstance(network, GridNetwork):
        if path.suffix == WEIGHTS_SUFFIX:
            raise ConfigError(f"{source}: is a darknet weights file; name its network with --cfg")
        filled = load_backbone_weights(network.backbone, str(path))
        say(console, f"backbone weights {source}: " + "; ".join(filled.summary_lines()))
        return 0
    if path.suffix in OWN_SUFFIXES:
        return _from_own_file(network, path, console)
    # any other name, such as extraction.conv.weights or darknet19.conv.23
    weights, misfits = fill_from_darknet(network, path, file_plan)
    line = f"weights {path}: {weights.loaded_layers} of {len(network.layers)} layers"
    say(console, line + (f"; not the last, layer {misfits[0]}" if misfits else ""))
    # below 0 a count of 32 bits has overflowed
    return 0 if misfits else max(0, weights.header.seen)


def _from_own_file(network: DarknetNetwork, path: Path, console: Console) -> int:
    other, metadata = load_detector(path)
    filled = fill(network, other.state_dict())
    if not filled.loaded:
        raise WeightsError(f"{path}: nothing in it fits the network; it holds {metadata.network.name}")
    say(console, f"weights {path}: " + "; ".join(filled.summary_lines()))
    return 0 if filled.misshapen or filled.missing else metadata.seen


def _darknet_network(config: TrainConfig, num_classes: int, console: Console) -> tuple[DarknetNetwork, NetworkPlan]:
    """The network of a cfg with the data's classes, and the cfg's own plan."""
    cfg = find_cfg(config.cfg)
    original = plan_cfg(cfg)
    own_classes = detector_classes(original)
    check_trainable(original)
    _check_options(config, original)
    if own_classes != num_classes:
        cfg = with_classes(cfg, num_classes)
        say(console, f"{cfg.source} has {own_classes} classes, the data {num_classes}: its last layer was changed")
    say(console, *(f"{cfg.source}: {note}" for note in original.unused))
    return DarknetNetwork(DarknetSpec(cfg=cfg.text, batch_norm=config.model.batch_norm)), original


def _check_options(config: TrainConfig, plan: NetworkPlan) -> None:
    """ConfigError where an option contradicts the cfg; only the cfg can change its network."""
    assert plan.detection is not None
    model = config.model
    for name, wanted, own in (
        ("input_size", config.input_size, plan.net.width),
        ("model.grid_size", model.grid_size or plan.detection.side, plan.detection.side),
        ("model.boxes_per_cell", model.boxes_per_cell, plan.detection.boxes_per_cell),
    ):
        if wanted != own:
            raise ConfigError(f"{name} is {wanted}, but {plan.source} has {own}; leave it out, or change the cfg")
