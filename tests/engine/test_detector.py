import copy
import math
import os
import pickle
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

import yolo
from yolo import Detector
from yolo.config import PredictConfig, ValConfig
from yolo.config.predict import DetectConfig
from yolo.engine.detection_settings import choose_settings, chosen_labels
from yolo.engine.detector import DetectOptions, detector_of
from yolo.engine.detector_file import DetectorMetadata, load_detector, save_detector
from yolo.engine.result import Result
from yolo.engine.train import TrainingRun
from yolo.engine.validate import validate
from yolo.errors import ConfigError, DataError, WeightsError
from yolo.images import read_image
from yolo.run_weights import find_weights, weights_path
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
    assert "has no threshold for blue; using 0.25" in lines[1]


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
    assert any(line.startswith("red cannot reach it") for line in lines)


def test_a_class_that_is_never_right_shows_nothing_where_precision_is_wanted(metadata: DetectorMetadata) -> None:
    never = replace(table((0.5, math.nan)), instances=np.array([2, 3]))
    never.false_positives[1, :61] = 4
    settings, lines = choose_settings(replace(metadata, thresholds=never), score_threshold="auto", min_precision=0.9)
    assert settings.class_thresholds == (0.71, math.inf)
    assert settings.score_threshold < 0.71
    assert lines[1] == "no useful threshold for blue; detections of it are hidden"


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
    for count, shown in ((12, "k, l$"), (13, r"k, l, \.\.\. \(13 in all\)$")):
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


def same(a: Result, b: Result) -> bool:
    """Equal bit for bit."""
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("boxes", "scores", "labels"))


def test_a_picture_gives_the_same_boxes_through_every_entry_point(weights: Path, shapes: Path, tmp_path: Path) -> None:
    path = shapes.parent / "images" / "val" / "0.png"
    rgb = read_image(path)
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    detector = Detector(weights, device="cpu")
    by_path = detector(path)
    assert len(by_path) > 0
    with Image.open(path) as opened:
        ways: list[Any] = [str(path), path.read_bytes(), opened, rgb, rgb / 255, tensor, tensor / 255]
        found = [detector(way) for way in ways]
    found += [detector(rgb[:, :, ::-1], color="bgr"), *detector([path, rgb]), *detector(tensor[None])]
    found += [*detector.predict(path), *detector.predict([rgb, path]), *detector.predict(path.parent / "0.*")]
    assert [same(by_path, one) for one in found] == [True] * 15
    run = yolo.predict(weights, path, device="cpu", runs=tmp_path)
    assert run.num_detections == len(by_path)


def test_a_list_gives_a_result_for_each_and_nothing_for_none(weights: Path, shapes: Path) -> None:
    images = [read_image(path) for path in sorted((shapes.parent / "images" / "val").iterdir())]
    small = images[0][:20, :30]
    detector = Detector(weights, device="cpu")
    found = detector([*images, small])
    assert [one.size_hw for one in found] == [(64, 96)] * 4 + [(20, 30)]
    assert all(same(one, detector(image)) for one, image in zip(found, [*images, small], strict=True))
    assert detector([]) == []


