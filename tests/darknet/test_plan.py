import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.darknet.networks import IMAGE, plan_of
from tests.reference.golden import golden_npz, golden_path
from yolo.darknet import plan as plan_module
from yolo.darknet.catalogue import NETWORKS, network_cfg
from yolo.darknet.cfg import read_cfg
from yolo.darknet.layers import Shape
from yolo.darknet.plan import NetworkPlan, describe, plan_cfg, plan_network
from yolo.errors import ConfigError, GridYoloError


def plan(layers: str, net: str = IMAGE) -> NetworkPlan:
    return plan_of(layers, net)


def test_a_connected_layer_outputs_an_image_of_one_pixel() -> None:
    made = plan("[connected]\noutput=6\n[conv]\nfilters=2\n[max]\n")
    assert [layer.out_shape for layer in made.layers] == [(6, 1, 1), (2, 1, 1), (2, 1, 1)]


@pytest.mark.parametrize("spatial", ["conv", "local", "max", "avg", "crop", "batchnorm"])
def test_rows_and_columns_are_unknown_after_softmax_cost_and_flat_inputs(spatial: str) -> None:
    for before in ("softmax", "cost"):
        with pytest.raises(ConfigError, match=r"a\.cfg:7: .* the layer before must output an image, \[dropout\] does"):
            plan(f"[{before}]\n[dropout]\n[{spatial}]\n")
    with pytest.raises(ConfigError, match=r"a\.cfg:3: .* must output an image, \[net\] does not"):
        plan(f"[{spatial}]\n", "[net]\ninputs=12\n")


def test_a_flat_input_feeds_connected_layers() -> None:
    made = plan("[dropout]\n[connected]\noutput=4\n[conv]\n", "[net]\ninputs=12\n")
    assert made.in_shape == Shape(12, 1, 1)
    assert made.out_shape == Shape(1, 1, 1)


def test_the_limits_are_reached_before_anything_is_allocated() -> None:
    assert plan("[max]\n" * plan_module.MAX_LAYERS).layers
    text = "[connected]\noutput=45000\n" * 2
    tracemalloc.start()
    made = plan(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.num_floats > 2e9
    assert peak < 1e6


def test_options_without_effect_are_named_with_their_lines() -> None:
    text = (
        IMAGE
        + "foo=1\nbatch\nbatch=2\n[max]\nsize=2\nsize=3\nfilters=4\nstride=\n[conv]\ndot=1\ntruth=1\nonlyforward=1\n"
    )
    made = plan_network(text)
    assert made.unused == (
        "line 12: 'stride=' has no value and is ignored",
        "line 5: unused key 'foo' in [net]",
        "line 7: second 'batch' in [net]: the first one counts",
        "line 10: second 'size' in [maxpool]: the first one counts",
        "line 11: unused key 'filters' in [maxpool]",
        "line 14: unused key 'dot' in [convolutional]",
    )
    assert made.net.batch == 1


def test_the_table_for_people() -> None:
    made = plan("[conv]\nfilters=16\nsize=3\npad=1\nactivation=leaky\n[max]\nstride=2\n[connected]\noutput=54\n"
                "[activation]\nactivation=relu\n[detection]\nside=3\ncoords=4\n")  # fmt: skip
    assert describe(made) == [
        "   layer          filters  size/stride        input           output  parameters  GFLOP",
        "0  convolutional       16  3 x 3 / 1     10 x 8 x 3  ->  10 x 8 x 16         448  0.000",
        "1  maxpool                 2 x 2 / 2    10 x 8 x 16  ->   5 x 4 x 16",
        "2  connected           54                5 x 4 x 16  ->   1 x 1 x 54      17,334  0.000",
        "3  activation              relu          1 x 1 x 54  ->   1 x 1 x 54",
        "4  detection                             1 x 1 x 54  ->   1 x 1 x 54",
        "5 layers, 17,782 parameters, 0.000 GFLOP per image, 17,782 floats in a weights file",
    ]
    assert made.detection is made.layers[-1]
    assert "5 x 4" in describe(plan("[crop]\ncrop_width=5\ncrop_height=4\n"))[1]


def test_a_plan_keeps_its_text_and_source() -> None:
    text = IMAGE + "[max] \n"
    assert (plan(text, "").text, plan(text, "").source) == (text, "a.cfg")


@pytest.mark.parametrize("name", ["micro", "tiny_like", "tiny_like_train", "yolov1_like"])
def test_shapes_and_sizes_are_those_of_darknet(name: str) -> None:
    made = plan_cfg(read_cfg(golden_path(f"{name}.cfg")))
    assert made.unused == ()
    weights = golden_path(f"{name.removesuffix('_train')}.weights")
    assert weights.stat().st_size == 20 + 4 * made.num_floats
    if name in ("tiny_like", "yolov1_like"):
        outputs = golden_npz(f"{name}_layers.npz")
        for key, values in outputs.items():
            if match := re.match(r"layer(\d+)_", key):
                assert made.layers[int(match[1])].out_shape.size == values.size


lines = st.sampled_from(
    [f"[{name}]" for name in ("conv", "connected", "local", "max", "avg", "dropout", "crop", "softmax", "cost",
                              "detection", "batchnorm", "activation", "net", "route", "nonsense")]
    + [f"{key}={value}"
       for key in ("filters", "size", "stride", "pad", "padding", "groups", "output", "batch_normalize", "activation",
                   "side", "num", "classes", "coords", "probability", "crop_height", "crop_width", "numload",
                   "flipped", "temperature", "dontload", "jitter", "forced")
       for value in ("1", "2", "3", "4", "0", "-1", "1e9", "2147483647", "999999999999", ".5", "nan", "leaky", "", "x")]
)  # fmt: skip


def plan_or_message(layers: str, net: str = IMAGE) -> tuple[NetworkPlan | None, str]:
    try:
        return plan(layers, net), ""
    except GridYoloError as error:
        return None, str(error)


@given(st.lists(lines, max_size=25))
def test_any_lines_are_planned_or_refused(body: list[str]) -> None:
    made, message = plan_or_message("\n".join(body))
    if made is None:
        assert re.match(r"a\.cfg:\d+: ", message)
        return
    for before, after in zip(made.layers, made.layers[1:], strict=False):
        assert after.in_shape == before.out_shape
    assert all(min(layer.out_shape) >= 1 for layer in made.layers)
    assert made.num_floats <= plan_module.MAX_NETWORK_FLOATS
    assert len(describe(made)) == len(made.layers) + 2


@given(st.sampled_from(NETWORKS), st.data())
def test_a_damaged_cfg_is_planned_or_refused(name: str, data: st.DataObject) -> None:
    text = network_cfg(name)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        text = (
            text[:start]
            + data.draw(st.text(max_size=6) | st.sampled_from(["9", "-", "=", "\n", "0"]))
            + text[start + length :]
        )
    made, message = plan_or_message(text, net="")
    assert message.startswith("a.cfg") if made is None else made.text == text
