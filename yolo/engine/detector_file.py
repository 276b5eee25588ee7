"""A detector as a file, such as `best.safetensors`: a network, and all else that predicting needs."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolo._version import __version__
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.errors import WeightsError
from yolo.geometry import ResizeMode
from yolo.models.network import Network, Spec, build_network, spec_from_dict
from yolo.models.weights import fill, read_state_dict, save_weights
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.thresholds import ThresholdTable
from yolo.weights_header import read_metadata

_FORMAT = 2
_KEPT_SETTINGS = frozenset({"score_threshold", "iou_threshold", "max_detections"})

PREDICT = PostprocessSettings(score_threshold=0.25, iou_threshold=0.5, max_detections=300)
_VAL = PostprocessSettings(score_threshold=0.001, iou_threshold=0.6, max_detections=300)


@dataclass(frozen=True, kw_only=True)
class DetectorMetadata:
    """What a weights file says of itself."""

    network: Spec  # what to build
    class_names: tuple[str, ...]  # by label
    category_ids: tuple[int, ...] | None  # the dataset's own ids by label (COCO), or None
    input_hw: tuple[int, int]  # height and width of the input in training
    resize: ResizeMode  # how images were placed
    bit_depth: int = 16  # bits that the samples of 16-bit images had in training
    metrics: dict[str, Any]  # of the validation that chose these weights; empty before the first
    training: dict[str, Any]  # epoch, dataset and its fingerprint, backbone weights; for people
    predict: PostprocessSettings  # settings of `predict` where the user gives none
    val: PostprocessSettings  # settings of `val` where the user gives none
    seen: int = 0  # images the network was trained on in all, as darknet counts them
    thresholds: ThresholdTable | None = None  # what that validation counted by class and score threshold

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the versions that made them."""
        return {
            "format": _FORMAT,
            "network": self.network.to_dict(),
            "class_names": list(self.class_names),
            "category_ids": None if self.category_ids is None else list(self.category_ids),
            "input_hw": list(self.input_hw),
            "resize": self.resize,
            "bit_depth": self.bit_depth,
            "predict": _settings(self.predict),
            "val": _settings(self.val),
            "seen": self.seen,
            "metrics": self.metrics,
            "training": self.training,
            "thresholds": None if self.thresholds is None else self.thresholds.to_dict(),
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
                network=spec_from_dict(values["network"]),
                class_names=tuple(values["class_names"]),
                category_ids=None if category_ids is None else tuple(category_ids),
                input_hw=(values["input_hw"][0], values["input_hw"][1]),
                resize=values["resize"],
                bit_depth=int(values.get("bit_depth", 16)),  # absent in the files of the first versions
                predict=PostprocessSettings(**values["predict"]),
                val=PostprocessSettings(**values["val"]),
                seen=values["seen"],
                metrics=values["metrics"],
                training=values["training"],
                # absent in the files of the first versions
                thresholds=ThresholdTable.from_dict(values["thresholds"]) if values.get("thresholds") else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{path}: its metadata is damaged, or of a later version ({error})") from error


def _settings(settings: PostprocessSettings) -> dict[str, Any]:
    """Settings for a file; the others are chosen when a detector is used."""
    return {name: value for name, value in asdict(settings).items() if name in _KEPT_SETTINGS}


def default_settings(spec: Spec) -> tuple[PostprocessSettings, PostprocessSettings]:
    """What `predict` shows and what `val` measures of a network where nobody says otherwise.

    For darknet's networks the thresholds of its `yolo test` and `yolo valid`, and no limit to the detections.
    """
    if not isinstance(spec, DarknetSpec):
        return PREDICT, _VAL
    grid = spec.grid(spec.input_hw)
    every = grid.grid_size**2 * grid.boxes_per_cell * grid.num_classes
    return (
        PostprocessSettings(score_threshold=0.2, iou_threshold=0.4, max_detections=every),
        PostprocessSettings(score_threshold=0.001, iou_threshold=0.5, max_detections=every),
    )


def save_detector(path: Path, network: Network, metadata: DetectorMetadata) -> None:
    """Write a detector that `load_detector` reads."""
    save_weights(path, network, metadata.to_dict())


def load_detector(path: Path) -> tuple[Network, DetectorMetadata]:
    """Build the network of a weights file and fill it; every tensor must fit.

    Raises:
        WeightsError: missing, damaged, truncated, or not a detector of gridyolo.
    """
    if path.suffix == ".ckpt":
        raise WeightsError(f"{path}: is a training state; predict and val take best.safetensors beside it")
    metadata = DetectorMetadata.from_dict(read_metadata(path), path=path)
    state = read_state_dict(path)
    if isinstance(metadata.network, DarknetSpec):
        return _load_darknet(path, metadata.network, state), metadata
    network = build_network(metadata.network)
    report = fill(network, state)
    if report.missing or report.unexpected or report.misshapen:
        raise WeightsError(f"{path}: does not fit its own network: " + "; ".join(report.summary_lines()))
    return network.eval(), metadata


def _load_darknet(path: Path, spec: DarknetSpec, state: dict[str, Tensor]) -> DarknetNetwork:
    """A darknet network that takes the tensors of a file as its own: they may be most of the memory."""
    with torch.device("meta"):  # shapes without memory
        network = DarknetNetwork(spec)
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found = {name: tensor.shape for name, tensor in state.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise WeightsError(f"{path}: does not fit its own network: {len(odd)} tensors differ, such as {odd[0]}")
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return network.eval()
