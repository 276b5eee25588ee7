"""darknet's files as detectors: opening them, and turning them into `*.safetensors` and back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from yolo.config import DarknetExportConfig, DarknetImportConfig, DarknetShowConfig
from yolo.darknet.cfg import Cfg
from yolo.darknet.load import load_darknet, save_darknet
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import NETWORKS, NetworkPlan, describe, detector_classes, find_cfg, plan_cfg
from yolo.darknet.weights import WeightsHeader, read_weights
from yolo.engine.checkpoint import DetectorMetadata, default_settings, load_detector, save_detector
from yolo.errors import ConfigError, DataError, WeightsError
from yolo.files import atomic_write
from yolo.models.network import Network

WEIGHTS_SUFFIX = ".weights"
# Files of gridyolo, in which nothing of darknet is to be found.
OWN_SUFFIXES = (".safetensors", ".ckpt")
VOC_NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
# Names under which the authors published weights, where they are not those of the cfg.
_PUBLISHED_AS = {"tiny-yolov1": "yolov1-tiny", "yolov1_tiny": "yolov1-tiny"}
_MAX_NAMES_BYTES = 1_000_000


def open_detector(weights: Path, *, cfg: str = "", names: str = "") -> tuple[Network, DetectorMetadata]:
    """A detector from a `*.safetensors` file or from darknet's files; see `load_detector` and `open_darknet`."""
    if cfg or weights.suffix == WEIGHTS_SUFFIX:
        return open_darknet(weights, cfg=cfg, names=names)
    if names:
        raise ConfigError(f"--names is for darknet's weights; {weights} has its own class names")
    return load_detector(weights)


def open_darknet(weights: Path, *, cfg: str = "", names: str = "") -> tuple[DarknetNetwork, DetectorMetadata]:
    """The network and the settings of darknet's files.

    Args:
        weights: a weights file that holds the whole network.
        cfg: path of its cfg or name of a shipped network; "" looks for a cfg of the same name, beside it or shipped.
        names: path of a text file with a class name in each line; "" takes the `.names` beside the weights, else
            VOC's for 20 classes, else numbers.

    Raises:
        ConfigError: no such cfg, one that cannot be built, or of a network that is no detector of RGB images.
        DataError: names that are not as many as the classes.
        WeightsError: weights that are missing, damaged or of another network.
    """
    _check_is_darknets(weights)
    found = find_cfg(cfg) if cfg else _cfg_by_name(weights)
    plan = plan_cfg(found)
    num_classes = detector_classes(plan)
    beside = weights.with_suffix(".names")
    names_path = Path(names) if names else beside if beside.is_file() else None
    class_names = () if names_path is None else read_names(names_path, num_classes)
    network, header = load_darknet(weights, DarknetSpec(cfg=found.text), plan)
    predict, val = default_settings(network.spec)
    return network, DetectorMetadata(
        network=network.spec,
        # made up only now: a cfg can claim more classes than there is memory for, a weights file cannot
        class_names=class_names or default_names(num_classes),
        category_ids=None,
        input_hw=network.spec.input_hw,
        resize="stretch_corners",
        predict=predict,
        val=val,
        metrics={},
        training={},
        # below 0 a count of 32 bits has overflowed, and says nothing
        seen=max(0, header.seen),
    )


def default_names(num_classes: int) -> tuple[str, ...]:
    """Class names where nobody gives any: VOC's for 20 classes, otherwise "class 0", "class 1", ..."""
    return VOC_NAMES if num_classes == len(VOC_NAMES) else tuple(f"class {label}" for label in range(num_classes))


