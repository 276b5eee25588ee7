"""darknet's `.weights` files: a header, then the float32 arrays of one layer after another, and nothing else.

A file does not say what it belongs to. darknet reads what it can and says nothing, so that a short file leaves layers
at random values and a wrong one loads noise; here the length must agree with the plan of the network.

Reading maps the file: arrays are views of it, and numbers are fetched from the disk when they are used. Writing goes
block by block. Neither ever holds more than one part of the network in memory. A file that was read with a plan and is
written with the same plan is the same byte for byte, unless the cfg itself says that the two differ (`dontsave`,
`dontload`, `dontloadscales`, `numload`).

The header has three historical forms, little-endian and without padding:

    current  int32 major, minor, revision; uint64 seen       20 bytes, version 0.2.0 and later
    2016     int32 major, minor, revision; int32 seen        16 bytes, version 0.1.0: the released YOLOv1 weights
    oldest   float32 rate, momentum, decay; int32 seen       16 bytes; connected matrices are stored inputs first

Nothing marks the form: darknet takes the first two numbers as int32 and decides by their size, since a float such as
0.9 reads as a number far above 1000. The same rule is used here, and the four numbers are kept as they stand.

Leaves out: 32-bit builds of darknet, whose `seen` has 4 bytes under the version that has 8 elsewhere.
Source: darknet src/parser.c, load_weights_upto, save_weights_upto and the functions they call.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from yolo.arrays import Float32
from yolo.darknet.layers import Block, Connected, Convolutional, Layer
from yolo.darknet.plan import NetworkPlan
from yolo.errors import WeightsError
from yolo.files import atomic_write

LayerArrays = Mapping[str, Float32]
Form = Literal["current", "2016", "oldest"]

_FIRST_CURRENT_VERSION = 2  # major * 10 + minor
_LARGEST_VERSION = 1000
_FLOAT = np.dtype("<f4")
_FLOATS_AT_ONCE = 2_000_000  # 8 MB: what is copied, of arrays that can be most of a network
_NUMBERS, _FLOATS, _SHORT_SEEN, _LONG_SEEN = "<iii", "<fff", "<i", "<Q"
_SHORT_HEADER, _LONG_HEADER = 16, 20  # bytes

# Files that are passed by mistake. Read as a header, their first bytes would be a learning rate of the oldest form.
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive or PyTorch file",
    b"[net": "a cfg",
    b"<!DOCTYPE": "a web page: the download went wrong",
    b"<!doctype": "a web page: the download went wrong",
    b"<html": "a web page: the download went wrong",
    b"version https://git-lfs": "a Git LFS pointer: the file itself was not fetched",
}


@dataclass(frozen=True, kw_only=True)
class WeightsHeader:
    """The numbers before the first layer."""

    major: int  # version, as an int32; in the oldest form these three are the bits of three floats
    minor: int
    revision: int
    seen: int  # images the network was trained on; the learning rate continues from here

    def __post_init__(self) -> None:
        try:
            self.to_bytes()
        except struct.error as error:
            bits = "64" if self.form == "current" else "signed 32"
            raise WeightsError(
                f"seen={self.seen} does not fit the {self.form!r} header of a weights file, where it has {bits} bits"
            ) from error

    @classmethod
    def new(cls, seen: int = 0) -> WeightsHeader:
        """The header of version 0.2.0, which darknet writes today."""
        return cls(major=0, minor=2, revision=0, seen=seen)

    @classmethod
    def oldest(cls, *, rate: float, momentum: float, decay: float, seen: int = 0) -> WeightsHeader:
        """A header of the oldest form; darknet recognises it by a rate or a momentum above 0."""
        major, minor, revision = struct.unpack(_NUMBERS, struct.pack(_FLOATS, rate, momentum, decay))
        return cls(major=major, minor=minor, revision=revision, seen=seen)

    @property
    def form(self) -> Form:
        """Which of the three forms darknet would take these numbers for."""
        if self.major > _LARGEST_VERSION or self.minor > _LARGEST_VERSION:
            return "oldest"
        below = self.major < _LARGEST_VERSION and self.minor < _LARGEST_VERSION
        return "current" if below and self.major * 10 + self.minor >= _FIRST_CURRENT_VERSION else "2016"

    @property
    def hyperparameters(self) -> tuple[float, float, float] | None:
        """Learning rate, momentum and decay, which only the oldest form has."""
        if self.form != "oldest":
            return None
        rate, momentum, decay = struct.unpack(_FLOATS, struct.pack(_NUMBERS, self.major, self.minor, self.revision))
        return rate, momentum, decay

    def to_bytes(self) -> bytes:
        """The header as it stands in a file."""
        seen = struct.pack(_LONG_SEEN if self.form == "current" else _SHORT_SEEN, self.seen)
        return struct.pack(_NUMBERS, self.major, self.minor, self.revision) + seen


def read_header(path: Path) -> WeightsHeader:
    """Header of a weights file.

    Raises:
        WeightsError: the file cannot be read, is too short, or is evidently something else.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, say, would wait for ever
            raise WeightsError(f"{path} is not a file: weights are read from ordinary files only")
        with path.open("rb") as file:
            start = file.read(max(_LONG_HEADER, *map(len, _OTHER_FILES)))
    except OSError as error:
        raise WeightsError(f"{path}: cannot read these weights: {error.strerror or error}") from error
    return parse_header(start, source=str(path))


