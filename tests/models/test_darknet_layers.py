import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.darknet_networks import EVERY_LAYER, images_for, network_of, relative_error, section, slow_outputs
from yolo.darknet import options
from yolo.darknet.layers import Detection
from yolo.models.batch_norm import BatchNorm
from yolo.models.darknet import DarknetNetwork, DarknetSpec
from yolo.models.darknet_layers import Connected, block_tensors, make_layer

sides = st.integers(1, 9)
activations = st.sampled_from(options.ACTIVATIONS)


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


def test_crop_draws_the_same_after_the_same_seed() -> None:
    crop = cfg(section("crop", crop_height=2, crop_width=2, flip=1)).layers[0].train()
    images = torch.rand(1, 3, 5, 6)
    answers = []
    for _ in range(2):
        torch.manual_seed(7)
        answers.append(torch.stack([crop(images) for _ in range(5)]))
    assert torch.equal(*answers)


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
    network = network_of(EVERY_LAYER).train(training)
    images = images_for(network)
    answers = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        answers.append(network(images.contiguous(memory_format=memory_format)))
    torch.testing.assert_close(answers[1], answers[0])


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
        expected = {block.name: block.shape for block in record.blocks}
        if isinstance(module, BatchNorm):  # a weights file has no place for these
            expected["biases"] = (record.in_shape.channels,)
        assert shapes == expected


def test_the_number_of_parameters_is_the_plans() -> None:
    network = network_of(EVERY_LAYER)
    assert sum(p.numel() for p in network.parameters()) == network.spec.plan.num_parameters


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
