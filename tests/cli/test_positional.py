"""Words without an option, as people type them; which files are meant by a run folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import yolo.config as config
from yolo.cli.arguments import parse
from yolo.cli.main import run
from yolo.errors import ConfigError
from yolo.weights_header import METADATA_KEY


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        (config.TrainConfig, "d", {"data": "d"}),
        (config.TrainConfig, "--epochs 3 d batch=2", {"data": "d", "epochs": 3, "batch_size": 2}),
        (config.ValConfig, "w d", {"weights": "w", "data": "d"}),
        (config.ValConfig, "d --weights w", {"weights": "w", "data": "d"}),
        (config.ValConfig, "--data d w", {"weights": "w", "data": "d"}),
        (config.PredictConfig, "w a.jpg", {"weights": "w", "source": "a.jpg"}),
        (config.PredictConfig, "w a.jpg --conf 0.5 b.jpg", {"weights": "w", "source": ("a.jpg", "b.jpg")}),
        (config.PredictConfig, "--weights w a b c", {"weights": "w", "source": ("a", "b", "c")}),
        (config.PredictConfig, "--source a b --track w", {"weights": "w", "source": ("a", "b"), "track": True}),
        (config.PredictConfig, "w --track 0", {"source": "0", "track": True}),
        (config.PredictConfig, "w [1].jpg null -", {"source": ("[1].jpg", "null", "-")}),
        (config.PredictConfig, "w -img.jpg", {"source": "-img.jpg"}),
        (config.PredictConfig, "w -- --img.jpg", {"source": "--img.jpg"}),
        (config.ReportConfig, "g d", {"ground_truth": "g", "detections": "d"}),
        (config.CompareConfig, "a b", {"a": "a", "b": "b"}),
        (config.CompareConfig, "--bootstrap 100 a --b b", {"a": "a", "b": "b", "bootstrap": 100}),
        (config.InfoConfig, "f", {"weights": "f"}),
        (config.DarknetShowConfig, "yolov1", {"cfg": "yolov1", "weights": ""}),
        (config.DarknetShowConfig, "a.weights", {"cfg": "", "weights": "a.weights"}),
        (config.DarknetShowConfig, "a.cfg b.weights", {"cfg": "a.cfg", "weights": "b.weights"}),
        (config.DarknetExportConfig, "w o.weights", {"weights": "w", "output": "o.weights"}),
        (config.DataCheckConfig, "d", {"data": "d"}),
        (config.DataConvertConfig, "d o --format COCO", {"data": "d", "output": "o", "format": "coco"}),
        (config.DataSplitConfig, "--val .5 d o", {"data": "d", "output": "o", "val": 0.5}),
        (config.DataSynthConfig, "o", {"output": "o"}),
        (config.DataDownloadConfig, "voc2007", {"dataset": "voc2007", "output": "data"}),
    ],
)
def test_words_stand_for_options(kind: type[Any], words: str, expected: dict[str, Any]) -> None:
    made = parse("command", kind, words.split())
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        (config.TrainConfig, "a b", r"'b' does not belong to an option \(usage: gridyolo command DATA \[options\]\)"),
        (config.DemoConfig, "a", "'a' does not belong to an option"),
        (config.ValConfig, "d w.safetensors", "the detector comes first, so w.safetensors before d"),
        (config.PredictConfig, "a.jpg w.weights", "the detector comes first, and a.jpg is not one"),
        (config.PredictConfig, "a.jpg", "the detector comes first, and a.jpg is not one"),
        (config.PredictConfig, "photos", r"WEIGHTS SOURCE\.\.\.: two words are needed, and there is only photos"),
        (config.ValConfig, "runs/train", "WEIGHTS DATA: two words are needed, and there is only runs/train"),
        (config.PredictConfig, "w a.jpg half", "'half' is not a file but an option: write --half"),
        (config.PredictConfig, "w --source=", "--source is empty"),
    ],
)
def test_what_is_not_clear_gets_one_line(kind: type[Any], words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse("command", kind, words.split())


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    best = tmp_path / "runs/mine/weights/best.safetensors"
    best.parent.mkdir(parents=True)
    save_file({"a": np.zeros(1, np.float32)}, best, {METADATA_KEY: json.dumps({"class_names": ["cat"]})})
    return "runs/mine"


def test_info_takes_a_run_its_weights_and_its_name(run_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (run_folder, f"{run_folder}/weights", f"{run_folder}/weights/best.safetensors", "mine"):
        assert run(["info", name]) == 0
        assert json.loads(capsys.readouterr().out)["class_names"] == ["cat"]
    assert run(["info", "yours"]) == 1
    assert "runs with weights are mine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("darknet show runs/mine", 2, "its network is not from a cfg"),
        ("darknet show --weights runs/mine", 2, "its network is not from a cfg"),
        ("darknet export runs/mine", 1, "runs/mine/weights/best.safetensors: "),
        ("train d --cfg runs/mine", 2, "its network is not from a cfg"),
        ("info yolov8n.pt", 1, "yolov8n.pt: is a file of another package"),
        ("train d cfg=own.yaml", 2, "'own.yaml' is neither a file nor a network"),
    ],
)
def test_a_run_folder_is_its_best_weights(
    words: str, code: int, message: str, run_folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) == code
    assert message in capsys.readouterr().err


def test_a_home_folder_that_no_shell_has_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["darknet", "show", "cfg=~/own.cfg"]) == 2
    assert str(tmp_path / "own.cfg") in capsys.readouterr().err


def test_every_error_of_usage_ends_with_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        "fly", "trian d", "train d --epochs x", "train d --nonsense 1", "train d extra", "train --data", "predict",
        "data fly", "darknet fly", "export W", "train d patience=5", "train d -x", "predict w s --conf nan",
        "predict w s --every -2s", "predict w s save=", "train d model=yolov8n.pt", "train d --config nowhere",
    ):  # fmt: skip
        assert run(words.split()) == 2, words
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
