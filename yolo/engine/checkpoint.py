"""The two files of a run: `best.safetensors`, all that predicting needs, and `last.ckpt`, all that resuming needs."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from yolo._version import __version__
from yolo.errors import WeightsError
from yolo.files import atomic_write
from yolo.geometry import ResizeMode
from yolo.models.network import GridNetwork, NetworkSpec
from yolo.models.weights import fill, read_metadata, read_state_dict, save_weights

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class DetectorMetadata:
    """What a weights file says of itself.

    Attributes:
        network: what to build.
        class_names: by label.
        category_ids: the dataset's own ids by label (COCO), or None.
        input_size: side of the input in training.
        resize: how images were placed.
        metrics: of the validation that chose these weights; empty before the first.
        training: epoch, dataset and its fingerprint, backbone weights; for people.
    """

    network: NetworkSpec
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] | None
    input_size: int
    resize: ResizeMode
    metrics: dict[str, Any]
    training: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the versions that made them."""
        return {
            "format": _FORMAT,
            "network": self.network.to_dict(),
            "class_names": list(self.class_names),
            "category_ids": None if self.category_ids is None else list(self.category_ids),
            "input_size": self.input_size,
            "resize": self.resize,
            "metrics": self.metrics,
            "training": self.training,
            "versions": {"gridyolo": __version__, "torch": torch.__version__, "python": platform.python_version()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, path: Path) -> DetectorMetadata:
        """Inverse of `to_dict`; WeightsError naming `path` if it does not fit this version."""
        if values.get("format") != _FORMAT:
            raise WeightsError(
                f"{path}: has format {values.get('format')!r}, this gridyolo {__version__} reads {_FORMAT}; "
                "install the gridyolo that made it"
            )
        try:
            category_ids = values["category_ids"]
            return cls(
                network=NetworkSpec(**values["network"]),
                class_names=tuple(values["class_names"]),
                category_ids=None if category_ids is None else tuple(category_ids),
                input_size=values["input_size"],
                resize=values["resize"],
                metrics=values["metrics"],
                training=values["training"],
            )
        except (KeyError, TypeError) as error:
            raise WeightsError(f"{path}: its metadata lacks or misspells {error}") from error


def save_detector(path: Path, network: GridNetwork, metadata: DetectorMetadata) -> None:
    """Write a detector that `load_detector` reads."""
    save_weights(path, network, metadata.to_dict())


def load_detector(path: Path) -> tuple[GridNetwork, DetectorMetadata]:
    """Build the network of a weights file and fill it; every tensor must fit.

    Raises:
        WeightsError: missing, damaged, truncated, or not a detector of gridyolo.
    """
    if path.suffix == ".ckpt":
        raise WeightsError(f"{path}: is a training state; predict and val take best.safetensors beside it")
    metadata = DetectorMetadata.from_dict(read_metadata(path), path=path)
    network = GridNetwork(metadata.network)
    report = fill(network, read_state_dict(path))
    if report.missing or report.unexpected or report.misshapen:
        raise WeightsError(f"{path}: does not fit its own network: " + "; ".join(report.summary_lines()))
    return network.eval(), metadata


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state: tensors, numbers, strings, lists and dicts only."""
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state without executing anything in it; WeightsError if it is damaged."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such training state; the run may not have reached its first save")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes tell it to
        raise WeightsError(f"{path}: is damaged or no training state ({type(error).__name__})") from error
    return state
