"""The inference copy of a darknet network: batch norms folded, weights packed, channels-last, any float type.

On the CPU convolutions and connected layers are packed for oneDNN once, with the activation in the same pass. torch's
ordinary layers bring their weights into the library's blocked order at every call, which for deep layers at batch 1
takes longer than the arithmetic. The operators used here are those that torch.compile emits for the CPU; they need no
compiler. Where a build of torch lacks them (`is_available`), ordinary operators are used.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.darknet import layers as plan
from yolo.darknet.modules import ACTIVATIONS, LEAKY_SLOPE, BatchNorm, Connected, Convolutional, Local, local
from yolo.darknet.network import DarknetNetwork, as_answer, check_images

# darknet's name of an activation to oneDNN's name and arguments; others follow as a step of their own
_FUSED_ACTIVATIONS: dict[str, tuple[str, list[float]]] = {
    "leaky": ("leaky_relu", [LEAKY_SLOPE]),
    "linear": ("none", []),
    "logistic": ("sigmoid", []),
    "relu": ("relu", []),
    "tanh": ("tanh", []),
}


def is_available(dtype: torch.dtype) -> bool:
    """True if this build of torch has the packed operators, and they this type on this processor."""
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return (
        dtype in (torch.float32, torch.bfloat16)
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
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
            self.layers = nn.ModuleList(inference_layer(layer, packed=packed, dtype=dtype) for layer in network.layers)
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


def inference_layer(layer: nn.Module, *, packed: bool, dtype: torch.dtype) -> nn.Module:
    """What computes the same as `layer` in evaluation mode."""
    match layer:
        case Convolutional():
            return FoldedConvolution(layer.layer, *_folded(layer, dtype), packed=packed)
        case Connected():
            return FoldedConnection(layer.layer.activation, *_folded(layer, dtype), packed=packed)
        case Local():
            return _Local(layer, dtype)
        case BatchNorm():
            factor, shift = layer.as_affine()
            return _Affine(factor.to(dtype), shift.to(dtype))
        case nn.Dropout():
            return nn.Identity()
    # the others hold no tensors; a copy of their own, because they may behave otherwise in training
    return copy.copy(layer)


def _folded(layer: Convolutional | Connected, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights and bias with the batch norm multiplied in."""
    if layer.norm is None:
        return layer.weights.detach().to(dtype), layer.biases.detach().to(dtype)
    factor, shift = layer.norm.as_affine()
    weights = layer.weights.detach() * factor.view(-1, *[1] * (layer.weights.ndim - 1))
    return weights.to(dtype), shift.to(dtype)


class FoldedConvolution(nn.Module):
    """Convolution, bias and activation, for inference.

    Args:
        layer: its geometry and activation.
        weights: (out, in / groups, k, k), float32 or bfloat16 where packed.
        bias: (out,), of the same type.
        packed: use oneDNN's operators, on the CPU; for `layer`'s input shape first of all, others work as well.
    """

    def __init__(self, layer: plan.Convolutional, weights: Tensor, bias: Tensor, *, packed: bool) -> None:
        super().__init__()
        self.geometry = ([layer.padding] * 2, [layer.stride] * 2, [1, 1], layer.groups)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.fused = _FUSED_ACTIVATIONS.get(layer.activation) if packed else None
        self.activation = ACTIVATIONS["linear" if self.fused else layer.activation]
        self.packed = packed
        if packed:
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its annotation lacks the last argument
            self.weights: Tensor = reorder(weights.to_mkldnn(), *self.geometry, [1, *layer.in_shape])
        else:
            self.weights = nn.Parameter(weights.contiguous(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, H', W')."""
        if not self.packed:
            padding, stride, dilation, groups = self.geometry
            return self.activation(F.conv2d(x, self.weights, self.bias, stride, padding, dilation, groups))
        name, scalars = self.fused or ("none", [])
        return self.activation(
            torch.ops.mkldnn._convolution_pointwise(x, self.weights, self.bias, *self.geometry, name, scalars, "")
        )


class FoldedConnection(nn.Module):
    """Full connection, bias and activation, for inference.

    Args:
        activation: darknet's name.
        weights: (out, in), float32 or bfloat16 where packed.
        bias: (out,), of the same type.
        packed: use oneDNN's operators, on the CPU.
    """

    def __init__(self, activation: str, weights: Tensor, bias: Tensor, *, packed: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.fused = _FUSED_ACTIVATIONS.get(activation) if packed else None
        self.activation = ACTIVATIONS["linear" if self.fused else activation]
        self.packed = packed
        self.weights: Tensor = torch.ops.mkldnn._reorder_linear_weight(weights, 1) if packed else nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), read in that order, to (N, out, 1, 1)."""
        x = x.flatten(1)
        if self.packed:
            name, scalars = self.fused or ("none", [])
            y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weights, self.bias, name, scalars, "")
        else:
            y = F.linear(x, self.weights, self.bias)
        return self.activation(y)[:, :, None, None]


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
