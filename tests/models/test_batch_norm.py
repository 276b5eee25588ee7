from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.models.darknet_networks import relative_error
from tests.reference.slow_darknet_layers import (
    slow_batch_norm,
    slow_batch_norm_backward,
    slow_batch_norm_training,
)
from yolo.errors import ConfigError
from yolo.models.batch_norm import BatchNorm, BatchNormKind

KINDS: tuple[BatchNormKind, ...] = ("standard", "darknet")
both_kinds = pytest.mark.parametrize("kind", KINDS)


def filled(channels: int, kind: BatchNormKind, seed: int = 0) -> BatchNorm:
    """A batch norm in the middle of its training."""
    generator = torch.Generator().manual_seed(seed)
    norm = BatchNorm(channels, kind)
    with torch.no_grad():
        for tensor in (norm.scales, norm.rolling_variance):
            tensor.uniform_(0.5, 1.5, generator=generator)
        for tensor in (norm.biases, norm.rolling_mean):
            tensor.normal_(generator=generator)
    return norm


def blocks_of(norm: BatchNorm) -> dict[str, Any]:
    return {name: tensor.detach().double().numpy() for name, tensor in norm.state_dict().items()}


def values(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2 + 0.7


@both_kinds
def test_initial_values_are_darknets(kind: BatchNormKind) -> None:
    state = BatchNorm(2, kind).state_dict()
    assert {name: tensor.tolist() for name, tensor in state.items()} == {
        "scales": [1, 1],
        "biases": [0, 0],
        "rolling_mean": [0, 0],
        "rolling_variance": [0, 0],
    }
    assert {name for name, _ in BatchNorm(2, kind).named_parameters()} == {"scales", "biases"}


@both_kinds
def test_evaluation_by_hand(kind: BatchNormKind) -> None:
    norm = BatchNorm(1, kind).double().eval()
    with torch.no_grad():
        norm.scales.fill_(3)
        norm.biases.fill_(5)
        norm.rolling_mean.fill_(1)
        norm.rolling_variance.fill_(4)
    # 3 · (2 - 1) / (2 + 1e-6) + 5: the epsilon stands outside the root
    assert norm(torch.tensor([[2.0]], dtype=torch.float64)).item() == pytest.approx(5 + 3 / 2.000001, rel=1e-14)


@both_kinds
def test_before_any_training_values_are_divided_by_the_epsilon_alone(kind: BatchNormKind) -> None:
    norm = BatchNorm(1, kind).eval()
    assert norm(torch.tensor([[[[2.0]]]])).item() == pytest.approx(2e6)


@both_kinds
@given(shape=st.tuples(*[st.integers(1, 4)] * 4), flat=st.booleans())
def test_evaluation_equals_the_slow_reference(
    kind: BatchNormKind, shape: tuple[int, int, int, int], flat: bool
) -> None:
    norm = filled(shape[1], kind).double().eval()
    x = values(*shape[:2] if flat else shape).double()
    assert relative_error(norm(x), slow_batch_norm(x.numpy(), blocks_of(norm))) < 1e-12


@both_kinds
def test_evaluation_changes_no_statistics(kind: BatchNormKind) -> None:
    norm = filled(3, kind).eval()
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    norm(values(4, 3, 2, 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())


@both_kinds
def test_as_affine_is_what_evaluation_does(kind: BatchNormKind) -> None:
    norm, x = filled(3, kind).eval(), values(4, 3, 2, 2)
    factor, shift = norm.as_affine()
    torch.testing.assert_close(norm(x), x * factor[:, None, None] + shift[:, None, None])


@given(shape=st.tuples(*[st.integers(2, 4)] * 4), flat=st.booleans())
def test_darknet_training_equals_its_cpu_code(shape: tuple[int, int, int, int], flat: bool) -> None:
    norm = filled(shape[1], "darknet")
    x = values(*shape[:2] if flat else shape).requires_grad_()
    weight = values(*x.shape, seed=2)
    before = blocks_of(norm)
    y = norm(x)
    (y * weight).sum().backward()

    slow_x = x.detach().double().numpy()
    slow_y, mean, variance = slow_batch_norm_training(slow_x, before["scales"], before["biases"])
    assert relative_error(y, slow_y) < 1e-5
    assert norm.rolling_mean.tolist() == pytest.approx(0.99 * before["rolling_mean"] + 0.01 * mean, abs=1e-6)
    assert norm.rolling_variance.tolist() == pytest.approx(
        0.99 * before["rolling_variance"] + 0.01 * variance, abs=1e-6
    )
    for_x, for_scales, for_biases = slow_batch_norm_backward(slow_x, before["scales"], weight.double().numpy())
    for tensor, expected in ((x, for_x), (norm.scales, for_scales), (norm.biases, for_biases)):
        assert tensor.grad is not None
        assert abs(tensor.grad.numpy() - expected).max() < 1e-5 * max(1, abs(expected).max())


def test_standard_training_is_torchs_batch_norm_with_statistics_from_zero() -> None:
    norm, other = filled(3, "standard"), nn.BatchNorm2d(3, eps=1e-5, momentum=0.01)
    with torch.no_grad():
        for mine, its in (
            (norm.scales, other.weight),
            (norm.biases, other.bias),
            (norm.rolling_mean, other.running_mean),
            (norm.rolling_variance, other.running_var),
        ):
            assert its is not None
            its.copy_(mine)
    x = values(4, 3, 2, 5)
    torch.testing.assert_close(norm(x), other(x))
    assert other.running_mean is not None
    assert other.running_var is not None
    torch.testing.assert_close(norm.rolling_mean, other.running_mean)
    torch.testing.assert_close(norm.rolling_variance, other.running_var)


@both_kinds
def test_one_step_moves_the_statistics_by_one_percent_with_the_variance_over_n_less_1(kind: BatchNormKind) -> None:
    norm = BatchNorm(1, kind)
    norm(torch.tensor([[1.0], [3.0]]))  # mean 2; variance 2 over n - 1, 1 over n
    assert norm.rolling_mean.item() == pytest.approx(0.02)
    assert norm.rolling_variance.item() == pytest.approx(0.02)


def test_the_kinds_differ_in_the_divisor_of_the_variance() -> None:
    x = torch.tensor([[1.0], [3.0]])
    assert BatchNorm(1, "darknet")(x)[:, 0].tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5], rel=1e-5)
    assert BatchNorm(1, "standard")(x)[:, 0].tolist() == pytest.approx([-1, 1], rel=1e-4)


