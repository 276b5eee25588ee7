"""Networks from a darknet cfg: the same function, the same numbers, in torch.

A detection network answers with `raw` (N, S, S, D) like every network here; a classifier with the last layer's
values. Losses are no part of a network: [detection] and [cost] only pass values on.

darknet's batch normalisation: its statistics, its epsilon, and on request the arithmetic of its CPU code.

    kind       training normalises with            backward
    standard   the variance over n (as cuDNN,      the exact gradient
               with which the authors trained)
    darknet    the variance over n - 1             darknet's CPU formula, which takes the variance as if over n

Both keep running statistics that start at 0 (torch: mean 0, variance 1), move by 1 % a step, and hold the
variance over n - 1. In evaluation both are y = scale · (x - mean) / (sqrt(variance) + 1e-6) + bias.

Source: darknet src/batchnorm_layer.c, src/blas.c.

darknet's activation functions by name.

Gradients are the true derivatives, as darknet's are, which computes them from the answers.
Source: darknet src/activations.h.

darknet's layers as modules: one for each kind in `yolo.darknet.layers`, made from its record.

Parameters and buffers have the names and shapes that they have in a weights file (`biases`, `weights`, `scales`,
`rolling_mean`, `rolling_variance`; see `block_tensors`), so that reading and writing files needs no table. Initial
values are darknet's, made in place: there is no second copy, and none at all on the meta device.

Shape letters: N batch, C channels, H height, W width, L output places.
Source: darknet src/*_layer.c.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.darknet import layers as plan
from yolo.darknet.layers import Detection, Shape
from yolo.darknet.plan import NetworkPlan, plan_network
from yolo.errors import ConfigError
from yolo.grid import GridSpec

BatchNormKind = Literal["standard", "darknet"]

_MOMENTUM = 0.01
# added to the root when normalising, and to the variance in backward and in cuDNN
_EPS_OUTSIDE, _EPS_INSIDE = 1e-6, 1e-5


class BatchNorm(nn.Module):
    """Batch normalisation over axis 1 of (N, C, H, W) or (N, C).

    The tensors have the names that they have in a weights file.

    Args:
        channels: C.
        kind: see the head of this file.
    """

    def __init__(self, channels: int, kind: BatchNormKind) -> None:
        super().__init__()
        self.kind = kind
        self.scales = nn.Parameter(torch.ones(channels))
        self.biases = nn.Parameter(torch.zeros(channels))
        self.register_buffer("rolling_mean", torch.zeros(channels))
        self.register_buffer("rolling_variance", torch.zeros(channels))
        self.rolling_mean: Tensor
        self.rolling_variance: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; in training also update the running statistics.

        Raises:
            ConfigError: in training, one value per channel only, which has no variance.
        """
        if not self.training:
            factor, shift = self.as_affine()
            return torch.addcmul(_over_channels(shift, x), x, _over_channels(factor, x))
        if x.numel() == x.shape[1]:
            raise ConfigError(
                f"a batch norm cannot train on one value per channel, an input of {tuple(x.shape)}: let more images "
                "pass at a time, with a larger batch_size or fewer subdivisions (the last batch of an epoch may be "
                "smaller, with sampling=replacement it is not)"
            )
        if self.kind == "standard":
            return F.batch_norm(
                x,
                self.rolling_mean,
                self.rolling_variance,
                self.scales,
                self.biases,
                training=True,
                momentum=_MOMENTUM,
                eps=_EPS_INSIDE,
            )
        normalised, mean, variance = _Normalise.apply(x.float())
        with torch.no_grad():
            self.rolling_mean.lerp_(mean, _MOMENTUM)
            self.rolling_variance.lerp_(variance, _MOMENTUM)
        return torch.addcmul(_over_channels(self.biases, x), normalised, _over_channels(self.scales, x))

    def as_affine(self) -> tuple[Tensor, Tensor]:
        """What it does in evaluation as y = factor · x + shift, each (C,)."""
        factor = self.scales / (self.rolling_variance.sqrt() + _EPS_OUTSIDE)
        return factor, self.biases - self.rolling_mean * factor


