import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.darknet.networks import (
    CURRENT,
    FORM_2016,
    HEADERS,
    OLDEST,
    assert_equal,
    floats_of,
    for_each_header,
    numbered,
    plan_of,
)
from tests.reference.golden import golden_path
from yolo.darknet import weights as weights_module
from yolo.darknet.lookup import network_cfg
from yolo.darknet.plan import NetworkPlan, plan_network
from yolo.darknet.weights import (
    WeightsHeader,
    check_finite,
    parse_header,
    read_header,
    read_weights,
    write_weights,
)
from yolo.errors import GridYoloError, WeightsError


@for_each_header
def test_blocks_stand_in_the_file_in_darknets_order(tmp_path: Path, header: WeightsHeader) -> None:
    plan, path = plan_of(), tmp_path / "a.weights"
    write_weights(path, plan, numbered(plan), header)
    assert path.stat().st_size == len(header.to_bytes()) + 4 * plan.num_floats
    expected = np.arange(plan.num_floats, dtype=np.float32)
    if header.form == "oldest":
        # all outputs of input 0 come first; a connected layer's matrix stands after its biases
        for index in (5, 6):
            biases, weights = plan.layers[index].blocks[:2]
            start = sum(layer.num_floats for layer in plan.layers[:index]) + biases.size
            matrix = expected[start : start + weights.size].reshape(weights.shape)
            expected[start : start + weights.size] = matrix.T.ravel()
    assert floats_of(path, header) == expected.tolist()
    assert_equal(read_weights(path, plan), numbered(plan))


@for_each_header
def test_what_was_read_is_written_back_byte_for_byte(tmp_path: Path, header: WeightsHeader) -> None:
    plan, source, target = plan_of(), tmp_path / "a.weights", tmp_path / "b.weights"
    noise = np.random.default_rng(0).bytes(4 * plan.num_floats)  # NaN of every kind among them
    source.write_bytes(header.to_bytes() + noise)
    weights = read_weights(source, plan)
    assert weights.header == header
    assert weights.loaded_layers == len(plan.layers)
    write_weights(target, plan, weights.arrays, weights.header)
    assert target.read_bytes() == source.read_bytes()


def test_a_flipped_convolution_is_a_transposed_matrix_in_the_file(tmp_path: Path) -> None:
    plan, path = plan_of("[conv]\nfilters=3\nsize=2\nflipped=1\n"), tmp_path / "a.weights"
    stored = np.arange(8 * 3, dtype=np.float32).reshape(8, 3)  # (channels * size * size, filters)
    path.write_bytes(CURRENT.to_bytes() + np.full(3, 9, np.float32).tobytes() + stored.tobytes())
    weights = read_weights(path, plan)
    array = weights.arrays[0]["weights"]
    np.testing.assert_array_equal(array, stored.T.reshape(3, 2, 2, 2))
    write_weights(tmp_path / "b.weights", plan, weights.arrays, CURRENT)
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()


def test_arrays_are_read_only_views_of_the_file_even_where_it_is_transposed(tmp_path: Path) -> None:
    plan, path = plan_of("[conv]\nfilters=3\nsize=2\nflipped=1\n[connected]\noutput=4\n"), tmp_path / "a.weights"
    write_weights(path, plan, numbered(plan), OLDEST)
    for blocks in read_weights(path, plan).arrays.values():
        for array in blocks.values():
            assert not array.flags.writeable
            assert not array.flags.owndata
            base: Any = array
            while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
                base = base.base
            assert isinstance(base, np.memmap)


def test_large_blocks_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "_FLOATS_AT_ONCE", 7)
    for header in (CURRENT, OLDEST):
        test_blocks_stand_in_the_file_in_darknets_order(tmp_path, header)
        test_what_was_read_is_written_back_byte_for_byte(tmp_path, header)


def test_layers_with_dontsave_are_left_out_and_those_with_dontload_not_expected(tmp_path: Path) -> None:
    text = "[connected]\noutput=2\n{}\n[connected]\noutput=3\n"
    unsaved, unloaded = (plan_of(text.format(f"{flag}=1"), "[net]\ninputs=4\n") for flag in ("dontsave", "dontload"))
    path = tmp_path / "a.weights"
    write_weights(path, unsaved, {1: numbered(unsaved)[1]}, CURRENT)
    assert path.stat().st_size == 20 + 4 * 9
    weights = read_weights(path, unloaded)
    assert_equal(weights, {1: numbered(unsaved)[1]})
    assert weights.loaded_layers == 2


