from typing import Any

import pytest

from tests.darknet.networks import IMAGE, plan_of
from yolo.darknet.cfg import ACTIVATIONS
from yolo.darknet.layers import Batchnorm, Connected, Convolutional, Crop, Detection, Local, Maxpool, Shape, Softmax
from yolo.darknet.plan import NetworkPlan
from yolo.errors import ConfigError


def plan(layers: str, net: str = IMAGE) -> NetworkPlan:
    return plan_of(layers, net)


def only(layers: str, net: str = IMAGE) -> Any:
    """The one layer of the plan."""
    (layer,) = plan(layers, net).layers
    return layer


def blocks(layer: Any) -> list[tuple[str, tuple[int, ...]]]:
    return [(block.name, block.shape) for block in layer.blocks]


def test_convolution_with_batch_norm() -> None:
    layer = only("[conv]\nbatch_normalize=1\nfilters=6\nsize=3\nstride=2\npad=1\ngroups=3\nactivation=leaky\n")
    assert isinstance(layer, Convolutional)
    assert layer.in_shape == Shape(3, 8, 10)
    assert layer.out_shape == Shape(6, 4, 5)  # (8 + 2 - 3) // 2 + 1, (10 + 2 - 3) // 2 + 1
    assert (layer.padding, layer.groups, layer.activation, layer.index, layer.line) == (1, 3, "leaky", 0, 5)
    vectors: list[tuple[str, tuple[int, ...]]] = [
        (name, (6,)) for name in ("biases", "scales", "rolling_mean", "rolling_variance")
    ]
    assert blocks(layer) == [*vectors, ("weights", (6, 1, 3, 3))]
    assert layer.num_parameters == 6 + 6 + 54
    assert layer.num_floats == 4 * 6 + 54
    assert layer.flops == 2 * 54 * 4 * 5


def test_defaults_of_a_convolution() -> None:
    layer = only("[convolutional]\n")
    assert (layer.filters, layer.size, layer.stride, layer.padding, layer.groups) == (1, 1, 1, 0, 1)
    assert layer.activation == "logistic"
    assert not any((layer.batch_normalize, layer.flipped, layer.num_load))
    assert blocks(layer) == [("biases", (1,)), ("weights", (1, 3, 1, 1))]


@pytest.mark.parametrize(
    ("options", "padding"),
    [("", 0), ("padding=2", 2), ("pad=1", 1), ("pad=1\npadding=2", 1), ("pad=5", 1), ("pad=0\npadding=2", 2)],
)
def test_pad_means_half_the_size_and_overrides_padding(options: str, padding: int) -> None:
    assert only(f"[conv]\nsize=3\n{options}\n").padding == padding


def test_connected() -> None:
    layer = only("[connected]\noutput=5\nbatch_normalize=1\n")
    assert isinstance(layer, Connected)
    assert layer.out_shape == Shape(5, 1, 1)
    assert layer.activation == "logistic"
    # unlike a convolution's, the normalisation stands after the weights
    names = [name for name, _ in blocks(layer)]
    assert names == ["biases", "weights", "scales", "rolling_mean", "rolling_variance"]
    assert layer.blocks[1].shape == (5, 240)
    assert layer.flops == 2 * 5 * 240


def test_local() -> None:
    layer = only("[local]\nfilters=2\nsize=3\npad=1\nstride=2\n")
    assert isinstance(layer, Local)
    assert layer.out_shape == Shape(2, 4, 5)  # (8 - 1) // 2 + 1, (10 - 1) // 2 + 1
    assert blocks(layer) == [("biases", (2, 4, 5)), ("weights", (4, 5, 2, 3, 3, 3))]
    assert layer.num_parameters == layer.num_floats == 40 + 20 * 54
    assert layer.flops == 2 * 20 * 54
    assert only("[local]\nsize=2\nstride=3\n").out_shape == Shape(1, 3, 3)  # (8 - 2) // 3 + 1, (10 - 2) // 3 + 1


@pytest.mark.parametrize(
    ("options", "side"),
    [
        # (in + padding - size) // stride + 1 with padding = size - 1: of 2/2 the ceiling of in / 2
        ("size=2\nstride=2", {7: 4, 8: 4, 9: 5}),
        ("stride=2", {7: 4, 8: 4, 9: 5}),
        ("size=3\nstride=2", {7: 4, 8: 4, 9: 5}),
        ("size=2\nstride=1", {7: 7}),
        ("", {7: 7}),
        ("size=2\nstride=2\npadding=0", {7: 3, 8: 4}),
        ("size=2\nstride=3", {7: 3, 9: 3, 10: 4}),
        ("size=5\nstride=5", {3: 1}),
    ],
)
def test_maxpool_of_ragged_sides(options: str, side: dict[int, int]) -> None:
    for inside, outside in side.items():
        net = f"[net]\nwidth={inside}\nheight={inside}\nchannels=2\n"
        layer = only(f"[maxpool]\n{options}\n", net)
        assert isinstance(layer, Maxpool)
        assert layer.out_shape == Shape(2, outside, outside)


