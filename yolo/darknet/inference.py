"""The inference copy of a darknet network: batch norms folded, weights packed, channels-last, any float type.

On the CPU convolutions and connected layers are packed for oneDNN once, with the activation in the same pass. torch's
ordinary layers bring their weights into the library's blocked order at every call, which for deep layers at batch 1
takes longer than the arithmetic. The operators used here are those that torch.compile emits for the CPU; they need no
compiler. Where a build of torch lacks them (`is_available`), ordinary operators are used.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.darknet.modules import ACTIVATIONS, LEAKY_SLOPE, BatchNorm, Connected, Convolutional, Local, local
from yolo.darknet.network import DarknetNetwork, as_answer, check_images
from yolo.darknet.weights import row_slices

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

    Answers equal the plain network's to rounding. Weights that need no change are shared with the original, unless
    those are views of a file.

    Args:
        network: on the CPU; not changed unless `release`.
        device: where it will run.
        dtype: float32, bfloat16 or float16.
        release: take each layer out of `network` as soon as it is copied, so that there are never two of all.
    """

    def __init__(
        self, network: DarknetNetwork, device: torch.device, dtype: torch.dtype, *, release: bool = False
    ) -> None:
        super().__init__()
        self.spec, self.grid, self.dtype = network.spec, network.grid, dtype
        self.in_shape = network.in_shape
        packed = device.type == "cpu" and is_available(dtype)
        copying = Copying(dtype=dtype, packed=packed, release_pages=network.release_pages)
        self.layers = nn.ModuleList()
        with torch.no_grad():
            for index, layer in enumerate(network.layers):
                self.layers.append(inference_layer(layer, copying))
                if release:
                    network.layers[index] = nn.Identity()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """How tensors get into the copy."""

    dtype: torch.dtype  # float32, bfloat16 or float16
    packed: bool  # use oneDNN's operators, on the CPU
    # of weights in a mapped file: called after each piece that was read; None for weights in memory
    release_pages: Callable[[], None] | None = None

    def pieces(self, tensor: Tensor, factor: Tensor | None = None) -> Iterator[Tensor]:
        """Rows of a tensor in pieces of bounded memory, multiplied with `factor` (one for each row).

        A piece is good until the next one: it may be a view of the original, or of the file.
        """
        for rows in row_slices(tensor.shape):
            piece = tensor.detach()[rows]
            if factor is not None:
                piece = piece * factor[rows].view(-1, *[1] * (tensor.ndim - 1))
            yield piece.to(self.dtype)
            if self.release_pages is not None:
                self.release_pages()

    def whole(self, tensor: Tensor, factor: Tensor | None = None) -> Tensor:
        """A tensor, multiplied with `factor`; it is the original where nothing changes and that is in memory."""
        if factor is None and self.release_pages is None:
            return tensor.detach().to(self.dtype)
        whole, start = torch.empty(tensor.shape, dtype=self.dtype), 0
        source, target = tensor.detach(), whole
        if factor is None and tensor.is_contiguous():  # the rows of a [local] are large
            source, target = source.view(-1), target.view(-1)
        for piece in self.pieces(source, factor):
            target[start : start + len(piece)] = piece
            start += len(piece)
        return whole


def inference_layer(layer: nn.Module, copying: Copying) -> nn.Module:
    """What computes the same as `layer` in evaluation mode."""
    match layer:
        case Convolutional():
            return FoldedConvolution(layer, copying)
        case Connected():
            return FoldedConnection(layer, copying)
        case Local():
            return _Local(layer, copying)
        case BatchNorm():
            factor, shift = layer.as_affine()
            return _Affine(copying.whole(factor), copying.whole(shift))
        case nn.Dropout():
            return nn.Identity()
    # the others hold no tensors; a copy of their own, because they may behave otherwise in training
    return copy.copy(layer)


def _affine(layer: Convolutional | Connected) -> tuple[Tensor | None, Tensor]:
    """What the outputs are multiplied with, if there is a batch norm, and what is added to them."""
    return (None, layer.biases) if layer.norm is None else layer.norm.as_affine()


def _activations(name: str, *, packed: bool) -> tuple[tuple[str, list[float]], Callable[[Tensor], Tensor]]:
    """What oneDNN's operators apply themselves, and what is applied to their answer."""
    fused = _FUSED_ACTIVATIONS.get(name) if packed else None
    return fused or _FUSED_ACTIVATIONS["linear"], ACTIVATIONS["linear" if fused else name]


class FoldedConvolution(nn.Module):
    """Convolution, bias and activation; packed for the layer's input shape first of all, but others work as well."""

    def __init__(self, module: Convolutional, copying: Copying) -> None:
        super().__init__()
        layer, (factor, bias) = module.layer, _affine(module)
        weights = copying.whole(module.weights, factor)
        self.geometry = ([layer.padding] * 2, [layer.stride] * 2, [1, 1], layer.groups)
        self.bias = nn.Parameter(copying.whole(bias), requires_grad=False)
        self.packed = copying.packed
        self.fused, self.activation = _activations(layer.activation, packed=self.packed)
        if self.packed:
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its annotation lacks the last argument
            self.weights: Tensor = reorder(weights.to_mkldnn(), *self.geometry, [1, *layer.in_shape])
        else:
            self.weights = nn.Parameter(weights.contiguous(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, H', W')."""
        if not self.packed:
            padding, stride, dilation, groups = self.geometry
            return self.activation(F.conv2d(x, self.weights, self.bias, stride, padding, dilation, groups))
        run = torch.ops.mkldnn._convolution_pointwise
        return self.activation(run(x, self.weights, self.bias, *self.geometry, *self.fused, ""))


class FoldedConnection(nn.Module):
    """Full connection, bias and activation.

    Packed weights are kept in pieces of some rows, so that packing needs no second copy of what can be most of a
    network.
    """

    def __init__(self, module: Connected, copying: Copying) -> None:
        super().__init__()
        factor, bias = _affine(module)
        self.bias = nn.Parameter(copying.whole(bias), requires_grad=False)
        self.packed = copying.packed
        self.fused, self.activation = _activations(module.layer.activation, packed=self.packed)
        self.pieces: list[tuple[Tensor, Tensor]] = []  # packed weights and bias
        if self.packed:
            start = 0
            for piece in copying.pieces(module.weights, factor):
                weights = torch.ops.mkldnn._reorder_linear_weight(piece, 1)
                self.pieces.append((weights, self.bias[start : start + len(piece)]))
                start += len(piece)
        else:
            self.weights = nn.Parameter(copying.whole(module.weights, factor))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), read in that order, to (N, out, 1, 1)."""
        x = x.flatten(1)
        if self.packed:
            run = torch.ops.mkldnn._linear_pointwise
            y = torch.cat([run(x, weights, bias, *self.fused, "") for weights, bias in self.pieces], dim=1)
        else:
            y = F.linear(x, self.weights, self.bias)
        return self.activation(y)[:, :, None, None]


class _Local(nn.Module):
    """A local layer; where the type does not change, its weights are those of the original."""

    def __init__(self, layer: Local, copying: Copying) -> None:
        super().__init__()
        self.layer = layer.layer
        self.weights = nn.Parameter(copying.whole(layer.weights))
        self.biases = nn.Parameter(copying.whole(layer.biases))

    def forward(self, x: Tensor) -> Tensor:
        return local(x, self.weights, self.biases, self.layer)


class _Affine(nn.Module):
    """A batch norm of its own, in evaluation."""

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.factor, self.shift = nn.Parameter(factor[:, None, None]), nn.Parameter(shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.factor)
