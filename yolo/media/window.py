"""A window that shows images as they are drawn, through OpenCV."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError

_ESCAPE = 27
_TITLE = "gridyolo: q or Escape ends"


class Window:
    """Opened by its first image; closed by q, Escape or its button.

    Raises:
        ConfigError: there is no display, or an OpenCV without windows.
    """

    def __init__(self) -> None:
        # without a display the libraries under OpenCV end the process
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ConfigError("--show: there is no display (DISPLAY is not set); leave it out")
        try:
            cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise ConfigError(
                "--show: this OpenCV cannot open windows; replace opencv-python-headless by opencv-python"
            ) from error

    def show(self, image: NDArray[np.uint8]) -> bool:
        """Show an (H, W, 3) RGB image; False where the user has ended the show."""
        cv2.imshow(_TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in (ord("q"), _ESCAPE) and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close it."""
        cv2.destroyAllWindows()
