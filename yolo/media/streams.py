"""Live sources: of each the newest frame only, several at a time, reached again when they are lost.

A thread per stream keeps the newest frame; what it replaces before anybody asked is counted as dropped. A stream that
has never given a frame is given up at once, one that has is tried again with growing pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Condition, Thread
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from yolo.arrays import UInt8
from yolo.errors import DataError
from yolo.http import shown_address
from yolo.media.items import Frame, Item, Reading, Unreadable

STREAM_SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "rtp://", "udp://", "srt://")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before the first further attempt, doubled until the longest
# A reader that gives no sign for so many timeouts hangs in a driver: it is left behind.
_TIMEOUTS_TO_HANG = 3
_LOOK_EVERY = 0.1  # seconds


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
    trouble = f"{name}: gives no stream; is the address right, and does the camera answer within {timeout:g} seconds?"
    return Stream(name, lambda: OpenCvCapture(address, trouble, timeout=timeout))


class OpenCvCapture:
    """A camera or a stream read by OpenCV; DataError with the message `trouble` where it cannot be opened."""

    def __init__(self, target: int | str, trouble: str, *, timeout: float = 10.0) -> None:
        level = cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_SILENT
        )  # each backend would print why it could not, before the error does
        try:
            if isinstance(target, int):
                self._capture = cv2.VideoCapture(target)
            else:
                milliseconds = int(1000 * timeout)
                limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
                self._capture = cv2.VideoCapture(target, cv2.CAP_FFMPEG, limits)
        finally:
            cv2.utils.logging.setLogLevel(level)
        if not self._capture.isOpened():
            self._capture.release()
            raise DataError(trouble)
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
    """
    ready = Condition()
    readers = [_Reader(stream, reading, ready) for stream in streams]
    for reader in readers:
        reader.start()
    try:
        while not reading.stopped.is_set():
            with ready:
                ready.wait_for(lambda: any(reader.newest or reader.ended for reader in readers), _LOOK_EVERY)
            for reader in list(readers):
                if (frame := reader.take()) is not None:
                    yield frame
                elif (reason := reader.has_ended()) is not None:
                    readers.remove(reader)
                    reading.notes += reader.notes()
                    if len(streams) == 1 and not reader.count:
                        raise DataError(reason)
                    yield Unreadable(reader.stream.name, reason)
            if not readers:
                return
    finally:
        reading.stopped.set()
        with ready:
            ready.notify_all()
        for reader in readers:
            reader.join(_LOOK_EVERY)  # one that waits for its device is not waited for
            reading.notes += reader.notes()


class _Reader(Thread):
    """Reads one stream and keeps the newest frame; everything that others see is guarded by `ready`."""

    def __init__(self, stream: Stream, reading: Reading, ready: Condition) -> None:
        super().__init__(daemon=True, name=stream.name)
        self.stream = stream
        self.newest: Frame | None = None
        self.ended = ""  # why
        self.count = 0  # frames that came
        self._dropped = self._reconnects = 0
        self._reading, self._ready = reading, ready
        self._began: float | None = None
        self._sign = time.monotonic()  # when it last did anything
        self._timeout = reading.options.timeout

    def run(self) -> None:
        """Read until it must end, and say why it did."""
        reason = f"{self.stream.name}: failed in an unforeseen way"  # whatever it was, nobody waits for more
        try:
            reason = self._read_until_lost()
        finally:
            with self._ready:
                self.ended = reason
                self._ready.notify_all()

    def _read_until_lost(self) -> str:
        """Connect, read, and connect again; why that ended."""
        failures, reason = 0, "stopped"
        while not self._reading.stopped.is_set():
            before = self.count
            try:
                self._read_on()
                reason = f"{self.stream.name}: gave no frame" if not self.count else f"{self.stream.name}: was lost"
            except (DataError, cv2.error, OSError) as error:
                reason = str(error)
            failures = 1 if self.count > before else failures + 1
            if not self.count or failures > self._reading.options.reconnects:
                break
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1))
            self._sign = time.monotonic() + pause
            self._reading.stopped.wait(pause)
        if self.count:
            attempts = f"; it could not be reached again ({failures} attempts)" if failures > 1 else ""
            reason = f"{reason} after {self.count:,} frames{attempts}"
        return reason

    def _read_on(self) -> None:
        """Connect and read until the stream is lost."""
        self._sign = time.monotonic()
        capture = self.stream.connect()
        is_again = self.count > 0
        try:
            while not self._reading.stopped.is_set() and (image := capture.read()) is not None:
                now = self._sign = time.monotonic()
                self._began = now if self._began is None else self._began
                with self._ready:
                    self._reconnects += is_again
                    is_again = False
                    self._dropped += self.newest is not None
                    self.newest = Frame(
                        image, self.stream.name, self.count, now - self._began, capture.fps, is_live=True
                    )
                    self.count += 1
                    self._ready.notify_all()
                    while self.stream.waits and self.newest is not None and not self._reading.stopped.is_set():
                        self._ready.wait(_LOOK_EVERY)
                        self._sign = time.monotonic()
        finally:
            capture.close()

    def take(self) -> Frame | None:
        """The newest frame, once."""
        with self._ready:
            frame, self.newest = self.newest, None
            self._ready.notify_all()
            return frame

    def has_ended(self) -> str | None:
        """Why no more will come; None while it may."""
        if not self.ended and time.monotonic() - self._sign > _TIMEOUTS_TO_HANG * self._timeout:
            return f"{self.stream.name}: gives no sign of life for {_TIMEOUTS_TO_HANG * self._timeout:g} seconds"
        return self.ended or None

    def notes(self) -> list[str]:
        """What is to be said of the stream at the end."""
        found = []
        if self._dropped:
            found.append(
                f"{self.stream.name}: {self._dropped:,} of {self.count:,} frames were dropped, because newer ones came "
                "before they could be looked at"
            )
        if self._reconnects:
            times = "once" if self._reconnects == 1 else f"{self._reconnects} times"
            found.append(f"{self.stream.name}: was lost and reached again {times}")
        return found
