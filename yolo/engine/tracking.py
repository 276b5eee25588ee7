"""Tracking of objects from frame to frame of videos and streams: ids by ByteTrack, from the package `trackers`.

ByteTrack: Zhang et al. 2022. Each video and each stream has a tracker of its own, so ids begin anew with each. Time
comes from the frames, so that a variable frame rate, skipped frames and `--every` are what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from yolo.engine.counting import Shape, SourceCounts, parse_shapes
from yolo.engine.result import Result
from yolo.errors import ConfigError
from yolo.files import write_json
from yolo.media.items import Unreadable

_DEFAULT_FPS = 25.0
# Ended videos have their counts, not their tracker; of streams that are open at once there are never so many.
_MOST_OPEN = 64


class ObjectTracker:
    """The tracker of one video or stream.

    Args:
        fps: of the source; None where it does not say.
    """

    def __init__(self, fps: float | None) -> None:
        from trackers import ByteTrackTracker

        self._period = 1 / (fps or _DEFAULT_FPS)
        # Detections have passed the user's threshold: each may begin a track, and gets its id in the second frame.
        self._tracker: Any = ByteTrackTracker(
            frame_rate=1 / self._period, track_activation_threshold=0.0, high_conf_det_threshold=0.0
        )
        self._time: float | None = None

    def update(self, result: Result) -> Tensor:
        """Ids of the detections of the next frame, (K,) int64 from 1 on; -1 for a detection without a track so far."""
        from supervision import Detections

        found = Detections(
            xyxy=result.boxes.double().numpy().reshape(-1, 4),
            confidence=result.scores.double().numpy(),
            class_id=result.labels.numpy(),
            data={"place": np.arange(len(result))},
        )
        tracked = self._tracker.update(found, timestamp=self._next_time(result.time))
        ids = torch.full((len(result),), -1, dtype=torch.int64)
        if len(tracked):
            numbers = torch.from_numpy(np.asarray(tracked.tracker_id, np.int64))
            ids[torch.from_numpy(tracked.data["place"])] = torch.where(numbers >= 0, numbers + 1, numbers)
        return ids

    def _next_time(self, time: float | None) -> float:
        """The time of a frame; one period after the last where there is none, or where it does not go on."""
        if self._time is not None and (time is None or time <= self._time):
            time = self._time + self._period
        self._time = time or 0.0
        return self._time


@dataclass(slots=True)
class _Open:
    tracker: ObjectTracker
    frame: int
    counts: SourceCounts


class Tracking:
    """Gives the results of a run their ids, in order, and counts.

    Args:
        lines: whose crossings are counted.
        zones: in which objects are counted.
    """

    def __init__(self, lines: tuple[Shape, ...] = (), zones: tuple[Shape, ...] = ()) -> None:
        self._lines, self._zones = lines, zones
        self.shapes = lines + zones  # to be drawn
        self._open: dict[str, _Open] = {}
        self.counts: list[SourceCounts] = []

    @classmethod
    def of_options(cls, line: str, zone: str) -> Tracking:
        """From the values of --line and --zone.

        Raises:
            ConfigError: a malformed line or zone, or the package is missing; before anything is loaded.
        """
        lines, zones = parse_shapes("line", line), parse_shapes("zone", zone)
        if find_spec("trackers") is None:
            raise ConfigError("--track needs the package trackers; install it with: pip install 'gridyolo[track]'")
        return cls(lines, zones)

    def check(self, first: Result) -> None:
        """ConfigError where the first result of a run is that of an image."""
        if first.frame is None:
            raise ConfigError(
                f"--track follows objects from frame to frame, and {first.source} is an image: give a video or a stream"
            )

    def follow(self, outcomes: Iterator[Result | Unreadable]) -> Iterator[Result | Unreadable]:
        """The outcomes with the ids of their objects; images among videos have none."""
        for outcome in outcomes:
            if isinstance(outcome, Unreadable) or outcome.frame is None:
                yield outcome
            else:
                yield self._tracked(outcome, outcome.frame)

    def _tracked(self, result: Result, frame: int) -> Result:
        source = result.source or ""
        current = self._open.pop(source, None)
        if current is None or frame <= current.frame:  # a video that is read again begins anew
            current = _Open(ObjectTracker(result.fps), frame, SourceCounts(source, self._lines, self._zones))
            self.counts.append(current.counts)
        current.frame = frame
        self._open[source] = current  # the last one used is at the end
        if len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        tracked = replace(result, track_ids=current.tracker.update(result))
        current.counts.update(tracked)
        return tracked

    def write(self, folder: Path) -> None:
        """Write counts.json."""
        write_json(folder / "counts.json", {"sources": [counts.to_dict() for counts in self.counts]})

    def summary(self) -> list[str]:
        """What is said on the console, a line each."""
        return ["counts.json: objects by track", *(line for counts in self.counts for line in counts.summary())]
