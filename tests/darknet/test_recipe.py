from pathlib import Path
from typing import Any

import pytest

from tests.darknet.networks import BODY, darknet_train_config, detector_cfg
from yolo.config import TrainConfig
from yolo.darknet.lookup import NETWORKS
from yolo.darknet.recipe import training_defaults
from yolo.errors import ConfigError


def defaults_of(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "small.cfg"
    path.write_text(text)
    return training_defaults(str(path))


def written_net(folder: Path, **net: Any) -> dict[str, Any]:
    return defaults_of(folder, detector_cfg(net=net))


def written_detection(folder: Path, **detection: Any) -> dict[str, Any]:
    return defaults_of(folder, detector_cfg(detection=detection))


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        ({"width": 64, "height": 32}, {"input_size": 64}),
        ({"batch": 64, "subdivisions": 8}, {"batch_size": 64, "subdivisions": 8}),
        ({"batch": 10, "subdivisions": 4}, {"batch_size": 8, "subdivisions": 4}),
        ({"max_batches": 123}, {"max_batches": 123}),
        ({"max_batches": 0}, {"max_batches": None}),
        ({"learning_rate": 0.25}, {"optimizer.lr": 0.25}),
        ({"momentum": 0.8}, {"optimizer.momentum": 0.8}),
        ({"decay": 0.03}, {"optimizer.weight_decay": 0.03}),
        ({"policy": "constant"}, {"optimizer.rate.policy": "constant"}),
        (
            {"policy": "steps", "steps": "2,5", "scales": ".1,10"},
            {"optimizer.rate.policy": "steps", "optimizer.rate.steps": (2, 5), "optimizer.rate.scales": (0.1, 10.0)},
        ),
        (
            {"policy": "step", "step": 7, "scale": 0.5},
            {"optimizer.rate.policy": "step", "optimizer.rate.step": 7, "optimizer.rate.scale": 0.5},
        ),
        ({"policy": "exp", "gamma": 0.9}, {"optimizer.rate.policy": "exp", "optimizer.rate.gamma": 0.9}),
        ({"policy": "poly", "power": 3}, {"optimizer.rate.policy": "poly", "optimizer.rate.power": 3.0}),
        (
            {"policy": "sigmoid", "step": 9, "gamma": 0.1},
            {"optimizer.rate.policy": "sigmoid", "optimizer.rate.step": 9, "optimizer.rate.gamma": 0.1},
        ),
        ({"burn_in": 50}, {"optimizer.rate.burn_in": 50}),
        ({"hue": 0.1}, {"augment.hue": 0.1}),
        ({"saturation": 1.5}, {"augment.saturation": 0.5}),
        ({"exposure": 1.25}, {"augment.value": 0.25}),
        ({"saturation": 0}, {"augment.saturation": 0.0}),
    ],
    ids=str,
)
def test_every_option_of_net_arrives(net: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    values = written_net(tmp_path, **net)
    assert {key: values[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ({"coord_scale": 4}, {"loss.lambda_coord": 4.0}),
        ({"object_scale": 3}, {"loss.lambda_obj": 3.0}),
        ({"noobject_scale": 0.5}, {"loss.lambda_noobj": 0.5}),
        ({"class_scale": 2}, {"loss.lambda_class": 2.0}),
        ({"rescore": 0}, {"loss.rescore": False}),
        ({"rescore": 1}, {"loss.rescore": True}),
        ({"forced": 1}, {"loss.forced": True}),
        ({"random": 1}, {"loss.random_images": 64_000}),
        ({"random": 0}, {"loss.random_images": 0}),
        ({"jitter": 0.3}, {"augment.jitter": 0.3}),
    ],
    ids=str,
)
def test_every_option_of_detection_arrives(detection: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    text = detector_cfg().replace("rescore=1\n", "")
    text += "".join(f"{key}={value}\n" for key, value in detection.items())
    values = defaults_of(tmp_path, text)
    assert {key: values[key] for key in expected} == expected


def test_the_grid_of_a_cfg_arrives(tmp_path: Path) -> None:
    values = defaults_of(tmp_path, detector_cfg(side=3, num=4))
    assert (values["model.grid_size"], values["model.boxes_per_cell"]) == (3, 4)
    assert (values["model.coding"], values["model.resize"]) == ("linear", "stretch_corners")


def test_where_a_cfg_is_silent_the_defaults_are_darknets(tmp_path: Path) -> None:
    matrix = f"[connected]\noutput={49 * 6}\nactivation=linear\n"
    net = "[net]\nwidth=32\nheight=32\nchannels=3\n"
    values = defaults_of(tmp_path, net + BODY + matrix + "[detection]\ncoords=4\n")
    assert values == {
        "input_size": 32,
        "batch_size": 1,
        "subdivisions": 1,
        "max_batches": None,
        "sampling": "replacement",
        "model.boxes_per_cell": 1,
        "model.grid_size": 7,
        "model.coding": "linear",
        "model.resize": "stretch_corners",
        "loss.lambda_coord": 1.0,
        "loss.lambda_obj": 1.0,
        "loss.lambda_noobj": 1.0,
        "loss.lambda_class": 1.0,
        "loss.coord": "squared",
        "loss.confidence": "squared",
        "loss.class_prob": "squared",
        "loss.ignore_iou": None,
        "loss.objects_per_cell": 1,
        "loss.cells_per_object": 1,
        "loss.rescore": False,
        "loss.forced": False,
        "loss.random_images": 0,
        "augment.style": "darknet",
        "augment.jitter": 0.2,
        "augment.hue": 0.0,
        "augment.saturation": 0.0,
        "augment.value": 0.0,
        "augment.flip_horizontal": 0.5,
        "augment.flip_vertical": 0.0,
        "augment.mosaic": 0.0,
        "augment.close_mosaic": 0.0,
        "augment.scale": 0.0,
        "augment.translate": 0.0,
        "optimizer.name": "sgd",
        "optimizer.lr": 0.001,
        "optimizer.momentum": 0.9,
        "optimizer.nesterov": False,
        "optimizer.weight_decay": 0.0001,
        "optimizer.clip_norm": 0.0,
        "optimizer.ema": 0.0,
        "optimizer.rate.policy": "constant",
        "optimizer.rate.steps": (),
        "optimizer.rate.scales": (),
        "optimizer.rate.step": 1,
        "optimizer.rate.scale": 1.0,
        "optimizer.rate.gamma": 1.0,
        "optimizer.rate.power": 4.0,
        "optimizer.rate.burn_in": 0,
    }


def test_a_factor_and_one_over_it_are_the_same_change(tmp_path: Path) -> None:
    small, large = (written_net(tmp_path, saturation=factor, exposure=factor) for factor in (0.75, 1 / 0.75))
    for key in ("augment.saturation", "augment.value"):
        assert small[key] == pytest.approx(large[key]) == pytest.approx(1 / 3)


def test_colours_of_the_crop_layer_count_where_net_has_none(tmp_path: Path) -> None:
    crop = "[crop]\ncrop_width=32\ncrop_height=32\nsaturation=1.5\nexposure=2\n\n"
    values = defaults_of(tmp_path, detector_cfg(body=crop + BODY))
    assert (values["augment.saturation"], values["augment.value"]) == (0.5, 1.0)
    values = defaults_of(tmp_path, detector_cfg(body=crop + BODY, net={"saturation": 1.25}))
    assert (values["augment.saturation"], values["augment.value"]) == (0.25, 0.0)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "extraction"])