def test_one_detector_in_several_threads(weights: Path, shapes: Path) -> None:
    images = [read_image(path) for path in sorted((shapes.parent / "images" / "val").iterdir())]
    detector = Detector(weights, device="cpu")
    expected = [detector(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(detector, image) for image in images * 6]
        found: list[Any] = [task.result() for task in tasks]
    assert all(same(one, expected[place % 4]) for place, one in enumerate(found))
    assert all(one.seconds.inference > 0 for one in found)


def test_a_pickled_detector_opens_its_file_again(
    weights: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "best.safetensors"
    shutil.copy(weights, own)
    monkeypatch.chdir(tmp_path)
    detector = Detector(own.name, device="cpu", input_size=96)
    pickled = pickle.dumps(detector)
    assert len(pickled) < 1000
    monkeypatch.chdir("/")
    image = shapes.parent / "images" / "val" / "0.png"
    assert same(pickle.loads(pickled)(image), detector(image))
    assert same(copy.deepcopy(detector)(image), detector(image))
    os.utime(own, (1, 1))
    with pytest.raises(WeightsError, match="has changed since the detector was pickled"):
        pickle.loads(pickled)


def test_the_run_folder_and_its_name_are_the_best_weights(
    trained: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Detector(trained.folder, device="cpu").path == trained.best
    assert find_weights(trained.folder) == trained.best
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "mine"
    (run / "weights").mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"runs/mine: is a folder without weights/best\.safetensors"):
        find_weights("mine")
    shutil.copy(trained.best, run / "weights")
    assert find_weights("mine") == Path("runs/mine/weights/best.safetensors")
    assert weights_path("mine") == Path("runs/mine/weights/best.safetensors")  # of a training
    assert weights_path("DEFAULT") == Path("DEFAULT")
    Path("mine").mkdir()  # a folder of that name that is no run
    assert find_weights("mine") == Path("runs/mine/weights/best.safetensors")
    with pytest.raises(WeightsError, match=r"^your: there is no .* no run runs/your; runs with weights are mine$"):
        find_weights("your")
    (run / "weights" / "best.safetensors").rename(run / "weights" / "last.ckpt")
    with pytest.raises(WeightsError, match=r"gridyolo train --resume runs/mine"):
        find_weights("mine")


def test_only_some_classes(weights: Path, shapes: Path) -> None:
    detector = Detector(weights, device="cpu")
    image = shapes.parent / "images" / "val" / "0.png"
    every = detector(image)
    assert set(every.names) == {"red", "blue"}
    for wanted in ("red", 0, ["red"], [0, "red"], "0"):
        found = detector(image, classes=wanted)  # type: ignore[arg-type]
        assert same(found, every[every.labels == 0])
    assert len(detector(image, classes=[])) == 0
    assert set(next(detector.predict(image, classes="blue")).names) == {"blue"}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("redd", "class 'redd' is unknown: did you mean red[?] the detector's classes are red, blue"),
        (2, "class 2 is unknown: the detector's"),
        ("RED", "class 'RED' is unknown: did you mean red[?]"),
        ([-1], "class -1"),
        (np.int64(7), "class .*7.* is unknown: the detector's"),
        ([True], "class True"),
        ([0.5], r"class 0\.5"),
    ],
)
def test_classes_that_there_are_not(wanted: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chosen_labels(wanted, ("red", "blue"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conf": 0.5}, "did you mean score_threshold"),
        ({"score_threshold": 1.5}, r"must be in \[0, 1\]"),
        ({"iou_threshold": "high"}, "must be a number"),
        ({"max_detections": 0}, "at least 1"),
        ({"color": "hsv"}, "'rgb', 'bgr'"),
        ({"overlap": 0.2}, "^overlap is about tiles: add tile$"),
        ({"score_threshold": "nowhere/metrics.json"}, "^score_threshold='nowhere/metrics.json': is neither a number"),
    ],
)
def test_options_that_make_no_sense(weights: Path, options: Any, message: str) -> None:
    detector = Detector(weights, device="cpu")
    for call in (detector, detector.predict):
        with pytest.raises(ConfigError, match=message):
            call(np.zeros((5, 5, 3), np.uint8), **options)


def test_the_options_for_type_checkers_are_those_that_are_checked() -> None:
    listed = get_type_hints(DetectOptions)
    listed.pop("classes")
    assert listed == get_type_hints(DetectConfig)


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(weights: Path, shapes: Path, tmp_path: Path) -> None:
    shutil.copy(shapes.parent / "images" / "val" / "0.png", tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"no image")
    detector, told = Detector(weights, device="cpu"), []
    (found,) = detector.predict(tmp_path, on_unreadable=lambda name, reason: told.append((name, reason)))
    assert found.source == str(tmp_path / "b.png")
    assert [Path(name).name for name, _ in told] == ["a.png"]
    with pytest.warns(UserWarning, match=r"a\.png: is not an image"):
        list(detector.predict(tmp_path))
    with pytest.warns(UserWarning, match=r"a\.png"), pytest.raises(DataError, match=r"no image .*a\.png: is not"):
        list(detector.predict(tmp_path / "a.png"))
    with pytest.raises(DataError, match="it is empty"):
        list(detector.predict([]))


def test_an_endless_source_is_detected_on_one_by_one(weights: Path) -> None:
    made: list[int] = []

    def camera() -> Iterator[Any]:
        while True:
            made.append(1)
            yield np.zeros((9, 9, 3), np.uint8)

    results = Detector(weights, device="cpu").predict(camera())
    assert [next(results).size_hw for _ in range(3)] == [(9, 9)] * 3
    assert len(made) < 50
    results.close()  # type: ignore[attr-defined]


def test_a_detector_shows_what_it_is_and_warms_up(weights: Path) -> None:
    detector = Detector(weights, device="cpu")
    assert repr(detector) == (
        f"<Detector {weights}: {detector.metadata.network.name} at 64x64, 2 classes (red, blue), cpu, precision 32>"
    )
    detector.warmup(batch_size=2)


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": None}, "^weights must be a string, got None$"),
        ({"weights": 3}, "^weights must be a string, got 3$"),
        ({"weights": ""}, "^weights must be a weights file, a run folder or the name of a run, got ''$"),
        ({"device": "tpu"}, "^device 'tpu' is unknown"),
        ({"device": None}, "^device must be a string, got None$"),
        ({"device": 77}, "^device 77: this machine shows .*; use device='cpu'$"),
        ({"input_size": "640"}, "^input_size must be an integer or None, got '640'$"),
        ({"input_size": -32}, "^input_size must be at least 1, got -32$"),
        ({"precision": "16"}, "^precision must be one of '32', 'bf16', 'fp16', got '16'$"),
        ({"names": "a.txt"}, "^names is for darknet's weights; "),
    ],
)
def test_a_detector_cannot_be_opened_so(weights: Path, arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Detector(**{"weights": weights} | arguments)


def test_commands_name_their_options(weights: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--names is for darknet's weights"):
        detector_of(PredictConfig(weights=str(weights), source="s", names="a.txt"))
    assert detector_of(PredictConfig(weights=str(weights), source="s", device="cpu")).device.type == "cpu"
    assert Detector(weights, device=torch.device("cpu"), precision=32).device.type == "cpu"  # type: ignore[arg-type]


def test_the_settings_where_nobody_gives_any(metadata: DetectorMetadata) -> None:
    shown, measured = metadata.predict, metadata.val
    assert (shown.score_threshold, shown.iou_threshold, shown.max_detections) == (0.25, 0.5, 300)
    assert (measured.score_threshold, measured.iou_threshold, measured.max_detections) == (0.001, 0.6, 300)
