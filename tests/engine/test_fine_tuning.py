"""Trainings that start from the detector of the session: what they keep of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.darknet_detectors import tiny_config, write_darknet
from tests.engine.runs import interrupt_after, tensors_of
from tests.engine.shapes import draw_shapes, quick_config
from yolo.config import AugmentConfig, OptimizerConfig, TrainConfig, ValConfig
from yolo.engine.detector_file import load_detector
from yolo.engine.train import TrainingRun, train
from yolo.engine.validate import validate
from yolo.errors import ConfigError

GENTLE = OptimizerConfig(lr=1e-6, ema=0.8)


def fine_tuned(data: Path, runs: Path, source: TrainingRun, **changes: Any) -> TrainingRun:
    values = {"weights": str(source.folder), "epochs": 1, "optimizer": GENTLE, "augment": AugmentConfig(mosaic=0)}
    return train(quick_config(data, runs, **(values | changes)))


def test_an_epoch_at_a_tiny_rate_keeps_the_map(trained: TrainingRun, shapes: Path, tmp_path: Path) -> None:
    run = fine_tuned(shapes, tmp_path, trained)
    # the detector itself was measured first, as whatever comes next has to be better
    events = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    measured_maps = [event["map_50_95"] for event in events if event["event"] == "validated"]
    assert trained.evaluation is not None
    assert run.evaluation is not None
    assert measured_maps[0] == trained.evaluation.result.map_50_95
    assert run.evaluation.result.map_50_95 == max(measured_maps)
    before, after = trained.evaluation.result, run.evaluation.result
    assert after.map_50 == pytest.approx(before.map_50, abs=0.005)
    assert after.map_50_95 == pytest.approx(before.map_50_95, abs=0.005)
    # and so does val, to the last bit
    best = str(run.folder / "weights" / "best.safetensors")
    options: dict[str, Any] = {"device": "cpu", "workers": 0, "report": False, "runs": str(tmp_path)}
    measured = validate(ValConfig(weights=best, data=str(shapes), **options)).evaluation.result
    assert (measured.map_50, measured.map_50_95) == (after.map_50, after.map_50_95)


def test_the_classes_of_the_data_may_be_in_another_order(trained: TrainingRun, tmp_path: Path) -> None:
    """Swapped names and labels are the same images: the detector finds in them what it found."""
    data = draw_shapes(tmp_path / "swapped", names=("blue", "red"))
    for path in (data.parent / "labels").rglob("*.txt"):
        path.write_text("\n".join(str(1 - int(line[0])) + line[1:] for line in path.read_text().splitlines()))
    run = fine_tuned(data, tmp_path, trained)
    assert trained.evaluation is not None
    assert run.evaluation is not None
    assert run.evaluation.result.map_50_95 == pytest.approx(trained.evaluation.result.map_50_95, abs=0.005)


def test_frozen_layers_keep_every_bit_also_of_their_norms_and_when_resumed(
    trained: TrainingRun, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"freeze": "stage2,head.predict.bias", "optimizer": OptimizerConfig(lr=1e-2, ema=0.8)}
    whole = fine_tuned(shapes, tmp_path / "whole", trained, epochs=2, **options)
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        stopped = fine_tuned(shapes, tmp_path / "stopped", trained, epochs=2, **options)
    train(TrainConfig(resume=str(stopped.folder)))
    first, second = tensors_of(whole.folder), tensors_of(stopped.folder)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    before = load_detector(trained.folder / "weights" / "best.safetensors")[0].state_dict()
    kept = {name for name in before if torch.equal(before[name], first[f"network.{name}"])}
    frozen = {name for name in before if name.startswith(("backbone.body.conv1.", "backbone.body.stage2."))}
    frozen.add("head.predict.bias")
    assert any("running_mean" in name for name in frozen)
    assert frozen <= kept
    assert not [name for name in kept - frozen if name.endswith(("weight", "running_mean"))]
    for name in frozen:
        # -0.0 and 0.0 are equal: compare what is stored
        for part in ("network", "average"):
            assert before[name].numpy().tobytes() == first[f"{part}.{name}"].numpy().tobytes(), (part, name)


def test_frozen_layers_of_a_cfg_keep_every_bit(shapes: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"freeze": "1", "weights": str(write_darknet(tmp_path))}
    tensors, again = (
        tensors_of(train(tiny_config(shapes, tmp_path, optimizer__lr=lr, **options)).folder) for lr in (1e-4, 2e-4)
    )
    same = {name for name in tensors if name.startswith("network.") and torch.equal(tensors[name], again[name])}
    assert same == {f"network.layers.0.{name}" for name in ("weights", "norm.scales", "norm.biases")} | {
        f"network.layers.0.norm.rolling_{name}" for name in ("mean", "variance")
    }


def test_what_cannot_be_frozen_is_said_before_there_is_a_folder(shapes: Path, tmp_path: Path) -> None:
    for freeze, message in (("stage9", "'stage9' matches nothing"), ("backbone,head", "leaves nothing to train")):
        with pytest.raises(ConfigError, match=message):
            train(quick_config(shapes, tmp_path, freeze=freeze))
    assert list(tmp_path.iterdir()) == []
