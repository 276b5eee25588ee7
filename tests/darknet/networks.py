"""Small cfgs, networks with weights that keep their values in order, and what the slow layers answer for them."""

import re
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.reference.slow_darknet_layers import slow_layer
from yolo.config import TrainConfig
from yolo.darknet.load import save_darknet
from yolo.darknet.lookup import network_cfg
from yolo.darknet.modules import BatchNormKind, block_tensors
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import NetworkPlan, plan_network
from yolo.darknet.recipe import training_defaults
from yolo.darknet.weights import DarknetWeights, WeightsHeader

Arrays = Mapping[int, Mapping[str, Any]]

CURRENT = WeightsHeader.new(seen=2**40 + 3)
FORM_2016 = WeightsHeader(major=0, minor=1, revision=0, seen=-5)
OLDEST = WeightsHeader.oldest(rate=0.001, momentum=0.9, decay=0.0005, seen=6400)
HEADERS = (CURRENT, FORM_2016, OLDEST)
for_each_header = pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.form)

IMAGE = "[net]\nwidth=10\nheight=8\nchannels=3\n"  # four lines


# every kind of layer that has arrays, and every order of them
SMALL = "[net]\nwidth=6\nheight=4\nchannels=2\n"

LAYERS = (
    "[conv]\nfilters=3\nsize=3\npad=1\nbatch_normalize=1\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[conv]\nfilters=6\ngroups=3\n"
    "[batchnorm]\n"
    "[local]\nfilters=2\nsize=3\npad=1\n"
    "[connected]\noutput=5\nbatch_normalize=1\n"
    "[connected]\noutput=6\n"
    "[detection]\nside=1\ncoords=4\n"
)


def plan_of(layers: str = LAYERS, net: str = SMALL) -> NetworkPlan:
    return plan_network(net + layers, source="a.cfg")


def numbered(plan: NetworkPlan) -> dict[int, dict[str, Any]]:
    """Arrays that hold 0, 1, 2, ... in the order of the file, transposing left aside."""
    arrays: dict[int, dict[str, Any]] = {}
    count = 0
    for layer in plan.layers:
        for block in layer.blocks:
            values = np.arange(count, count + block.size, dtype=np.float32).reshape(block.shape)
            arrays.setdefault(layer.index, {})[block.name] = values
            count += block.size
    return arrays


def floats_of(path: Path, header: WeightsHeader) -> list[float]:
    """The body of a file, read with nothing but struct."""
    body = path.read_bytes()[len(header.to_bytes()) :]
    return list(struct.unpack(f"<{len(body) // 4}f", body))


def assert_equal(weights: DarknetWeights, expected: Arrays) -> None:
    assert set(weights.arrays) == set(expected)
    for index, blocks in expected.items():
        assert set(weights.arrays[index]) == set(blocks)
        for name, array in blocks.items():
            np.testing.assert_array_equal(weights.arrays[index][name], array, err_msg=f"{index} {name}")


_NET = {"batch": 4, "width": 32, "height": 32, "channels": 3, "learning_rate": 0.001, "max_batches": 100}

BODY = (
    "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n\n"
    "[maxpool]\nsize=2\nstride=2\n\n"
    "[convolutional]\nfilters=3\nsize=3\nstride=2\npad=1\nactivation=leaky\n\n"
)


def detector_cfg(
    *,
    classes: int = 2,
    side: int = 2,
    num: int = 2,
    net: Mapping[str, Any] | None = None,
    detection: Mapping[str, Any] | None = None,
    body: str = BODY,
    before: str = "",
) -> str:
    """A small detector for images of 32 x 32: two convolutions, the matrix that the grid needs, [detection].

    Args:
        classes: C.
        side: S.
        num: B.
        net: options of [net] beside or in place of its own.
        detection: options of [detection] beside its own.
        body: sections between [net] and the last matrix.
        before: sections between that matrix and [detection].
    """
    grid = {"classes": classes, "coords": 4, "side": side, "num": num, "sqrt": 1, "rescore": 1}
    return (
        _section("net", _NET | dict(net or {}))
        + body
        + _section("connected", {"output": side**2 * (5 * num + classes), "activation": "linear"})
        + before
        + _section("detection", grid | dict(detection or {}))
    )


def _section(kind: str, options: Mapping[str, Any]) -> str:
    return f"[{kind}]\n" + "".join(f"{key}={value}\n" for key, value in options.items()) + "\n"


# every kind of layer, with and without its options
EVERY_LAYER = """
[crop]
crop_width = 12
crop_height = 11
flip = 1

[convolutional]
filters = 6
size = 3
stride = 1
pad = 1
groups = 3
batch_normalize = 1
activation = leaky

[maxpool]
size = 2
stride = 2

[batchnorm]

[local]
filters = 5
size = 3
pad = 1
activation = relie

[activation]
activation = ramp

[convolutional]
filters = 4
size = 2
stride = 2
activation = elu

[maxpool]
size = 3
stride = 1
padding = 1

[local]
filters = 3
size = 2
activation = tanh

[connected]
output = 8
batch_normalize = 1
activation = logistic

[dropout]
probability = .25

[connected]
output = 24
activation = linear
"""

