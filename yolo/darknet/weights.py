"""darknet's `.weights` files: a header, then the float32 arrays of one layer after another, and nothing else.

A file does not say what it belongs to. darknet reads what it can and says nothing, so that a short file leaves layers
at random values and a wrong one loads noise; here the length must agree with the plan of the network.

Reading maps the file: arrays are views of it, and numbers are fetched from the disk when they are used. Writing goes
block by block. Neither ever holds more than one part of the network in memory. A file that was read with a plan and is
written with the same plan is the same byte for byte, unless the cfg itself says that the two differ (`dontsave`,
`dontload`, `dontloadscales`, `numload`).

Leaves out: 32-bit builds of darknet, whose `seen` has 4 bytes under the version that has 8 elsewhere.
Source: darknet src/parser.c, load_weights_upto, save_weights_upto and the functions they call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from yolo.darknet.header import HEADER_BYTES, Form, WeightsHeader, parse_header, read_header
from yolo.darknet.layers import Block, Connected, Convolutional, Layer
from yolo.darknet.plan import NetworkPlan
from yolo.errors import WeightsError
from yolo.files import atomic_write

__all__ = [
    "DarknetWeights", "WeightsHeader", "check_finite", "parse_header", "read_header", "read_weights", "weights_size",
    "write_weights",
]  # fmt: skip

Array = NDArray[np.float32]
LayerArrays = Mapping[str, Array]

_FLOAT = np.dtype("<f4")
_FLOATS_PER_WRITE = 4_000_000


@dataclass(frozen=True)
class DarknetWeights:
    """What a weights file holds.

    Attributes:
        source: its name, for messages.
        header: its header.
        arrays: by layer index and block name; read-only views of the file in the shapes that `layers.py` tells.
            Layers without arrays, and those that the file does not cover, are missing.
        loaded_layers: how many layers from the start the file covers; all of them unless it is a partial one.
    """

    source: str
    header: WeightsHeader
    arrays: Mapping[int, LayerArrays]
    loaded_layers: int


def read_weights(path: Path, plan: NetworkPlan, *, partial: bool = False) -> DarknetWeights:
    """Map a weights file. The file must not be changed while its arrays are in use.

    Args:
        path: the file.
        plan: the network it belongs to.
        partial: accept a file that ends after one of the first layers, as darknet's `partial` command makes it.

    Raises:
        WeightsError: no weights file; shorter or longer than the network; ended inside a layer; partial and not
            asked for.
    """
    header = read_header(path)
    body_bytes = path.stat().st_size - header.size
    loaded_layers = _covered_layers(str(path), plan, body_bytes)
    if loaded_layers < len(plan.layers) and not (partial and body_bytes):
        raise WeightsError(_partial_message(str(path), plan, loaded_layers))
    body = _map(path, header.size, body_bytes // _FLOAT.itemsize)
    arrays: dict[int, LayerArrays] = {}
    position = 0
    for layer in plan.layers[:loaded_layers]:
        blocks = {}
        for block in layer.loaded_blocks:
            blocks[block.name] = _from_stored(body[position : position + block.size], layer, block, header)
            position += block.size
        if blocks:
            arrays[layer.index] = blocks
    return DarknetWeights(source=str(path), header=header, arrays=arrays, loaded_layers=loaded_layers)


def check_finite(weights: DarknetWeights) -> None:
    """Read every number once and refuse NaN, infinity and negative variances, in constant memory.

    Raises:
        WeightsError: naming the first layer and block that has one.
    """
    for index, blocks in weights.arrays.items():
        for name, array in blocks.items():
            # minimum and maximum hand NaN on, and need no array of answers
            smallest, largest = array.min(), array.max()
            if not (np.isfinite(smallest) and np.isfinite(largest)):
                raise WeightsError(f"{weights.source}: {name} of layer {index} have values that are no finite numbers")
            if name == "rolling_variance" and smallest < 0:
                raise WeightsError(f"{weights.source}: {name} of layer {index} has negative values")


def write_weights(
    path: Path,
    plan: NetworkPlan,
    arrays: Mapping[int, LayerArrays],
    header: WeightsHeader,
    *,
    upto: int | None = None,
) -> None:
    """Write a weights file, at once and whole or not at all.

    With `flipped` the weights are stored in the order that reading expects with the same cfg. (darknet transposes on
    reading only, so that it cannot read back what it writes.)

    Args:
        path: where to.
        plan: the network; layers with `dontsave` are left out.
        arrays: float32, by layer index and block name, in the shapes that `layers.py` tells. Others are not looked at.
        header: decides the form; `WeightsHeader.new(seen)` for today's.
        upto: write only the layers before this index.

    Raises:
        WeightsError: an array is missing or of another shape or type.
    """
    layers = plan.layers[: _checked_upto(plan, upto)]
    for layer in layers:
        _check_arrays(str(path), layer, arrays.get(layer.index, {}))
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(header.to_bytes())
        for layer in layers:
            for block in layer.saved_blocks:
                _write_array(file, _to_stored(arrays[layer.index][block.name], layer, block, header))


def weights_size(plan: NetworkPlan, form: Form = "current", upto: int | None = None) -> int:
    """Bytes of a file that `write_weights` makes.

    Args:
        plan: the network.
        form: of the header.
        upto: only the layers before this index.
    """
    layers = plan.layers[: _checked_upto(plan, upto)]
    return HEADER_BYTES[form] + _FLOAT.itemsize * sum(b.size for layer in layers for b in layer.saved_blocks)


def _covered_layers(source: str, plan: NetworkPlan, body_bytes: int) -> int:
    """How many layers from the start `body_bytes` are enough for, where they end exactly after a layer."""
    position = 0
    for layer in plan.layers:
        for number, block in enumerate(layer.loaded_blocks):
            missing = position + _FLOAT.itemsize * block.size - body_bytes
            if missing > 0 and number == 0 and position == body_bytes:
                return layer.index
            if missing > 0:
                raise WeightsError(
                    f"{source} ends inside layer {layer.index} ({layer.kind}) of {plan.source}: {missing:,} bytes of "
                    f"its {block.name} are missing. The file is cut off, or belongs to another network"
                )
            position += _FLOAT.itemsize * block.size
    if position < body_bytes:
        raise WeightsError(
            f"{source} goes on for {body_bytes - position:,} bytes after the last layer of {plan.source}, which "
            f"needs {position:,} after the header: it belongs to another network"
        )
    return len(plan.layers)


def _partial_message(source: str, plan: NetworkPlan, loaded_layers: int) -> str:
    total = len(plan.layers)
    if not any(layer.loaded_blocks for layer in plan.layers[:loaded_layers]):
        return f"{source} holds a header and no layer of {plan.source}"
    return (
        f"{source} covers the first {loaded_layers} of {total} layers of {plan.source} and ends exactly there. If it "
        f"is meant to be a partial file (such as pre-trained convolutions), load it with partial=True; the other "
        f"layers then keep the values they have"
    )


def _map(path: Path, offset: int, num_floats: int) -> Array:
    """The body of the file as a read-only vector that is not in memory."""
    if not num_floats:  # nothing cannot be mapped
        return np.empty(0, _FLOAT)
    try:
        return np.asarray(np.memmap(path, dtype=_FLOAT, mode="r", offset=offset, shape=(num_floats,)))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot map these weights: {error}") from error


def _is_transposed(layer: Layer, block: Block, header: WeightsHeader) -> bool:
    """Whether a matrix stands in the file with its outputs last."""
    if block.name != "weights":
        return False
    if isinstance(layer, Convolutional):
        return layer.flipped
    return isinstance(layer, Connected) and header.transposes_connected


def _from_stored(stored: Array, layer: Layer, block: Block, header: WeightsHeader) -> Array:
    """A view of the file's floats in the shape of `block`."""
    if _is_transposed(layer, block, header):
        outputs, *inner = block.shape
        return np.moveaxis(stored.reshape(*inner, outputs), -1, 0)
    return stored.reshape(block.shape)


