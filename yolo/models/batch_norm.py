"""darknet's batch normalisation: its statistics, its epsilon, and on request the arithmetic of its CPU code.

    kind       training normalises with            backward
    standard   the variance over n (as cuDNN,      the exact gradient
               with which the authors trained)
    darknet    the variance over n - 1             darknet's CPU formula, which takes the variance as if over n

Both keep running statistics that start at 0 (torch: mean 0, variance 1), move by 1 % a step, and hold the
variance over n - 1. In evaluation both are y = scale · (x - mean) / (sqrt(variance) + 1e-6) + bias.

Source: darknet src/batchnorm_layer.c, src/blas.c.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    """

    def __init__(self, channels: int, kind: BatchNormKind) -> None:
        super().__init__()
        self.kind = kind
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
                self.biases,
                training=True,
                momentum=_MOMENTUM,
                eps=_EPS_INSIDE,
            )
        normalised, mean, variance = _Normalise.apply(x.float())
        with torch.no_grad():
            self.rolling_mean.lerp_(mean, _MOMENTUM)
            self.rolling_variance.lerp_(variance, _MOMENTUM)
        return torch.addcmul(_over_channels(self.biases, x), normalised, _over_channels(self.scales, x))

    def as_affine(self) -> tuple[Tensor, Tensor]:
        """What it does in evaluation as y = factor · x + shift, each (C,)."""
        factor = self.scales / (self.rolling_variance.sqrt() + _EPS_OUTSIDE)
        return factor, self.biases - self.rolling_mean * factor


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