TWO_LAYERS = """
[convolutional]
filters = 4
size = 3
batch_normalize = 1
activation = leaky

[connected]
output = 5
activation = linear
"""

NUM_CONV_FLOATS = 4 * 4 + 4 * 27  # of TWO_LAYERS, for 3 channels

DETECTION = "[detection]\nclasses = 1\ncoords = 4\nnum = 1\nside = 2\nsqrt = 1\n"


def section(kind: str, **keys: Any) -> str:
    """A section of a cfg."""
    return f"[{kind}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def spec_of(
    layers: str, *, channels: int = 3, height: int = 13, width: int = 14, batch_norm: BatchNormKind = "standard"
) -> DarknetSpec:
    """A spec of these sections after a [net] of this input."""
    net = f"[net]\nchannels = {channels}\nheight = {height}\nwidth = {width}\n"
    return DarknetSpec(cfg=net + layers, batch_norm=batch_norm)


def network_of(layers: str, **options: Any) -> DarknetNetwork:
    """A network of these sections in evaluation mode, with weights from `fill_in`."""
    network = DarknetNetwork(spec_of(layers, **options))
    fill_in(network)
    return network.eval()


def written(folder: Path, layers: str = TWO_LAYERS) -> tuple[Path, DarknetNetwork]:
    """A network and the file of its weights."""
    network = network_of(layers)
    path = folder / "own.weights"
    save_darknet(path, network, WeightsHeader.new(seen=640))
    return path, network


def small_network(name: str, *, batch_norm: BatchNormKind = "standard") -> DarknetNetwork:
    """A shipped network with a sixteenth of its channels, for images of 128 x 128."""
    text = re.sub(r"(?m)^((?:crop_)?(?:width|height)) *=.*$", r"\1 = 128", network_cfg(name))
    text = re.sub(r"(?m)^filters = (\d+)$", lambda found: f"filters = {max(4, int(found[1]) // 16)}", text)
    text = re.sub(r"(?m)^output = (4096|512|256)$", "output = 32", text)
    return DarknetNetwork(DarknetSpec(cfg=text, batch_norm=batch_norm))


def fill_in(network: DarknetNetwork, seed: int = 0) -> None:
    """Weights for which outputs are neither 0 nor huge, statistics as after training, all of them different."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.layers:
            for name, tensor in block_tensors(layer).items():
                if name in ("scales", "rolling_variance"):
                    tensor.uniform_(0.5, 1.5, generator=generator)
                elif name == "weights":
                    fan_in = tensor[0].numel() if tensor.ndim < 6 else tensor[0, 0, 0].numel()
                    tensor.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                else:
                    tensor.normal_(0, 0.3, generator=generator)


def images_for(network: DarknetNetwork, count: int = 3, seed: int = 1) -> Tensor:
    """Random images (count, C, H, W) in 0..1."""
    return torch.rand(count, *network.in_shape, generator=torch.Generator().manual_seed(seed))


def slow_outputs(network: DarknetNetwork, images: Tensor) -> list[Any]:
    """What every layer answers in evaluation, by the slow layers in float64."""
    x, outputs = images.double().numpy(), []
    for plan, layer in zip(network.spec.plan.layers, network.layers, strict=True):
        blocks = {name: tensor.detach().double().numpy() for name, tensor in block_tensors(layer).items()}
        x = slow_layer(plan, x, blocks)
        outputs.append(x)
    return outputs


def relative_error(answer: Tensor, expected: Any) -> float:
    """Largest difference, relative to the largest value; a relu may leave nothing but zeros."""
    expected = np.asarray(expected)
    assert tuple(answer.shape) == expected.shape
    return float(np.abs(answer.detach().numpy() - expected).max() / max(np.abs(expected).max(), 1e-6))


def darknet_train_config(*, cfg: str, **changes: Any) -> TrainConfig:
    """The configuration with which darknet would train a cfg; options of sections as in `optimizer__lr=0.001`."""
    values = training_defaults(cfg) | {key.replace("__", "."): value for key, value in changes.items()}
    if changes.get("epochs") is not None:  # as on the command line
        del values["max_batches"]
    made: TrainConfig = _configured(TrainConfig, {"cfg": cfg, **values})
    return made


def _configured(config_class: type[Any], values: dict[str, Any]) -> Any:
    """A configuration from dotted keys; sections that get none keep their defaults."""
    hints = get_type_hints(config_class)
    arguments = {key: value for key, value in values.items() if "." not in key}
    for field in fields(config_class):
        own = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{field.name}.")}
        if own and is_dataclass(hints[field.name]):
            arguments[field.name] = _configured(hints[field.name], own)
    return config_class(**arguments)
