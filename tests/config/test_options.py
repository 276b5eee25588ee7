from typing import Any

import pytest

from yolo.config import (
    AugmentConfig,
    CompareConfig,
    DataCheckConfig,
    DataPreviewConfig,
    DataStatsConfig,
    DemoConfig,
    ModelConfig,
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


DARKNET_STYLE = {"style": "darknet", "mosaic": 0.0, "scale": 0.0, "translate": 0.0}


@pytest.mark.parametrize(
    ("config", "needed", "option", "allowed", "refused"),
    [
        (TrainConfig, {"data": "d"}, "input_size", (32,), (31,)),
        (ModelConfig, {}, "width", (8,), (7,)),
        (AugmentConfig, DARKNET_STYLE, "jitter", (0.0, 0.49), (-0.01, 0.5)),
        (ReportConfig, {"ground_truth": "g", "detections": "d"}, "bootstrap", (0, 100, None), (-1, 99)),
        (CompareConfig, {"a": "a", "b": "b"}, "bootstrap", (100, None), (0, 99)),
        (DemoConfig, {}, "images", (20,), (19,)),
        (DataCheckConfig, {"data": "d"}, "near_duplicates", (-1, 16), (-2, 17)),
        (DataStatsConfig, {"data": "d"}, "input_size", (32, 64, None), (0, 48)),
        (DataPreviewConfig, {"data": "d"}, "input_size", (32,), (31,)),
    ],
)
def test_limits(config: Any, needed: dict[str, Any], option: str, allowed: Any, refused: Any) -> None:
    for value in allowed:
        assert getattr(config(**needed, **{option: value}), option) == value
    for value in refused:
        with pytest.raises(ConfigError, match=option):
            config(**needed, **{option: value})
