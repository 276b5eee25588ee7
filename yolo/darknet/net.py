"""The [net] section: the input, how the network is trained, and the learning rate of every batch.

The batch number is the images seen divided by `batch`, counted with the batch's own images: the first update has
number 1. Source: darknet src/parser.c (parse_net_options), src/network.c (get_current_rate).
"""

from __future__ import annotations

import math
from ctypes import c_float
from dataclasses import dataclass
from itertools import takewhile

from yolo.darknet.cfg import Section, shown
from yolo.errors import ConfigError

POLICIES = ("constant", "step", "steps", "exp", "poly", "sigmoid", "random")


@dataclass(frozen=True, kw_only=True)
class NetOptions:
    """Options of [net] that gridyolo uses, with darknet's defaults.

    Attributes:
        batch: images per update of the weights.
        subdivisions: parts that a batch is computed in.
        width: of the input, in pixels; 0 where only `inputs` is given.
        height: of the input, in pixels.
        channels: of the input.
        inputs: numbers per image; for an image width * height * channels.
        learning_rate: base rate, before the policy.
        momentum: of the descent.
        decay: weight decay.
        policy: how the rate changes, see `learning_rate`.
        steps: batch numbers at which the rate is multiplied, for `steps`.
        scales: what it is multiplied with there, as many as `steps`.
        step: batches between changes for `step`, the middle for `sigmoid`.
        scale: factor of each change, for `step`.
        gamma: base for `exp`, slope for `sigmoid`.
        power: exponent for `poly`, `random` and the first `burn_in` batches.
        burn_in: batches at the start in which the rate rises from 0.
        max_batches: where training ends; 0 for never.
        saturation: largest change of saturation, as a factor; 1 for none.
        exposure: largest change of brightness, as a factor; 1 for none.
        hue: largest change of hue, as a part of the colour circle.
    """

    batch: int = 1
    subdivisions: int = 1
    width: int = 0
    height: int = 0
    channels: int = 0
    inputs: int = 0
    learning_rate: float = 0.001
    momentum: float = 0.9
    decay: float = 0.0001
    policy: str = "constant"
    steps: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    step: int = 1
    scale: float = 1.0
    gamma: float = 1.0
    power: float = 4.0
    burn_in: int = 0
    max_batches: int = 0
    saturation: float = 1.0
    exposure: float = 1.0
    hue: float = 0.0

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
    policy, notes = _read_policy(section)
    steps, scales = _read_steps(section) if policy == "steps" else ((), ())
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
        policy=policy,
        steps=steps,
        scales=scales,
        step=section.integer("step", 1, least=1) if policy in ("step", "sigmoid") else 1,
        scale=section.number("scale", 1.0) if policy == "step" else 1.0,
        gamma=section.number("gamma", 1.0) if policy in ("exp", "sigmoid") else 1.0,
        power=section.number("power", 4.0),
        burn_in=section.integer("burn_in", 0, least=0),
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


def _read_policy(section: Section) -> tuple[str, list[str]]:
    """The policy, and a note where darknet does not know it and takes `constant`."""
    policy = section.text("policy", "constant")
    if policy in POLICIES:
        return policy, []
    option = section.find("policy")
    line = section.line if option is None else option.line
    return "constant", [f"line {line}: unknown policy {shown(policy)} in [net]: the learning rate stays constant"]


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
