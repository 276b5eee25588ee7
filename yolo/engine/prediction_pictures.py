"""Pictures with boxes that a prediction run writes: an image file for each image, a video for each video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yolo.arrays import UInt8
from yolo.engine.counting import Shape
from yolo.engine.output_names import OutputNames
from yolo.engine.result import Result
from yolo.errors import SaveError
from yolo.files import write_bytes
from yolo.images import MAX_JPEG_SIDE, encode_picture
from yolo.media.drawing import draw_detections, draw_paths
from yolo.media.labels import DrawStyle
from yolo.media.video_read import ALL_FRAMES, FrameChoice
from yolo.media.video_write import VideoWriter, has_pyav, video_suffix

_STREAM_SECONDS = 3600.0  # in a file: the index of a video is kept in memory while it is written
_WITHOUT_PYAV = (
    "videos are written as WebM, without the sound of their sources and with times rounded to a frame; "
    "pip install 'gridyolo[video]' for MP4 with both, in a fraction of the time"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn result that is not in its file yet."""

    result: Result  # with its image, for those who cut pieces out of it
    image: UInt8  # (H, W, 3) RGB, with boxes
    # bytes of an image file and its suffix; None for a frame, which goes into a video as it is
    file: tuple[bytes, str] | None


@dataclass(slots=True)
class _OpenVideo:
    """A video that is being written."""

    writer: VideoWriter
    name: str  # of the video, which its first file has
    is_live: bool  # its source is a stream, which others may take turns with
    start: float = field(default=0.0)  # time of its first frame


class PictureWriter:
    """Draws results and writes them into a folder: image files under their names, one video file per video.

    `draw`, which also encodes images, keeps no state and may run in any thread; `add` takes what it gives in order,
    from one thread. Several streams may take turns. A stream starts a new file every hour.

    Args:
        folder: where the files are written.
        names: gives names to the further files of a stream.
        frames: which of a video's frames come.
        style: of lines and labels.
        shapes: lines and zones in which objects are counted.

    Attributes:
        notes: what is to be said at the end of the run.
    """

    def __init__(
        self,
        folder: Path,
        names: OutputNames,
        *,
        frames: FrameChoice = ALL_FRAMES,
        style: DrawStyle | None = None,
        shapes: Sequence[Shape] = (),
    ) -> None:
        self._folder, self._names, self._frames = folder, names, frames
        self._style, self._shapes = style, shapes
        self._videos: dict[str, _OpenVideo] = {}
        self._given_up: dict[str, tuple[str, SaveError]] = {}  # by source: the video that cannot be written, and why
        self.notes: list[str] = []

    def close(self) -> None:
        """Finish the videos, also when interrupted: the frames so far are a video."""
        try:
            while self._videos:
                self._finish(next(iter(self._videos)))
        finally:
            for video in self._videos.values():  # one could not be finished: the others are
                video.writer.__exit__(None, None, None)
            self._videos.clear()

    def draw(self, result: Result) -> Picture:
        """Draw the boxes of a result, which has its image, and encode what will be an image file."""
        assert result.image is not None
        ids = None if result.track_ids is None else result.track_ids.tolist()
        names, style = result.class_names, self._style
        image = draw_detections(result.image, result.detections, names, track_ids=ids, style=style)
        if result.frame is not None:
            draw_paths(image, [shape.on(result.size_hw) for shape in self._shapes])
            return Picture(result, image, None)
        return Picture(result, image, encode_picture(image))

    def add(self, picture: Picture, name: str) -> str:
        """Write a drawn result; the name of the file in the folder.

        Args:
            picture: from `draw`.
            name: of its image or video, without suffix; see `OutputNames`.

        Raises:
            SaveError: it was not written. A video that once could not be written further is not tried again.
        """
        if picture.file is not None:
            return self._add_image(picture, name, *picture.file)
        source = picture.result.source or "video"
        given_up, failure = self._given_up.get(source, ("", None))
        if failure is not None and given_up == name:
            raise SaveError(str(failure), others_may_follow=failure.others_may_follow)
        try:
            return self._add_frame(picture, source, name)
        except SaveError as error:
            self._given_up[source] = name, error
            if video := self._videos.pop(source, None):
                video.writer.__exit__(None, None, None)  # keeps the frames so far
            raise

    def _add_frame(self, picture: Picture, source: str, name: str) -> str:
        video = self._videos.get(source)
        if video is None or video.name != name:
            video = self._begin(source, picture, name, name)
        elif video.is_live and (picture.result.time or 0.0) - video.start >= _STREAM_SECONDS:
            video = self._begin(source, picture, name, self._names.of_part(name))
        video.writer.write(picture.image, picture.result.time)
        return video.writer.path.name

    def _add_image(self, picture: Picture, stem: str, encoded: bytes, suffix: str) -> str:
        height, width = picture.image.shape[:2]
        if suffix == ".png":
            self.notes.append(f"{stem}.png: written as PNG, because a JPEG cannot have {width} x {height} pixels")
        elif max(height, width) > MAX_JPEG_SIDE:
            self.notes.append(f"{stem}.jpg: written smaller, because no file can have {width} x {height} pixels")
        write_bytes(self._folder / (stem + suffix), encoded)
        return stem + suffix

    def _begin(self, source: str, picture: Picture, name: str, file: str) -> _OpenVideo:
        result, (height, width) = picture.result, picture.image.shape[:2]
        for other in [name for name, open_one in self._videos.items() if name == source or not open_one.is_live]:
            self._finish(other)  # files come one after the other
        if not has_pyav() and _WITHOUT_PYAV not in self.notes:
            self.notes.append(_WITHOUT_PYAV)
        writer = VideoWriter(
            self._folder / (file + video_suffix()),
            fps=self._frames.rate(result.fps),
            size_hw=(height, width),
            sound=Path(source) if Path(source).is_file() else None,  # what was fetched is not at hand
        )
        writer.__enter__()
        self._videos[source] = _OpenVideo(writer, name, result.is_live, result.time or 0.0)
        return self._videos[source]

    def _finish(self, source: str) -> None:
        writer = self._videos.pop(source).writer
        try:
            writer.__exit__(None, None, None)
        except SaveError as error:
            if not error.others_may_follow:
                raise
            self.notes.append(f"{error}; the video ends early")
        self.notes += writer.notes
