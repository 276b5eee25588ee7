"""Files that are refused, and files that the cfg says are not whole or stored otherwise."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.darknet.darknet_networks import NUM_CONV_FLOATS, TWO_LAYERS, fill_in, network_of, spec_of, written
from yolo.darknet.load import fill_from_darknet, load_darknet, save_darknet
from yolo.darknet.network import DarknetNetwork, DarknetSpec, block_tensors
from yolo.darknet.plan import plan_network
from yolo.darknet.weights import WeightsHeader
from yolo.errors import WeightsError


def check_refused(path: Path, spec: DarknetSpec, pattern: str) -> None:
    """Neither way of reading takes the file, and a network to be filled keeps all it had."""
    with pytest.raises(WeightsError, match=pattern) as raised:
        load_darknet(path, spec)
    assert path.name in str(raised.value)
    network = DarknetNetwork(spec)
    fill_in(network)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match=pattern):
        fill_from_darknet(network, path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("kept_floats", "place"),
    [(3, "layer 0 (convolutional)"), (NUM_CONV_FLOATS - 1, "layer 0"), (NUM_CONV_FLOATS + 2, "layer 1 (connected)")],
)
def test_a_truncated_file_is_refused_with_its_layer(kept_floats: int, place: str, tmp_path: Path) -> None:
    path, network = written(tmp_path)
    with path.open("r+b") as file:
        file.truncate(20 + 4 * kept_floats)
    check_refused(path, network.spec, "ends inside " + place.replace("(", r"\(").replace(")", r"\)"))


def test_half_a_number_at_the_end_is_refused(tmp_path: Path) -> None:
    path, network = written(tmp_path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 2)
    check_refused(path, network.spec, "ends inside layer 1")


@pytest.mark.parametrize("extra", [1, 4, 4000])
def test_an_oversized_file_is_refused(extra: int, tmp_path: Path) -> None:
    path, network = written(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(extra))
    check_refused(path, network.spec, f"{extra:,} bytes after the last layer")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("place", "where"),
    [(0, "biases of layer 0"), (13, "rolling_variance of layer 0"), (NUM_CONV_FLOATS + 6, "weights of layer 1")],
)
def test_numbers_that_are_not_finite_are_refused_with_their_layer(
    value: float, place: int, where: str, tmp_path: Path
) -> None:
    path, network = written(tmp_path)
    floats = np.memmap(path, "<f4", "r+", offset=20)
    floats[place] = value
    floats.flush()
    check_refused(path, network.spec, where)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    check_refused(tmp_path / "nowhere.weights", spec_of(TWO_LAYERS), "nowhere")


@pytest.mark.parametrize("content", [b"", b"\0" * 15, b"PK\x03\x04" + b"\0" * 100, b"[net]\nwidth=4\nheight=4\n"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.weights"
    path.write_bytes(content)
    check_refused(path, spec_of(TWO_LAYERS), "no darknet weights file")


def test_a_layer_with_dontload_keeps_its_initial_values(tmp_path: Path) -> None:
    source = network_of(TWO_LAYERS)
    save_darknet(tmp_path / "a.weights", source, WeightsHeader.new(), upto=1)
    spec = spec_of(TWO_LAYERS + "dontload=1\n")
    torch.manual_seed(5)
    initial = DarknetNetwork(spec)
    torch.manual_seed(5)
    network, _ = load_darknet(tmp_path / "a.weights", spec)
    assert not network.training
    for name, tensor in network.state_dict().items():
        expected = source if name.startswith("layers.0") else initial
        assert torch.equal(tensor, expected.state_dict()[name]), name


def test_a_layer_with_dontloadscales_keeps_initial_scales_and_statistics(tmp_path: Path) -> None:
    plain = "[conv]\nfilters=4\nsize=3\n"
    save_darknet(tmp_path / "a.weights", network_of(plain), WeightsHeader.new())
    network, _ = load_darknet(tmp_path / "a.weights", spec_of(plain + "batch_normalize=1\ndontloadscales=1\n"))
    tensors, source = block_tensors(network.layers[0]), block_tensors(network_of(plain).layers[0])
    assert torch.equal(tensors["weights"], source["weights"])
    assert torch.equal(tensors["biases"], source["biases"])
    assert (tensors["scales"] == 1).all()
    assert not tensors["rolling_variance"].any()


def test_of_a_layer_with_numload_the_other_filters_keep_their_initial_values(tmp_path: Path) -> None:
    few, many = "[conv]\nfilters=3\nsize=3\nbatch_normalize=1\n", "[conv]\nfilters=5\nsize=3\nbatch_normalize=1\n"
    source = network_of(few)
    save_darknet(tmp_path / "a.weights", source, WeightsHeader.new())
    spec = spec_of(many + "numload=3\n")
    torch.manual_seed(5)
    initial = DarknetNetwork(spec)
    torch.manual_seed(5)
    network, _ = load_darknet(tmp_path / "a.weights", spec)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor[:3], source.state_dict()[name]), name
        assert torch.equal(tensor[3:], initial.state_dict()[name][3:]), name


def test_a_flipped_convolution_is_stored_transposed(tmp_path: Path) -> None:
    plain, flipped = ("[conv]\nfilters=4\nsize=3\n" + extra for extra in ("", "flipped=1\n"))
    path, network = written(tmp_path, plain)
    conv = block_tensors(network.layers[0])
    matrix = conv["weights"].detach().flatten(1)
    content = np.fromfile(path, "<f4", offset=20)
    content[4:] = matrix.T.flatten().numpy()
    path.write_bytes(path.read_bytes()[:20] + content.tobytes())
    loaded, header = load_darknet(path, spec_of(flipped))
    assert torch.equal(block_tensors(loaded.layers[0])["weights"], conv["weights"])
    save_darknet(tmp_path / "again.weights", loaded, header)
    assert (tmp_path / "again.weights").read_bytes() == path.read_bytes()


def test_a_layer_with_dontsave_is_left_out(tmp_path: Path) -> None:
    path, network = written(tmp_path, TWO_LAYERS + "dontsave=1\n")
    assert path.stat().st_size == 20 + 4 * NUM_CONV_FLOATS
    assert network.spec.plan.num_floats > NUM_CONV_FLOATS


def test_messages_name_the_cfg_as_the_user_knows_it(tmp_path: Path) -> None:
    path, network = written(tmp_path)
    with path.open("r+b") as file:
        file.truncate(40)
    named = plan_network(network.spec.cfg, source="mine.cfg")
    with pytest.raises(WeightsError, match=r"ends inside layer 0 \(convolutional\) of mine\.cfg"):
        load_darknet(path, network.spec, named)
