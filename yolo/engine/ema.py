"""The moving average of a network's weights: what is validated, saved and used."""

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

# The average forgets the first random weights faster than later ones: the decay rises over this many steps.
_RISE_STEPS = 200


class MovingAverage(Generic[Network]):
    """Exponential moving average of all floating-point tensors of a network.

    Args:
        network: averaged from its current values on; it must stay on its device.
        decay: per step, in [0, 1); 0 makes the average a copy of the latest weights.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self.network.eval().requires_grad_(False)
        self.decay = decay
        self.steps = 0
        # the tensors stay the same objects while their values change: list them once
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        self._own = [own for own, _ in pairs if own.is_floating_point()]
        self._new = [new for own, new in pairs if own.is_floating_point()]
        self._counters = [(own, new) for own, new in pairs if not own.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights after a step."""
        self.steps += 1
        decay = self.decay * (1 - math.exp(-self.steps / _RISE_STEPS))
        torch._foreach_lerp_(self._own, self._new, 1 - decay)
        for own, new in self._counters:
            own.copy_(new)

    @torch.no_grad()
    def heal_buffers(self) -> None:
        """Give the network the average's statistics where its own are not finite.

        A forward pass that overflows writes into the running statistics of batch norms even if its step is refused.
        """
        for own, new in zip(self._own, self._new, strict=True):
            if not bool(new.isfinite().all()):
                new.copy_(own)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
