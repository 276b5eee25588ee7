"""Collects what the contact sheet shows, and makes its thumbnails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from yolo.arrays import UInt8
from yolo.console import counted
from yolo.engine.result import Result
from yolo.engine.result_writer import NamedResult
from yolo.errors import printable
from yolo.http import has_scheme
from yolo.images import write_image
from yolo.media.crops import decode_reduced, fit
from yolo.report.contact_sheet import SheetImage, write_contact_sheet

_SIDE = 320  # pixels of a thumbnail's longer side: sharp on a screen of high density


class SheetWriter:
    """index.html, and a thumbnail of each image in thumbnails/; a video is one entry.

    Args:
        folder: the run folder.
        class_names: what the labels mean.
        source: for the title.
        weights: of the detector, for the foot of the page.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], *, source: str, weights: str) -> None:
        self._folder, self._class_names, self._weights = folder, class_names, weights
        self._title = f"Detections on {printable(source)}"
        self._images: list[SheetImage] = []
        self._videos: dict[str, SheetImage] = {}
        self._unreadable: dict[str, str] = {}

    def add(self, image: NamedResult) -> None:
        """Add an image, or count the detections of a frame to its video."""
        result = image.result
        entry = None if result.frame is None else self._videos.get(result.source or "")
        if entry is None or (image.picture is not None and result.frame is not None and entry.file != image.picture):
            entry = self._entry(image)
            self._images.append(entry)
            if result.frame is not None:
                self._videos[result.source or ""] = entry
        entry.counts.update(result.labels.tolist())
        if len(result):
            entry.best_score = max(entry.best_score, float(result.scores.max()))

    def _entry(self, image: NamedResult) -> SheetImage:
        result = image.result
        thumbnail, size_wh = "", (_SIDE, _SIDE)
        small = self._small(result, image.picture)
        if small is not None:
            thumbnail = f"thumbnails/{image.name}.jpg"
            write_image(self._folder / thumbnail, small)
            size_wh = (small.shape[1], small.shape[0])
        name = image.file_name if result.frame is None else printable(result.source or image.name)
        file = image.picture or _address_of(result)
        is_video = result.frame is not None and bool(file)  # without one the first frame is shown
        return SheetImage(name, file or thumbnail, thumbnail, size_wh, Counter(), is_video=is_video)

    def _small(self, result: Result, picture: str | None) -> UInt8 | None:
        """The picture with boxes, else the image, as a thumbnail; None where there is neither."""
        if picture is not None and result.frame is None:
            return fit(decode_reduced(self._folder / picture, needed=_SIDE).image, _SIDE, most=1.0)[0]
        return None if result.image is None else fit(result.image, _SIDE, most=1.0)[0]

    def add_unreadable(self, source: str, reason: str) -> None:
        """List it at the end of the page."""
        self._unreadable[source] = reason

    def close(self) -> None:
        """Write the page."""
        write_contact_sheet(
            self._folder / "index.html",
            self._images,
            self._unreadable,
            title=self._title,
            class_names=self._class_names,
            weights=self._weights,
        )

    def summary(self) -> list[str]:
        """Where to begin to look."""
        return [f"index.html: {counted(len(self._images), 'image', 'images')} on one page"]


def _address_of(result: Result) -> str:
    """Where a browser finds the source; empty where it does not."""
    if result.source is None or has_scheme(result.source):
        return result.source or ""
    path = Path(result.source)
    return path.absolute().as_uri() if path.is_file() else ""
