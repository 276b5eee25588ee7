"""The inference copy of a darknet network: batch norms folded, weights packed, channels-last, any float type.

Convolution and linear layers whose weights are packed for oneDNN once, with the activation in the same pass.

torch's ordinary layers bring their weights into the CPU library's blocked order at every call, which for deep layers
at batch 1 takes longer than the arithmetic. The operators used here are those that torch.compile emits for the CPU;
they need no compiler. Where a build of torch lacks them (`is_available`), ordinary layers are used.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.darknet.network import (
    ACTIVATIONS,
    LEAKY_SLOPE,
    BatchNorm,
    Connected,
    Convolutional,
    DarknetNetwork,
    Local,
    as_answer,
    check_images,
    local,
)


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
        packed = device.type == "cpu" and is_available(dtype)
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
        self.packed = PackedLinear(weights, bias, activation=self.activation) if packed else None
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
            return PackedConv2d(
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


# darknet's name of an activation to the library's name and arguments; others follow as a step of their own
_FUSED_ACTIVATIONS: dict[str, tuple[str, list[float]]] = {
    "leaky": ("leaky_relu", [LEAKY_SLOPE]),
    "linear": ("none", []),
    "logistic": ("sigmoid", []),
    "relu": ("relu", []),
    "tanh": ("tanh", []),
}


def is_available(dtype: torch.dtype) -> bool:
    """True if this build of torch has the operators, and they this type on this processor."""
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return (
        dtype in (torch.float32, torch.bfloat16)
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    )


class PackedConv2d(nn.Module):
    """Convolution, bias and activation in one pass on the CPU, for inference.

    Args:
        weights: (out, in / groups, k, k), float32 or bfloat16.
        bias: (out,), of the same type.
        stride: in both directions.
        padding: zeros on every side.
        groups: of channels.
        activation: darknet's name.
        input_shape: (N, C, H, W) that it will mostly see; others work as well.
    """

    def __init__(
        self,
        weights: Tensor,
        bias: Tensor,
        *,
        stride: int,
        padding: int,
        groups: int,
        activation: str,
        input_shape: tuple[int, int, int, int],
    ) -> None:
        super().__init__()
        self.geometry = ([padding, padding], [stride, stride], [1, 1], groups)
        self.bias = bias
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its annotation lacks the last argument
        self.weights = reorder(weights.to_mkldnn(), *self.geometry, list(input_shape))
        self.fused = _FUSED_ACTIVATIONS.get(activation)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, H', W')."""
        name, scalars = self.fused or ("none", [])
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weights, self.bias, *self.geometry, name, scalars, ""
        )
        return y if self.fused else self.activation(y)


class PackedLinear(nn.Module):
    """Full connection, bias and activation in one pass on the CPU, for inference.

    Args:
        weights: (out, in), float32 or bfloat16.
        bias: (out,), of the same type.
        activation: darknet's name.
    """

    def __init__(self, weights: Tensor, bias: Tensor, *, activation: str) -> None:
        super().__init__()
        self.bias = bias
        self.weights = torch.ops.mkldnn._reorder_linear_weight(weights, 1)
        self.fused = _FUSED_ACTIVATIONS.get(activation)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) to (N, out)."""
        name, scalars = self.fused or ("none", [])
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weights, self.bias, name, scalars, "")
        return y if self.fused else self.activation(y)
