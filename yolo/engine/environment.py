"""What a run depends on beside its options: device, precision, versions, machine; and the command that repeats it."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import torch

from yolo._version import __version__
from yolo.errors import ConfigError
from yolo.models.efficientnet_lite import EFFICIENTNET_LITE0

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Their training step is faster in bf16 on a CPU that has it (tools/bench_step.py --precision bf16); that of
# shufflenet_v2_x0_5 is not.
_FASTER_IN_BF16 = frozenset({EFFICIENTNET_LITE0})
_VERSIONS_OF = ("torch", "torchvision", "albumentations", "opencv-python", "numpy", "lightning-fabric", "safetensors")


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes CUDA, else Apple's MPS, else the CPU.

    Args:
        name: auto, cpu, cuda, cuda:1, mps, or a bare number for a CUDA device.

    Raises:
        ConfigError: an unknown name, or a device this machine lacks.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    match = re.fullmatch(r"(cpu|mps|cuda)|(?:cuda:)?(\d+)", name)
    if match is None:
        raise ConfigError(f"device {name!r} is unknown; use auto, cpu, cuda, cuda:1 or mps")
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError("device mps: this machine has none; use --device cpu")
        return torch.device("mps")
    index = int(match.group(2) or 0)
    found = torch.cuda.device_count()
    if index >= found:
        raise ConfigError(f"device {name}: this machine shows {found} CUDA devices to torch; use --device cpu")
    return torch.device("cuda", index)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The float type of a network in use, from 32, bf16 or fp16; ConfigError for others, and for fp16 without CUDA."""
    types = {"32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if name not in types:
        raise ConfigError(f"precision must be 32, bf16 or fp16, got {name!r}")
    if name == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision fp16 needs a CUDA device, this is {device.type}; use bf16 or 32")
    return types[name]


def choose_precision(
    name: Literal["auto", "32", "bf16", "fp16"], device: torch.device, *, backbone: str = ""
) -> Literal["32", "bf16", "fp16"]:
    """The precision of a training: 32, bf16 or fp16.

    `auto` takes bf16 or fp16 on CUDA. On a CPU it takes bf16 where the processor has instructions for it and the
    backbone trains faster so, and 32 elsewhere.

    Raises:
        ConfigError: fp16 without CUDA.
    """
    if name != "auto":
        choose_dtype(name, device)  # refuses what the device cannot do
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and backbone in _FASTER_IN_BF16 and cpu_has_bf16():
        return "bf16"
    return "32"


def precision_warnings(name: str, device: str) -> list[str]:
    """What a user should know of the precision that was asked for on that device, in lines."""
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")  # torch cannot tell for other processors
    if name != "bf16" or choose_device(device).type != "cpu" or cpu_has_bf16() or not is_x86:
        return []
    return [
        "precision bf16: this processor has no instructions for it and emulates them, which is several times slower "
        "than --precision 32"
    ]


def cpu_has_bf16() -> bool:
    """Whether this processor computes in bfloat16 (AVX-512 BF16 or AMX); False also where torch cannot tell."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, check, lambda: False)()) for check in checks)


def installed_versions() -> dict[str, str]:
    """Versions of the packages that decide about numbers."""
    return {name: version(name) for name in _VERSIONS_OF}


def describe_environment(device: torch.device | None = None) -> dict[str, str]:
    """Name -> value, as texts for a page."""
    lines = {
        "gridyolo": __version__,
        "Python": platform.python_version(),
        **installed_versions(),
        "platform": platform.platform(),
        "CPU cores": str(os.cpu_count()),
    }
    if device is not None:
        lines["device"] = str(device)
        if device.type == "cuda":
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
