import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolo import Result
from yolo.errors import DataError
from yolo.formats.coco_results import write_predictions
from yolo.formats.coco_write import ground_truth_dict
from yolo.formats.detections_json import DetectionsWriter, entry_of
from yolo.structures import AnnotatedImage, Detections, GroundTruth

SIZE_HW = (30, 40)
NAMES = ("cat", "dog")


def found(count: int, seed: int = 0) -> Detections:
    generator = np.random.default_rng(seed)
    low = generator.uniform(0, 15, (count, 2))
    boxes = np.concatenate([low, low + generator.uniform(1, 15, (count, 2))], axis=1).astype(np.float32)
    scores = np.sort(generator.uniform(0, 1, count).astype(np.float32))[::-1].copy()
    return Detections(
        torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(generator.integers(0, 2, count)), SIZE_HW
    )


def put_detections(path: Path) -> Path:
    writer = DetectionsWriter(path, {"class_names": NAMES, "category_ids": [7, 9]})
    writer.add(entry_of(found(3), NAMES, category_ids=(7, 9), about={"source": "a.jpg"}))
    writer.add({"source": "b.jpg", "error": "b.jpg: is empty"})
    about = {"source": "v.mp4", "frame": 4, "time": 0.16}
    writer.add(entry_of(found(2, 1), NAMES, track_ids=[5, -1], about=about))
    writer.add(entry_of(found(0), NAMES, about={"source": "c.jpg"}))
    writer.close()
    return path


def assert_same(one: Detections, other: Detections) -> None:
    assert one.size_hw == other.size_hw
    for name in ("boxes", "scores", "labels"):
        assert torch.equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("name", ["detections.json", "detections.jsonl"])
@pytest.mark.parametrize("by_folder", [False, True])
def test_what_predict_wrote_comes_back_to_the_bit(tmp_path: Path, name: str, by_folder: bool) -> None:
    path = put_detections(tmp_path / name)
    first, frame, empty = Result.read(str(path.parent if by_folder else path))
    assert_same(first.detections, found(3))
    assert (first.source, first.class_names, first.category_ids) == ("a.jpg", NAMES, (7, 9))
    assert first.track_ids is None
    assert_same(frame.detections, found(2, 1))
    assert (frame.source, frame.frame, frame.time) == ("v.mp4", 4, 0.16)
    assert frame.track_ids is not None
    assert frame.track_ids.tolist() == [5, -1]
    assert (len(empty), empty.size_hw) == (0, SIZE_HW)


@pytest.mark.parametrize("companion", ["ground_truth.json", "images.json"])
def test_what_val_wrote_comes_back(tmp_path: Path, companion: str) -> None:
    detections = {"12": found(3), "7": found(0), "9": found(2, 1)}
    write_predictions(tmp_path / "predictions.json", detections, category_ids=(7, 9))
    images = [AnnotatedImage(key, Path(f"{key}.jpg"), SIZE_HW, GroundTruth.empty()) for key in detections]
    truth = ground_truth_dict(images, NAMES, category_ids=(7, 9))
    (tmp_path / companion).write_text(json.dumps(truth))
    results = Result.read(tmp_path)
    assert [result.source for result in results] == ["12.jpg", "7.jpg", "9.jpg"]
    for result, expected in zip(results, detections.values(), strict=True):
        assert_same(result.detections, expected)
        assert (result.class_names, result.category_ids) == (NAMES, (7, 9))


def damaged(**changes: Any) -> dict[str, Any]:
    detection = {"class": "cat", "label": 0, "score": 0.5, "box": [1, 2, 3, 4]} | changes.pop("detection", {})
    entry = {"source": "a.jpg", "width": 40, "height": 30, "detections": [detection]} | changes.pop("entry", {})
    return {"format": "gridyolo-detections", "version": 1, "class_names": ["cat"], "images": [entry]} | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (damaged(detection={"class": "cow"}), "does not know the class 'cow' of a detection"),
        (damaged(detection={"box": [1, 2, 3]}), r"image 'a.jpg', detection 0: box is \[1, 2, 3\]"),
        (damaged(entry={"width": None}), "image 0 has no height and width in pixels"),
        (damaged(class_names=None), "has no list 'class_names'"),
        (damaged(version=9), "has the version 9"),
    ],
)
def test_damage_is_named_in_a_line(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"detections\.json: {message}") as raised:
        Result.read(path)
    assert "\n" not in str(raised.value)


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = put_detections(tmp_path / "detections.json")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"detections\.json: is not JSON: it ends before it is complete"):
        Result.read(path)


def test_ids_alone_say_nothing(tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.json", {"1": found(1)})
    with pytest.raises(DataError, match=r"has ids alone, and there is no ground_truth\.json or images\.json beside it"):
        Result.read(tmp_path)
    with pytest.raises(DataError, match=r"has none of detections\.json, .*; is it the run folder of predict or val"):
        Result.read(tmp_path.parent / tmp_path.name / "..")
    with pytest.raises(DataError, match=r"nothing\.json"):
        Result.read(tmp_path / "nothing.json")
