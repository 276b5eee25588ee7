"""How a result was made, for people who compare results: the command, the versions and the machine."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from yolo._version import __version__

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance

VERSIONS_OF = ("torch", "torchvision", "albumentations", "opencv-python", "numpy", "lightning-fabric", "safetensors")


def describe_environment(device: torch.device | None = None) -> dict[str, str]:
    """Name -> value, as texts."""
    lines = {
        "gridyolo": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in VERSIONS_OF},
        "platform": platform.platform(),
        "CPU cores": str(os.cpu_count()),
    }
    if device is not None:
        lines["device"] = str(device)
        if device.type == "cuda":
            import torch

            lines["device name"] = torch.cuda.get_device_name(device)
    return lines


def command_of(command: str, config: DataclassInstance, *, positional: tuple[str, ...] = ()) -> str:
    """The command line that makes this configuration: every option that is not at its default.

    >>> from yolo.config import InfoConfig
    >>> command_of("info", InfoConfig(weights="my best.safetensors"))
    "gridyolo info --weights 'my best.safetensors'"
    """
    words = ["gridyolo", command, *(str(getattr(config, name)) for name in positional)]
    return shlex.join([*words, *_options(config, prefix="", skip=positional)])


def _options(config: DataclassInstance, *, prefix: str, skip: tuple[str, ...] = ()) -> Iterator[str]:
    """Words for the options that are not at their default, sections as dotted keys."""
    for field in fields(config):
        value = getattr(config, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        name = f"{prefix}{field.name}".replace("_", "-")
        if field.name in skip or value == default:
            continue
        if is_dataclass(value) and not isinstance(value, type):
            yield from _options(value, prefix=f"{name}.")
        elif isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
        else:
            yield from (f"--{name}", str(value))
