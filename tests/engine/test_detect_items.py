import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolo.engine.detect_items import detect_items, group_items
from yolo.engine.output_names import OutputNames
from yolo.engine.prediction_pictures import PictureWriter
from yolo.engine.result import Result
from yolo.engine.workers import Workers
from yolo.errors import DataError
from yolo.images import Decoded, decode, write_image
from yolo.media.items import Frame, ImageFile, Item, Unreadable
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.structures import Detections

SETTINGS = PostprocessSettings(score_threshold=0.25, iou_threshold=0.5, max_detections=10)
BITS = 8


def numbered(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A frame that carries its number: stripes from left to right, white for the bits that are set."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    return np.repeat(np.repeat(np.array(bits, np.uint8)[None, :, None] * 255, 40, axis=0), 12, axis=1).repeat(3, axis=2)


def number_of(image: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """The number that a frame carries, below what was drawn on it."""
    row = image[-2, 6::12].mean(axis=1) > 127
    return int(sum(int(bit) << place for place, bit in enumerate(row)))


class NumberReader:
    """Stands for a detector: takes its time, and answers with a box whose left edge is the number on the frame."""

    device = torch.device("cpu")
    input_hw = (320, 320)
    bit_depth = 16

    def detect_frames(self, frames: Sequence[Frame], settings: PostprocessSettings) -> list[Result]:
        time.sleep(random.random() / 100)
        if any(frame.source == "bad" for frame in frames):
            raise RuntimeError("out of memory")
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: Frame) -> Result:
        left = float(number_of(frame.image)) % 90
        found = Detections(torch.tensor([[left, 2.0, left + 5, 8.0]]), torch.ones(1), torch.zeros(1).long(), (40, 96))
        return Result(found, class_names=("one",), image=frame.image, source=frame.source, frame=frame.index)


def frames(count: int) -> Iterator[Item]:
    for number in range(count):
        time.sleep(random.random() / 500)
        yield Frame(numbered(number), "video.mp4", index=number, time=number / 25, fps=25.0)


def test_boxes_are_drawn_on_their_own_frame_however_long_each_step_takes(tmp_path: Path) -> None:
    detector: Any = NumberReader()
    pictures = PictureWriter(tmp_path, OutputNames())

    def draw(result: Result | Unreadable) -> tuple[Result | Unreadable, Any]:
        time.sleep(random.random() / 200)
        return result, pictures.draw(result) if isinstance(result, Result) else None

    with Workers(3) as workers:
        outcomes = detect_items(detector, frames(100), SETTINGS, workers=workers)
        for number, (result, picture) in enumerate(workers.map(draw, outcomes, ahead=4)):
            assert isinstance(result, Result)
            assert result.frame == number == number_of(picture.image)  # the picture shows this frame
            assert result.boxes[0, 0] == number % 90  # and its own box
    assert number == 99


def test_files_are_read_in_order_and_what_cannot_be_read_keeps_its_place(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(20)]
    for number, name in enumerate(names):
        write_image(tmp_path / name, numbered(number))
    (tmp_path / "7.png").write_bytes(b"no image")
    items = [ImageFile(str(tmp_path / name)) for name in names]
    detector: Any = NumberReader()
    with Workers(2) as workers:
        outcomes = list(detect_items(detector, items, SETTINGS, workers=workers, keep_images=False))
    assert [Path(outcome.source or "").name for outcome in outcomes] == names
    assert isinstance(outcomes[7], Unreadable)
    assert "not an image" in outcomes[7].reason
    results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
    assert [int(result.boxes[0, 0]) for result in results] == [*range(7), *range(8, 20)]
    assert all(result.image is None for result in results)


def test_an_error_of_the_network_names_the_source() -> None:
    detector: Any = NumberReader()
    with Workers(1) as workers, pytest.raises(RuntimeError, match="out of memory") as caught:
        list(detect_items(detector, [Frame(numbered(1), "bad")], SETTINGS, workers=workers))
    assert caught.value.__notes__ == ["while detecting on bad"]


def test_groups_have_few_images_where_images_are_large(tmp_path: Path) -> None:
    small = Frame(numbered(1), "a")
    large = Frame(np.zeros((3000, 4000, 3), np.uint8), "b")
    (tmp_path / "photo.jpg").write_bytes(bytes(3_000_000))
    photo = ImageFile(str(tmp_path / "photo.jpg"))
    groups = list(group_items([small, small, small, large, large, photo, photo, small], most=2))
    assert [len(group) for group in groups] == [2, 2, 1, 1, 1, 1]


def test_frames_that_come_slowly_do_not_wait_for_others() -> None:
    def camera() -> Iterator[Item]:
        for number in range(3):
            time.sleep(0.03)
            yield Frame(numbered(number), "camera", index=number)

    assert [len(group) for group in group_items(camera(), most=8)] == [1, 1, 1]


def test_what_came_before_a_failing_source_is_detected() -> None:
    def breaks() -> Iterator[Item]:
        yield from (Frame(numbered(number), "video.mp4", index=number) for number in range(3))
        raise DataError("video.mp4: cannot be read any further")

    seen: list[Any] = []
    detector: Any = NumberReader()
    with Workers(2) as workers, pytest.raises(DataError, match="any further"):
        seen.extend(detect_items(detector, breaks(), SETTINGS, workers=workers))
    assert [outcome.frame for outcome in seen if isinstance(outcome, Result)] == [0, 1, 2]


def test_an_image_whose_reading_does_not_end_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / name, numbered(7))
    ended = threading.Event()

    def slow(data: bytes, *, name: str, bit_depth: int) -> Decoded:
        if name.endswith("b.png"):
            ended.wait()
        return decode(data, name=name, bit_depth=bit_depth)

    monkeypatch.setattr("yolo.media.items.decode", slow)
    monkeypatch.setattr("yolo.engine.detect_items.READ_SECONDS", 0.2)
    files = [ImageFile(str(path)) for path in sorted(tmp_path.iterdir())]
    with Workers(2) as workers:
        first, second, third = detect_items(NumberReader(), files, SETTINGS, workers=workers)  # type: ignore[arg-type]
    assert isinstance(first, Result)
    assert isinstance(third, Result)
    assert isinstance(second, Unreadable)
    assert second.reason.endswith(
        "b.png: reading it has not ended after 0.2 seconds; is the drive there, and the file whole?"
    )
    ended.set()
