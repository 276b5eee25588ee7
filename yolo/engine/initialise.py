"""The network that a training starts with: built from its configuration, filled by `--weights`.

Which options follow from the weights: start_options.py. Opening a trained detector: `open_detector` in detector.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console

from yolo.config import TrainConfig
from yolo.console import counted, listed, say
from yolo.darknet.load import fill_from_darknet
from yolo.darknet.lookup import WEIGHTS_SUFFIX, find_cfg
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import NetworkPlan, check_trainable, detector_classes, plan_cfg, with_classes
from yolo.engine.detector_file import DetectorMetadata, load_detector
from yolo.engine.start_options import OPTIONS_OF_FIELDS, RANDOM
from yolo.errors import ConfigError, WeightsError
from yolo.models.network import GridNetwork, Network, NetworkSpec
from yolo.models.transfer import ClassMatch, transfer
from yolo.models.weights import load_backbone_weights
from yolo.run_weights import weights_path
from yolo.weights_header import find_metadata


class Start(NamedTuple):
    """What a training starts with."""

    network: Network  # on the CPU
    # images that its weights were trained on, which darknet's schedules count; 0 where a layer did not get its own, and
    # for networks without a cfg
    seen: int = 0
    is_detector: bool = False  # it detects all its classes already


def build_start(config: TrainConfig, class_names: Sequence[str], console: Console) -> Start:
    """Build the network of a configuration and give it its first weights.

    Raises:
        ConfigError: a cfg that cannot be built, or an option that contradicts the detector to start from.
        WeightsError: weights that are missing, damaged, or of another network.
    """
    torch.manual_seed(config.seed)
    if config.cfg:
        network, file_plan = _darknet_network(config, len(class_names), console)
        start = _initialise(network, config, class_names, console, file_plan=file_plan)
        return start._replace(seen=0) if config.clear_seen else start
    spec = NetworkSpec(
        backbone=config.backbone,
        num_classes=len(class_names),
        boxes_per_cell=config.model.boxes_per_cell,
        stride=config.stride,
        width=config.model.width,
        coding=config.coding,
        deepest_stride=config.model.deepest_stride or 32,
    )
    return _initialise(GridNetwork(spec), config, class_names, console)


def _initialise(
    network: Network,
    config: TrainConfig,
    class_names: Sequence[str],
    console: Console,
    *,
    file_plan: NetworkPlan | None = None,
) -> Start:
    """Fill a network from any source of weights, and print what was found.

    `--weights`                         a backbone and head                   a network from a cfg
    none                                random weights                        random weights
    DEFAULT, IMAGENET1K_V1, ...         the backbone, published weights
    *.pth, *.safetensors of a classifier the backbone
    a run folder, or *.safetensors      all tensors, classes by name          all tensors that fit, classes by name
    *.weights and others of darknet                                           all layers that are in it

    Args:
        network: with random weights, changed in place.
        config: what it was built from.
        class_names: by label.
        console: where to tell of it.
        file_plan: the plan of the user's cfg, where the network has other classes than that.

    Raises:
        ConfigError: a darknet file for a network without a cfg, or an option that contradicts the detector.
        WeightsError: weights that are missing, damaged, or of another network.
    """
    if config.weights == RANDOM:
        return Start(network)
    path = weights_path(config.weights)
    if path.suffix == ".safetensors" and find_metadata(path) is not None:
        return _from_detector(network, path, config, class_names, console)
    if isinstance(network, GridNetwork):
        if path.suffix == WEIGHTS_SUFFIX:
            raise ConfigError(f"{config.weights}: is a darknet weights file; name its network with --cfg")
        filled = load_backbone_weights(network.backbone, str(path))
        say(console, f"backbone weights {config.weights}: " + "; ".join(filled.summary_lines()))
        return Start(network)
    if path.suffix == ".safetensors":
        raise WeightsError(f"{path}: is not a detector of gridyolo; weights of a backbone do not fit {config.cfg}")
    # any other name, such as extraction.conv.weights or darknet19.conv.23
    weights, misfits = fill_from_darknet(network, path, file_plan)
    line = f"weights {path}: {weights.loaded_layers} of {len(network.layers)} layers"
    say(console, line + (f"; not the last, layer {misfits[0]}" if misfits else ""))
    # below 0 a count of 32 bits has overflowed
    return Start(network, 0 if misfits else max(0, weights.header.seen))


def _from_detector(
    network: Network, path: Path, config: TrainConfig, class_names: Sequence[str], console: Console
) -> Start:
    """Fill a network from one of our own detectors."""
    other, metadata = load_detector(path)
    if isinstance(network, GridNetwork):
        _check_architecture(network.spec, path, metadata, config)
    classes = ClassMatch.by_name(class_names, _known_classes(metadata, class_names))
    filled = transfer(network, other, classes)
    if not filled.loaded:
        raise WeightsError(f"{path}: nothing in it fits the network; it holds {metadata.network.name}")
    total = len(filled.loaded) + len(filled.missing) + len(filled.misshapen)
    notes = [f"{len(classes.labels)} of {counted(len(class_names), 'class', 'classes')}"]
    notes += [f"new classes: {listed(classes.new)}"] if classes.new else []
    notes += [f"not used: {listed(classes.unused)}"] if classes.unused else []
    left = [*filled.missing, *filled.misshapen]
    notes += [f"with random weights: {listed(left, 4)}"] if left else []
    say(console, f"weights {path}: {len(filled.loaded)} of {total} tensors, " + "; ".join(notes))
    is_detector = not left and not classes.new
    counts = is_detector and isinstance(network, DarknetNetwork)
    return Start(network, metadata.seen if counts else 0, is_detector)


def _check_architecture(spec: NetworkSpec, path: Path, metadata: DetectorMetadata, config: TrainConfig) -> None:
    """ConfigError where an option makes another network than that of the detector to start from."""
    its = metadata.network
    if isinstance(its, DarknetSpec):
        raise ConfigError(f"{path}: its network is from a darknet cfg; name it as --cfg {path}, too")
    wrong = [
        f"{option} is {getattr(spec, field)}, but it has {getattr(its, field)}"
        for field, option in OPTIONS_OF_FIELDS.items()
        if getattr(spec, field) != getattr(its, field)
    ]
    if spec.stride != its.stride:
        size = config.input_size
        cells = f"{size // its.stride} for " if size % its.stride == 0 else f"input_size / {its.stride}, not with "
        wrong.append(
            f"model.grid_size is {size // spec.stride}, but its cells are {its.stride} pixels wide: "
            f"{cells}input_size {size}"
        )
    if wrong:
        remedy = "leave these options out, and they follow the weights"
        raise ConfigError(f"{path}: is another network: {'; '.join(wrong)}; {remedy}")


def _known_classes(metadata: DetectorMetadata, wanted: Sequence[str]) -> Sequence[str]:
    """Class names of a detector. Those that are numbers, because nobody named them, mean the wanted ones by order."""
    names = metadata.class_names
    are_numbers = isinstance(metadata.network, DarknetSpec) and names == tuple(
        f"class {label}" for label in range(len(names))
    )
    return wanted if are_numbers and len(names) == len(wanted) else names


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
