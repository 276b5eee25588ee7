from typing import Any

import pytest

from yolo.config import (
    DataSplitConfig,
    PredictConfig,
    TrainConfig,
    ValConfig,
)
from yolo.config.foreign_options import OPTIONS, Meaning, UnsupportedError, meaning_of
from yolo.config.from_python import make_config
from yolo.config.from_text import typed_value
from yolo.config.options import ALIASES, option_types
from yolo.errors import ConfigError

COMMANDS: dict[type[Any], dict[str, str]] = {
    TrainConfig: {"data": "d"},
    ValConfig: {"weights": "w", "data": "d"},
    PredictConfig: {"weights": "w", "source": "s"},
}
# A value that others give each option whose values are not a list in the table.
TYPICAL = {
    "vid_stride": "2", "lr": "0.1", "wd": "0.1", "lrf": "0.1", "load_from": "w", "resume_from": "runs/train",
    "hsv_h": "0.1", "hsv_s": "0.1", "hsv_v": "0.1", "degrees": "5", "translate": "0.2", "scale": "0.2", "shear": "1",
    "flipud": "0.5", "fliplr": "0.5", "mosaic": "0", "mixup": "0.1", "copy_paste": "0.1",
    "gpu": "0", "gpus": "0", "gpu_ids": "0",
}  # fmt: skip


def meaning(name: str, value: Any, config: type[Any] = TrainConfig) -> Meaning | None:
    return meaning_of(name, value, option_types(config), written=f"--{name}")


def accepted(config: type[Any], found: Meaning) -> None:
    """The option that others call something else is one here, and takes the value."""
    kind = option_types(config)[found.name]
    value = "json,yolo" if str(found.value).startswith("+") else found.value
    typed = typed_value(found.name, value, kind, written="it")
    made = make_config(config, {**COMMANDS[config], found.name: typed})
    assert made is not None


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_of_others_works_or_gets_an_answer_of_one_line(name: str) -> None:
    entry = OPTIONS[name]
    assert entry.to or entry.ignored or entry.answer
    used = False
    for config in COMMANDS:
        options = option_types(config)
        if name in options or ALIASES.get(name) in options:  # it is ours
            used = True
            continue
        for value in (TYPICAL.get(name, "true"), *entry.values, *entry.ignored, "7"):
            try:
                found = meaning(name, value.replace("*", "anything"), config)
            except ConfigError as error:
                message = str(error)
                assert message.startswith(f"--{name} ")
                assert len(message) < 200
                assert "\n" not in message
            else:
                used = True
                assert found is not None
                assert "\n" not in found.note
                if found.name and value in (*entry.values, TYPICAL.get(name)):
                    accepted(config, found)
    assert used or entry.answer


@pytest.mark.parametrize("target", sorted(set(ALIASES.values()) - {"config"}))
def test_what_an_alias_names_is_an_option(target: str) -> None:
    assert any(target in option_types(config) for config in COMMANDS)


