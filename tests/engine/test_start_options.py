from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.darknet.networks import detector_cfg
from tests.engine.darknet_detectors import write_cfg, write_darknet
from tests.engine.shapes import write_untrained
from yolo.config import DarknetImportConfig
from yolo.darknet.recipe import training_defaults
from yolo.engine.darknet import import_darknet
from yolo.engine.start_options import start_defaults
from yolo.errors import ConfigError, WeightsError
from yolo.weights_header import METADATA_KEY


def test_the_architecture_follows_a_detector(tmp_path: Path) -> None:
    best = write_untrained(
        tmp_path / "run" / "weights" / "best.safetensors", backbone="resnet18", stride=8, width=32, boxes_per_cell=3
    )
    expected = {
        "backbone": "resnet18",
        "input_size": 64,
        "model.grid_size": 8,
        "model.boxes_per_cell": 3,
        "model.width": 32,
        "model.coding": "wide",
        "model.deepest_stride": 32,
        "model.resize": "letterbox",
        "bit_depth": 16,
    }
    assert start_defaults(weights=str(best)) == start_defaults(weights=str(tmp_path / "run")) == expected
    # cells keep their size in pixels
    other = start_defaults(weights=str(best), input_size=96)
    assert other == expected | {"input_size": 96, "model.grid_size": 12}
    with pytest.raises(ConfigError, match=r"input_size 100 is not a multiple of the stride 8 of .*; .* 96 and 104"):
        start_defaults(weights=str(best), input_size=100)


def test_linear_detectors_bring_losses_without_logits(tmp_path: Path) -> None:
    best = write_untrained(tmp_path / "best.safetensors", coding="linear")
    assert start_defaults(weights=str(best)).items() >= {
        ("model.coding", "linear"),
        ("loss.confidence", "squared"),
        ("loss.class_prob", "squared"),
    }


def test_a_cfg_brings_its_recipe_and_so_does_a_detector_made_from_one(tmp_path: Path) -> None:
    cfg = write_cfg(tmp_path, detector_cfg())
    recipe = training_defaults(str(cfg))
    assert start_defaults(cfg=str(cfg)) == start_defaults(cfg=str(cfg), weights="any.weights") == recipe
    assert start_defaults(cfg=str(cfg), epochs=3) == {key: recipe[key] for key in recipe if key != "max_batches"}
    imported = import_darknet(DarknetImportConfig(weights=str(write_darknet(tmp_path))))
    cfg.unlink()
    own = {"cfg": str(imported), "model.batch_norm": "standard", "bit_depth": 16}
    assert start_defaults(weights=str(imported)) == recipe | own


@pytest.mark.parametrize("weights", ["none", "DEFAULT", "no/such/file.pth", "no.safetensors"])
def test_other_weights_set_no_options(weights: str) -> None:
    assert start_defaults(weights=weights) == {}


def test_files_that_only_loading_can_judge_set_no_options(tmp_path: Path) -> None:

    path = tmp_path / "w.safetensors"
    for metadata in (None, {METADATA_KEY: "{}"}, {METADATA_KEY: '{"network": {"stride": 0}}'}, {METADATA_KEY: "[]"}):
        save_file({"x": torch.zeros(1)}, path, metadata=metadata)
        if metadata == {METADATA_KEY: "[]"}:
            with pytest.raises(WeightsError, match="its metadata are damaged"):
                start_defaults(weights=str(path))
        else:
            assert start_defaults(weights=str(path)) == {}


def test_a_cfg_that_is_a_detector_with_a_backbone_is_refused(tmp_path: Path) -> None:
    best: Any = write_untrained(tmp_path / "best.safetensors")
    with pytest.raises(
        ConfigError, match=r"best\.safetensors: its network is not from a cfg; train from it with --weights"
    ):
        start_defaults(cfg=str(best))
