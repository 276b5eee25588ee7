from collections.abc import Callable

import pytest

from yolo.config import (
    DataCheckConfig,
    DataConvertConfig,
    DataDownloadConfig,
    DataPreviewConfig,
    DataSplitConfig,
    DataStatsConfig,
    DataSynthConfig,
)
from yolo.errors import ConfigError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataCheckConfig(), "--data is required"),
        (lambda: DataCheckConfig(data="d", workers=-1), "workers"),
        (lambda: DataCheckConfig(data="d", max_pictures=-1), "max_pictures"),
        (lambda: DataCheckConfig(data="d", format="coco"), "--fix-into"),
        (lambda: DataStatsConfig(), "--data is required"),
        (lambda: DataConvertConfig(data="d"), "--output is required"),
        (lambda: DataSplitConfig(data="d", output="o", val=1.0), "val must be in"),
        (lambda: DataSplitConfig(data="d", output="o", val=0.5, test=0.5), "leave something"),
        (lambda: DataSplitConfig(data="d", output="o", pattern="a"), "--pattern is for --by group --group regex"),
        (
            lambda: DataSplitConfig(data="d", output="o", by="group", group="regex"),
            "--group regex needs --pattern REGEX",
        ),
        (lambda: DataSynthConfig(), "--output is required"),
        (lambda: DataSynthConfig(output="o", val=0), "val must be at least 1"),
        (lambda: DataSynthConfig(output="o", seed=-1), "seed"),
        (lambda: DataDownloadConfig(), "--dataset is required"),
        (lambda: DataPreviewConfig(data="d", epoch=-1), "epoch"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
