import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.engine.shapes import draw_shapes
from yolo.config import ReportConfig, ValConfig
from yolo.engine.report import ReportRun, report
from yolo.engine.train import TrainingRun
from yolo.engine.validate import ValidationRun, validate
from yolo.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def measured(trained: TrainingRun, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> ValidationRun:
    weights = trained.folder / "weights" / "best.safetensors"
    runs = tmp_path_factory.mktemp("measured")
    return validate(ValConfig(weights=str(weights), data=str(shapes), runs=str(runs), device="cpu", workers=0))


def run_report(folder: Path, ground_truth: Path, detections: Path, **options: Any) -> ReportRun:
    values: dict[str, Any] = {"bootstrap": 0, "runs": str(folder)} | options
    return report(ReportConfig(ground_truth=str(ground_truth), detections=str(detections), **values))


def read_metrics(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


def write_ground_truth(path: Path, **changes: Any) -> Path:
    """Two images; a cat on the first, a dog on the second."""
    content = {
        "images": [{"id": one, "file_name": f"{one}.jpg", "width": 100, "height": 80} for one in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [30, 30, 20, 20], "area": 400, "iscrowd": 0},
        ],
    }
    path.write_text(json.dumps(content | changes))
    return path


def write_detections(path: Path, rows: list[tuple[int, int, list[float], float]]) -> Path:
    content = [
        {"image_id": image, "category_id": category, "bbox": box, "score": score}
        for image, category, box, score in rows
    ]
    path.write_text(json.dumps(content))
    return path


GOOD = [(1, 1, [10.0, 10.0, 20.0, 20.0], 0.9), (2, 2, [31.0, 30.0, 20.0, 20.0], 0.8), (2, 1, [0.0, 0.0, 9.0, 9.0], 0.7)]


def test_a_run_measured_again_from_its_own_files_has_the_same_numbers(measured: ValidationRun, tmp_path: Path) -> None:
    again = run_report(tmp_path, measured.folder / "ground_truth.json", measured.folder / "predictions.json")
    first, second = read_metrics(measured.folder), read_metrics(again.folder)
    for name in ("map_50_95", "map_50", "map_75", "map_medium", "ar_100", "precision", "recall", "f1"):
        assert second[name] == (None if first[name] is None else pytest.approx(first[name], abs=1e-12)), name
    assert second["confusion_matrix"] == first["confusion_matrix"]


def test_the_run_folder_of_a_validation_has_everything(measured: ValidationRun) -> None:
    names = {path.name for path in measured.folder.iterdir()}
    assert names >= {
        "report.html", "metrics.json", "per_class.csv", "errors.csv", "summary.md", "predictions.json",
        "ground_truth.json", "data.json", "samples.jpg", "PR_curve.png", "F1_curve.png", "confusion_matrix.png",
    }  # fmt: skip
    page = (measured.folder / "report.html").read_text()
    assert "gridyolo val --weights" in page
    metrics = read_metrics(measured.folder)
    low, high = metrics["intervals"]["headline"]["map_50_95"]
    assert low <= metrics["map_50_95"] <= high
    rows = list(csv.DictReader((measured.folder / "per_class.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["red", "blue"]


def test_without_a_report_there_are_the_numbers_alone(trained: TrainingRun, shapes: Path, tmp_path: Path) -> None:
    weights = trained.folder / "weights" / "best.safetensors"
    options = ValConfig(weights=str(weights), data=str(shapes), runs=str(tmp_path), workers=0, report=False)
    folder = validate(options).folder
    assert not (folder / "report.html").exists()
    assert read_metrics(folder)["num_images"] == 4
    assert (folder / "per_class.csv").is_file()


def test_detections_of_any_detector(tmp_path: Path) -> None:
    truth = write_ground_truth(tmp_path / "truth.json")
    run = run_report(tmp_path, truth, write_detections(tmp_path / "found.json", GOOD))
    result = run.analysis.result
    assert result.map_50 == pytest.approx(1.0)  # the false cat comes after the true one
    assert result.class_names == ("cat", "dog")
    assert run.page == run.folder / "report.html"
    assert any("image" in warning.message for warning in run.warnings)  # that there are no image files


def test_vocs_rules_on_top(tmp_path: Path) -> None:
    truth, found = write_ground_truth(tmp_path / "t.json"), write_detections(tmp_path / "d.json", GOOD)
    run = run_report(tmp_path, truth, found, protocol="voc07")
    assert run.voc is not None
    assert run.voc.mean_ap == pytest.approx(1.0)
    assert json.loads((run.folder / "voc.json").read_text())["interpolation"] == "11-point"
    assert "11-point" in run.page.read_text()
    without = run_report(tmp_path, truth, found, protocol="voc10", plus_one=False)
    assert without.voc is not None
    assert not without.voc.plus_one


def test_nothing_detected_is_a_result(tmp_path: Path) -> None:
    truth = write_ground_truth(tmp_path / "t.json")
    run = run_report(tmp_path, truth, write_detections(tmp_path / "d.json", []), bootstrap=100)
    assert run.analysis.result.map_50 == 0
    assert math.isnan(run.analysis.result.score_threshold)
    assert run.page.is_file()


def test_nothing_annotated_is_a_result(tmp_path: Path) -> None:
    truth = write_ground_truth(tmp_path / "t.json", annotations=[])
    run = run_report(tmp_path, truth, write_detections(tmp_path / "d.json", GOOD), bootstrap=100)
    assert math.isnan(run.analysis.result.map_50)
    assert run.page.is_file()


def test_one_image_and_one_class(tmp_path: Path) -> None:
    truth = write_ground_truth(
        tmp_path / "t.json",
        images=[{"id": 1, "file_name": "1.jpg", "width": 100, "height": 80}],
        categories=[{"id": 7, "name": "<b>&\"'"}],
        annotations=[{"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}],
    )
    found = write_detections(tmp_path / "d.json", [(1, 7, [0.0, 0.0, 9.0, 9.0], 0.5)])
    run = run_report(tmp_path, truth, found, bootstrap=100)
    assert run.analysis.result.map_50 == pytest.approx(1.0)
    assert "<b>&" not in run.page.read_text()


def test_warnings_are_on_the_page_and_in_the_numbers(tmp_path: Path) -> None:
    rows = [*GOOD, (99, 1, [0.0, 0.0, 9.0, 9.0], 0.5), (1, 1, [0.0, 0.0, 9.0, -9.0], 0.5)]
    run = run_report(tmp_path, write_ground_truth(tmp_path / "t.json"), write_detections(tmp_path / "d.json", rows))
    counts = {warning.kind: warning.count for warning in run.warnings}
    told = read_metrics(run.folder)["remarks"]
    assert {one["kind"]: one["count"] for one in told} == counts
    assert sum("99" in example for warning in run.warnings for example in warning.examples) == 1
    page = run.page.read_text()
    assert all(warning.message.split("<")[0][:20] in page for warning in run.warnings)


def test_files_that_cannot_be_used_leave_no_run_folder(tmp_path: Path) -> None:
    truth = write_ground_truth(tmp_path / "t.json")
    bad = tmp_path / "bad.json"
    bad.write_text('[{"image_id": 1, ')
    for ground_truth, detections in ((truth, bad), (bad, truth), (truth, tmp_path / "none.json"), (truth, truth)):
        with pytest.raises(DataError, match=r"\.json"):
            run_report(tmp_path / "runs", ground_truth, detections)
    assert not (tmp_path / "runs").exists()


def test_yolo_labels_and_yolo_detections(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    found = tmp_path / "found"
    found.mkdir()
    for label in (tmp_path / "data" / "labels" / "val").iterdir():
        (found / label.name).write_text("".join(f"{line} 0.9\n" for line in label.read_text().splitlines()))
    run = run_report(tmp_path, data, found)
    assert run.analysis.result.map_50_95 == pytest.approx(1.0)
    assert "data:image/jpeg" not in run.page.read_text()  # nothing is wrong, nothing is shown
    for label in found.iterdir():  # every class taken for the other one
        lines = [f"{1 - int(line[0])}{line[1:]}\n" for line in label.read_text().splitlines()]
        label.write_text("".join(lines))
    wrong = run_report(tmp_path, data, found)
    assert wrong.analysis.result.map_50 == 0
    assert wrong.analysis.errors.counts["class"] == 8
    assert wrong.page.read_text().count("data:image/jpeg;base64,") >= 8
    assert "data:image/jpeg" not in run_report(tmp_path, data, found, pictures=False).page.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ground_truth": "t"}, "--detections is required"),
        ({"detections": "d"}, "--ground-truth is required"),
        ({"ground_truth": "t", "detections": "d", "bootstrap": 5}, "0 or at least 100"),
        ({"ground_truth": "t", "detections": "d", "plus_one": False}, "add --protocol"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ReportConfig(**options)
