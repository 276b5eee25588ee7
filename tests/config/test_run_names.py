from typing import Any

import pytest

from yolo.config import (
    CompareConfig,
    DataCheckConfig,
    DataPreviewConfig,
    DataStatsConfig,
    DemoConfig,
    PredictConfig,
    ReportConfig,
    TrainConfig,
    ValConfig,
)
from yolo.errors import ConfigError

NEEDED: list[tuple[Any, dict[str, str]]] = [
    (TrainConfig, {"data": "d"}),
    (ValConfig, {"weights": "w", "data": "d"}),
    (PredictConfig, {"weights": "w", "source": "s"}),
    (ReportConfig, {"ground_truth": "g", "detections": "d"}),
    (CompareConfig, {"a": "a", "b": "b"}),
    (DemoConfig, {}),
    *((config, {"data": "d"}) for config in (DataCheckConfig, DataStatsConfig, DataPreviewConfig)),
]


@pytest.mark.parametrize(("config", "needed"), NEEDED)
def test_a_name_is_that_of_one_folder_inside_of_runs(config: Any, needed: dict[str, str]) -> None:
    for name in ("", "  ", ".", "..", "a/b", "../elsewhere", "/tmp", "a\0b", "a\\b"):
        with pytest.raises(ConfigError, match="name must be the name of one folder"):
            config(**needed, name=name)
    for name in ("val", "my run.2", "été"):
        assert config(**needed, name=name).name == name