def parse_header(start: bytes, *, source: str) -> WeightsHeader:
    """Header from the first bytes of a file, all of it or more; `source` is its name for messages.

    Raises:
        WeightsError: too short, or evidently something else.
    """
    for signature, what in _OTHER_FILES.items():
        if start.startswith(signature):
            raise WeightsError(f"{source} is not a darknet weights file but {what}")
    if len(start) < _SHORT_HEADER:
        raise WeightsError(f"{source} is not a darknet weights file: {len(start)} bytes are shorter than any header")
    major, minor, revision, seen = struct.unpack_from(_NUMBERS + "i", start)
    # the form does not depend on seen, so 0 may stand in for it
    form = WeightsHeader(major=major, minor=minor, revision=revision, seen=0).form
    if form == "current":
        if len(start) < _LONG_HEADER:
            raise WeightsError(f"{source} is not a darknet weights file: it ends inside the header")
        (seen,) = struct.unpack_from(_LONG_SEEN, start, struct.calcsize(_NUMBERS))
    return WeightsHeader(major=major, minor=minor, revision=revision, seen=seen)


@dataclass(frozen=True)
class DarknetWeights:
    """What a weights file holds."""

    source: str  # its name, for messages
    header: WeightsHeader
    # By layer index and block name: read-only views of the file in the shapes of `Layer.blocks`. Layers without
    # arrays, and those that the file does not cover, are missing.
    arrays: Mapping[int, LayerArrays]
    loaded_layers: int  # how many layers from the start the file covers; all of them unless it is a partial one


