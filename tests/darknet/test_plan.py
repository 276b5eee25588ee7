import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.darknet.networks import IMAGE, detector_cfg, plan_of
from tests.reference.golden import golden_npz, golden_path
from yolo.darknet import plan as plan_module
from yolo.darknet.cfg import Cfg, parse_cfg, read_cfg
from yolo.darknet.layers import Layer, Shape
from yolo.darknet.lookup import NETWORKS, find_cfg, network_cfg
from yolo.darknet.plan import NetworkPlan, describe, plan_cfg, plan_network, with_classes
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


def parsed(text: str) -> Cfg:
    return parse_cfg(text, source="small.cfg")


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    pairs = zip(before.split("\n"), after.split("\n"), strict=True)
    return [(old, new) for old, new in pairs if old != new]


@pytest.mark.parametrize("classes", [1, 3, 80])
def test_two_numbers_change_and_nothing_else(classes: int) -> None:
    text = "# odd\tspaces ,\f and\u2028ends stay\n" + detector_cfg(before="; last\f one\n\n") + "\n\n# end"
    cfg = with_classes(parsed(text), classes)
    outputs = 2 * 2 * (5 * 2 + classes)
    assert changed_lines(text, cfg.text) == [
        ("output=48", f"output = {outputs}"),
        ("classes=2", f"classes = {classes}"),
    ]
    assert cfg.source == "small.cfg"
    plan = plan_cfg(cfg)
    assert plan.detection is not None
    assert (plan.detection.num_classes, plan.layers[-2].out_shape.size) == (classes, outputs)


def test_windows_line_ends_stay() -> None:
    text = detector_cfg().replace("\n", "\r\n")
    cfg = with_classes(parsed(text), 5)
    assert cfg.text.count("\r\n") == cfg.text.count("\n") == text.count("\n")
    without = with_classes(parsed(text.replace("classes=2\r\n", "").replace("output=48", "output=44")), 5)
    assert without.text.count("\r\n") == without.text.count("\n") == text.count("\n")


@pytest.mark.parametrize("line", ["", "classes=\n", "classes\n", "# classes=2\n"])
def test_a_number_that_was_left_to_its_default_is_written(line: str) -> None:
    # darknet's default is one class
    text = detector_cfg(classes=1).replace("classes=1\n", line)
    plan = plan_cfg(with_classes(parsed(text), 4))
    assert plan.detection is not None
    assert plan.detection.num_classes == 4


def test_the_first_of_two_equal_keys_is_the_one_that_counts() -> None:
    text = (
        detector_cfg().replace("classes=2\n", "classes=2\nclasses=7\n").replace("output=48\n", "output=48\noutput=9\n")
    )
    after = with_classes(parsed(text), 4).text
    assert changed_lines(text, after) == [("output=48", "output = 56"), ("classes=2", "classes = 4")]


def test_other_layers_with_an_output_stay() -> None:
    text = detector_cfg(before="[dropout]\nprobability=.5\n\n")
    text = text.replace("[connected]\n", "[connected]\noutput=7\n\n[conn]\n", 1)
    after = with_classes(parsed(text), 3).text
    assert changed_lines(text, after) == [("output=48", "output = 52"), ("classes=2", "classes = 3")]


def test_a_cfg_of_that_many_classes_stays_as_it_is() -> None:
    cfg = parsed(detector_cfg(classes=2))
    assert with_classes(cfg, 2) is cfg


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "extraction"])
def test_shipped_detectors_can_learn_other_classes(name: str) -> None:
    before = find_cfg(name)
    after = with_classes(before, 3)
    assert len(changed_lines(before.text, after.text)) == 2
    plan = plan_cfg(after)
    assert plan.detection is not None
    assert plan.detection.num_classes == 3


@pytest.mark.parametrize(
    "last", ["[local]\nfilters=12\nsize=1\n", "[convolutional]\nfilters=12\n", "[activation]\nactivation=linear\n"]
)
def test_other_last_layers_are_refused_with_the_place(last: str) -> None:
    head, _, detection = detector_cfg(side=4).partition("[connected]\n")
    matrix, _, detection = detection.partition("[detection]")
    text = head + ("[connected]\n" + matrix if "activation]" in last else "") + last + "[detection]" + detection
    line = text[: text.index("[detection]")].count("\n") + 1
    with pytest.raises(ConfigError, match=rf"small\.cfg:{line}: .* has 2 classes, the data 3; .*\[connected\]"):
        with_classes(parsed(text), 3)


def test_more_classes_than_a_network_can_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"small\.cfg"):
        plan_cfg(with_classes(parsed(detector_cfg()), 2**30))


def plan_of_name(name: str) -> NetworkPlan:
    return plan_network(network_cfg(name), source=name)


def convolutions(plan: NetworkPlan) -> list[Layer]:
    return [layer for layer in plan.layers if layer.kind == "convolutional"]


