"""What a prediction run writes of its results, beside pictures: the formats of `--save`.

Every format has a writer, which gets each result as it comes and keeps nothing of it, so memory stays flat. Files that
grow are complete after each image. Left out: how a format is written (`yolo.formats`), pictures with boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from yolo.console import counted
from yolo.engine.annotation_writers import CocoWriter, CvatWriter, LabelStudioWriter, VocWriter, YoloWriter
from yolo.engine.crop_writer import CropWriter
from yolo.engine.result import Result
from yolo.engine.result_writer import NamedResult, ResultWriter, Unwritten
from yolo.engine.sheet_writer import SheetWriter
from yolo.errors import printable, printable_text
from yolo.files import table_cell
from yolo.formats.csv import DETECTION_COLUMNS, csv_text, detection_rows
from yolo.formats.detections_json import JSON_NAME, LINES_NAME, DetectionsWriter, entry_of
from yolo.growing_file import GrowingFile
from yolo.postprocess.pipeline import PostprocessSettings

_TIME_DECIMALS = 6  # of seconds
# Formats that show pixels of the image; the others need none.
NEED_IMAGES: Final = frozenset({"crops", "html"})


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What holds for all results of a run."""

    source: str | tuple[str, ...]  # as given
    weights: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] | None = None
    input_hw: tuple[int, int] | None = None
    settings: Mapping[str, Any] | None = None  # thresholds, of JSON's own types

    @property
    def sources(self) -> tuple[str, ...]:
        """The source as given, or several."""
        return (self.source,) if isinstance(self.source, str) else self.source

    def to_json(self) -> dict[str, Any]:
        """Of JSON's own types."""
        return {
            "weights": printable(self.weights),
            "source": list(map(printable, self.sources)),
            "class_names": list(map(printable, self.class_names)),
            "category_ids": None if self.category_ids is None else list(self.category_ids),
            "input_size": None if self.input_hw is None else list(self.input_hw),
            "settings": dict(self.settings or {}),
        }


def settings_to_json(settings: PostprocessSettings) -> dict[str, Any]:
    """The key `settings` of detections.json; names here are those of the format, whatever the fields are called."""
    tiling, thresholds, classes = settings.tiling, settings.class_thresholds, settings.classes
    return {
        "score_threshold": settings.score_threshold,
        "iou_threshold": settings.iou_threshold,
        "max_detections": settings.max_detections,
        "class_thresholds": None if thresholds is None else list(thresholds),
        "classes": None if classes is None else list(classes),
        "class_agnostic": settings.class_agnostic,
        "tiling": None if tiling is None else {"size": tiling.size, "overlap": tiling.overlap},
    }


class PredictionFiles:
    """All files of a run: gets every result in order, and passes it to the writer of each format.

    Args:
        folder: the run folder.
        formats: see `SAVE_FORMATS` of the configuration.
        header: what holds for all results.
        is_stream: the source has no end: `json` is written as detections.jsonl.

    Raises:
        SaveError: a file could not be written. Files that were written stay valid.
    """

    def __init__(self, folder: Path, formats: Sequence[str], header: RunHeader, *, is_stream: bool = False) -> None:
        self._writers: dict[str, ResultWriter] = {}
        self._unwritten = Unwritten()
        with ExitStack() as stack:
            for name in dict.fromkeys("jsonl" if name == "json" and is_stream else name for name in formats):
                self._writers[name] = stack.enter_context(closing(_open_writer(name, folder, header)))
            self._stack = stack.pop_all()

    def add(self, result: Result, name: str, picture: str | None) -> None:
        """Take a result.

        Args:
            result: with its image where a format needs it, see `NEED_IMAGES`.
            name: of the image or frame, without suffix; see `OutputNames`.
            picture: name of the file in the run folder that shows it, if there is one.
        """
        image = NamedResult(result, name, picture)
        for form, writer in self._writers.items():
            with self._unwritten.attempt(form):
                writer.add(image)

    def add_unreadable(self, source: str, reason: str) -> None:
        """Take note of an image that could not be read."""
        for writer in self._writers.values():
            writer.add_unreadable(printable(source), printable_text(reason))

    def close(self) -> None:
        """Finish all files, also of an interrupted run."""
        self._stack.close()

    def summary(self) -> list[str]:
        """A line for each format: what was written, and what was left out and why."""
        return [line for writer in self._writers.values() for line in writer.summary()] + self._unwritten.lines()


