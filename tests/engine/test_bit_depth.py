"""16-bit images that use 12 of their bits: a detector sees in them what it was trained on, whoever reads them."""

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from yolo import Detector
from yolo.config import PredictConfig, TrainConfig, ValConfig
from yolo.console import collected_warnings
from yolo.engine.detector_file import load_detector, save_detector
from yolo.engine.image_input import load_image
from yolo.engine.predict import predict
from yolo.engine.start_options import start_defaults
from yolo.engine.train import TrainingRun
from yolo.engine.validate import validate
from yolo.errors import ConfigError
from yolo.images import read_image, write_image


@pytest.fixture(scope="module")
def weights(trained: TrainingRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The detector of the shapes, as if it had been trained on 12 bits."""
    network, metadata = load_detector(trained.folder / "weights" / "best.safetensors")
    path = tmp_path_factory.mktemp("deep") / "twelve.safetensors"
    save_detector(path, network, replace(metadata, bit_depth=12))
    assert load_detector(path)[1].bit_depth == 12
    return path


@pytest.fixture(scope="module")
def photo(shapes: Path) -> np.ndarray:
    return read_image(sorted((shapes.parent / "images" / "val").glob("*"))[0])


def twelve_bits(image: np.ndarray) -> np.ndarray:
    return image.astype(np.uint16) << 4 | 7


def same(one: object, other: object) -> bool:
    return np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)  # type: ignore[attr-defined]


def test_every_way_to_give_an_image_is_the_same(weights: Path, photo: np.ndarray, tmp_path: Path) -> None:
    deep = twelve_bits(photo)
    write_image(tmp_path / "eight.png", photo)
    for name in ("deep.png", "deep.tif"):
        cv2.imwrite(str(tmp_path / name), deep[:, :, ::-1])
    detector = Detector(weights)
    assert detector.bit_depth == 12
    expected = detector(tmp_path / "eight.png")
    assert len(expected)
    for image in (deep, tmp_path / "deep.png", tmp_path / "deep.tif", (tmp_path / "deep.tif").read_bytes()):
        assert same(detector(image), expected)
        assert load_image(image, bit_depth=12).largest == deep.max()
    assert all(same(found, expected) for found in detector.predict([deep, tmp_path / "deep.png"]))
    grey = Image.fromarray(deep[:, :, 0].copy())
    assert np.array_equal(load_image(grey, bit_depth=12).image[:, :, 0], photo[:, :, 0])


def test_another_bit_depth_can_be_asked_for(weights: Path, photo: np.ndarray) -> None:
    full = photo.astype(np.uint16) << 8
    detector = Detector(weights, bit_depth=16)
    assert same(detector(full), detector(photo))
    with pytest.warns(UserWarning, match=r"where 65535 is white, .*bit_depth=12 in Python"):
        detector(twelve_bits(photo))
    with pytest.warns(UserWarning, match="samples above 4095, which become white"):
        Detector(weights)(full)
    with pytest.raises(ConfigError, match=r"bit_depth must be in 8\.\.16, got 7"):
        Detector(weights, bit_depth=7)


def test_predict_says_how_many_images_are_dark(
    trained: TrainingRun, weights: Path, photo: np.ndarray, tmp_path: Path
) -> None:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), twelve_bits(photo)[:, :, ::-1])
    write_image(tmp_path / "eight.png", photo)
    best = str(trained.folder / "weights" / "best.safetensors")
    options = {"source": str(tmp_path), "runs": str(tmp_path / "runs"), "save_images": False}
    dark = predict(PredictConfig(weights=best, **options))  # type: ignore[arg-type]
    (note,) = dark.notes
    assert note.startswith(f"3 images have samples up to {twelve_bits(photo).max()}")
    assert "--bit-depth 12" in note
    told = predict(PredictConfig(weights=best, bit_depth=12, **options))  # type: ignore[arg-type]
    remembered = predict(PredictConfig(weights=str(weights), **options))  # type: ignore[arg-type]
    assert told.notes == remembered.notes == []
    assert told.num_detections == remembered.num_detections == 4 * len(Detector(weights)(photo))
    assert dark.num_detections != told.num_detections


def test_validation_uses_that_of_the_detector(weights: Path, shapes: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    for path in sorted((shapes.parent / "images" / "val").glob("*")):
        target = deep / "images" / "val" / path.with_suffix(".png").name
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), twelve_bits(read_image(path))[:, :, ::-1])
        label = shapes.parent / "labels" / "val" / path.with_suffix(".txt").name
        (deep / "labels" / "val").mkdir(parents=True, exist_ok=True)
        (deep / "labels" / "val" / label.name).write_bytes(label.read_bytes())
    names = load_detector(weights)[1].class_names
    (deep / "data.yaml").write_text(f"val: images/val\ntrain: images/val\nnames: {list(names)}\n")
    said = io.StringIO()
    common = {"weights": str(weights), "runs": str(tmp_path / "runs"), "report": False, "workers": 0}
    eight = validate(ValConfig(data=str(shapes), **common))  # type: ignore[arg-type]
    own = validate(ValConfig(data=str(deep), **common), console=Console(file=said, width=400))  # type: ignore[arg-type]
    assert "warning" not in said.getvalue()
    assert own.metrics.map_50 == pytest.approx(eight.metrics.map_50, abs=0.05)
    with collected_warnings() as warnings:  # those of --json
        wrong = validate(ValConfig(data=str(deep), bit_depth=16, **common), console=Console(file=said, width=400))  # type: ignore[arg-type]
    assert [text in said.getvalue() for text in warnings] == [True]
    assert "--bit-depth 12" in warnings[0]
    assert wrong.metrics.map_50 < own.metrics.map_50


def test_a_training_goes_on_with_that_of_its_weights(weights: Path) -> None:
    assert start_defaults(weights=str(weights))["bit_depth"] == 12
    with pytest.raises(ConfigError, match="bit_depth must be in"):
        TrainConfig(data="x", bit_depth=17)
