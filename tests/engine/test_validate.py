import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.darknet.networks import detector_cfg
from tests.engine.darknet_detectors import write_darknet
from tests.engine.shapes import break_image, draw_shapes, write_untrained
from yolo import Detector
from yolo.config import DarknetImportConfig, ReportConfig, TrainConfig, ValConfig
from yolo.engine.darknet import import_darknet
from yolo.engine.detector_file import load_detector
from yolo.engine.evaluate_files import report
from yolo.engine.learner import make_loss
from yolo.engine.train import TrainingRun
from yolo.engine.validate import LossMeter, ValidationRun, validate
from yolo.errors import ConfigError, DataError
from yolo.media.drawing import image_grid
from yolo.models.network import NetworkSpec
from yolo.structures import Batch, Detections, GroundTruth, ImageGeometry, Targets

pytestmark = pytest.mark.usefixtures("no_plots")


def val(folder: Path, data: Path, **options: Any) -> ValidationRun:
    values: dict[str, Any] = {"device": "cpu", "workers": 0, "report": False} | options
    return validate(ValConfig(data=str(data), runs=str(folder / "runs"), **values))


@pytest.fixture(scope="module")
def measured(trained: TrainingRun, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> ValidationRun:
    best = str(trained.folder / "weights" / "best.safetensors")
    return val(tmp_path_factory.mktemp("measured"), shapes, weights=best, protocol="voc07", report=True)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options of a small darknet detector with the class names of the shapes."""
    return named_weights(tmp_path_factory.mktemp("named"))


def named_weights(folder: Path, cfg: str | None = None) -> dict[str, str]:
    names = folder / "shapes.names"
    names.write_text("red\nblue\n")
    return {"weights": str(write_darknet(folder, cfg)), "names": str(names)}


def read_metrics(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


def test_val_gives_the_numbers_of_the_training(trained: TrainingRun, measured: ValidationRun) -> None:
    assert trained.evaluation is not None
    result = measured.evaluation.result
    stored = load_detector(trained.folder / "weights" / "best.safetensors")[1].metrics
    for name in ("map_50", "map_50_95"):  # to the last bit
        assert getattr(result, name) == getattr(trained.evaluation.result, name) == stored[name]
    assert json.loads((measured.folder / "data.json").read_text())["val"]["objects_kept"] == 8


def test_the_run_folder_of_a_validation_has_everything(measured: ValidationRun) -> None:
    names = {path.name for path in measured.folder.iterdir()}
    assert names >= {
        "report.html", "metrics.json", "per_class.csv", "errors.csv", "summary.md", "predictions.json",
        "ground_truth.json", "data.json", "samples.jpg",
    }  # fmt: skip
    page = (measured.folder / "report.html").read_text()
    assert "gridyolo val --weights" in page
    metrics = read_metrics(measured.folder)
    low, high = metrics["intervals"]["headline"]["map_50_95"]
    assert low <= metrics["map_50_95"] <= high
    rows = list(csv.DictReader((measured.folder / "per_class.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["red", "blue"]


def test_a_run_measured_again_from_its_own_files_has_the_same_numbers(measured: ValidationRun, tmp_path: Path) -> None:
    files = {"ground_truth": "ground_truth.json", "detections": "predictions.json"}
    options: dict[str, Any] = {name: str(measured.folder / file) for name, file in files.items()}
    again = report(ReportConfig(**options, bootstrap=0, runs=str(tmp_path)))
    first, second = read_metrics(measured.folder), read_metrics(again.folder)
    for name in ("map_50_95", "map_50", "map_75", "map_medium", "ar_100", "precision", "recall", "f1"):
        assert second[name] == (None if first[name] is None else pytest.approx(first[name], abs=1e-12)), name
    assert second["confusion_matrix"] == first["confusion_matrix"]


def test_vocs_numbers_are_the_same_from_a_network_and_from_its_files(
    measured: ValidationRun, shapes: Path, tmp_path: Path
) -> None:
    assert measured.voc is not None
    assert measured.voc.mean_ap > 0.5
    assert measured.voc.interpolation == "11-point"
    files = sorted(path.name for path in (measured.folder / "comp4").iterdir())
    assert files == ["comp4_det_test_blue.txt", "comp4_det_test_red.txt"]
    comp4 = str(measured.folder / "comp4")
    options = ReportConfig(
        ground_truth=str(shapes), detections=comp4, protocol="voc07", bootstrap=0, runs=str(tmp_path)
    )
    again = report(options)
    assert again.voc is not None
    assert again.voc.ap_per_class.tolist() == pytest.approx(measured.voc.ap_per_class.tolist(), abs=1e-9)
    for folder in (measured.folder, again.folder):
        written = json.loads((folder / "voc.json").read_text())
        assert written["mean_ap"] == pytest.approx(measured.voc.mean_ap, abs=1e-9)
        assert written["class_names"] == ["red", "blue"]


def test_without_a_report_there_are_the_numbers_alone(named: dict[str, str], shapes: Path, tmp_path: Path) -> None:
    run = val(tmp_path, shapes, **named)
    assert run.voc is None
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {"metrics.json", "per_class.csv"}
    assert not names & {"report.html", "voc.json", "comp4"}
    assert read_metrics(run.folder)["num_images"] == 4


def test_another_split_and_one_that_is_not_there(named: dict[str, str], shapes: Path, tmp_path: Path) -> None:
    assert val(tmp_path, shapes, **named, split="train").evaluation.result.num_images == 8
    with pytest.raises(DataError, match="test"):
        val(tmp_path, shapes, **named, split="test")


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


def test_thresholds_and_precision_can_be_changed(named: dict[str, str], shapes: Path, tmp_path: Path) -> None:
    every = val(tmp_path, shapes, **named, iou_threshold=1.0).evaluation
    few = val(tmp_path, shapes, **named, iou_threshold=1.0, max_detections=1).evaluation
    near = val(tmp_path, shapes, **named, iou_threshold=1.0, precision="bf16").evaluation
    assert {len(found) for found in few.detections.values()} == {1}
    for image_id, found in every.detections.items():
        other = near.detections[image_id]
        assert len(found) == len(other)
        assert (found.scores - other.scores).abs().max() < 0.05 * found.scores.max()


def test_an_imported_detector_has_the_numbers_of_its_files(shapes: Path, tmp_path: Path) -> None:
    options = named_weights(tmp_path)
    imported = import_darknet(DarknetImportConfig(**options))
    runs = [val(tmp_path, shapes, **one, protocol="voc10") for one in (options, {"weights": str(imported)})]
    results = [run.voc for run in runs if run.voc is not None]
    assert results[0].interpolation == "all-point"
    assert results[0].ap_per_class.tolist() == results[1].ap_per_class.tolist()


def test_names_and_classes_must_be_those_of_the_dataset(shapes: Path, tmp_path: Path) -> None:
    options = named_weights(tmp_path)
    with pytest.raises(DataError, match=r"without --names the classes of .*small\.weights are class 0, class 1"):
        val(tmp_path, shapes, weights=options["weights"])
    imported = import_darknet(DarknetImportConfig(weights=options["weights"]))
    with pytest.raises(DataError) as caught:
        val(tmp_path, shapes, weights=str(imported))
    assert "--names" not in str(caught.value)
    with pytest.raises(DataError, match="cat"):
        val(tmp_path, draw_shapes(tmp_path / "data", names=("cat", "dog")), **options)
    with pytest.raises(ConfigError, match="the cfg's input is 32x32"):
        val(tmp_path, shapes, **options, input_size=64)
    assert not (tmp_path / "runs").exists()


def test_options_that_make_no_sense_together(named: dict[str, str], shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--weights is required"):
        val(tmp_path, shapes)
    with pytest.raises(ConfigError, match="fp16 needs a CUDA device"):
        val(tmp_path, shapes, **named, precision="fp16")


def test_an_image_that_cannot_be_read_is_counted_and_in_no_number(named: dict[str, str], tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    break_image(tmp_path / "data" / "images" / "val" / "2.png")
    run = val(tmp_path, data, **named, protocol="voc07")
    assert run.evaluation.result.num_images == 3
    assert [Path(one.path).name for one in run.evaluation.skipped] == ["2.png"]
    assert len(json.loads((run.folder / "data.json").read_text())["val"]["unreadable"]) == 1
    assert run.voc is not None
    assert run.voc.num_images == 3
    assert not math.isnan(run.voc.mean_ap)


def test_a_name_that_a_comp4_file_cannot_hold_costs_the_files_only(named: dict[str, str], tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", num_val=1)
    image = tmp_path / "data" / "images" / "val" / "0.png"
    for path in (image, tmp_path / "data" / "labels" / "val" / "0.txt"):
        path.rename(path.with_stem("my photo"))
    run = val(tmp_path, data, **named, protocol="voc07")
    assert run.voc is not None
    assert run.voc.num_images == 1
    assert "'my photo'" in run.note
    assert (run.folder / "voc.json").is_file()
    assert not (run.folder / "comp4").exists()


def test_the_sheet_of_samples_shows_eight_images(
    named: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets = []

    def recorded(pairs: list[Any], **options: Any) -> Any:
        sheets.append((len(pairs), options))
        return image_grid(pairs, **options)

    monkeypatch.setattr("yolo.engine.validate.image_grid", recorded)
    val(tmp_path, draw_shapes(tmp_path / "data", num_val=10), **named)
    assert sheets == [(8, {"columns": 2, "size": 640})]


def test_samples_of_a_network_that_has_hardly_learned_are_not_covered_with_boxes(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Detections] = []

    def recorded(image: Any, found: Detections, names: tuple[str, ...]) -> Any:
        drawn.append(found)
        return image

    monkeypatch.setattr("yolo.engine.validate.draw_detections", recorded)
    run = val(tmp_path, shapes, weights=str(write_untrained(tmp_path / "untrained.safetensors")))
    assert sum(map(len, run.evaluation.detections.values())) > 100
    assert drawn
    assert all(float(found.scores.min()) >= 0.05 for found in drawn if len(found))


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_the_loss_is_the_training_s_over_all_images_and_ignores_difficult_objects(batch_size: int) -> None:
    """Over raw outputs that differ from image to image, whatever the batches."""
    spec = NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=2)
    grid, loss = spec.grid((64, 64)), make_loss(TrainConfig(data="d"))
    generator = torch.Generator().manual_seed(0)
    raws = torch.randn(4, grid.grid_size, grid.grid_size, grid.depth, generator=generator)
    truths = [
        GroundTruth.from_boxes([[4, 4, 30, 40], [20, 20, 60, 60]], [0, 1], difficult=[False, number == 2])
        for number in range(4)
    ]
    batches = [
        Batch(
            images=torch.full((len(part), 3, 64, 64), part[0], dtype=torch.uint8),
            targets=Targets.from_ground_truths([truths[number] for number in part]),
            indices=part,
            geometries=(ImageGeometry((64, 64), (64, 64), (1, 1), (0, 0)),) * len(part),
        )
        for part in [tuple(range(start, min(start + batch_size, 4))) for start in range(0, 4, batch_size)]
    ]
    meter = LossMeter(loss, spec)
    for part, raw in zip(batches, raws.split(batch_size), strict=True):
        meter(part, raw)
        meter(replace(part, images=part.images[:0], indices=(), geometries=()), None)  # no image could be read
    expected = loss(grid, raws, Targets.from_ground_truths(truths), (64, 64)).to_floats()
    assert meter.means == pytest.approx(expected, rel=1e-5)
    with_difficult = [replace(truth, difficult=truth.difficult & False) for truth in truths]
    other = loss(grid, raws, Targets.from_ground_truths(with_difficult), (64, 64)).to_floats()
    assert other["class_prob"] != pytest.approx(expected["class_prob"], rel=1e-3)