def test_dontloadscales_reads_files_from_before_the_normalisation_was_added(tmp_path: Path) -> None:
    text = "[conv]\nfilters=2\n{}\n[connected]\noutput=3\n{}\n"
    plain = plan_of(text.format("", ""))
    normalised = plan_of(text.format(*["batch_normalize=1\ndontloadscales=1"] * 2))
    write_weights(tmp_path / "a.weights", plain, numbered(plain), CURRENT)
    assert_equal(read_weights(tmp_path / "a.weights", normalised), numbered(plain))


def test_numload_reads_the_first_filters_only(tmp_path: Path) -> None:
    text = "[conv]\nbatch_normalize=1\nsize=2\nfilters={}\n{}\n"
    for flipped in ("", "flipped=1"):
        small, large = plan_of(text.format(3, flipped)), plan_of(text.format(8, f"numload=3\n{flipped}"))
        write_weights(tmp_path / "a.weights", small, numbered(small), CURRENT)
        assert_equal(read_weights(tmp_path / "a.weights", large), numbered(small))


@for_each_header
def test_a_partial_file_is_read_on_request_and_refused_with_the_way_otherwise(
    tmp_path: Path, header: WeightsHeader
) -> None:
    plan, path = plan_of(), tmp_path / "a.weights"
    for upto, covered in {1: 2, 2: 2, 3: 3, 5: 5, 6: 6}.items():  # the pool after layer 0 needs nothing
        write_weights(path, plan, numbered(plan), header, upto=upto)
        num_floats = sum(layer.num_floats for layer in plan.layers[:upto])
        assert path.stat().st_size == len(header.to_bytes()) + 4 * num_floats
        with pytest.raises(WeightsError, match=rf"covers the first {covered} of 8 layers of a\.cfg .* start for"):
            read_weights(path, plan)
        weights = read_weights(path, plan, partial=True)
        assert weights.loaded_layers == covered
        expected = {index: blocks for index, blocks in numbered(plan).items() if index < upto}
        assert_equal(weights, expected)
        write_weights(tmp_path / "b.weights", plan, weights.arrays, weights.header, upto=weights.loaded_layers)
        assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()


def test_a_whole_file_may_be_asked_for_as_a_partial_one(tmp_path: Path) -> None:
    plan = plan_of()
    for upto in (7, 8):  # the detection layer at the end needs nothing
        write_weights(tmp_path / "a.weights", plan, numbered(plan), CURRENT, upto=upto)
        assert read_weights(tmp_path / "a.weights", plan, partial=True).loaded_layers == 8


@pytest.mark.parametrize("partial", [False, True])
def test_a_header_alone_is_no_partial_file(tmp_path: Path, partial: bool) -> None:
    (tmp_path / "a.weights").write_bytes(CURRENT.to_bytes())
    with pytest.raises(WeightsError, match=r"holds a header and no layer of a\.cfg"):
        read_weights(tmp_path / "a.weights", plan_of(), partial=partial)
    weights = read_weights(tmp_path / "a.weights", plan_of("[maxpool]\n"), partial=partial)  # which needs no more
    assert (weights.arrays, weights.loaded_layers) == ({}, 1)


