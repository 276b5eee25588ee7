import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.engine.test_report import GOOD, run_report, write_detections, write_ground_truth
from yolo.config import CompareConfig
from yolo.engine.compare import CompareRun, compare_files
from yolo.errors import ConfigError, DataError


def compare(folder: Path, a: Path, b: Path, **options: Any) -> CompareRun:
    values: dict[str, Any] = {"bootstrap": 100, "runs": str(folder)} | options
    return compare_files(CompareConfig(a=str(a), b=str(b), **values), Console(quiet=True))


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_ground_truth(tmp_path / "truth.json")


def test_two_files_of_detections(truth: Path, tmp_path: Path) -> None:
    good, bad = write_detections(tmp_path / "good.json", GOOD), write_detections(tmp_path / "bad.json", GOOD[2:])
    run = compare(tmp_path / "runs", bad, good, ground_truth=str(truth))
    map_50 = next(one for one in run.comparison.headline if one.name == "map_50")
    assert map_50.a == 0
    assert map_50.b == pytest.approx(1.0)
    assert run.comparison.num_better == 2
    assert {path.name for path in run.folder.iterdir()} >= {
        "compare.html",
        "compare.json",
        "per_class.csv",
        "summary.md",
    }
    assert "gridyolo compare" in run.page.read_text()


def test_a_detector_against_itself_differs_in_nothing(truth: Path, tmp_path: Path) -> None:
    found = write_detections(tmp_path / "found.json", GOOD)
    run = compare(tmp_path / "runs", found, found, ground_truth=str(truth))
    assert run.comparison.num_better == run.comparison.num_worse == 0
    assert all(one.p_value == 1 for one in run.comparison.headline if one.a == one.a)
    json.loads((run.folder / "compare.json").read_text())


def test_run_folders_bring_their_ground_truth(truth: Path, tmp_path: Path) -> None:
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


def test_reports_can_be_compared(truth: Path, tmp_path: Path) -> None:
    first = run_report(tmp_path / "runs", truth, write_detections(tmp_path / "a.json", GOOD))
    second = run_report(tmp_path / "runs", truth, write_detections(tmp_path / "b.json", GOOD[1:]))
    run = compare(tmp_path / "runs", first.folder, second.folder)
    assert run.comparison.num_worse == 1


@pytest.mark.parametrize("change", [{"iscrowd": 1}, {"difficult": 1}, {"area": 5}, {"bbox": [10, 10, 20, 21]}])
def test_runs_measured_on_other_objects_cannot_be_compared(tmp_path: Path, change: dict[str, Any]) -> None:
    truth, other = (write_ground_truth(tmp_path / f"{name}.json") for name in ("truth", "other"))
    content = json.loads(other.read_text())
    content["annotations"][0] |= change
    other.write_text(json.dumps(content))
    found = write_detections(tmp_path / "found.json", GOOD)
    first, second = (run_report(tmp_path / "runs", one, found) for one in (truth, other))
    with pytest.raises(DataError, match="have different objects"):
        compare(tmp_path / "runs", first.folder, second.folder)


def test_a_run_whose_detections_were_written_over_is_refused(truth: Path, tmp_path: Path) -> None:
    found = write_detections(tmp_path / "found.json", GOOD)
    first = run_report(tmp_path / "runs", truth, found)
    write_detections(found, GOOD[1:])
    second = run_report(tmp_path / "runs", truth, found)
    with pytest.raises(DataError, match=r"has changed since .*report was made of it: map_50_95 was 0\.\d+, and is 0\."):
        compare(tmp_path / "runs", first.folder, second.folder)
    compare(tmp_path / "runs", second.folder, second.folder)
    # with a ground truth of its own it is about the files, not about the runs
    compare(tmp_path / "runs", first.folder, second.folder, ground_truth=str(truth))
    (first.folder / "metrics.json").write_text('{"map_50": 1}')
    with pytest.raises(DataError, match=r"metrics\.json: is not what gridyolo writes"):
        compare(tmp_path / "runs", first.folder, second.folder)


def test_without_ground_truth_there_is_nothing_to_measure_by(tmp_path: Path) -> None:
    found = write_detections(tmp_path / "found.json", GOOD)
    with pytest.raises(ConfigError, match="--ground-truth"):
        compare(tmp_path, found, found)


def test_what_is_not_there_is_named(truth: Path, tmp_path: Path) -> None:
    found = write_detections(tmp_path / "found.json", GOOD)
    with pytest.raises(DataError, match="nowhere: there is no such run folder"):
        compare(tmp_path, found, tmp_path / "nowhere", ground_truth=str(truth))
    with pytest.raises(ConfigError, match="gridyolo compare A B"):
        CompareConfig(a="x")
    with pytest.raises(ConfigError, match="at least 100"):
        CompareConfig(a="x", b="y", bootstrap=0)
