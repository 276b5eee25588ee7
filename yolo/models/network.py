"""The detector's network: normalisation, backbone, head. It answers with `raw`, in training and inference alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from yolo.grid import Coding, GridSpec
from yolo.models.backbones import Backbone
from yolo.models.heads import GridHead

# Mean and standard deviation of ImageNet's pixels, which torchvision's weights expect (RGB, 0..1).
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Everything that is needed to build a network again; saved with its weights.

    Attributes:
        backbone: name of a torchvision classifier.
        num_classes: C.
        boxes_per_cell: B.
        stride: input side / S.
        width: channels of the neck.
        coding: `linear` or `logistic`.
    """

    backbone: str
    num_classes: int
    boxes_per_cell: int = 2
    stride: int = 16
    width: int = 96
    coding: Coding = "logistic"

    @property
    def name(self) -> str:
        """What to call the network in a line of text."""
        return self.backbone

    def grid(self, input_hw: tuple[int, int]) -> GridSpec:
        """The grid on an input of that height and width; ValueError if the stride does not divide it."""
        height, width = input_hw
        if height != width:
            raise ValueError(f"the input must be square, not {width}x{height} (width x height)")
        if height < self.stride or height % self.stride:
            lower = max(self.stride, height // self.stride * self.stride)
            raise ValueError(
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


class InputNorm(nn.Module):
    """Images to what the backbone was trained on: uint8 (0..255) or float (0..1) RGB in, normalised float out."""

    def __init__(self) -> None:
        super().__init__()
        mean, std = torch.tensor(_IMAGENET_MEAN), torch.tensor(_IMAGENET_STD)
        self.register_buffer("scale", (1 / std)[:, None, None], persistent=False)
        self.register_buffer("shift", (-mean / std)[:, None, None], persistent=False)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to the same shape, in the buffers' float type."""
        scale = self.scale / 255 if images.dtype == torch.uint8 else self.scale
        values = images.to(self.scale.dtype)
        if not images.is_contiguous(memory_format=torch.channels_last):
            return torch.addcmul(self.shift, values, scale)
        # the same on whole rows of W·3 numbers: eight times faster on a CPU than with 3 as the innermost length
        count, _, height, width = images.shape
        rows = values.permute(0, 2, 3, 1).reshape(count, height, width * 3)
        normalised = torch.addcmul(self.shift.flatten().repeat(width), rows, scale.flatten().repeat(width))
        return normalised.view(count, height, width, 3).permute(0, 3, 1, 2)


class GridNetwork(nn.Module):
    """Backbone and head under one grid.

    Args:
        spec: what to build. Weights are random; see `models.weights`.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = InputNorm()
        # One finer map adds detail; all deeper ones add context.
        self.backbone = Backbone(spec.backbone, lowest_stride=max(spec.stride // 2, 4), highest_stride=32)
        any_size = spec.grid((spec.stride, spec.stride))
        self.head = GridHead(self.backbone.taps, stride=spec.stride, width=spec.width, grid=any_size)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), uint8 or float 0..1, to raw (N, S, S, D)."""
        raw: Tensor = self.head(self.backbone(self.normalise(images)), images)
        return raw


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers in a network."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
