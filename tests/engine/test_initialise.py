import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from tests.darknet.networks import HEADERS, darknet_train_config, detector_cfg
from tests.engine.darknet_detectors import network_from, write_darknet
from tests.engine.shapes import write_untrained
from yolo.config import DarknetImportConfig, TrainConfig
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.weights import WeightsHeader
from yolo.engine.darknet import import_darknet
from yolo.engine.detector_file import load_detector
from yolo.engine.initialise import build_start
from yolo.errors import ConfigError, WeightsError
from yolo.models.network import GridNetwork


def start(weights: Path, *, num_classes: int = 2, cfg: Path | None = None, **changes: Any) -> tuple[Any, int, str]:
    """The network, the images it has seen, and what was said."""
    cfg = cfg or weights.with_suffix(".cfg")
    config = darknet_train_config(cfg=str(cfg), data="d", weights=str(weights), **changes)
    console = Console(record=True, width=500, file=io.StringIO())
    network, seen = build_start(config, num_classes, console)
    return network, seen, console.export_text()


def fresh(cfg: str) -> dict[str, torch.Tensor]:
    """The tensors of a network as its seed, 0, makes them."""
    torch.manual_seed(0)
    return DarknetNetwork(DarknetSpec(cfg=cfg)).state_dict()


def equal_layers(network: torch.nn.Module, other: dict[str, torch.Tensor]) -> set[str]:
    """Indices of the layers whose tensors are all those of `other`."""
    own = network.state_dict()
    layers = {name.split(".")[1] for name in own}
    unequal = {name.split(".")[1] for name in own if not torch.equal(own[name], other[name])}
    return layers - unequal


def test_without_weights_the_seed_decides(tmp_path: Path) -> None:
    cfg = tmp_path / "small.cfg"
    cfg.write_text(detector_cfg())
    first, seen, said = start(Path("none"), cfg=cfg)
    again, other = start(Path("none"), cfg=cfg)[0], start(Path("none"), cfg=cfg, seed=1)[0]
    assert (seen, said) == (0, "")
    assert equal_layers(first, again.state_dict()) == {"0", "2", "3"}
    assert not equal_layers(first, other.state_dict()) & {"0", "2", "3"}


