"""Neck and head: the backbone's maps merged at one stride, and the convolution that answers with `raw`.

Deeper maps are enlarged, finer ones pooled; each first passes a 1x1 convolution to the common width, then they
are added. Two depthwise-separable blocks mix neighbours. All convolutional: any input size works.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo.grid import GridParts, GridSpec
from yolo.models.backbones import Tap

_NUM_BLOCKS = 2
_INITIAL_CONFIDENCE = 0.01
# Predictors start at boxes of different sizes, as shares of the image's side, so that they share the work.
_SMALLEST_START, _LARGEST_START = 0.15, 0.45


class GridHead(nn.Module):
    """Feature maps to `raw`.

    Args:
        taps: the maps that come in, finest first.
        stride: of the grid; the input's side divided by it is S.
        width: channels after merging.
        grid: owner of the channel layout; S does not matter here.
    """

    def __init__(self, taps: tuple[Tap, ...], *, stride: int, width: int, grid: GridSpec) -> None:
        super().__init__()
        self.strides = tuple(tap.stride for tap in taps)
        self.stride = stride
        self.lateral = nn.ModuleList(conv_norm(tap.channels, width, kernel_size=1) for tap in taps)
        self.blocks = nn.Sequential(*(separable_block(width) for _ in range(_NUM_BLOCKS)))
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
        return raw.permute(0, 2, 3, 1)


def conv_norm(in_channels: int, out_channels: int, *, kernel_size: int, groups: int = 1) -> nn.Sequential:
    """Convolution without bias and batch norm, size kept."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def separable_block(width: int) -> nn.Sequential:
    """Depthwise 3x3 and pointwise 1x1, each normalised, rectified at the end."""
    return nn.Sequential(
        *conv_norm(width, width, kernel_size=3, groups=width),
        *conv_norm(width, width, kernel_size=1),
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
    values = grid.join(start)
    assert predict.bias is not None
    predict.bias.copy_(values.logit() if grid.coding == "logistic" else values)
    nn.init.normal_(predict.weight, std=0.01 / math.sqrt(predict.in_channels / 64))
