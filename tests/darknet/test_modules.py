import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.darknet.networks import (
    EVERY_LAYER,
    images_for,
    network_of,
    relative_error,
    section,
    slow_outputs,
    spec_of,
)
from tests.reference.slow_darknet_layers import (
    slow_activation,
    slow_batch_norm,
    slow_batch_norm_backward,
    slow_batch_norm_training,
)
from yolo.darknet.cfg import ACTIVATIONS as ACTIVATION_NAMES
from yolo.darknet.layers import Detection
from yolo.darknet.modules import (
    ACTIVATIONS,
    BatchNorm,
    BatchNormKind,
    Connected,
    Convolutional,
    Local,
    block_tensors,
    make_layer,
)
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.errors import ConfigError

sides = st.integers(1, 9)


activations = st.sampled_from(ACTIVATION_NAMES)


def cfg(text: str, *, channels: int = 3, height: int = 5, width: int = 6) -> DarknetNetwork:
    return network_of(text, channels=channels, height=height, width=width)


def check_against_slow_layers(network: DarknetNetwork, *, count: int = 2) -> None:
    """Answers in float64 to the last digits, and finite gradients for every parameter and the images."""
    network.double()
    images = (images_for(network, count).double() * 4 - 2).requires_grad_()
    answer = network(images)
    assert relative_error(answer, slow_outputs(network, images.detach())[-1].reshape(answer.shape)) < 1e-10
    answer.square().sum().backward()
    for tensor in (images, *network.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


@given(
    height=sides,
    width=sides,
    groups=st.sampled_from([1, 2, 4]),
    times=st.integers(1, 2),
    size=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    batch_norm=st.booleans(),
    activation=activations,
)
def test_convolution(
    *,
    height: int,
    width: int,
    groups: int,
    times: int,
    size: int,
    stride: int,
    padding: int,
    batch_norm: bool,
    activation: str,
) -> None:
    size = min(size, height + 2 * padding, width + 2 * padding)
    text = section(
        "convolutional",
        filters=groups * times,
        groups=groups,
        size=size,
        stride=stride,
        padding=padding,
        batch_normalize=int(batch_norm),
        activation=activation,
    )
    check_against_slow_layers(cfg(text, channels=4, height=height, width=width))


def test_a_1x1_convolution_obeys_stride_and_padding() -> None:
    """darknet's CPU code does not: it takes the first numbers of the input for the places of the output."""
    text = section("convolutional", size=1, stride=2, padding=1, activation="linear")
    network = cfg(text, channels=1, height=5, width=5)
    (layer,) = network.layers
    with torch.no_grad():
        layer.get_parameter("weights").fill_(1)
        layer.get_parameter("biases").zero_()
    answer = layer(torch.arange(25.0).view(1, 1, 5, 5))
    # places -1, 1, 3, 5 of each axis; those outside are zeros
    assert answer[0, 0].tolist() == [[0, 0, 0, 0], [0, 6, 8, 0], [0, 16, 18, 0], [0, 0, 0, 0]]


@given(
    height=sides,
    width=sides,
    channels=st.integers(1, 3),
    half=st.integers(0, 2),
    padded=st.booleans(),
    stride=st.integers(1, 2),
    activation=activations,
)
def test_local(
    *, height: int, width: int, channels: int, half: int, padded: bool, stride: int, activation: str
) -> None:
    half = half if padded else min(half, (min(height, width) - 1) // 2)
    keys = {"size": 2 * half + 1, "pad": half if padded else 0, "stride": stride, "filters": 2}
    check_against_slow_layers(
        cfg(section("local", **keys, activation=activation), channels=channels, height=height, width=width)
    )


@given(
    height=sides,
    width=sides,
    outputs=st.integers(1, 5),
    batch_norm=st.booleans(),
    activation=activations,
)
def test_connected(*, height: int, width: int, outputs: int, batch_norm: bool, activation: str) -> None:
    text = section("connected", output=outputs, batch_normalize=int(batch_norm), activation=activation)
    check_against_slow_layers(cfg(text, channels=2, height=height, width=width))


@given(height=sides, width=sides, size=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(-1, 3))
def test_maxpool(*, height: int, width: int, size: int, stride: int, padding: int) -> None:
    """A padding of -1 stands for the default, size - 1."""
    total = size - 1 if padding < 0 else padding
    before, counts = total // 2, [(side + total - size) // stride for side in (height, width)]
    refused = before >= size or min(height, width) + total < size
    if refused or any(count * stride - before >= side for count, side in zip(counts, (height, width), strict=True)):
        return
    keys = {"size": size, "stride": stride} | ({} if padding < 0 else {"padding": padding})
    check_against_slow_layers(cfg(section("maxpool", **keys), channels=2, height=height, width=width))


@pytest.mark.parametrize(
    ("keys", "side", "expected"),
    [
        # 0 1 2 3 4 in a row: the last window of 2 has one value
        ({"size": 2, "stride": 2}, 5, [1, 3, 4]),
        ({"size": 2, "stride": 2}, 4, [1, 3]),
        # nothing outside: the last value is never seen
        ({"size": 2, "stride": 2, "padding": 0}, 5, [1, 3]),
        # one value outside on each side: the windows start at -1
        ({"size": 3, "stride": 2}, 5, [1, 3, 4]),
        ({"size": 3, "stride": 2}, 4, [1, 3]),
        # an odd total goes to the end: the windows start at 0
        ({"size": 3, "stride": 2, "padding": 1}, 5, [2, 4]),
        ({"size": 3, "stride": 2, "padding": 0}, 5, [2, 4]),
        ({"size": 2, "stride": 1}, 3, [1, 2, 2]),
        ({"size": 1, "stride": 3}, 7, [0, 3, 6]),
    ],
)
def test_maxpool_by_hand(keys: dict[str, int], side: int, expected: list[int]) -> None:
    network = cfg(section("maxpool", **keys), channels=1, height=side, width=side)
    row = torch.arange(float(side)).expand(1, 1, side, side)
    answer = network.layers[0](row)
    assert answer.shape == (1, 1, len(expected), len(expected))
    assert answer[0, 0, 0].tolist() == expected


def test_nothing_outside_the_image_wins_against_negative_values() -> None:
    network = cfg(section("maxpool", size=3, stride=2), channels=1, height=3, width=3)
    assert network(torch.full((1, 1, 3, 3), -1e30)).tolist() == [[-1.0000000150474662e30] * 4]


@given(height=sides, width=sides)
def test_avgpool(height: int, width: int) -> None:
    check_against_slow_layers(cfg("[avgpool]\n", channels=2, height=height, width=width))


@given(height=sides, width=sides, noadjust=st.booleans(), data=st.data())
def test_crop_is_central_in_evaluation(height: int, width: int, noadjust: bool, data: st.DataObject) -> None:
    keys = {
        "crop_height": data.draw(st.integers(1, height)),
        "crop_width": data.draw(st.integers(1, width)),
        "noadjust": int(noadjust),
        "flip": 1,
    }
    check_against_slow_layers(cfg(section("crop", **keys), channels=2, height=height, width=width))


def test_crop_moves_values_from_0_1_to_minus_1_1_unless_told_not_to() -> None:
    keys = {"crop_height": 5, "crop_width": 6}
    images = torch.linspace(0, 1, 90).view(1, 3, 5, 6)
    assert torch.equal(cfg(section("crop", **keys)).layers[0](images), 2 * images - 1)
    assert torch.equal(cfg(section("crop", **keys, noadjust=1)).layers[0](images), images)


@pytest.mark.parametrize("flip", [0, 1])
def test_crop_takes_every_place_in_training_one_a_batch(flip: int) -> None:
    crop = cfg(section("crop", crop_height=4, crop_width=4, noadjust=1, flip=flip)).layers[0].train()
    # every value tells its place; both images are the same
    images = torch.arange(30.0).view(1, 1, 5, 6).expand(2, 3, 5, 6)
    places = {
        tuple(window.flatten().tolist())
        for base in (images[0, 0], images[0, 0].flip(1))[: 1 + flip]
        for window in base.unfold(0, 4, 1).unfold(1, 4, 1).flatten(0, 1)
    }
    assert len(places) == 6 * (1 + flip)
    torch.manual_seed(0)
    seen = set()
    for _ in range(400):
        answer = crop(images)
        assert torch.equal(answer[0], answer[1])
        seen.add(tuple(answer[0, 0].flatten().tolist()))
    assert seen == places


@given(
    height=sides,
    width=sides,
    groups=st.sampled_from([1, 2, 3, 6]),
    temperature=st.sampled_from([0.5, 1, 3]),
)
def test_softmax(height: int, width: int, groups: int, temperature: float) -> None:
    text = section("softmax", groups=groups, temperature=temperature)
    check_against_slow_layers(cfg(text, channels=6, height=height, width=width))


def test_softmax_sums_to_one_in_each_group_and_bears_large_values() -> None:
    network = cfg(section("softmax", groups=2), channels=4, height=1, width=1)
    answer = network(torch.tensor([1e4, 1e4, -1e4, 1e4]).view(1, 4, 1, 1))
    assert answer.tolist() == [[0.5, 0.5, 0, 1]]


@given(height=sides, width=sides, activation=activations)
def test_batchnorm_and_activation_on_their_own(height: int, width: int, activation: str) -> None:
    text = "[batchnorm]\n" + section("activation", activation=activation)
    check_against_slow_layers(cfg(text, channels=2, height=height, width=width))


def test_dropout_keeps_the_mean_in_training_and_everything_in_evaluation() -> None:
    network = cfg(section("dropout", probability=0.25), channels=100, height=10, width=10)
    ones = torch.ones(1, 100, 10, 10)
    assert torch.equal(network.layers[0](ones), ones)
    torch.manual_seed(0)
    answer = network.train().layers[0](ones)
    assert answer.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert float(answer.mean()) == pytest.approx(1, abs=0.02)


def test_cost_and_detection_pass_values_on() -> None:
    record = cfg("[connected]\noutput = 24\n[detection]\nside=2\ncoords=4\n").spec.plan.layers[1]
    assert isinstance(record, Detection)
    values = torch.rand(2, 24, 1, 1)
    assert torch.equal(make_layer(record, "standard")(values), values)
    assert torch.equal(cfg("[cost]\n").layers[0](values), values)


def test_a_whole_network_of_every_layer_equals_the_slow_layers() -> None:
    check_against_slow_layers(network_of(EVERY_LAYER), count=3)


@pytest.mark.parametrize("training", [True, False])
def test_channels_last_input_gives_the_same_numbers(training: bool) -> None:
    network, other = (network_of(EVERY_LAYER).train(training) for _ in range(2))
    answers = []
    for one, memory_format in ((network, torch.contiguous_format), (other, torch.channels_last)):
        torch.manual_seed(0)
        answers.append(one(images_for(one).contiguous(memory_format=memory_format)))
    torch.testing.assert_close(answers[1], answers[0])
    torch.testing.assert_close(dict(other.named_buffers()), dict(network.named_buffers()))


def test_flattening_before_a_connected_layer_is_by_channel_row_column() -> None:
    network = cfg("[connected]\noutput = 1\nactivation = linear\n", channels=2, height=2, width=2).double()
    connected = network.layers[0]
    assert isinstance(connected, Connected)
    with torch.no_grad():
        connected.weights.copy_(torch.tensor([[1.0, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7]]))
        connected.biases.zero_()
    images = torch.tensor([[[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]]], dtype=torch.float64)
    assert network(images).item() == 87654321


def test_the_tensors_of_every_layer_have_the_names_and_shapes_of_its_blocks() -> None:
    network = network_of(EVERY_LAYER)
    for record, module in zip(network.spec.plan.layers, network.layers, strict=True):
        shapes = {name: tuple(tensor.shape) for name, tensor in block_tensors(module).items()}
        assert shapes == {block.name: block.shape for block in record.blocks}


def test_the_kind_of_batch_norm_reaches_every_layer_that_has_one() -> None:
    text = "[conv]\nbatch_normalize=1\n[batchnorm]\n[connected]\nbatch_normalize=1\n"
    network = DarknetNetwork(DarknetSpec(cfg=cfg(text).spec.cfg, batch_norm="darknet"))
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    assert [norm.kind for norm in norms] == ["darknet"] * 3


@pytest.mark.parametrize("batch_norm", ["standard", "darknet"])
def test_training_reaches_every_parameter_with_finite_gradients(batch_norm: str) -> None:
    network = network_of(EVERY_LAYER, batch_norm=batch_norm).train()
    torch.manual_seed(0)
    network(images_for(network, 4)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_an_empty_batch_gives_an_empty_answer() -> None:
    network = network_of(EVERY_LAYER)
    assert network(images_for(network, 0)).shape == (0, 24)
    assert cfg("[softmax]\ngroups = 3\n")(torch.empty(0, 3, 5, 6)).shape == (0, 90)


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
    # before any training it is all that values are divided by
    assert BatchNorm(1, kind).eval()(torch.tensor([[[[2.0]]]])).item() == pytest.approx(2e6)


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


@given(shape=st.tuples(*[st.integers(2, 4)] * 4), flat=st.booleans(), scale=st.sampled_from([1, 0.01]))
def test_darknet_training_equals_its_cpu_code(shape: tuple[int, int, int, int], flat: bool, scale: float) -> None:
    norm = filled(shape[1], "darknet")
    x = (values(*shape[:2] if flat else shape) * scale).requires_grad_()
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
    x = values(4, 3, 2, 5) * torch.tensor([1, 0.01, 0.001])[:, None, None]  # where the variance is small epsilon counts
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


E = math.exp(1)


# (name, x, y): both sides of every bend, by hand
POINTS = [
    ("elu", 2.0, 2.0),
    ("elu", -1.0, 1 / E - 1),
    ("hardtan", 0.3, 0.3),
    ("hardtan", 5.0, 1.0),
    ("hardtan", -5.0, -1.0),
    ("leaky", 3.0, 3.0),
    ("leaky", -3.0, -0.3),
    ("lhtan", 0.5, 0.5),
    ("lhtan", -2.0, -0.002),
    ("lhtan", 3.0, 1.002),
    ("linear", -7.5, -7.5),
    ("logistic", 0.0, 0.5),
    ("logistic", 1.0, E / (E + 1)),
    ("loggy", 0.0, 0.0),
    ("loggy", 1.0, (E - 1) / (E + 1)),
    ("plse", 0.0, 0.5),
    ("plse", 4.0, 1.0),
    ("plse", 6.0, 1.02),
    ("plse", -6.0, -0.02),
    ("ramp", 2.0, 2.2),
    ("ramp", -2.0, -0.2),
    ("relie", 2.0, 2.0),
    ("relie", -2.0, -0.02),
    ("relu", 2.0, 2.0),
    ("relu", -2.0, 0.0),
    ("selu", 2.0, 2.1014),
    ("selu", -1.0, 1.0507 * 1.6732 * (1 / E - 1)),
    ("stair", 0.5, 0.0),
    ("stair", 1.25, 0.25),
    ("stair", 2.9, 1.0),
    ("stair", 3.5, 1.5),
    ("stair", -0.5, -0.5),
    ("stair", -1.5, -1.0),
    ("tanh", 1.0, (E**2 - 1) / (E**2 + 1)),
]


@pytest.mark.parametrize(("name", "x", "y"), POINTS)
def test_values_computed_by_hand(name: str, x: float, y: float) -> None:
    answer = ACTIVATIONS[name](torch.tensor([x], dtype=torch.float64))
    assert answer.item() == pytest.approx(y, rel=1e-12)
    assert slow_activation(name, x) == pytest.approx(y, rel=1e-12)


def test_every_activation_that_a_cfg_may_name_is_here_and_tested() -> None:
    assert set(ACTIVATIONS) == set(ACTIVATION_NAMES) == {name for name, _, _ in POINTS}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@given(x=st.floats(-12, 12))
def test_values_equal_the_formulas_everywhere(name: str, x: float) -> None:
    answer = ACTIVATIONS[name](torch.tensor(x, dtype=torch.float64)).item()
    assert answer == pytest.approx(slow_activation(name, x), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gradients_are_the_slopes_of_the_formulas(name: str) -> None:
    # halfway between the bends
    x = torch.arange(-6, 6, 0.5, dtype=torch.float64)[1::2].requires_grad_()
    ACTIVATIONS[name](x).sum().backward()
    assert x.grad is not None
    step = 1e-5
    slopes = [(slow_activation(name, v + step) - slow_activation(name, v - step)) / (2 * step) for v in x.tolist()]
    assert x.grad.tolist() == pytest.approx(slopes, abs=1e-8)
    bends_and_far_out = torch.tensor([-4.0, -2, -1, 0, 1, 2, 4, -1e4, 1e4], requires_grad=True)
    y = ACTIVATIONS[name](bends_and_far_out)
    y.sum().backward()
    assert bends_and_far_out.grad is not None
    assert y.isfinite().all()
    assert bends_and_far_out.grad.isfinite().all()


def layer_of(text: str, channels: int = 3) -> nn.Module:
    """The first layer of a new network, with its initial weights."""
    torch.manual_seed(0)
    return DarknetNetwork(spec_of(text, channels=channels, height=5, width=6)).layers[0].train()


def test_convolutions_start_normal_with_the_root_of_2_over_the_inputs() -> None:
    conv = layer_of(section("convolutional", filters=64, size=3, groups=2, batch_normalize=0), channels=32)
    assert isinstance(conv, Convolutional)
    scale = math.sqrt(2 / (9 * 16))
    assert conv.weights.std().item() == pytest.approx(scale, rel=0.03)
    assert conv.weights.abs().max() > 3 * scale  # not uniform
    assert not conv.biases.any()


def test_connected_layers_start_uniform_with_the_root_of_2_over_the_inputs() -> None:
    connected = layer_of(section("connected", output=300))
    assert isinstance(connected, Connected)
    scale = math.sqrt(2 / 90)
    check_uniform(connected.weights, scale)
    assert not connected.biases.any()


def test_of_a_local_layer_only_the_first_place_starts_random() -> None:
    local = layer_of(section("local", filters=20, size=3, pad=1), channels=8)
    assert isinstance(local, Local)
    check_uniform(local.weights[0, 0], math.sqrt(2 / 72))
    places = local.weights.flatten(0, 1)
    assert not places[1:].any()
    assert not local.biases.any()


def check_uniform(weights: Tensor, scale: float) -> None:
    assert weights.abs().max() <= scale
    assert weights.abs().max() > 0.99 * scale
    assert weights.std().item() == pytest.approx(scale / math.sqrt(3), rel=0.03)
    assert weights.mean().item() == pytest.approx(0, abs=0.05 * scale)
