"""Which device and which precision a run uses."""

import re

import torch

from yolo.errors import ConfigError


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
    if index >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ConfigError(f"device {name}: this machine shows {found} CUDA devices to torch; use --device cpu")
    return torch.device("cuda", index)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The float type of a network in use, from 32, bf16 or fp16; ConfigError for fp16 without CUDA."""
    if name == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision fp16 needs a CUDA device, this is {device.type}; use bf16 or 32")
    return {"32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


def choose_precision(name: str, device: torch.device) -> str:
    """Fabric's name for a precision; `auto` takes bf16 or fp16 on CUDA and 32 elsewhere."""
    if name == "auto":
        if device.type != "cuda":
            return "32-true"
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if name == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision fp16 needs a CUDA device, this is {device.type}; use bf16 or 32")
    return {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[name]
