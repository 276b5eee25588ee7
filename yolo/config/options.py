"""Options that several commands have: type and help text in one place, and the checks that options share.

The help of any other option is its line under "Attributes" in the docstring of its configuration.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_type_hints

from yolo.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Other names of an option, of ours and of other packages, that mean just the same; `foreign_options` has those that
# mean something a little different. The first of an option is shown in its help.
ALIASES = {
    "imgsz": "input_size",
    "img": "input_size",
    "img_size": "input_size",
    "batch": "batch_size",
    "conf": "score_threshold",
    "conf_thres": "score_threshold",
    "score_thr": "score_threshold",
    "thresh": "score_threshold",
    "iou": "iou_threshold",
    "iou_thres": "iou_threshold",
    "max_det": "max_detections",
    "project": "runs",
    "lr0": "optimizer.lr",
    "learning_rate": "optimizer.lr",
    "weight_decay": "optimizer.weight_decay",
    "momentum": "optimizer.momentum",
    "augment": "augment.pipeline",
    "line_thickness": "line_width",
    "num_epochs": "epochs",
    "num_workers": "workers",
    "data_path": "data",
    "hyp": "config",
}
# The least likeness, by `difflib`, of words that may have been mistyped: bacth and batch, but not half and help.
_NEAR = 0.66
# Suffixes of networks as other packages write them.
OTHERS_WEIGHTS = (".pt", ".onnx", ".engine", ".torchscript", ".tflite", ".mlpackage")
SMALLEST_TILE = 32
# Pixels, images, processes, draws: more than any machine has room for.
LARGEST_SIDE, LARGEST_BATCH, MOST_WORKERS, MOST_RESAMPLES = 32_768, 65_536, 1024, 1_000_000
# Without a common strip nothing says which halves belong together; with more, the work grows and nothing is gained.
LEAST_OVERLAP, DEFAULT_OVERLAP, MOST_OVERLAP = 0.05, 0.2, 0.75
DatasetFormat = Literal["voc", "coco", "yolo", "csv"]

Data = Annotated[str, "The dataset: a YAML file, or a folder in Pascal VOC, COCO, YOLO or CSV layout. Required."]
BoxPolicy = Annotated[
    Literal["fix", "drop", "strict"], "Faulty boxes are fixed where possible (fix), dropped, or end the run (strict)."
]
Resize = Annotated[Literal["letterbox", "stretch", "stretch_corners"], "How images are resized to the input."]
Device = Annotated[str, "The device to compute on: auto, cpu, cuda, cuda:1 or mps."]
Precision = Annotated[Literal["32", "bf16", "fp16"], "Floating-point format of the network; fp16 needs CUDA."]
Workers = Annotated[int | None, "Number of processes that load images; by default chosen from the CPU and the device."]
Weights = Annotated[
    str,
    "A trained detector: the folder of its run, such as runs/train, a *.safetensors file, or a darknet weights file. "
    "Required.",
]
DarknetCfg = Annotated[
    str, "For a darknet weights file: its cfg, or the name of a shipped network; by default found by the file's name."
]
DarknetNames = Annotated[
    str,
    "For a darknet weights file: a text file with one class name per line; by default the one beside the weights, or "
    "the names of Pascal VOC.",
]
InferenceSize = Annotated[int | None, "Side of the network's input in pixels; by default as in training."]
BitDepth = Annotated[
    int | None,
    "Bits that the samples of 16-bit images use, 8 to 16: 12 makes 4095 white, as of cameras that write 12 bits into "
    "16; by default as in training.",
]
MaxDetections = Annotated[int | None, "Maximum detections per image; by default 300, and no limit for darknet weights."]
DetectionFormat = Annotated[
    Literal["auto", "gridyolo", "coco", "comp4", "yolo"], "Format of the detections; auto recognises it from the files."
]
Protocol = Annotated[
    Literal["coco", "voc07", "voc10"],
    "Report COCO's numbers (coco), and beside them Pascal VOC's 11-point AP (voc07) or all-point AP (voc10).",
]
TruthSplit = Annotated[str, "The part to use, if the ground truth is a dataset."]
ImageFolder = Annotated[str, "Folder of the images, for the pictures; by default where the ground truth says."]
ClassNames = Annotated[str, "Text file with one class name per line; by default the names in the ground truth."]
Tile = Annotated[
    int | None,
    "Cut larger images into square tiles of this many pixels and detect on each of them, and on the whole image: for "
    "objects that are small in large images. By default images are not cut.",
]
Overlap = Annotated[
    float | None,
    "With --tile: the share of a tile that its neighbour shows too; by default 0.2. Best as wide as the small objects.",
]
Report = Annotated[bool, "Write report.html and the files beside it; --no-report writes the numbers only."]
Runs = Annotated[str, "Folder that holds the run folders."]
RunName = Annotated[str, "Name of the run folder; a number is appended if it exists."]


def option_types(config_class: type[Any], prefix: str = "") -> dict[str, Any]:
    """The type of every option of a configuration and of its sections, by dotted name."""
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(config_class).items():
        key = prefix + name
        found |= option_types(cast(type[Any], kind), f"{key}.") if is_dataclass(kind) else {key: kind}
    return found


def dotted_options(config: DataclassInstance, prefix: str = "") -> dict[str, Any]:
    """The value of every option of a configuration and of its sections, by dotted name.

    >>> from yolo.config import TrainConfig
    >>> dotted_options(TrainConfig(data="photos"))["optimizer.rate.policy"]
    'cosine'
    """
    found: dict[str, Any] = {}
    for field in fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        is_section = is_dataclass(value) and not isinstance(value, type)
        found |= dotted_options(value, f"{name}.") if is_section else {name: value}
    return found


def nearest_option(word: str, names: Sequence[str]) -> str | None:
    """The option that somebody may have meant, or its alias; None where nothing is near.

    >>> nearest_option("bacth", ["batch_size", "loss.ignore_iou"]), nearest_option("ignore_iuo", ["loss.ignore_iou"])
    ('batch', 'loss.ignore_iou')

    Args:
        word: what was written in place of it.
        names: dotted keys of all options.
    """
    leaves = {name.rpartition(".")[2]: name for name in names}
    aliases = [alias for alias, name in ALIASES.items() if name in names]
    known = [*names, *leaves, *aliases]
    near = difflib.get_close_matches(word, known, n=1, cutoff=_NEAR)
    if not near:  # one may be the beginning of the other: epoch_count, epochs
        near = [name for name in known if len(name) > 3 and word.startswith(name.removesuffix("s"))][:1]
        near = near or [name for name in known if len(word) > 3 and name.startswith(word)][:1]
    return leaves.get(near[0], near[0]) if near else None


def require(condition: bool, message: str) -> None:
    """ConfigError with that message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def require_at_least(config: Any, *, section: str = "", **limits: float) -> None:
    """ConfigError where an option is below its limit; None is allowed.

    Args:
        config: has the options as attributes.
        section: what stands before their names in messages, such as "loss.".
        limits: option -> least value.
    """
    for name, least in limits.items():
        value = getattr(config, name)
        require(value is None or value >= least, f"{section}{name} must be at least {least}, got {value}")


