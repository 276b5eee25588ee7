"""The plan of a network: a cfg with every layer's shapes worked out and checked. Allocates nothing.

    plan = plan_network(text, source="yolov1.cfg")
    plan.layers[0].blocks    # the arrays that a weights file holds for it
    describe(plan)           # its table

`with_classes` makes the cfg of the same network for another number of classes: two numbers of its text change.
Leaves out: networks that are not a chain of layers (route, shortcut) and everything after YOLOv1.
"""

from __future__ import annotations

from dataclasses import dataclass

from yolo.darknet.cfg import Cfg, Section, parse_cfg
from yolo.darknet.layers import Activation, Connected, Convolutional, Crop, Detection, Layer, Local, Maxpool, Shape
from yolo.darknet.net_section import NetOptions, read_net
from yolo.darknet.sections import Feed, build_layer
from yolo.errors import ConfigError

# Far above every network of this family, and far below what would fill a machine's memory by a typing error.
MAX_LAYERS = 10_000
MAX_LAYER_FLOATS = 2**31
MAX_NETWORK_FLOATS = 2**32
MAX_MAP_FLOATS = 2**31

_RGB_CHANNELS = 3
_VALUES_PER_BOX_AND_CONFIDENCE = 5


@dataclass(frozen=True)
class NetworkPlan:
    """A network as its cfg describes it."""

    source: str  # name of the cfg, for messages
    text: str  # the cfg as it was written
    net: NetOptions
    layers: tuple[Layer, ...]  # one for every further section, each fed by the one before
    unused: tuple[str, ...]  # sentences on options without effect, `line 12: unused key 'foo' in [maxpool]`

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
    def num_frozen(self) -> int:
        """How many layers from the start are not trained: all up to the last one with `stopbackward`."""
        return max((layer.index + 1 for layer in self.layers if layer.stop_backward), default=0)

    @property
    def detection(self) -> Detection | None:
        """The last detection layer."""
        return next((layer for layer in reversed(self.layers) if isinstance(layer, Detection)), None)


def plan_network(text: str, *, source: str = "cfg") -> NetworkPlan:
    """Plan of the network that a cfg text describes; `source` is its name for messages. Errors as `plan_cfg`."""
    return plan_cfg(parse_cfg(text, source=source))


def plan_cfg(cfg: Cfg) -> NetworkPlan:
    """Plan of the network that a parsed cfg describes.

    Raises:
        ConfigError: `SOURCE:LINE: [section] ...` for whatever cannot be built.
    """
    head, *sections = cfg.sections
    if not sections:
        raise head.error("there are no layers after it")
    if len(sections) > MAX_LAYERS:
        raise head.error(f"{len(sections):,} layers are more than the limit of {MAX_LAYERS:,}")
    net, notes = read_net(head)
    is_image = bool(net.width)
    shape = Shape(net.channels, net.height, net.width) if is_image else Shape(net.inputs, 1, 1)
    _check_map(head, "input", shape)
    layers: list[Layer] = []
    num_floats = 0
    notes += head.unused()
    for section in sections:
        previous = layers[-1].kind if layers else "net"
        layer = build_layer(section, Feed(index=len(layers), shape=shape, is_image=is_image, previous=previous))
        _check_map(section, "output", layer.out_shape)
        num_floats += _checked_floats(section, layer, before=num_floats)
        # dropout and activation only hand on what they get
        is_image = layer.outputs_image and (is_image or layer.kind not in ("dropout", "activation"))
        shape = layer.out_shape
        layers.append(layer)
        notes += section.unused()
    unused = (*cfg.notes, *notes)
    return NetworkPlan(source=cfg.source, text=cfg.text, net=net, layers=tuple(layers), unused=unused)


def _check_map(section: Section, name: str, shape: Shape) -> None:
    if shape.size > MAX_MAP_FLOATS:
        raise section.error(f"the {name} {shape} has more than {MAX_MAP_FLOATS:,} values")


def _checked_floats(section: Section, layer: Layer, *, before: int) -> int:
    """The layer's number of floats, if neither it nor the network so far has too many."""
    if layer.num_floats > MAX_LAYER_FLOATS:
        raise section.error(f"{layer.num_floats:,} floats are more than a layer may have ({MAX_LAYER_FLOATS:,})")
    if before + layer.num_floats > MAX_NETWORK_FLOATS:
        raise section.error(f"with this layer the network has more than {MAX_NETWORK_FLOATS:,} floats")
    return layer.num_floats


def with_classes(cfg: Cfg, num_classes: int) -> Cfg:
    """The cfg with `classes` of [detection] and `output` of the [connected] before it changed, if need be.

    Raises:
        ConfigError: the cfg does not end in [connected] (perhaps [dropout]) and [detection].
    """
    layers = plan_cfg(cfg).layers
    detection = layers[-1]
    if not isinstance(detection, Detection) or detection.num_classes == num_classes:
        return cfg
    before = next((layer for layer in reversed(layers[:-1]) if layer.kind != "dropout"), None)
    if not isinstance(before, Connected):
        raise ConfigError(
            f"{cfg.source}:{detection.line}: the network has {detection.num_classes} classes, the data {num_classes}; "
            "change `classes` and the layers before it in the cfg (only a [connected] layer can be changed for you)"
        )
    outputs = detection.side**2 * (_VALUES_PER_BOX_AND_CONFIDENCE * detection.boxes_per_cell + num_classes)
    text = _set_option(cfg, detection.line, "classes", num_classes)
    return parse_cfg(_set_option(parse_cfg(text, source=cfg.source), before.line, "output", outputs), source=cfg.source)


def _set_option(cfg: Cfg, section_line: int, key: str, value: int) -> str:
    """Text of the cfg with another value of a key in the section that begins at a line."""
    lines = cfg.text.split("\n")  # as the parser counts them
    section = next(section for section in cfg.sections if section.line == section_line)
    # Windows line ends stay Windows line ends
    written = f"{key} = {value}" + ("\r" if lines[section_line - 1].endswith("\r") else "")
    option = section.find(key)
    if option is None:  # it was left to its default
        lines.insert(section_line, written)
    else:
        lines[option.line - 1] = written
    return "\n".join(lines)


def detector_classes(plan: NetworkPlan) -> int:
    """Number of classes; ConfigError where the network is not a detector of RGB images."""
    if plan.detection is None:
        raise ConfigError(f"{plan.source}: has no [detection] section: it is a classifier, not a detector")
    if plan.detection is not plan.layers[-1]:
        raise ConfigError(f"{plan.source}:{plan.detection.line}: [detection] must be the last section")
    if plan.in_shape.channels != _RGB_CHANNELS or not plan.net.width:
        raise ConfigError(
            f"{plan.source}: takes inputs of {plan.in_shape}; images here are RGB: width, height and channels=3"
        )
    return plan.detection.num_classes


def check_trainable(plan: NetworkPlan) -> None:
    """ConfigError where `stopbackward` leaves nothing to train."""
    if plan.num_frozen and not any(layer.num_parameters for layer in plan.layers[plan.num_frozen :]):
        last = plan.layers[plan.num_frozen - 1]
        raise ConfigError(
            f"{plan.source}:{last.line}: [{last.kind}] stopbackward=1 leaves nothing to train: no layer after it has "
            "weights. Put it into an earlier section"
        )


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
