"""The moving average of a network's weights: what is validated, saved and used."""

import copy
import math

import torch
from torch import nn

# The average forgets the first random weights faster than later ones: the decay rises over this many steps.
_RISE_STEPS = 200


class MovingAverage:
    """Exponential moving average of all floating-point tensors of a network.

    Args:
        network: averaged from its current values on.
        decay: per step, in [0, 1); 0 makes the average a copy of the latest weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = self.decay * (1 - math.exp(-self.steps / _RISE_STEPS))
        own, new = self.network.state_dict(), network.state_dict()
        floating = [name for name, value in own.items() if value.is_floating_point()]
        torch._foreach_lerp_([own[name] for name in floating], [new[name] for name in floating], 1 - decay)
        for name, value in own.items():
            if not value.is_floating_point():
                value.copy_(new[name])
