"""What can be configured: frozen dataclasses, read from YAML and the command line, checked when made.

Plain values only, so that `gridyolo --help` need not import torch. Classes elsewhere receive plain arguments;
only `engine`, `cli` and the transform presets read these.

`parts` are the sections of a training's configuration, `training` is the whole of it, `commands` are the others'.
"""

from yolo.config.commands import (
    DarknetExportConfig,
    DarknetImportConfig,
    DarknetShowConfig,
    DemoConfig,
    InfoConfig,
    PredictConfig,
    ValConfig,
)
from yolo.config.parts import AugmentConfig, LossConfig, ModelConfig, OptimizerConfig, RateConfig
from yolo.config.training import TrainConfig

__all__ = [
    "AugmentConfig",
    "DarknetExportConfig",
    "DarknetImportConfig",
    "DarknetShowConfig",
    "DemoConfig",
    "InfoConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PredictConfig",
    "RateConfig",
    "TrainConfig",
    "ValConfig",
]