def test_layers_without_arrays() -> None:
    made = plan(
        "[crop]\ncrop_height=4\ncrop_width=5\nsaturation=1.5\nflip=1\nnoadjust=1\nangle=7\nexposure=2\nshift=.1\n"
        "[activation]\nactivation=relu\n[dropout]\n[avgpool]\n[softmax]\ntemperature=2\n[cost]\ntype=sse\n"
    )
    assert [layer.num_floats for layer in made.layers] == [0] * 6
    assert [layer.out_shape.size for layer in made.layers] == [60, 60, 60, 3, 3, 3]
    crop, activation, dropout, _, softmax, _ = made.layers
    assert isinstance(crop, Crop)
    assert isinstance(softmax, Softmax)
    assert (crop.saturation, crop.exposure) == (1.5, 2)
    assert crop.flip
    assert crop.noadjust
    assert (softmax.temperature, softmax.groups) == (2, 1)
    assert getattr(activation, "activation", "") == "relu"
    assert getattr(dropout, "probability", 0) == 0.5
    assert made.unused == ()


def test_a_stand_alone_batch_norm_trains_nothing_and_stores_no_biases() -> None:
    layer = only("[batchnorm]\n")
    assert isinstance(layer, Batchnorm)
    assert blocks(layer) == [("scales", (3,)), ("rolling_mean", (3,)), ("rolling_variance", (3,))]
    assert (layer.num_parameters, layer.num_floats) == (0, 9)


def test_detection_defaults() -> None:
    layer = only("[detection]\nside=3\ncoords=4\nmax=5\n", "[net]\ninputs=54\n")  # 3 * 3 * (5 + 1)
    assert isinstance(layer, Detection)
    assert (layer.side, layer.boxes_per_cell, layer.num_classes) == (3, 1, 1)
    assert not any((layer.softmax, layer.sqrt, layer.rescore, layer.forced, layer.random))
    assert (layer.object_scale, layer.noobject_scale, layer.class_scale, layer.coord_scale) == (1, 1, 1, 1)
    assert layer.jitter == 0.2


