from typing import Any

import pytest

from yolo.config import PredictConfig
from yolo.errors import ConfigError


@pytest.mark.parametrize("every", ["0", "-1", "0s", "0.0s", "-2s", "nans", "infs", "two", "1.5", "s", ""])
def test_a_step_that_makes_no_sense_is_refused(every: str) -> None:
    with pytest.raises(ConfigError, match=r"--every .*: give a number of frames such as 10"):
        PredictConfig(weights="w", source="s", every=every)


@pytest.mark.parametrize("every", ["1", "010", "2.5s", "3s", ".5s"])
def test_steps_in_frames_and_in_seconds(every: str) -> None:
    assert PredictConfig(weights="w", source="s", every=every).every == every


@pytest.mark.parametrize("times", [{"start": -1.0}, {"end": 0.0}, {"start": 5.0, "end": 5.0}, {"start": float("nan")}])
def test_a_part_of_a_video_that_makes_no_sense_is_refused(times: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be later"):
        PredictConfig(weights="w", source="s", **times)
