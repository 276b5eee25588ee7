import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from yolo import Detector
from yolo.config import PredictConfig, ValConfig
from yolo.engine.checkpoint import DetectorMetadata, load_detector, save_detector
from yolo.engine.detector import choose_settings
from yolo.engine.predict import predict
from yolo.engine.train import TrainingRun
from yolo.engine.validate import validate
from yolo.errors import ConfigError, DataError, WeightsError
from yolo.images import read_image
from yolo.models.weights import read_metadata
from yolo.thresholds import ThresholdTable


@pytest.fixture(scope="module")
def weights(trained: TrainingRun) -> Path:
    return trained.folder / "weights" / "best.safetensors"


@pytest.fixture(scope="module")
def metadata(weights: Path) -> DetectorMetadata:
    return load_detector(weights)[1]


def table(best: tuple[float, float]) -> ThresholdTable:
    """Class red: a hit at .9 and at .5, a miss at .7; blue has whatever best is given and nothing else."""
    hits, misses = np.zeros((2, 101), np.int64), np.zeros((2, 101), np.int64)
    hits[0, :91], hits[0, :51], misses[0, :71] = 1, 2, 1
    return ThresholdTable(
        class_names=("red", "blue"),
        instances=np.array([2, 0]),
        best=np.array(best),
        true_positives=hits,
        false_positives=misses,
    )


def test_training_stores_what_its_validation_counted(weights: Path, trained: TrainingRun) -> None:
    stored = read_metadata(weights)["thresholds"]
    assert stored["class_names"] == ["red", "blue"]
    assert trained.evaluation is not None
    # the weights are measured again, fused, at the end: counts agree, scores nearly
    expected = [one.best_threshold for one in trained.evaluation.result.per_class]
    assert stored["best"] == pytest.approx(expected, abs=1e-3)
    assert stored["instances"] == [one.instances for one in trained.evaluation.result.per_class]


def test_auto_keeps_of_each_class_what_reaches_its_own_threshold(metadata: DetectorMetadata) -> None:
    settings, lines = choose_settings(replace(metadata, thresholds=table((0.5, 0.8))), score_threshold="auto")
    assert settings.class_thresholds == (0.5, 0.8)
    assert 0.49 < settings.score_threshold < 0.5
    assert settings.iou_threshold == metadata.val.iou_threshold
    assert lines == ["score thresholds for the best F1 in validation: red 0.50, blue 0.80"]


def test_a_class_of_which_nothing_is_known_keeps_the_default(metadata: DetectorMetadata) -> None:
    settings, lines = choose_settings(replace(metadata, thresholds=table((0.5, math.nan))), score_threshold="auto")
    assert settings.class_thresholds == (0.5, 0.25)
    assert "chooses no threshold for blue: 0.25" in lines[1]


def test_wanted_precision_and_recall(metadata: DetectorMetadata) -> None:
    own = replace(metadata, thresholds=table((0.5, math.nan)))
    settings, _ = choose_settings(own, score_threshold="auto", min_precision=0.9)
    assert settings.class_thresholds == (0.71, 0.25)  # above the miss at .7
    settings, lines = choose_settings(own, score_threshold="auto", min_recall=1.0)
    assert settings.class_thresholds == (0.5, 0.25)
    assert lines[0].startswith("score thresholds for recall 1 in validation")
    settings, lines = choose_settings(
        replace(own, thresholds=replace(table((0.5, math.nan)), instances=np.array([5, 0]))),
        score_threshold="auto",
        min_recall=0.9,
    )
    assert any(line.startswith("not reached by red") for line in lines)


def test_a_class_that_is_never_right_shows_nothing_where_precision_is_wanted(metadata: DetectorMetadata) -> None:
    never = replace(table((0.5, math.nan)), instances=np.array([2, 3]))
    never.false_positives[1, :61] = 4
    settings, lines = choose_settings(replace(metadata, thresholds=never), score_threshold="auto", min_precision=0.9)
    assert settings.class_thresholds == (0.71, math.inf)
    assert settings.score_threshold < 0.71
    assert lines[1] == "no threshold of blue is any good: nothing of that class is shown"


def test_numbers_are_as_before(metadata: DetectorMetadata) -> None:
    settings, lines = choose_settings(metadata, score_threshold=0.4)
    assert (settings.score_threshold, settings.class_thresholds, lines) == (0.4, None, [])
    assert settings.iou_threshold == metadata.predict.iou_threshold


def test_weights_without_a_validation_say_what_to_do(metadata: DetectorMetadata) -> None:
    with pytest.raises(ConfigError, match=r"gridyolo val .*--conf runs/val/metrics\.json"):
        choose_settings(replace(metadata, thresholds=None), score_threshold="auto")


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
    for entry in json.loads((by_file.folder / "predictions.json").read_text()):
        for found in entry["detections"]:
            assert found["score"] >= lowest[found["class"]] - 1e-4


def test_the_detector_takes_auto(weights: Path, shapes: Path) -> None:
    detector = Detector(weights, device="cpu")
    image = read_image(shapes.parent / "images" / "val" / "0.png")
    found = detector(image, score_threshold="auto")
    assert detector.metadata.thresholds is not None
    lowest = torch.tensor(detector.metadata.thresholds.best).float()
    assert (found.scores >= lowest[found.labels]).all()


def test_files_that_are_no_metrics(metadata: DetectorMetadata, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is neither a number"):
        choose_settings(metadata, score_threshold=str(tmp_path / "none.json"))
    for text in ("{", "[]", '{"map_50": 1}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(DataError, match=r"bad\.json: is not a metrics\.json"):
            choose_settings(metadata, score_threshold=str(tmp_path / "bad.json"))


def test_metrics_of_other_classes_are_refused(
    metadata: DetectorMetadata, weights: Path, shapes: Path, tmp_path: Path
) -> None:
    run = validate(
        ValConfig(weights=str(weights), data=str(shapes), runs=str(tmp_path), device="cpu", workers=0, report=False)
    )
    other = replace(metadata, class_names=("cat", "dog"))
    with pytest.raises(DataError, match="the detector's are cat, dog"):
        choose_settings(other, score_threshold=str(run.folder / "metrics.json"))


def test_wanted_precision_needs_auto() -> None:
    with pytest.raises(ConfigError, match="--conf auto"):
        PredictConfig(weights="w", source="s", min_precision=0.9)
    with pytest.raises(ConfigError, match="not both"):
        PredictConfig(weights="w", source="s", score_threshold="auto", min_precision=0.9, min_recall=0.9)
    with pytest.raises(ConfigError, match="must be in"):
        PredictConfig(weights="w", source="s", score_threshold="auto", min_recall=1.5)


def test_a_damaged_table_is_an_error_of_the_file(weights: Path, tmp_path: Path) -> None:
    network, metadata = load_detector(weights)
    assert metadata.thresholds is not None
    broken = replace(metadata.thresholds, best=np.array([0.5]))
    save_detector(tmp_path / "broken.safetensors", network, replace(metadata, thresholds=broken))
    with pytest.raises(WeightsError, match=r"broken\.safetensors"):
        load_detector(tmp_path / "broken.safetensors")
