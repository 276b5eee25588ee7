"""Pictures with boxes that a prediction run writes: an image file for each image, a video for each video."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from yolo.arrays import UInt8
from yolo.engine.output_names import OutputNames
from yolo.engine.result import Result
from yolo.images import write_image
from yolo.media.drawing import draw_detections
from yolo.media.video_write import VideoWriter


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn result that is not in its file yet."""

    result: Result  # with its image, for those who cut pieces out of it
    image: UInt8  # (H, W, 3) RGB, with boxes


class PictureWriter:
    """Draws results and writes them into a folder: image files under their names, one video file per video.

    `draw` keeps no state and may run in any thread; `add` takes the drawn results in order, from one thread.
    """

    def __init__(self, folder: Path, source: str | tuple[str, ...] = ()) -> None:
        self._folder, self._names = folder, OutputNames(source)
        self._open_video = ExitStack()
        self._video: VideoWriter | None = None

    def close(self) -> None:
        """Finish the video, also when interrupted: the frames so far are a video."""
        self._open_video.close()

    def draw(self, result: Result) -> Picture:
        """Draw the boxes of a result, which has its image."""
        assert result.image is not None
        return Picture(result, draw_detections(result.image, result.detections, result.class_names))

    def add(self, picture: Picture) -> str:
        """Write a drawn result; the name of the file in the folder."""
        result, (height, width) = picture.result, picture.image.shape[:2]
        if result.frame is None:
            name = self._names.of_image(result.source) + ".jpg"
            write_image(self._folder / name, picture.image)
            return name
        if self._video is None or result.frame == 0:
            self.close()
            path = self._folder / (self._names.of_image(result.source or "video") + ".mp4")
            self._video = self._open_video.enter_context(VideoWriter(path, fps=result.fps, size_hw=(height, width)))
        self._video.write(picture.image)
        return self._video.path.name