def test_the_standard_gradient_is_exact_and_darknets_is_near_it() -> None:
    x, weight = values(8, 2, 5, 5), values(8, 2, 5, 5, seed=3)
    gradients = []
    for kind in KINDS:
        leaf = x.clone().requires_grad_()
        (filled(2, kind)(leaf) * weight).sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    relative = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert 1e-6 < relative < 0.01
    exact = filled(2, "standard").double()
    assert torch.autograd.gradcheck(exact, values(3, 2, 2, 2).double().requires_grad_())


@both_kinds
def test_constant_channels_have_finite_answers_and_gradients(kind: BatchNormKind) -> None:
    x = torch.full((4, 2, 3, 3), 0.25, requires_grad=True)
    norm = BatchNorm(2, kind)
    y = norm(x)
    y.square().sum().backward()
    assert x.grad is not None
    assert y.abs().max() < 1e-3
    for tensor in (x.grad, norm.scales.grad, norm.biases.grad):
        assert tensor is not None
        assert tensor.isfinite().all()


@both_kinds
def test_one_value_per_channel_has_no_variance_and_is_refused_in_training(kind: BatchNormKind) -> None:
    norm = BatchNorm(3, kind)
    with pytest.raises(ConfigError, match="one value per channel"):
        norm(torch.zeros(1, 3))
    assert norm.rolling_variance.tolist() == [0, 0, 0]
    assert norm.eval()(torch.zeros(1, 3)).shape == (1, 3)


@both_kinds
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_input_is_normalised_with_float32_statistics(kind: BatchNormKind, training: bool) -> None:
    norm, x = filled(3, kind).train(training), values(4, 3, 4, 4)
    exact = filled(3, kind).train(training)(x)
    torch.testing.assert_close(norm(x.bfloat16()).float(), exact, atol=0.05, rtol=0.02)
    assert norm.rolling_mean.dtype == torch.float32


@both_kinds
@pytest.mark.parametrize("training", [True, False])
def test_channels_last_input_gives_the_same_numbers(kind: BatchNormKind, training: bool) -> None:
    x = values(4, 3, 4, 5)
    plain, last = filled(3, kind).train(training), filled(3, kind).train(training)
    torch.testing.assert_close(last(x.contiguous(memory_format=torch.channels_last)), plain(x))
    torch.testing.assert_close(last.rolling_variance, plain.rolling_variance)
