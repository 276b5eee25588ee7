"""The screen of this machine as a live source, through mss (the extra `screen`)."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import numpy as np

from yolo.arrays import UInt8
from yolo.errors import ConfigError, DataError
from yolo.media.streams import Stream


def require_screen() -> None:
    """ConfigError where mss is not installed."""
    if find_spec("mss") is None:
        raise ConfigError("source screen: needs the package mss: pip install 'gridyolo[screen]'")


def screen(number: int) -> Stream:
    """A monitor, the first one being 1; 0 is all of them as one picture."""
    name = f"screen:{number}"
    return Stream(name, partial(_ScreenCapture, number, name), waits=True)


class _ScreenCapture:
    """Takes a picture of the screen whenever it is asked."""

    fps: float | None = None

    def __init__(self, number: int, name: str) -> None:
        import mss

        try:
            self._grabber = mss.mss()  # in the thread that uses it, as X11 wants
        except mss.ScreenShotError as error:
            raise DataError(f"{name}: the screen cannot be read ({error})") from error
        monitors = self._grabber.monitors
        if number >= len(monitors):
            self.close()
            raise DataError(f"{name}: there are {len(monitors) - 1} screens")
        self._monitor, self._name, self._failures = monitors[number], name, (mss.ScreenShotError,)

    def read(self) -> UInt8 | None:
        """See `yolo.media.streams.Capture`."""
        try:
            picture = np.asarray(self._grabber.grab(self._monitor), np.uint8)  # (H, W, 4) BGRA
        except self._failures as error:
            raise DataError(f"{self._name}: the screen cannot be read ({error})") from error
        return np.ascontiguousarray(picture[:, :, 2::-1])

    def close(self) -> None:
        """Let go of the screen."""
        self._grabber.close()
