"""Every detection as a picture of its own, in a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolo.console import counted
from yolo.engine.output_names import OutputNames
from yolo.engine.result_writer import NamedResult
from yolo.files import write_bytes
from yolo.images import encode_picture
from yolo.media.crops import cut, touched_pixels


class CropWriter:
    """crops/CLASS/NAME-1.jpg, NAME-2.jpg, ...: the pixels that each box touches, by falling score.

    Args:
        folder: of the folders of the classes.
        class_names: what the labels mean; what cannot be the name of a folder is replaced.
    """

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._num_written, self._num_empty = folder, 0, 0
        names = OutputNames()
        self._folder_of = [names.of_text(name) for name in class_names]

    def add(self, image: NamedResult) -> None:
        """Write the crops of an image; a box without a pixel of the image gives none."""
        result = image.result
        assert result.image is not None
        height, width = result.size_hw
        rows = zip(result.boxes.tolist(), result.labels.tolist(), strict=True)
        for number, ((x1, y1, x2, y2), label) in enumerate(rows, start=1):
            if not (x2 > 0 and x1 < min(x2, width) and y2 > 0 and y1 < min(y2, height)):
                self._num_empty += 1
                continue
            (left, right), (top, bottom) = touched_pixels(x1, x2, width), touched_pixels(y1, y2, height)
            encoded, suffix = encode_picture(cut(result.image, (left, top, right, bottom)))
            write_bytes(self._folder / self._folder_of[label] / f"{image.name}-{number}{suffix}", encoded)
            self._num_written += 1

    def add_unreadable(self, source: str, reason: str) -> None:
        """Nothing: there is nothing to cut out."""

    def close(self) -> None:
        """Nothing: every crop is written."""

    def summary(self) -> list[str]:
        """How many there are, and how many boxes gave none."""
        empty = f"; {self._num_empty:,} boxes without a pixel of the image left out" if self._num_empty else ""
        return [f"{self._folder.name}/: {counted(self._num_written, 'crop', 'crops')}{empty}"]
