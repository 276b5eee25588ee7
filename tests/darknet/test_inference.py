from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.darknet.networks import (
    DETECTION,
    EVERY_LAYER,
    HEADERS,
    fill_in,
    images_for,
    network_of,
    section,
    small_network,
)
from tests.reference.darknet_layout import to_blocks
from tests.reference.golden import golden_npz, golden_path
from yolo.darknet.inference import (
    Copying,
    DarknetInference,
    FoldedConnection,
    FoldedConvolution,
    inference_layer,
    is_available,
)
from yolo.darknet.load import load_darknet, save_darknet
from yolo.darknet.lookup import NETWORKS
from yolo.darknet.modules import ACTIVATIONS
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.weights import WeightsHeader

CPU = torch.device("cpu")


@pytest.fixture(params=["packed", "unpacked"])
def operators(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of operators, as on machines with and without the library's."""
    name = str(request.param)
    if name == "unpacked":
        monkeypatch.setattr("yolo.darknet.inference.is_available", lambda dtype: False)
    elif not is_available(torch.float32):
        pytest.skip("this build of torch has no oneDNN operators")
    return name


def inference_copy(network: DarknetNetwork, dtype: torch.dtype = torch.float32) -> DarknetInference:
    return DarknetInference(network, CPU, dtype)


def check_equal(network: DarknetNetwork, count: int = 3) -> None:
    images = images_for(network, count)
    with torch.no_grad():
        expected = network.eval()(images)
        answer = inference_copy(network)(images)
    largest = float(expected.abs().max()) if count else 0.0
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("layers", [EVERY_LAYER, EVERY_LAYER + DETECTION], ids=["flat", "detection"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_kind_of_layer_answers_as_the_network_in_evaluation(layers: str, count: int) -> None:
    check_equal(network_of(layers), count)


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_normalize", [0, 1])
def test_every_activation_and_fold(activation: str, batch_normalize: int) -> None:
    keys = f"batch_normalize={batch_normalize}\nactivation={activation}\n"
    check_equal(network_of(f"[conv]\nfilters=8\nsize=3\n{keys}[connected]\noutput=24\n{keys}"))


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("geometry", ["size=1", "size=3\nstride=2\npad=1", "size=2\nstride=3", "size=5\npadding=4"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_every_geometry_of_a_convolution(geometry: str, groups: int) -> None:
    check_equal(network_of(f"[conv]\nfilters=8\n{geometry}\ngroups={groups}\nactivation=leaky\n", channels=4))


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("layers", ["[batchnorm]\n", "[local]\nsize=3\nfilters=2\n", "[avgpool]\n", "[softmax]\n"])
def test_layers_alone(layers: str) -> None:
    check_equal(network_of(layers))


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("name", NETWORKS)
def test_small_variants_of_the_shipped_networks(name: str) -> None:
    network = small_network(name)
    fill_in(network)
    check_equal(network, 2)


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("name", ["tiny_like", "yolov1_like", "micro"])
def test_outputs_equal_darknets(name: str) -> None:
    golden = golden_npz(f"{name}_inference.npz")
    spec = DarknetSpec(cfg=golden_path(f"{name}.cfg").read_text())
    fused = inference_copy(load_darknet(golden_path(f"{name}.weights"), spec)[0])
    images = torch.from_numpy(golden["input"])
    assert fused.grid is not None
    flat = to_blocks(fused.grid, fused(images if images.ndim == 4 else images[None]))
    expected = torch.from_numpy(golden["output"]).reshape(flat.shape)
    torch.testing.assert_close(flat, expected, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.005)])
def test_half_precision_is_near(dtype: torch.dtype, tolerance: float) -> None:
    network = network_of(EVERY_LAYER)
    images = images_for(network)
    with torch.no_grad():
        expected = network(images)
        answer = inference_copy(network, dtype)(images)
    assert answer.dtype == dtype
    assert 0 < (answer.float() - expected).abs().max() < tolerance * expected.abs().max()


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_uint8_images_are_values_from_0_to_255(dtype: torch.dtype) -> None:
    fused = inference_copy(network_of(EVERY_LAYER), dtype)
    images = torch.randint(256, (2, *fused.in_shape), dtype=torch.uint8)
    torch.testing.assert_close(fused(images), fused(images.float() / 255), rtol=0.01, atol=1e-2)
    if dtype == torch.float32:
        assert torch.equal(fused(images), fused(images.float() / 255))


@pytest.mark.usefixtures("operators")
def test_the_original_goes_on_training_and_the_copy_stays_in_evaluation() -> None:
    network = network_of(EVERY_LAYER)
    images = images_for(network)
    with torch.no_grad():
        expected = network(images)
    before = {name: tensor.clone() for name, tensor in network.train().state_dict().items()}
    fused = inference_copy(network)
    answer = fused(images)
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)
    assert not answer.requires_grad
    assert not any(module.training for module in fused.modules())
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    network(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.form)
def test_the_copy_of_a_mapped_network_does_not_need_the_file_any_more(header: WeightsHeader, tmp_path: Path) -> None:
    network, path = network_of(EVERY_LAYER), tmp_path / "a.weights"
    save_darknet(path, network, header)
    mapped, _ = load_darknet(path, network.spec, mapped=True)
    fused = DarknetInference(mapped, CPU, torch.float32, release=True)
    assert not list(mapped.parameters())
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    images = images_for(network)
    with torch.no_grad():
        torch.testing.assert_close(fused(images), network(images), rtol=1e-5, atol=1e-5)


def test_weights_that_need_no_change_are_shared() -> None:
    network = network_of("[local]\nsize=3\nfilters=2\n")
    (fused,), (layer,) = inference_copy(network).layers, network.layers
    assert fused.get_parameter("weights").data_ptr() == layer.get_parameter("weights").data_ptr()


@pytest.mark.usefixtures("operators")
def test_images_of_another_shape_are_refused() -> None:
    fused = inference_copy(network_of("[maxpool]\nsize=2\nstride=2\n[avgpool]\n"))
    with pytest.raises(ValueError, match=r"input is \(N, 3, 13, 14\)"):
        fused(torch.zeros(1, 3, 26, 28))


def packed_layers(fused: DarknetInference) -> list[bool]:
    return [layer.packed for layer in fused.layers if isinstance(layer, FoldedConvolution | FoldedConnection)]


def test_packed_operators_are_used_where_they_are(operators: str) -> None:
    assert packed_layers(inference_copy(network_of(EVERY_LAYER))) == [operators == "packed"] * 4
    assert packed_layers(inference_copy(network_of(EVERY_LAYER), torch.float16)) == [False] * 4


def test_dropout_and_batch_norm_layers_are_gone() -> None:
    names = {type(module).__name__ for module in inference_copy(network_of(EVERY_LAYER)).modules()}
    assert not names & {"Dropout", "BatchNorm", nn.Dropout.__name__}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gpu_answers_the_same(dtype: torch.dtype) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network = network_of(EVERY_LAYER + DETECTION)
    images = images_for(network)
    with torch.no_grad():
        expected = network(images)
        answer = DarknetInference(network, torch.device("cuda"), dtype)(images.cuda()).float().cpu()
    tolerance = 1e-3 if dtype == torch.float32 else 0.03
    assert (answer - expected).abs().max() < tolerance * expected.abs().max()


needs_operators = pytest.mark.skipif(
    not is_available(torch.float32), reason="this build of torch has no oneDNN operators"
)
activations = st.sampled_from(sorted(ACTIVATIONS))


def check_packed(text: str, images: Tensor, dtype: torch.dtype = torch.float32, tolerance: float = 1e-4) -> None:
    """The packed version of the one layer of `text` answers as the layer itself, and leaves its weights alone."""
    _, channels, height, width = images.shape
    (layer,) = network_of(text, channels=channels, height=height, width=width).layers
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with torch.no_grad():
        answer = inference_layer(layer, Copying(dtype=dtype, packed=True))(images.to(dtype)).float()
        torch.testing.assert_close(answer, layer(images), rtol=tolerance, atol=tolerance)
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def values(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


@needs_operators
@given(
    shape=st.tuples(st.integers(0, 3), st.just(4), st.integers(1, 9), st.integers(1, 9)),
    size=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    groups=st.sampled_from([1, 2]),
    activation=activations,
    channels_last=st.booleans(),
)
def test_a_packed_convolution_equals_the_layer(
    *, shape: tuple[int, int, int, int], channels_last: bool, size: int, padding: int, **keys: object
) -> None:
    size = min(size, shape[2] + 2 * padding, shape[3] + 2 * padding)
    x = values(*shape)
    x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    check_packed(section("convolutional", filters=6, size=size, padding=padding, **keys), x)


@needs_operators
@given(count=st.integers(0, 4), inputs=st.integers(1, 20), outputs=st.integers(1, 20), activation=activations)
def test_a_packed_connection_equals_the_layer(*, count: int, inputs: int, outputs: int, activation: str) -> None:
    check_packed(section("connected", output=outputs, activation=activation), values(count, inputs, 1, 1))


@needs_operators
def test_a_packed_convolution_takes_other_sizes_than_it_was_packed_for() -> None:
    text = section("convolutional", filters=6, size=3, pad=1, activation="leaky")
    (layer,) = network_of(text, channels=4, height=8, width=8).layers
    packed = inference_layer(layer, Copying(dtype=torch.float32, packed=True))
    for shape in ((5, 4, 8, 8), (1, 4, 17, 3)):
        torch.testing.assert_close(packed(values(*shape)), layer(values(*shape)), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not is_available(torch.bfloat16), reason="this processor or torch has no bfloat16 operators")
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_bfloat16_is_near(activation: str) -> None:
    keys = {"activation": activation}
    check_packed(section("convolutional", filters=8, size=3, pad=1, **keys), values(2, 4, 6, 6), torch.bfloat16, 0.05)
    check_packed(section("connected", output=8, **keys), values(2, 4, 6, 6), torch.bfloat16, 0.05)


@needs_operators
def test_only_types_that_library_and_processor_have_are_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(is_available(dtype) for dtype in (torch.float16, torch.float64, torch.int8))
    with monkeypatch.context() as patch:
        patch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
        assert [is_available(dtype) for dtype in (torch.bfloat16, torch.float32)] == [False, True]
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_available(torch.float32)
