"""darknet's files as detectors: opening them, and `darknet import` and `darknet export`.

Opening a detector of any kind: `open_detector` in detector.py.
"""

from __future__ import annotations

from pathlib import Path

from yolo.config import DarknetExportConfig, DarknetImportConfig
from yolo.darknet.load import load_darknet, save_darknet
from yolo.darknet.lookup import WEIGHTS_SUFFIX, cfg_for, check_is_darknets, default_names, find_cfg, read_names
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import detector_classes, plan_cfg
from yolo.darknet.weights import WeightsHeader
from yolo.engine.detector_file import DetectorMetadata, default_settings, load_detector, save_detector
from yolo.errors import ConfigError, WeightsError
from yolo.files import atomic_write, expand_home
from yolo.run_weights import find_weights


def open_darknet(
    weights: Path, *, cfg: str = "", names: str = "", mapped: bool = False
) -> tuple[DarknetNetwork, DetectorMetadata]:
    """The network and the settings of darknet's files.

    Args:
        weights: a weights file that holds the whole network.
        cfg: path of its cfg or name of a shipped network; "" looks for a cfg of the same name, beside it or shipped.
        names: path of a text file with a class name in each line; "" takes the `.names` beside the weights, else
            VOC's for 20 classes, else numbers.
        mapped: leave the weights in the file, for a network that is only fused; see `load_darknet`.

    Raises:
        ConfigError: no such cfg, one that cannot be built, or of a network that is not a detector of RGB images.
        DataError: names that are not as many as the classes.
        WeightsError: weights that are missing, damaged or of another network.
    """
    check_is_darknets(weights)
    found = find_cfg(cfg) if cfg else cfg_for(weights)
    plan = plan_cfg(found)
    num_classes = detector_classes(plan)
    beside = weights.with_suffix(".names")
    names_path = expand_home(names) if names else beside if beside.is_file() else None
    class_names = () if names_path is None else read_names(names_path, num_classes)
    network, header = load_darknet(weights, DarknetSpec(cfg=found.text), plan, mapped=mapped)
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


def import_darknet(config: DarknetImportConfig) -> Path:
    """Write darknet's files as one detector file; returns its path.

    Raises:
        ConfigError: nobody named the output, and there is such a file.
        GridYoloError: as `open_darknet`.
    """
    weights = expand_home(config.weights)
    check_is_darknets(weights)
    output = _output(config.output, weights, ".safetensors")
    network, metadata = open_darknet(weights, cfg=config.cfg, names=config.names)
    save_detector(output, network, metadata)
    return output


def export_darknet(config: DarknetExportConfig) -> tuple[Path, Path, Path]:
    """Write a detector's weights, cfg and names for darknet; returns the three paths.

    Raises:
        WeightsError: the file is not a detector, or its network is not darknet's.
        ConfigError: `upto` is more than the network has layers; or files would be lost: one that nobody named as
            the output, or a cfg or names beside it that are others.
    """
    source = find_weights(config.weights)
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
            raise ConfigError(f"{path}: exists with different content; choose another path with --output")
    save_darknet(output, network, WeightsHeader.new(seen), upto=config.upto)
    for path, text in texts.items():
        with atomic_write(path) as temporary:
            temporary.write_bytes(text.encode())  # with the line ends that it has
    return output, cfg, names


def _output(wanted: str, source: Path, suffix: str) -> Path:
    """The file to write; one that the user has not named must not exist, or something could be lost unseen."""
    output = expand_home(wanted) if wanted else source.with_suffix(suffix)
    if not wanted and output.exists():
        raise ConfigError(f"{output}: exists already; name it, or another, with --output")
    return output
