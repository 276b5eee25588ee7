"""Detection on synthetic pictures, with a detector that finds blobs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.engine.shapes import write_untrained
from yolo.arrays import UInt8
from yolo.config import PredictConfig, ValConfig
from yolo.engine.predict import predict
from yolo.engine.result import StageSeconds
from yolo.engine.tiled import detect_tiled
from yolo.engine.validate import validate
from yolo.errors import ConfigError
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.postprocess.tiles import Tiling
from yolo.structures import Detections

SETTINGS = PostprocessSettings(score_threshold=0.25, iou_threshold=0.5, max_detections=1000)
COLOURS = ((255, 0, 0), (0, 0, 255))
_INPUT, _SMALLEST = 160, 4  # side of the input, and of the smallest object that is seen on it


def find_blobs(images: Sequence[UInt8], settings: PostprocessSettings) -> tuple[list[Detections], StageSeconds]:
    """A detector with an input of 160 pixels: the box of every blob that is at least 4 pixels wide and high on it."""
    found = []
    for image in images:
        height, width = image.shape[:2]
        scale = _INPUT / max(height, width)
        boxes, labels = [], []
        for label, colour in enumerate(COLOURS):
            mask = cv2.inRange(image, colour, colour)
            for x, y, w, h, _ in cv2.connectedComponentsWithStats(mask)[2][1:].tolist():
                if min(w, h) * scale >= _SMALLEST:
                    boxes.append((x, y, x + w, y + h))
                    labels.append(label)
        scores = torch.full((len(boxes),), 0.9)
        found.append(
            Detections(torch.tensor(boxes).reshape(-1, 4).float(), scores, torch.tensor(labels).long(), (height, width))
        )
    return found, StageSeconds(0.25, 0.5, 0.125)


def paint(size_hw: tuple[int, int], objects: Sequence[tuple[int, int, int, int, int]]) -> UInt8:
    image = np.full((*size_hw, 3), 114, np.uint8)
    for x1, y1, x2, y2, label in objects:
        image[y1:y2, x1:x2] = COLOURS[label]
    return image


def rows(found: Detections) -> list[tuple[int, ...]]:
    """x1, y1, x2, y2, label of each detection."""
    return sorted(
        (*map(int, box), label) for box, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True)
    )


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([(150, 20, 170, 40, 0)], id="whole in the overlap of two tiles"),
        pytest.param([(120, 20, 150, 40, 0)], id="cut by the second tile"),
        pytest.param([(155, 60, 230, 90, 1)], id="cut by the first tile"),
        pytest.param([(100, 60, 220, 90, 1)], id="wider than the overlap, cut by both"),
        pytest.param([(140, 140, 165, 165, 0)], id="at the corner of four tiles"),
        pytest.param([(90, 90, 240, 240, 0)], id="larger than the overlap, at the corner of four tiles"),
        pytest.param([(10, 30, 460, 60, 0)], id="longer than two tiles"),
        pytest.param([(30, 30, 450, 440, 1)], id="larger than four tiles"),
        pytest.param([(100, 60, 150, 90, 0), (151, 60, 220, 90, 0)], id="two neighbours whose gap is on a seam"),
        pytest.param([(100, 60, 220, 90, 0), (100, 92, 220, 122, 0)], id="two below each other, each cut by both"),
        pytest.param([(100, 60, 220, 90, 0), (100, 90, 220, 120, 1)], id="two classes that touch"),
        pytest.param([(0, 0, 20, 20, 0), (460, 460, 480, 480, 1)], id="at the corners of the image"),
        pytest.param([(x, y, x + 12, y + 12, 0) for x in range(2, 460, 24) for y in range(2, 460, 24)], id="a grid"),
        pytest.param([], id="nothing"),
    ],
)
def test_objects_at_seams_are_found_once_and_whole(objects: list[tuple[int, int, int, int, int]]) -> None:
    # tiles of 160 pixels with 53 or 54 in common: seams at 106..160, 213..266, 320..373
    image = paint((480, 480), objects)
    found, _ = detect_tiled(find_blobs, image, SETTINGS, Tiling(160, 0.2))
    assert found.size_hw == (480, 480)
    assert rows(found) == sorted(objects)


def test_tiny_objects_of_a_large_picture() -> None:
    generator = np.random.default_rng(0)
    places = [
        (x, y, *generator.integers(0, 80, 2).tolist()) for x in range(10, 1900, 270) for y in range(10, 1400, 270)
    ]
    objects = [(x + dx, y + dy, x + dx + 12, y + dy + 10, dx % 2) for x, y, dx, dy in places]
    image = paint((1500, 2000), objects)
    assert len(find_blobs([image], SETTINGS)[0][0]) == 0  # 12 pixels of 2000 are one of 160
    assert rows(detect_tiled(find_blobs, image, SETTINGS, Tiling(320, 0.2))[0]) == sorted(objects)


def test_an_image_that_fits_into_a_tile_is_detected_as_without() -> None:
    image = paint((100, 160), [(5, 5, 50, 50, 0), (20, 60, 90, 90, 1)])
    calls: list[int] = []

    def detect(images: Sequence[UInt8], settings: PostprocessSettings) -> tuple[list[Detections], StageSeconds]:
        calls.append(len(images))
        return find_blobs(images, settings)

    found, seconds = detect_tiled(detect, image, SETTINGS, Tiling(160))
    assert calls == [1]
    assert torch.equal(found.boxes, find_blobs([image], SETTINGS)[0][0].boxes)
    assert seconds == StageSeconds(0.25, 0.5, 0.125)


def test_batches_are_bounded_and_the_whole_image_comes_last() -> None:
    shapes: list[list[tuple[int, ...]]] = []

    def detect(images: Sequence[UInt8], settings: PostprocessSettings) -> tuple[list[Detections], StageSeconds]:
        shapes.append([image.shape for image in images])
        return find_blobs(images, settings)

    _, seconds = detect_tiled(detect, paint((480, 480), []), SETTINGS, Tiling(160, 0.2))
    assert max(map(len, shapes)) <= 8
    assert [shape for batch in shapes for shape in batch] == [(160, 160, 3)] * 16 + [(480, 480, 3)]
    assert (seconds.preprocess, seconds.inference) == (17 * 0.25, 17 * 0.5)


def test_options_that_make_no_sense() -> None:
    commands: list[tuple[Any, dict[str, Any]]] = [
        (PredictConfig, {"weights": "w", "source": "s"}),
        (ValConfig, {"weights": "w", "data": "d"}),
    ]
    for config, values in commands:
        config(**values, tile=320, overlap=0.3)
        with pytest.raises(ConfigError, match="add --tile"):
            config(**values, overlap=0.3)
        with pytest.raises(ConfigError, match="at least 32"):
            config(**values, tile=0)
        with pytest.raises(ConfigError, match="overlap must be in"):
            config(**values, tile=320, overlap=1.0)


def test_predict_and_val_with_tiles(shapes: Path, tmp_path: Path) -> None:
    """Images of 96 x 64 in tiles of 64: both commands find the same."""
    weights = str(write_untrained(tmp_path / "untrained.safetensors"))
    options: dict[str, Any] = {"weights": weights, "runs": str(tmp_path), "device": "cpu", "score_threshold": 0.001}
    of_val: dict[str, Any] = options | {"data": str(shapes), "workers": 0, "report": False}
    source = str(shapes.parent / "images" / "val")
    config = PredictConfig(source=source, iou_threshold=0.6, save_images=False, tile=64, overlap=0.5, **options)
    progress: list[int] = []
    tiled = validate(ValConfig(**of_val, tile=64, overlap=0.5), lambda one: progress.append(one.images))
    assert progress == [1, 2, 3, 4]
    assert sum(map(len, tiled.evaluation.detections.values())) == predict(config).num_detections > 0
    # tiles as large as the images change nothing
    without, large = validate(ValConfig(**of_val)), validate(ValConfig(**of_val, tile=96))
    for image_id, found in without.evaluation.detections.items():
        assert torch.allclose(found.boxes, large.evaluation.detections[image_id].boxes, atol=1e-2)
    assert large.metrics.num_objects == without.metrics.num_objects == 8
