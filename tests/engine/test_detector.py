import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from yolo import Detector
from yolo.config import ValConfig
from yolo.engine.detection_settings import choose_settings
from yolo.engine.detector_file import DetectorMetadata, load_detector, save_detector
from yolo.engine.train import TrainingRun
from yolo.engine.validate import validate
from yolo.errors import ConfigError, DataError, WeightsError
from yolo.images import read_image
from yolo.thresholds import ThresholdTable
from yolo.weights_header import read_metadata


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
    for count, shown in ((12, "k, l$"), (13, r"k, l, \.\.\. \(13 classes\)$")):
        other = replace(metadata, class_names=tuple("abcdefghijklm"[:count]))
        with pytest.raises(DataError, match=f"is about the classes red, blue, the detector's are a, b, .*{shown}"):
            choose_settings(other, score_threshold=str(run.folder / "metrics.json"))


def test_a_damaged_table_is_an_error_of_the_file(weights: Path, tmp_path: Path) -> None:
    network, metadata = load_detector(weights)
    assert metadata.thresholds is not None
    broken = replace(metadata.thresholds, best=np.array([0.5]))
    save_detector(tmp_path / "broken.safetensors", network, replace(metadata, thresholds=broken))
    with pytest.raises(WeightsError, match=r"broken\.safetensors"):
        load_detector(tmp_path / "broken.safetensors")


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


def test_the_settings_where_nobody_gives_any(metadata: DetectorMetadata) -> None:
    shown, measured = metadata.predict, metadata.val
    assert (shown.score_threshold, shown.iou_threshold, shown.max_detections) == (0.25, 0.5, 300)
    assert (measured.score_threshold, measured.iou_threshold, measured.max_detections) == (0.001, 0.6, 300)
