from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolo.config import OptimizerConfig, PredictConfig, RateConfig, TrainConfig
from yolo.config.from_python import make_config
from yolo.errors import ConfigError


def made(**options: Any) -> TrainConfig:
    return make_config(TrainConfig, {"data": "d", **options})


def test_every_way_to_write_a_section_means_the_same() -> None:
    expected = TrainConfig(data="d", optimizer=OptimizerConfig(lr=0.1, rate=RateConfig(steps=(3,), scales=(0.5,))))
    rate = {"steps": [3], "scales": [0.5]}
    assert made(optimizer={"lr": 0.1, "rate": rate}) == expected
    assert made(optimizer={"lr": 0.1, "rate": RateConfig(steps=(3,), scales=(0.5,))}) == expected
    assert made(optimizer=expected.optimizer) == expected
    assert made(**{"optimizer.lr": 0.1, "optimizer.rate": rate}) == expected
    assert made(**{"optimizer.lr": 0.1, "optimizer.rate.steps": (3,), "optimizer": {"rate.scales": (0.5,)}}) == expected


def test_a_saved_configuration_comes_back() -> None:
    config = TrainConfig(data="d", epochs=3, optimizer=OptimizerConfig(rate=RateConfig(steps=(3,), scales=(0.5,))))
    assert make_config(TrainConfig, asdict(config)) == config


def test_defaults_give_way_to_options_and_to_whole_sections() -> None:
    defaults = {"optimizer.lr": 0.5, "optimizer.momentum": 0.5, "batch_size": 2}
    config = make_config(TrainConfig, {"data": "d", "optimizer": {"lr": 0.1}}, defaults=defaults)
    assert (config.optimizer.lr, config.optimizer.momentum, config.batch_size) == (0.1, 0.5, 2)
    config = make_config(TrainConfig, {"data": "d", "optimizer": OptimizerConfig(lr=0.1)}, defaults=defaults)
    assert (config.optimizer.lr, config.optimizer.momentum) == (0.1, 0.9)


def test_values_get_the_type_of_their_option() -> None:
    config = made(data=Path("a") / "b", batch_size=np.int64(8), max_minutes=3, optimizer={"lr": np.float32(0.5)})
    assert (config.data, config.batch_size, config.max_minutes, config.optimizer.lr) == ("a/b", 8, 3.0, 0.5)
    assert [type(value) for value in (config.batch_size, config.max_minutes, config.optimizer.lr)] == [
        int,
        float,
        float,
    ]
    assert made(loss={"ignore_iou": None}).loss.ignore_iou is None
    for threshold in (0.5, "auto", None):
        predict = make_config(PredictConfig, {"weights": "w", "source": "s", "score_threshold": threshold})
        assert predict.score_threshold == threshold


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochz": 3}, "unknown option epochz; did you mean epochs?"),
        ({"batch": 3}, "unknown option batch; did you mean batch_size?"),
        ({"imgsz": 320}, "unknown option imgsz; did you mean input_size?"),
        ({"ignore_iou": 0.5}, "unknown option ignore_iou; did you mean loss.ignore_iou?"),
        ({"optimizer": {"learning_rate": 1}}, "unknown option optimizer.learning_rate"),
        ({"xyzzy": 1}, "unknown option xyzzy"),
        (
            {"optimizer": {"lr": 1.0}, "optimizer.lr": 1.0},
            "optimizer.lr is given twice: in its section and by its dotted key",
        ),
        ({"optimizer": "sgd"}, "optimizer is a section: give its options as a dict, not 'sgd'"),
        ({"optimizer": OptimizerConfig}, "optimizer is a section"),
        ({"augment": None}, "augment is a section"),
        ({"epochs": "3"}, "epochs must be an integer or None, got '3'"),
        ({"epochs": 3.0}, "epochs must be an integer or None, got 3.0"),
        ({"batch_size": True}, "batch_size must be an integer, got True"),
        ({"batch_size": None}, "batch_size must be an integer, got None"),
        ({"max_minutes": "5"}, "max_minutes must be a number or None, got '5'"),
        ({"report": 1}, "report must be True or False, got 1"),
        ({"name": 3}, "name must be a string, got 3"),
        ({"precision": "64"}, "precision must be one of 'auto', '32', 'bf16', 'fp16', got '64'"),
        ({"precision": 64}, "precision must be one of 'auto', '32', 'bf16', 'fp16', got 64"),
        ({"precision": True}, "precision must be one of 'auto', '32', 'bf16', 'fp16', got True"),
        ({"device": True}, "device must be a string, got True"),
        ({"data": ["a", "b"]}, "data must be a string, got ['a', 'b']"),
        ({"data": np.zeros((50, 50))}, "data must be a string, got array("),
        ({"optimizer": np.zeros((50, 50))}, "optimizer is a section: give its options as a dict, not array("),
        ({"data": ""}, "data is required"),
        ({"optimizer.rate.steps": [1.5]}, "optimizer.rate.steps must be a list, each item an integer, got [1.5]"),
        ({"optimizer.rate.steps": 3}, "optimizer.rate.steps must be a list, each item an integer, got 3"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"augment": {"mosaic": 2}}, "augment.mosaic must be in [0, 1], got 2.0"),
    ],
)
def test_bad_options_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(**options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


def test_what_python_calls_a_device_or_a_precision() -> None:
    given = [made(device=device).device for device in ("cpu", 1, np.int64(2), torch.device("cuda", 3))]
    assert given == ["cpu", "1", "2", "cuda:3"]
    assert made(precision=32).precision == "32"


def test_messages_name_arguments_in_place_of_options_of_the_command() -> None:
    with pytest.raises(ConfigError, match=r"^overlap is about tiles: add tile$"):
        make_config(PredictConfig, {"weights": "w", "source": "s", "overlap": 0.2})
    with pytest.raises(ConfigError, match=r"^min_recall chooses .*: add score_threshold='auto'$"):
        make_config(PredictConfig, {"weights": "w", "source": "s", "min_recall": 0.2})


def test_numbers_to_choose_from_are_of_their_own_type() -> None:
    assert make_config(TrainConfig, {"data": "d", "loss.cells_per_object": 3}).loss.cells_per_object == 3
    for wrong in (2, True, 1.0, "3"):
        with pytest.raises(ConfigError, match=r"cells_per_object must be one of 1, 3 or None"):
            make_config(TrainConfig, {"data": "d", "loss.cells_per_object": wrong})


def test_three_cells_need_offsets_that_reach_them() -> None:
    assert make_config(TrainConfig, {"data": "d"}).cells_per_object == 3
    assert make_config(TrainConfig, {"data": "d", "model.coding": "logistic"}).cells_per_object == 1
    with pytest.raises(ConfigError, match=r"cells_per_object=3 needs model\.coding=wide"):
        make_config(TrainConfig, {"data": "d", "model.coding": "logistic", "loss.cells_per_object": 3})
