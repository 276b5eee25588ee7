import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.curate.download_server import file_server
from yolo.config import PredictConfig, ValConfig
from yolo.engine.detection_files import read_problem
from yolo.engine.predict import predict
from yolo.engine.prediction_files import PredictionFiles, describe
from yolo.engine.result import Result
from yolo.engine.train import TrainingRun
from yolo.engine.validate import validate
from yolo.errors import ConfigError, DataError, SaveError
from yolo.evaluation.summary import summarise
from yolo.images import read_image, write_image
from yolo.media.video_write import VideoWriter
from yolo.structures import Detections


@pytest.fixture(scope="module")
def weights(trained: TrainingRun) -> Path:
    return trained.folder / "weights" / "best.safetensors"


def test_predict_a_folder_with_a_bad_image(weights: Path, shapes: Path, tmp_path: Path) -> None:
    source = tmp_path / "source" / "sub"
    for name, index in (("a.png", 0), ("sub/a.png", 1)):
        write_image(source.parent / name, read_image(shapes.parent / "images" / "val" / f"{index}.png"))
    (source / "b.jpg").write_bytes(b"no image")
    summary = predict(PredictConfig(weights=str(weights), source=str(source.parent), runs=str(tmp_path), device="cpu"))
    assert (summary.num_images, len(summary.skipped)) == (2, 1)
    entries = json.loads((summary.folder / "detections.json").read_text())["images"]
    assert [Path(entry["source"]).name for entry in entries] == ["a.png", "a.png", "b.jpg"]
    assert "not an image" in entries[2]["error"]
    assert {one["class"] for one in entries[0]["detections"]} <= {"red", "blue"}
    assert sum(len(entry.get("detections", [])) for entry in entries) == summary.num_detections > 0
    assert sorted(path.relative_to(summary.folder).as_posix() for path in summary.folder.rglob("*.jpg")) == [
        "a.jpg",
        "sub/a.jpg",
    ]
    assert read_image(summary.folder / "a.jpg").shape == (64, 96, 3)


def test_predict_a_video(weights: Path, shapes: Path, tmp_path: Path) -> None:
    image = read_image(shapes.parent / "images" / "val" / "0.png")
    with VideoWriter(tmp_path / "in.mp4", fps=8, size_hw=(64, 96)) as writer:
        for _ in range(3):
            writer.write(image)
    config = PredictConfig(weights=str(weights), source=str(tmp_path / "in.mp4"), runs=str(tmp_path), device="cpu")
    summary = predict(config)
    entries = json.loads((summary.folder / "detections.json").read_text())["images"]
    assert [(entry["frame"], entry["time"]) for entry in entries] == [(0, 0.0), (1, 0.125), (2, 0.25)]
    assert (summary.folder / entries[0]["picture"]).stat().st_size > 0


