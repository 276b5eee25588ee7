"""Prediction over a source: pictures with boxes, and everything found as files, with flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from rich.console import Console

from yolo.config import PredictConfig
from yolo.config.predict import saved_formats
from yolo.console import say
from yolo.engine.detection_settings import choose_settings
from yolo.engine.detector import Detector
from yolo.engine.prediction_files import PredictionFiles, RunHeader
from yolo.engine.prediction_pictures import PictureWriter
from yolo.engine.result import Result
from yolo.errors import DataError
from yolo.files import new_folder
from yolo.media.items import Frame, ImageFile, Item, SourceOptions, Unreadable
from yolo.media.sources import open_source
from yolo.media.video_read import FrameChoice
from yolo.postprocess.pipeline import PostprocessSettings


@dataclass(slots=True)
class PredictionSummary:
    """What a prediction run did."""

    folder: Path  # where pictures and the files of --save are
    num_images: int = 0  # images or frames seen
    num_detections: int = 0  # on all of them
    skipped: dict[str, str] = field(default_factory=dict)  # unreadable images, by source with the reason
    seconds: Counter[str] = field(default_factory=Counter)  # spent in all, by stage
    notes: list[str] = field(default_factory=list)  # what the source left out, lost or cut short
    written: list[str] = field(default_factory=list)  # what is in the folder beside pictures, a line each


def predict(config: PredictConfig, console: Console | None = None) -> PredictionSummary:
    """Detect on everything a source gives, one image at a time; see `PredictConfig`.

    Raises:
        WeightsError: weights that cannot be used.
        DataError: a source that does not exist or gives no image.
    """
    console = console or Console(quiet=True)
    items = open_source(
        config.source,
        SourceOptions(
            limit=config.limit, frames=FrameChoice.parse(start=config.start, end=config.end, every=config.every)
        ),
    )  # before the network is built: a mistyped source fails at once
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
    outcomes = detect_items(detector, items, settings)
    unreadable, first = _first_result(outcomes)
    if first is None:  # leaves no run folder behind
        raise DataError(f"source {config.source}: no image could be read; {unreadable[0].reason}")
    summary = PredictionSummary(new_folder(Path(config.runs), config.name))
    with ExitStack() as stack:
        stack.enter_context(items)
        files = _open_files(config, detector, settings, summary.folder, first)
        stack.enter_context(closing(files))
        pictures = (
            stack.enter_context(closing(PictureWriter(summary.folder, config.source))) if config.save_images else None
        )
        for outcome in chain(unreadable, [first], outcomes):
            if isinstance(outcome, Unreadable):
                summary.skipped[outcome.source] = outcome.reason
                files.add_unreadable(outcome.source, outcome.reason)
                say(console, f"skipped: {outcome.reason}")
                continue
            summary.num_images += 1
            summary.num_detections += len(outcome)
            summary.seconds.update(asdict(outcome.seconds))
            picture = pictures.add(pictures.draw(outcome)) if pictures else None
            files.add(outcome, picture)
            say(console, _console_line(outcome))
    summary.notes = items.notes()
    summary.written = files.summary()
    return summary


def _open_files(
    config: PredictConfig, detector: Detector, settings: PostprocessSettings, folder: Path, first: Result
) -> PredictionFiles:
    header = RunHeader(
        source=config.source,
        weights=config.weights,
        class_names=first.class_names,
        category_ids=first.category_ids,
        input_hw=detector.input_hw,
        settings=asdict(settings),
    )
    # a frame that is not of a file is of a camera, a stream or a screen
    is_stream = first.frame is not None and not Path(first.source or "").is_file()
    return PredictionFiles(folder, saved_formats(config.save), header, is_stream=is_stream)


def detect_items(
    detector: Detector, items: Iterable[Item], settings: PostprocessSettings
) -> Iterator[Result | Unreadable]:
    """Read and detect, in the order of the items; results hold their images."""
    for item in items:
        frame = _read(item) if isinstance(item, ImageFile) else item
        yield frame if isinstance(frame, Unreadable) else detector.detect_frames([frame], settings)[0]


def _read(file: ImageFile) -> Frame | Unreadable:
    try:
        return file.read()
    except DataError as error:
        return Unreadable(file.source, str(error))


def _first_result(outcomes: Iterator[Result | Unreadable]) -> tuple[list[Unreadable], Result | None]:
    """The first result, None where there is none, and what could not be read before it."""
    unreadable: list[Unreadable] = []
    for outcome in outcomes:
        if isinstance(outcome, Result):
            return unreadable, outcome
        unreadable.append(outcome)
    return unreadable, None


def _console_line(result: Result) -> str:
    """A line such as "a.jpg: 640x480, 2 RBC, 1 WBC, 12.3 ms", the most frequent class first."""
    height, width = result.size_hw
    name = result.source if result.frame is None else f"{result.source} frame {result.frame}"
    what = ", ".join(f"{count} {label}" for label, count in Counter(result.names).most_common()) or "nothing"
    milliseconds = 1000 * sum(asdict(result.seconds).values())
    return f"{name}: {width}x{height}, {what}, {milliseconds:.1f} ms"
