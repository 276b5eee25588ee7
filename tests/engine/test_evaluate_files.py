import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.engine.shapes import draw_shapes
from yolo.config import CompareConfig, ReportConfig
from yolo.engine.evaluate_files import (
    CompareRun,
    ReportRun,
    _check_unchanged,
    _print_warnings,
    _Side,
    compare_files,
    report,
)
from yolo.errors import ConfigError, DataError
from yolo.formats.issues import InputWarning

pytestmark = pytest.mark.usefixtures("no_plots")

Row = tuple[int, int, list[float], float]  # image, category, box, score
GOOD: list[Row] = [
    (1, 1, [10.0, 10.0, 20.0, 20.0], 0.9),
    (2, 2, [31.0, 30.0, 20.0, 20.0], 0.8),
    (2, 1, [0.0, 0.0, 9.0, 9.0], 0.7),  # there is no cat, but it comes after the true one
]
FAULTY: list[Row] = [(99, 1, [0.0, 0.0, 9.0, 9.0], 0.5), (1, 1, [0.0, 0.0, 9.0, -9.0], 0.5)]


def run_report(folder: Path, ground_truth: Path, detections: Path, **options: Any) -> ReportRun:
    values: dict[str, Any] = {"bootstrap": 0, "runs": str(folder)} | options
    return report(ReportConfig(ground_truth=str(ground_truth), detections=str(detections), **values))


def compare(folder: Path, a: Path, b: Path, **options: Any) -> CompareRun:
    values: dict[str, Any] = {"bootstrap": 100, "runs": str(folder)} | options
    return compare_files(CompareConfig(a=str(a), b=str(b), **values), Console(quiet=True))


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


def write_detections(path: Path, rows: list[Row]) -> Path:
    content = [
        {"image_id": image, "category_id": category, "bbox": box, "score": score}
        for image, category, box, score in rows
    ]
    path.write_text(json.dumps(content))
    return path


def write_inputs(folder: Path, ground_truth: Path, detections: Path) -> Path:
    """A run folder with what `compare` needs of a report."""
    folder.mkdir()
    inputs = {"ground_truth": str(ground_truth), "detections": str(detections), "split": "val", "format": "coco"}
    (folder / "inputs.json").write_text(json.dumps(inputs))
    return folder


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_ground_truth(tmp_path / "truth.json")


@pytest.fixture
def found(tmp_path: Path) -> Path:
    return write_detections(tmp_path / "found.json", GOOD)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    """A report on good detections and two faulty ones."""
    folder = tmp_path_factory.mktemp("reported")
    found = write_detections(folder / "found.json", GOOD + FAULTY)
    return run_report(folder, write_ground_truth(folder / "truth.json"), found, protocol="voc07")


def test_detections_of_any_detector(reported: ReportRun) -> None:
    result = reported.analysis.result
    assert result.map_50 == pytest.approx(1.0)
    assert result.class_names == ("cat", "dog")
    assert reported.page == reported.folder / "report.html"


def test_warnings_are_on_the_page_and_in_the_numbers(reported: ReportRun) -> None:
    counts = {warning.kind: warning.count for warning in reported.warnings}
    told = json.loads((reported.folder / "metrics.json").read_text())["remarks"]
    assert {one["kind"]: one["count"] for one in told} == counts
    assert sum("99" in example for warning in reported.warnings for example in warning.examples) == 1
    assert any("image" in warning.message for warning in reported.warnings)  # that there are no image files
    page = reported.page.read_text()
    assert all(warning.message.split("<")[0][:20] in page for warning in reported.warnings)


def test_vocs_rules_on_top(reported: ReportRun) -> None:
    assert reported.voc is not None
    assert reported.voc.mean_ap == pytest.approx(1.0)
    assert json.loads((reported.folder / "voc.json").read_text())["interpolation"] == "11-point"
    assert "11-point" in reported.page.read_text()


def test_the_files_of_a_report_are_named_beside_it(reported: ReportRun) -> None:
    folder = reported.folder.parent
    copy = write_inputs(folder / "copy", folder / "truth.json", folder / "found.json")
    first, second = (json.loads((one / "inputs.json").read_text()) for one in (reported.folder, copy))
    assert first == second


def test_nothing_detected_is_a_result(truth: Path, tmp_path: Path) -> None:
    run = run_report(tmp_path, truth, write_detections(tmp_path / "d.json", []), bootstrap=100)
    assert run.analysis.result.map_50 == 0
    assert math.isnan(run.analysis.result.score_threshold)
    assert run.page.is_file()


def test_nothing_annotated_is_a_result(found: Path, tmp_path: Path) -> None:
    truth = write_ground_truth(tmp_path / "t.json", annotations=[])
    run = run_report(tmp_path, truth, found, bootstrap=100)
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
    run = run_report(tmp_path, truth, found, bootstrap=100, protocol="voc10", plus_one=False)
    assert run.analysis.result.map_50 == pytest.approx(1.0)
    assert "<b>&" not in run.page.read_text()
    assert run.voc is not None
    assert not run.voc.plus_one


def test_files_that_cannot_be_used_leave_no_run_folder(truth: Path, tmp_path: Path) -> None:
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


