"""The detector's network: normalisation, backbone, neck and head; and the two kinds of network under one name.

A network answers with `raw`, in training and inference alike. The neck brings the backbone's maps to one stride:
deeper maps are enlarged, finer ones pooled; each first passes a 1x1 convolution to the common width, then they are
added. Two depthwise-separable blocks mix neighbours. All convolutional: any input size works. Networks from a darknet
cfg are in `yolo.darknet.network`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.darknet.modules import BatchNorm
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.errors import ConfigError
from yolo.grid import Coding, GridParts, GridSpec
from yolo.models.backbones import Backbone, PixelFormat, Tap

_NUM_BLOCKS = 2
_INITIAL_CONFIDENCE = 0.01
# Predictors start at boxes of different sizes, as shares of the image's side, so that they share the work.
_SMALLEST_START, _LARGEST_START = 0.15, 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Everything that is needed to build a network again; saved with its weights."""

    backbone: str  # as in `build_classifier`
    num_classes: int  # C
    boxes_per_cell: int = 2  # B
    stride: int = 16  # input side / S
    width: int = 96  # channels of the neck
    coding: Coding = "wide"
    deepest_stride: int = 32  # layers of the backbone beyond it are left out

    @property
    def name(self) -> str:
        """What to call the network in a line of text."""
        return self.backbone

    def grid(self, input_hw: tuple[int, int]) -> GridSpec:
        """The grid on an input of that height and width; ConfigError if the stride does not divide it."""
        height, width = input_hw
        if height != width:
            raise ConfigError(f"the input must be square, not {width}x{height} (width x height)")
        if height < self.stride or height % self.stride:
            lower = max(self.stride, height // self.stride * self.stride)
            raise ConfigError(
                f"input_size {height} is not a multiple of the network's stride {self.stride}; "
                f"the nearest are {lower} and {lower + self.stride}"
            )
        return GridSpec(
            grid_size=height // self.stride,
            boxes_per_cell=self.boxes_per_cell,
            num_classes=self.num_classes,
            coding=self.coding,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class GridNetwork(nn.Module):
    """Backbone and head under one grid, with random weights; see `models.weights`."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        # One finer map adds detail; all deeper ones add context.
        self.backbone = Backbone(
            spec.backbone, lowest_stride=max(spec.stride // 2, 4), highest_stride=spec.deepest_stride
        )
        self.normalise = InputNorm(self.backbone.pixels)
        any_size = spec.grid((spec.stride, spec.stride))
        self.head = GridHead(
            self.backbone.taps,
            stride=spec.stride,
            width=spec.width,
            grid=any_size,
            is_rotated=self.backbone.pixels.is_rotated,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), uint8 or float 0..1, to raw (N, S, S, D)."""
        raw: Tensor = self.head(self.backbone(self.normalise(images)), images)
        return raw


class InputNorm(nn.Module):
    """Images to what the backbone was trained on: uint8 (0..255) or float (0..1) RGB in, normalised float out."""

    def __init__(self, pixels: PixelFormat) -> None:
        super().__init__()
        mean, std = torch.tensor(pixels.mean), torch.tensor(pixels.std)
        self.is_rotated = pixels.is_rotated
        self.register_buffer("scale", (1 / std)[:, None, None], persistent=False)
        self.register_buffer("shift", (-mean / std)[:, None, None], persistent=False)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to the same shape, in the buffers' float type."""
        if self.is_rotated:
            images = images.flip(2, 3)
        scale = self.scale / 255 if images.dtype == torch.uint8 else self.scale
        values = images.to(self.scale.dtype)
        if not images.is_contiguous(memory_format=torch.channels_last):
            return torch.addcmul(self.shift, values, scale)
        # the same on whole rows of W·3 numbers: eight times faster on a CPU than with 3 as the innermost length
        count, _, height, width = images.shape
        rows = values.permute(0, 2, 3, 1).reshape(count, height, width * 3)
        normalised = torch.addcmul(self.shift.flatten().repeat(width), rows, scale.flatten().repeat(width))
        return normalised.view(count, height, width, 3).permute(0, 3, 1, 2)


class GridHead(nn.Module):
    """Feature maps to `raw`.

    Args:
        taps: the maps that come in, finest first.
        stride: of the grid; the input's side divided by it is S.
        width: channels after merging.
        grid: owner of the channel layout; S does not matter here.
        is_rotated: the maps are of images rotated by 180 degrees; the answer is rotated back.
    """

    def __init__(
        self, taps: tuple[Tap, ...], *, stride: int, width: int, grid: GridSpec, is_rotated: bool = False
    ) -> None:
        super().__init__()
        self.is_rotated = is_rotated
        self.strides = tuple(tap.stride for tap in taps)
        self.stride = stride
        self.lateral = nn.ModuleList(_conv_norm(tap.channels, width, kernel_size=1) for tap in taps)
        self.blocks = nn.Sequential(*(_separable_block(width) for _ in range(_NUM_BLOCKS)))
        self.predict = nn.Conv2d(width, grid.depth, kernel_size=1)
        _initialise(self.predict, grid)

    def forward(self, maps: list[Tensor], images: Tensor) -> Tensor:
        """Maps (N, channels, side, side) of `images` (N, 3, H, W) to raw (N, S, S, D)."""
        height, width = images.shape[2] // self.stride, images.shape[3] // self.stride
        projected = [
            # a deep map of an odd grid covers a cell too much: ceil(S / 2) * 2 = S + 1
            _to_stride(lateral(feature_map), stride, self.stride)[:, :, :height, :width]
            for feature_map, lateral, stride in zip(maps, self.lateral, self.strides, strict=True)
        ]
        merged = functools.reduce(torch.add, projected)
        raw: Tensor = self.predict(self.blocks(F.relu(merged)))  # (N, D, S, S)
        if self.is_rotated:
            raw = raw.flip(2, 3)
        return raw.permute(0, 2, 3, 1)


def _conv_norm(in_channels: int, out_channels: int, *, kernel_size: int, groups: int = 1) -> nn.Sequential:
    """Convolution without bias and batch norm, size kept."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def _separable_block(width: int) -> nn.Sequential:
    """Depthwise 3x3 and pointwise 1x1, each normalised, rectified at the end."""
    return nn.Sequential(
        *_conv_norm(width, width, kernel_size=3, groups=width),
        *_conv_norm(width, width, kernel_size=1),
        nn.ReLU(inplace=True),
    )


def _to_stride(feature_map: Tensor, stride: int, wanted: int) -> Tensor:
    if stride > wanted:
        return F.interpolate(feature_map, scale_factor=float(stride // wanted), mode="nearest")
    if stride < wanted:
        return F.max_pool2d(feature_map, kernel_size=wanted // stride)
    return feature_map


@torch.no_grad()
def _initialise(predict: nn.Conv2d, grid: GridSpec) -> None:
    """Start from boxes in the middle of their cells, of graded sizes, that hardly believe in themselves.

    Without this the many empty cells drown the first hundred steps.
    """
    share = torch.linspace(0, 1, grid.boxes_per_cell) if grid.boxes_per_cell > 1 else torch.tensor([0.5])
    side = _SMALLEST_START + (_LARGEST_START - _SMALLEST_START) * share  # (B,)
    start = GridParts(
        offset_xy=torch.full((grid.boxes_per_cell, 2), 0.5),
        size_wh=side.sqrt()[:, None].expand(-1, 2),
        confidence=torch.full((grid.boxes_per_cell,), _INITIAL_CONFIDENCE),
        class_probs=torch.full((grid.num_classes,), 1 / max(grid.num_classes, 2)),
    )
    values = grid.join(grid.invert(start))
    assert predict.bias is not None
    predict.bias.copy_(values)
    nn.init.normal_(predict.weight, std=0.01 / math.sqrt(predict.in_channels / 64))


Spec = NetworkSpec | DarknetSpec
Network = GridNetwork | DarknetNetwork


def build_network(spec: Spec) -> Network:
    """A network with random weights from torch's global generator."""
    return DarknetNetwork(spec) if isinstance(spec, DarknetSpec) else GridNetwork(spec)


def spec_from_dict(values: dict[str, Any]) -> Spec:
    """Inverse of a spec's `to_dict`; TypeError for unknown or missing keys."""
    return DarknetSpec(**values) if "cfg" in values else NetworkSpec(**values)


def can_train_on_one_image(network: Network, input_hw: tuple[int, int]) -> bool:
    """False if a batch norm would see one value per channel, which has no variance: a map of 1x1 of a single image."""
    if isinstance(network, GridNetwork):
        coarsest = max(network.spec.stride, *(tap.stride for tap in network.backbone.taps))
        return max(input_hw) > coarsest
    return not any(
        layer.out_shape.height * layer.out_shape.width == 1 and any(isinstance(m, BatchNorm) for m in module.modules())
        for layer, module in zip(network.spec.plan.layers, network.layers, strict=True)
    )


def count_parameters(network: nn.Module) -> int:
    """Numbers that a network learns, those of frozen layers included."""
    return sum(parameter.numel() for parameter in network.parameters())