class _Normalise(torch.autograd.Function):
    """(x - mean) / (sqrt(variance over n - 1) + 1e-6), with the backward pass that darknet's CPU code has."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        axes = _all_but_channels(x)
        variance, mean = torch.var_mean(x, axes, correction=1)
        ctx.save_for_backward(x, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        root = variance.sqrt() + _EPS_OUTSIDE
        return (x - _over_channels(mean, x)) / _over_channels(root, x), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, mean, variance = ctx.saved_tensors
        gradient = gradients[0]
        axes, count = _all_but_channels(x), x.numel() // x.shape[1]
        centred = x - _over_channels(mean, x)
        inverse_root = (variance + _EPS_INSIDE).rsqrt()
        to_mean = -inverse_root * gradient.sum(axes)
        to_variance = -0.5 * inverse_root**3 * (gradient * centred).sum(axes)
        to_x: Tensor = (
            gradient * _over_channels(inverse_root, x)
            + centred * _over_channels(to_variance * 2 / count, x)
            + _over_channels(to_mean / count, x)
        )
        return to_x


def _all_but_channels(x: Tensor) -> list[int]:
    return [axis for axis in range(x.ndim) if axis != 1]


def _over_channels(values: Tensor, x: Tensor) -> Tensor:
    """(C,) shaped to broadcast over axis 1 of `x`."""
    return values.view(1, -1, *[1] * (x.ndim - 2))


LEAKY_SLOPE = 0.1
_RELIE_SLOPE = 0.01
# darknet's constants have fewer digits than the paper of SELU
_SELU_SCALE, _SELU_ALPHA = 1.0507, 1.6732


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAKY_SLOPE)


def _loggy(x: Tensor) -> Tensor:
    return 2 * x.sigmoid() - 1


def _relie(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _RELIE_SLOPE)


def _ramp(x: Tensor) -> Tensor:
    return x.relu() + 0.1 * x


def _selu(x: Tensor) -> Tensor:
    return _SELU_SCALE * F.elu(x, _SELU_ALPHA)


def _plse(x: Tensor) -> Tensor:
    """A sigmoid in three straight pieces."""
    middle = 0.125 * x + 0.5
    return torch.where(x < -4, 0.01 * (x + 4), torch.where(x > 4, 0.01 * (x - 4) + 1, middle))


def _lhtan(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.001 * x, torch.where(x > 1, 0.001 * (x - 1) + 1, x))


def _stair(x: Tensor) -> Tensor:
    """Flat from an even number to the next odd one, then rising by one."""
    whole = x.floor()
    half = (x / 2).floor()
    return torch.where(whole.remainder(2) == 0, half, x - whole + half)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "elu": F.elu,
        "hardtan": F.hardtanh,
        "leaky": _leaky,
        "lhtan": _lhtan,
        "linear": lambda x: x,
        "logistic": torch.sigmoid,
        "loggy": _loggy,
        "plse": _plse,
        "ramp": _ramp,
        "relie": _relie,
        "relu": F.relu,
        "selu": _selu,
        "stair": _stair,
        "tanh": torch.tanh,
    }
)


class Convolutional(nn.Module):
    """Convolution, batch norm or bias, activation."""

    def __init__(self, layer: plan.Convolutional, batch_norm: BatchNormKind) -> None:
        super().__init__()
        self.layer = layer
        shape = layer.blocks[-1].shape
        self.weights = nn.Parameter(torch.empty(shape))
        if not self.weights.is_meta:  # there torch would import its compilers for it, which takes a second and 150 MB
            nn.init.normal_(self.weights, std=math.sqrt(2 / math.prod(shape[1:])))
        self.norm = BatchNorm(layer.filters, batch_norm) if layer.batch_normalize else None
        if self.norm is None:
            self.biases = nn.Parameter(torch.zeros(layer.filters))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, filters, H', W')."""
        layer = self.layer
        bias = self.biases if self.norm is None else None
        y = F.conv2d(x, self.weights, bias, layer.stride, layer.padding, groups=layer.groups)
        return ACTIVATIONS[layer.activation](y if self.norm is None else self.norm(y))