def test_class_names_from_a_text_file(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    names, found = tmp_path / "names.txt", tmp_path / "found"
    found.mkdir()
    (found / "0.txt").write_text("0 0.5 0.5 0.1 0.1 0.9\n")
    names.write_text("\ufeffapple \n\npear\n")
    labels = data.parent / "labels" / "val"
    run = run_report(tmp_path, labels, found, names=str(names), images=str(data.parent / "images" / "val"))
    assert run.analysis.result.class_names == ("apple", "pear")
    for text, message in (("", "names.txt: .*class name"), ("apple\napple\n", "names.txt: .*twice")):
        names.write_text(text)
        with pytest.raises(DataError, match=message):
            run_report(tmp_path, labels, found, names=str(names))


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


def test_two_files_of_detections(truth: Path, found: Path, tmp_path: Path) -> None:
    bad = write_detections(tmp_path / "bad.json", GOOD[2:])
    run = compare(tmp_path / "runs", bad, found, ground_truth=str(truth))
    map_50 = next(one for one in run.comparison.headline if one.name == "map_50")
    assert map_50.a == 0
    assert map_50.b == pytest.approx(1.0)
    assert run.comparison.num_better == 2
    written = {path.name for path in run.folder.iterdir()}
    assert written >= {"compare.html", "compare.json", "per_class.csv", "summary.md"}
    assert "gridyolo compare" in run.page.read_text()


def test_a_detector_against_itself_differs_in_nothing(truth: Path, found: Path, tmp_path: Path) -> None:
    run = compare(tmp_path / "runs", found, found, ground_truth=str(truth))
    assert run.comparison.num_better == run.comparison.num_worse == 0
    assert all(one.p_value == 1 for one in run.comparison.headline if one.a == one.a)
    json.loads((run.folder / "compare.json").read_text())


def test_run_folders_bring_their_ground_truth(tmp_path: Path) -> None:
    folders = []
    for name, rows in (("one", GOOD), ("two", GOOD[:1])):
        folder = tmp_path / name
        folder.mkdir()
        write_detections(folder / "predictions.json", rows)
        write_ground_truth(folder / "ground_truth.json")
        folders.append(folder)
    assert compare(tmp_path / "runs", *folders).comparison.num_worse == 1
    write_ground_truth(folders[1] / "ground_truth.json", annotations=[])
    with pytest.raises(DataError, match="have different objects"):
        compare(tmp_path / "runs", *folders)


@pytest.mark.parametrize("change", [{"iscrowd": 1}, {"difficult": 1}, {"area": 5}, {"bbox": [10, 10, 20, 21]}])
def test_runs_measured_on_other_objects_cannot_be_compared(
    truth: Path, found: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    content = json.loads(truth.read_text())
    content["annotations"][0] |= change
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    folders = [write_inputs(tmp_path / name, one, found) for name, one in (("a", truth), ("b", other))]
    with pytest.raises(DataError, match="have different objects"):
        compare(tmp_path / "runs", *folders)


def test_a_run_whose_detections_were_written_over_is_refused(reported: ReportRun, truth: Path, tmp_path: Path) -> None:
    original = reported.folder.parent
    found = Path(shutil.copy(original / "found.json", tmp_path))
    first = write_inputs(tmp_path / "first", truth, found)
    shutil.copy(reported.folder / "metrics.json", first)
    second = write_inputs(tmp_path / "second", truth, write_detections(tmp_path / "other.json", GOOD[1:]))
    assert compare(tmp_path / "runs", first, second).comparison.num_worse == 1
    write_detections(found, GOOD[1:])
    with pytest.raises(DataError, match=r"has changed since .*first was made of it: map_50_95 was 0\.\d+, and is 0\."):
        compare(tmp_path / "runs", first, second)
    # with a ground truth of its own it is about the files, not about the runs
    compare(tmp_path / "runs", first, second, ground_truth=str(truth))
    (first / "metrics.json").write_text('{"map_50": 1}')
    with pytest.raises(DataError, match=r"metrics\.json: is not what gridyolo writes"):
        compare(tmp_path / "runs", first, second)


def test_without_ground_truth_there_is_nothing_to_measure_by(found: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--ground-truth"):
        compare(tmp_path, found, found)


def test_what_is_not_there_is_named(truth: Path, found: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such run folder"):
        compare(tmp_path, found, tmp_path / "nowhere", ground_truth=str(truth))
    with pytest.raises(ConfigError, match="gridyolo compare A B"):
        CompareConfig(a="x")
    with pytest.raises(ConfigError, match="at least 100"):
        CompareConfig(a="x", b="y", bootstrap=0)


def test_numbers_may_differ_by_their_rounding_only(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"map_50": 0.5, "ar_1": null}')
    side = _Side("a", tmp_path / "found.json", "coco", run=tmp_path)
    _check_unchanged(side, {"map_50": 0.5 + 0.9e-9, "ar_1": math.nan})
    for numbers in ({"map_50": 0.5 + 1.1e-9}, {"map_50": math.nan}, {"ar_1": 0.5}):
        with pytest.raises(DataError, match="has changed since"):
            _check_unchanged(side, numbers)


def test_three_examples_of_a_warning_are_printed() -> None:
    console = Console(file=io.StringIO(), width=40)
    _print_warnings([InputWarning("kind", 9, "odd", tuple("abcd")), InputWarning("other", 1, "odder")], console)
    assert console.file.getvalue() == "warning: odd (9: a; b; c)\nwarning: odder (1)\n"  # type: ignore[attr-defined]
