"""The network that a training starts with: built from its configuration, filled by `--weights`.

`initialise` knows every meaning that `--weights` has for `train`. Opening a trained detector: darknet.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from yolo.config import TrainConfig
from yolo.console import say
from yolo.darknet.load import fill_from_darknet
from yolo.darknet.lookup import OWN_SUFFIXES, WEIGHTS_SUFFIX, find_cfg
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import NetworkPlan, check_trainable, detector_classes, plan_cfg, with_classes
from yolo.engine.checkpoint import load_detector
from yolo.errors import ConfigError, WeightsError
from yolo.models.network import GridNetwork, Network, NetworkSpec
from yolo.models.weights import fill, load_backbone_weights

RANDOM = "none"


@dataclass(frozen=True, slots=True)
class Start:
    """What `initialise` found.

    Attributes:
        seen: images that the weights were trained on; 0 where a layer of the network did not get its own.
        lines: for people.
    """

    seen: int = 0
    lines: tuple[str, ...] = ()


def build_start(config: TrainConfig, num_classes: int, console: Console) -> tuple[Network, int]:
    """The network of a configuration on the CPU, and the images that its weights have seen.

    Raises:
        ConfigError: a cfg that cannot be built.
        WeightsError: weights that are missing, damaged, or of another network.
    """
    torch.manual_seed(config.seed)
    if config.cfg:
        network, file_plan = _darknet_network(config, num_classes, console)
        start = initialise(network, config.weights, file_plan=file_plan)
        say(console, *start.lines)
        return network, 0 if config.clear_seen else start.seen
    spec = NetworkSpec(
        backbone=config.backbone,
        num_classes=num_classes,
        boxes_per_cell=config.model.boxes_per_cell,
        stride=config.stride,
        width=config.model.width,
        coding=config.model.coding,
    )
    grid_network = GridNetwork(spec)
    say(console, *initialise(grid_network, config.weights).lines)
    return grid_network, 0


def initialise(network: Network, source: str, *, file_plan: NetworkPlan | None = None) -> Start:
    """Fill a network from any source of weights.

    source                              a torchvision backbone and head       a network from a cfg
    none                                random weights                        random weights
    DEFAULT, IMAGENET1K_V1, ...         the backbone, torchvision's download
    *.pth, *.safetensors of torchvision the backbone
    *.safetensors of gridyolo           the backbone                          all tensors that fit
    *.weights and others of darknet                                           all layers that are in it

    Args:
        network: with random weights, changed in place.
        source: as in `--weights`.
        file_plan: the plan of the user's cfg, where the network has other classes than that.

    Raises:
        ConfigError: a darknet file for a network without a cfg.
        WeightsError: weights that are missing, damaged, or of another network.
    """
    if source == RANDOM:
        return Start()
    path = Path(source)
    if isinstance(network, GridNetwork):
        if path.suffix == WEIGHTS_SUFFIX:
            raise ConfigError(f"{source}: is a file of darknet, whose network --cfg names; there is no cfg")
        filled = load_backbone_weights(network.backbone, source)
        return Start(lines=(f"backbone weights {source}: " + "; ".join(filled.summary_lines()),))
    if path.suffix in OWN_SUFFIXES:
        return _from_own_file(network, path)
    # any other name, such as extraction.conv.weights or darknet19.conv.23
    weights, misfits = fill_from_darknet(network, path, file_plan)
    line = f"weights {path}: {weights.loaded_layers} of {len(network.layers)} layers"
    line += f"; not the last, layer {misfits[0]}" if misfits else ""
    # below 0 a count of 32 bits has overflowed
    return Start(0 if misfits else max(0, weights.header.seen), (line,))


def _from_own_file(network: DarknetNetwork, path: Path) -> Start:
    other, metadata = load_detector(path)
    filled = fill(network, other.state_dict())
    if not filled.loaded:
        raise WeightsError(f"{path}: nothing in it fits the network; it holds {metadata.network.name}")
    seen = 0 if filled.misshapen or filled.missing else metadata.seen
    return Start(seen, (f"weights {path}: " + "; ".join(filled.summary_lines()),))


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
