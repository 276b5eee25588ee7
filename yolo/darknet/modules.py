"""darknet's layers as torch modules, one for each kind of record in `layers.py`, with its activations and batch norm.

Parameters and buffers have the names and shapes that they have in a weights file (`biases`, `weights`, `scales`,
`rolling_mean`, `rolling_variance`; see `block_tensors`), so that reading and writing files needs no table. Initial
values are darknet's, made in place: there is no second copy, and none at all on the meta device.

Batch norms have one of two kinds of arithmetic in training:

    standard   normalises with the variance over n (as cuDNN, with which the authors trained); exact gradient
    darknet    normalises with the variance over n - 1, as darknet's CPU code, whose gradient takes it as if over n

Both keep running statistics that start at 0 (torch: mean 0, variance 1), move by 1 % a step, and hold the variance
over n - 1. In evaluation both are y = scale · (x - mean) / (sqrt(variance) + 1e-6) + bias.

Shape letters: N batch, C channels, H height, W width, L output places.
Source: darknet src/*_layer.c, src/blas.c, src/activations.h (gradients of activations are the true derivatives).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.darknet import layers
from yolo.errors import ConfigError

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
        alone: a [batchnorm] section. darknet has no update for it, so that its scales stay as they were loaded, and
            no place in a weights file for its biases, which therefore are 0 and not there at all.
    """

    def __init__(self, channels: int, kind: BatchNormKind, *, alone: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.alone = alone
        self.scales: Tensor
        if alone:
            self.register_buffer("scales", torch.ones(channels))
        else:
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
                None if self.alone else self.biases,
                training=True,
                momentum=_MOMENTUM,
                eps=_EPS_INSIDE,
            )
        normalised: Tensor
        normalised, mean, variance = _Normalise.apply(x.float())
        with torch.no_grad():
            self.rolling_mean.lerp_(mean, _MOMENTUM)
            self.rolling_variance.lerp_(variance, _MOMENTUM)
        scaled: Tensor = normalised * _over_channels(self.scales, x)
        return scaled if self.alone else scaled + _over_channels(self.biases, x)

    def as_affine(self) -> tuple[Tensor, Tensor]:
        """What it does in evaluation as y = factor · x + shift, each (C,)."""
        factor = self.scales / (self.rolling_variance.sqrt() + _EPS_OUTSIDE)
        shift = -self.rolling_mean * factor
        return factor, shift if self.alone else self.biases + shift


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
        "leaky": partial(F.leaky_relu, negative_slope=LEAKY_SLOPE),
        "lhtan": _lhtan,
        "linear": lambda x: x,
        "logistic": torch.sigmoid,
        "loggy": lambda x: 2 * x.sigmoid() - 1,
        "plse": _plse,
        "ramp": lambda x: x.relu() + 0.1 * x,
        "relie": partial(F.leaky_relu, negative_slope=_RELIE_SLOPE),
        "relu": F.relu,
        "selu": lambda x: _SELU_SCALE * F.elu(x, _SELU_ALPHA),
        "stair": _stair,
        "tanh": torch.tanh,
    }
)


class Convolutional(nn.Module):
    """Convolution, batch norm or bias, activation."""

    def __init__(self, layer: layers.Convolutional, batch_norm: BatchNormKind) -> None:
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

    def __init__(self, layer: layers.Connected, batch_norm: BatchNormKind) -> None:
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

    def __init__(self, layer: layers.Local) -> None:
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


def local(x: Tensor, weights: Tensor, biases: Tensor, layer: layers.Local) -> Tensor:
    """What a local layer computes, with weights and biases in the shapes of its blocks."""
    patches = F.unfold(x, layer.size, padding=layer.padding, stride=layer.stride)  # (N, C·k·k, L)
    by_place = weights.flatten(0, 1).flatten(2)  # (L, filters, C·k·k)
    y = torch.bmm(by_place, patches.permute(2, 1, 0))  # (L, filters, N)
    return ACTIVATIONS[layer.activation](y.permute(2, 1, 0).unflatten(2, layer.out_shape[1:]) + biases)


class Maxpool(nn.Module):
    """Maximum of windows; the output's side is (in + padding - size) // stride + 1."""

    def __init__(self, layer: layers.Maxpool) -> None:
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

    def __init__(self, layer: layers.Crop) -> None:
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

    def __init__(self, layer: layers.Softmax) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        groups: Tensor = x.flatten(1).unflatten(1, (self.layer.groups, -1))
        return (groups / self.layer.temperature).softmax(dim=-1).reshape(x.shape)


class Activation(nn.Module):
    """An activation on its own."""

    def __init__(self, layer: layers.Activation) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return ACTIVATIONS[self.layer.activation](x)


_MAKERS: dict[type[layers.Layer], Callable[[Any, BatchNormKind], nn.Module]] = {
    layers.Convolutional: Convolutional,
    layers.Connected: Connected,
    layers.Batchnorm: lambda layer, batch_norm: BatchNorm(layer.in_shape.channels, batch_norm, alone=True),
    layers.Local: lambda layer, _: Local(layer),
    layers.Maxpool: lambda layer, _: Maxpool(layer),
    layers.Avgpool: lambda layer, _: Avgpool(),
    layers.Dropout: lambda layer, _: nn.Dropout(layer.probability),
    layers.Crop: lambda layer, _: Crop(layer),
    layers.Softmax: lambda layer, _: Softmax(layer),
    layers.Activation: lambda layer, _: Activation(layer),
    # these only pass values on: darknet's losses are not part of the network here
    layers.Cost: lambda layer, _: nn.Identity(),
    layers.Detection: lambda layer, _: nn.Identity(),
}


def make_layer(layer: layers.Layer, batch_norm: BatchNormKind) -> nn.Module:
    """The module of a layer's record, with darknet's initial values."""
    return _MAKERS[type(layer)](layer, batch_norm)


def block_tensors(module: nn.Module) -> dict[str, Tensor]:
    """A layer's parameters and buffers under the names that they have in a weights file."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name.rpartition(".")[2]: tensor for name, tensor in named}
