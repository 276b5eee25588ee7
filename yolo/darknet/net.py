"""The [net] section: the input and how the network is trained."""

from __future__ import annotations

from dataclasses import dataclass

from yolo.darknet.cfg import Options, shown

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
        policy: how the rate changes, see `learning_rate.py`.
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
        angle: largest rotation, in degrees.
        aspect: largest change of the aspect ratio, as a factor; 1 for none.
        max_crop: longest side that a classifier's image is resized to before it is cropped.
        min_crop: shortest such side.
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
    angle: float = 0.0
    aspect: float = 1.0
    max_crop: int = 0
    min_crop: int = 0

    @property
    def sub_batch(self) -> int:
        """Images computed at once: darknet divides without a remainder, so 10 in 4 parts are 4 times 2."""
        return self.batch // self.subdivisions


def read_net(options: Options, size_hw: tuple[int, int] | None) -> tuple[NetOptions, list[str]]:
    """NetOptions of a [net] section, and notes on what was read differently than written.

    Args:
        options: the section.
        size_hw: height and width that replace those of the section.

    Raises:
        ConfigError: sizes that make no input, lists that make no schedule, numbers out of range.
    """
    batch = options.integer("batch", 1, least=1)
    subdivisions = options.integer("subdivisions", 1, least=1)
    if subdivisions > batch:
        raise options.error(f"subdivisions={subdivisions} leaves no image of batch={batch}", key="subdivisions")
    height, width, channels, inputs = _read_input(options, size_hw)
    policy, notes = _read_policy(options)
    steps, scales = _read_steps(options) if policy == "steps" else ((), ())
    net = NetOptions(
        batch=batch,
        subdivisions=subdivisions,
        width=width,
        height=height,
        channels=channels,
        inputs=inputs,
        learning_rate=options.number("learning_rate", 0.001),
        momentum=options.number("momentum", 0.9),
        decay=options.number("decay", 0.0001),
        policy=policy,
        steps=steps,
        scales=scales,
        step=options.integer("step", 1, least=1) if policy in ("step", "sigmoid") else 1,
        scale=options.number("scale", 1.0) if policy == "step" else 1.0,
        gamma=options.number("gamma", 1.0) if policy in ("exp", "sigmoid") else 1.0,
        power=options.number("power", 4.0),
        burn_in=options.integer("burn_in", 0, least=0),
        max_batches=options.integer("max_batches", 0, least=0),
        saturation=options.number("saturation", 1.0, least=0),
        exposure=options.number("exposure", 1.0, least=0),
        hue=options.number("hue", 0.0),
        angle=options.number("angle", 0.0),
        aspect=options.number("aspect", 1.0, least=0),
        max_crop=options.integer("max_crop", width * 2, least=0),
        min_crop=options.integer("min_crop", width, least=0),
    )
    return net, notes


def _read_input(options: Options, size_hw: tuple[int, int] | None) -> tuple[int, int, int, int]:
    """Height, width, channels and inputs."""
    height = options.integer("height", 0, least=0)
    width = options.integer("width", 0, least=0)
    channels = options.integer("channels", 0, least=0)
    if size_hw is not None:
        height, width = size_hw
        if height < 1 or width < 1:
            raise options.error(f"the input size must be at least 1 x 1, not {width} x {height}")
    size = height * width * channels
    inputs = options.integer("inputs", size, least=0)
    if not inputs:
        raise options.error("the input is missing: give height, width and channels, or inputs for a flat vector")
    if size and inputs != size:
        raise options.error(f"inputs={inputs} contradicts {width} x {height} x {channels} = {size}", key="inputs")
    return (height, width, channels, inputs) if size else (0, 0, 0, inputs)


def _read_policy(options: Options) -> tuple[str, list[str]]:
    """The policy, and a note where darknet does not know it and takes `constant`."""
    policy = options.text("policy", "constant")
    if policy in POLICIES:
        return policy, []
    option = options.section.find("policy")
    line = options.section.line if option is None else option.line
    return "constant", [f"line {line}: unknown policy {shown(policy)} in [net]: the learning rate stays constant"]


def _read_steps(options: Options) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Steps and as many scales; more scales than steps are never read."""
    steps, scales = options.integers("steps"), options.numbers("scales")
    if not steps or len(scales) < len(steps):
        raise options.error(
            f"policy=steps needs steps and as many scales, there are {len(steps)} steps and {len(scales)} scales",
            key="scales",
        )
    if min(steps) < 0:
        raise options.error(f"steps must not be negative, not {min(steps)}", key="steps")
    return steps, scales[: len(steps)]
