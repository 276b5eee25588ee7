"""What `--weights` of a training names, and the options that follow from it; all without torch.

A network follows the weights that it starts from: those of a detector bring its backbone, grid, input and so on, and a
darknet cfg, which may be in the detector's file, brings the whole recipe. How the network is filled: initialise.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolo.config.training import AUTO, DEFAULT
from yolo.darknet.recipe import training_defaults
from yolo.errors import ConfigError
from yolo.run_weights import weights_path
from yolo.weights_header import find_metadata

RANDOM = "none"
# Values of `--weights` that are not files.
_WORDS = frozenset({"", RANDOM, AUTO, DEFAULT})
# Options by the field of a NetworkSpec that they set.
OPTIONS_OF_FIELDS = {
    "backbone": "backbone",
    "boxes_per_cell": "model.boxes_per_cell",
    "width": "model.width",
    "coding": "model.coding",
    "deepest_stride": "model.deepest_stride",
}


def start_defaults(
    *, weights: str = RANDOM, cfg: str = "", input_size: int | None = None, epochs: int | None = None
) -> dict[str, Any]:
    """Options of `TrainConfig`, by dotted key, that follow from the network's origin where the user does not set them.

    Args:
        weights: as of `--weights`. A file that is not a detector is refused later, when the network is built.
        cfg: as of `--cfg`.
        input_size: what the user sets; the grid keeps the detector's stride.
        epochs: what the user sets, in place of the length that a cfg gives.

    Raises:
        ConfigError: a cfg that cannot be used, or an input size that the detector's stride does not divide.
        WeightsError: weights that are a folder without any, a training state, or a damaged file.
    """
    defaults: dict[str, Any] = {}
    if not cfg:
        metadata = _metadata_of(weights)
        if metadata is None:
            return {}
        path = weights_path(weights)
        try:
            network = metadata["network"]
            if "cfg" not in network:
                return _of_detector(path, metadata, input_size)
            cfg, defaults = str(path), {"cfg": str(path), "model.batch_norm": network["batch_norm"]}
            defaults["bit_depth"] = metadata.get("bit_depth", 16)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
            return {}  # loading it will say that its metadata are damaged
    defaults = training_defaults(cfg) | defaults
    if epochs is not None:
        del defaults["max_batches"]
    return defaults


def network_of(weights: str) -> dict[str, Any]:
    """The fields of the network of one's own detector; none for anything else.

    Raises:
        WeightsError: weights that are a folder without any, a training state, or a damaged file.
    """
    network = (_metadata_of(weights) or {}).get("network")
    return network if isinstance(network, dict) else {}


def _metadata_of(weights: str) -> dict[str, Any] | None:
    """Metadata of one's own detector; None for anything else."""
    if weights in _WORDS:  # also where a folder has such a name
        return None
    path = weights_path(weights)
    return find_metadata(path) if path.suffix == ".safetensors" and path.is_file() else None


def _of_detector(path: Path, metadata: dict[str, Any], input_size: int | None) -> dict[str, Any]:
    """The options of a detector with a backbone."""
    network = metadata["network"]
    stride, size = int(network["stride"]), int(input_size or metadata["input_hw"][0])
    if size < stride or size % stride:
        lower = max(stride, size // stride * stride)
        raise ConfigError(
            f"input_size {size} is not a multiple of the stride {stride} of {path}; "
            f"the nearest are {lower} and {lower + stride}"
        )
    # files of earlier versions do not have all fields
    options = {option: network[field] for field, option in OPTIONS_OF_FIELDS.items() if field in network}
    options |= {"input_size": size, "model.grid_size": size // stride, "model.resize": metadata["resize"]}
    options["bit_depth"] = metadata.get("bit_depth", 16)
    if network["coding"] == "linear":  # which has no logits for the default losses
        options |= {"loss.confidence": "squared", "loss.class_prob": "squared"}
    return options
