"""What belongs to a weights file: its cfg, by path, by name or beside it, and the names of its classes.

`show` tells what is in such files. The shipped networks are those of yolo/recipes/*.cfg.
"""

from __future__ import annotations

import difflib
from collections import Counter
from importlib import resources
from pathlib import Path

from yolo.config import DarknetShowConfig
from yolo.darknet.cfg import Cfg, parse_cfg, read_cfg
from yolo.darknet.plan import NetworkPlan, describe, plan_cfg
from yolo.darknet.weights import read_weights
from yolo.errors import ConfigError, DataError, WeightsError, printable
from yolo.files import expand_home, read_bytes
from yolo.run_weights import find_weights
from yolo.weights_header import read_metadata

WEIGHTS_SUFFIX = ".weights"
# Files of gridyolo, in which nothing of darknet is to be found.
OWN_SUFFIXES = (".safetensors", ".ckpt")
NETWORKS = ("yolov1", "yolov1-tiny", "yolo", "yolo-small", "yolo-tiny", "extraction")
# Names under which the authors published weights, where they are not those of the cfg.
_PUBLISHED_AS = {"tiny-yolov1": "yolov1-tiny", "yolov1_tiny": "yolov1-tiny"}
_MAX_NAMES_BYTES = 1_000_000
VOC_NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def network_cfg(name: str, *, written: str = "") -> str:
    """Text of the cfg of a shipped network; `written` is what the user wrote in place of its name.

    Raises:
        ConfigError: no such network; the message names the nearest one.
    """
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        known = f"{hint}The networks are {', '.join(NETWORKS)}"
        raise ConfigError(f"'{printable(written or name)}' is neither a file nor a network: {known}")
    return (resources.files("yolo") / "recipes" / f"{name}.cfg").read_text(encoding="utf-8")


def find_cfg(name_or_path: str | Path) -> Cfg:
    """A cfg by its path or, where there is no such file, by the name of a shipped network, `.cfg` or not.

    The path may be that of a detector of gridyolo whose network came from a cfg: it holds its text.

    Raises:
        ConfigError: neither a file nor a network, a file that is not a cfg, or a detector without one.
        WeightsError: a detector that is damaged.
    """
    path = expand_home(name_or_path)
    if _is_file(path / "weights" / "best.safetensors"):
        path = find_weights(path)
    if _is_file(path):
        return _cfg_of_detector(path) if path.suffix == ".safetensors" else read_cfg(path)
    name = str(name_or_path).removesuffix(".cfg")
    return parse_cfg(network_cfg(name, written=str(name_or_path)), source=f"{name}.cfg")


def _cfg_of_detector(path: Path) -> Cfg:
    network = read_metadata(path).get("network")
    text = network.get("cfg") if isinstance(network, dict) else None
    if not isinstance(text, str):
        raise ConfigError(f"{path}: its network is not from a cfg; train from it with --weights, without --cfg")
    return parse_cfg(text, source=str(path))


def _is_file(path: Path) -> bool:
    """False, too, for what cannot be a path: too long, or with characters that paths cannot have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def cfg_for(weights: Path) -> Cfg:
    """The cfg of a weights file whose user gave none."""
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such weights file")
    beside = weights.with_suffix(".cfg")
    if beside.is_file():
        return find_cfg(beside)
    name = _PUBLISHED_AS.get(weights.stem, weights.stem)
    if name in NETWORKS:
        return find_cfg(name)
    raise ConfigError(
        f"{weights}: does not say which network it belongs to. Give --cfg, a cfg file or one of {', '.join(NETWORKS)} "
        f"(there is no {beside.name} beside it)"
    )


def check_is_darknets(weights: Path) -> None:
    """WeightsError where the file's name says that it is gridyolo's own."""
    if weights.suffix in OWN_SUFFIXES:
        raise WeightsError(f"{weights}: is a file of gridyolo already, with a network and names of its own")


def default_names(num_classes: int) -> tuple[str, ...]:
    """Class names where nobody gives any: VOC's for 20 classes, otherwise "class 0", "class 1", ..."""
    return VOC_NAMES if num_classes == len(VOC_NAMES) else tuple(f"class {label}" for label in range(num_classes))


def read_names(path: Path, num_classes: int | None = None) -> tuple[str, ...]:
    """Class names from a text file, one in each line; DataError if they are not `num_classes` different ones."""
    content = read_bytes(path, what="a file of class names", limit=_MAX_NAMES_BYTES)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; a names file has a class name in each line") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise DataError(f"{path}: has no class names; write one in each line")
    if num_classes is not None and len(names) != num_classes:
        raise DataError(f"{path}: has {len(names)} class names, the network has {num_classes} classes")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: {twice!r} appears twice; every class needs a name of its own")
    return names


def show(config: DarknetShowConfig) -> list[str]:
    """Lines on a cfg and on a weights file of it; errors as `open_darknet`, but classifiers are welcome."""
    if not config.weights:
        plan = plan_cfg(find_cfg(config.cfg))
        return [*describe(plan), *plan.unused]
    weights = find_weights(config.weights)
    if weights.suffix == ".safetensors" and not config.cfg:
        plan = plan_cfg(find_cfg(weights))
        return [*describe(plan), *plan.unused]
    check_is_darknets(weights)
    plan = plan_cfg(find_cfg(config.cfg) if config.cfg else cfg_for(weights))
    return [*describe(plan), *plan.unused, *_describe_weights(weights, plan)]


def _describe_weights(path: Path, plan: NetworkPlan) -> list[str]:
    weights = read_weights(path, plan, partial=True)
    header = weights.header
    lines = [
        f"{path}: header of the form {header.form!r}"
        + (f", version {header.major}.{header.minor}.{header.revision}" if header.hyperparameters is None else "")
        + f", {header.seen:,} images seen"
    ]
    if header.hyperparameters is not None:
        rate, momentum, decay = header.hyperparameters
        lines.append(f"learning rate {rate:g}, momentum {momentum:g}, decay {decay:g}")
    if weights.loaded_layers == len(plan.layers):
        lines.append("it holds the whole network")
    else:
        lines.append(f"it holds the first {weights.loaded_layers} of {len(plan.layers)} layers: a start for training")
    return lines
