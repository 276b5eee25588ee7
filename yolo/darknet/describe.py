"""What `gridyolo darknet show` prints: the layers of a cfg as a table, and what a weights file says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yolo.config import DarknetShowConfig
from yolo.darknet.layers import Activation, Connected, Convolutional, Crop, Layer, Local, Maxpool
from yolo.darknet.lookup import cfg_for, check_is_darknets, find_cfg
from yolo.darknet.plan import NetworkPlan, plan_cfg
from yolo.darknet.weights import read_weights


@dataclass(frozen=True, slots=True)
class DarknetDescription:
    """What `darknet show` prints.

    Attributes:
        table: the layers and their totals.
        notes: options of the cfg that have no effect.
        weights: sentences on the weights file; empty where none was given.
    """

    table: list[str]
    notes: tuple[str, ...]
    weights: list[str]


def show(config: DarknetShowConfig) -> DarknetDescription:
    """Describe a cfg, and a weights file beside it; errors as `open_darknet`, but classifiers are welcome."""
    weights = Path(config.weights) if config.weights else None
    if weights is not None:
        check_is_darknets(weights)
    if config.cfg:
        plan = plan_cfg(find_cfg(config.cfg))
    else:
        assert weights is not None
        plan = plan_cfg(cfg_for(weights))
    return DarknetDescription(describe(plan), plan.unused, [] if weights is None else _describe_weights(weights, plan))


def _describe_weights(path: Path, plan: NetworkPlan) -> list[str]:
    weights = read_weights(path, plan, partial=True)
    header = weights.header
    lines = [
        f"{path}: header of the form {header.form!r}"
        + (f", version {header.major}.{header.minor}.{header.revision}" if header.hyperparameters is None else "")
        + f", {header.seen:,} images seen"
    ]
    if header.hyperparameters is not None:
        rate, momentum, decay = header.hyperparameters
        lines.append(f"learning rate {rate:g}, momentum {momentum:g}, decay {decay:g}")
    if weights.loaded_layers == len(plan.layers):
        lines.append("it holds the whole network")
    else:
        lines.append(f"it holds the first {weights.loaded_layers} of {len(plan.layers)} layers: a start for training")
    return lines


def describe(plan: NetworkPlan) -> list[str]:
    """The plan as an aligned table, one line per layer, between a head and a line of totals."""
    rows = [("", "layer", "filters", "size/stride", "input", "", "output", "parameters", "GFLOP")]
    for layer in plan.layers:
        filters, window = _cells(layer)
        parameters = f"{layer.num_parameters:,}" if layer.num_parameters else ""
        gflop = f"{layer.flops / 1e9:.3f}" if layer.flops else ""
        shapes = (str(layer.in_shape), "->", str(layer.out_shape))
        rows.append((str(layer.index), layer.kind, filters, window, *shapes, parameters, gflop))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    # numbers and shapes stand right, words left
    layout = "  ".join(f"{{:{'<' if column in (1, 3) else '>'}{width}}}" for column, width in enumerate(widths))
    lines = [layout.format(*row).rstrip() for row in rows]
    total = f"{len(plan.layers)} layers, {plan.num_parameters:,} parameters, {plan.flops / 1e9:.3f} GFLOP per image"
    return [*lines, f"{total}, {plan.num_floats:,} floats in a weights file"]


def _cells(layer: Layer) -> tuple[str, str]:
    """What `describe` shows of a layer under `filters` and `size/stride`."""
    if isinstance(layer, Convolutional | Local):
        return str(layer.filters), f"{layer.size} x {layer.size} / {layer.stride}"
    if isinstance(layer, Maxpool):
        return "", f"{layer.size} x {layer.size} / {layer.stride}"
    if isinstance(layer, Connected):
        return str(layer.outputs), ""
    if isinstance(layer, Crop):
        return "", f"{layer.out_shape.width} x {layer.out_shape.height}"
    if isinstance(layer, Activation):
        return "", layer.activation
    return "", ""
