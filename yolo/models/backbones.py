"""Any classifier of torchvision or timm, or efficientnet_lite0, as a backbone that answers with feature maps.

The network is traced once; the last map of every stride (4, 8, 16, 32) before the classifier's pooling is tapped.
Nothing is listed by family, so new torchvision classifiers work when they appear. Left out: networks without a
map of halving resolution (plain vision transformers).
"""

from __future__ import annotations

import difflib
import math
import warnings
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Interpreter, Node
from torch.fx.proxy import TraceError

from yolo.errors import ConfigError
from yolo.light_torchvision import NodePathTracer, create_feature_extractor, torchvision
from yolo.models.depthwise import use_mixed_depthwise
from yolo.models.efficientnet_lite import EFFICIENTNET_LITE0, EFFICIENTNET_PIXELS, EfficientNetLite0

TIMM = "timm:"  # what the names of timm's classifiers begin with

_PROBE_SIZE = 128
_STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Tap:
    """One feature map of a backbone: the traced node that makes it, its stride and its channels."""

    node: str
    stride: int
    channels: int


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """The images that a classifier's published weights were trained on, where pixels are in 0..1."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # R, G, B; of ImageNet, as torchvision's
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    is_rotated: bool = False  # by 180 degrees, see `efficientnet_lite`


_KNOWN_TAPS: dict[str, list[Tap]] = {}


class Backbone(nn.Module):
    """A classifier cut down to the maps at its taps.

    Args:
        name: as in `build_classifier`, such as `resnet18`.
        lowest_stride: maps of a finer stride than this are not computed for their own sake.
        highest_stride: layers beyond this stride are cut off.

    Raises:
        ConfigError: no such classifier, or it has no usable maps.
    """

    def __init__(self, name: str, *, lowest_stride: int, highest_stride: int) -> None:
        super().__init__()
        classifier = build_classifier(name)
        if name not in _KNOWN_TAPS:  # a training builds its network twice
            _KNOWN_TAPS[name] = find_taps(classifier, name)
        taps = [tap for tap in _KNOWN_TAPS[name] if lowest_stride <= tap.stride <= highest_stride]
        if not taps:
            raise ConfigError(
                f"backbone {name}: has no feature map of a stride from {lowest_stride} to {highest_stride}; "
                "choose another backbone or another input_size / grid_size"
            )
        self.name = name
        self.pixels = _pixel_format(name, classifier)
        self.taps = tuple(taps)
        self.body = create_feature_extractor(classifier, [tap.node for tap in taps])
        for graph in (self.body.train_graph, self.body.eval_graph):
            keep_shuffles_channels_last(graph)
        use_mixed_depthwise(self.body.train_graph, dict(self.body.named_modules()))
        self.body.recompile()  # the code of the graph of training, which was made before the change

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, 3, H, W) to one map (N, channels, H/stride, W/stride) per tap, finest first."""
        maps: dict[str, Tensor] = self.body(images)
        return [maps[tap.node] for tap in self.taps]


def _pixel_format(name: str, classifier: nn.Module) -> PixelFormat:
    if name == EFFICIENTNET_LITE0:
        return PixelFormat(*EFFICIENTNET_PIXELS, is_rotated=True)
    if name.startswith(TIMM):
        published: Any = classifier.pretrained_cfg
        return PixelFormat(tuple(published["mean"]), tuple(published["std"]))
    return PixelFormat()


def keep_shuffles_channels_last(graph: Graph) -> None:
    """Replace shufflenet's channel shuffles by torch's own operator, which keeps channels-last memory.

    torchvision spells a shuffle view - transpose - contiguous - view, whose result is in the other memory order:
    every layer after it converts or runs slowly.
    """
    for node in list(graph.nodes):
        chain = [node]
        while len(chain) < 4 and chain[-1].args and isinstance(chain[-1].args[0], Node):
            chain.append(chain[-1].args[0])
        if [link.target for link in chain] == ["view", "contiguous", torch.transpose, "view"]:
            source, _, groups, *_ = chain[-1].args
            with graph.inserting_after(node):
                shuffled = graph.call_function(F.channel_shuffle, (source, groups))
            node.replace_all_uses_with(shuffled)
    graph.eliminate_dead_code()
    graph.lint()


def build_classifier(name: str, *, pretrained: bool = False) -> nn.Module:
    """A classifier with random weights.

    Args:
        name: efficientnet_lite0, the name of a torchvision classifier, or `timm:` and the name of one of timm's.
        pretrained: of timm's only: with its published weights, which it downloads if they are not in its cache.

    Raises:
        ConfigError: no such classifier, with near names; or timm is not installed.
    """
    check_backbone(name)
    if name == EFFICIENTNET_LITE0:
        return EfficientNetLite0()
    classifier: nn.Module
    if name.startswith(TIMM):
        import timm

        classifier = timm.create_model(name.removeprefix(TIMM), pretrained=pretrained)
    else:
        with warnings.catch_warnings():
            # inception and googlenet announce that another release will initialise them in another way
            warnings.simplefilter("ignore", FutureWarning)
            classifier = torchvision.models.get_model(name, weights=None)
    return classifier


