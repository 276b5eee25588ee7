"""Weights files as a whole: darknet's own, random ones, and any bytes at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.darknet.networks import CURRENT, HEADERS, assert_equal, plan_of
from tests.reference.golden import golden_npz, golden_path
from yolo.darknet.cfg import read_cfg
from yolo.darknet.plan import NetworkPlan, plan_cfg
from yolo.darknet.weights import WeightsHeader, check_finite, read_weights, write_weights
from yolo.errors import GridYoloError, WeightsError


def golden_plan(name: str) -> NetworkPlan:
    return plan_cfg(read_cfg(golden_path(f"{name}.cfg")))


GOLDEN_FILES = [
    ("micro", "micro", 20, 2**33 + 640),
    ("micro_v01", "micro", 16, 12800),
    ("micro_ancient", "micro", 16, 6400),
    ("tiny_like", "tiny_like", 20, 6442450944),
    ("tiny_like_step1", "tiny_like_train", 20, 4),
    ("yolov1_like", "yolov1_like", 20, 78976),
]


@pytest.mark.parametrize(("file", "cfg", "header_bytes", "seen"), GOLDEN_FILES)
def test_darknets_files_are_written_back_byte_for_byte(
    tmp_path: Path, file: str, cfg: str, header_bytes: int, seen: int
) -> None:
    plan, path = golden_plan(cfg), golden_path(f"{file}.weights")
    weights = read_weights(path, plan)
    assert (weights.header.size, weights.header.seen) == (header_bytes, seen)
    check_finite(weights)
    write_weights(tmp_path / "a.weights", plan, weights.arrays, weights.header)
    assert (tmp_path / "a.weights").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("file", ["micro", "micro_v01", "micro_ancient"])
def test_arrays_are_those_in_darknets_memory(file: str) -> None:
    weights = read_weights(golden_path(f"{file}.weights"), golden_plan("micro"))
    expected: dict[int, dict[str, Any]] = {}
    for key, array in golden_npz("micro_arrays.npz").items():
        name, _, rest = key.partition("__")
        if name == file and rest.startswith("layer"):
            index, _, block = rest.removeprefix("layer").partition("_")
            expected.setdefault(int(index), {})[block] = array
    assert_equal(weights, expected)


def test_darknets_partial_file(tmp_path: Path) -> None:
    plan, path = golden_plan("micro"), golden_path("micro_upto2.weights")
    with pytest.raises(WeightsError, match="covers the first 2 of 6 layers"):
        read_weights(path, plan)
    weights = read_weights(path, plan, partial=True)
    assert weights.loaded_layers == 2
    write_weights(tmp_path / "a.weights", plan, weights.arrays, weights.header, upto=2)
    assert (tmp_path / "a.weights").read_bytes() == path.read_bytes()


@st.composite
def networks(draw: st.DrawFn) -> NetworkPlan:
    """Small networks of random layers, most of which have arrays."""
    sections = []
    for _ in range(draw(st.integers(1, 6))):
        normalise = draw(st.sampled_from(["", "batch_normalize=1\n"]))
        filters = draw(st.integers(1, 4))
        sections.append(
            draw(
                st.sampled_from(
                    [
                        f"[conv]\nsize=3\npad=1\nfilters={filters}\n{normalise}",
                        f"[conv]\nflipped=1\nfilters={filters}\n{normalise}",
                        f"[connected]\noutput={filters}\n{normalise}",
                        f"[local]\nsize=3\npad=1\nfilters={filters}\n",
                        "[batchnorm]\n",
                        "[maxpool]\nsize=2\nstride=2\n",
                        "[dropout]\n",
                    ]
                )
            )
        )
    return plan_of("".join(sections), "[net]\nwidth=5\nheight=3\nchannels=2\n")


@given(networks(), st.sampled_from(HEADERS), st.integers(0, 2**32 - 1))
def test_random_networks_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, plan: NetworkPlan, header: WeightsHeader, seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.weights"
    generator = np.random.default_rng(seed)
    arrays = {
        layer.index: {b.name: generator.standard_normal(b.shape, np.float32) for b in layer.blocks}
        for layer in plan.layers
        if layer.blocks
    }
    write_weights(path, plan, arrays, header)
    weights = read_weights(path, plan)
    assert_equal(weights, arrays)
    content = path.read_bytes()
    write_weights(path.with_suffix(".again"), plan, weights.arrays, weights.header)
    assert path.with_suffix(".again").read_bytes() == content
    assert content.startswith(header.to_bytes())


@given(st.binary(max_size=400) | st.binary(max_size=400).map(CURRENT.to_bytes().__add__), st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, partial: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "any.weights"
    path.write_bytes(content)
    try:
        weights = read_weights(path, plan_of(), partial=partial)
    except GridYoloError:
        return
    assert partial or weights.loaded_layers == 8
