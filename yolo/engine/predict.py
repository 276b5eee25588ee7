"""Prediction over a source: pictures with boxes, and everything found as files, with flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from yolo.config import PredictConfig
from yolo.config.predict import saved_formats
from yolo.console import say
from yolo.engine.detect_items import default_workers, detect_items
from yolo.engine.detection_settings import choose_settings
from yolo.engine.detector import Detector, detector_of
from yolo.engine.output_names import OutputNames
from yolo.engine.prediction_display import PredictionDisplay
from yolo.engine.prediction_files import NEED_IMAGES, PredictionFiles, RunHeader, settings_to_json
from yolo.engine.prediction_pictures import Picture, PictureWriter
from yolo.engine.result import Result
from yolo.engine.result_writer import Unwritten
from yolo.engine.tiled import tiling_of
from yolo.engine.tracking import Tracking
from yolo.engine.workers import Workers
from yolo.errors import DataError
from yolo.files import new_folder
from yolo.formats.detections_json import numbered_frame
from yolo.images import DepthTally
from yolo.media.items import SourceOptions, Unreadable
from yolo.media.labels import DrawStyle
from yolo.media.sources import Source, open_source, shown_source
from yolo.media.video_read import FrameChoice
from yolo.media.window import Window
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.process import StopRequest, stop_request


@dataclass(slots=True)
class PredictionSummary:
    """What a prediction run did."""

    folder: Path  # where pictures and the files of --save are
    num_images: int = 0  # images or frames seen
    frames: Counter[str] = field(default_factory=Counter)  # how many of them each video or stream gave, by source
    num_detections: int = 0  # on all of them
    skipped: dict[str, str] = field(default_factory=dict)  # unreadable images, by source with the reason
    skipped_kinds: Counter[str] = field(default_factory=Counter)  # how many of them there are of each kind
    seconds: Counter[str] = field(default_factory=Counter)  # spent in all, by stage
    notes: list[str] = field(default_factory=list)  # what the source left out, lost or cut short
    written: list[str] = field(default_factory=list)  # what is in the folder beside pictures, a line each
    interrupted: str = ""  # name of the signal that ended it


def predict(config: PredictConfig, console: Console | None = None) -> PredictionSummary:
    """Detect on everything a source gives; see `PredictConfig`.

    Reading, network, drawing and writing overlap: workers take images through the steps, and this thread writes what
    they give in the order of the source. SIGINT and SIGTERM end the run after the result that is being written.

    Raises:
        ConfigError: options that do not go together, or with the source or the detector.
        WeightsError: weights that cannot be used.
        DataError: a source that does not exist or gives no image.
        SaveError: an output could not be written; what was written stays valid.
        KeyboardInterrupt: the user stopped it before there was a result.
    """
    console = console or Console(quiet=True)
    opened = _open(config, console)
    tracking, items = opened.tracking, opened.items
    with ExitStack() as stack:
        window = stack.enter_context(closing(Window())) if config.show else None
        stop = stack.enter_context(stop_request())
        workers = stack.enter_context(Workers(default_workers(opened.detector.device), stop))
        stack.enter_context(items)
        keep_images = config.save_images or not NEED_IMAGES.isdisjoint(saved_formats(config.save))
        depths = DepthTally(opened.detector.bit_depth)
        outcomes = detect_items(
            opened.detector, items, opened.settings, workers=workers, keep_images=keep_images, depths=depths
        )
        unreadable, first = _first_result(outcomes, stop, config)
        if tracking:
            tracking.check(first)
        display = stack.enter_context(PredictionDisplay(console, items.total, verbose=config.verbose))
        outputs = _open_outputs(config, opened, first, display, stack)
        in_order = _joined(unreadable, first, outcomes)
        if tracking:
            in_order = tracking.follow(in_order)
        with closing(_drawn(in_order, outputs.pictures, workers)) as drawn:
            for outcome, picture in drawn:
                outputs.add(outcome, picture)
                if window and picture and not window.show(picture.image):
                    outputs.summary.notes.append("the window was closed: the source was not read to its end")
                    break
        outputs.summary.interrupted = stop.signal_name
    outputs.summary.notes += items.notes() + depths.notes() + (outputs.pictures.notes if outputs.pictures else [])
    outputs.summary.notes += outputs.unwritten.lines()
    outputs.summary.written = outputs.files.summary() + (tracking.summary() if tracking else [])
    return outputs.summary


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a run works with."""

    items: Source
    detector: Detector
    settings: PostprocessSettings
    frames: FrameChoice
    tracking: Tracking | None


