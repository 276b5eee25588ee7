"""Detections of darknet's networks against darknet's own steps by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.darknet.networks import detector_cfg
from tests.engine.darknet_detectors import network_from, write_darknet
from tests.reference.darknet_nms import nms_by_class
from yolo import Detector
from yolo.boxes import clip_to_image
from yolo.config import DarknetImportConfig
from yolo.darknet.load import load_darknet
from yolo.darknet.lookup import find_cfg
from yolo.darknet.plan import plan_cfg
from yolo.engine.darknet import import_darknet
from yolo.errors import ConfigError
from yolo.geometry import stretch_corners


def image_of(size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size_hw, 3), dtype=np.uint8)


def by_hand(weights: Path, image: np.ndarray, score_threshold: float, iou_threshold: float) -> set[tuple[float, ...]]:
    """Rows (label, score, x1, y1, x2, y2), rounded, of darknet's own steps one after the other."""
    plan = plan_cfg(find_cfg(weights.with_suffix(".cfg")))
    network, _ = load_darknet(weights, network_from(plan.text).spec)
    assert network.grid is not None
    height, width = plan.net.height, plan.net.width
    placed = torch.from_numpy(stretch_corners(image, (height, width))).permute(2, 0, 1)[None]
    with torch.no_grad():
        parts = network.grid.activate(network.grid.split(network(placed)))
    boxes = network.grid.decode_boxes(parts)[0].flatten(0, 2)
    confidence = parts.confidence[0].flatten()
    classes = parts.class_probs[0][:, :, None].expand(-1, -1, network.grid.boxes_per_cell, -1).flatten(0, 2)
    scores = confidence[:, None] * classes
    scores[scores <= score_threshold] = 0
    boxes = boxes * boxes.new_tensor(image.shape[1::-1] * 2)
    kept = nms_by_class(boxes, confidence, scores, iou_threshold=iou_threshold)
    boxes = clip_to_image(boxes[kept.order], image.shape[:2])
    return {
        (label, *(round(value, 2) for value in (float(kept.scores[place, label]), *boxes[place].tolist())))
        for place, label in kept.scores.nonzero().tolist()
        if (boxes[place, 2:] > boxes[place, :2]).all()
    }


@pytest.mark.parametrize("detection", [{}, {"softmax": 1, "sqrt": 0}], ids=str)
@pytest.mark.parametrize("size", [{}, {"width": 48, "height": 32}, {"width": 32, "height": 40}], ids=str)
@pytest.mark.parametrize("thresholds", [(0.2, 0.4), (0.001, 0.1)])
def test_detections_are_those_of_darknets_steps_by_hand(
    detection: dict[str, int], size: dict[str, int], thresholds: tuple[float, float], tmp_path: Path
) -> None:
    cfg = detector_cfg(side=3, classes=3, net=size).replace("sqrt=1\n", "")
    cfg += "".join(f"{key}={value}\n" for key, value in ({"sqrt": 1} | detection).items())
    weights = write_darknet(tmp_path, cfg)
    image = image_of((37, 53))
    found = Detector(weights, device="cpu")(image, score_threshold=thresholds[0], iou_threshold=thresholds[1])
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    expected = by_hand(weights, image, *thresholds)
    assert len(expected) > 3
    assert {(label, *(round(value, 2) for value in (score, *box))) for label, score, box in rows} == expected
    assert len(found) == len(expected)


def test_no_detection_is_lost_to_a_limit(tmp_path: Path) -> None:
    # 5 * 5 * 4 boxes of 90 classes: 9000, about half of them with a score above 0
    cfg = detector_cfg(classes=90, side=5, num=4)
    weights, image = write_darknet(tmp_path, cfg), image_of((20, 30))
    network = network_from(cfg)
    assert network.grid is not None
    with torch.no_grad():
        parts = network.grid.split(network(torch.from_numpy(stretch_corners(image, (32, 32))).permute(2, 0, 1)[None]))
    found = Detector(weights, device="cpu")(image, score_threshold=0.0, iou_threshold=1.0)
    wanted = (parts.confidence[..., None] * parts.class_probs[..., None, :])[parts.size_wh.abs().amin(dim=-1) > 0]
    assert 4096 < len(found) <= int((wanted > 0).sum())


def test_the_input_size_of_a_cfg_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the cfg's input is 32x32"):
        Detector(write_darknet(tmp_path), device="cpu", input_size=64)


def test_bf16_is_near_and_fp16_needs_cuda(tmp_path: Path) -> None:
    weights, image = write_darknet(tmp_path), image_of((40, 30))
    exact, near = (
        Detector(weights, device="cpu", precision=precision)(image, score_threshold=0.0, iou_threshold=1.0)
        for precision in ("32", "bf16")
    )
    assert len(exact) == len(near) > 0
    assert (exact.scores - near.scores).abs().max() < 0.05 * exact.scores.max()
    assert not torch.equal(exact.scores, near.scores)
    with pytest.raises(ConfigError, match="fp16 needs a CUDA device"):
        Detector(weights, device="cpu", precision="fp16")


def test_an_imported_detector_answers_like_its_files(tmp_path: Path) -> None:
    weights, image = write_darknet(tmp_path), image_of((40, 30))
    imported = import_darknet(DarknetImportConfig(weights=str(weights)))
    assert imported == weights.with_suffix(".safetensors")
    one, two = Detector(weights, device="cpu")(image), Detector(imported, device="cpu")(image)
    assert len(one) > 0
    assert torch.equal(one.boxes, two.boxes)
    assert Detector(imported, device="cpu").input_hw == (32, 32)
