"""darknet's weights files into networks and out of them."""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from yolo.darknet.cfg import read_cfg
from yolo.darknet.modules import block_tensors
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import NetworkPlan, plan_cfg
from yolo.darknet.weights import (
    DarknetWeights,
    WeightsHeader,
    check_finite,
    read_header,
    read_weights,
    release_pages,
    row_slices,
    write_weights,
)
from yolo.errors import ConfigError, WeightsError


def load_darknet(
    path: Path, spec: DarknetSpec, plan: NetworkPlan | None = None, *, mapped: bool = False
) -> tuple[DarknetNetwork, WeightsHeader]:
    """Build a network with the weights of a file that holds all of them.

    The file is mapped, and each block copied once into the network's own memory: no second copy exists at any time,
    not even one of the system's that counts as this process's.

    Args:
        path: the file.
        spec: what to build.
        plan: the spec's plan under the name that the user knows its cfg by, for messages.
        mapped: leave the weights in the file, of which the network's tensors are then views. It is only good for
            making an inference copy, which takes them out layer by layer.

    Raises:
        WeightsError: the file is missing, of another network, cut off, or holds numbers that are not finite.
    """
    weights = read_weights(path, plan or spec.plan)
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
            array = arrays[name.rpartition(".")[2]]
            if mapped:
                state[f"layers.{index}.{name}"] = _view(array)
                network.release_pages = partial(release_pages, array)
            else:
                state[f"layers.{index}.{name}"] = own = torch.empty(tensor.shape)
                _copy(array, own)
    network.load_state_dict(state, assign=True)
    return network.eval(), weights.header


def _view(array: np.ndarray) -> Tensor:
    """A tensor on a mapped array; nothing must be written to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def fill_from_darknet(
    network: DarknetNetwork, path: Path, plan: NetworkPlan | None = None
) -> tuple[DarknetWeights, tuple[int, ...]]:
    """Copy what a file holds, perhaps of the first layers only, into a network; the rest keeps its values.

    Args:
        network: changed in place.
        path: the file. What it was made for is found by its length: the network of `plan`, `network` itself (a file
            that was exported after training on the same classes), or that of the cfg beside it.
        plan: of the user's cfg, where the network has other classes than that; None for `network`'s own.

    Returns:
        what was read, with the header and the number of layers; and the indices of layers that were left as they were,
        because theirs have other shapes in the file.

    Raises:
        WeightsError: the file is missing, of another network, cut off in a layer, or holds numbers that are not finite.
    """
    own = network.spec.plan
    weights, file_plan = _read_by_length(path, own, plan or own)
    check_finite(weights)
    pairs = zip(own.layers, file_plan.layers, strict=True)
    misfits = tuple(mine.index for mine, its in pairs if mine.blocks != its.blocks and its.index in weights.arrays)
    _fill(network, weights, without=misfits)
    return weights, misfits


def _read_by_length(path: Path, own: NetworkPlan, cfg_plan: NetworkPlan) -> tuple[DarknetWeights, NetworkPlan]:
    """The file, and the plan of those it may belong to that its length agrees with."""
    read_header(path)
    try:
        return read_weights(path, cfg_plan, partial=True), cfg_plan
    except WeightsError as error:
        first = error
    for plan in (own, _plan_beside(path, own)):
        if plan is not None and plan.text != cfg_plan.text:
            with suppress(WeightsError):
                return read_weights(path, plan, partial=True), plan
    classes = "" if own.detection is None else f" with {own.detection.num_classes} classes"
    raise WeightsError(
        f"{first}. Nor is it of the network{classes} that is trained here. If `gridyolo darknet export` wrote it, keep "
        f"{path.with_suffix('.cfg').name} beside it, or give that as --cfg"
    ) from first


def _plan_beside(path: Path, own: NetworkPlan) -> NetworkPlan | None:
    """Plan of the cfg beside a weights file, if there is one with the same kinds of layers as `own`."""
    beside = path.with_suffix(".cfg")
    try:
        plan = plan_cfg(read_cfg(beside)) if beside.is_file() else None
    except ConfigError:
        return None
    kinds = [layer.kind for layer in own.layers]
    return plan if plan is not None and [layer.kind for layer in plan.layers] == kinds else None


def save_darknet(path: Path, network: DarknetNetwork, header: WeightsHeader, *, upto: int | None = None) -> None:
    """Write a network's weights as darknet writes them, atomically.

    Args:
        path: where to.
        network: on any device.
        header: the first bytes of the file, with `seen`.
        upto: only the layers before this one, for a file to start other networks from.

    Raises:
        WeightsError: `upto` is not a number of layers.
    """
    arrays = {
        index: {
            name: tensor.detach().cpu().float().contiguous().numpy() for name, tensor in block_tensors(layer).items()
        }
        for index, layer in enumerate(network.layers)
    }
    write_weights(path, network.spec.plan, arrays, header, upto=upto)


def _fill(network: DarknetNetwork, weights: DarknetWeights, without: tuple[int, ...] = ()) -> None:
    with torch.no_grad():
        for index, arrays in weights.arrays.items():
            if index in without:
                continue
            tensors = block_tensors(network.layers[index])
            for name, array in arrays.items():
                # fewer filters than the layer has where the cfg says `numload`
                _copy(array, tensors[name][: len(array)])


def _copy(array: np.ndarray, into: Tensor) -> None:
    """Copy a mapped array piece by piece in the order of the file, and release each before the next."""
    if not array.flags.c_contiguous:  # the file has it with its outputs last
        array, into = np.moveaxis(array, 0, -1), into.movedim(0, -1)
    elif into.is_contiguous():  # its rows can be large: the first of a [local] has a seventh of a network's numbers
        array, into = array.reshape(-1), into.view(-1)
    for rows in row_slices(array.shape):
        into[rows].copy_(torch.from_numpy(np.array(array[rows])))
        release_pages(array)