def _open(config: PredictConfig, console: Console) -> _Opened:
    tracking = Tracking.of_options(config.line, config.zone) if config.track else None
    frames = FrameChoice.parse(start=config.start, end=config.end, every=config.every)
    # before the network is built: a mistyped source fails at once
    items = open_source(
        config.source,
        SourceOptions(limit=config.limit, frames=frames, timeout=config.timeout, reconnects=config.reconnects),
    )
    detector = detector_of(config)
    chosen = choose_settings(
        detector.metadata,
        score_threshold=config.score_threshold,
        iou_threshold=config.iou_threshold,
        max_detections=config.max_detections,
        min_precision=config.min_precision,
        min_recall=config.min_recall,
        classes=[word.strip() for word in config.classes.split(",")] if config.classes else None,
        class_agnostic=config.class_agnostic,
        tiling=tiling_of(config.tile, config.overlap),
    )
    say(console, *chosen.lines)
    return _Opened(items, detector, chosen.settings, frames, tracking)


def _open_outputs(
    config: PredictConfig, opened: _Opened, first: Result, display: PredictionDisplay, stack: ExitStack
) -> _Outputs:
    """A new run folder and its files, which the stack closes."""
    folder = new_folder(Path(config.runs), config.name)
    if opened.tracking:
        stack.callback(opened.tracking.write, folder)  # also of a run that fails or is interrupted
    names = OutputNames(config.source)
    files = stack.enter_context(closing(_open_files(config, opened.detector, opened.settings, folder, first)))
    pictures = None
    if config.save_images:
        writer = _picture_writer(config, folder, names, opened.frames, opened.tracking)
        pictures = stack.enter_context(closing(writer))
    return _Outputs(PredictionSummary(folder), names, files, pictures, display)


@dataclass(slots=True)
class _Outputs:
    """Where the results of a run go, in order."""

    summary: PredictionSummary
    names: OutputNames  # of images and videos, the same in all that is written
    files: PredictionFiles
    pictures: PictureWriter | None
    display: PredictionDisplay
    unwritten: Unwritten = field(default_factory=Unwritten)  # pictures

    def add(self, outcome: Result | Unreadable, picture: Picture | None) -> None:
        if isinstance(outcome, Unreadable):
            self.summary.skipped[outcome.source] = outcome.reason
            self.summary.skipped_kinds[outcome.kind] += 1
            self.files.add_unreadable(outcome.source, outcome.reason)
        else:
            self.summary.num_images += 1
            if outcome.frame is not None:
                self.summary.frames[outcome.source or ""] += 1
            self.summary.num_detections += len(outcome)
            self.summary.seconds.update(asdict(outcome.seconds))
            name = self.names.of_file(outcome.source, outcome.frame)
            shown_in = None
            if self.pictures and picture:
                with self.unwritten.attempt("pictures"):
                    shown_in = self.pictures.add(picture, name)
            self.files.add(outcome, name if outcome.frame is None else numbered_frame(name, outcome.frame), shown_in)
        self.display.add(outcome)


def _picture_writer(
    config: PredictConfig, folder: Path, names: OutputNames, frames: FrameChoice, tracking: Tracking | None
) -> PictureWriter:
    return PictureWriter(
        folder,
        names,
        frames=frames,
        style=DrawStyle(line_width=config.line_width, labels=config.labels),
        shapes=tracking.shapes if tracking else (),
    )


def _open_files(
    config: PredictConfig, detector: Detector, settings: PostprocessSettings, folder: Path, first: Result
) -> PredictionFiles:
    header = RunHeader(
        source=shown_source(config.source),
        weights=config.weights,
        class_names=first.class_names,
        category_ids=first.category_ids,
        input_hw=detector.input_hw,
        settings=settings_to_json(settings),
    )
    return PredictionFiles(folder, saved_formats(config.save), header, is_stream=first.is_live)


def _drawn(
    outcomes: Iterator[Result | Unreadable], pictures: PictureWriter | None, workers: Workers
) -> Generator[tuple[Result | Unreadable, Picture | None]]:
    """Outcomes in order with their pictures, which the workers draw, where pictures are wanted."""

    def draw(outcome: Result | Unreadable) -> tuple[Result | Unreadable, Picture | None]:
        return outcome, pictures.draw(outcome) if pictures and isinstance(outcome, Result) else None

    return workers.map(draw, outcomes, ahead=workers.count + 1) if pictures else (draw(one) for one in outcomes)


def _first_result(
    outcomes: Iterator[Result | Unreadable], stop: StopRequest, config: PredictConfig
) -> tuple[list[Unreadable], Result]:
    """What could not be read before the first result, and that; without one a run leaves no folder behind."""
    unreadable: list[Unreadable] = []
    for outcome in outcomes:
        if stop:
            break
        if isinstance(outcome, Result):
            return unreadable, outcome
        unreadable.append(outcome)
    if stop:
        raise KeyboardInterrupt
    reason = unreadable[0].reason if unreadable else "it is empty"
    raise DataError(f"source {', '.join(shown_source(config.source))}: no image could be read; {reason}")


def _joined(
    unreadable: list[Unreadable], first: Result, rest: Iterator[Result | Unreadable]
) -> Iterator[Result | Unreadable]:
    yield from unreadable
    yield first
    yield from rest
