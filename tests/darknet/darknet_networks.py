"""Small networks from a cfg, with weights that keep their values in order, and what the slow layers answer for them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.reference.slow_darknet_layers import slow_layer
from yolo.darknet.load import save_darknet
from yolo.darknet.network import BatchNormKind, DarknetNetwork, DarknetSpec, block_tensors
from yolo.darknet.plan import network_cfg
from yolo.darknet.weights import WeightsHeader

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
