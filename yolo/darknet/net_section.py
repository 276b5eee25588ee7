"""The [net] section of a cfg: the input, how the network is trained, and the learning rate of every batch.

The batch number is the images seen divided by `batch`, counted with the batch's own images: the first update has
number 1. Source: darknet src/parser.c (parse_net_options), src/network.c (get_current_rate).
"""

from __future__ import annotations

import math
from ctypes import c_float
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from yolo.config import RateConfig
from yolo.darknet.cfg import Section
from yolo.errors import ConfigError, shown

POLICIES = ("constant", "step", "steps", "exp", "poly", "sigmoid", "random")


@dataclass(frozen=True, kw_only=True, slots=True)
class NetOptions:
    """Options of [net] that gridyolo uses."""

    batch: int  # images per update of the weights
    subdivisions: int  # parts that a batch is computed in
    width: int  # of the input, in pixels; 0 where only `inputs` is given
    height: int
    channels: int
    inputs: int  # numbers per image; for an image width * height * channels
    learning_rate: float  # before the policy
    momentum: float
    decay: float  # of the weights
    rate: RateConfig  # how the learning rate changes
    max_batches: int  # where training ends; 0 for never
    saturation: float  # largest change in training, as a factor; 1 for none
    exposure: float  # largest change of brightness in training, as a factor; 1 for none
    hue: float  # largest change in training, as a part of the colour circle

    @property
    def sub_batch(self) -> int:
        """Images computed at once: darknet divides without a remainder, so 10 in 4 parts are 4 times 2."""
        return self.batch // self.subdivisions


def read_net(section: Section) -> tuple[NetOptions, list[str]]:
    """NetOptions of a [net] section, and notes on what was read differently than written.

    Raises:
        ConfigError: sizes that make no input, lists that make no schedule, numbers out of range.
    """
    batch = section.integer("batch", 1, least=1)
    subdivisions = section.integer("subdivisions", 1, least=1)
    if subdivisions > batch:
        raise section.error(f"subdivisions={subdivisions} leaves no image of batch={batch}", key="subdivisions")
    height, width, channels, inputs = _read_input(section)
    rate, notes = _read_rate(section)
    for key in ("angle", "aspect", "max_crop", "min_crop"):  # of a classifier's training images
        section.number(key, 0.0)
    net = NetOptions(
        batch=batch,
        subdivisions=subdivisions,
        width=width,
        height=height,
        channels=channels,
        inputs=inputs,
        learning_rate=section.number("learning_rate", 0.001),
        momentum=section.number("momentum", 0.9),
        decay=section.number("decay", 0.0001),
        rate=rate,
        max_batches=section.integer("max_batches", 0, least=0),
        saturation=section.number("saturation", 1.0, least=0),
        exposure=section.number("exposure", 1.0, least=0),
        hue=section.number("hue", 0.0),
    )
    return net, notes


def _read_input(section: Section) -> tuple[int, int, int, int]:
    """Height, width, channels and inputs."""
    height = section.integer("height", 0, least=0)
    width = section.integer("width", 0, least=0)
    channels = section.integer("channels", 0, least=0)
    size = height * width * channels
    inputs = section.integer("inputs", size, least=0)
    if not inputs:
        raise section.error("the input is missing: give height, width and channels, or inputs for a flat vector")
    if size and inputs != size:
        raise section.error(f"inputs={inputs} contradicts {width} x {height} x {channels} = {size}", key="inputs")
    return (height, width, channels, inputs) if size else (0, 0, 0, inputs)


def _read_rate(section: Section) -> tuple[RateConfig, list[str]]:
    """How the learning rate changes, and a note where darknet does not know the policy and takes `constant`."""
    notes: list[str] = []
    policy: Any = section.text("policy", "constant")
    if policy not in POLICIES:
        option = section.find("policy")
        line = section.line if option is None else option.line
        notes = [f"line {line}: unknown policy {shown(policy)} in [net]: the learning rate stays constant"]
        policy = "constant"
    steps, scales = _read_steps(section) if policy == "steps" else ((), ())
    rate = RateConfig(
        policy=policy,
        steps=steps,
        scales=scales,
        step=section.integer("step", 1, least=1) if policy in ("step", "sigmoid") else 1,
        scale=section.number("scale", 1.0) if policy == "step" else 1.0,
        gamma=section.number("gamma", 1.0) if policy in ("exp", "sigmoid") else 1.0,
        power=section.number("power", 4.0),
        burn_in=section.integer("burn_in", 0, least=0),
    )
    return rate, notes


def _read_steps(section: Section) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Steps and as many scales; more scales than steps are never read."""
    steps, scales = section.integers("steps"), section.numbers("scales")
    if not steps or len(scales) < len(steps):
        raise section.error(
            f"policy=steps needs steps and as many scales, there are {len(steps)} steps and {len(scales)} scales",
            key="scales",
        )
    if min(steps) < 0:
        raise section.error(f"steps must not be negative, not {min(steps)}", key="steps")
    return steps, scales[: len(steps)]


def learning_rate(
    rate: RateConfig, batch_number: int, *, base: float = 1.0, max_batches: int = 0, uniform: float = 1.0
) -> float:
    """Learning rate of one batch, by one of darknet's policies.

    >>> rate = RateConfig(policy="steps", steps=(10, 20), scales=(0.5, 0.5))
    >>> [learning_rate(rate, batch_number) for batch_number in (9, 10, 20)]
    [1.0, 0.5, 0.25]

    Args:
        rate: the policy and its numbers.
        batch_number: 0 or more.
        base: the rate before the policy.
        max_batches: where training ends; only the policy `poly` looks at it.
        uniform: 0..1, the draw of the policy `random`; no other policy looks at it.

    Raises:
        ConfigError: the policy has no finite rate for this batch.
    """
    try:
        answer = base * _factor(rate, batch_number, max_batches, uniform)
    except (ArithmeticError, ValueError):
        answer = math.nan
    if not math.isfinite(answer):
        raise ConfigError(
            f"policy={rate.policy} with learning_rate={base:g}, power={rate.power:g}, scale={rate.scale:g}, "
            f"gamma={rate.gamma:g}, max_batches={max_batches} has no finite rate for batch {batch_number}"
        )
    return answer


def _factor(rate: RateConfig, batch_number: int, max_batches: int, uniform: float) -> float:
    """What the base rate is multiplied with."""
    if batch_number < rate.burn_in:
        return math.pow(batch_number / rate.burn_in, rate.power)
    match rate.policy:
        case "step":
            return math.pow(rate.scale, batch_number // rate.step)
        case "steps":
            # only the steps before the first one that is still to come count, in whatever order they are written
            passed = takewhile(lambda step: step <= batch_number, rate.steps)
            return math.prod(scale for scale, _ in zip(rate.scales, passed, strict=False))
        case "exp":
            return math.pow(rate.gamma, batch_number)
        case "poly":
            # in float32 as in darknet: near the end only few digits of this difference are left
            return math.pow(1 - c_float(batch_number / max_batches).value, rate.power)
        case "random":
            return math.pow(uniform, rate.power)
        case "sigmoid":
            return _logistic(rate.gamma * (rate.step - batch_number))
        case _:
            return 1.0


def _logistic(x: float) -> float:
    """1 / (1 + exp(-x)), for every x: exp never gets a positive argument, so it cannot overflow."""
    small = math.exp(-abs(x))
    return (1.0 if x >= 0 else small) / (1 + small)