def _open_writer(name: str, folder: Path, header: RunHeader) -> ResultWriter:
    if name in ("json", "jsonl"):
        return JsonWriter(folder / (JSON_NAME if name == "json" else LINES_NAME), header.to_json())
    if name == "csv":
        return CsvWriter(folder / "detections.csv")
    if name == "crops":
        return CropWriter(folder / "crops", header.class_names)
    if name == "labelstudio":
        return LabelStudioWriter(folder / "labelstudio", header.class_names, model=Path(header.weights).stem)
    if name == "html":
        source = ", ".join(header.sources)
        return SheetWriter(folder, header.class_names, source=source, weights=header.weights)
    if name == "coco":
        return CocoWriter(folder / "coco", header.class_names, header.category_ids)
    if name == "yolo":
        return YoloWriter(folder / "labels", header.class_names)
    if name == "voc":
        return VocWriter(folder / "Annotations", header.class_names)
    assert name == "cvat", name
    return CvatWriter(folder / "cvat", header.class_names)


class JsonWriter:
    """detections.json or detections.jsonl: an entry for each image, see `yolo.formats.detections_json`."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self._name, self._num_images, self._num_detections = path.name, 0, 0
        self._file = DetectionsWriter(path, header)

    def add(self, image: NamedResult) -> None:
        """Append its entry."""
        self._file.add(describe(image.result, image.picture))
        self._num_images += 1
        self._num_detections += len(image.result)

    def add_unreadable(self, source: str, reason: str) -> None:
        """Append an entry with the reason."""
        self._file.add({"source": source, "error": reason})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def summary(self) -> list[str]:
        """What it holds."""
        found = counted(self._num_detections, "detection", "detections")
        return [f"{self._name}: {found} on {counted(self._num_images, 'image', 'images')}"]


def describe(result: Result, picture: str | None = None) -> dict[str, Any]:
    """One image's entry of detections.json; boxes are [x1, y1, x2, y2] in its pixels."""
    about: dict[str, Any] = {"source": None if result.source is None else printable(result.source)}
    if picture is not None:
        about["picture"] = printable(picture)
    if result.frame is not None:
        about |= {"frame": result.frame, "time": None if result.time is None else round(result.time, _TIME_DECIMALS)}
    return entry_of(
        result.detections,
        result.class_names,
        category_ids=result.category_ids,
        track_ids=None if result.track_ids is None else result.track_ids.tolist(),
        about=about,
    )


class CsvWriter:
    """detections.csv: a row for each detection."""

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path, head=csv_text(DETECTION_COLUMNS, ()))
        self._num_rows = 0

    def add(self, image: NamedResult) -> None:
        """Append a row for each of its detections."""
        result = image.result
        time = None if result.time is None else round(result.time, _TIME_DECIMALS)
        tracks = None if result.track_ids is None else result.track_ids.tolist()
        rows = detection_rows(result.detections, result.class_names, (result.source, result.frame, time), tracks)
        cells = [list(map(table_cell, row)) for row in rows]
        if cells:
            self._file.add(csv_text(cells[0], cells[1:]))
        self._num_rows += len(cells)

    def add_unreadable(self, source: str, reason: str) -> None:
        """Nothing: the table has detections only."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def summary(self) -> list[str]:
        """What it holds."""
        return [f"{self._file.path.name}: {counted(self._num_rows, 'row', 'rows')}"]
