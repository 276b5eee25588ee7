import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from yolo.models import onednn
from yolo.models.activations import ACTIVATIONS

needs_operators = pytest.mark.skipif(
    not onednn.is_available(torch.float32), reason="this build of torch has no oneDNN operators"
)
activations = st.sampled_from(sorted(ACTIVATIONS))


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@needs_operators
@given(
    count=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    size=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    groups=st.sampled_from([1, 2]),
    activation=activations,
    channels_last=st.booleans(),
)
def test_packed_convolution_equals_torchs(
    *,
    count: int,
    height: int,
    width: int,
    size: int,
    stride: int,
    padding: int,
    groups: int,
    activation: str,
    channels_last: bool,
) -> None:
    size = min(size, height + 2 * padding, width + 2 * padding)
    weights, bias, x = values(6, 4 // groups, size, size), values(6, seed=1), values(count, 4, height, width, seed=2)
    packed = onednn.PackedConv2d(
        weights,
        bias,
        stride=stride,
        padding=padding,
        groups=groups,
        activation=activation,
        input_shape=(1, 4, height, width),
    )
    expected = ACTIVATIONS[activation](F.conv2d(x, weights, bias, stride, padding, groups=groups))
    given_x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    torch.testing.assert_close(packed(given_x), expected, rtol=1e-4, atol=1e-4)


@needs_operators
def test_a_packed_convolution_takes_other_sizes_than_it_was_packed_for() -> None:
    weights, bias = values(6, 4, 3, 3), values(6, seed=1)
    packed = onednn.PackedConv2d(
        weights, bias, stride=1, padding=1, groups=1, activation="leaky", input_shape=(1, 4, 8, 8)
    )
    for shape in ((5, 4, 8, 8), (1, 4, 17, 3), (0, 4, 8, 8)):
        x = values(*shape, seed=2)
        torch.testing.assert_close(
            packed(x), F.leaky_relu(F.conv2d(x, weights, bias, padding=1), 0.1), rtol=1e-4, atol=1e-4
        )


@needs_operators
@given(count=st.integers(0, 4), inputs=st.integers(1, 20), outputs=st.integers(1, 20), activation=activations)
def test_packed_linear_equals_torchs(*, count: int, inputs: int, outputs: int, activation: str) -> None:
    weights, bias, x = values(outputs, inputs), values(outputs, seed=1), values(count, inputs, seed=2)
    packed = onednn.PackedLinear(weights, bias, activation=activation)
    expected = ACTIVATIONS[activation](F.linear(x, weights, bias))
    torch.testing.assert_close(packed(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not onednn.is_available(torch.bfloat16), reason="this processor or torch has no bfloat16 operators")
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_bfloat16_is_near(activation: str) -> None:
    weights, bias, x = values(8, 4, 3, 3) / 6, values(8, seed=1), values(2, 4, 6, 6, seed=2)
    options = {"stride": 1, "padding": 1, "groups": 1, "input_shape": (1, 4, 6, 6)}
    conv = onednn.PackedConv2d(weights.bfloat16(), bias.bfloat16(), activation=activation, **options)  # type: ignore[arg-type]
    expected = ACTIVATIONS[activation](F.conv2d(x, weights, bias, padding=1))
    assert (conv(x.bfloat16()).float() - expected).abs().max() < 0.05
    matrix = values(8, 144) / 12
    linear = onednn.PackedLinear(matrix.bfloat16(), bias.bfloat16(), activation=activation)
    flat = x.flatten(1)
    expected = ACTIVATIONS[activation](F.linear(flat, matrix, bias))
    assert (linear(flat.bfloat16()).float() - expected).abs().max() < 0.05


@needs_operators
def test_the_given_weights_are_not_changed() -> None:
    weights, matrix, bias = values(6, 4, 3, 3), values(6, 9), values(6, seed=1)
    onednn.PackedConv2d(weights, bias, stride=1, padding=0, groups=1, activation="relu", input_shape=(1, 4, 5, 5))
    onednn.PackedLinear(matrix, bias, activation="relu")
    assert torch.equal(weights, values(6, 4, 3, 3))
    assert torch.equal(matrix, values(6, 9))


def test_other_types_are_not_available() -> None:
    for dtype in (torch.float16, torch.float64, torch.int8):
        assert not onednn.is_available(dtype)


def test_without_the_library_nothing_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not onednn.is_available(torch.float32)


@needs_operators
def test_a_processor_without_bfloat16_has_float32_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not onednn.is_available(torch.bfloat16)
    assert onednn.is_available(torch.float32)