@pytest.mark.parametrize(
    ("body_bytes", "message"),
    [
        # layer 0: biases, scales, means, variances of 3 floats, 54 weights; layer 2: 6 biases, 6 weights
        (1, r"inside layer 0 \(convolutional\) of a\.cfg: 11 bytes of its biases are missing"),
        (12, r"inside layer 0 .*: 12 bytes of its scales are missing"),
        (4 * 12, r"inside layer 0 .*: 216 bytes of its weights are missing"),
        (4 * 66 - 1, r"inside layer 0 .*: 1 bytes of its weights are missing"),
        (4 * 66 + 2, r"inside layer 2 .*: 22 bytes of its biases are missing"),
        (4 * 73, r"inside layer 2 .*: 20 bytes of its weights are missing"),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_a_file_cut_off_inside_a_layer_names_layer_block_and_bytes(
    tmp_path: Path, body_bytes: int, message: str, partial: bool
) -> None:
    (tmp_path / "a.weights").write_bytes(CURRENT.to_bytes() + bytes(body_bytes))
    with pytest.raises(WeightsError, match=rf"a\.weights ends {message}"):
        read_weights(tmp_path / "a.weights", plan_of(), partial=partial)


@pytest.mark.parametrize("surplus", [1, 4, 1000])
@pytest.mark.parametrize("partial", [False, True])
def test_a_file_that_goes_on_belongs_to_another_network(tmp_path: Path, surplus: int, partial: bool) -> None:
    plan = plan_of()
    (tmp_path / "a.weights").write_bytes(CURRENT.to_bytes() + bytes(4 * plan.num_floats + surplus))
    message = rf"goes on for {surplus:,} bytes after the last layer of a\.cfg, which needs {4 * plan.num_floats:,} "
    with pytest.raises(WeightsError, match=message):
        read_weights(tmp_path / "a.weights", plan, partial=partial)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_found_with_layer_and_block(tmp_path: Path, bad: float) -> None:
    plan = plan_of()
    for index, name in ((0, "rolling_variance"), (5, "weights"), (6, "biases")):
        arrays = numbered(plan)
        arrays[index][name].flat[-1] = bad
        write_weights(tmp_path / "a.weights", plan, arrays, OLDEST)
        with pytest.raises(WeightsError, match=rf"a\.weights: {name} of layer {index} have values"):
            check_finite(read_weights(tmp_path / "a.weights", plan))
    arrays = numbered(plan)
    write_weights(tmp_path / "a.weights", plan, arrays, OLDEST)
    check_finite(read_weights(tmp_path / "a.weights", plan))
    arrays[0]["rolling_variance"].flat[0] = -1e-9
    write_weights(tmp_path / "a.weights", plan, arrays, OLDEST)
    with pytest.raises(WeightsError, match="rolling_variance of layer 0 has negative values"):
        check_finite(read_weights(tmp_path / "a.weights", plan))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop(4), r"cannot write layer 4 \(local\): its biases are missing"),
        (lambda arrays: arrays[0].pop("weights"), r"layer 0 \(convolutional\): its weights are missing"),
        (
            lambda arrays: arrays[0].update(weights=np.zeros((3, 2, 9), np.float32)),
            r"layer 0 .* its weights must be float32 of shape \(3, 2, 3, 3\), not float32 of \(3, 2, 9\)",
        ),
        (
            lambda arrays: arrays[5].update(biases=np.zeros(5)),
            r"layer 5 .* its biases must be float32 of shape \(5,\), not float64 of \(5,\)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused_and_the_old_file_stays(tmp_path: Path, change: Any, message: str) -> None:
    plan, path = plan_of(), tmp_path / "a.weights"
    path.write_bytes(b"old")
    arrays = numbered(plan)
    change(arrays)
    with pytest.raises(WeightsError, match=message):
        write_weights(path, plan, arrays, CURRENT)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_that_no_file_holds_are_not_looked_at(tmp_path: Path) -> None:
    plan = plan_of("[batchnorm]\n[max]\n")
    arrays = numbered(plan)
    arrays[0]["biases"] = np.zeros(2, np.float32)
    arrays[1] = {"colour": np.zeros(2)}
    write_weights(tmp_path / "a.weights", plan, arrays, CURRENT)
    assert (tmp_path / "a.weights").stat().st_size == 20 + 4 * 6


def test_arrays_of_any_memory_order_are_written_the_same(tmp_path: Path) -> None:
    plan = plan_of()
    fortran = {i: {n: np.asfortranarray(a) for n, a in blocks.items()} for i, blocks in numbered(plan).items()}
    swapped = {i: {n: a[..., ::-1].copy()[..., ::-1] for n, a in b.items()} for i, b in numbered(plan).items()}
    for number, arrays in enumerate((numbered(plan), fortran, swapped)):
        write_weights(tmp_path / str(number), plan, arrays, OLDEST)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("upto", [-1, 9])
def test_upto_must_be_a_layer_of_the_network(tmp_path: Path, upto: int) -> None:
    with pytest.raises(WeightsError, match=f"upto={upto}: a.cfg has 8 layers"):
        write_weights(tmp_path / "a.weights", plan_of(), numbered(plan_of()), CURRENT, upto=upto)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the process's memory from Linux")
def test_the_weights_of_the_real_network_are_mapped_and_not_read(tmp_path: Path) -> None:
    plan = plan_network(network_cfg("yolov1"))
    path = tmp_path / "yolov1.weights"
    with path.open("wb") as file:
        file.write(FORM_2016.to_bytes())
        file.truncate(789_312_988)  # a hole: the size of the released file and no block on the disk
    before = resident_bytes()
    weights = read_weights(path, plan)
    assert weights.loaded_layers == 32
    assert weights.arrays[28]["weights"].shape == (7, 7, 256, 1024, 3, 3)
    assert weights.arrays[28]["weights"][6, 6, 255, 1023, 2, 2] == 0
    assert resident_bytes() - before < 50e6


def test_the_three_forms_byte_by_byte() -> None:
    assert CURRENT.to_bytes() == struct.pack("<iiiQ", 0, 2, 0, 2**40 + 3)
    assert FORM_2016.to_bytes() == struct.pack("<iiii", 0, 1, 0, -5)
    assert OLDEST.to_bytes() == struct.pack("<fffi", 0.001, 0.9, 0.0005, 6400)
    assert OLDEST.hyperparameters == pytest.approx((0.001, 0.9, 0.0005))
    assert CURRENT.hyperparameters is None
    assert read_header(golden_path("micro_ancient.weights")).hyperparameters == pytest.approx((0.001, 0.9, 0.0005))


@pytest.mark.parametrize(
    ("major", "minor", "form"),
    [
        (0, 0, "2016"),
        (0, 1, "2016"),
        (0, 2, "current"),
        (1, 0, "current"),
        (999, 999, "current"),
        (1000, 0, "2016"),  # neither below nor above the limit
        (0, 1000, "2016"),
        (1001, 0, "oldest"),
        (0, 1001, "oldest"),
        (-1, 12, "current"),
        (-1, 11, "2016"),
        (-(2**31), 2**31 - 1, "oldest"),
    ],
)
def test_the_form_follows_from_the_first_two_numbers(major: int, minor: int, form: str) -> None:
    header = WeightsHeader(major=major, minor=minor, revision=0, seen=7)
    assert header.form == form
    assert parse_header(header.to_bytes(), source="a") == header


@given(st.binary(min_size=20, max_size=40))
def test_any_twenty_bytes_are_a_header_that_is_written_back_as_it_was(start: bytes) -> None:
    assume(not start.startswith((b"PK", b"[net", b"<", b"version")))  # what other files begin with is refused
    header = parse_header(start, source="a")
    assert start.startswith(header.to_bytes())


def test_seen_must_fit_its_form() -> None:
    with pytest.raises(WeightsError, match=r"^seen=2147483648 does not fit the '2016' header .* 32 bits"):
        WeightsHeader(major=0, minor=1, revision=0, seen=2**31)
    with pytest.raises(WeightsError, match=r"does not fit the 'current' header .* 64 bits"):
        WeightsHeader.new(seen=-1)
    assert WeightsHeader.new(2**64 - 1).seen == 2**64 - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are shorter than any header"),
        (b"\0" * 15, "15 bytes are shorter than any header"),
        (struct.pack("<iiii", 0, 2, 0, 0), "ends inside the header"),
        (b"PK\x03\x04" + b"\0" * 40, "a zip archive or PyTorch file"),
        (b"[net]\nbatch=64\nsubdivisions=8\n", "but a cfg"),
        (b"<!DOCTYPE html><html><head>", "a web page: the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
)
def test_what_is_no_weights_file_is_called_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.weights"
    path.write_bytes(content)
    for read in (read_header, lambda path: read_weights(path, plan_of())):
        with pytest.raises(WeightsError, match=rf"a\.weights is not a darknet weights file.*{message}"):
            read(path)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing: cannot read these weights: No such file"):
        read_weights(tmp_path / "missing", plan_of())
    with pytest.raises(WeightsError, match="is not a file"):
        read_weights(tmp_path, plan_of())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="pipe is not a file"):
        read_header(tmp_path / "pipe")


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
