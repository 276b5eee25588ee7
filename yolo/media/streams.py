"""Live sources: of each the newest frame only, several at a time, reconnected when they are lost.

A thread per stream keeps the newest frame; what it replaces before anybody asked is counted as dropped. A stream that
has never given a frame is given up at once, one that has is tried again with growing pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Condition, Lock, Thread
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from yolo.arrays import UInt8
from yolo.errors import DataError
from yolo.files import opencv_name
from yolo.http import shown_address
from yolo.media.items import Frame, Item, Reading, Unreadable

STREAM_SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "rtp://", "udp://", "srt://")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before the first further attempt, doubled until the longest
# A reader that has not responded for so many timeouts hangs in a driver: it is abandoned.
_TIMEOUTS_TO_HANG = 3
_POLL_SECONDS, _JOIN_SECONDS = 0.1, 0.1


class Capture(Protocol):
    """An open stream or device, used by one thread."""

    fps: float | None  # frames per second, where it says

    def read(self) -> UInt8 | None:
        """The next (H, W, 3) RGB frame; None where it ends or is lost."""

    def close(self) -> None:
        """Let go of it."""


class Stream(NamedTuple):
    """A live source that is not open yet."""

    name: str  # in outputs and messages
    connect: Callable[[], Capture]  # raises a DataError that says why it cannot be opened
    waits: bool = False  # gives its next frame whenever it is asked, so that none need be dropped


def camera(number: int) -> Stream:
    """A camera of this machine."""
    name = f"camera:{number}"
    return Stream(name, lambda: OpenCvCapture(number, f"{name}: there is no such camera, or another program has it"))


def network_stream(address: str, timeout: float) -> Stream:
    """A stream that FFmpeg opens: RTSP, HLS and others."""
    name = shown_address(address)
    message = f"{name}: could not be opened; check the address and that the camera answers (within {timeout:g} seconds)"
    return Stream(name, lambda: OpenCvCapture(address, message, timeout=timeout))


class _Silence:
    """Keeps OpenCV quiet while any thread is inside; its log level is one for the whole process."""

    def __init__(self) -> None:
        self._lock, self._users, self._level = Lock(), 0, 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                cv2.utils.logging.setLogLevel(self._level)


_SILENCE = _Silence()


class OpenCvCapture:
    """A camera or a stream read by OpenCV; DataError with `message` where it cannot be opened."""

    def __init__(self, target: int | str, message: str, *, timeout: float = 10.0) -> None:
        with _SILENCE:  # each backend would print why it could not, before the error does
            if isinstance(target, int):
                self._capture = cv2.VideoCapture(target)
            else:
                milliseconds = int(1000 * timeout)
                limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
                self._capture = cv2.VideoCapture(opencv_name(target), cv2.CAP_FFMPEG, limits)
        if not self._capture.isOpened():
            self._capture.release()
            raise DataError(message)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # where the driver knows it: nothing old waits
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if fps > 0 else None

    def read(self) -> UInt8 | None:
        """See `Capture`."""
        was_read, image = self._capture.read()
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8) if was_read else None

    def close(self) -> None:
        """See `Capture`."""
        self._capture.release()


def read_live(streams: Sequence[Stream], reading: Reading) -> Iterator[Item]:
    """The newest frames of streams as they come, in turn, until they all end or the reading is stopped.

    `index` counts what a stream has given, dropped frames included; `time` is since its first frame.

    Raises:
        DataError: the only stream has never given a frame; of several, that one is an `Unreadable`.
        Exception: whatever a thread did not expect.
    """
    ready = Condition()
    readers = [_Reader(stream, reading, ready) for stream in streams]
    for reader in readers:
        reader.start()
    has_frames = False
    try:
        while not reading.stopped.is_set():
            with ready:
                ready.wait_for(lambda: any(reader.has_news() for reader in readers), _POLL_SECONDS)
            for reader in list(readers):
                frame, reason = reader.poll()
                if frame is not None:
                    has_frames = True
                    yield frame
                elif reason is not None:
                    readers.remove(reader)
                    reading.notes += reader.notes()
                    if len(streams) == 1 and not has_frames:
                        raise DataError(reason)
                    yield Unreadable(reader.stream.name, reason)
            if not readers:
                return
    finally:
        reading.stopped.set()
        with ready:
            ready.notify_all()
        for reader in readers:
            reader.join(_JOIN_SECONDS)  # one that waits for its device is not waited for
            reading.notes += reader.notes()


class _Reader(Thread):
    """Reads one stream and keeps the newest frame.

    Only its own thread counts and keeps frames, and other threads take them, all of it under the lock of `ready`.
    """

    def __init__(self, stream: Stream, reading: Reading, ready: Condition) -> None:
        super().__init__(daemon=True, name=stream.name)
        self.stream = stream
        self._newest: Frame | None = None
        self._ended = ""  # why
        self._failure: Exception | None = None  # that nobody expected
        self._count = self._dropped = self._reconnects = 0  # frames that came; those that were replaced
        self._reading, self._ready = reading, ready
        self._began: float | None = None
        self._last_active = time.monotonic()
        self._timeout = reading.options.timeout

    def run(self) -> None:
        """Read until it must end, and say why it did."""
        reason, failure = f"{self.stream.name}: stopped by an unexpected error", None
        try:
            reason = self._read_until_lost()
        except Exception as error:  # noqa: BLE001 - `poll` raises it, in the thread that waits for frames
            error.add_note(f"while reading {self.stream.name}")
            failure = error
        finally:
            with self._ready:
                self._ended, self._failure = reason, failure
                self._ready.notify_all()

    def _read_until_lost(self) -> str:
        """Connect, read, and connect again; why that ended."""
        failures, reason = 0, "stopped"
        while not self._reading.stopped.is_set():
            before = self._count
            try:
                self._read_on()
                reason = f"{self.stream.name}: gave no frame" if not self._count else f"{self.stream.name}: was lost"
            except (DataError, cv2.error, OSError) as error:
                reason = str(error)
            failures = 1 if self._count > before else failures + 1
            if not self._count or failures > self._reading.options.reconnects:
                break
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1))
            self._note_activity(pause)
            self._reading.stopped.wait(pause)
        if self._count:
            attempts = f"; it could not be reconnected ({failures} attempts)" if failures > 1 else ""
            reason = f"{reason} after {self._count:,} frames{attempts}"
        return reason

    def _read_on(self) -> None:
        """Connect and read until the stream is lost."""
        self._note_activity()
        capture = self.stream.connect()
        is_again = self._count > 0
        try:
            while not self._reading.stopped.is_set() and (image := capture.read()) is not None:
                now = time.monotonic()
                self._began = now if self._began is None else self._began
                with self._ready:
                    self._last_active = now
                    self._reconnects += is_again
                    is_again = False
                    self._dropped += self._newest is not None
                    seconds = now - self._began
                    self._newest = Frame(image, self.stream.name, self._count, seconds, capture.fps, is_live=True)
                    self._count += 1
                    self._ready.notify_all()
                    while self.stream.waits and self._newest is not None and not self._reading.stopped.is_set():
                        self._ready.wait(_POLL_SECONDS)
                        self._last_active = time.monotonic()
        finally:
            capture.close()

    def _note_activity(self, pause: float = 0.0) -> None:
        """It is at work, or will be again after a pause in seconds."""
        with self._ready:
            self._last_active = time.monotonic() + pause

    def has_news(self) -> bool:
        """Whether `poll` has something to give, except that the thread hangs; the caller holds `ready`."""
        return self._newest is not None or bool(self._ended)

    def poll(self) -> tuple[Frame | None, str | None]:
        """The newest frame, once; or, after the last frame, why no more will come; or neither yet.

        Raises:
            Exception: what ended the thread and was not expected.
        """
        with self._ready:
            if (frame := self._newest) is not None:
                self._newest = None
                self._ready.notify_all()
                return frame, None
            if self._failure is not None:
                raise self._failure
            limit = _TIMEOUTS_TO_HANG * self._timeout
            if not self._ended and time.monotonic() - self._last_active > limit:
                return None, f"{self.stream.name}: has not responded for {limit:g} seconds"
            return None, self._ended or None

    def notes(self) -> list[str]:
        """Messages about the stream, printed at the end."""
        with self._ready:
            dropped, reconnects, count = self._dropped, self._reconnects, self._count
        found = []
        if dropped:
            found.append(
                f"{self.stream.name}: {dropped:,} of {count:,} frames were dropped, because newer ones came before "
                "they could be processed"
            )
        if reconnects:
            times = "once" if reconnects == 1 else f"{reconnects} times"
            found.append(f"{self.stream.name}: reconnected {times}")
        return found
