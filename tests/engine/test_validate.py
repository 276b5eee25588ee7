import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.darknet.networks import detector_cfg
from tests.engine.darknet_detectors import write_darknet
from tests.engine.shapes import break_image, draw_shapes
from yolo import Detector
from yolo.config import DarknetImportConfig, ReportConfig, ValConfig
from yolo.engine.darknet import import_darknet
from yolo.engine.report import report
from yolo.engine.train import TrainingRun
from yolo.engine.validate import ValidationRun, validate
from yolo.errors import ConfigError, DataError


def val(folder: Path, data: Path, **options: Any) -> ValidationRun:
    values: dict[str, Any] = {"device": "cpu", "workers": 0, "report": False} | options
    return validate(ValConfig(data=str(data), runs=str(folder / "runs"), **values))


def named_weights(folder: Path, cfg: str | None = None) -> dict[str, str]:
    """Options of a small darknet detector with the class names of the shapes."""
    names = folder / "shapes.names"
    names.write_text("red\nblue\n")
    return {"weights": str(write_darknet(folder, cfg)), "names": str(names)}


@pytest.mark.parametrize("protocol", ["voc07", "voc10"])
def test_vocs_numbers_are_the_same_from_a_network_and_from_its_files(
    trained: TrainingRun, shapes: Path, tmp_path: Path, protocol: str
) -> None:
    best = str(trained.folder / "weights" / "best.safetensors")
    run = val(tmp_path, shapes, weights=best, protocol=protocol)
    assert run.voc is not None
    assert run.voc.mean_ap > 0.5
    assert run.voc.interpolation == ("11-point" if protocol == "voc07" else "all-point")
    files = sorted(path.name for path in (run.folder / "comp4").iterdir())
    assert files == ["comp4_det_test_blue.txt", "comp4_det_test_red.txt"]
    options = ReportConfig(
        ground_truth=str(shapes),
        detections=str(run.folder / "comp4"),
        protocol="voc07" if protocol == "voc07" else "voc10",
        runs=str(tmp_path),
        bootstrap=0,
    )
    again = report(options)
    assert again.voc is not None
    assert again.voc.ap_per_class.tolist() == pytest.approx(run.voc.ap_per_class.tolist(), abs=1e-9)
    for folder in (run.folder, again.folder):
        written = json.loads((folder / "voc.json").read_text())
        assert written["mean_ap"] == pytest.approx(run.voc.mean_ap, abs=1e-9)
        assert written["class_names"] == ["red", "blue"]


def test_without_a_protocol_there_are_no_voc_files(trained: TrainingRun, shapes: Path, tmp_path: Path) -> None:
    run = val(tmp_path, shapes, weights=str(trained.folder / "weights" / "best.safetensors"))
    assert run.voc is None
    names = {path.name for path in run.folder.iterdir()}
    assert "metrics.json" in names
    assert not names & {"voc.json", "comp4"}


@pytest.mark.parametrize("size", [{}, {"width": 48}, {"width": 40, "height": 56}], ids=str)
def test_darknet_weights_are_measured_as_the_detector_sees(size: dict[str, int], shapes: Path, tmp_path: Path) -> None:
    options = named_weights(tmp_path, detector_cfg(side=3, net=size))
    run = val(tmp_path, shapes, **options)
    assert run.evaluation.result.num_images == 4
    detector = Detector(options["weights"], names=options["names"], device="cpu")
    for image_id, found in run.evaluation.detections.items():
        path = shapes.parent / "images" / "val" / f"{image_id}.png"
        alone = detector(path, score_threshold=0.001, iou_threshold=0.5)
        assert len(alone) == len(found) > 0
        # one image at a time or four: the order of additions differs
        assert torch.allclose(alone.scores, found.scores, rtol=1e-4)
        assert torch.allclose(alone.boxes, found.boxes, atol=1e-2)


def test_thresholds_and_precision_can_be_changed(shapes: Path, tmp_path: Path) -> None:
    options = named_weights(tmp_path)
    every = val(tmp_path, shapes, **options, iou_threshold=1.0)
    few = val(tmp_path, shapes, **options, iou_threshold=1.0, max_detections=1)
    near = val(tmp_path, shapes, **options, iou_threshold=1.0, precision="bf16")
    assert every.evaluation is not None
    assert few.evaluation is not None
    assert near.evaluation is not None
    assert {len(found) for found in few.evaluation.detections.values()} == {1}
    for image_id, found in every.evaluation.detections.items():
        other = near.evaluation.detections[image_id]
        assert len(found) == len(other)
        assert (found.scores - other.scores).abs().max() < 0.05 * found.scores.max()


def test_an_imported_detector_has_the_numbers_of_its_files(shapes: Path, tmp_path: Path) -> None:
    options = named_weights(tmp_path)
    imported = import_darknet(DarknetImportConfig(**options))
    runs = [val(tmp_path, shapes, **one, protocol="voc10") for one in (options, {"weights": str(imported)})]
    results = [run.voc.ap_per_class.tolist() for run in runs if run.voc is not None]
    assert results[0] == results[1]


def test_names_and_classes_must_be_those_of_the_dataset(shapes: Path, tmp_path: Path) -> None:
    options = named_weights(tmp_path)
    with pytest.raises(DataError, match=r"without --names the classes of .*small\.weights are class 0, class 1"):
        val(tmp_path, shapes, weights=options["weights"])
    imported = import_darknet(DarknetImportConfig(weights=options["weights"]))
    with pytest.raises(DataError) as caught:
        val(tmp_path, shapes, weights=str(imported))
    assert "--names" not in str(caught.value)
    with pytest.raises(ConfigError, match="the cfg's input is 32x32"):
        val(tmp_path, shapes, **options, input_size=64)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--weights is required"),
        ({"weights": "w", "precision": "fp16"}, "fp16 needs a CUDA device"),
    ],
)
def test_options_that_make_no_sense_together(
    options: dict[str, Any], message: str, shapes: Path, tmp_path: Path
) -> None:
    if options.get("weights") == "w":
        options = options | named_weights(tmp_path)
    with pytest.raises(ConfigError, match=message):
        val(tmp_path, shapes, **options)


def test_an_image_that_cannot_be_read_is_in_no_number_of_voc(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    break_image(tmp_path / "data" / "images" / "val" / "2.png")
    run = val(tmp_path, data, **named_weights(tmp_path), protocol="voc07")
    assert run.voc is not None
    assert run.voc.num_images == 3
    assert not math.isnan(run.voc.mean_ap)


def test_a_name_that_a_comp4_file_cannot_hold_costs_the_files_only(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", num_val=1)
    image = tmp_path / "data" / "images" / "val" / "0.png"
    for path in (image, tmp_path / "data" / "labels" / "val" / "0.txt"):
        path.rename(path.with_stem("my photo"))
    run = val(tmp_path, data, **named_weights(tmp_path), protocol="voc07")
    assert run.voc is not None
    assert run.voc.num_images == 1
    assert "'my photo'" in run.note
    assert (run.folder / "voc.json").is_file()
    assert not (run.folder / "comp4").exists()