class Connected(nn.Module):
    """Full connection, batch norm or bias, activation."""

    def __init__(self, layer: plan.Connected, batch_norm: BatchNormKind) -> None:
        super().__init__()
        self.layer = layer
        inputs = layer.in_shape.size
        limit = math.sqrt(2 / inputs)
        self.weights = nn.Parameter(torch.empty(layer.outputs, inputs).uniform_(-limit, limit))
        self.norm = BatchNorm(layer.outputs, batch_norm) if layer.batch_normalize else None
        if self.norm is None:
            self.biases = nn.Parameter(torch.zeros(layer.outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), read in that order, to (N, outputs, 1, 1)."""
        y = F.linear(x.flatten(1), self.weights, self.biases if self.norm is None else None)
        y = y if self.norm is None else self.norm(y)
        return ACTIVATIONS[self.layer.activation](y)[:, :, None, None]


class Local(nn.Module):
    """A convolution with weights and biases of its own at every output place."""

    def __init__(self, layer: plan.Local) -> None:
        super().__init__()
        self.layer = layer
        biases, weights = layer.blocks
        self.biases = nn.Parameter(torch.zeros(biases.shape))
        self.weights = nn.Parameter(torch.zeros(weights.shape))
        # darknet fills the weights of the first place only, surely by mistake; the others learn from 0
        limit = math.sqrt(2 / math.prod(weights.shape[3:]))
        with torch.no_grad():
            self.weights[0, 0].uniform_(-limit, limit)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, filters, H', W')."""
        return local(x, self.weights, self.biases, self.layer)


def local(x: Tensor, weights: Tensor, biases: Tensor, layer: plan.Local) -> Tensor:
    """What a local layer computes, with weights and biases in the shapes of its blocks."""
    patches = F.unfold(x, layer.size, padding=layer.padding, stride=layer.stride)  # (N, C·k·k, L)
    by_place = weights.flatten(0, 1).flatten(2)  # (L, filters, C·k·k)
    y = torch.bmm(by_place, patches.permute(2, 1, 0))  # (L, filters, N)
    return ACTIVATIONS[layer.activation](y.permute(2, 1, 0).unflatten(2, layer.out_shape[1:]) + biases)


class Maxpool(nn.Module):
    """Maximum of windows; the output's side is (in + padding - size) // stride + 1."""

    def __init__(self, layer: plan.Maxpool) -> None:
        super().__init__()
        self.layer = layer
        before = layer.padding // 2
        sides = zip(layer.in_shape[1:], layer.out_shape[1:], strict=True)
        # no more than the last window needs, or there would be one window more
        after_h, after_w = [max(0, (out - 1) * layer.stride + layer.size - before - side) for side, out in sides]
        self.padding = (before, after_w, before, after_h)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        if any(self.padding):
            # what darknet takes for minus infinity where a window lies outside the image
            x = F.pad(x, self.padding, value=torch.finfo(x.dtype).min)
        return F.max_pool2d(x, self.layer.size, self.layer.stride)


class Avgpool(nn.Module):
    """Mean of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        return x.mean(dim=(2, 3), keepdim=True)


class Crop(nn.Module):
    """A window of the image: central, in training at a random place and sometimes mirrored, one draw a batch.

    Values are moved from [0, 1] to [-1, 1] unless the layer says `noadjust`. The change of colours that darknet's GPU
    code makes here is part of the training samples instead.
    """

    def __init__(self, layer: plan.Crop) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        _, height, width = self.layer.out_shape
        spare_h, spare_w = x.shape[2] - height, x.shape[3] - width
        top, left, mirrored = spare_h // 2, spare_w // 2, False
        if self.training:
            top, left = (int(torch.randint(spare + 1, ())) for spare in (spare_h, spare_w))
            mirrored = self.layer.flip and bool(torch.randint(2, ()))
        x = x.flip(3) if mirrored else x
        window = x[:, :, top : top + height, left : left + width]
        return window if self.layer.noadjust else 2 * window - 1


class Softmax(nn.Module):
    """Softmax over each of the layer's groups of values."""

    def __init__(self, layer: plan.Softmax) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        groups: Tensor = x.flatten(1).unflatten(1, (self.layer.groups, -1))
        return (groups / self.layer.temperature).softmax(dim=-1).reshape(x.shape)


class Activation(nn.Module):
    """An activation on its own."""

    def __init__(self, layer: plan.Activation) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return ACTIVATIONS[self.layer.activation](x)


_MAKERS: dict[type[plan.Layer], Callable[[Any, BatchNormKind], nn.Module]] = {
    plan.Convolutional: Convolutional,
    plan.Connected: Connected,
    plan.Batchnorm: lambda layer, batch_norm: BatchNorm(layer.in_shape.channels, batch_norm),
    plan.Local: lambda layer, _: Local(layer),
    plan.Maxpool: lambda layer, _: Maxpool(layer),
    plan.Avgpool: lambda layer, _: Avgpool(),
    plan.Dropout: lambda layer, _: nn.Dropout(layer.probability),
    plan.Crop: lambda layer, _: Crop(layer),
    plan.Softmax: lambda layer, _: Softmax(layer),
    plan.Activation: lambda layer, _: Activation(layer),
    # these only pass values on: darknet's losses are not part of the network here
    plan.Cost: lambda layer, _: nn.Identity(),
    plan.Detection: lambda layer, _: nn.Identity(),
}


def make_layer(layer: plan.Layer, batch_norm: BatchNormKind) -> nn.Module:
    """The module of a layer's record, with darknet's initial values."""
    return _MAKERS[type(layer)](layer, batch_norm)


def block_tensors(module: nn.Module) -> dict[str, Tensor]:
    """A layer's parameters and buffers under the names that they have in a weights file."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name.rpartition(".")[2]: tensor for name, tensor in named}


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetSpec:
    """Everything that is needed to build a darknet network again; saved with its weights.

    Attributes:
        cfg: text of the cfg.
        batch_norm: arithmetic of batch norms in training, see `models.batch_norm`.

    Raises:
        ConfigError: no such arithmetic.
        TypeError: `cfg` is no text.
    """

    cfg: str
    batch_norm: BatchNormKind = "standard"

    def __post_init__(self) -> None:
        if not isinstance(self.cfg, str):
            raise TypeError(f"cfg must be text, not {self.cfg!r}")
        if self.batch_norm not in get_args(BatchNormKind):
            kinds = " or ".join(get_args(BatchNormKind))
            raise ConfigError(f"batch_norm must be {kinds}, not {self.batch_norm!r}")

    @property
    def plan(self) -> NetworkPlan:
        """The checked cfg."""
        return _plan(self.cfg)

    @property
    def name(self) -> str:
        """What to call the network in a line of text."""
        return f"darknet network of {len(self.plan.layers)} layers"

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the input; connected layers allow no other."""
        return self.plan.net.height, self.plan.net.width

    def grid(self, input_hw: tuple[int, int]) -> GridSpec:
        """The grid; ValueError for an input of another size, or where the network is no detector."""
        if input_hw != self.input_hw:
            height, width = self.input_hw
            raise ValueError(f"the cfg's input is {width}x{height} (width x height), not {input_hw[1]}x{input_hw[0]}")
        detection = self.plan.detection
        if detection is None:
            raise ValueError("the cfg has no [detection] layer: the network is no detector")
        return grid_of(detection)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"cfg": self.cfg, "batch_norm": self.batch_norm}


