"""What darknet's layers hold before any training."""

import math

import pytest
import torch
from torch import Tensor, nn

from tests.darknet.darknet_networks import section, spec_of
from yolo.darknet.network import Connected, Convolutional, DarknetNetwork, Local, block_tensors


def layer_of(text: str, channels: int = 3) -> nn.Module:
    """The first layer of a new network, with its initial weights."""
    torch.manual_seed(0)
    return DarknetNetwork(spec_of(text, channels=channels, height=5, width=6)).layers[0].train()


def test_convolutions_start_normal_with_the_root_of_2_over_the_inputs() -> None:
    conv = layer_of(section("convolutional", filters=64, size=3, groups=2, batch_normalize=0), channels=32)
    assert isinstance(conv, Convolutional)
    scale = math.sqrt(2 / (9 * 16))
    assert conv.weights.std().item() == pytest.approx(scale, rel=0.03)
    assert conv.weights.abs().max() > 3 * scale  # not uniform
    assert not conv.biases.any()


def test_connected_layers_start_uniform_with_the_root_of_2_over_the_inputs() -> None:
    connected = layer_of(section("connected", output=300))
    assert isinstance(connected, Connected)
    scale = math.sqrt(2 / 90)
    check_uniform(connected.weights, scale)
    assert not connected.biases.any()


def test_of_a_local_layer_only_the_first_place_starts_random() -> None:
    local = layer_of(section("local", filters=20, size=3, pad=1), channels=8)
    assert isinstance(local, Local)
    check_uniform(local.weights[0, 0], math.sqrt(2 / 72))
    places = local.weights.flatten(0, 1)
    assert not places[1:].any()
    assert not local.biases.any()


def check_uniform(weights: Tensor, scale: float) -> None:
    assert weights.abs().max() <= scale
    assert weights.abs().max() > 0.99 * scale
    assert weights.std().item() == pytest.approx(scale / math.sqrt(3), rel=0.03)
    assert weights.mean().item() == pytest.approx(0, abs=0.05 * scale)


@pytest.mark.parametrize(
    "text",
    [
        section("convolutional", filters=4, batch_normalize=1),
        section("connected", output=4, batch_normalize=1),
        "[batchnorm]\n",
    ],
)
def test_batch_norms_start_with_statistics_of_zero(text: str) -> None:
    tensors = block_tensors(layer_of(text))
    assert not tensors["rolling_mean"].any()
    assert not tensors["rolling_variance"].any()
    assert (tensors["scales"] == 1).all()
    assert not tensors["biases"].any()
