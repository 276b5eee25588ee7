"""darknet's files on the command line, as users type them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.darknet.networks import detector_cfg
from tests.engine.darknet_detectors import write_darknet
from tests.engine.shapes import draw_shapes
from yolo.cli.main import run
from yolo.darknet.weights import WeightsHeader, read_header
from yolo.images import write_image

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """small.weights and small.cfg in the working directory."""
    monkeypatch.chdir(tmp_path)
    return write_darknet(tmp_path)


def succeed(capsys: Captured, *words: str) -> str:
    code = run(words)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert all(line.startswith("warning: ") for line in captured.err.splitlines()), captured.err
    return captured.out


def fail(capsys: Captured, *words: str) -> tuple[int, str]:
    """Exit code and message, which is one line."""
    code = run(words)
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return code, captured.err


def test_show_a_shipped_network(capsys: Captured) -> None:
    out = succeed(capsys, "darknet", "show", "--cfg", "yolov1-tiny")
    assert out.splitlines()[0].split()[:2] == ["layer", "filters"]
    assert "27,095,374 parameters" in out
    assert "27,099,950 floats" in out


def test_show_compares_weights(weights: Path, capsys: Captured) -> None:
    out = succeed(capsys, "darknet", "show", "--weights", "small.weights")
    assert "640 images seen\nit holds the whole network\n" in out
    assert out.splitlines()[-1] == "next:    gridyolo darknet import --weights small.weights"
    code, message = fail(capsys, "darknet", "show", "--cfg", "yolov1-tiny", "--weights", "small.weights")
    assert code == 1
    assert "small.weights ends inside layer 2 (convolutional) of yolov1-tiny.cfg" in message


def test_import_predict_export(weights: Path, capsys: Captured) -> None:
    Path("pets.names").write_text("cat\ndog\n")
    out = succeed(capsys, "darknet", "import", "--weights", "small.weights", "--names", "pets.names")
    assert out == "written: small.safetensors\nnext:    gridyolo info --weights small.safetensors\n"
    assert json.loads(succeed(capsys, "info", "--weights", "small.safetensors"))["class_names"] == ["cat", "dog"]
    write_image(Path("photo.jpg"), np.random.default_rng(0).integers(0, 255, (37, 53, 3), dtype=np.uint8))
    files = ("--weights", "small.weights", "names=pets.names")
    for options in (files, ("--weights", "small.safetensors")):
        assert "1 image, " in succeed(capsys, "predict", *options, "--source", "photo.jpg", "conf=0.01")
    texts = [Path(f"runs/{name}/detections.json").read_text() for name in ("predict", "predict-2")]
    assert texts[0].replace("small.weights", "small.safetensors") == texts[1]
    (entry,) = json.loads(texts[0])["images"]
    assert {one["class"] for one in entry["detections"]} <= {"cat", "dog"}
    assert entry["detections"]
    out = succeed(capsys, "darknet", "export", "--weights", "small.safetensors", "--output", "out/pets.weights")
    assert out.splitlines() == [
        "written: out/pets.weights out/pets.cfg out/pets.names",
        "next:    gridyolo darknet show --cfg out/pets.cfg --weights out/pets.weights",
    ]
    assert Path("out/pets.weights").read_bytes() == weights.read_bytes()
    assert Path("out/pets.cfg").read_bytes() == Path("small.cfg").read_bytes()
    assert Path("out/pets.names").read_text() == "cat\ndog\n"


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_help_of_darknet_lists_its_actions(words: tuple[str, ...], capsys: Captured) -> None:
    out = succeed(capsys, "darknet", *words)
    for action in ("show", "import", "export"):
        assert f"gridyolo darknet {action}" in out
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("darknet", "show"), ("--cfg", "--weights")),
        (("darknet", "import"), ("--weights", "--cfg", "--names", "--output")),
        (("darknet", "export"), ("--weights", "--output", "--upto", "--seen")),
        (("predict",), ("--cfg", "--names", "--precision")),
        (("val",), ("--cfg", "--names", "--protocol")),
        (("train",), ("--cfg", "--clear-seen", "--max-batches", "--subdivisions", "--sampling")),
    ],
)
def test_every_help_has_its_options(words: tuple[str, ...], options: tuple[str, ...], capsys: Captured) -> None:
    out = succeed(capsys, *words, "--help")
    assert f"gridyolo {' '.join(words)}" in out
    for option in options:
        assert f"{option} " in out, option


def test_the_front_page_names_darknet(capsys: Captured) -> None:
    out = succeed(capsys, "--help")
    assert "gridyolo darknet" in out
    assert "*.weights" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("darknet", "exprot"), "'exprot' is not one of show, import, export; did you mean export?"),
        (("darknet", "small.cfg"), "is not one of show, import, export"),
        (("darknet", "show"), "--cfg is required"),
        (("darknet", "import"), "--weights is required"),
        (("darknet", "export"), "--weights is required"),
        (("darknet", "show", "--cgf", "yolov1"), "unknown option --cgf; did you mean --cfg"),
        (("darknet", "show", "--cfg", "yolov2"), "'yolov2' is neither a file nor a network: did you mean yolo"),
        (("darknet", "import", "--weights", "w.weights", "--output", "x.pt"), "output must end in .safetensors"),
        (("darknet", "export", "--weights", "w", "--output", "x.safetensors"), "output must end in .weights"),
        (("darknet", "export", "--weights", "w", "--upto", "0"), "upto must be at least 1"),
        (("darknet", "export", "--weights", "w", "--seen", "-1"), "seen must be at least 0"),
        (("predict", "--weights", "small.weights", "--source", "a.png", "--cfg", "yolov9"), "neither a file"),
        (("predict", "--weights", "small.weights", "--source", "a.png", "--input-size", "64"), "input is 32x32"),
        (("train", "--data", "d", "--cfg", "extraction"), "it is a classifier"),
        (("train", "--data", "d", "--cfg", "yolov1", "--model.coding", "logistic"), "leave out model.coding"),
        (("train", "--data", "d", "--cfg", "yolov1", "--backbone", "resnet18"), "give --backbone or --cfg, not both"),
    ],
)
def test_wrong_words_end_with_code_2(words: tuple[str, ...], message: str, weights: Path, capsys: Captured) -> None:
    write_image(Path("a.png"), np.zeros((9, 9, 3), np.uint8))
    code, said = fail(capsys, *words)
    assert message in said
    assert code == 2


@pytest.mark.parametrize("damage", ["short", "long", "header", "web page"])
def test_damaged_weights_end_with_code_1_and_a_line(damage: str, weights: Path, capsys: Captured) -> None:
    data = weights.read_bytes()
    damaged = {"short": data[:-7], "long": data + b"1234", "header": data[:18], "web page": b"<!DOCTYPE html>" + data}
    weights.write_bytes(damaged[damage])
    write_image(Path("a.png"), np.zeros((9, 9, 3), np.uint8))
    for words in (("predict", "--source", "a.png"), ("darknet", "import"), ("darknet", "show")):
        code, message = fail(capsys, *words, "--weights", "small.weights")
        assert code == 1
        assert "small.weights" in message
    assert not Path("runs").exists()


def test_a_giant_network_is_refused_at_once(weights: Path, capsys: Captured) -> None:
    Path("small.cfg").write_text(detector_cfg(body="[conv]\nfilters=1000000000\nsize=3\nstride=8\npad=1\n"))
    write_image(Path("a.png"), np.zeros((9, 9, 3), np.uint8))
    for words in (
        ("darknet", "show", "--cfg", "small.cfg"),
        ("predict", "--weights", "small.weights", "--source", "a.png"),
        ("train", "--cfg", "small.cfg", "--data", "d"),
    ):
        code, message = fail(capsys, *words)
        assert code == 2
        assert "small.cfg:9: [convolutional]" in message


def test_darknets_files_go_only_where_they_belong(weights: Path, capsys: Captured) -> None:
    assert "darknet show" in fail(capsys, "info", "--weights", "small.weights")[1]
    assert "is a file of darknet already" in fail(capsys, "darknet", "export", "--weights", "small.weights")[1]
    succeed(capsys, "darknet", "import", "--weights", "small.weights")
    assert "of gridyolo already" in fail(capsys, "darknet", "import", "--weights", "small.safetensors")[1]


def printed(capsys: Captured, *words: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(succeed(capsys, "train", *words, "--print-config"))
    return values


def test_the_printed_configuration_of_a_cfg_has_darknets_values(capsys: Captured) -> None:
    values = printed(capsys, "--data", "d", "--cfg", "yolov1")
    assert (values["cfg"], values["batch_size"], values["subdivisions"]) == ("yolov1", 64, 8)
    assert (values["max_batches"], values["epochs"], values["sampling"]) == (40_000, None, "replacement")
    assert values["optimizer"]["rate"]["steps"] == [200, 400, 600, 20_000, 30_000]
    assert values["optimizer"]["rate"]["scales"] == [2.5, 2, 2, 0.1, 0.1]
    assert values["optimizer"]["lr"] == 5e-4
    assert values["loss"]["lambda_coord"] == 5
    assert values["augment"]["style"] == "darknet"
    assert values["model"]["boxes_per_cell"] == 3


@pytest.mark.parametrize("spelling", [("--cfg", "yolov1"), ("--cfg=yolov1",), ("cfg=yolov1",)])
def test_options_go_before_the_cfg_in_every_spelling(spelling: tuple[str, ...], capsys: Captured) -> None:
    values = printed(capsys, "data=d", *spelling, "--epochs", "3", "batch=4", "--optimizer.lr", "0.5")
    assert (values["epochs"], values["max_batches"], values["batch_size"]) == (3, None, 4)
    assert values["optimizer"]["lr"] == 0.5
    assert values["optimizer"]["momentum"] == 0.9


def test_a_recipe_may_name_the_cfg_and_change_its_values(tmp_path: Path, capsys: Captured) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("cfg: yolov1-tiny\nepochs: 7\noptimizer:\n  momentum: 0.5\n")
    values = printed(capsys, "--data", "d", "--config", str(recipe), "--batch-size", "8")
    assert (values["cfg"], values["epochs"], values["max_batches"], values["batch_size"]) == ("yolov1-tiny", 7, None, 8)
    assert (values["optimizer"]["momentum"], values["optimizer"]["lr"]) == (0.5, 5e-4)
    # the command line goes before the recipe
    assert printed(capsys, "data=d", "--config", str(recipe), "--cfg", "yolov1")["model"]["boxes_per_cell"] == 3


@pytest.mark.parametrize("name", ["yolov1", "yolov1-tiny"])
def test_shipped_recipes_go_by_their_names(name: str, capsys: Captured) -> None:
    values = printed(capsys, "data=d", "--config", name)
    assert (values["cfg"], values["name"], values["max_batches"]) == (name, name, 40_000)
    assert fail(capsys, "train", "data=d", "--config", "yolov7")[0] == 2


def test_a_folder_of_that_name_does_not_hide_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("yolov1").mkdir()
    assert printed(capsys, "data=d", "--config", "yolov1")["cfg"] == "yolov1"
    assert printed(capsys, "data=d", "--cfg", "yolov1")["batch_size"] == 64


def test_train_predict_and_export_with_a_cfg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    draw_shapes(tmp_path / "data")
    Path("own.cfg").write_text(
        detector_cfg(classes=20, net={"subdivisions": 2, "policy": "steps", "steps": 1, "scales": 2})
    )
    part = write_darknet(tmp_path / "start", detector_cfg(classes=20), header=WeightsHeader.new(0), upto=2)
    out = succeed(
        capsys, "train", "--cfg", "own.cfg", "--data", "data/shapes.yaml", "--weights", str(part),
        "max_batches=2", "workers=0", "device=cpu", "validations=1", "--no-report",
    )  # fmt: skip
    assert "own.cfg has 20 classes, the data 2: its last layer was changed" in out
    assert "2 of 5 layers" in out
    assert "training for 2 updates" in out
    assert Path("runs/train/network.cfg").is_file()
    config = yaml.safe_load(Path("runs/train/config.yaml").read_text())
    assert (config["max_batches"], config["subdivisions"], config["optimizer"]["rate"]["scales"]) == (2, 2, [2.0])
    best = "runs/train/weights/best.safetensors"
    assert json.loads(succeed(capsys, "info", "--weights", best))["seen"] == 8
    assert "4 images" in succeed(capsys, "predict", "--weights", best, "--source", "data/images/val")
    succeed(capsys, "darknet", "export", "--weights", best, "--output", "out/shapes.weights")
    assert read_header(Path("out/shapes.weights")).seen == 8
    assert Path("out/shapes.names").read_text() == "red\nblue\n"
    val = ("val", "--weights", "out/shapes.weights", "--names", "out/shapes.names", "--data", "data/shapes.yaml")
    out = succeed(capsys, *val, "--protocol", "voc07", "workers=0", "--no-report")
    assert "Pascal VOC, 11-point AP" in out
    # what a run has written can be read as a recipe
    again = printed(capsys, "--config", "runs/train/config.yaml")
    assert again == config