def test_whole_weights_fill_every_layer_and_count_on(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    network, seen, said = start(weights)
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0", "2", "3"}
    assert seen == 640
    assert "small.weights: 5 of 5 layers\n" in said
    assert start(weights, clear_seen=True)[1] == 0


def test_partial_weights_fill_the_first_layers_only(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, header=WeightsHeader.new(0), upto=2)
    network, seen, said = start(weights)
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0"}
    assert equal_layers(network, fresh(detector_cfg())) == {"2", "3"}
    assert seen == 0
    assert "small.weights: 2 of 5 layers\n" in said


@pytest.mark.parametrize("name", ["extraction.conv", "darknet19.conv.23", "start"])
def test_weights_may_have_any_name(name: str, tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, upto=2)
    renamed = weights.rename(tmp_path / name)
    network = start(renamed, cfg=tmp_path / "small.cfg")[0]
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0"}


def test_weights_of_other_classes_fill_all_but_the_last_layer_and_count_anew(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    network, seen, said = start(weights, num_classes=3)
    before = network_from(detector_cfg()).state_dict()
    own = network.state_dict()
    assert network.grid is not None
    assert network.grid.num_classes == 3
    last = {name for name in own if name.startswith("layers.3.")}
    assert all(torch.equal(own[name], before[name]) for name in own if name not in last)
    assert {own[name].shape for name in last} == {(52, 48), (52,)}
    assert own["layers.3.biases"].abs().max() == 0
    assert seen == 0
    assert "small.cfg has 2 classes, the data 3: its last layer was changed" in said
    assert "5 of 5 layers; not the last, layer 3" in said


def test_partial_weights_of_other_classes_are_partial(tmp_path: Path) -> None:
    network, seen, said = start(write_darknet(tmp_path, upto=3), num_classes=3)
    own, before = network.state_dict(), network_from(detector_cfg()).state_dict()
    assert all(torch.equal(own[name], before[name]) for name in own if not name.startswith("layers.3."))
    assert seen == 640
    assert "not the last" not in said


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.form)
def test_every_header_says_how_many_images_were_seen(header: WeightsHeader, tmp_path: Path) -> None:
    cfg = tmp_path / "small.cfg"
    cfg.write_text(detector_cfg())
    weights = write_darknet(tmp_path, header=header)
    # a negative count, of 32 bits that overflowed, counts as none: the schedule starts anew
    assert start(weights)[1] == max(0, header.seen)


def test_an_imported_detector_is_a_start_too(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    imported = import_darknet(DarknetImportConfig(weights=str(weights)))
    network, seen, said = start(imported)
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0", "2", "3"}
    assert seen == 640
    assert "small.safetensors: loaded 9 tensors" in said
    assert start(imported, clear_seen=True)[1] == 0
    network, seen, said = start(imported, num_classes=3)
    assert equal_layers(network, fresh(detector_cfg(classes=3))) == {"3"}
    assert seen == 0
    assert "2 misshapen: layers.3" in said


def test_a_start_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    best = write_untrained(tmp_path / "best.safetensors")
    with pytest.raises(WeightsError, match=r"best\.safetensors: nothing in it fits the network"):
        start(best, cfg=weights.with_suffix(".cfg"))
    with pytest.raises(WeightsError, match="training state"):
        start(best.with_name("last.ckpt"), cfg=weights.with_suffix(".cfg"))
    weights.write_bytes(weights.read_bytes()[:-2])
    with pytest.raises(WeightsError, match=r"small\.weights ends inside layer 3"):
        start(weights)
    with pytest.raises(WeightsError, match="DEFAULT"):
        start(Path("DEFAULT"), cfg=weights.with_suffix(".cfg"))
    with pytest.raises(WeightsError, match=r"none\.weights"):
        start(tmp_path / "none.weights", cfg=weights.with_suffix(".cfg"))


@pytest.mark.parametrize(
    "change",
    [{"input_size": 64}, {"model__grid_size": 4}, {"model__boxes_per_cell": 3}],
    ids=lambda change: next(iter(change)),
)
def test_options_that_contradict_the_cfg_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    name = next(iter(change)).replace("__", r"\.")
    with pytest.raises(ConfigError, match=rf"{name} is \d+, but .*small\.cfg has \d+"):
        start(write_darknet(tmp_path), **change)


def test_what_a_cfg_says_in_vain_is_told(tmp_path: Path) -> None:
    cfg = tmp_path / "typo.cfg"
    cfg.write_text(detector_cfg(detection={"foo": 1}))
    assert "unused key 'foo' in [detection]" in start(Path("none"), cfg=cfg)[2]


def test_the_batch_norm_of_the_configuration_is_built(tmp_path: Path) -> None:
    assert start(write_darknet(tmp_path), model__batch_norm="darknet")[0].spec.batch_norm == "darknet"


def test_darknets_weights_need_a_cfg(tmp_path: Path) -> None:
    config = TrainConfig(data="d", input_size=64, weights=str(write_darknet(tmp_path)))
    with pytest.raises(ConfigError, match=r"small\.weights: is a darknet weights file; name its network with --cfg"):
        build_start(config, 2, Console(quiet=True))


def test_without_a_cfg_the_backbone_is_built_as_before(tmp_path: Path) -> None:
    console = Console(record=True, width=500, file=io.StringIO())
    config = TrainConfig(data="d", input_size=64)
    network, seen = build_start(config, 2, console)
    assert isinstance(network, GridNetwork)
    assert (network.spec.num_classes, seen, console.export_text()) == (2, 0, "")
    # the backbone of a detector is a start, its neck and head are not
    best = write_untrained(tmp_path / "best.safetensors")
    network, seen = build_start(TrainConfig(data="d", input_size=64, weights=str(best)), 2, console)
    own, other = network.state_dict(), load_detector(best)[0].state_dict()
    same = {name for name in own if torch.equal(own[name], other[name])}
    assert {name for name in own if name.startswith("backbone.body.")} <= same < set(own)
    assert seen == 0
    assert "backbone weights" in console.export_text()
