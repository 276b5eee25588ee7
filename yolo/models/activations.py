"""darknet's activation functions by name.

Gradients are the true derivatives, as darknet's are, which computes them from the answers.
Source: darknet src/activations.h.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

LEAKY_SLOPE = 0.1
_RELIE_SLOPE = 0.01
# darknet's constants have fewer digits than the paper of SELU
_SELU_SCALE, _SELU_ALPHA = 1.0507, 1.6732


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAKY_SLOPE)


def _loggy(x: Tensor) -> Tensor:
    return 2 * x.sigmoid() - 1


def _relie(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _RELIE_SLOPE)


def _ramp(x: Tensor) -> Tensor:
    return x.relu() + 0.1 * x


def _selu(x: Tensor) -> Tensor:
    return _SELU_SCALE * F.elu(x, _SELU_ALPHA)


def _plse(x: Tensor) -> Tensor:
    """A sigmoid in three straight pieces."""
    middle = 0.125 * x + 0.5
    return torch.where(x < -4, 0.01 * (x + 4), torch.where(x > 4, 0.01 * (x - 4) + 1, middle))


def _lhtan(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.001 * x, torch.where(x > 1, 0.001 * (x - 1) + 1, x))


def _stair(x: Tensor) -> Tensor:
    """Flat from an even number to the next odd one, then rising by one."""
    whole = x.floor()
    half = (x / 2).floor()
    return torch.where(whole.remainder(2) == 0, half, x - whole + half)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "elu": F.elu,
        "hardtan": F.hardtanh,
        "leaky": _leaky,
        "lhtan": _lhtan,
        "linear": lambda x: x,
        "logistic": torch.sigmoid,
        "loggy": _loggy,
        "plse": _plse,
        "ramp": _ramp,
        "relie": _relie,
        "relu": F.relu,
        "selu": _selu,
        "stair": _stair,
        "tanh": torch.tanh,
    }
)
