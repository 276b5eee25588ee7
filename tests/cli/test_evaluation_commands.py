"""`report` and `compare` as a user types them: what is printed, where it is written, what a mistake ends with."""

import json
from pathlib import Path

import pytest

from tests.engine.test_evaluate_files import GOOD, write_detections, write_ground_truth
from yolo.cli.main import run

GIVEN = ["report", "--ground-truth", "truth.json", "--detections", "good.json"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a ground truth and the detections of two detectors."""
    monkeypatch.chdir(tmp_path)
    write_ground_truth(tmp_path / "truth.json")
    write_detections(tmp_path / "good.json", GOOD)
    write_detections(tmp_path / "bad.json", GOOD[1:])
    return tmp_path


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.json")}


def test_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(folder)
    words = ["report", "--ground-truth", "truth.json", "detections=good.json", "--bootstrap", "0"]
    assert run([*words, "--protocol", "voc07", "--no-plus-one"]) == 0
    captured = capsys.readouterr()
    assert "ground truth (coco): 2 images, 2 classes, 2 objects to be found" in captured.out
    assert "detections (coco): 3" in captured.out
    row = next(line.split() for line in captured.out.splitlines() if line.startswith("all "))
    metrics = json.loads((folder / "runs/report/metrics.json").read_text())
    assert row[-2:] == [f"{metrics[name]:.3f}" for name in ("map_50", "map_50_95")]
    assert "look at: runs/report/report.html" in captured.out
    assert captured.err.startswith("warning: the image file is not there")
    # what was given is as it was, and nothing is written but the run folder
    assert state(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == ["bad.json", "good.json", "runs", "truth.json"]
    assert "Pascal VOC, 11-point AP, IoU > 0.5, pixels without +1" in captured.out
    assert json.loads((folder / "runs/report/voc.json").read_text())["plus_one"] is False


def test_compare(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "bad.json", "good.json", "--ground-truth", "truth.json", "bootstrap=100"]) == 0
    out = capsys.readouterr().out
    row = next(line.split() for line in out.splitlines() if line.startswith("map_50 "))
    comparison = json.loads((folder / "runs/compare/compare.json").read_text())
    own = comparison["headline"]["map_50"]
    assert row[1:4] == [f"{own['a']:.3f}", f"{own['b']:.3f}", f"{own['difference']:+.3f}"]
    assert "2 images: 1 better, 0 worse, 1 as before" in out
    assert "look at: runs/compare/compare.html" in out
    # A and B can be named, and options may come first
    words = ["--ground-truth", "truth.json", "--a", "good.json", "b=bad.json", "--bootstrap=100", "--no-pictures"]
    assert run(["compare", *words]) == 0
    assert "0 better, 1 worse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["report"], 2, "--ground-truth is required"),
        (["report", "--ground-truth", "truth.json"], 2, "--detections is required"),
        (["report", "--ground-truth=truth.json", "--detections=none.json"], 1, "none.json: there is no such file"),
        (["report", "--ground-truth", "good.json", "--detections", "truth.json"], 1, "were the two files swapped?"),
        (["report", "--ground-truth", "truth.json", "--detections", "."], 1, "no detections are recognised"),
        ([*GIVEN, "--bootstrap", "5"], 2, "at least 100"),
        ([*GIVEN, "--format", "xml"], 2, "xml"),
        ([*GIVEN, "--no-plus-one"], 2, "--protocol voc07"),
        ([*GIVEN, "--name", "a/b"], 2, "one folder"),
        (["report", "--groundtruth", "truth.json"], 2, "did you mean --ground-truth"),
        (["compare"], 2, "gridyolo compare A B"),
        (["compare", "good.json"], 2, "gridyolo compare A B"),
        (["compare", "good.json", "bad.json"], 2, "add --ground-truth"),
        (["compare", "good.json", "bad.json", "good.json"], 2, "does not belong to an option"),
        (["compare", "good.json", "none", "--ground-truth", "truth.json"], 1, "none: there is no such run folder"),
        (["val", "--weights", "none.safetensors", "--data", "."], 1, "none.safetensors"),
        (["predict", "--weights=w", "--source=s", "--conf=0.5", "--min-precision=0.9"], 2, "--conf auto"),
    ],
)
def test_mistakes_end_with_a_message_and_a_code_and_leave_nothing(
    folder: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert not (folder / "runs").exists()