def test_every_shipped_detector_makes_a_configuration(name: str) -> None:
    config = darknet_train_config(cfg=name, data="d")
    assert (config.cfg, config.batch_size, config.input_size, config.max_batches) == (name, 64, 448, 40_000)
    assert config.optimizer.rate.policy == "steps"
    assert config.optimizer.momentum == 0.9
    assert config.augment.saturation == pytest.approx(1 / 3 if name == "yolov1-tiny" else 0.5)


def test_networks_that_are_no_detectors_have_no_training() -> None:
    with pytest.raises(ConfigError, match="classifier"):
        training_defaults("extraction")
    with pytest.raises(ConfigError, match="neither a file nor a network"):
        training_defaults("yolov9")


def test_a_network_from_a_cfg_needs_the_linear_coding() -> None:
    with pytest.raises(ConfigError, match=r"leave out model\.coding"):
        TrainConfig(data="d", cfg="yolov1")


def test_training_and_validation_must_place_images_alike() -> None:
    for resize in ("stretch", "stretch_corners"):
        assert darknet_train_config(cfg="yolov1", data="d", model__resize=resize).model.resize == resize
    with pytest.raises(ConfigError, match=r"style=darknet stretches.*resize=stretch_corners"):
        darknet_train_config(cfg="yolov1", data="d", model__resize="letterbox")
    modern = darknet_train_config(cfg="yolov1", data="d", model__resize="letterbox", augment__style="modern")
    assert modern.model.resize == "letterbox"


def test_a_cfg_may_have_a_small_input(tmp_path: Path) -> None:
    path = tmp_path / "small.cfg"
    path.write_text(detector_cfg(net={"width": 16, "height": 24}))
    assert darknet_train_config(cfg=str(path), data="d").input_size == 16