def test_a_video_behind_an_address_is_a_video_and_a_camera_is_a_stream(
    weights: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    image = shapes.parent / "images" / "val" / "0.png"
    with VideoWriter(tmp_path / "in.mp4", fps=8, size_hw=(64, 96)) as writer:
        writer.write(read_image(image))
    part = b"--b\r\nContent-Length: %d\r\n\r\n%s\r\n" % (image.stat().st_size, image.read_bytes())
    config = PredictConfig(
        weights=str(weights), source="-", runs=str(tmp_path), device="cpu", save_images=False, reconnects=0, timeout=2
    )
    written = []
    with file_server() as server:
        server.files |= {"/in.mp4": (tmp_path / "in.mp4").read_bytes(), "/live": part}
        for path in ("/in.mp4", "/live"):
            if path == "/live":
                server.behaviours = [
                    lambda handler, content: handler.answer(
                        200, content, length=None, Content_Type="multipart/x-mixed-replace; boundary=b"
                    )
                ] * 2
            folder = predict(replace(config, source=server.address(path))).folder
            written += [one.name for one in folder.iterdir()]
    assert written == ["detections.json", "detections.jsonl"]


def test_predict_without_pictures(weights: Path, shapes: Path, tmp_path: Path) -> None:
    source = str(shapes.parent / "images" / "val" / "*.png")
    summary = predict(
        PredictConfig(weights=str(weights), source=source, runs=str(tmp_path), save_images=False, device="cpu")
    )
    assert [path.name for path in summary.folder.iterdir()] == ["detections.json"]


def test_a_source_that_does_not_exist_makes_no_run_folder(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        predict(PredictConfig(weights=str(weights), source="nowhere.jpg", runs=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


def test_a_tilde_in_a_path_is_the_home_folder(
    weights: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shells leave it in words such as --source=~/photos, and so do configuration files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(weights, tmp_path / "best.safetensors")
    shutil.copy(shapes.parent / "images" / "val" / "0.png", tmp_path)
    for number, source in enumerate(("~/0.png", "~/*.png"), 1):
        summary = predict(PredictConfig(weights="~/best.safetensors", source=source, runs="~/runs", device="cpu"))
        assert summary.num_images == 1
        assert summary.folder == tmp_path / "runs" / ("predict" if number == 1 else "predict-2")


def test_category_ids_of_a_coco_dataset_come_with_the_labels() -> None:
    found = Detections(torch.zeros(1, 4), torch.ones(1), torch.tensor([1]), (4, 4))
    entry = describe(Result(found, class_names=("red", "blue"), category_ids=(7, 90), source="a.jpg"))
    (detection,) = entry["detections"]
    assert (detection["class"], detection["label"], detection["category_id"]) == ("blue", 1, 90)


def test_predict_auto_and_by_a_metrics_file(weights: Path, shapes: Path, tmp_path: Path) -> None:
    source = str(shapes.parent / "images" / "val")
    auto = predict(PredictConfig(weights=str(weights), source=source, score_threshold="auto", runs=str(tmp_path)))
    run = validate(
        ValConfig(weights=str(weights), data=str(shapes), runs=str(tmp_path), device="cpu", workers=0, report=False)
    )
    metrics = run.folder / "metrics.json"
    by_file = predict(
        PredictConfig(weights=str(weights), source=source, score_threshold=str(metrics), runs=str(tmp_path))
    )
    assert auto.num_detections > 0
    # fused and unfused scores differ in their last digits, and a threshold is a score: one object may fall out
    assert abs(auto.num_detections - by_file.num_detections) <= 2
    lowest = {one["name"]: one["best_threshold"] for one in json.loads(metrics.read_text())["per_class"]}
    for entry in json.loads((by_file.folder / "detections.json").read_text())["images"]:
        for found in entry["detections"]:
            assert found["score"] >= lowest[found["class"]] - 1e-4


def test_wanted_precision_needs_auto() -> None:
    with pytest.raises(ConfigError, match="--conf auto"):
        PredictConfig(weights="w", source="s", min_precision=0.9)
    with pytest.raises(ConfigError, match="not both"):
        PredictConfig(weights="w", source="s", score_threshold="auto", min_precision=0.9, min_recall=0.9)
    with pytest.raises(ConfigError, match="must be in"):
        PredictConfig(weights="w", source="s", score_threshold="auto", min_recall=1.5)


def test_measuring_a_prediction_gives_the_numbers_of_the_validation(
    weights: Path, shapes: Path, tmp_path: Path
) -> None:
    config = ValConfig(
        weights=str(weights), data=str(shapes), runs=str(tmp_path), device="cpu", workers=0, report=False
    )
    run = validate(config)
    source = str(shapes.parent / "images" / "val")
    thresholds: dict[str, Any] = {
        "score_threshold": 0.001,
        "iou_threshold": 0.6,
        "save_images": False,
        "save": "json,coco",
    }
    summary = predict(
        PredictConfig(weights=str(weights), source=source, runs=str(tmp_path), device="cpu", **thresholds)
    )
    stated = json.loads((run.folder / "metrics.json").read_text())
    for found in (summary.folder, summary.folder / "coco"):
        problem, _, _ = read_problem(run.folder / "ground_truth.json", found)
        measured = summarise(problem)
        # a batch and a single image differ in the last digits of the scores
        assert measured.map_50 == pytest.approx(stated["map_50"], abs=2e-3)
        assert measured.map_50_95 == pytest.approx(stated["map_50_95"], abs=2e-3)


def test_only_some_classes(weights: Path, shapes: Path, tmp_path: Path) -> None:
    source = str(shapes.parent / "images" / "val" / "0.png")
    options = {"weights": str(weights), "source": source, "runs": str(tmp_path), "device": "cpu", "save_images": False}
    every = predict(PredictConfig(**options))  # type: ignore[arg-type]
    red = predict(PredictConfig(**options, classes="red"))  # type: ignore[arg-type]
    both = predict(PredictConfig(**options, classes="0, blue"))  # type: ignore[arg-type]
    assert 0 < red.num_detections < both.num_detections == every.num_detections
    with pytest.raises(ConfigError, match="class 'green' is unknown"):
        predict(PredictConfig(**options, classes="green"))  # type: ignore[arg-type]


def test_a_source_that_names_nothing_is_empty(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n# c\n")))
    with pytest.raises(DataError, match=r"source -: .*it is empty"):
        predict(PredictConfig(weights=str(weights), source="-", runs=str(tmp_path / "runs"), device="cpu"))
    assert not (tmp_path / "runs").exists()


def test_counts_of_a_run_that_fails_are_written(
    weights: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trackers")
    image = read_image(shapes.parent / "images" / "val" / "0.png")
    with VideoWriter(tmp_path / "in.mp4", fps=8, size_hw=(64, 96)) as writer:
        for _ in range(3):
            writer.write(image)

    def full_disk(self: PredictionFiles, result: Result, name: str, picture: str | None) -> None:
        raise SaveError("the disk is full")

    monkeypatch.setattr(PredictionFiles, "add", full_disk)
    config = PredictConfig(
        weights=str(weights), source=str(tmp_path / "in.mp4"), runs=str(tmp_path / "runs"), device="cpu", track=True
    )
    with pytest.raises(SaveError, match="disk is full"):
        predict(config)
    (source,) = json.loads((tmp_path / "runs" / "predict" / "counts.json").read_text())["sources"]
    assert source["source"] == str(tmp_path / "in.mp4")


def test_a_closed_window_ends_the_run_and_the_end_says_so(
    weights: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClosedWindow:
        def show(self, image: Any) -> bool:
            return False

        def close(self) -> None:
            pass

    monkeypatch.setattr("yolo.engine.predict.Window", ClosedWindow)
    source = str(shapes.parent / "images" / "val")
    summary = predict(PredictConfig(weights=str(weights), source=source, runs=str(tmp_path), device="cpu", show=True))
    assert summary.num_images == 1
    assert summary.notes == ["the window was closed: the source was not read to its end"]
    assert not summary.interrupted
    assert len(json.loads((summary.folder / "detections.json").read_text())["images"]) == 1