def check_backbone(name: str) -> None:
    """ConfigError, with near names, unless there is a classifier of that name."""
    if name.startswith(TIMM):
        try:
            import timm
        except ImportError as error:
            raise ConfigError(f"backbone {name}: needs the package timm: pip install 'gridyolo[timm]'") from error
        if not timm.is_model(name.removeprefix(TIMM)):
            hint = _near_names(name, [TIMM + known for known in timm.list_models()], otherwise="see timm.list_models()")
            raise ConfigError(f"backbone {name!r}: timm has no such model; {hint}")
        return
    names = [EFFICIENTNET_LITE0, *torchvision.models.list_models(module=torchvision.models)]
    if name not in names:
        hint = _near_names(name, names, otherwise="see torchvision.models.list_models()")
        raise ConfigError(f"backbone {name!r} is neither {EFFICIENTNET_LITE0} nor a torchvision classifier; {hint}")


def _near_names(name: str, names: list[str], *, otherwise: str) -> str:
    near = difflib.get_close_matches(name, names, n=4)
    return f"did you mean {', '.join(near)}?" if near else otherwise


@torch.no_grad()
def find_taps(classifier: nn.Module, name: str = "") -> list[Tap]:
    """The last feature map of every stride, finest first.

    Only points are considered through which the whole network passes (not the inside of a residual block). A
    classifier often ends with a 1x1 convolution that only widens the map for pooling (`conv5` of shufflenet,
    the last `features` of mobilenet and efficientnet). It is costly and made for whole images: the map before
    it is taken.

    Raises:
        ConfigError: the network cannot be traced, or runs on one image size only.
    """
    was_training = classifier.training
    classifier.eval()
    tracer = NodePathTracer(autowrap_modules=(math, torchvision.ops), leaf_modules=_torchvision_layers())
    try:
        graph = tracer.trace(classifier)
        probe = torch.zeros(1, 3, _PROBE_SIZE, _PROBE_SIZE)
        shapes = _Shapes(GraphModule(classifier, graph))
        shapes.run(probe)
    except (RuntimeError, TraceError, AssertionError) as error:
        raise ConfigError(
            f"backbone {name or type(classifier).__name__}: does not take images of any size; choose another"
        ) from error
    finally:
        classifier.train(was_training)
    widening = _final_widening(classifier)
    taps: dict[int, Tap] = {}
    for node in _passed_by_all(list(graph.nodes)):
        layer = tracer.node_to_qualname.get(node, "")
        shape = _map_shape(shapes.of.get(node, ()))
        if shape is None or (widening and (layer == widening or layer.startswith(widening + "."))):
            continue
        channels, side = shape
        stride = _PROBE_SIZE // side
        if side * stride == _PROBE_SIZE and stride in _STRIDES:
            taps[stride] = Tap(layer, stride, channels)
    return [taps[stride] for stride in sorted(taps)]


def _torchvision_layers() -> list[type[nn.Module]]:
    """Layers that torchvision's feature extraction does not look into; nodes must be named as it names them."""
    members = vars(torchvision.ops).values()
    return [layer for layer in members if isinstance(layer, type) and issubclass(layer, nn.Module)]


def _passed_by_all(nodes: list[Node]) -> list[Node]:
    """Nodes whose value is all that later nodes know of earlier ones."""
    position = {node: place for place, node in enumerate(nodes)}
    passed: list[Node] = []
    last_use = 0
    for place, node in enumerate(nodes):
        if last_use <= place and node.op in ("call_module", "call_function", "call_method"):
            passed.append(node)
        last_use = max([last_use, *(position[user] for user in node.users)])
    return passed


class _Shapes(Interpreter):
    """Runs a traced network and notes the shape of every tensor; importing torch's `ShapeProp` takes half a second."""

    def __init__(self, network: GraphModule) -> None:
        super().__init__(network)
        self.of: dict[Node, tuple[int, ...]] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.of[n] = tuple(value.shape)
        return value


def _map_shape(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """(channels, side) of a square NCHW map of at least 4x4; None for anything else."""
    if len(shape) != 4:
        return None
    _, channels, height, width = shape
    return (channels, height) if height == width >= _PROBE_SIZE // _STRIDES[-1] else None


def _final_widening(classifier: nn.Module) -> str | None:
    """Name of the module before pooling that is nothing but one 1x1 convolution, or None."""
    for name, module in _stages(classifier)[::-1]:
        convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
        if convs:
            only = convs[0]
            widens = len(convs) == 1 and only.kernel_size == (1, 1) and only.out_channels > only.in_channels
            return name if widens else None
    return None


def _stages(classifier: nn.Module) -> list[tuple[str, nn.Module]]:
    """The classifier's stages by name: its children, or the children of `features` where it has that."""
    features = getattr(classifier, "features", None)
    if isinstance(features, nn.Sequential):
        return [(f"features.{name}", child) for name, child in features.named_children()]
    return list(classifier.named_children())
