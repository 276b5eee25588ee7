import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.shapes import break_image, draw_shapes
from yolo import Detector
from yolo.config import PredictConfig, ValConfig
from yolo.engine.predict import describe, predict
from yolo.engine.train import TrainingRun
from yolo.engine.validate import validate
from yolo.errors import ConfigError, DataError, WeightsError
from yolo.images import read_image, write_image
from yolo.media.frames import Frame, VideoWriter
from yolo.structures import Detections


@pytest.fixture(scope="module")
def weights(trained: TrainingRun) -> Path:
    return trained.folder / "weights" / "best.safetensors"


def test_val_gives_the_numbers_of_the_training(
    trained: TrainingRun, weights: Path, shapes: Path, tmp_path: Path
) -> None:
    run = validate(
        ValConfig(weights=str(weights), data=str(shapes), runs=str(tmp_path), device="cpu", workers=0, report=False)
    )
    assert trained.evaluation is not None
    assert run.evaluation is not None
    assert run.evaluation.result.map_50_95 == pytest.approx(trained.evaluation.result.map_50_95, abs=1e-3)
    assert (run.folder / "metrics.json").is_file()
    assert json.loads((run.folder / "data.json").read_text())["val"]["objects_kept"] == 8


def test_val_of_another_split_and_of_one_that_is_not_there(weights: Path, shapes: Path, tmp_path: Path) -> None:
    run = validate(
        ValConfig(weights=str(weights), data=str(shapes), split="train", runs=str(tmp_path), workers=0, report=False)
    )
    assert run.evaluation is not None
    assert run.evaluation.result.num_images == 8
    with pytest.raises(DataError, match="test"):
        validate(ValConfig(weights=str(weights), data=str(shapes), split="test", runs=str(tmp_path), report=False))