def require_at_most(config: Any, *, section: str = "", **limits: float) -> None:
    """ConfigError where an option is above its limit, beyond which memory or time would end first; None is allowed."""
    for name, most in limits.items():
        value = getattr(config, name)
        require(value is None or value <= most, f"{section}{name} must be at most {most:,}, got {value}")


def require_within(config: Any, *, section: str = "", **limits: float) -> None:
    """ConfigError where an option is not between 0 and its limit; None is allowed."""
    for name, largest in limits.items():
        value = getattr(config, name)
        require(value is None or 0 <= value <= largest, f"{section}{name} must be in [0, {largest:g}], got {value}")


def check_run_name(name: str) -> None:
    """ConfigError where it cannot be the name of a run folder; said before there is anything to write."""
    require(
        bool(name.strip()) and name not in (".", "..") and not set(name) & set("/\\\0"),
        f"name must be the name of one folder, got {name!r}; --runs sets where that folder is made",
    )


def check_bit_depth(bit_depth: int | None) -> None:
    """ConfigError where 16-bit samples cannot have so many bits."""
    require(bit_depth is None or 8 <= bit_depth <= 16, f"bit_depth must be in 8..16, got {bit_depth}")


def check_bootstrap(bootstrap: int | None) -> None:
    """ConfigError where percentiles cannot be read from so few resamples."""
    require(
        bootstrap is None or bootstrap == 0 or bootstrap >= 100, f"bootstrap must be 0 or at least 100, got {bootstrap}"
    )
    require((bootstrap or 0) <= MOST_RESAMPLES, f"bootstrap must be at most {MOST_RESAMPLES:,}, got {bootstrap}")


def check_tiling(tile: int | None, overlap: float | None) -> None:
    """ConfigError where images cannot be cut so; None for a tile means that they are not cut."""
    require(tile is not None or overlap is None, "--overlap is about tiles: add --tile")
    require(tile is None or tile >= SMALLEST_TILE, f"tile must be at least {SMALLEST_TILE} pixels, got {tile}")
    require(
        overlap is None or LEAST_OVERLAP <= overlap <= MOST_OVERLAP,
        f"overlap must be in [{LEAST_OVERLAP}, {MOST_OVERLAP}], got {overlap}: it is the share of a tile that its "
        "neighbour shows too",
    )
