"""The configuration of `predict`."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Final, Literal

from yolo.config import options
from yolo.config.options import (
    LARGEST_SIDE,
    check_bit_depth,
    check_run_name,
    check_tiling,
    require,
    require_at_least,
    require_at_most,
    require_within,
)
from yolo.errors import excerpt, shown

SAVE_FORMATS: Final = ("json", "jsonl", "coco", "yolo", "voc", "csv", "crops", "labelstudio", "cvat", "html")
# Of a video: thirty years.
LONGEST_SECONDS = 1e9
ColorOrder = Literal["rgb", "bgr"]


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Run a trained detector on images or video.

    Attributes:
        source: An image, a folder, a glob pattern in quotes, a list (.txt, one path per line), an archive, a video, an
            http or rtsp address, a camera (0 or camera:0), the screen (screen or screen:2), or - for an image or a
            list of paths on standard input. Several may follow one another. Required.
        limit: Stop after this many images or frames; by default after all.
        start: Start each video at this time, in seconds; by default at its beginning.
        end: Stop each video at this time, in seconds; by default at its end.
        every: Use every n-th frame of a video; 2.5s uses one frame every 2.5 seconds.
        timeout: Seconds without an answer after which a stream or an address counts as lost.
        reconnects: How many times in a row to try to reach a lost stream again, with growing pauses.
        score_threshold: Show detections with a higher score than this; by default 0.25, and 0.2 for darknet weights.
            auto: for each class the threshold with the best F1 in validation. Or the path of a validation's
            metrics.json, to take the thresholds from there.
        min_precision: With --conf auto: for each class the threshold with the highest recall at this precision.
        min_recall: With --conf auto: for each class the highest threshold with this recall.
        iou_threshold: Suppress a detection that overlaps a better one of its class by more than this IoU; by default
            0.5, and 0.4 for darknet weights.
        classes: Show only these classes: names or labels, separated by commas; by default all.
        class_agnostic: Let a detection suppress overlapping detections of other classes as well.
        track: Follow objects through videos and streams and give them ids; needs the extra track: pip install
            'gridyolo[track]'.
        line: With --track: count the objects that cross a line x1,y1,x2,y2, in pixels or as fractions of width and
            height; a semicolon between several.
        zone: With --track: count the objects in a polygon x1,y1,x2,y2,x3,y3,...; a semicolon between several.
        line_width: Width of the lines of boxes in pixels; by default it grows with the image.
        labels: Write class and score beside each box; --no-labels draws the boxes only.
        show: Show the pictures in a window as they are drawn; q or Escape ends the run.
        save_images: Write the images or the video with boxes drawn; --no-save-images writes the files of --save only.
        save: Formats to write, separated by commas: json (detections.json; detections.jsonl for
            streams), jsonl, coco, yolo, voc, csv, crops, labelstudio, cvat, html.
        verbose: Print a line per image, also where there are many.
    """

    weights: options.Weights = ""
    source: str | tuple[str, ...] = ""
    limit: int | None = None
    start: float | None = None
    end: float | None = None
    every: str = "1"
    timeout: float = 10.0
    reconnects: int = 8
    cfg: options.DarknetCfg = ""
    names: options.DarknetNames = ""
    score_threshold: float | str | None = None
    min_precision: float | None = None
    min_recall: float | None = None
    iou_threshold: float | None = None
    max_detections: options.MaxDetections = None
    classes: str = ""
    class_agnostic: bool = False
    input_size: options.InferenceSize = None
    tile: options.Tile = None
    overlap: options.Overlap = None
    device: options.Device = "auto"
    precision: options.Precision = "32"
    bit_depth: options.BitDepth = None
    track: bool = False
    line: str = ""
    zone: str = ""
    line_width: int | None = None
    labels: bool = True
    show: bool = False
    save_images: bool = True
    save: str = "json"
    runs: options.Runs = "runs"
    name: options.RunName = "predict"
    verbose: bool = False

    def __post_init__(self) -> None:
        require(bool(self.weights), "--weights is required: a trained detector (*.safetensors, *.weights)")
        require(
            bool(self.source),
            "--source is required: an image, a folder, a video, an address, a camera or another source",
        )
        check_run_name(self.name)
        check_bit_depth(self.bit_depth)
        end = math.inf if self.end is None else self.end
        require(0 <= (self.start or 0) < end, "--end must be later than --start; both are seconds")
        require(self.save_images or not self.show, "--show draws pictures: leave out --no-save-images")
        require(
            len(self.every) < 20 and re.fullmatch(r"0*[1-9]\d*|(?=.*[1-9])\d*\.?\d+s", self.every) is not None,
            f"--every {excerpt(self.every)}: give a number of frames such as 10, or seconds such as 2.5s",
        )
        check_tiling(self.tile, self.overlap)
        by_class = isinstance(self.score_threshold, str)
        if not by_class:
            require_within(self, score_threshold=1)
        require_within(self, min_precision=1, min_recall=1, iou_threshold=1)
        require_at_least(self, line_width=1, max_detections=1, input_size=1, limit=1, reconnects=0, timeout=0.1)
        require_at_most(self, line_width=1000, input_size=LARGEST_SIDE, tile=LARGEST_SIDE, timeout=86400)
        require_at_most(self, start=LONGEST_SECONDS, end=LONGEST_SECONDS)
        for name in ("min_precision", "min_recall"):
            option = f"--{name.replace('_', '-')}"
            require(
                getattr(self, name) is None or by_class,
                f"{option} chooses thresholds from a validation: add --conf auto",
            )
        saved_formats(self.save)
        for option, value in (("line", self.line), ("zone", self.zone)):
            require(not value or self.track, f"--{option} counts tracked objects: add --track")
        require(self.min_precision is None or self.min_recall is None, "give --min-precision or --min-recall, not both")


def saved_formats(words: str) -> tuple[str, ...]:
    """The formats that `--save` names, each once; ConfigError where one is unknown, with the nearest.

    >>> saved_formats("json, CSV,json")
    ('json', 'csv')
    """
    require(bool(words.strip()), "--save is empty: name a format, such as json; --no-save-images writes no pictures")
    found = dict.fromkeys(word.strip().lower() for word in words.split(","))
    for word in found:
        near = difflib.get_close_matches(word, SAVE_FORMATS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        require(
            word in SAVE_FORMATS,
            f"--save {excerpt(words)}: {shown(word)} is not one of {', '.join(SAVE_FORMATS)}{hint}",
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class DetectConfig:
    """The options of a call of a detector in Python, but for the classes; see `yolo.engine.detector.DetectOptions`."""

    color: ColorOrder = "rgb"
    score_threshold: float | str | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    class_agnostic: bool = False
    tile: int | None = None
    overlap: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.score_threshold, str):
            require_within(self, score_threshold=1)
        require_within(self, iou_threshold=1)
        require_at_least(self, max_detections=1)
        check_tiling(self.tile, self.overlap)


@dataclass(frozen=True, kw_only=True)
class OpenConfig:
    """The arguments of `yolo.Detector`."""

    weights: options.Weights
    device: options.Device = "auto"
    input_size: options.InferenceSize = None
    cfg: options.DarknetCfg = ""
    names: options.DarknetNames = ""
    precision: options.Precision = "32"
    bit_depth: options.BitDepth = None

    def __post_init__(self) -> None:
        check_bit_depth(self.bit_depth)
        require(bool(self.weights), "weights must be a weights file, a run folder or the name of a run, got ''")
        require_at_least(self, input_size=1)
