"""Runs with networks from a cfg do all that other runs do; the update itself is in `test_darknet_update`."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from tests.darknet.networks import BODY, darknet_train_config, detector_cfg
from tests.engine.darknet_detectors import config_of, write_cfg, write_darknet
from tests.engine.runs import interrupt_after, tensors_of
from tests.engine.shapes import break_image, draw_shapes
from yolo import Detector
from yolo.config import DarknetExportConfig, TrainConfig
from yolo.darknet.load import load_darknet
from yolo.darknet.network import DarknetSpec
from yolo.darknet.plan import plan_network
from yolo.darknet.weights import read_header
from yolo.engine.darknet import export_darknet, open_darknet
from yolo.engine.detector_file import load_detector
from yolo.engine.train import train
from yolo.engine.train_state import prepare
from yolo.errors import ConfigError, DataError, WeightsError

STEPS = {"policy": "steps", "steps": "2,3", "scales": ".5,.1"}


@pytest.mark.parametrize("stop_at_step", [2, 3])
def test_stopped_and_resumed_is_bit_for_bit_the_uninterrupted_run(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at_step: int
) -> None:
    # dropout, drawn predictors, drawn images and darknet's augmentation: all that is random
    text = detector_cfg(net=STEPS, classes=3, before="[dropout]\n\n", detection={"random": 1})
    cfg = write_cfg(tmp_path, text)
    weights = write_darknet(tmp_path / "start", text)  # 640 images: 160 updates are behind it
    options: dict[str, Any] = {"max_batches": 163 + 2, "weights": str(weights.with_name("part.weights"))}
    write_darknet(tmp_path / "start", text, name="part", upto=3)
    options |= {"optimizer__rate__steps": (162, 164), "loss__random_images": 652, "subdivisions": 2}
    whole = train(config_of(cfg, shapes, tmp_path, name="whole", **options))
    with monkeypatch.context() as patch:
        interrupt_after(stop_at_step, patch)
        stopped = train(config_of(cfg, shapes, tmp_path, name="stopped", **options))
    assert stopped.interrupted == "SIGINT"
    # the run folder has all that is needed
    cfg.write_text("not a cfg any more")
    weights.with_name("part.weights").unlink()
    resumed = train(TrainConfig(resume=str(stopped.folder), device="cpu"))
    assert resumed.folder == stopped.folder
    first, second = tensors_of(whole.folder), tensors_of(resumed.folder)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    states = [torch.load(run.folder / "weights" / "last.ckpt", weights_only=True) for run in (whole, resumed)]
    assert [state["position"]["step"] for state in states] == [5, 5]
    assert [state["position"]["seen"] for state in states] == [640 + 5 * 4] * 2
    assert [state["position"]["start_seen"] for state in states] == [640] * 2
    assert rates_of(whole.folder) == rates_of(resumed.folder)


def rates_of(folder: Path) -> list[str]:
    with (folder / "results.csv").open() as file:
        return [row["lr/pg0"] for row in csv.DictReader(file)]


def test_the_run_folder_has_the_cfg_that_was_trained(shapes: Path, tmp_path: Path) -> None:
    cfg = write_cfg(tmp_path, detector_cfg(classes=5))
    run = train(config_of(cfg, shapes, tmp_path, max_batches=1))
    own = (run.folder / "network.cfg").read_text()
    assert own == detector_cfg(classes=5).replace("classes=5", "classes = 2").replace("output=60", "output = 48")
    cfg.unlink()
    assert train(TrainConfig(resume=str(run.folder), max_batches=2, device="cpu")).evaluation is not None
    with pytest.raises(ConfigError, match="leave out cfg"):
        train(TrainConfig(resume=str(run.folder), **{"cfg": "yolov1", **linear()}))
    # the folder can be moved
    moved = run.folder.rename(tmp_path / "moved")
    assert train(TrainConfig(resume=str(moved), device="cpu")).folder == moved


def linear() -> dict[str, Any]:
    config = darknet_train_config(cfg="yolov1", data="d")
    return {"model": config.model, "loss": config.loss}


def test_the_configuration_of_a_run_can_be_read_back(shapes: Path, tmp_path: Path) -> None:
    run = train(config_of(write_cfg(tmp_path, detector_cfg(net=STEPS)), shapes, tmp_path, max_batches=1))
    values = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert values["optimizer"]["rate"]["steps"] == [2, 3]
    assert values["sampling"] == "replacement"


def test_the_rates_of_a_run_are_those_of_the_cfg(shapes: Path, tmp_path: Path) -> None:
    # two updates an epoch: those with the numbers 2, 4 and 6 are the last of theirs
    run = train(config_of(write_cfg(tmp_path, detector_cfg(net=STEPS)), shapes, tmp_path, epochs=3))
    assert [float(rate) for rate in rates_of(run.folder)] == pytest.approx([5e-4, 5e-5, 5e-5])


def test_no_readable_image_at_all_is_an_error_although_not_each_was_drawn(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", num_train=20, num_val=1)
    for path in (tmp_path / "data" / "images" / "train").iterdir():
        break_image(path)
    with pytest.raises(DataError, match="no training image could be read"):
        train(config_of(write_cfg(tmp_path, detector_cfg()), data, tmp_path, epochs=1))


def test_what_was_trained_is_exported_and_detects(shapes: Path, tmp_path: Path) -> None:
    run = train(config_of(write_cfg(tmp_path, detector_cfg(net=STEPS)), shapes, tmp_path, max_batches=3))
    assert run.evaluation is not None
    best = run.folder / "weights" / "best.safetensors"
    network, metadata = load_detector(best)
    assert (metadata.seen, metadata.resize, metadata.class_names) == (12, "stretch_corners", ("red", "blue"))
    assert (metadata.predict.score_threshold, metadata.val.iou_threshold) == (0.2, 0.5)
    weights, cfg, names = export_darknet(DarknetExportConfig(weights=str(best)))
    assert read_header(weights).seen == 12
    assert cfg.read_text() == detector_cfg(net=STEPS)
    again, _ = open_darknet(weights, names=str(names))
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in network.state_dict().items())
    image = np.zeros((20, 30, 3), np.uint8)
    one, two = (Detector(path, device="cpu", names=name) for path, name in ((best, ""), (weights, str(names))))
    assert one.class_names == two.class_names
    assert torch.equal(one(image, score_threshold=0).scores, two(image, score_threshold=0).scores)


def test_weights_that_are_trained_enough_are_refused_before_a_folder_is_made(shapes: Path, tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, detector_cfg())
    with pytest.raises(ConfigError, match="--clear-seen true"):
        train(config_of(tmp_path / "small.cfg", shapes, tmp_path / "runs", weights=str(weights)))
    with pytest.raises(ConfigError, match=r"augment\.jitter must be below 0\.5"):
        train(config_of(tmp_path / "small.cfg", shapes, tmp_path / "runs", augment__jitter=0.6))
    assert not (tmp_path / "runs").exists()
    run = train(
        config_of(tmp_path / "small.cfg", shapes, tmp_path, weights=str(weights), clear_seen=True, max_batches=1)
    )
    assert load_detector(run.folder / "weights" / "best.safetensors")[1].seen == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"net": {"width": 48}},
        {"net": {"height": 24, "width": 28}},
        {"side": 3, "num": 3, "detection": {"softmax": 1, "sqrt": 0, "jitter": 0.3}},
        {"body": "[crop]\ncrop_width=28\ncrop_height=28\nflip=1\nsaturation=1.5\n\n" + BODY},
        {"body": BODY + "[local]\nfilters=3\nsize=3\npad=1\nactivation=leaky\n\n", "before": "[dropout]\n\n"},
    ],
    ids=("wide", "uneven", "other options", "crop", "local"),
)
def test_networks_of_many_kinds_are_trained(shapes: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    run = train(config_of(write_cfg(tmp_path, detector_cfg(**changes)), shapes, tmp_path, max_batches=2))
    assert run.evaluation is not None
    best = run.folder / "weights" / "best.safetensors"
    plan = plan_network(detector_cfg(**changes))
    assert load_detector(best)[1].input_hw == (plan.net.height, plan.net.width)
    assert Detector(best, device="cpu")(np.zeros((20, 30, 3), np.uint8)).size_hw == (20, 30)


def test_the_modern_augmentation_and_order_can_be_chosen(shapes: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"augment__style": "modern", "augment__mosaic": 1.0, "sampling": "epoch"}
    changes |= {"optimizer__ema": 0.9, "optimizer__rate__policy": "cosine"}
    run = train(config_of(write_cfg(tmp_path, detector_cfg()), shapes, tmp_path, epochs=1, **changes))
    assert run.evaluation is not None


def test_a_validation_after_one_update_of_a_deep_network_has_numbers(shapes: Path, tmp_path: Path) -> None:
    # running variances start at 0 and have come a hundredth of their way: every layer answers tenfold
    layer = "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\npad=1\nactivation=leaky\n\n"
    cfg = write_cfg(tmp_path, detector_cfg(body=BODY + 40 * layer))
    run = train(config_of(cfg, shapes, tmp_path, max_batches=1))
    assert run.evaluation is not None
    assert json.loads((run.folder / "metrics.json").read_text())["num_images"] == 4


@pytest.mark.parametrize("batch_norm", ["standard", "darknet"])
def test_a_last_batch_of_one_image_without_a_variance_is_skipped(tmp_path: Path, batch_norm: str) -> None:
    # 5 images in batches of 4 leave one
    data = draw_shapes(tmp_path / "data", num_train=5, num_val=1)
    body = BODY + "[connected]\nbatch_normalize=1\noutput=6\nactivation=leaky\n\n"
    cfg = write_cfg(tmp_path, detector_cfg(body=body))
    options: dict[str, Any] = {"epochs": 2, "model__batch_norm": batch_norm, "sampling": "epoch"}
    run = train(config_of(cfg, data, tmp_path, **options))
    state = torch.load(run.folder / "weights" / "last.ckpt", weights_only=True)
    assert (state["position"]["step"], state["average_steps"]) == (4, 2)
    # 4 images in 4 parts are one image each
    with pytest.raises(ConfigError, match=r"maps of one pixel.*use a larger batch_size"):
        train(config_of(cfg, data, tmp_path / "none", subdivisions=4, **options))
    assert not (tmp_path / "none").exists()


def test_training_goes_on_from_its_own_export_with_the_cfg_it_was_started_with(shapes: Path, tmp_path: Path) -> None:
    """It ended with "98,496 bytes after the last layer": the file has the data's classes, the cfg its own."""
    cfg = write_cfg(tmp_path, detector_cfg(classes=1))
    run = train(config_of(cfg, shapes, tmp_path, max_batches=1))
    best = run.folder / "weights" / "best.safetensors"
    exported, _, _ = export_darknet(DarknetExportConfig(weights=str(best), output=str(tmp_path / "mine.weights")))
    expected = load_detector(best)[0].state_dict()

    def start(weights: Path) -> tuple[dict[str, torch.Tensor], int]:
        training = prepare(config_of(cfg, shapes, tmp_path, weights=str(weights), max_batches=9), Console(quiet=True))
        return training.learner.network.state_dict(), training.state.seen

    tensors, seen = start(exported)
    assert seen == 4
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors.items())
    # of a file with classes that are neither the cfg's nor the data's, the cfg beside it says what it holds
    other = write_darknet(tmp_path, detector_cfg(classes=7), name="other")
    tensors, seen = start(other)
    source = load_darknet(other, DarknetSpec(cfg=detector_cfg(classes=7)))[0].state_dict()
    assert seen == 0  # its last layer did not fit
    assert all(torch.equal(tensors[name], source[name]) for name in source if not name.startswith("layers.3."))
    other.with_suffix(".cfg").unlink()
    with pytest.raises(WeightsError, match=r"other\.weights goes on for .* with 2 classes .* --cfg"):
        start(other)