def _to_stored(array: Array, layer: Layer, block: Block, header: WeightsHeader) -> Array:
    """A view of `array` in the order that the file has it. Inverse of `_from_stored`."""
    return np.moveaxis(array, 0, -1) if _is_transposed(layer, block, header) else array


def _write_array(file: BinaryIO, array: Array) -> None:
    """Write in pieces: a transposed array must be copied, and one layer can have most of the network's floats."""
    for piece in _pieces(array):
        file.write(np.ascontiguousarray(piece, dtype=_FLOAT).data)


def _pieces(array: Array) -> Iterator[Array]:
    rows = max(1, _FLOATS_PER_WRITE * len(array) // array.size)
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def _check_arrays(source: str, layer: Layer, given: LayerArrays) -> None:
    where = f"{source}: cannot write layer {layer.index} ({layer.kind})"
    for block in layer.saved_blocks:
        if block.name not in given:
            raise WeightsError(f"{where}: its {block.name} are missing")
        array = given[block.name]
        if array.shape != block.shape or array.dtype != _FLOAT:
            raise WeightsError(
                f"{where}: its {block.name} must be float32 of shape {block.shape}, not {array.dtype} of {array.shape}"
            )


def _checked_upto(plan: NetworkPlan, upto: int | None) -> int:
    if upto is None:
        return len(plan.layers)
    if not 0 <= upto <= len(plan.layers):
        raise WeightsError(f"upto={upto}: {plan.source} has {len(plan.layers)} layers")
    return upto
