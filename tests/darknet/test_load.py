from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.darknet.networks import (
    DETECTION,
    EVERY_LAYER,
    NUM_CONV_FLOATS,
    TWO_LAYERS,
    fill_in,
    images_for,
    network_of,
    spec_of,
    written,
)
from tests.reference.golden import golden_npz, golden_path
from yolo.darknet.inference import DarknetInference
from yolo.darknet.load import fill_from_darknet, load_darknet, save_darknet
from yolo.darknet.modules import block_tensors
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import plan_network
from yolo.darknet.weights import WeightsHeader
from yolo.errors import WeightsError

MICRO_FILES = ("micro", "micro_v01", "micro_ancient")
GOLDEN_FILES = {
    **dict.fromkeys(MICRO_FILES, "micro"),
    **dict.fromkeys(("tiny_like", "tiny_like_step1", "tiny_like_step2"), "tiny_like"),
    "yolov1_like": "yolov1_like",
}


def golden_spec(name: str) -> DarknetSpec:
    return DarknetSpec(cfg=golden_path(f"{name}.cfg").read_text())


def states_equal(a: DarknetNetwork, b: DarknetNetwork) -> bool:
    mine, its = a.state_dict(), b.state_dict()
    return mine.keys() == its.keys() and all(torch.equal(tensor, its[name]) for name, tensor in mine.items())


@pytest.mark.parametrize("name", MICRO_FILES)
def test_the_three_forms_of_a_file_load_to_darknets_arrays(name: str) -> None:
    golden = golden_npz("micro_arrays.npz")
    network, header = load_darknet(golden_path(f"{name}.weights"), golden_spec("micro"))
    arrays = {
        f"{name}__layer{index}_{key}": tensor.detach().numpy()
        for index, layer in enumerate(network.layers)
        for key, tensor in block_tensors(layer).items()
    }
    expected = {key: array for key, array in golden.items() if key.startswith(f"{name}__layer")}
    assert arrays.keys() == expected.keys()
    for key, array in arrays.items():
        assert np.array_equal(array, expected[key]), key
    assert header.seen == golden[f"{name}__seen"]


@pytest.mark.parametrize(("name", "cfg"), GOLDEN_FILES.items())
def test_darknets_files_are_written_again_byte_for_byte(name: str, cfg: str, tmp_path: Path) -> None:
    path = golden_path(f"{name}.weights")
    network, header = load_darknet(path, golden_spec(cfg))
    save_darknet(tmp_path / "again.weights", network, header)
    assert (tmp_path / "again.weights").read_bytes() == path.read_bytes()


def test_the_first_layers_alone_are_written_as_darknet_writes_them(tmp_path: Path) -> None:
    network, header = load_darknet(golden_path("micro.weights"), golden_spec("micro"))
    save_darknet(tmp_path / "part.weights", network, header, upto=2)
    part = golden_path("micro_upto2.weights").read_bytes()
    assert (tmp_path / "part.weights").read_bytes()[20:] == part[20:]