def read_names(path: Path, num_classes: int) -> tuple[str, ...]:
    """Class names from a text file, one in each line; DataError if they are not `num_classes` different ones."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe, say, would wait for ever
            raise DataError(f"{path}: is no file of class names")
        with path.open("rb") as file:
            content = file.read(_MAX_NAMES_BYTES + 1)
        if len(content) > _MAX_NAMES_BYTES:
            raise DataError(f"{path}: is too large for a file of class names")
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no UTF-8 text; a names file has a class name in each line") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != num_classes:
        raise DataError(f"{path}: has {len(names)} class names, the network has {num_classes} classes")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: {twice!r} is there twice; every class needs a name of its own")
    return names


def import_darknet(config: DarknetImportConfig) -> Path:
    """Write darknet's files as one detector file; returns its path.

    Raises:
        ConfigError: nobody named the output, and there is such a file.
        GridYoloError: as `open_darknet`.
    """
    weights = Path(config.weights)
    _check_is_darknets(weights)
    output = _output(config.output, weights, ".safetensors")
    network, metadata = open_darknet(weights, cfg=config.cfg, names=config.names)
    save_detector(output, network, metadata)
    return output


def export_darknet(config: DarknetExportConfig) -> tuple[Path, Path, Path]:
    """Write a detector's weights, cfg and names for darknet; returns the three paths.

    Raises:
        WeightsError: the file is no detector, or its network is not darknet's.
        ConfigError: `upto` is more than the network has layers; or files would be lost: one that nobody named as
            the output, or a cfg or names beside it that are others.
    """
    source = Path(config.weights)
    if source.suffix == WEIGHTS_SUFFIX:
        raise WeightsError(f"{source}: is a file of darknet already; export takes a *.safetensors detector")
    network, metadata = load_detector(source)
    if not isinstance(network, DarknetNetwork):
        raise WeightsError(
            f"{source}: its network is {metadata.network.name}, which darknet does not have; "
            "only detectors imported from darknet or trained with --cfg can be exported"
        )
    if config.upto is not None and config.upto > len(network.layers):
        raise ConfigError(f"upto {config.upto}: the network has {len(network.layers)} layers")
    seen = config.seen
    if seen is None:
        # a file to start from must say 0, or the learning rate of the next training would start late
        seen = metadata.seen if config.upto is None else 0
    output = _output(config.output, source, WEIGHTS_SUFFIX)
    cfg, names = output.with_suffix(".cfg"), output.with_suffix(".names")
    texts = {cfg: network.spec.cfg, names: "\n".join(metadata.class_names) + "\n"}
    for path, text in texts.items():
        if path.exists() and path.read_bytes() != text.encode():
            raise ConfigError(f"{path}: is another than would be written; choose another place with --output")
    save_darknet(output, network, WeightsHeader.new(seen), upto=config.upto)
    for path, text in texts.items():
        with atomic_write(path) as temporary:
            temporary.write_bytes(text.encode())  # with the line ends that it has
    return output, cfg, names


def _output(wanted: str, source: Path, suffix: str) -> Path:
    """The file to write; one that the user has not named must not exist, or something could be lost unseen."""
    output = Path(wanted) if wanted else source.with_suffix(suffix)
    if not wanted and output.exists():
        raise ConfigError(f"{output}: exists already; name it, or another, with --output")
    return output


@dataclass(frozen=True, slots=True)
class DarknetDescription:
    """What `darknet show` prints.

    Attributes:
        table: the layers and their totals.
        notes: options of the cfg that have no effect.
        weights: sentences on the weights file; empty where none was given.
    """

    table: list[str]
    notes: tuple[str, ...]
    weights: list[str]


def show(config: DarknetShowConfig) -> DarknetDescription:
    """Describe a cfg, and a weights file beside it; errors as `open_darknet`, but classifiers are welcome."""
    weights = Path(config.weights) if config.weights else None
    if weights is not None:
        _check_is_darknets(weights)
    if config.cfg:
        plan = plan_cfg(find_cfg(config.cfg))
    else:
        assert weights is not None
        plan = plan_cfg(_cfg_by_name(weights))
    return DarknetDescription(describe(plan), plan.unused, [] if weights is None else _describe_weights(weights, plan))


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


def _check_is_darknets(weights: Path) -> None:
    if weights.suffix in OWN_SUFFIXES:
        raise WeightsError(f"{weights}: is a file of gridyolo already, with a network and names of its own")


def _cfg_by_name(weights: Path) -> Cfg:
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
        f"{weights}: which network is it of? Give --cfg, a cfg file or one of {', '.join(NETWORKS)} "
        f"(there is no {beside.name} beside it)"
    )
