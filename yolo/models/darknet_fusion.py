"""The inference copy of a darknet network: batch norms folded, weights packed, channels-last, any float type."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.models import onednn
from yolo.models.activations import ACTIVATIONS
from yolo.models.batch_norm import BatchNorm
from yolo.models.darknet import DarknetNetwork, as_answer, check_images
from yolo.models.darknet_layers import Connected, Convolutional, Local, local


class DarknetInference(nn.Module):
    """The same function as a network in evaluation mode, faster, not trainable.

    Answers equal the plain network's to rounding. Weights that need no change are shared with the original.

    Args:
        network: on the CPU; not changed.
        device: where it will run.
        dtype: float32, bfloat16 or float16.
    """

    def __init__(self, network: DarknetNetwork, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.spec, self.grid, self.dtype = network.spec, network.grid, dtype
        self.in_shape = network.in_shape
        packed = device.type == "cpu" and onednn.is_available(dtype)
        with torch.no_grad():
            self.layers = nn.ModuleList(_inference_layer(layer, packed=packed, dtype=dtype) for layer in network.layers)
        self.requires_grad_(False)
        self.to(device).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W), uint8 or float 0..1, to raw (N, S, S, D), or a classifier's (N, K).

        Raises:
            ValueError: images of another shape than the cfg's.
        """
        check_images(images, self.in_shape)
        values = images.contiguous(memory_format=torch.channels_last)
        values = values.to(self.dtype) / 255 if images.dtype == torch.uint8 else values.to(self.dtype)
        for layer in self.layers:
            values = layer(values)
        return as_answer(values, self.grid)


class _Convolution(nn.Module):
    """Convolution with bias, then the activation, in torch's ordinary operators."""

    def __init__(self, layer: Convolutional, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.layer = layer.layer
        self.weights = nn.Parameter(weights.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        y = F.conv2d(x, self.weights, self.bias, layer.stride, layer.padding, groups=layer.groups)
        return ACTIVATIONS[layer.activation](y)


class _Connection(nn.Module):
    """Full connection with bias, then the activation; packed or in ordinary operators."""

    def __init__(self, layer: Connected, weights: Tensor, bias: Tensor, *, packed: bool) -> None:
        super().__init__()
        self.activation = layer.layer.activation
        self.packed = onednn.PackedLinear(weights, bias, activation=self.activation) if packed else None
        if self.packed is None:
            self.weights, self.bias = nn.Parameter(weights), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        if self.packed is None:
            y = ACTIVATIONS[self.activation](F.linear(flat, self.weights, self.bias))
        else:
            y = self.packed(flat)
        return y[:, :, None, None]


class _Local(nn.Module):
    """A local layer; where the type does not change, its weights are those of the original."""

    def __init__(self, layer: Local, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer.layer
        self.weights = nn.Parameter(layer.weights.detach().to(dtype))
        self.biases = nn.Parameter(layer.biases.detach().to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        return local(x, self.weights, self.biases, self.layer)


class _Affine(nn.Module):
    """A batch norm of its own, in evaluation."""

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.factor, self.shift = nn.Parameter(factor[:, None, None]), nn.Parameter(shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.factor)


def _inference_layer(layer: nn.Module, *, packed: bool, dtype: torch.dtype) -> nn.Module:
    """What computes the same as `layer` in evaluation mode."""
    match layer:
        case Convolutional():
            weights, bias = (tensor.to(dtype) for tensor in _folded(layer))
            if not packed:
                return _Convolution(layer, weights, bias)
            plan = layer.layer
            return onednn.PackedConv2d(
                weights,
                bias,
                stride=plan.stride,
                padding=plan.padding,
                groups=plan.groups,
                activation=plan.activation,
                input_shape=(1, *plan.in_shape),
            )
        case Connected():
            weights, bias = (tensor.to(dtype) for tensor in _folded(layer))
            return _Connection(layer, weights, bias, packed=packed)
        case Local():
            return _Local(layer, dtype)
        case BatchNorm():
            factor, shift = layer.as_affine()
            return _Affine(factor.to(dtype), shift.to(dtype))
        case nn.Dropout():
            return nn.Identity()
    # the others hold no tensors; a copy of their own, because they may behave otherwise in training
    return copy.copy(layer)


def _folded(layer: Convolutional | Connected) -> tuple[Tensor, Tensor]:
    """Weights and bias with the batch norm multiplied in."""
    if layer.norm is None:
        return layer.weights.detach(), layer.biases.detach()
    factor, shift = layer.norm.as_affine()
    return layer.weights.detach() * factor.view(-1, *[1] * (layer.weights.ndim - 1)), shift