def test_per_layer_flags_decide_which_arrays_are_read_and_written() -> None:
    text = "[conv]\nfilters=4\nbatch_normalize=1\n"
    plain, unsaved, unloaded, scaleless, part = (
        only(text + option) for option in ("", "dontsave=1", "dontload=1", "dontloadscales=1", "numload=3")
    )
    assert plain.saved_blocks == plain.loaded_blocks == plain.blocks
    assert (unsaved.saved_blocks, unsaved.loaded_blocks) == ((), plain.blocks)
    assert (unloaded.saved_blocks, unloaded.loaded_blocks) == (plain.blocks, ())
    assert [block.name for block in scaleless.loaded_blocks] == ["biases", "weights"]
    assert {block.shape[0] for block in part.loaded_blocks} == {3}
    assert part.loaded_blocks[-1].shape == (3, 3, 1, 1)
    assert part.saved_blocks == plain.blocks
    # darknet looks at dontloadscales in convolutions and connected layers only
    assert len(only("[batchnorm]\ndontloadscales=1\n").loaded_blocks) == 3
    assert len(only("[connected]\nbatch_normalize=1\ndontloadscales=1\n").loaded_blocks) == 2


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_of_darknet_is_known(name: str) -> None:
    assert only(f"[local]\nactivation={name}\n").activation == name


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("", r"a\.cfg:1: \[net\] there are no layers"),
        ("[conv]\nfilters=0\n", r"a\.cfg:6: \[convolutional\] filters must be at least 1, not 0"),
        ("[conv]\nfilters=many\n", r"a\.cfg:6: .* filters must be at least 1, not 0 \(read from 'many'\)"),
        ("[conv]\nfilters=-1\n", r"a\.cfg:6: .* filters must be at least 1, not -1"),
        ("[conv]\nsize=0\n", r"a\.cfg:6: .* size must be at least 1"),
        ("[conv]\n\nstride=0\n", r"a\.cfg:7: .* stride must be at least 1"),
        ("[conv]\npadding=-1\n", r"a\.cfg:6: .* padding must be at least 0"),
        ("[conv]\ngroups=0\n", r"a\.cfg:6: .* groups must be at least 1"),
        ("[conv]\ngroups=2\nfilters=2\n", r"a\.cfg:6: .* groups=2 must divide channels 3 and filters 2"),
        ("[conv]\ngroups=3\nfilters=4\n", r"a\.cfg:6: .* groups=3 must divide channels 3 and filters 4"),
        ("[conv]\nsize=9\n", r"a\.cfg:5: .* size=9 does not fit into an input side of 8"),
        ("[conv]\nnumload=2\n", r"a\.cfg:6: .* numload=2 is more than the 1 filters"),
        ("[conv]\ngroups=3\nfilters=3\nflipped=1\n", r"a\.cfg:8: .* flipped=1 with groups"),
        ("[conv]\nxnor=1\n", r"a\.cfg:6: .* xnor='1': gridyolo does not build binary weights"),
        ("[conv]\nactivation=mish\n", r"a\.cfg:6: .* unknown activation 'mish'; known are elu, .*leaky.*tanh"),
        ("[local]\nsize=9\n", r"a\.cfg:5: .* size=9 does not fit"),
        ("[local]\nsize=5\npad=1\n", r"a\.cfg:7: .* expect 8 places and compute 6; pad must be 0 or \(size - 1\) / 2"),
        ("[local]\nsize=1\npad=1\n", r"a\.cfg:7: .* expect 8 places and compute 10"),
        ("[connected]\noutput=0\n", r"a\.cfg:6: .* output must be at least 1"),
        ("[max]\nstride=0\n", r"a\.cfg:6: .* stride must be at least 1"),
        ("[max]\nsize=9\npadding=0\n", r"a\.cfg:5: \[maxpool\] size=9 does not fit"),
        ("[max]\nsize=2\npadding=4\n", r"a\.cfg:7: .* windows that see no input"),
        ("[max]\nsize=2\nstride=1\npadding=3\n", r"a\.cfg:8: .* windows that see no input"),
        ("[max]\nsize=1\nstride=9\npadding=9\n", r"a\.cfg:8: .* windows that see no input"),
        ("[dropout]\nprobability=1\n", r"a\.cfg:6: .* probability must be less than 1, not 1"),
        ("[dropout]\nprobability=-.5\n", r"a\.cfg:6: .* probability must be at least 0, not -0\.5"),
        ("[crop]\ncrop_height=9\n", r"a\.cfg:5: .* a crop of 1 x 9 is larger than the input 10 x 8"),
        ("[crop]\nsaturation=-1\n", r"a\.cfg:6: .* saturation must be at least 0"),
        ("[softmax]\ngroups=7\n", r"a\.cfg:6: .* groups=7 must divide the 240 inputs"),
        ("[softmax]\ntemperature=0\n", r"a\.cfg:6: .* temperature must be above 0"),
        ("[softmax]\ntree=a.tree\n", r"a\.cfg:6: .* does not build a softmax over a tree"),
        ("[softmax]\nspatial=1\n", r"a\.cfg:6: .* does not build a softmax at every place"),
        ("[conv]\nfilters=2147483648\n", r"a\.cfg:6: .* does not fit into 32 bits"),
        ("[conv]\nfilters=1000000000\n", r"a\.cfg:5: .* the output 10 x 8 x 1000000000 has more than 2,147,483,648"),
        ("[connected]\noutput=1000000000\n", r"a\.cfg:5: .* floats are more than a layer may have"),
        ("[conv]\nsize=20000\npad=1\nfilters=2\n", r"a\.cfg:5: .* floats are more than a layer may have"),
        ("[connected]\noutput=8000000\n" * 3, r"a\.cfg:7: .* floats are more than a layer may have"),
        ("[connected]\noutput=45000\n" * 4, r"a\.cfg:11: .* the network has more than 4,294,967,296 floats"),
        ("[max]\n" * 10_001, r"a\.cfg:1: .* 10,001 layers are more than the limit of 10,000"),
    ],
)  # fmt: skip
def test_hostile_layers_are_refused_with_their_line(layers: str, message: str) -> None:
    with pytest.raises(ConfigError, match="^" + message):
        plan(layers)


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ("", 54, r"^a\.cfg:3: \[detection\] coords must be 4, not 1"),
        ("coords=5\n", 54, r"^a\.cfg:5: .* coords must be 4, not 5"),
        ("coords=4\n", 53, r"^a\.cfg:3: .* side=3, num=1, classes=1 need 54 inputs .* the layer before outputs 53"),
        ("coords=4\nclasses=0\n", 45, r"^a\.cfg:6: .* classes must be at least 1"),
        ("coords=4\nnum=0\n", 9, r"^a\.cfg:6: .* num must be at least 1"),
        ("coords=4\nforced=1\n", 54, r"^a\.cfg:6: .* forced=1 chooses between the first two boxes"),
        ("coords=4\njitter=.5\n", 54, r"^a\.cfg:6: .* jitter must be less than 0\.5"),
        ("coords=4\njitter=-1\n", 54, r"^a\.cfg:6: .* jitter must be at least 0"),
        ("coords=4\nobject_scale=inf\n", 54, r"^a\.cfg:6: .* is not a finite decimal number"),
    ],
)
def test_detection_layers_that_cannot_be(options: str, inputs: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(f"[detection]\nside=3\n{options}", f"[net]\ninputs={inputs}\n")
