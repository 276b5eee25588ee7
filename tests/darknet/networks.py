"""Small cfgs, arrays and headers for these tests."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yolo.darknet.plan import NetworkPlan, plan_network
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