@pytest.mark.parametrize(
    ("config", "name", "value", "option", "ours"),
    [
        (TrainConfig, "optimizer", "SGD", "optimizer.name", "sgd"),
        (TrainConfig, "hsv_h", 0.1, "augment.hue", 0.1),
        (TrainConfig, "fliplr", "0.3", "augment.flip_horizontal", "0.3"),
        (TrainConfig, "amp", False, "precision", "32"),
        (TrainConfig, "pretrained", "False", "weights", "none"),
        (TrainConfig, "time", "0.5", "max_minutes", "0.5h"),
        (TrainConfig, "cache", "True", "cache", "ram"),
        (TrainConfig, "cache", False, "cache", "none"),
        (TrainConfig, "device", 0, "device", "cuda:0"),
        (TrainConfig, "device", "[1]", "device", "cuda:1"),
        (TrainConfig, "gpu", "-1", "device", "auto"),
        (TrainConfig, "resume", "runs/a/weights/last.pt", "resume", "runs/a"),
        (TrainConfig, "model", "resnet18", "backbone", "resnet18"),
        (TrainConfig, "model", "runs/train", "weights", "runs/train"),
        (TrainConfig, "model", "A.safetensors", "weights", "A.safetensors"),
        (TrainConfig, "model", "yolov1-tiny", "cfg", "yolov1-tiny"),
        (TrainConfig, "weights", "", "weights", "none"),
        (TrainConfig, "val", "false", "validations", "1"),
        (TrainConfig, "plots", "false", "report", "false"),
        (TrainConfig, "warmup_epochs", 0, "optimizer.warmup", "0"),
        (TrainConfig, "imgsz", "[320, 320]", "input_size", "320"),
        (PredictConfig, "model", "best.safetensors", "weights", "best.safetensors"),
        (PredictConfig, "half", "true", "precision", "fp16"),
        (PredictConfig, "save", "False", "save_images", "false"),
        (PredictConfig, "save_txt", True, "save", "+yolo"),
        (PredictConfig, "classes", "[0, 2]", "classes", "0,2"),
        (PredictConfig, "classes", [0, "dog"], "classes", "0,dog"),
        (PredictConfig, "vid_stride", 3, "every", 3),
        (PredictConfig, "agnostic_nms", "true", "class_agnostic", "true"),
        (PredictConfig, "hide_labels", "true", "labels", "false"),
        (PredictConfig, "nosave", "true", "save_images", "false"),
        (ValConfig, "task", "test", "split", "test"),
        (TrainConfig, "exist_ok", False, "", None),
        (TrainConfig, "cos_lr", True, "", None),
        (TrainConfig, "amp", True, "", None),
        (TrainConfig, "patience", 0, "", None),
        (TrainConfig, "augment", False, "", None),
        (TrainConfig, "resume", "False", "", None),
        (PredictConfig, "stream", True, "", None),
    ],
)
def test_what_others_mean(config: type[Any], name: str, value: Any, option: str, ours: Any) -> None:
    found = meaning(name, value, config)
    assert found is not None
    assert (found.name, found.value) == (option, ours)


@pytest.mark.parametrize(
    ("config", "name", "value", "message"),
    [
        (TrainConfig, "patience", "50", "--patience 50 does not exist yet"),
        (TrainConfig, "model", "yolov8n.pt", "another package's network, .* leave it out"),
        (PredictConfig, "model", "yolov8n.pt", "another package's network, .* name a run folder"),
        (TrainConfig, "optimizer", "RMSProp", "--optimizer rmsprop does not exist here"),
        (TrainConfig, "exist_ok", "true", "--exist_ok does not exist here: no run is overwritten"),
        (TrainConfig, "close_mosaic", "10", "counts epochs there"),
        (TrainConfig, "box", "7.5", "--loss.lambda-coord"),
        (PredictConfig, "augment", "true", "--augment is augmentation at test time"),
        (PredictConfig, "mosaic", "1", "belongs to another command"),
    ],
)
def test_what_does_not_exist_is_answered(config: type[Any], name: str, value: str, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        meaning(name, value, config)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("device", "0,1", "names several devices"),
        ("imgsz", "640,480", "inputs are square"),
        ("resume", "true", "needs the run folder"),
    ],
)
def test_values_that_cannot_be_used_are_errors_in_files_as_well(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        meaning(name, value)
    assert not isinstance(caught.value, UnsupportedError)


def test_our_own_options_with_our_own_values_are_left_alone() -> None:
    for name, value in {"cache": "disk", "resume": "runs/train", "max_minutes": "5", "name": "x"}.items():
        assert meaning(name, value) is None
    assert meaning("save", "csv", PredictConfig) is None
    assert meaning("val", "0.2", DataSplitConfig) is None
    assert meaning("weights", "", ValConfig) is None
    assert meaning("augment", "own.yaml") is None
    assert meaning("no_such_option", "1") is None


def test_a_switch_is_off_where_null_stands_in_a_file() -> None:
    for name in ("optimizer", "patience", "time", "tracker", "half"):
        found = meaning(name, None, PredictConfig if name == "tracker" else TrainConfig)
        assert found == Meaning()