def test_val_counts_images_that_cannot_be_read(weights: Path, tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    broken = tmp_path / "data" / "images" / "val" / "2.png"
    break_image(broken)
    run = validate(ValConfig(weights=str(weights), data=str(data), runs=str(tmp_path), workers=0, report=False))
    assert run.evaluation is not None
    assert run.evaluation.result.num_images == 3
    assert [Path(one.path).name for one in run.evaluation.skipped] == ["2.png"]
    assert len(json.loads((run.folder / "data.json").read_text())["val"]["unreadable"]) == 1


def test_val_on_a_dataset_of_other_classes_is_an_error(weights: Path, tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", names=("cat", "dog"))
    with pytest.raises(DataError, match="cat"):
        validate(ValConfig(weights=str(weights), data=str(data), runs=str(tmp_path), workers=0, report=False))


def test_the_detector_finds_the_shapes(weights: Path, shapes: Path) -> None:
    detector = Detector(weights, device="cpu")
    path = shapes.parent / "images" / "val" / "0.png"
    from_path, from_array = (detector(image, score_threshold=0.05) for image in (path, read_image(path)))
    assert torch.equal(from_path.boxes, from_array.boxes)
    assert from_path.size_hw == (64, 96)
    assert {detector.class_names[label] for label in from_path.labels.tolist()} == {"red", "blue"}
    label, cx, cy, w, h = map(float, (shapes.parent / "labels" / "val" / "0.txt").read_text().split()[:5])
    best = next(k for k in range(len(from_path)) if from_path.labels[k] == int(label))
    x1, y1, x2, y2 = from_path.boxes[best].tolist()
    assert ((x1 + x2) / 192, (y1 + y2) / 128) == pytest.approx((cx, cy), abs=0.1)
    assert ((x2 - x1) / 96, (y2 - y1) / 64) == pytest.approx((w, h), abs=0.15)


def test_higher_thresholds_and_limits_give_less(weights: Path, shapes: Path) -> None:
    detector = Detector(weights, device="cpu")
    image = read_image(shapes.parent / "images" / "val" / "0.png")
    every = detector(image, score_threshold=0.0)
    assert len(detector(image, score_threshold=0.99)) < len(every)
    assert len(detector(image, score_threshold=0.0, max_detections=3)) == 3


@pytest.mark.parametrize("bad", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)])
def test_arrays_that_are_no_images_are_refused(weights: Path, bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        Detector(weights, device="cpu")(bad)


def test_one_pixel_is_an_image(weights: Path) -> None:
    found = Detector(weights, device="cpu")(np.zeros((1, 1, 3), np.uint8), score_threshold=0.0)
    assert found.boxes.isfinite().all()
    assert (found.boxes <= 1).all()


def test_other_input_sizes(weights: Path, shapes: Path) -> None:
    assert Detector(weights, device="cpu", input_size=96)(shapes.parent / "images" / "val" / "0.png").size_hw == (
        64,
        96,
    )
    with pytest.raises(ConfigError, match="nearest are 96 and 112"):
        Detector(weights, device="cpu", input_size=100)


def test_bad_weights_files(weights: Path, trained: TrainingRun, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="damaged"):
        Detector(cut)
    with pytest.raises(WeightsError, match="no such weights file"):
        Detector(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="training state"):
        Detector(trained.folder / "weights" / "last.ckpt")


def test_predict_a_folder_with_a_bad_image(weights: Path, shapes: Path, tmp_path: Path) -> None:
    source = tmp_path / "source" / "sub"
    for name, index in (("a.png", 0), ("sub/a.png", 1)):
        write_image(source.parent / name, read_image(shapes.parent / "images" / "val" / f"{index}.png"))
    (source / "b.jpg").write_bytes(b"no image")
    summary = predict(PredictConfig(weights=str(weights), source=str(source.parent), runs=str(tmp_path), device="cpu"))
    assert (summary.num_images, len(summary.skipped)) == (2, 1)
    entries = json.loads((summary.folder / "predictions.json").read_text())
    assert [Path(entry["image"]).name for entry in entries] == ["a.png", "a.png", "b.jpg"]
    assert "not an image" in entries[2]["error"]
    assert {one["class"] for one in entries[0]["detections"]} <= {"red", "blue"}
    assert sum(len(entry.get("detections", [])) for entry in entries) == summary.num_detections > 0
    assert sorted(path.name for path in summary.folder.glob("*.jpg")) == ["a-2.jpg", "a.jpg"]
    assert read_image(summary.folder / "a.jpg").shape == (64, 96, 3)


def test_predict_a_video(weights: Path, shapes: Path, tmp_path: Path) -> None:
    image = read_image(shapes.parent / "images" / "val" / "0.png")
    with VideoWriter(tmp_path / "in.mp4", fps=8, size_hw=(64, 96)) as writer:
        for _ in range(3):
            writer.write(image)
    config = PredictConfig(weights=str(weights), source=str(tmp_path / "in.mp4"), runs=str(tmp_path), device="cpu")
    summary = predict(config)
    entries = json.loads((summary.folder / "predictions.json").read_text())
    assert [(entry["frame"], entry["time"]) for entry in entries] == [(0, 0.0), (1, 0.125), (2, 0.25)]
    assert (summary.folder / "in.mp4").stat().st_size > 0


def test_predict_without_pictures(weights: Path, shapes: Path, tmp_path: Path) -> None:
    source = str(shapes.parent / "images" / "val" / "*.png")
    summary = predict(
        PredictConfig(weights=str(weights), source=source, runs=str(tmp_path), save_images=False, device="cpu")
    )
    assert [path.name for path in summary.folder.iterdir()] == ["predictions.json"]


def test_a_source_that_does_not_exist_makes_no_run_folder(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        predict(PredictConfig(weights=str(weights), source="nowhere.jpg", runs=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


def test_category_ids_of_a_coco_dataset_come_with_the_labels(weights: Path) -> None:
    metadata = replace(Detector(weights, device="cpu").metadata, category_ids=(7, 90))
    found = Detections(torch.zeros(1, 4), torch.ones(1), torch.tensor([1]), (4, 4))
    entry = describe(Frame(np.zeros((4, 4, 3), np.uint8), Path("a.jpg")), found, metadata)
    (detection,) = entry["detections"]
    assert (detection["class"], detection["label"], detection["category_id"]) == ("blue", 1, 90)
