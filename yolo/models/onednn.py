"""Convolution and linear layers whose weights are packed for oneDNN once, with the activation in the same pass.

torch's ordinary layers bring their weights into the CPU library's blocked order at every call, which for deep layers
at batch 1 takes longer than the arithmetic. The operators used here are those that torch.compile emits for the CPU;
they need no compiler. Where a build of torch lacks them (`is_available`), ordinary layers are used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from yolo.models.activations import ACTIVATIONS, LEAKY_SLOPE

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