# parameters, GFLOP and bytes of the weights file's body as published; outputs
TABLE = {
    "yolov1": (197_301_875, "40.421", 789_312_972, 1715),
    "yolov1-tiny": (27_095_374, "3.216", 108_399_800, 1470),
    "yolo": (271_703_550, "40.570", 1_086_814_200, 1470),
    "yolo-small": (93_970_430, "40.215", 375_881_720, 1470),
    "yolo-tiny": (45_089_374, "4.837", 180_357_496, 1470),
    "extraction": (23_437_224, "8.519", 93_821_600, 1000),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_size_and_cost_are_the_published_ones(name: str) -> None:
    plan = plan_of_name(name)
    parameters, gflop, body_bytes, outputs = TABLE[name]
    assert plan.num_parameters == parameters
    assert f"{plan.flops / 1e9:.3f}" == gflop
    assert plan.num_floats * 4 == body_bytes
    assert plan.out_shape.size == outputs
    assert plan.unused == ()


# parameters with batch norm and GFLOP at 448 of convolutions 1 to 24, by the table of the original architecture
PAIR_512 = [(131_584, 0.206), (1_180_672, 1.850)]


PAIR_1024 = [(525_312, 0.206), (4_720_640, 1.850)]


BACKBONE = [
    (9_536, 0.944),
    (110_976, 2.775),
    (24_832, 0.154),
    (295_424, 1.850),
    (66_048, 0.411),
    (1_180_672, 7.399),
    *PAIR_512 * 4,
    (263_168, 0.411),
    (4_720_640, 7.399),
    *PAIR_1024 * 2,
]


DETECTION = [(9_439_232, 3.699), (9_439_232, 0.925), (9_439_232, 0.925), (9_439_232, 0.925)]


def test_every_convolution_of_yolov1_has_the_parameters_and_cost_of_the_table() -> None:
    layers = convolutions(plan_of_name("yolov1"))
    assert [(layer.num_parameters, round(layer.flops / 1e9, 3)) for layer in layers] == BACKBONE + DETECTION


@pytest.mark.parametrize("name", ["yolo", "yolo-small"])
def test_without_batch_norm_each_convolution_has_one_vector_less(name: str) -> None:
    layers = convolutions(plan_of_name(name))
    expected = [parameters for parameters, _ in BACKBONE + DETECTION]
    assert [layer.num_parameters + layer.out_shape.channels for layer in layers] == expected


def test_big_single_layers() -> None:
    yolov1 = {layer.kind: layer for layer in plan_of_name("yolov1").layers}
    assert yolov1["local"].num_parameters == 115_618_048
    assert yolov1["connected"].num_parameters == 21_514_675
    assert yolov1["connected"].in_shape == (256, 7, 7)
    first_connected = next(layer for layer in plan_of_name("yolo").layers if layer.kind == "connected")
    assert first_connected.num_parameters == 205_524_992


def test_the_backbone_of_the_classifier_fits_the_detector() -> None:
    classifier, detector = plan_of_name("extraction").layers[:24], plan_of_name("yolov1").layers[:24]
    assert sum(layer.num_floats for layer in classifier) == 22_430_400
    assert [layer.blocks for layer in classifier] == [layer.blocks for layer in detector]
    assert classifier[-1].out_shape == (1024, 7, 7)
    assert detector[-1].out_shape == (1024, 14, 14)


def test_detection_layers() -> None:
    for name in set(NETWORKS) - {"extraction"}:
        detection = plan_of_name(name).detection
        assert detection is not None
        assert (detection.side, detection.num_classes) == (7, 20)
        assert detection.boxes_per_cell == (3 if name == "yolov1" else 2)
        assert detection.sqrt
        assert detection.rescore
        assert not any((detection.softmax, detection.forced, detection.random))
        scales = [detection.object_scale, detection.noobject_scale, detection.class_scale, detection.coord_scale]
        assert scales == [1, 0.5, 1, 5]
        assert detection.jitter == 0.2
    assert plan_of_name("extraction").detection is None


def test_training_options() -> None:
    yolov1, tiny, paper_tiny, extraction = (
        plan_of_name(name).net for name in ("yolov1", "yolov1-tiny", "yolo-tiny", "extraction")
    )
    assert (yolov1.batch, yolov1.subdivisions, yolov1.sub_batch, yolov1.max_batches) == (64, 8, 8, 40_000)
    assert [yolov1.learning_rate, yolov1.momentum, yolov1.decay] == [0.0005, 0.9, 0.0005]
    assert list(zip(yolov1.rate.steps, yolov1.rate.scales, strict=True)) == [
        (200, 2.5),
        (400, 2),
        (600, 2),
        (20_000, 0.1),
        (30_000, 0.1),
    ]
    assert [yolov1.saturation, yolov1.exposure, yolov1.hue] == [1.5, 1.5, 0.1]
    assert tiny.rate.steps == (200, 400, 600, 800, 20_000, 30_000)
    assert [tiny.saturation, tiny.exposure, tiny.hue] == [0.75, 0.75, 0.1]
    assert (paper_tiny.subdivisions, paper_tiny.learning_rate) == (64, 0.0001)
    assert list(paper_tiny.rate.scales) == [5, 5, 2, 2, 0.1, 0.1]
    assert (extraction.batch, extraction.subdivisions, extraction.max_batches) == (128, 4, 1_600_000)
    assert (extraction.rate.policy, extraction.rate.power) == ("poly", 4)


def test_the_networks_of_2015_begin_with_a_crop_that_moves_values_to_minus_one_to_one() -> None:
    for name in ("yolo", "yolo-small", "yolo-tiny"):
        crop = plan_of_name(name).layers[0]
        assert crop.kind == "crop"
        assert crop.out_shape == (3, 448, 448)
        assert not getattr(crop, "noadjust", True)
        assert getattr(crop, "saturation", 0) == 1.5


@pytest.mark.parametrize("name", NETWORKS)
def test_each_text_says_what_it_is_and_where_its_facts_come_from(name: str) -> None:
    text = network_cfg(name)
    head = text.partition("[net]")[0]
    assert "arXiv 1506.02640" in head
    assert "Facts from" in head
    assert f"{TABLE[name][0]:,} parameters, {TABLE[name][1]} GFLOP" in head
    assert max(map(len, text.splitlines())) <= 120
