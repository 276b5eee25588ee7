"""darknet's weights files into networks and out of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from yolo.darknet.weights import DarknetWeights, WeightsHeader, check_finite, read_weights, write_weights
from yolo.models.darknet import DarknetNetwork, DarknetSpec
from yolo.models.darknet_layers import block_tensors


def load_darknet(path: Path, spec: DarknetSpec) -> tuple[DarknetNetwork, WeightsHeader]:
    """Build a network with the weights of a file that holds all of them.

    The file is mapped, and each block copied once into the network's own memory: no second copy exists at any time.

    Raises:
        WeightsError: the file is missing, of another network, cut off, or holds numbers that are not finite.
    """
    weights = read_weights(path, spec.plan)
    check_finite(weights)
    if any(layer.loaded_blocks != layer.blocks for layer in spec.plan.layers):  # the cfg says the file has not all
        network = DarknetNetwork(spec)
        _fill(network, weights)
        return network.eval(), weights.header
    with torch.device("meta"):  # shapes without memory: initial weights would be made for nothing
        network = DarknetNetwork(spec)
    state: dict[str, Tensor] = {}
    for index, layer in enumerate(network.layers):
        arrays = weights.arrays.get(index, {})
        for name, tensor in layer.state_dict().items():
            array = arrays.get(name.rpartition(".")[2])
            # no file holds the biases of a [batchnorm] layer
            own = torch.zeros(tensor.shape) if array is None else torch.from_numpy(np.array(array))
            state[f"layers.{index}.{name}"] = own
    network.load_state_dict(state, assign=True)
    return network.eval(), weights.header


def fill_from_darknet(network: DarknetNetwork, path: Path) -> DarknetWeights:
    """Copy what a file holds, perhaps of the first layers only, into a network; the rest keeps its values.

    Returns:
        what was read: the header and the number of layers.

    Raises:
        WeightsError: the file is missing, of another network, cut off in a layer, or holds numbers that are not finite.
    """
    weights = read_weights(path, network.spec.plan, partial=True)
    check_finite(weights)
    _fill(network, weights)
    return weights


def save_darknet(path: Path, network: DarknetNetwork, header: WeightsHeader, *, upto: int | None = None) -> None:
    """Write a network's weights as darknet writes them, atomically.

    Args:
        path: where to.
        network: on any device.
        header: the first bytes of the file, with `seen`.
        upto: only the layers before this one, for a file to start other networks from.
    """
    arrays = {index: _arrays(layer) for index, layer in enumerate(network.layers)}
    write_weights(path, network.spec.plan, arrays, header, upto=upto)


def _fill(network: DarknetNetwork, weights: DarknetWeights) -> None:
    with torch.no_grad():
        for index, arrays in weights.arrays.items():
            tensors = block_tensors(network.layers[index])
            for name, array in arrays.items():
                # fewer filters than the layer has where the cfg says `numload`
                tensors[name][: len(array)].copy_(torch.from_numpy(np.array(array)))


def _arrays(layer: nn.Module) -> dict[str, np.ndarray]:
    tensors = block_tensors(layer).items()
    return {name: tensor.detach().cpu().float().contiguous().numpy() for name, tensor in tensors}