def read_weights(path: Path, plan: NetworkPlan, *, partial: bool = False) -> DarknetWeights:
    """Map a weights file. The file must not be changed while its arrays are in use.

    Args:
        path: the file.
        plan: the network it belongs to.
        partial: accept a file that ends after one of the first layers, as darknet's `partial` command makes it.

    Raises:
        WeightsError: not a weights file; shorter or longer than the network; ended inside a layer; partial and not
            asked for.
    """
    header = read_header(path)
    header_bytes = len(header.to_bytes())
    body_bytes = path.stat().st_size - header_bytes
    loaded_layers = _covered_layers(str(path), plan, body_bytes)
    if loaded_layers < len(plan.layers) and not (partial and body_bytes):
        raise WeightsError(_partial_message(str(path), plan, loaded_layers))
    body = _map(path, header_bytes, body_bytes // _FLOAT.itemsize)
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
            # in the order of the file: a transposed matrix has its outputs last there
            stored = array.reshape(-1) if array.flags.c_contiguous else np.moveaxis(array, 0, -1)
            for rows in row_slices(stored.shape):
                # minimum and maximum hand NaN on, and need no array of answers
                smallest, largest = stored[rows].min(), stored[rows].max()
                where = f"{weights.source}: {name} of layer {index}"
                if not (np.isfinite(smallest) and np.isfinite(largest)):
                    raise WeightsError(f"{where} have values that are not finite numbers")
                if name == "rolling_variance" and smallest < 0:
                    raise WeightsError(f"{where} has negative values")
                release_pages(array)


def row_slices(shape: Sequence[int]) -> Iterator[slice]:
    """The first axis of an array in slices of bounded memory, but of one row at least.

    >>> list(row_slices((5, 500_000)))
    [slice(0, 4, None), slice(4, 8, None)]
    """
    rows = max(1, _FLOATS_AT_ONCE // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], rows):
        yield slice(start, start + rows)


def release_pages(array: np.ndarray) -> None:
    """Take the pages of the file that `array` is a view of out of this process's memory, where that is possible.

    They are read again when they are needed.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


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
        arrays: float32, by layer index and block name, in the shapes of `Layer.blocks`; others are ignored.
        header: decides the form; `WeightsHeader.new(seen)` for today's.
        upto: write only the layers before this index.

    Raises:
        WeightsError: an array is missing or of another shape or type; there is no layer `upto`.
    """
    if upto is not None and not 0 <= upto <= len(plan.layers):
        raise WeightsError(f"upto={upto}: {plan.source} has {len(plan.layers)} layers")
    layers = plan.layers[:upto]
    for layer in layers:
        _check_arrays(str(path), layer, arrays.get(layer.index, {}))
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(header.to_bytes())
        for layer in layers:
            for block in layer.saved_blocks:
                _write_array(file, _to_stored(arrays[layer.index][block.name], layer, block, header))


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
                    f"its {block.name} are missing. The file is cut off, or belongs to another "
                    "network, or to this one with fewer classes"
                )
            position += _FLOAT.itemsize * block.size
    if position < body_bytes:
        raise WeightsError(
            f"{source} goes on for {body_bytes - position:,} bytes after the last layer of {plan.source}, which "
            f"needs {position:,} after the header: it belongs to another network, or to this one with more classes"
        )
    return len(plan.layers)


def _partial_message(source: str, plan: NetworkPlan, loaded_layers: int) -> str:
    total = len(plan.layers)
    if not any(layer.loaded_blocks for layer in plan.layers[:loaded_layers]):
        return f"{source} holds a header and no layer of {plan.source}"
    return (
        f"{source} covers the first {loaded_layers} of {total} layers of {plan.source} and ends exactly there. A file "
        f"of the first layers (such as pre-trained convolutions) is a start for `gridyolo train --cfg ... --weights`; "
        f"everything else needs the whole network"
    )


def _map(path: Path, offset: int, num_floats: int) -> Float32:
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
    return isinstance(layer, Connected) and header.form == "oldest"


def _from_stored(stored: Float32, layer: Layer, block: Block, header: WeightsHeader) -> Float32:
    """A view of the file's floats in the shape of `block`."""
    if _is_transposed(layer, block, header):
        outputs, *inner = block.shape
        return np.moveaxis(stored.reshape(*inner, outputs), -1, 0)
    return stored.reshape(block.shape)


def _to_stored(array: Float32, layer: Layer, block: Block, header: WeightsHeader) -> Float32:
    """A view of `array` in the order that the file has it. Inverse of `_from_stored`."""
    return np.moveaxis(array, 0, -1) if _is_transposed(layer, block, header) else array


def _write_array(file: BinaryIO, array: Float32) -> None:
    """Write in pieces: a transposed array must be copied."""
    for rows in row_slices(array.shape):
        file.write(np.ascontiguousarray(array[rows], dtype=_FLOAT).data)


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
