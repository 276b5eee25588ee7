from pathlib import Path

import pytest

from yolo.darknet.catalogue import NETWORKS, find_cfg, network_cfg
from yolo.darknet.layers import Layer
from yolo.darknet.plan import NetworkPlan, plan_network
from yolo.darknet.weights import weights_size
from yolo.errors import ConfigError


def plan_of(name: str) -> NetworkPlan:
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


def test_the_table_below_is_complete() -> None:
    assert set(TABLE) == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_size_and_cost_are_the_published_ones(name: str) -> None:
    plan = plan_of(name)
    parameters, gflop, body_bytes, outputs = TABLE[name]
    assert plan.num_parameters == parameters
    assert f"{plan.flops / 1e9:.3f}" == gflop
    assert plan.num_floats * 4 == body_bytes
    assert weights_size(plan, "2016") == body_bytes + 16
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
    layers = convolutions(plan_of("yolov1"))
    assert [(layer.num_parameters, round(layer.flops / 1e9, 3)) for layer in layers] == BACKBONE + DETECTION


@pytest.mark.parametrize("name", ["yolo", "yolo-small"])
def test_without_batch_norm_each_convolution_has_one_vector_less(name: str) -> None:
    layers = convolutions(plan_of(name))
    expected = [parameters for parameters, _ in BACKBONE + DETECTION]
    assert [layer.num_parameters + layer.out_shape.channels for layer in layers] == expected


def test_big_single_layers() -> None:
    yolov1 = {layer.kind: layer for layer in plan_of("yolov1").layers}
    assert yolov1["local"].num_parameters == 115_618_048
    assert yolov1["connected"].num_parameters == 21_514_675
    assert yolov1["connected"].in_shape == (256, 7, 7)
    first_connected = next(layer for layer in plan_of("yolo").layers if layer.kind == "connected")
    assert first_connected.num_parameters == 205_524_992


def test_the_backbone_of_the_classifier_fits_the_detector() -> None:
    classifier, detector = plan_of("extraction").layers[:24], plan_of("yolov1").layers[:24]
    assert sum(layer.num_floats for layer in classifier) == 22_430_400
    assert [layer.blocks for layer in classifier] == [layer.blocks for layer in detector]
    assert classifier[-1].out_shape == (1024, 7, 7)
    assert detector[-1].out_shape == (1024, 14, 14)


def test_detection_layers() -> None:
    for name in set(NETWORKS) - {"extraction"}:
        detection = plan_of(name).detection
        assert detection is not None
        assert (detection.side, detection.num_classes) == (7, 20)
        assert detection.boxes_per_cell == (3 if name == "yolov1" else 2)
        assert detection.sqrt
        assert detection.rescore
        assert not any((detection.softmax, detection.forced, detection.random))
        scales = [detection.object_scale, detection.noobject_scale, detection.class_scale, detection.coord_scale]
        assert scales == [1, 0.5, 1, 5]
        assert detection.jitter == 0.2
    assert plan_of("extraction").detection is None


def test_training_options() -> None:
    yolov1, tiny, paper_tiny, extraction = (
        plan_of(name).net for name in ("yolov1", "yolov1-tiny", "yolo-tiny", "extraction")
    )
    assert (yolov1.batch, yolov1.subdivisions, yolov1.sub_batch, yolov1.max_batches) == (64, 8, 8, 40_000)
    assert [yolov1.learning_rate, yolov1.momentum, yolov1.decay] == [0.0005, 0.9, 0.0005]
    assert list(zip(yolov1.steps, yolov1.scales, strict=True)) == [
        (200, 2.5),
        (400, 2),
        (600, 2),
        (20_000, 0.1),
        (30_000, 0.1),
    ]
    assert [yolov1.saturation, yolov1.exposure, yolov1.hue] == [1.5, 1.5, 0.1]
    assert tiny.steps == (200, 400, 600, 800, 20_000, 30_000)
    assert [tiny.saturation, tiny.exposure, tiny.hue] == [0.75, 0.75, 0.1]
    assert (paper_tiny.subdivisions, paper_tiny.learning_rate) == (64, 0.0001)
    assert list(paper_tiny.scales) == [5, 5, 2, 2, 0.1, 0.1]
    assert (extraction.batch, extraction.subdivisions, extraction.policy, extraction.power) == (128, 4, "poly", 4)
    assert (extraction.min_crop, extraction.max_crop, extraction.max_batches) == (224, 320, 1_600_000)


def test_the_networks_of_2015_begin_with_a_crop_that_moves_values_to_minus_one_to_one() -> None:
    for name in ("yolo", "yolo-small", "yolo-tiny"):
        crop = plan_of(name).layers[0]
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


def test_a_network_is_found_by_name_with_or_without_suffix() -> None:
    assert find_cfg("yolov1").text == network_cfg("yolov1")
    assert find_cfg("yolov1.cfg").source == "yolov1.cfg"


def test_a_file_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yolov1").write_text("[net]\n[max]\n")
    monkeypatch.chdir(tmp_path)
    assert len(find_cfg("yolov1").sections) == 2
    assert find_cfg(tmp_path / "yolov1").source == str(tmp_path / "yolov1")


@pytest.mark.parametrize("name", ["yolo1", "yolov1_tiny.cfg", "extracton"])
def test_a_misspelt_name_gets_the_nearest_one(name: str) -> None:
    with pytest.raises(ConfigError, match=r"did you mean (yolov1|yolov1-tiny|extraction)\?"):
        find_cfg(name)


def test_a_missing_path_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a file nor a network"):
        find_cfg(tmp_path / "mine.cfg")


@pytest.mark.parametrize("name", ["", "x" * 100_000, "a\0b"])
def test_what_can_be_no_path_is_no_crash(name: str) -> None:
    with pytest.raises(ConfigError, match="is neither a file nor a network"):
        find_cfg(name)