def test_a_partial_file_of_darknets_leaves_later_layers_untouched() -> None:
    whole, _ = load_darknet(golden_path("micro.weights"), golden_spec("micro"))
    torch.manual_seed(0)
    network = DarknetNetwork(golden_spec("micro"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    read, misfits = fill_from_darknet(network, golden_path("micro_upto2.weights"))
    assert (read.loaded_layers, misfits) == (2, ())
    for name, tensor in network.state_dict().items():
        from_file = int(name.split(".")[1]) < 2
        assert torch.equal(tensor, whole.state_dict()[name] if from_file else before[name]), name


@pytest.mark.parametrize("layers", [EVERY_LAYER + DETECTION, TWO_LAYERS, "[conv]\nfilters=4\nsize=3\nflipped=1\n"])
def test_what_was_saved_is_loaded(layers: str, tmp_path: Path) -> None:
    path, network = written(tmp_path, layers)
    loaded, header = load_darknet(path, network.spec)
    assert header == WeightsHeader.new(seen=640)
    for index, (layer, other) in enumerate(zip(network.layers, loaded.layers, strict=True)):
        for name, tensor in block_tensors(other).items():
            assert torch.equal(tensor, block_tensors(layer)[name]), (index, name)
    assert path.stat().st_size == 20 + 4 * network.spec.plan.num_floats


def test_a_trained_batchnorm_section_survives_the_file(tmp_path: Path) -> None:
    """Its biases were trained, and lost in the file: the network detected otherwise after export and import."""
    layers = "[conv]\nfilters=4\nsize=3\n[batchnorm]\n[connected]\noutput=5\nactivation=linear\n"
    for batch_norm in ("standard", "darknet"):
        torch.manual_seed(0)
        network = DarknetNetwork(spec_of(layers, batch_norm=batch_norm)).train()
        images = images_for(network, 4)
        optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            network(images).square().sum().backward()
            optimizer.step()
        scales = block_tensors(network.layers[1])["scales"]
        assert (scales == 1).all()  # darknet has no update for this layer
        save_darknet(tmp_path / "a.weights", network, WeightsHeader.new())
        loaded, _ = load_darknet(tmp_path / "a.weights", network.spec)
        assert torch.equal(loaded(images), network.eval()(images))


def test_a_loaded_network_is_its_own(tmp_path: Path) -> None:
    path, network = written(tmp_path)
    content, state = path.read_bytes(), torch.random.get_rng_state()
    loaded, _ = load_darknet(path, network.spec)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not loaded.training
    images = images_for(network, 4)
    assert torch.equal(loaded(images), network(images))
    loaded.train()(images).square().sum().backward()
    assert all(p.requires_grad and p.grad is not None and p.grad.any() for p in loaded.parameters())
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.zero_()
    assert path.read_bytes() == content
    again, _ = load_darknet(path, network.spec)
    path.unlink()
    assert states_equal(again, network)


def test_of_another_networks_file_the_layers_of_the_same_shape_are_taken(tmp_path: Path) -> None:
    path, source = written(tmp_path, EVERY_LAYER)
    network = DarknetNetwork(spec_of(EVERY_LAYER.replace("output = 24", "output = 11")))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match="after the last layer"):
        fill_from_darknet(network, path)
    read, misfits = fill_from_darknet(network, path, source.spec.plan)
    assert (read.loaded_layers, misfits) == (12, (11,))
    for name, tensor in network.state_dict().items():
        in_file = not name.startswith("layers.11")
        assert torch.equal(tensor, source.state_dict()[name] if in_file else before[name]), name


def test_a_layer_that_the_partial_file_of_another_network_does_not_reach_is_no_misfit(tmp_path: Path) -> None:
    source = network_of(TWO_LAYERS)
    save_darknet(tmp_path / "part.weights", source, WeightsHeader.new(), upto=1)
    network = DarknetNetwork(spec_of(TWO_LAYERS.replace("output = 5", "output = 6")))
    read, misfits = fill_from_darknet(network, tmp_path / "part.weights", source.spec.plan)
    assert (read.loaded_layers, misfits) == (1, ())


def test_a_network_in_channels_last_is_saved_and_filled_in_the_same_order(tmp_path: Path) -> None:
    path, network = written(tmp_path, TWO_LAYERS)
    last = network_of(TWO_LAYERS).to(memory_format=torch.channels_last)
    save_darknet(tmp_path / "last.weights", last, WeightsHeader.new(seen=640))
    assert (tmp_path / "last.weights").read_bytes() == path.read_bytes()
    fill_in(last, seed=3)
    fill_from_darknet(last, path)
    assert states_equal(last, network)


def test_a_half_precision_network_is_saved_in_float32(tmp_path: Path) -> None:
    network = network_of(TWO_LAYERS).bfloat16()
    save_darknet(tmp_path / "a.weights", network, WeightsHeader.new())
    loaded, _ = load_darknet(tmp_path / "a.weights", network.spec)
    assert states_equal(loaded, network.float())


def test_blocks_larger_than_one_piece_are_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, network = written(tmp_path, EVERY_LAYER)
    for floats in (1, 7, 100):
        monkeypatch.setattr("yolo.darknet.weights._FLOATS_AT_ONCE", floats)
        assert states_equal(load_darknet(path, network.spec)[0], network)
    oldest = WeightsHeader.oldest(rate=0.001, momentum=0.9, decay=0.0005)
    save_darknet(path, network, oldest)
    assert states_equal(load_darknet(path, network.spec)[0], network)


def cut_off(content: bytes) -> bytes:
    return content[: 20 + 4 * (NUM_CONV_FLOATS + 2)]


def with_nan(content: bytes) -> bytes:
    place = 20 + 4 * (NUM_CONV_FLOATS + 6)
    return content[:place] + np.float32("nan").tobytes() + content[place + 4 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_off, r"ends inside layer 1 \(connected\)"),
        (lambda content: content + bytes(4), "4 bytes after the last layer"),
        (with_nan, "weights of layer 1 have values that are not finite"),
        (lambda content: b"PK\x03\x04" + content, "not a darknet weights file"),
    ],
    ids=["cut off", "too long", "nan", "zip"],
)
def test_a_damaged_file_is_refused_before_it_changes_anything(
    damage: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    path, network = written(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    other = network_of(TWO_LAYERS)
    for read in (lambda: load_darknet(path, network.spec), lambda: fill_from_darknet(other, path)):
        with pytest.raises(WeightsError, match=rf"own\.weights.*{message}"):
            read()
    assert states_equal(other, network)


def test_what_a_file_lacks_keeps_its_initial_values(tmp_path: Path) -> None:
    path = tmp_path / "a.weights"
    source = network_of("[conv]\nfilters=3\nsize=3\n[conv]\nfilters=3\nbatch_normalize=1\n")
    save_darknet(path, source, WeightsHeader.new())
    spec = spec_of(
        "[conv]\nfilters=3\nsize=3\nbatch_normalize=1\ndontloadscales=1\n"
        "[conv]\nfilters=5\nbatch_normalize=1\nnumload=3\n[connected]\noutput=5\ndontload=1\n"
    )
    torch.manual_seed(5)
    initial = DarknetNetwork(spec)
    torch.manual_seed(5)
    network, _ = load_darknet(path, spec)
    assert not network.training
    for index, layer in enumerate(network.layers):
        first = block_tensors(initial.layers[index])
        its = block_tensors(source.layers[index]) if index < 2 else {}
        for name, tensor in block_tensors(layer).items():
            loaded = len(its[name]) if name in its else 0
            assert torch.equal(tensor[:loaded], its.get(name, tensor)[:loaded]), (index, name)
            assert torch.equal(tensor[loaded:], first[name][loaded:]), (index, name)


def test_messages_name_the_cfg_as_the_user_knows_it(tmp_path: Path) -> None:
    path, network = written(tmp_path)
    with path.open("r+b") as file:
        file.truncate(40)
    named = plan_network(network.spec.cfg, source="mine.cfg")
    with pytest.raises(WeightsError, match=r"ends inside layer 0 \(convolutional\) of mine\.cfg"):
        load_darknet(path, network.spec, named)


def kibibytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def peak_of(step: Callable[[], Any]) -> tuple[Any, int]:
    """What a step makes, and by how many bytes the process is larger while it does."""
    before = kibibytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts again from here
    made = step()
    return made, 1024 * (kibibytes("VmHWM") - before)


def fused(network: DarknetNetwork) -> DarknetInference:
    return DarknetInference(network, torch.device("cpu"), torch.float32, release=True)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of the memory is read from Linux")
def test_predict_held_two_copies_of_the_weights(tmp_path: Path) -> None:
    """One layer has most of the numbers: packing it at once would need all of it twice."""
    layers = (
        "[conv]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\n"
        "[connected]\noutput=2600\nactivation=leaky\n[connected]\noutput=4\n"
    )
    spec = spec_of(layers, height=28, width=28)
    file_bytes = spec.plan.num_floats * 4
    assert file_bytes > 60e6
    paths = []
    for header in (WeightsHeader.new(), WeightsHeader.oldest(rate=0.001, momentum=0.9, decay=0.0005)):
        paths.append(tmp_path / f"{header.form}.weights")
        with paths[-1].open("wb") as file:  # zeros, which a disk need not hold
            file.write(header.to_bytes())
            file.truncate(len(header.to_bytes()) + file_bytes)
    current, oldest = paths
    images = torch.zeros(1, 3, 28, 28)
    small = spec_of(layers.replace("output=2600", "output=26"), height=28, width=28)
    fused(DarknetNetwork(small))(images)  # what the library allocates for itself
    packed, fusing = peak_of(lambda: fused(load_darknet(current, spec, mapped=True)[0]))
    network, loading = peak_of(lambda: load_darknet(current, spec)[0])
    _, loading_oldest = peak_of(lambda: load_darknet(oldest, spec)[0])
    _, filling = peak_of(lambda: fill_from_darknet(network, current))
    _, copying = peak_of(lambda: [tensor.clone() for tensor in network.state_dict().values()])
    assert 0.9 < fusing / file_bytes < 1.3
    assert 0.9 < loading / file_bytes < 1.3
    assert loading_oldest / file_bytes < 1.6  # it stands transposed in the file
    assert filling / file_bytes < 0.5  # the network is there already: only some of the file's pages come and go
    assert copying / file_bytes > 0.9  # the measurement would have seen a second copy
    torch.testing.assert_close(packed(images), network(images))
