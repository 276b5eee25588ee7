"""Files of an earlier version: a run that goes on, and weights that open.

tests/fixtures/start_commit was written by commit 5078fd6: six drawn images, a run of a small darknet network that was
interrupted in its third step, the results of the same run uninterrupted, its detector, and the metadata with the
tensors' shapes of a detector with a torchvision backbone.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.engine.runs import rows_of
from yolo import Detector
from yolo.config import TrainConfig
from yolo.engine.detector_file import DetectorMetadata
from yolo.engine.train import train
from yolo.models.network import build_network

FILES = Path(__file__).parent.parent / "fixtures" / "start_commit"


def test_a_run_of_an_earlier_version_goes_on_as_it_would_have(tmp_path: Path) -> None:
    shutil.copytree(FILES, tmp_path / "old")
    folder = tmp_path / "old" / "stopped"
    run = train(TrainConfig(resume=str(folder), data=str(tmp_path / "old" / "data"), device="cpu"))
    assert run.evaluation is not None
    rows = rows_of(folder)
    # what that version did not write is empty before the rest of the run, and there after it
    assert (rows[0]["grad_norm"], rows[0]["val/coord_xy_loss"]) == ("", "")
    assert all(float(rows[-1][name]) > 0 for name in ("grad_norm", "val/coord_xy_loss"))
    shutil.copy(FILES / "whole.csv", tmp_path / "results.csv")
    wanted = rows_of(tmp_path)
    assert len(rows) == len(wanted) == 4
    for row, old in zip(rows, wanted, strict=True):
        assert row.keys() >= old.keys()
        for name in old.keys() - {"time"}:
            assert row[name] == old[name] or float(row[name]) == pytest.approx(float(old[name]), rel=1e-3), name


def test_weights_of_an_earlier_version_detect_what_they_detected() -> None:
    detector = Detector(FILES / "detector.safetensors", device="cpu")
    assert detector.class_names == ("star", "ball")
    assert detector.metadata.seen == 32
    assert detector.metadata.thresholds is not None
    found = detector(FILES / "data" / "images" / "val" / "000000.jpg", score_threshold=0.001)
    assert found.labels[0] == 1
    assert float(found.scores[0]) == pytest.approx(13.0535, rel=1e-3)
    assert found.boxes[0].tolist() == pytest.approx([0, 0, 48, 47.95], abs=0.05)


def test_metadata_of_an_earlier_version_describe_the_same_network() -> None:
    old = json.loads((FILES / "grid.json").read_text())
    metadata = DetectorMetadata.from_dict(old["metadata"], path=Path("grid.json"))
    assert (metadata.input_hw, metadata.resize, metadata.seen) == ((64, 64), "letterbox", 6)
    tensors = build_network(metadata.network).state_dict()
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == old["shapes"]
