"""Prediction over a source: pictures with boxes, and everything found as JSON, with flat memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from yolo.config import PredictConfig
from yolo.console import say
from yolo.engine.detector import Detector, choose_settings
from yolo.engine.detector_file import DetectorMetadata
from yolo.errors import DataError
from yolo.files import atomic_write, new_folder
from yolo.images import write_image
from yolo.media.drawing import draw_detections
from yolo.media.frames import Frame, Unreadable, VideoWriter, open_source
from yolo.structures import Detections


@dataclass(slots=True)
class PredictionSummary:
    """What a prediction run did."""

    folder: Path  # where pictures and predictions.json are
    num_images: int = 0  # images or frames seen
    num_detections: int = 0  # on all of them
    skipped: dict[str, str] = field(default_factory=dict)  # unreadable images, by path with the reason
    seconds: Counter[str] = field(default_factory=Counter)  # spent in all, by stage


def predict(config: PredictConfig, console: Console | None = None) -> PredictionSummary:
    """Detect on everything a source gives, one image at a time; see `PredictConfig`.

    Raises:
        WeightsError: weights that cannot be used.
        DataError: a source that does not exist or gives no image.
    """
    console = console or Console(quiet=True)
    frames = open_source(config.source)  # before the network is built: a mistyped source fails at once
    detector = Detector(
        config.weights,
        device=config.device,
        input_size=config.input_size,
        cfg=config.cfg,
        names=config.names,
        precision=config.precision,
    )
    settings, lines = choose_settings(
        detector.metadata,
        score_threshold=config.score_threshold,
        iou_threshold=config.iou_threshold,
        max_detections=config.max_detections,
        min_precision=config.min_precision,
        min_recall=config.min_recall,
    )
    say(console, *lines)
    first = next(frames)  # a single image that cannot be read leaves no run folder behind
    summary = PredictionSummary(new_folder(Path(config.runs), config.name))
    with _json_list(summary.folder / "predictions.json") as write, closing(_Pictures(summary.folder)) as pictures:
        for frame in chain([first], frames):
            if isinstance(frame, Unreadable):
                summary.skipped[str(frame.path)] = frame.reason
                write({"image": str(frame.path), "error": frame.reason})
                say(console, f"skipped: {frame.reason}")
                continue
            (found,) = detector.detect_batch([frame.image], settings)
            summary.num_images += 1
            summary.num_detections += len(found)
            summary.seconds.update(asdict(detector.seconds))
            write(describe(frame, found, detector.metadata))
            if config.save_images:
                pictures.add(frame, draw_detections(frame.image, found, detector.class_names))
            say(console, _console_line(frame, found, detector))
    if not summary.num_images:
        raise DataError(f"source {config.source}: no image could be read; {next(iter(summary.skipped.values()))}")
    return summary


def describe(frame: Frame, found: Detections, metadata: DetectorMetadata) -> dict[str, Any]:
    """One image's entry of predictions.json; boxes are [x1, y1, x2, y2] in its pixels.

    A detector that was trained on a COCO dataset also gives that dataset's own category ids.
    """
    height, width = found.size_hw
    entry: dict[str, Any] = {"image": str(frame.path), "width": width, "height": height}
    if frame.index is not None:
        entry |= {"frame": frame.index, "time": None if frame.time is None else round(frame.time, 4)}
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    entry["detections"] = [
        {
            "class": metadata.class_names[label],
            "label": label,
            **({"category_id": metadata.category_ids[label]} if metadata.category_ids else {}),
            "score": round(score, 5),
            "box": [round(x, 2) for x in box],
        }
        for box, score, label in rows
    ]
    return entry


def _console_line(frame: Frame, found: Detections, detector: Detector) -> str:
    """A line such as "a.jpg: 640x480, 2 RBC, 1 WBC, 12.3 ms", the most frequent class first."""
    height, width = found.size_hw
    name = str(frame.path) if frame.index is None else f"{frame.path} frame {frame.index}"
    counts = Counter(detector.class_names[label] for label in found.labels.tolist())
    what = ", ".join(f"{count} {label}" for label, count in counts.most_common()) or "nothing"
    milliseconds = 1000 * sum(asdict(detector.seconds).values())
    return f"{name}: {width}x{height}, {what}, {milliseconds:.1f} ms"


@contextmanager
def _json_list(path: Path) -> Iterator[Callable[[Any], None]]:
    """Yield what appends an entry to a JSON list in a file, so that a long video needs no memory."""
    separator = "[\n"

    def write(entry: Any) -> None:
        nonlocal separator
        file.write(separator + json.dumps(entry, ensure_ascii=False))
        separator = ",\n"

    stack = ExitStack()
    temporary = stack.enter_context(atomic_write(path))
    file = stack.enter_context(temporary.open("w", encoding="utf-8"))
    try:
        yield write
    finally:
        # a run that was interrupted keeps what it had: the list is closed, and the file renamed, either way
        file.write("[]\n" if separator == "[\n" else "\n]\n")
        stack.close()


class _Pictures:
    """Where pictures with boxes go: image files under their names, one video file per video."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open_video = ExitStack()
        self._video: VideoWriter | None = None
        self._names: set[str] = set()

    def close(self) -> None:
        """Finish the video, also when interrupted: the frames so far are a video."""
        self._open_video.close()

    def add(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Write the picture of a frame."""
        if frame.index is None:
            write_image(self._folder / self._free_name(frame.path.stem, ".jpg"), picture)
            return
        if self._video is None or frame.index == 0:
            self.close()
            path = self._folder / self._free_name(frame.path.stem, ".mp4")
            size_hw = (picture.shape[0], picture.shape[1])
            self._video = self._open_video.enter_context(VideoWriter(path, fps=frame.fps, size_hw=size_hw))
        self._video.write(picture)

    def _free_name(self, stem: str, suffix: str) -> str:
        """`stem`, or `stem-2`, ...: pictures of one name in several folders keep apart."""
        name, count = stem + suffix, 1
        while name in self._names:
            count += 1
            name = f"{stem}-{count}{suffix}"
        self._names.add(name)
        return name
