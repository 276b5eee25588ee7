"""What can be configured: frozen dataclasses, read from YAML and the command line, checked when made.

Plain values only, so that `gridyolo --help` need not import torch. Classes elsewhere receive plain arguments;
only `engine`, `cli` and the transform presets read these.

`parts` are the sections of a training's configuration, `training` is the whole of it, `commands`,
`evaluation_commands` and `data_commands` are the others'.
"""

from yolo.config.commands import (
    DarknetExportConfig,
    DarknetImportConfig,
    DarknetShowConfig,
    DemoConfig,
    InfoConfig,
    PredictConfig,
)
from yolo.config.data_commands import (
    BoxPolicy,
    DataCheckConfig,
    DataConvertConfig,
    DataDownloadConfig,
    DataPreviewConfig,
    DatasetFormat,
    DataSplitConfig,
    DataStatsConfig,
    DataSynthConfig,
)
from yolo.config.evaluation_commands import CompareConfig, DetectionFormat, ReportConfig, ValConfig
from yolo.config.parts import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig, RateConfig
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
