"""darknet's learning-rate policies: the rate of every batch from the options of [net].

The batch number is the images seen divided by `batch`, counted with the batch's own images: the first update has
number 1. Source: darknet src/network.c, get_current_rate.
"""

from __future__ import annotations

import math
from ctypes import c_float
from itertools import takewhile

from yolo.darknet.net import NetOptions
from yolo.errors import ConfigError


def learning_rate(net: NetOptions, batch_number: int, *, uniform: float = 1.0) -> float:
    """Rate for one batch.

    >>> net = NetOptions(learning_rate=0.5, policy="steps", steps=(10, 20), scales=(0.5, 0.5))
    >>> [learning_rate(net, batch_number) for batch_number in (9, 10, 20)]
    [0.5, 0.25, 0.125]

    Args:
        net: the schedule.
        batch_number: 0 or more.
        uniform: 0..1, the draw of the policy `random`; no other policy looks at it.

    Raises:
        ConfigError: the schedule has no finite rate for this batch.
    """
    if batch_number < 0:
        raise ValueError(f"batch_number must not be negative, got {batch_number}")
    try:
        rate = net.learning_rate * _factor(net, batch_number, uniform)
    except (ArithmeticError, ValueError) as error:
        raise _no_rate(net, batch_number) from error
    if not math.isfinite(rate):
        raise _no_rate(net, batch_number)
    return rate


def _factor(net: NetOptions, batch_number: int, uniform: float) -> float:
    """What the base rate is multiplied with."""
    if batch_number < net.burn_in:
        return math.pow(batch_number / net.burn_in, net.power)
    match net.policy:
        case "step":
            return math.pow(net.scale, batch_number // net.step)
        case "steps":
            # only the steps before the first one that is still to come count, in whatever order they are written
            passed = takewhile(lambda step: step <= batch_number, net.steps)
            return math.prod(scale for scale, _ in zip(net.scales, passed, strict=False))
        case "exp":
            return math.pow(net.gamma, batch_number)
        case "poly":
            # in float32 as in darknet: near the end only few digits of this difference are left
            return math.pow(1 - c_float(batch_number / net.max_batches).value, net.power)
        case "random":
            return math.pow(uniform, net.power)
        case "sigmoid":
            return _logistic(net.gamma * (net.step - batch_number))
        case _:
            return 1.0


def _logistic(x: float) -> float:
    """1 / (1 + exp(-x)), for every x: exp never gets a positive argument, so it cannot overflow."""
    small = math.exp(-abs(x))
    return (1.0 if x >= 0 else small) / (1 + small)


def _no_rate(net: NetOptions, batch_number: int) -> ConfigError:
    return ConfigError(
        f"policy={net.policy} with learning_rate={net.learning_rate:g}, power={net.power:g}, scale={net.scale:g}, "
        f"gamma={net.gamma:g}, max_batches={net.max_batches} has no finite rate for batch {batch_number}"
    )
