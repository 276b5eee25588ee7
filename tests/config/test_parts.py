import math
from typing import Any

import pytest

from yolo.config import AugmentConfig
from yolo.errors import ConfigError

SHARES = (
    "mosaic",
    "mixup",
    "copy_paste",
    "close_mosaic",
    "translate",
    "blur",
    "jpeg_noise",
    "flip_horizontal",
    "flip_vertical",
)


def make(name: str, value: float) -> AugmentConfig:
    options: dict[str, Any] = {name: value}
    return AugmentConfig(**options)


@pytest.mark.parametrize("name", SHARES)
def test_probabilities_and_shares_lie_in_0_to_1(name: str) -> None:
    make(name, 0.0)
    make(name, 1.0)
    for value in (-0.01, 1.01, math.nan):
        with pytest.raises(ConfigError, match=rf"augment\.{name} must be in \[0, 1\]"):
            make(name, value)


@pytest.mark.parametrize(("name", "largest"), [("degrees", 180), ("shear", 45), ("perspective", 0.1), ("hue", 0.5)])
def test_bends_have_limits(name: str, largest: float) -> None:
    make(name, largest)
    with pytest.raises(ConfigError, match=rf"augment\.{name}"):
        make(name, largest * 1.01)


@pytest.mark.parametrize("name", ["mosaic", "mixup", "copy_paste", "degrees", "shear", "perspective", "blur"])
def test_the_style_darknet_refuses_what_it_has_not(name: str) -> None:
    off: dict[str, Any] = {"mosaic": 0.0, "scale": 0.0, "translate": 0.0}
    AugmentConfig(style="darknet", **off)
    with pytest.raises(ConfigError, match=rf"darknet has no {name}: set it to 0"):
        AugmentConfig(style="darknet", **(off | {name: 0.1}))
    with pytest.raises(ConfigError, match="leave it out"):
        AugmentConfig(style="darknet", pipeline="own.yaml", **off)