class DarknetNetwork(nn.Module):
    """The layers of a cfg, one after the other.

    Args:
        spec: what to build. Initial weights are darknet's random ones.
    """

    def __init__(self, spec: DarknetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.layers = nn.ModuleList(make_layer(layer, spec.batch_norm) for layer in spec.plan.layers)
        self.in_shape = spec.plan.in_shape
        self.grid = None if spec.plan.detection is None else grid_of(spec.plan.detection)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W), uint8 or float 0..1, to raw (N, S, S, D), or a classifier's (N, K).

        Raises:
            ValueError: images of another shape than the cfg's.
        """
        check_images(images, self.in_shape)
        values = images.float() / 255 if images.dtype == torch.uint8 else images
        for layer in self.layers:
            values = layer(values)
        return as_answer(values, self.grid)


def check_images(images: Tensor, in_shape: Shape) -> None:
    """Refuse images of another shape: pools have the windows of the cfg's, and would leave out the rest."""
    if tuple(images.shape[1:]) != in_shape:
        raise ValueError(f"the cfg's input is (N, {', '.join(map(str, in_shape))}), not {tuple(images.shape)}")


def as_answer(values: Tensor, grid: GridSpec | None) -> Tensor:
    """The last layer's values (N, C, H, W) as raw (N, S, S, D), or flat (N, K) where there is no grid."""
    flat = values.flatten(1)
    return flat if grid is None else grid.from_blocks(flat)


def grid_of(detection: Detection) -> GridSpec:
    """The grid that a [detection] layer describes."""
    return GridSpec(
        grid_size=detection.side,
        boxes_per_cell=detection.boxes_per_cell,
        num_classes=detection.num_classes,
        coding="linear",
        root_sizes=detection.sqrt,
        class_softmax=detection.softmax,
    )


@lru_cache(maxsize=8)
def _plan(text: str) -> NetworkPlan:
    return plan_network(text)
