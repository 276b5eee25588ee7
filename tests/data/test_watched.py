import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolo.config import AugmentConfig
from yolo.data.cache import read_placed
from yolo.data.dataset import DetectionDataset
from yolo.data.loader import EvaluationBatches, TrainBatches, make_loader, original_images
from yolo.errors import DataError, ImageReadError
from yolo.images import decode_image, write_image
from yolo.structures import AnnotatedImage, Batch, GroundTruth, Sample, SkippedImage
from yolo.transforms.augment import TrainTransform

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers get their faults by fork")

BAD = "3.png"


@pytest.fixture
def data(tmp_path: Path) -> DetectionDataset:
    images = []
    for number in range(7):
        path = tmp_path / f"{number}.png"
        write_image(path, np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8))
        truth = GroundTruth.from_boxes([[number, 2, 20, 30]], [0])
        images.append(AnnotatedImage(str(number), path, (40, 48), truth))
    return DetectionDataset(
        images, input_hw=(32, 32), resize="letterbox", augment=TrainTransform(AugmentConfig()), seed=5
    )


def fault(monkeypatch: pytest.MonkeyPatch, happens: Callable[[Path], object]) -> None:
    """Let something happen whenever an image is about to be read."""

    def read(file: Any, *rest: Any, **options: Any) -> Any:
        happens(file.path)
        return read_placed(file, *rest, **options)

    monkeypatch.setattr("yolo.data.dataset.read_placed", read)


def refuse(path: Path) -> None:
    if path.name == BAD:
        raise ImageReadError(f"{path}: bad")


def batches_of(data: DetectionDataset, *, workers: int, count: int = 6) -> list[Batch]:
    plan = TrainBatches(len(data), 3, seed=5, with_mosaic=lambda epoch: True)
    loader: Iterable[Batch] = make_loader(data, plan, workers=workers, patience=0.6)
    return list(islice(loader, count))


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert [batch.indices for batch in found] == [batch.indices for batch in expected]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets.boxes, other.targets.boxes)
        assert [Path(skipped.path).name for skipped in one.skipped] == [
            Path(skipped.path).name for skipped in other.skipped
        ]


def test_an_image_that_hangs_is_skipped_like_one_that_cannot_be_read(
    data: DetectionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, refuse)
    expected = batches_of(data, workers=0)
    fault(monkeypatch, lambda path: time.sleep(1000) if path.name == BAD else None)
    found = batches_of(data, workers=2)
    assert_same(found, expected)
    reasons = [skipped.reason for batch in found for skipped in batch.skipped]
    assert len(reasons) == 2  # once an epoch
    path = data.images[3].path
    assert reasons[0] == (
        f"{path}: reading it has not ended after 0.6 seconds; is the drive there, and the file whole?"
    )


def test_without_workers_it_is_skipped_as_well(data: DetectionDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch, refuse)
    expected = batches_of(data, workers=0)
    tried = []

    def hang(path: Path) -> None:
        if path.name == BAD:
            tried.append(path)
            time.sleep(1000)

    fault(monkeypatch, hang)
    found = batches_of(data, workers=0)
    assert len(tried) == 1  # though there are two epochs
    assert_same(found, expected)
    reasons = [skipped.reason for batch in found for skipped in batch.skipped]
    assert [reason.endswith("the file whole?") for reason in reasons] == [True, True]


def test_a_killed_worker_is_started_again_and_nothing_is_lost(
    data: DetectionDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = batches_of(data, workers=0)

    def die_once(path: Path) -> None:
        if path.name == BAD and not (tmp_path / "dead").exists():
            (tmp_path / "dead").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    fault(monkeypatch, die_once)
    assert_same(batches_of(data, workers=2), expected)
    said = capfd.readouterr().err
    assert said.count("a process that loads images was killed while it read") == 1
    assert str(data.images[3].path) in said
    assert "lack of memory: use fewer --workers" in said


def test_an_image_that_kills_whoever_reads_it_is_skipped(
    data: DetectionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, refuse)
    expected = batches_of(data, workers=0, count=3)
    fault(monkeypatch, lambda path: os.kill(os.getpid(), signal.SIGKILL) if path.name == BAD else None)
    found = batches_of(data, workers=2, count=3)
    assert_same(found, expected)
    (skipped,) = (skipped for batch in found for skipped in batch.skipped)
    assert skipped.reason.endswith("3.png: the process that read it was killed, 2 times")


def test_workers_that_are_killed_again_and_again_end_the_run(
    data: DetectionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, lambda path: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(DataError, match=r"were killed 4 times in a row, on .*\.png; mostly for lack of memory"):
        batches_of(data, workers=1)


def test_other_errors_of_workers_are_raised(data: DetectionDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise RuntimeError("a fault of our own")

    fault(monkeypatch, fail)
    with pytest.raises(RuntimeError, match="a fault of our own"):
        batches_of(data, workers=1)


def test_slow_is_not_stuck(data: DetectionDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = batches_of(data, workers=0, count=3)
    fault(monkeypatch, lambda path: time.sleep(0.25))  # two seconds for a batch
    assert_same(batches_of(data, workers=1, count=3), expected)


def test_every_pass_of_an_evaluation_has_all_images(data: DetectionDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DetectionDataset(data.images, input_hw=(32, 32), resize="letterbox")
    fault(monkeypatch, lambda path: time.sleep(1000) if path.name == BAD else None)
    loader = make_loader(data, EvaluationBatches(7, 3), workers=2, patience=0.6)
    before = signal.getsignal(signal.SIGCHLD)
    for _ in range(2):
        batches = list(loader)
        assert [batch.indices for batch in batches] == [(0, 1, 2), (4, 5), (6,)]
        assert len(batches[1].skipped) == 1
    assert signal.getsignal(signal.SIGCHLD) == before


def test_a_worker_that_is_killed_between_two_passes_is_started_again(
    data: DetectionDataset, capfd: pytest.CaptureFixture[str]
) -> None:
    data = DetectionDataset(data.images, input_hw=(32, 32), resize="letterbox")
    loader = make_loader(data, EvaluationBatches(7, 3), workers=2, patience=30.0)
    expected = list(loader)
    worker = multiprocessing.active_children()[0]
    worker.kill()
    worker.join()
    assert_same(list(loader), expected)
    said = capfd.readouterr().err
    assert said.count("a process that loads images was killed while it read no image") == 1
    assert_same(list(loader), expected)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("workers", [0, 2])
def test_original_images_are_watched_too(workers: int, data: DetectionDataset, monkeypatch: pytest.MonkeyPatch) -> None:

    def slow(content: bytes, *, name: str, bit_depth: int) -> Any:
        if name.endswith(BAD):
            time.sleep(1000)
        return decode_image(content, name=name)

    monkeypatch.setattr("yolo.data.dataset.decode_image", slow)
    found = list(original_images(data, workers=workers, patience=0.6))
    assert [one.index if isinstance(one, Sample) else BAD for one in found] == [0, 1, 2, BAD, 4, 5, 6]
    assert isinstance(found[3], SkippedImage)
    assert "has not ended after 0.6 seconds" in found[3].reason
