"""What can be configured: frozen dataclasses, read from YAML and the command line, checked when made.

Plain values only, so that `gridyolo --help` need not import torch. Classes elsewhere receive plain arguments;
only `engine`, `cli`, `darknet` and `transforms.augment` read these.

`training` configures a training, `parts` are its sections; `predict`, `data_commands` and `commands` configure the
other commands. `options` are those that several commands have; `from_python` makes a configuration from values.
"""

from yolo.config.commands import (
    CompareConfig,
    DarknetExportConfig,
    DarknetImportConfig,
    DarknetShowConfig,
    DemoConfig,
    InfoConfig,
    ReportConfig,
    ValConfig,
)
from yolo.config.data_commands import (
    DataCheckConfig,
    DataConvertConfig,
    DataDownloadConfig,
    DataPreviewConfig,
    DataSplitConfig,
    DataStatsConfig,
    DataSynthConfig,
)
from yolo.config.options import BoxPolicy, DatasetFormat, DetectionFormat
from yolo.config.parts import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig, RateConfig
from yolo.config.predict import PredictConfig
from yolo.config.training import TrainConfig

__all__ = [
    "AugmentConfig",
    "BoxPolicy",
    "CompareConfig",
    "DarknetExportConfig",
    "DarknetImportConfig",
    "DarknetShowConfig",
    "DataCheckConfig",
    "DataConvertConfig",
    "DataDownloadConfig",
    "DataPreviewConfig",
    "DataSplitConfig",
    "DataStatsConfig",
    "DataSynthConfig",
    "DatasetFormat",
    "DemoConfig",
    "DetectionFormat",
    "InfoConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PredictConfig",
    "RateConfig",
    "ReportConfig",
    "TrainConfig",
    "ValConfig",
]
