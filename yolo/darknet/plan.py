"""The plan of a network: a cfg with every layer's shapes worked out and checked. Allocates nothing.

    plan = plan_network(text, source="yolov1.cfg")
    plan.layers[0].blocks    # the arrays that a weights file holds for it
    for line in describe(plan): print(line)

Leaves out: networks that are no chain (route, shortcut) and everything after YOLOv1.
"""

from __future__ import annotations

from dataclasses import dataclass

from yolo.darknet.cfg import Cfg, parse_cfg
from yolo.darknet.layers import Activation, Connected, Convolutional, Crop, Detection, Layer, Local, Maxpool, Shape
from yolo.darknet.net import NetOptions, read_net
from yolo.darknet.options import Options
from yolo.darknet.sections import Feed, build_layer

# Far above every network of this family, and far below what would fill a machine's memory by a typing error.
MAX_LAYERS = 10_000
MAX_LAYER_FLOATS = 2**31
MAX_NETWORK_FLOATS = 2**32
MAX_MAP_FLOATS = 2**31


@dataclass(frozen=True)
class NetworkPlan:
    """A network as its cfg describes it.

    Attributes:
        source: name of the cfg, for messages.
        text: the cfg as it was written.
        net: options of [net].
        layers: one for every further section, each fed by the one before.
        unused: sentences on options without effect, `line 12: unused key 'foo' in [maxpool]`.
    """

    source: str
    text: str
    net: NetOptions
    layers: tuple[Layer, ...]
    unused: tuple[str, ...]

    @property
    def in_shape(self) -> Shape:
        """Shape of one input; (inputs, 1, 1) where it is a vector."""
        return self.layers[0].in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the last layer's answer to one input."""
        return self.layers[-1].out_shape

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(layer.num_parameters for layer in self.layers)

    @property
    def num_floats(self) -> int:
        """Floats of the body of a whole weights file."""
        return sum(layer.num_floats for layer in self.layers)

    @property
    def flops(self) -> int:
        """Two for every multiply-add of one image."""
        return sum(layer.flops for layer in self.layers)

    @property
    def detection(self) -> Detection | None:
        """The last detection layer."""
        return next((layer for layer in reversed(self.layers) if isinstance(layer, Detection)), None)


def plan_network(text: str, *, source: str = "cfg", input_size: tuple[int, int] | None = None) -> NetworkPlan:
    """Plan of the network that a cfg text describes.

    Args:
        text: the cfg.
        source: its name, for messages.
        input_size: height and width in pixels that replace those of [net].

    Raises:
        ConfigError: `SOURCE:LINE: [section] ...` for whatever cannot be built.
    """
    return plan_cfg(parse_cfg(text, source=source), input_size=input_size)


def plan_cfg(cfg: Cfg, *, input_size: tuple[int, int] | None = None) -> NetworkPlan:
    """Plan of the network that a parsed cfg describes; otherwise as `plan_network`."""
    head, *sections = (Options(section) for section in cfg.sections)
    if not sections:
        raise head.error("there are no layers after it")
    if len(sections) > MAX_LAYERS:
        raise head.error(f"{len(sections):,} layers are more than the limit of {MAX_LAYERS:,}")
    net, notes = read_net(head, input_size)
    is_image = bool(net.width)
    shape = Shape(net.channels, net.height, net.width) if is_image else Shape(net.inputs, 1, 1)
    _check_map(head, "input", shape)
    layers: list[Layer] = []
    num_floats = 0
    notes += head.unused()
    for options in sections:
        previous = layers[-1].kind if layers else "net"
        layer = build_layer(options, Feed(index=len(layers), shape=shape, is_image=is_image, previous=previous))
        _check_map(options, "output", layer.out_shape)
        num_floats += _checked_floats(options, layer, before=num_floats)
        # dropout and activation only hand on what they get
        is_image = layer.outputs_image and (is_image or layer.kind not in ("dropout", "activation"))
        shape = layer.out_shape
        layers.append(layer)
        notes += options.unused()
    unused = (*cfg.notes, *notes)
    return NetworkPlan(source=cfg.source, text=cfg.text, net=net, layers=tuple(layers), unused=unused)


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


def _check_map(options: Options, name: str, shape: Shape) -> None:
    if shape.size > MAX_MAP_FLOATS:
        raise options.error(f"the {name} {shape} has more than {MAX_MAP_FLOATS:,} values")


def _checked_floats(options: Options, layer: Layer, *, before: int) -> int:
    """The layer's number of floats, if neither it nor the network so far has too many."""
    if layer.num_floats > MAX_LAYER_FLOATS:
        raise options.error(f"{layer.num_floats:,} floats are more than a layer may have ({MAX_LAYER_FLOATS:,})")
    if before + layer.num_floats > MAX_NETWORK_FLOATS:
        raise options.error(f"with this layer the network has more than {MAX_NETWORK_FLOATS:,} floats")
    return layer.num_floats
