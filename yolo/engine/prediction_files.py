"""What a prediction run writes of its results, beside pictures: one writer per format."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from yolo.engine.result import Result
from yolo.files import atomic_write


class ResultWriter(Protocol):
    """Gets every result of a run, in order, and what could not be read."""

    def add(self, result: Result, picture: str | None) -> None:
        """Take a result.

        Args:
            result: without its image.
            picture: name of the file in the run folder that shows it, if there is one.
        """

    def add_unreadable(self, source: str, reason: str) -> None:
        """Take note of an image that could not be read."""

    def close(self) -> None:
        """Finish the files, also when the run was interrupted."""


class JsonWriter:
    """predictions.json: a list with an entry for each image, written as they come."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_write(path))
            self._file = stack.enter_context(temporary.open("w", encoding="utf-8"))
            self._stack = stack.pop_all()
        self._separator = "[\n"

    def add(self, result: Result, picture: str | None) -> None:
        """Append its entry."""
        self._write(describe(result))

    def add_unreadable(self, source: str, reason: str) -> None:
        """Append an entry with the reason."""
        self._write({"image": source, "error": reason})

    def _write(self, entry: Any) -> None:
        self._file.write(self._separator + json.dumps(entry, ensure_ascii=False))
        self._separator = ",\n"

    def close(self) -> None:
        """Close the list, also of an interrupted run, which keeps what it had."""
        with self._stack:
            self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")


def describe(result: Result) -> dict[str, Any]:
    """One image's entry of predictions.json; boxes are [x1, y1, x2, y2] in its pixels.

    A detector that was trained on a COCO dataset also gives that dataset's own category ids.
    """
    height, width = result.size_hw
    entry: dict[str, Any] = {"image": result.source, "width": width, "height": height}
    if result.frame is not None:
        entry |= {"frame": result.frame, "time": None if result.time is None else round(result.time, 4)}
    rows = zip(result.boxes.tolist(), result.scores.tolist(), result.labels.tolist(), strict=True)
    entry["detections"] = [
        {
            "class": result.class_names[label],
            "label": label,
            **({"category_id": result.category_ids[label]} if result.category_ids else {}),
            "score": round(score, 5),
            "box": [round(x, 2) for x in box],
        }
        for box, score, label in rows
    ]
    return entry
