import sys

import numpy as np
import pytest

from yolo.errors import ConfigError
from yolo.media.window import Window

IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_the_message_comes_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match="there is no display"):
        Window()


@pytest.mark.parametrize(
    ("key", "visible", "goes_on"), [(-1, 1, True), (ord("q"), 1, False), (27, 1, False), (-1, 0, False)]
)
def test_q_escape_and_the_button_end_it(monkeypatch: pytest.MonkeyPatch, key: int, visible: int, goes_on: bool) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    shown = []
    monkeypatch.setattr("cv2.namedWindow", lambda *args: None)
    monkeypatch.setattr("cv2.imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr("cv2.waitKey", lambda milliseconds: key)
    monkeypatch.setattr("cv2.getWindowProperty", lambda *args: visible)
    assert Window().show(IMAGE + np.array([1, 2, 3], np.uint8)) is goes_on
    assert shown[0][0, 0].tolist() == [3, 2, 1]
